"""What the tests of inspection share."""

import json

import pytest
import torch

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.inspection.run_folder import Run, open_run
from losa.model.checkpoint import save_model
from losa.model.losa import build
from losa.presets import PRESETS
from losa.taps.open import open_features
from losa.workflows.evaluate_run import test as predict_and_evaluate
from losa.workflows.run import run as run_config


@pytest.fixture(scope="session")
def untrained(tiny) -> Run:
    """A finished run of the tiny world whose model has learnt nothing."""
    config = Config.make(annotations=str(tiny / "world" / "annotations.json"), cache=str(tiny / "taps"), head_dim=16,
                         head_levels=2, adapter_dim=8, window=32, gate="sigmoid", max_segments=200, nms_sigma=0.6)
    labelled, out = load_annotations(config.annotations), tiny / "untrained"
    source = open_features(config, labelled.subset("test"), quiet=True)
    recipe = source.recipe.describe()
    torch.manual_seed(0)
    model = build(config, dim=recipe["dim"], num_taps=len(recipe["layers"]), num_classes=len(labelled.classes),
                  clip_snippets=recipe["clip_length"] // recipe["tubelet"])
    model.tap_mean.normal_()
    model.last_std.uniform_(0.5, 2.0)
    save_model(model, out / "model.safetensors", config, labelled.classes, recipe)
    (out / "config.json").write_text(json.dumps(config.to_dict()))
    result = predict_and_evaluate(out, "test", quiet=True)
    (out / "result.json").write_text(json.dumps(result))
    return open_run(out)


@pytest.fixture(scope="session")
def run(tiny, tmp_path_factory):
    """A finished run at size tiny."""
    out = tmp_path_factory.mktemp("runs") / "losa"
    run_config(PRESETS["tiny"](tiny).replace(epochs=1), out, quiet=True)
    return open_run(out)
