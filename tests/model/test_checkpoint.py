"""Checkpoints: saved and loaded, of older versions, and what is refused."""

import json
import zlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from helpers.paths import ROOT
from helpers.small_models import CLASSES, FACTS, losa_inputs, small_losa
from losa.errors import CheckpointError
from losa.model.checkpoint import load_model, load_tuned, losa_version, save_model


def test_save_and_load_give_the_same_outputs(tmp_path):
    model, config = small_losa(gate="sigmoid")
    model.eval()
    save_model(model, tmp_path / "model.safetensors", config, ("a", "b", "c", "d"), FACTS)
    again, loaded, classes = load_model(tmp_path, classes=("a", "b", "c", "d"), backbone=FACTS)
    assert loaded == config and classes == ("a", "b", "c", "d") and not list(tmp_path.glob("*.tmp"))
    assert torch.equal(model(*losa_inputs()).logits, again(*losa_inputs()).logits)


@pytest.mark.parametrize("given, message", [
    (dict(classes=("a", "x")), "knows 4 classes .* the data have 2"),
    (dict(backbone={**FACTS, "dim": 96}), "trained on other taps: .'dim': .24, 96"),
])
def test_checkpoint_for_other_classes_or_backbone_is_refused(tmp_path, given, message):
    model, config = small_losa()
    save_model(model, tmp_path / "model.safetensors", config, ("a", "b", "c", "d"), FACTS)
    with pytest.raises(CheckpointError, match=message):
        load_model(tmp_path, **given)


def test_missing_model_names_the_next_step(tmp_path):
    with pytest.raises(FileNotFoundError, match="train one with `losa train`"):
        load_model(tmp_path)


# --- checkpoints of before ------------------------------------------------------------------------------------------

GOLDEN = ROOT / "tests" / "golden" / "checkpoint.json"  # parameter names, shapes and outputs of losa 0.1.0


def golden_state(shapes):
    """Weights that follow from their names, so that no file of numbers has to be kept."""
    waves = {name: torch.sin(torch.arange(1, 1 + torch.Size(shape).numel()) * (1 + zlib.crc32(name.encode()) % 97))
             for name, shape in shapes.items()}
    return {name: (0.3 * wave + name.endswith(("_std", "norm.weight"))).reshape(shapes[name])
            for name, wave in waves.items()}


@pytest.mark.parametrize("name", ["tanh", "sigmoid, query last, grid 2", "side_tokens", "head_only"])
def test_weights_saved_by_an_older_version_load_and_give_the_same_outputs(name):
    golden = json.loads(GOLDEN.read_text())[name]
    model, config = small_losa(**golden["fields"])
    model.load_state_dict(golden_state(golden["shapes"]))
    num_taps, grid = golden["taps"]
    taps, last = (torch.sin(torch.arange(x.numel()) * 0.37).reshape(x.shape)
                  for x in losa_inputs(num_taps, grid, length=20)[:2])
    mask = torch.arange(20) < torch.tensor([[20], [13]])
    output = model.eval()(taps, last, mask)
    for part, expected in golden["outputs"].items():
        sums = getattr(output, part).double().flatten(1).sum(1)  # of each of the two windows
        assert sums.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4), part


def test_a_checkpoint_without_a_version_loads_and_one_that_cannot_be_read_says_who_wrote_it(tmp_path):
    model, config = small_losa()
    path = tmp_path / "model.safetensors"
    save_model(model, path, config, CLASSES, FACTS)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata.pop("losa")) == losa_version()
    save_file(load_file(path), path, metadata)
    assert load_model(path)[1] == config
    unknown = json.dumps(config.to_dict() | {"field_of_tomorrow": 1})
    for writer, by in ({"losa": '"9.9"'}, "losa 9.9"), ({}, "an older losa"):
        save_file(load_file(path), path, metadata | {"config": unknown} | writer)
        with pytest.raises(CheckpointError, match=f"it was written by {by}.* use that version .*field_of_tomorrow"):
            load_model(path)
        save_file({k: v for k, v in load_file(path).items() if "up.weight" not in k}, path.with_stem("less"),
                  metadata | writer)
        with pytest.raises(CheckpointError, match=f"weights that do not fit .* by {by}.*up.weight"):
            load_model(path.with_stem("less"))


def test_files_of_others_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    for load in (load_model, lambda where: load_tuned(nn.Linear(1, 1), where)):
        with pytest.raises(CheckpointError, match="was not written by losa"):
            load(path)
    path.write_bytes(b"half")
    for load in (load_model, lambda where: load_tuned(nn.Linear(1, 1), where)):
        with pytest.raises(CheckpointError, match="is no safetensors file or is cut short"):
            load(path)
    for text in ("config", "classes", "backbone"):
        save_file({"a": torch.zeros(1)}, path, {"config": "{}", "classes": "[]", "backbone": "{}"} | {text: "{"})
        with pytest.raises(CheckpointError, match="no JSON"):
            load_model(path)
