"""What version 0.1.0 left on disk is read by this one: runs, caches, predictions, sweeps; and its commands work."""

import json
import shutil
import sys

import numpy as np
import pytest

import losa
from helpers.paths import ROOT
from losa.cli import main as cli
from losa.taps.live import LiveTaps

OLD = ROOT / "tests" / "written_by_0_1"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of the old files, as the current folder."""
    folder = shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def nothing_is_computed(monkeypatch):
    """No backbone runs: taps come from the old cache."""
    monkeypatch.setattr(LiveTaps, "features", lambda *_: pytest.fail("taps were computed again"))


def same_predictions(new: dict, old: dict) -> bool:
    rows = [[(r["label"], *r["segment"], r["score"]) for name in sorted(old) for r in records[name]]
            for records in (new, old)]
    return (new.keys() == old.keys() and [row[0] for row in rows[0]] == [row[0] for row in rows[1]]
            and np.allclose([row[1:] for row in rows[0]], [row[1:] for row in rows[1]], atol=1e-3))


def test_a_run_predicts_what_it_predicted(old, nothing_is_computed):
    before = json.loads((old / "run" / "predictions.json").read_text())["results"]
    result = losa.test("run", "test", quiet=True)
    assert result["average_map"] == json.loads((old / "run" / "result.json").read_text())["average_map"]
    assert result["num_predictions"] == 40
    assert same_predictions(json.loads((old / "run" / "predictions.json").read_text())["results"], before)


def test_a_finished_run_is_read_back_and_not_trained_again(old, nothing_is_computed):
    before = (old / "run" / "result.json").read_bytes()
    result = losa.run(losa.Config.load("run/config.json"), "run", quiet=True)
    assert result == json.loads(before) and (old / "run" / "result.json").read_bytes() == before


def test_a_run_opens_for_looking_at(old, nothing_is_computed):
    assert set(losa.find_runs(".")) == {"run", "sweep/c890db3974ef"}
    run = losa.open_run("run")
    assert list(run.videos) == ["test_0000", "test_0001"] and len(run.classes) == 10
    assert len(run.predictions["test_0000"]) == 20
    assert run.model.eval() and run.source(run.video("test_0000")).num_snippets(run.video("test_0000")) > 40


def test_predictions_of_a_video_are_not_made_again(old, monkeypatch):
    before = json.loads((old / "found" / "predictions.json").read_text())["results"]
    monkeypatch.setattr("losa.workflows.predict_videos.predict_one", lambda *_: pytest.fail("predicted again"))
    found = losa.predict_videos("world/videos/test_0000.mp4", "run", "found", quiet=True)
    assert not found["failed"]
    assert json.loads((old / "found" / "predictions.json").read_text())["results"] == before


def test_a_run_finds_actions_in_a_new_folder(old):
    before = json.loads((old / "found" / "predictions.json").read_text())["results"]
    losa.predict_videos("world/videos/test_0000.mp4", "run", "anew", quiet=True)
    assert same_predictions(json.loads((old / "anew" / "predictions.json").read_text())["results"], before)


def test_a_sweep_is_collected(old):
    frame = losa.collect("sweep")
    (row,) = frame.to_dict("records")
    assert row["status"] == "ok" and row["adapters"] == "both" and row["run"] == "c890db3974ef"
    assert row["average_map"] == json.loads((old / "sweep" / "c890db3974ef" / "result.json").read_text())["average_map"]


def test_the_old_command_predicts_a_subset(old, monkeypatch, capsys, nothing_is_computed):
    monkeypatch.setattr(sys, "argv", ["losa", "predict", "run", "--subset", "test"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr()
    assert end.value.code == 0 and "`losa predict RUN` is now `losa test`" in told.err and "mAP at tIoU" in told.out
