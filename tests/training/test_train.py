"""Training: exact resume, interrupts, the two sources of taps, and what stops it."""

import json
import math
import os
import signal

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from losa.errors import TrainingError
from losa.presets import PRESETS
from losa.training import train as training
from losa.training.train import train
from losa.workflows.run import run


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_every": 2, "save_every": 2, "drop_path": 0.2, **fields})


class Interrupted(BaseException):
    """Stands for a kill: nothing is saved when it comes."""


@pytest.mark.parametrize("how, at, num_workers", [("kill", 5, 0), ("kill", 5, 2), ("signal", 5, 0), ("signal", 4, 2),
                                                  ("signal", 3, 0), ("signal", 6, 0)])
def test_an_interrupted_run_resumes_to_equal_weights(tiny, tmp_path, monkeypatch, how, at, num_workers):
    """Also at the last step of an epoch (3) and of the run (6): log rows and validations are all there."""
    config = tiny_config(tiny, num_workers=num_workers)
    straight = load_file(train(config, tmp_path / "straight", quiet=True))
    original, calls = training.check_finite, []

    def stop(value, videos, step, what="loss"):  # 3 steps an epoch
        original(value, videos, step, what)
        if what == "loss":
            calls.append(1)
            if len(calls) == at and how == "kill":
                raise Interrupted
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training, "check_finite", stop)
    with pytest.raises((Interrupted, KeyboardInterrupt)):
        train(config, tmp_path / "resumed", quiet=True)
    saved = torch.load(tmp_path / "resumed" / "state.pt", weights_only=True)["loop"]["step"]
    assert saved == (4 if how == "kill" else at)
    assert not AcceleratorState._shared_state, "accelerate's notebook_launcher would not start any more"
    with (tmp_path / "resumed" / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "st')  # what a full disk leaves
    resumed = load_file(train(config, tmp_path / "resumed", quiet=True))
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[k], resumed[k]) for k in straight)
    logs = [[json.loads(row) for row in (tmp_path / name / "log.jsonl").read_text().splitlines()]
            for name in ("straight", "resumed")]
    timeless = [[{k: v for k, v in row.items() if k not in ("seconds", "peak_memory_mb")} for row in log]
                for log in logs]
    assert timeless[0] == timeless[1] and [row["epoch"] for row in logs[0]] == [1, 2]


def test_on_the_fly_and_cached_taps_train_alike(tiny, tmp_path):
    """The same loop; fp16 rounding of the cache is all that differs."""
    cached = tiny_config(tiny, epochs=3, warmup_epochs=0, learning_rate=1e-3)
    one = load_file(train(cached, tmp_path / "cached", quiet=True))
    other = load_file(train(cached.replace(cache=""), tmp_path / "live", quiet=True))
    rows = [[json.loads(r) for r in (tmp_path / n / "log.jsonl").read_text().splitlines()] for n in ("cached", "live")]
    for a, b in zip(*rows, strict=True):
        assert a["cls_loss"] == pytest.approx(b["cls_loss"], rel=1e-2)
        assert a["reg_loss"] == pytest.approx(b["reg_loss"], rel=1e-2)
    start = load_file(train(cached.replace(learning_rate=1e-12), tmp_path / "start", quiet=True))
    moved = sum(float((one[k] - start[k]).square().sum()) for k in one if k.startswith(("adapters", "fusion", "head")))
    apart = sum(float((one[k] - other[k]).square().sum()) for k in one if k.startswith(("adapters", "fusion", "head")))
    assert apart < 0.05 * moved, "two sources of the same taps lead to different weights"


def test_another_seed_gives_other_weights(tiny, tmp_path):
    weights = [load_file(train(tiny_config(tiny, seed=seed), tmp_path / str(seed), quiet=True)) for seed in (0, 1)]
    assert any(not torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_overfitting_the_training_videos_finds_their_actions(tiny, tmp_path):
    """On its own training videos a real model gets somewhere; with shuffled time stamps it could not."""
    config = tiny_config(tiny, epochs=60, warmup_epochs=2, val_subset="", test_subset="train", drop_path=0.0,
                         learning_rate=3e-3, ema_decay=0.9, batch_size=3)
    assert run(config, tmp_path / "fit", quiet=True)["average_map"] > 0.5


def test_precision_may_change_between_runs_of_one_process(tiny, tmp_path):
    for number, precision in enumerate(["no", "bf16", "no"]):
        train(tiny_config(tiny, precision=precision, epochs=1, warmup_epochs=0), tmp_path / str(number), quiet=True)


def test_a_loss_that_is_not_finite_stops_with_the_videos(tiny, tmp_path, monkeypatch):
    original = training.losses
    monkeypatch.setattr(training, "losses", lambda *a: tuple(x * math.nan for x in original(*a)))
    with pytest.raises(TrainingError, match=r"loss is nan at step 0 on videos \['train_.*lower learning_rate"):
        train(tiny_config(tiny), tmp_path, quiet=True)
