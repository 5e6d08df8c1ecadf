"""Snapshots of epochs: small, one per epoch through interruptions, and without a trace in what is trained."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.small_runs import small_run
from losa.annotations.dataset import Video, load_annotations
from losa.inference.postprocess import suppress
from losa.inference.predict import predict_video, video_gates
from losa.presets import PRESETS
from losa.training import train as training
from losa.training.snapshots import FILE, MOST, choose_video, keep_snapshot, read_snapshots, take_snapshot
from losa.training.train import train


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_every": 2, "save_every": 2, "drop_path": 0.2, **fields})


class Interrupted(BaseException):
    """Stands for a kill: nothing is saved when it comes."""


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """The folder of a run of two epochs."""
    out = tmp_path_factory.mktemp("snapshots") / "straight"
    train(tiny_config(tiny), out, quiet=True)
    return out


def test_a_run_with_snapshots_trains_the_same_numbers_as_one_without(tiny, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "keep_snapshot", lambda *_: None)
    monkeypatch.setattr(training, "look_back", lambda _: {})
    bare = load_file(train(tiny_config(tiny), tmp_path / "bare", quiet=True))
    own = load_file(trained / "model.safetensors")
    assert not (tmp_path / "bare" / FILE).exists() and (trained / FILE).exists()
    assert own.keys() == bare.keys() and all(torch.equal(own[k], bare[k]) for k in own)
    logs = [[{k: v for k, v in json.loads(row).items() if k not in ("seconds", "peak_memory_mb")}
             for row in (folder / "log.jsonl").read_text().splitlines()] for folder in (trained, tmp_path / "bare")]
    assert logs[0] == logs[1]


@pytest.mark.parametrize("at", ["before the state is saved", "after it"])
def test_an_interrupted_run_ends_with_the_same_snapshots_each_once(tiny, trained, tmp_path, monkeypatch, at):
    original = training.save_state

    def stop(out, parts, state):
        if at == "after it":
            original(out, parts, state)
        if state["step"] == 3:  # the end of the first epoch
            raise Interrupted
        original(out, parts, state)

    monkeypatch.setattr(training, "save_state", stop)
    with pytest.raises(Interrupted):
        train(tiny_config(tiny), tmp_path, quiet=True)
    assert [row["epoch"] for row in read_snapshots(tmp_path)] == [1]
    monkeypatch.setattr(training, "save_state", original)
    train(tiny_config(tiny), tmp_path, quiet=True)
    assert read_snapshots(tmp_path) == read_snapshots(trained)
    assert [row["epoch"] for row in read_snapshots(trained)] == [1, 2]


def test_the_last_snapshot_is_of_the_model_that_the_run_ends_with(tiny, trained):
    from losa.model.checkpoint import load_model
    from losa.taps.open import open_features

    config, (model, _, _) = tiny_config(tiny), load_model(trained)
    labelled = load_annotations(config.annotations)
    video = labelled.subset("val")[0]
    source = open_features(config, [video], quiet=True)
    row = read_snapshots(trained)[-1]
    assert row["video"] == video.id and video.subset == "val"
    np.testing.assert_allclose(row["gates"], video_gates(model, source, video).mean(2), atol=1e-4)
    found = suppress({video.id: predict_video(model, source, video, config)}, config, labelled.classes)[video.id]
    assert len(row["records"]) == min(MOST, len(found))
    for (start, end, label, score), expected in zip(row["records"], found, strict=False):
        assert [start, end] == pytest.approx(expected["segment"], abs=1e-2) and label == expected["label"]
        assert score == pytest.approx(expected["score"], abs=1e-3)


def test_later_epochs_and_broken_lines_are_dropped_and_it_stays_small(tmp_path):
    assert read_snapshots(tmp_path) == []
    full = {"video": "a", "gates": [[0.1234, -0.1234]] * 12, "records": [[1000.123, 1001.123, "label", 0.1234]] * MOST}
    for epoch in (1, 2, 3, 2):
        keep_snapshot(tmp_path, epoch, full)
    assert [row["epoch"] for row in read_snapshots(tmp_path)] == [1, 2]
    assert 300 * (tmp_path / FILE).stat().st_size / 2 < 1e6  # three hundred epochs
    with (tmp_path / FILE).open("a") as file:
        file.write('{"epoch": 3, "vid')
    assert len(read_snapshots(tmp_path)) == 2
    keep_snapshot(tmp_path, 3, full)
    assert [row["epoch"] for row in read_snapshots(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("kind", ["sigmoid", "channel", "none", "concat", "head_only", "inside"])
def test_gates_of_every_fusion_or_none(tiny, kind):
    run = small_run(tiny, kind)
    video = next(iter(run.videos.values()))
    whole = run.config.replace(window=4096)  # one window, as the gates of the video are taken
    row = take_snapshot(run.model, run.source(video), video, whole, run.classes)
    expected = video_gates(run.model, run.source(video), video) if len(run.model.adapters) else None
    if kind in ("concat", "head_only", "inside"):
        assert row["gates"] is None and len(row["records"]) > 0
    else:
        np.testing.assert_allclose(row["gates"], expected.mean(2), atol=1e-3)
    json.dumps(row)


def test_the_video_is_never_one_of_the_test():
    train, val, test = (Video(name, name, None, 0, 9.0, np.zeros((0, 2)), np.zeros(0, np.int64))
                        for name in ("train", "val", "test"))
    assert choose_video({"val_map": ((val,), {}), "test_map": ((test,), {})}, [train]) is val
    assert choose_video({"test_map": ((test,), {})}, [train]) is train
