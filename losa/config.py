"""Config: one flat, frozen, validated object that holds everything a run depends on.

The parameters cell of `notebooks/02_train.ipynb` is this class, field for field, printed by `losa fields --cell`.
Presets (`presets.py`) are functions that return a complete Config; an ablation replaces fields:
`config.replace(ranges="short", seed=3)`.
"""

import ast
import difflib
import json
from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from losa.adapter_file import split_adapter_name
from losa.errors import ConfigError


class Role(StrEnum):
    """What a field of the config is about; every field has one. Cards, sweeps and reports choose fields by it."""

    DATA = "data"  # what is learnt from and judged on
    BACKBONE = "backbone"  # the frozen model, or the features in its place
    INPUT = "input"  # how video reaches the model: `sampling` on a protocol card
    METHOD = "method"  # model and training: `method` on a protocol card
    SEED = "seed"
    COST = "cost"  # changes memory and time, not the result
    RUNNING = "running"  # where and how a run is computed; no setting to compare runs by
    POST = "post"  # post-processing: `post` on a protocol card
    CLASSIFIER = "classifier"  # an external classifier of videos
    EVALUATION = "evaluation"


class Mark(StrEnum):
    """What else holds for a field beside its role."""

    LATE = "late"  # may change once the model is trained
    FILE = "file"  # names a file or folder that has to be there


# The headings of `losa fields` and of the parameters cell of 02_train, by the first field below each.
SECTIONS = {
    "annotations": "data",
    "features": 'pre-extracted features in place of a backbone, with taps "none"',
    "backbone": "frozen backbone and how video reaches it",
    "mode": "way of adapting: the same data, head and schedule for all",
    "ranges": "adapters and gated fusion",
    "head_dim": "head",
    "seed": "training",
    "window_overlap": "prediction and evaluation",
}


class Config(BaseModel):
    """Everything a run depends on. Each field has its meaning below it, its role and its default.

    Make one with `Config.make`, which names a wrong field and the nearest right one; change it with `replace`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False,
                              use_attribute_docstrings=True)

    # data
    annotations: Annotated[str, Role.DATA, Mark.FILE] = "runs/demo/world/annotations.json"
    """ActivityNet-layout JSON made by `losa data prepare`"""
    train_subset: Annotated[str, Role.METHOD] = "train"
    """subset to learn from"""
    val_subset: Annotated[str, Role.DATA] = "val"
    """subset to make choices on; "" trains without validation"""
    test_subset: Annotated[str, Role.DATA] = "test"
    """subset to measure the result on, once"""
    ground_truth: Annotated[str, Role.DATA, Mark.LATE, Mark.FILE] = ""
    """file that test AP is measured against as it stands; "": annotations, cleaned"""
    block_list: Annotated[str, Role.DATA, Mark.LATE, Mark.FILE] = ""
    """file of video ids to leave out of the test, e.g. ActivityNet's blocked ones"""
    test_set: Annotated[str, Role.DATA, Mark.LATE] = ""
    """a published test set, e.g. "thumos14-212"; "": all of test_subset"""
    cache: Annotated[str, Role.RUNNING, Mark.LATE] = "runs/demo/taps"
    """folder of cached taps; "" computes them on the fly in every epoch"""

    # pre-extracted features in place of a backbone, with taps "none"
    features: Annotated[str, Role.BACKBONE, Mark.FILE] = ""
    """folder of VIDEO.npy, .npz, .pt, .safetensors or .csv; "" computes taps from the videos"""
    feature_pattern: Annotated[str | None, Role.BACKBONE, Mark.LATE] = None
    """names of the files, e.g. "{video}-rgb.npy" or "**/{video}.npz"; None: recognised"""
    feature_key: Annotated[str | None, Role.BACKBONE, Mark.LATE] = None
    """name of the array, e.g. "feats", in files that hold several"""
    feature_axes: Annotated[Literal["TC", "CT"] | None, Role.BACKBONE, Mark.LATE] = None
    """whether files hold (time, channels) or (channels, time); None: recognised"""
    feature_stride: Annotated[float | None, Role.INPUT] = Field(None, gt=0)
    """native frames between two features, e.g. 4; None: as their card.json says"""
    feature_frames: Annotated[float | None, Role.INPUT] = Field(None, ge=0)
    """native frames one feature saw; the first is centred at half of it"""
    feature_fps: Annotated[float | None, Role.INPUT] = Field(None, gt=0)
    """native frames per second that all features were made at; None: as the annotations say"""
    feature_grid: Annotated[Literal["stride", "duration"] | None, Role.INPUT] = None
    """by feature_stride, or evenly over each video; None: stride, if it fits"""

    # frozen backbone and how video reaches it
    backbone: Annotated[str, Role.BACKBONE] = "gap"
    '''"gap" | "covered" | "videomae_b" | "videomaev2_g" | ... | "timm/MODEL"'''
    weights: Annotated[str, Role.BACKBONE, Mark.LATE, Mark.FILE] = ""
    '''checkpoint file or folder; "": the shipped ones or timm's hub; "random"'''
    pixel_norm: Annotated[Literal["weights", "imagenet", "unit"], Role.INPUT] = "weights"
    """mean and std of pixels; "unit" only divides by 255"""
    input_size: Annotated[int | None, Role.INPUT] = Field(None, ge=14)
    """px of the square input; None: the world backbone's own, else 224"""
    resize: Annotated[Literal["squeeze", "crop"], Role.INPUT] = "squeeze"
    """the whole frame, or its centre square as the peers take it"""
    sample_fps: Annotated[float | None, Role.INPUT] = Field(None, gt=0)
    """frames per second to read; None: native rate / frame_stride"""
    frame_stride: Annotated[int, Role.INPUT] = Field(1, ge=1)
    """read every n-th native frame"""
    frames_per_video: Annotated[int | None, Role.INPUT] = Field(None, ge=2)
    """read so many frames, evenly over the whole video, instead"""
    clip_length: Annotated[int | None, Role.INPUT] = Field(None, ge=2)
    """frames in one clip; None: the backbone's own"""
    clip_stride: Annotated[int | None, Role.INPUT] = Field(None, ge=1)
    """sampled frames between clips; None: no overlap"""
    snippet_frames: Annotated[float | None, Role.INPUT] = Field(None, gt=0)
    """sampled frames per snippet by interpolation; None: the backbone's tubelet"""
    snippets_per_video: Annotated[int | None, Role.INPUT] = Field(None, ge=8)
    """interpolate every video to so many snippets"""
    taps: Annotated[Literal["all", "half", "last", "none"] | list[int], Role.INPUT] = "all"
    """tapped blocks, by name or as a list of numbers"""
    grid: Annotated[int, Role.INPUT] = Field(1, ge=1)
    """a tap keeps grid x grid positions in space"""
    compute_dtype: Annotated[Literal["float32", "bfloat16"], Role.INPUT] = "float32"
    """precision of the frozen backbone"""
    copies: Annotated[int, Role.INPUT] = Field(1, ge=0)
    """cached copies of a training video, all but the first augmented; 0: new every epoch"""

    # way of adapting: the same data, head and schedule for all
    mode: Annotated[Literal["losa", "head_only", "side_tokens", "inside", "full"], Role.METHOD] = "losa"
    """what trains beside the head"""
    checkpointing: Annotated[bool, Role.COST, Mark.LATE] = False
    """inside, full: compute activations again instead of keeping them"""
    backbone_lr_scale: Annotated[float, Role.METHOD] = Field(0.1, gt=0)
    """inside, full: learning rate in the backbone, in multiples of learning_rate"""

    # adapters and gated fusion
    ranges: Annotated[Literal["short", "long", "both"], Role.METHOD] = "both"
    """temporal reach of the adapters"""
    short_window: Annotated[int, Role.METHOD] = Field(4, ge=1)
    """snippets each way that short-range attention sees"""
    short_scope: Annotated[Literal["sliding", "clip"], Role.METHOD] = "sliding"
    """whether the short range slides along the video or stays within a clip"""
    long_stride: Annotated[int, Role.METHOD] = Field(4, ge=1)
    """snippets averaged into one long-range key"""
    long_keys: Annotated[int, Role.METHOD] = Field(256, ge=1)
    """at most so many long-range keys"""
    query: Annotated[Literal["self", "last"], Role.METHOD] = "self"
    """what attention asks with: the tap itself, or the last layer"""
    adapter: Annotated[str, Role.METHOD, Mark.FILE] = "temporal"
    """or FILE.py:NAME, a class of your own: 07_extend"""
    adapter_dim: Annotated[int, Role.METHOD] = Field(32, ge=4)
    """width inside an adapter"""
    adapter_heads: Annotated[int, Role.METHOD] = Field(2, ge=1)
    """attention heads of an adapter"""
    gate: Annotated[Literal["tanh", "channel", "sigmoid", "none", "concat"], Role.METHOD] = "tanh"
    """kind of fusion"""
    gate_init: Annotated[float, Role.METHOD] = 0.5
    """parameter of the gate before squashing"""

    # head
    head_dim: Annotated[int, Role.METHOD] = Field(64, ge=8)
    """width of the head"""
    head_heads: Annotated[int, Role.METHOD] = Field(4, ge=1)
    """attention heads of the head"""
    head_levels: Annotated[int, Role.METHOD] = Field(5, ge=1, le=12)
    """levels of the feature pyramid, each half as fine"""
    head_stem: Annotated[int, Role.METHOD] = Field(1, ge=0)
    """transformer blocks before the pyramid"""
    head_window: Annotated[int | list[int], Role.METHOD] = 0
    """local attention window in points, 0 for global; or a list, one per level"""
    drop_path: Annotated[float, Role.METHOD] = Field(0.1, ge=0, lt=1)
    """stochastic depth in the head"""
    class_agnostic: Annotated[bool, Role.METHOD] = False
    """learn where any action is; `classifier` says which"""

    # training
    seed: Annotated[int, Role.SEED] = Field(0, ge=0)
    """of weights, samples and drop path"""
    epochs: Annotated[int, Role.METHOD] = Field(30, ge=1)
    """epochs after warm-up"""
    warmup_epochs: Annotated[int, Role.METHOD] = Field(3, ge=0)
    """epochs of rising learning rate"""
    batch_size: Annotated[int, Role.METHOD] = Field(4, ge=1)
    """videos in one step, over all processes"""
    micro_batch: Annotated[int | None, Role.RUNNING, Mark.LATE] = Field(None, ge=1)
    """of them at a time in each process, gradients added up; None: all"""
    start: Annotated[str, Role.METHOD, Mark.FILE] = ""
    """folder of a finished run to start from (warm start), where names and shapes agree"""
    window: Annotated[int, Role.INPUT] = Field(384, ge=8)
    """snippets in one training sample, at most"""
    crop_ratio: Annotated[tuple[float, float], Role.METHOD] = (0.9, 1.0)
    """share of a short video kept by random cropping"""
    learning_rate: Annotated[float, Role.METHOD] = Field(2e-3, gt=0)
    """peak, after warm-up"""
    gate_lr_scale: Annotated[float, Role.METHOD] = Field(5.0, gt=0)
    """learning rate of the gates, in multiples of learning_rate"""
    weight_decay: Annotated[float, Role.METHOD] = Field(0.05, ge=0)
    """of matrices; not of biases, norms and gates"""
    clip_grad: Annotated[float, Role.METHOD] = Field(1.0, gt=0)
    """largest norm of the gradient"""
    ema_decay: Annotated[float, Role.METHOD] = Field(0.99, ge=0, lt=1)
    """of the moving average of the weights, which is the result"""
    init_normaliser: Annotated[float, Role.METHOD] = Field(100.0, gt=0)
    """of the losses, in positives; ActionFormer: 100, on ActivityNet 200"""
    reg_weight: Annotated[float, Role.METHOD] = Field(1.0, ge=0)
    """of the regression loss; ActionFormer on ActivityNet: 2"""
    label_smoothing: Annotated[float, Role.METHOD] = Field(0.0, ge=0, lt=1)
    """of the classification targets; ActionFormer on ActivityNet: 0.1"""
    precision: Annotated[Literal["no", "bf16", "fp16"], Role.METHOD] = "no"
    """mixed precision of what trains"""
    num_workers: Annotated[int, Role.RUNNING, Mark.LATE] = Field(0, ge=0)
    """processes that read data; 0 for none"""
    val_every: Annotated[int, Role.RUNNING] = Field(5, ge=1)
    """epochs between validations"""
    save_every: Annotated[int, Role.RUNNING] = Field(50, ge=1)
    """steps between saved states"""
    track_test: Annotated[bool, Role.RUNNING] = False
    """log test mAP beside val mAP; it never chooses"""
    log_with: Annotated[str, Role.RUNNING, Mark.LATE] = ""
    """a tracker that accelerate offers: tensorboard, wandb, mlflow, ..."""

    # prediction and evaluation
    window_overlap: Annotated[float, Role.POST, Mark.LATE] = Field(0.5, ge=0, lt=1)
    """share by which prediction windows overlap"""
    pre_nms_score: Annotated[float, Role.POST, Mark.LATE] = Field(0.001, ge=0)
    """candidates below are dropped"""
    pre_nms_topk: Annotated[int, Role.POST, Mark.LATE] = Field(2000, ge=1)
    """candidates kept per video"""
    topk_per_level: Annotated[bool, Role.POST, Mark.LATE] = False
    """pre_nms_topk counts per pyramid level and window, as in ActionFormer"""
    min_length: Annotated[float, Role.POST, Mark.LATE] = Field(0.05, ge=0)
    """snippets; shorter segments are dropped"""
    nms_sigma: Annotated[float, Role.POST, Mark.LATE] = Field(0.5, gt=0)
    """soft-NMS: larger suppresses less"""
    min_score: Annotated[float, Role.POST, Mark.LATE] = Field(0.001, ge=0)
    """after soft-NMS, segments below are dropped"""
    max_segments: Annotated[int, Role.POST, Mark.LATE] = Field(200, ge=1)
    """segments kept per video"""
    class_wise_nms: Annotated[bool, Role.POST, Mark.LATE] = True
    """classes leave each other alone in NMS"""
    voting: Annotated[float, Role.POST, Mark.LATE] = Field(0.0, ge=0, le=1)
    """tIoU above which candidates vote on the ends of a segment; 0: no voting"""
    voting_weight: Annotated[Literal["score_tiou", "score"], Role.POST, Mark.LATE] = "score_tiou"
    """weight of a vote: ActionFormer's, OpenTAD's"""
    classifier: Annotated[str, Role.CLASSIFIER, Mark.LATE, Mark.FILE] = ""
    """JSON of video-level class scores from an external classifier"""
    classifier_topk: Annotated[int, Role.CLASSIFIER, Mark.LATE] = Field(2, ge=1)
    """classes each segment is given"""
    classifier_fusion: Annotated[Literal["sqrt", "product"], Role.CLASSIFIER, Mark.LATE] = "sqrt"
    """how both scores are combined: ActionFormer's, OpenTAD's"""
    protocol: Annotated[str, Role.EVALUATION, Mark.LATE] = "activitynet"
    """how AP is computed: activitynet, activitynet-dedup or thumos14"""
    tiou: Annotated[list[float], Role.EVALUATION, Mark.LATE] = [0.3, 0.4, 0.5, 0.6, 0.7]
    """thresholds of mAP"""

    @model_validator(mode="before")
    @classmethod
    def read_texts(cls, fields: dict) -> dict:
        """Read lists, numbers and None that came as text, as `papermill -p taps '[0, 2]'` gives them."""
        return {name: parse_value(value) if isinstance(value, str) and str not in list_kinds(name) else value
                for name, value in fields.items()}

    @model_validator(mode="after")
    def check(self) -> "Config":
        """Raise ValueError for values that contradict each other, naming both."""
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
            (self.feature_grid == "duration" and self.feature_fps is not None,
             f"feature_fps={self.feature_fps} counts nothing with feature_grid='duration'; leave it out"),
            (self.feature_grid == "duration" and self.snippet_frames is not None,
             f"snippet_frames={self.snippet_frames} counts nothing with feature_grid='duration'; write "
             "snippets_per_video instead"),
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
        """Return `taps`, or "none" in the modes whose model has no adapters beside the backbone."""
        return self.taps if self.mode in ("losa", "side_tokens") else "none"

    @property
    def adapter_file(self) -> str:
        """Return the file of a user's own adapter, "" for a built-in one."""
        return split_adapter_name(self.adapter)[0]

    def adapter_text(self) -> str:
        """Return the text of that file, "" for a built-in adapter. Raises ConfigError if it cannot be read."""
        try:
            return Path(self.adapter_file).read_text(encoding="utf-8") if self.adapter_file else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"adapter={self.adapter!r}: {Path(self.adapter_file).absolute()} cannot be read "
                              f"({getattr(error, 'strerror', None) or error}); give FILE.py:NAME, the file as seen "
                              "from the current folder") from None

    def with_kept_adapter(self, run: str | Path) -> "Config":
        """Return the config with `adapter` naming the copy that the run's folder keeps, if it keeps one."""
        copy = Path(run) / "adapter.py"
        kept = self.adapter_file and copy.is_file()
        return self.replace(adapter=f"{copy}:{split_adapter_name(self.adapter)[1]}") if kept else self

    @property
    def head_windows(self) -> list[int]:
        """Return `head_window` for every level, 0 for global."""
        return self.head_window if isinstance(self.head_window, list) else [self.head_window] * self.head_levels

    @classmethod
    def make(cls, **fields) -> "Config":
        """Return a validated Config. Raises ConfigError that names each bad field and the nearest known name."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None

    def replace(self, **fields) -> "Config":
        """Return a copy with other values, validated again."""
        return Config.make(**{**self.to_dict(), **fields})

    def to_dict(self) -> dict:
        """Return the fields as plain JSON values, which papermill takes as parameters."""
        return json.loads(self.model_dump_json())

    @classmethod
    def load(cls, path: str | Path) -> "Config":
        """Read the config.json of a run. Raises ConfigError if the file is not one."""
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON ({error}); give the config.json of a run") from None
        if not isinstance(fields, dict):
            raise ConfigError(f"{path} holds no fields of a config; give the config.json of a run")
        return cls.make(**fields)


def explain(error: ValidationError) -> str:
    """Return one line per problem: what was given, what was expected, what to write instead."""
    lines = []
    for item in error.errors():
        name = ".".join(map(str, item["loc"][:1]))
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown config field {name!r}: {propose(name, Config.model_fields, 'known fields: ')}")
        elif name:
            lines.append(f"{name}={item['input']!r}: {item['msg'].lower()}")
        else:
            lines.append(item["msg"].removeprefix("Value error, "))
    return "\n".join(dict.fromkeys(lines))


def propose(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return "did you mean ...?" with the known name nearest to a wrong one; `otherwise` and all of them if none is."""
    near = difflib.get_close_matches(name, known := list(known), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else otherwise + ", ".join(known)


def parse_field(name: str, text: str) -> object:
    """Return the value that a text gives a field: what `parse_value` reads, but a field of text keeps its text."""
    value, kinds = parse_value(text), list_kinds(name)
    return text if str in kinds and not isinstance(value, kinds) else value


def list_kinds(name: str) -> tuple:
    """Return the types that a field's values may have, as it is annotated; none for what is no field."""
    field = Config.model_fields.get(name)
    return (get_args(field.annotation) or (field.annotation,)) if field else ()


def parse_value(text: str) -> object:
    """Return what a text says as JSON, or as a list, tuple, dict, None, True or False of Python; else the text."""
    with suppress(ValueError):
        return json.loads(text)
    if text.strip()[:1] in ("[", "(", "{") or text.strip() in ("None", "True", "False"):
        with suppress(ValueError, SyntaxError, TypeError):
            return ast.literal_eval(text.strip())
    return text


def explain_field(name: str) -> str:
    """Return the choices of a field, if it has named ones, and its meaning: what `losa fields` prints."""
    field = Config.model_fields[name]
    choices = [f'"{choice}"' for part in (field.annotation, *get_args(field.annotation))
               if get_origin(part) is Literal for choice in get_args(part)]  # fmt: skip
    return ": ".join(filter(None, [" | ".join(choices), field.description]))


def list_fields(*tags: Role | Mark) -> tuple[str, ...]:
    """Return the names of the fields with any of these roles or marks, in the config's order."""
    return tuple(name for name, field in Config.model_fields.items() if {*tags} & {*field.metadata})


def replace_late(config: Config, fields: dict) -> Config:
    """Replace fields that may change after training. Raises ConfigError for the others."""
    late = list_fields(Mark.LATE)
    fixed = [name for name in fields if name in Config.model_fields and name not in late]
    if fixed:
        raise ConfigError(f"{', '.join(fixed)}: fixed when the run was trained; here may change: {', '.join(late)}")
    return config.replace(**fields)
