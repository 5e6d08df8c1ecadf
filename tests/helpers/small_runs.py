"""Finished runs of every kind of backbone, mode and gate, whose models have learnt nothing: made in seconds."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.inspection.run_folder import Run, open_run
from losa.model.checkpoint import save_model
from losa.model.losa import build
from losa.presets import PRESETS
from losa.taps.open import open_features
from losa.workflows.evaluate_run import test as predict_and_evaluate

SMALL = dict(head_dim=16, head_levels=3, adapter_dim=8, window=64)
KINDS = {  # name: fields of the config
    "world": dict(taps=[0, 3]),
    "image": dict(backbone="timm/test_vit", weights="random", input_size=32, sample_fps=4, taps=[0, 2]),
    "videomae": dict(backbone="videomae_s", weights="random", input_size=32, taps=[5, 11]),
    "features": dict(taps="none", mode="head_only", feature_stride=4, feature_frames=8),
    "head_only": dict(mode="head_only"), "side_tokens": dict(mode="side_tokens", taps=[5]),
    "inside": dict(mode="inside", taps=[1, 4]), "full": dict(mode="full"),
    "short": dict(ranges="short", taps=[5]), "last": dict(query="last", grid=2, taps=[5]),
    "clip": dict(short_scope="clip", taps=[5]), "overlap": dict(clip_stride=8, taps=[5]),
    "resampled": dict(snippet_frames=4, taps=[5]), "agnostic": dict(class_agnostic=True, taps=[5]),
    **{gate: dict(gate=gate, taps=[0, 3]) for gate in ("channel", "sigmoid", "none", "concat")},
}


def small_run(tiny: Path, kind: str) -> Run:
    """The run of this kind on the tiny world, made once for each folder."""
    out = tiny / "small" / kind
    if not (out / "result.json").is_file():
        config = PRESETS["tiny"](tiny, **{**SMALL, "cache": str(tiny / "small_taps"), **KINDS[kind]})
        if kind == "features":
            config = config.replace(features=str(some_features(config, tiny / "small_features")))
        with warnings.catch_warnings(action="ignore"):  # these videos are not what every backbone was made for
            untrained_model(config, out)
            (out / "config.json").write_text(json.dumps(config.to_dict()))
            result = predict_and_evaluate(out, "test", quiet=True)
        (out / "result.json").write_text(json.dumps({**result, "config": config.to_dict()}))
    return open_run(out)


def untrained_model(config: Config, out: Path) -> None:
    """The files of a model as it begins, with gates that differ."""
    labelled = load_annotations(config.annotations)
    videos = labelled.subset("test")
    source = open_features(config, videos, quiet=True)
    recipe = source.recipe.describe()
    torch.manual_seed(0)
    num_classes = 1 if config.class_agnostic else len(labelled.classes)
    model = build(config, dim=recipe["dim"], num_taps=len(recipe["layers"]), num_classes=num_classes,
                  clip_snippets=recipe["clip_length"] // recipe["tubelet"])
    if isinstance(getattr(model.fusion, "gate", None), torch.nn.Parameter):
        torch.nn.init.normal_(model.fusion.gate)
    classes = ("action",) if config.class_agnostic else labelled.classes
    save_model(model, out / "model.safetensors", config, classes, recipe, source.tuned)


def some_features(config: Config, folder: Path) -> Path:
    """Random features of all videos, as others would have made them."""
    folder.mkdir(exist_ok=True)
    for i, video in enumerate(load_annotations(config.annotations).videos):
        length = int((video.duration * video.fps - 8) // 4) + 1
        np.save(folder / f"{video.id}.npy", np.random.default_rng(i).normal(size=(length, 12)).astype("float32"))
    return folder
