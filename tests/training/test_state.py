"""What a run keeps on disk, and what a new run starts from."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from losa.config import Config
from losa.errors import ConfigError, TrainingError
from losa.model.checkpoint import losa_version
from losa.presets import PRESETS
from losa.training.state import restore_state, save_state, start_run, warm_start
from losa.workflows.run import run


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_every": 2, "save_every": 2, "drop_path": 0.2, **fields})


def test_statistics_equal_those_of_all_windows_at_once(tiny):
    from losa.annotations.dataset import load_annotations
    from losa.taps.open import open_features
    from losa.training.state import compute_tap_statistics
    from losa.training.windows import Windows

    config = tiny_config(tiny)
    videos = load_annotations(config.annotations).subset("train")
    source = open_features(config, videos, quiet=True)
    windows = Windows(videos, source, config.window)
    samples = [source.features(windows[0, i]["fetched"]) for i in range(len(windows))]
    tapped, last = torch.cat([t[..., 0, 0] for t, _ in samples], 2), torch.cat([x for _, x in samples], 1)
    expected = tapped.mean(2), tapped.std(2, correction=0), last.mean(1), last.std(1, correction=0)
    for got, wanted in zip(compute_tap_statistics(windows, source), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)


def test_a_start_that_does_not_fit_or_is_not_there_is_refused(tiny, tmp_path):
    with pytest.raises(ConfigError, match="start='nowhere': no model at nowhere.model.safetensors"):
        run(tiny_config(tiny, start="nowhere", cache=str(tmp_path / "taps")), tmp_path / "run", quiet=True)
    assert not (tmp_path / "taps").exists()
    save_file({"head.other": torch.zeros(2), "last_mean": torch.zeros(3)}, tmp_path / "model.safetensors")
    learnt = nn.ModuleDict({"model": nn.Linear(2, 2)})
    learnt["model"].register_buffer("last_mean", torch.ones(3))
    with pytest.raises(TrainingError, match="no weight has a name and shape of this model's, e.g. head.other there"):
        warm_start(tmp_path, learnt)
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match="no safetensors file or cut short"):
        warm_start(tmp_path / "model.safetensors", learnt)


def test_run_json_names_the_version_that_began_the_run_which_is_not_compared(tmp_path):
    (tmp_path / "annotations.json").write_text("{}")
    config, out = Config.make(annotations=str(tmp_path / "annotations.json")), tmp_path / "run"
    start_run(config, out, {"dim": 8}, ("a",))
    facts = json.loads((out / "run.json").read_text())
    assert facts["losa"] == losa_version() and facts["config"] == config.to_dict()
    for version in ("0.0.1", None):  # an older one, and one that did not note it
        before = {name: value for name, value in (facts | {"losa": version}).items() if value is not None}
        (out / "run.json").write_text(json.dumps(before))
        start_run(config, out, {"dim": 8}, ("a",))
        assert json.loads((out / "run.json").read_text()) == before
    with pytest.raises(TrainingError, match="other settings of annotations or backbone"):
        start_run(config, out, {"dim": 9}, ("a",))
    (out / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="run.json is damaged"):
        start_run(config, out, {"dim": 8}, ("a",))


def test_a_state_that_cannot_be_read_says_what_to_do(tmp_path):
    parts = {"learnt": nn.Linear(2, 2)}
    assert restore_state(tmp_path, parts) is None
    save_state(tmp_path, parts, {"step": 3})
    assert restore_state(tmp_path, parts) == {"step": 3}
    (tmp_path / "run.json").write_text('{"config": {}, "losa": "0.0.1"}')
    with pytest.raises(TrainingError, match="does not fit .* it was written by losa 0.0.1.*deleting state.pt"):
        restore_state(tmp_path, {"learnt": nn.Linear(3, 2)})
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(TrainingError, match="state.pt is damaged .*; delete it to train from the start"):
        restore_state(tmp_path, parts)
