"""Config: one flat, frozen, validated object that holds everything a run depends on.

The parameters cell of `notebooks/02_train.ipynb` is this class, field for field. Presets are functions that
return a complete Config; an ablation replaces fields: `config.replace(ranges="short", seed=3)`.
"""

import difflib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from losa.adapter_file import split_adapter_name
from losa.errors import ConfigError

# Fields that say how a trained model is used and judged; the others are fixed once it is trained.
LATE = ("ground_truth", "block_list", "test_set", "cache", "weights", "num_workers", "micro_batch",
        "checkpointing", "log_with", "window_overlap",
        "pre_nms_score", "pre_nms_topk", "topk_per_level", "min_length", "nms_sigma", "min_score",
        "max_segments", "class_wise_nms", "voting", "voting_weight", "classifier", "classifier_topk",
        "classifier_fusion", "protocol", "tiou")


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    # data
    annotations: str = "runs/demo/world/annotations.json"  # ActivityNet-layout JSON made by `losa data prepare`
    train_subset: str = "train"
    val_subset: str = "val"  # choices are made here; "" trains without validation
    test_subset: str = "test"
    ground_truth: str = ""  # file that test AP is measured against as it stands; "" = annotations, cleaned
    block_list: str = ""  # file of video ids to leave out of the test, e.g. ActivityNet's blocked ones
    test_set: str = ""  # name of a published test set, e.g. "thumos14-212"; "" = all of test_subset
    cache: str = "runs/demo/taps"  # folder of cached taps; "" computes them on the fly in every epoch
    # features made by others, in place of a backbone (head-only)
    features: str = ""  # folder of <video id>.npy; "" computes taps from the videos
    feature_stride: float | None = Field(None, gt=0)  # native frames between features; None = as their card.json says
    feature_frames: float | None = Field(None, ge=0)  # native frames one feature saw; the first is centred at half
    # frozen backbone and how video reaches it
    backbone: str = "gap"  # "gap" | "covered" | "videomae_b" | "videomaev2_g" | ... | "timm/<model name>"
    weights: str = ""  # checkpoint file or folder; "" = the shipped ones, timm's hub; "random" = random weights
    pixel_norm: Literal["weights", "imagenet", "unit"] = "weights"  # mean and std of pixels; "unit" only divides by 255
    input_size: int | None = Field(None, ge=14)  # px of the square input; None = the world backbone's own, else 224
    resize: Literal["squeeze", "crop"] = "squeeze"  # the whole frame, or its centre square as the peers take it
    sample_fps: float | None = Field(None, gt=0)  # frames per second read; None = native rate / frame_stride
    frame_stride: int = Field(1, ge=1)  # read every n-th native frame
    frames_per_video: int | None = Field(None, ge=2)  # read so many frames, evenly over the whole video, instead
    clip_length: int | None = Field(None, ge=2)  # frames in one clip; None = the backbone's own
    clip_stride: int | None = Field(None, ge=1)  # sampled frames between clips; None = no overlap
    snippet_frames: float | None = Field(None, gt=0)  # sampled frames per snippet by interpolation; None = tubelet
    snippets_per_video: int | None = Field(None, ge=8)  # interpolate every video to so many snippets
    taps: Literal["all", "half", "last", "none"] | list[int] = "all"  # tapped blocks
    grid: int = Field(1, ge=1)  # a tap keeps grid x grid positions in space
    compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of the frozen backbone
    copies: int = Field(1, ge=0)  # cached copies of a training video, all but the first augmented; 0 = new every epoch
    # way of adapting: the same data, head and schedule for all
    mode: Literal["losa", "head_only", "side_tokens", "inside", "full"] = "losa"  # see losa/modes.py
    checkpointing: bool = False  # inside, full: compute activations again in the backward pass instead of keeping them
    backbone_lr_scale: float = Field(0.1, gt=0)  # inside, full: learning rate in the backbone, x learning_rate
    # adapters and gated fusion
    ranges: Literal["short", "long", "both"] = "both"
    short_window: int = Field(4, ge=1)  # snippets each way that short-range attention sees
    short_scope: Literal["sliding", "clip"] = "sliding"
    long_stride: int = Field(4, ge=1)  # snippets averaged into one long-range key
    long_keys: int = Field(256, ge=1)  # at most so many long-range keys
    query: Literal["self", "last"] = "self"
    adapter: str = "temporal"  # or FILE.py:NAME, a class of your own that keeps the adapters' contract
    adapter_dim: int = Field(32, ge=4)
    adapter_heads: int = Field(2, ge=1)
    gate: Literal["tanh", "channel", "sigmoid", "none", "concat"] = "tanh"
    gate_init: float = 0.5  # parameter of the gate before squashing
    # head
    head_dim: int = Field(64, ge=8)
    head_heads: int = Field(4, ge=1)
    head_levels: int = Field(5, ge=1, le=12)
    head_stem: int = Field(1, ge=0)  # transformer blocks before the pyramid
    head_window: int | list[int] = 0  # local attention window in points, 0 = global; or one per level
    drop_path: float = Field(0.1, ge=0, lt=1)
    class_agnostic: bool = False  # learn where any action is; `classifier` says which
    # training
    seed: int = Field(0, ge=0)
    epochs: int = Field(30, ge=1)  # after warm-up
    warmup_epochs: int = Field(3, ge=0)
    batch_size: int = Field(4, ge=1)  # videos in one step, over all processes
    micro_batch: int | None = Field(None, ge=1)  # of them at a time in each process, gradients added up; None = all
    start: str = ""  # folder of a finished run whose weights, where names and shapes agree, training starts from
    window: int = Field(384, ge=8)  # snippets in one training sample, at most
    crop_ratio: tuple[float, float] = (0.9, 1.0)  # share of a short video kept by random cropping
    learning_rate: float = Field(2e-3, gt=0)
    gate_lr_scale: float = Field(5.0, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    clip_grad: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    init_normaliser: float = Field(100.0, gt=0)  # of the losses, in positives; ActionFormer: 100, ActivityNet 200
    reg_weight: float = Field(1.0, ge=0)  # of the regression loss; ActionFormer on ActivityNet: 2
    label_smoothing: float = Field(0.0, ge=0, lt=1)  # of the classification targets; on ActivityNet: 0.1
    precision: Literal["no", "bf16", "fp16"] = "no"  # of what learns
    num_workers: int = Field(0, ge=0)
    val_every: int = Field(5, ge=1)  # epochs between validations
    save_every: int = Field(50, ge=1)  # steps between saved states
    track_test: bool = False  # log test mAP beside val mAP, to show what choosing an epoch by it would claim
    log_with: str = ""  # a tracker that accelerate offers: tensorboard, wandb, mlflow, trackio, ...
    # prediction
    window_overlap: float = Field(0.5, ge=0, lt=1)
    pre_nms_score: float = Field(0.001, ge=0)
    pre_nms_topk: int = Field(2000, ge=1)  # candidates kept per video
    topk_per_level: bool = False  # pre_nms_topk counts per pyramid level and window instead, as in ActionFormer
    min_length: float = Field(0.05, ge=0)  # snippets; shorter segments are dropped
    nms_sigma: float = Field(0.5, gt=0)
    min_score: float = Field(0.001, ge=0)
    max_segments: int = Field(200, ge=1)
    class_wise_nms: bool = True
    voting: float = Field(0.0, ge=0, le=1)  # tIoU above which candidates vote on a segment's ends; 0 = no voting
    voting_weight: Literal["score_tiou", "score"] = "score_tiou"  # of a vote: ActionFormer's, OpenTAD's
    classifier: str = ""  # JSON of video-level class scores made by others
    classifier_topk: int = Field(2, ge=1)  # classes each segment is given
    classifier_fusion: Literal["sqrt", "product"] = "sqrt"  # of both scores: ActionFormer's, OpenTAD's
    protocol: str = "activitynet"  # how AP is computed, see `losa evaluate --help`
    tiou: list[float] = [0.3, 0.4, 0.5, 0.6, 0.7]

    @model_validator(mode="after")
    def check(self) -> "Config":
        """Values that contradict each other, each named with both values."""
        clashes = [
            (self.sample_fps is not None and self.frame_stride != 1,
             f"sample_fps={self.sample_fps} and frame_stride={self.frame_stride} both choose the rate; keep one"),
            (self.head_dim % self.head_heads,
             f"head_dim={self.head_dim} is not divisible by head_heads={self.head_heads}"),
            (self.adapter_dim % self.adapter_heads,
             f"adapter_dim={self.adapter_dim} is not divisible by adapter_heads={self.adapter_heads}"),
            (self.weights == "random" and self.backbone in ("gap", "covered"),
             f"weights='random' is for timm and videomae backbones, backbone={self.backbone!r}"),
            (self.frames_per_video is not None and (self.sample_fps is not None or self.frame_stride != 1),
             f"frames_per_video={self.frames_per_video} and sample_fps={self.sample_fps} or "
             f"frame_stride={self.frame_stride} both choose the rate; keep one"),
            (self.snippet_frames is not None and self.snippets_per_video is not None,
             f"snippet_frames={self.snippet_frames} and snippets_per_video={self.snippets_per_video} both choose the "
             "number of snippets; keep one"),
            (self.classifier and not self.class_agnostic,
             f"classifier={self.classifier!r} gives segments their classes, so they are learnt without: write "
             f"class_agnostic=True instead of {self.class_agnostic}"),
            (self.features and (self.tapped != "none" or self.mode in ("inside", "full")),
             f"features={self.features!r} are the last layer alone; write taps='none' instead of {self.taps!r} and "
             f"mode='head_only' instead of {self.mode!r}"),
            (self.features and self.copies != 1,
             f"copies={self.copies} change pixels, features={self.features!r} have none; write copies=1"),
            (self.mode in ("side_tokens", "inside") and self.taps == "none",
             f"mode={self.mode!r} adapts the blocks that taps names; taps='none' names none"),
            (self.mode == "side_tokens" and self.grid != 1,
             f"mode='side_tokens' reads every token; leave grid at 1, not {self.grid}"),
            (self.copies == 0 and self.cache and self.mode not in ("inside", "full"),
             f"copies=0 draws new pixels in every epoch, cache={self.cache!r} keeps them; write cache=''"),
            (self.short_scope == "clip" and (self.snippet_frames or self.snippets_per_video),
             "short_scope='clip' needs the backbone's own snippets; leave snippet_frames and snippets_per_video out"),
            (any(w < 0 or (w and w % 2 == 0) for w in self.head_windows),
             f"head_window={self.head_window} must be odd, or 0 for global"),
            (len(self.head_windows) != self.head_levels,
             f"head_window={self.head_window} names {len(self.head_windows)} levels, head_levels={self.head_levels}"),
            (self.short_scope == "clip" and self.backbone.startswith("timm/"),
             f"short_scope='clip' needs clips of several frames; backbone={self.backbone!r} sees one at a time"),
            (not 0 < self.crop_ratio[0] <= self.crop_ratio[1] <= 1,
             f"crop_ratio={self.crop_ratio} must be (low, high) with 0 < low <= high <= 1"),
            (not self.tiou or not all(0 < t <= 1 for t in self.tiou), f"tiou={self.tiou} must be values in (0, 1]"),
            (self.adapter != "temporal" and not self.adapter_file,
             f"adapter={self.adapter!r} must be 'temporal', or FILE.py:NAME, a class in a file of your own"),
            (self.taps == [], "taps=[] taps nothing; write taps='none' for the head alone"),
        ]
        found = [text for wrong, text in clashes if wrong]
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def tapped(self) -> str | list[int]:
        """`taps`, or "none" in the modes whose model has no adapters beside the backbone."""
        return self.taps if self.mode in ("losa", "side_tokens") else "none"

    @property
    def adapter_file(self) -> str:
        """The file of an adapter of one's own, "" for one of ours."""
        return split_adapter_name(self.adapter)[0]

    def adapter_text(self) -> str:
        """What that file holds, "" for one of ours. Raises ConfigError where it cannot be read."""
        try:
            return Path(self.adapter_file).read_text(encoding="utf-8") if self.adapter_file else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"adapter={self.adapter!r}: {Path(self.adapter_file).absolute()} cannot be read "
                              f"({getattr(error, 'strerror', None) or error}); give FILE.py:NAME, the file as seen "
                              "from the current folder") from None

    def kept_in(self, run: str | Path) -> "Config":
        """The config with the copy of the adapter's file that the folder of a run keeps, if it does."""
        copy = Path(run) / "adapter.py"
        kept = self.adapter_file and copy.is_file()
        return self.replace(adapter=f"{copy}:{split_adapter_name(self.adapter)[1]}") if kept else self

    @property
    def head_windows(self) -> list[int]:
        """`head_window` of every level, 0 for global."""
        return self.head_window if isinstance(self.head_window, list) else [self.head_window] * self.head_levels

    @classmethod
    def make(cls, **fields) -> "Config":
        """A validated Config. Raises ConfigError that names each bad field and, for unknown ones, the nearest."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None

    def replace(self, **fields) -> "Config":
        """The same run with other values, validated again."""
        return Config.make(**{**self.to_dict(), **fields})

    def to_dict(self) -> dict:
        """Plain JSON values, safe as papermill parameters."""
        return json.loads(self.model_dump_json())

    @classmethod
    def load(cls, path: str | Path) -> "Config":
        """The Config saved beside a run. Raises ConfigError if the file is not one."""
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON ({error}); give the config.json of a run") from None
        if not isinstance(fields, dict):
            raise ConfigError(f"{path} holds no fields of a config; give the config.json of a run")
        return cls.make(**fields)


def explain(error: ValidationError) -> str:
    """One line per problem: what was given, what was expected, what to write instead."""
    lines = []
    for item in error.errors():
        name = ".".join(map(str, item["loc"][:1]))
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, Config.model_fields, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(Config.model_fields)}"
            lines.append(f"unknown config field {name!r}: {hint}")
        elif name:
            lines.append(f"{name}={item['input']!r}: {item['msg'].lower()}")
        else:
            lines.append(item["msg"].removeprefix("Value error, "))
    return "\n".join(dict.fromkeys(lines))


def replace_late(config: Config, fields: dict) -> Config:
    """The config with fields replaced that may differ after training. Raises ConfigError for the others."""
    fixed = [name for name in fields if name in Config.model_fields and name not in LATE]
    if fixed:
        raise ConfigError(f"{', '.join(fixed)}: fixed when the run was trained; here may change: {', '.join(LATE)}")
    return config.replace(**fields)
