"""What a run may be told: parts of a batch, a start, modes, trackers, test mAP per epoch; and the facts it tells."""

import json

import pytest
import torch
from safetensors.torch import load_file

from losa.errors import ConfigError, TrainingError
from losa.presets import PRESETS
from losa.training import train as training
from losa.training.train import train
from losa.workflows.run import run


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_subset": "", "drop_path": 0.0, "head_dim": 16, "adapter_dim": 8,
                                    **fields})


def rows_of(folder):
    return [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


def test_a_batch_in_parts_trains_as_a_whole_one(tiny, tmp_path):
    """Positives of the whole batch normalise every part; the last batch and the last part are smaller ones."""
    config = tiny_config(tiny, batch_size=5, epochs=1)
    for name, size in (("whole", None), ("parts", 2)):
        train(config.replace(micro_batch=size), tmp_path / name, quiet=True)
    whole, parts = (rows_of(tmp_path / name) for name in ("whole", "parts"))
    assert len({row["normaliser"] for row in whole}) == 2
    for name in ("cls_loss", "reg_loss", "normaliser"):
        assert [row[name] for row in parts] == pytest.approx([row[name] for row in whole], abs=1e-5)


@pytest.mark.parametrize("mode", ["inside", "full"])
def test_the_backbone_trains_resumes_and_is_tested_with_its_moving_average(tiny, tmp_path, monkeypatch, mode):
    """Micro batches and accumulated gradients as elsewhere; the checkpoint holds what was tuned, and test uses it."""
    config = tiny_config(tiny, mode=mode, micro_batch=1, epochs=1, warmup_epochs=0, batch_size=4, window=24,
                         backbone_lr_scale=0.5, save_every=1)
    original, steps = training.check_finite, []

    def kill(value, videos, step, what="loss"):
        original(value, videos, step, what)
        steps.append(step)
        if len(steps) == 3:  # the second step's loss
            raise InterruptedError

    result = run(config, tmp_path / "straight", quiet=True)
    monkeypatch.setattr(training, "check_finite", kill)
    with pytest.raises(InterruptedError):
        train(config, tmp_path / "resumed", quiet=True)
    monkeypatch.undo()
    train(config, tmp_path / "resumed", quiet=True)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("straight", "resumed"))
    tuned = [name for name in one if name.startswith("tuned.")]
    assert tuned and one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    assert result["mode"] == mode
    own = {k: v for k, v in one.items() if not k.endswith(("_mean", "_std")) and "num_batches" not in k}
    weights = sum(v.numel() for k, v in own.items() if "running" not in k)
    assert weights * 0.98 < result["trainable_parameters"] <= weights  # buffers of the stem are no parameters


def test_a_start_takes_over_what_fits(tiny, tmp_path, capsys):
    first = train(tiny_config(tiny, mode="head_only"), tmp_path / "first", quiet=True)
    still = dict(epochs=1, warmup_epochs=0, learning_rate=1e-12, ema_decay=0.5)
    config = tiny_config(tiny, start=str(tmp_path / "first"), **still)
    train(config, tmp_path / "second", quiet=False)
    before, after = load_file(first), load_file(tmp_path / "second" / "model.safetensors")
    shared = [name for name in before if before[name].shape == after[name].shape]
    assert f"{len(shared)} of {len(after)} tensors" in capsys.readouterr().out
    assert {"last_mean", "head.offset_scale", "fusion.norm.weight"} <= set(shared) and "tap_mean" not in shared
    for name in shared:
        torch.testing.assert_close(before[name], after[name], rtol=0, atol=1e-6)
    fresh = load_file(train(tiny_config(tiny, **still), tmp_path / "third", quiet=True))
    assert torch.equal(fresh["tap_mean"], after["tap_mean"]) and fresh["tap_mean"].abs().sum() > 0
    with pytest.raises(TrainingError, match=r"holds a run with other settings \(start was"):
        train(config.replace(start=""), tmp_path / "second", quiet=True)


def test_trackers_by_name(tiny, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tiny_config(tiny, mode="head_only", log_with="tensorboard"), tmp_path / "run", quiet=True)
    reader = EventAccumulator(str(tmp_path / "run" / "losa"))
    reader.Reload()
    values = [event.value for event in reader.Scalars("cls_loss")]
    assert values == pytest.approx([row["cls_loss"] for row in rows_of(tmp_path / "run")])
    assert [event.step for event in reader.Scalars("loss")] == list(range(1, 7))
    monkeypatch.setattr(training, "get_available_trackers", lambda: [])
    for name, message in (("tensorbord", "is no tracker; accelerate offers .*tensorboard"),
                          ("mlflow", "is not installed here; run `pip install mlflow`")):
        with pytest.raises(ConfigError, match=message):
            run(tiny_config(tiny, log_with=name, cache=str(tmp_path / "taps")), tmp_path / "other", quiet=True)
    assert not (tmp_path / "taps").exists() and not (tmp_path / "other").exists()
