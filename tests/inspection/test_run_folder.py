"""Runs on disk: which are found and opened, what is wrong with the others, and the views of an open run."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.made_runs import failed_run, made_run, made_world
from losa.errors import RunError
from losa.inspection.run_folder import find_folder, find_runs, open_run


def test_only_finished_runs_are_found_and_opened(tmp_path, monkeypatch):
    annotations = made_world(tmp_path / "world", 0)
    made_run(tmp_path / "runs" / "deep" / "good", annotations, 0.3)
    failed_run(tmp_path / "runs" / "failed", annotations)
    made_run(tmp_path / "runs" / "cut", annotations, 0.3)
    (tmp_path / "runs" / "cut" / "result.json").unlink()
    made_run(tmp_path / "runs" / "crashed", annotations, 0.3)
    (tmp_path / "runs" / "crashed" / "status.json").write_text('{"status": "error"}')
    found = find_runs(tmp_path / "runs")
    assert found == {"deep/good": tmp_path / "runs" / "deep" / "good"}
    assert list(find_runs(found["deep/good"])) == ["good"]
    run = open_run(found["deep/good"], "mine")
    assert (run.name, run.classes, len(run.videos)) == ("mine", ("jump", "kick"), 8)
    assert np.mean([column[0] for column in run.table["average"].values()]) == pytest.approx(run.result["average_map"])
    for path, why in {"nowhere": "no run at", "cut": "result.json is not there", "crashed": "'error'"}.items():
        with pytest.raises(RunError, match=why):
            open_run(tmp_path / "runs" / path)
    with pytest.raises(RunError, match="make demo"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(RunError, match="'test_9'; choose one of 8: test_0"):
        run.video("test_9")
    annotations.rename(tmp_path / "elsewhere.json")
    with pytest.raises(RunError, match="annotations.json, which are not there"):
        open_run(found["deep/good"])


def test_paths_of_a_config_are_looked_for_above_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_world(Path("project/runs/world"), 0)
    monkeypatch.chdir("project")
    made_run(Path("runs/a"), Path("runs/world/annotations.json"), 0.3)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    run = open_run("../project/runs/a")
    assert Path(run.config.annotations).is_absolute() and len(run.truth) == 8


def test_a_relative_folder_is_found_from_below(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert find_folder("runs") == tmp_path / "runs" and find_runs("runs") == {}
    with pytest.raises(RunError, match="no folder .* and above"):
        find_folder("no such folder anywhere")


def test_an_open_run_draws_what_notebooks_show_first(untrained):
    video = list(untrained.videos)[0]
    rows = [{"epoch": i, "cls_loss": 1.0 / i, "reg_loss": 0.5 / i, "val_map": 0.1 * i} for i in (1, 2, 3)]
    with pytest.raises(RunError, match="log.jsonl cannot be read"):
        untrained.curves()
    try:
        for tracked in (False, True):
            rows = [row | ({"test_map": 0.2} if tracked else {}) for row in rows]
            (untrained.path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            loss, score = untrained.curves().axes
            assert len(loss.lines) == 2 and len(score.lines) == 1 + tracked
            assert score.lines[0].get_ydata().tolist() == pytest.approx([10, 20, 30])
    finally:
        (untrained.path / "log.jsonl").unlink()
    shown = untrained.timeline(video, min_score=0.1)
    assert shown.lanes == ["ground truth", "untrained"] and shown.video_id == video and shown.min_score == 0.1
    gates = untrained.gates(video)
    assert gates.title == f"untrained: {video}" and gates.ranges == ["short", "long"]
    assert untrained.video_table().video.tolist() == list(untrained.videos)
    for view in (untrained.timeline, untrained.gates):
        with pytest.raises(RunError, match="no test video 'x'"):
            view("x")


def test_a_run_of_another_version_says_which_and_what_to_do(tmp_path):
    made_run(tmp_path / "a", made_world(tmp_path / "world", 0), 0.3)
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    (tmp_path / "a" / "config.json").write_text(json.dumps(config | {"shrot_window": 4}))
    with pytest.raises(RunError, match="shrot_window.*a version of losa that it does not name.*train it anew"):
        open_run(tmp_path / "a")
    status = json.loads((tmp_path / "a" / "status.json").read_text())
    (tmp_path / "a" / "status.json").write_text(json.dumps(status | {"version": "0.0.7"}))
    with pytest.raises(RunError, match=r"written by losa 0\.0\.7, this is losa .*open it with that version"):
        open_run(tmp_path / "a")
