"""Complete configs to start from: the demo, THUMOS-14, ActivityNet, and the post-processing of two peers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from losa.config import Config
from losa.errors import ConfigError

# What the peers do after the head, as they do it on THUMOS-14 and on ActivityNet (class-agnostic). Sources:
# happyharrycn/actionformer_release configs/*_i3d.yaml, sming256/OpenTAD configs/adatad; neither votes class by class.
POST: dict[str, dict[bool, dict]] = {
    "actionformer": {
        False: dict(topk_per_level=True, nms_sigma=0.5, max_segments=200, class_wise_nms=True, voting=0.0),
        True: dict(topk_per_level=True, nms_sigma=0.75, max_segments=100, class_wise_nms=False, voting=0.9,
                   voting_weight="score_tiou", classifier_fusion="sqrt"),
    },
    "opentad": {
        False: dict(topk_per_level=False, nms_sigma=0.7, max_segments=2000, class_wise_nms=True, voting=0.0),
        True: dict(topk_per_level=False, nms_sigma=0.7, max_segments=100, class_wise_nms=False, voting=0.9,
                   voting_weight="score", classifier_fusion="product"),
    },
}  # fmt: skip

# Backbone and width of an adapter (a quarter of the backbone's) by size: the peers' S, B, L and g.
SIZES = {"s": ("videomae_s", 96), "b": ("videomae_b", 192), "l": ("videomae_l", 256), "g": ("videomaev2_g", 352)}


def head_only(config: Config) -> Config:
    """Return the same run without adapters: head-only transfer."""
    return config.replace(mode="head_only")


def widened_head(config: Config, head_dim: int) -> Config:
    """Return the control that spends LoSA's parameters on a wider head instead."""
    return head_only(config).replace(head_dim=head_dim)


def tiny(folder: str | Path, **fields) -> Config:
    """A run for tests: the tiny world, a few epochs, seconds."""
    return Config.make(**{"annotations": f"{folder}/world/annotations.json", "cache": f"{folder}/taps",
                          "epochs": 2, "warmup_epochs": 1, "batch_size": 2, "window": 96, "head_levels": 4,
                          "head_dim": 32, "adapter_dim": 16, "val_every": 1, **fields})


def demo(folder: str | Path, **fields) -> Config:
    """The main job's run: the embedded world at demo size, 'gap' backbone."""
    return Config.make(**{"annotations": f"{folder}/world/annotations.json", "cache": f"{folder}/taps", **fields})


def postprocess(config: Config, style: str) -> Config:
    """Return the same run with the post-processing of "actionformer" or "opentad". ConfigError for another name."""
    if style not in POST:
        raise ConfigError(f"no post-processing is called {style!r}; there are {', '.join(POST)}")
    common = dict(pre_nms_score=0.001, pre_nms_topk=2000, min_score=0.001, min_length=0.05)
    return config.replace(**common, **POST[style][config.class_agnostic])


def real(size: str, folder: str | Path) -> dict:
    """Return what both data sets share: AdaTAD's input of 160 px, adapters on 12 blocks, ActionFormer's optimiser."""
    backbone, adapter_dim = SIZES[size]
    return dict(annotations=f"{folder}/annotations.json", cache=f"{folder}/taps", val_subset="",
                protocol="activitynet-dedup", backbone=backbone, input_size=160, resize="crop",
                compute_dtype="bfloat16", adapter_dim=adapter_dim, adapter_heads=4, head_heads=4, head_levels=6,
                head_stem=2, ema_decay=0.999, num_workers=4, save_every=500)


def thumos14(size: str, folder: str | Path, **fields) -> Config:
    """LoSA on THUMOS-14: windows of 768 snippets, 4 native frames each; `folder` has annotations.json.

    Head and training as ActionFormer, sampling as AdaTAD (768 frames at 160 px); see `losa train --help`. Unlike
    ActionFormer, CliffDiving is learnt beside Diving, see `losa.formats.thumos`.
    """
    own = dict(train_subset="Validation", test_subset="Test", test_set="thumos14-212", frame_stride=4, snippet_frames=1,
               window=768, head_dim=512, epochs=30, warmup_epochs=5, batch_size=2, learning_rate=1e-4)
    return postprocess(Config.make(**{**real(size, folder), **own}), "actionformer").replace(**fields)


def activitynet(size: str, folder: str | Path, **fields) -> Config:
    """LoSA on ActivityNet-1.3: 768 frames of every video, 192 snippets, class-agnostic; `classifier` names segments."""
    own = dict(train_subset="training", test_subset="validation", frames_per_video=768, snippet_frames=4, window=192,
               crop_ratio=(1.0, 1.0), head_dim=256, head_window=[7, 7, 7, 7, 7, 0], class_agnostic=True, epochs=10,
               warmup_epochs=5, batch_size=16, learning_rate=1e-3, init_normaliser=200.0, reg_weight=2.0,
               label_smoothing=0.1, tiou=[round(0.5 + 0.05 * i, 2) for i in range(10)])
    return postprocess(Config.make(**{**real(size, folder), **own}), "actionformer").replace(**fields)


def on_features(config: Config, **fields) -> Config:
    """The head alone on features made by others, as ActionFormer's on I3D; `features` names their folder."""
    own = dict(taps="none", frame_stride=1, frames_per_video=None, snippet_frames=None, feature_frames=16)
    return config.replace(**{**own, **fields})


def thumos14_features(folder: str | Path, **fields) -> Config:
    """Head-only on features of THUMOS-14, 4 native frames apart; `features` names their folder."""
    own = dict(feature_stride=4, window=2304, head_window=19)
    return on_features(thumos14("b", folder), **{**own, **fields})


def activitynet_features(folder: str | Path, **fields) -> Config:
    """Head-only on features of ActivityNet, 16 native frames apart, interpolated to 192 per video."""
    return on_features(activitynet("b", folder), **{"feature_stride": 16, "snippets_per_video": 192, **fields})


PRESETS: dict[str, Callable[..., Config]] = {"tiny": tiny, "demo": demo, "thumos14_features": thumos14_features,
           "activitynet_features": activitynet_features,
           **{f"thumos14_{size}": partial(thumos14, size) for size in SIZES},
           **{f"activitynet_{size}": partial(activitynet, size) for size in SIZES}}


def preset(name: str, folder: str | Path = "data") -> Config:
    """Return the preset of this name for data in `folder`. Raises ConfigError for an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name](folder)
