"""A trained run on a folder as engineers have them: broken files, twins of a name, other alphabets, interrupts."""

import csv
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.video_files import NASTY, write_video
from losa.errors import OwnVideoError
from losa.files import hold
from losa.model.checkpoint import load_model, save_model
from losa.taps import decoding, extract
from losa.taps import live as taps
from losa.taps.cached import CachedTaps
from losa.taps.open import open_features
from losa.workflows import predict_videos as own
from losa.workflows.predict_videos import predict_videos


def test_same_segments_as_the_annotated_way(made, run):
    """`losa predict` of the test subset, which reads the whole cache at once, says the same of the same file."""
    folder, _ = made
    ours = json.loads((folder / "out" / "predictions.json").read_text())["results"]["day 1/IMG_1"]
    theirs = json.loads((run / "predictions.json").read_text())["results"]["test_0000"]
    assert len(ours) == len(theirs) > 10 and [r["label"] for r in ours] == [r["label"] for r in theirs]
    np.testing.assert_allclose([[*r["segment"], r["score"]] for r in ours],
                               [[*r["segment"], r["score"]] for r in theirs], atol=2e-3)


def test_every_good_video_is_there_and_every_bad_one_listed(made):
    folder, result = made
    assert set(result["videos"]) == {"day 1/IMG_1", "day 2/IMG_1", NASTY, "copy", "one frame"}
    assert {Path(path).name for path in result["failed"]} == {"empty.mov", "text.mp4"}
    rows = list(csv.DictReader((folder / "out" / "failed.csv").open(encoding="utf-8", newline="")))
    assert {row["path"]: row["why"] for row in rows} == result["failed"]
    assert result["videos"]["copy"] == {**result["videos"]["day 1/IMG_1"], "path": str(folder / "copy.mp4")}
    assert json.dumps(result)


def test_nothing_is_left_behind_and_nothing_done_twice(made, run, monkeypatch):
    folder, result = made
    assert sorted(p.name for p in (folder / "out").iterdir()) == [
        ".finished", "failed.csv", "index.html", "predictions.csv", "predictions.json", "subtitles"]
    monkeypatch.setattr(own, "predict_one", lambda *_: pytest.fail("computed again"))
    with pytest.warns(UserWarning, match="2 of 7"):
        assert predict_videos(folder, run, folder / "out", quiet=True) == result


def test_another_model_does_not_take_over_what_is_finished(made, run, world, tmp_path):
    folder, result = made
    model, config, classes = load_model(run)
    recipe = open_features(config.replace(cache=""), ()).recipe
    with torch.no_grad():
        next(model.parameters()).add_(0.01)
    save_model(model, tmp_path / "run" / "model.safetensors", config, classes, recipe.describe())
    shutil.copytree(folder / "out" / ".finished", tmp_path / "out" / ".finished")
    predict_videos(world[0], tmp_path / "run", tmp_path / "out", quiet=True)
    assert len(list((tmp_path / "out" / ".finished").iterdir())) == 5
    assert not (tmp_path / "out" / "failed.csv").exists()


def test_interrupted_it_writes_what_it_has_and_continues(run, world, tmp_path, monkeypatch):
    folder, real, asked = tmp_path / "videos", own.predict_one, []
    folder.mkdir()
    for path in world[:3]:
        shutil.copy(path, folder)

    def interrupted(detector, job, *rest):
        asked.append(job.id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(detector, job, *rest)

    monkeypatch.setattr(own, "predict_one", interrupted)
    with pytest.raises(KeyboardInterrupt, match="after 1 of 3 videos; the same command continues there"):
        predict_videos(folder, run, tmp_path / "out", quiet=True)
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())["results"]) == 1
    assert not list((tmp_path / "out").glob(".taps*"))
    found = predict_videos(folder, run, tmp_path / "out", quiet=True)
    assert len(found["videos"]) == 3 and asked == ["test_0000", "test_0001", "test_0001", "test_0002"]
    next((tmp_path / "out" / ".finished").iterdir()).write_text("{")
    assert predict_videos(folder, run, tmp_path / "out", quiet=True) == found and len(asked) == 5


def test_memory_does_not_grow_with_the_video(run, tmp_path, monkeypatch):
    """Of a video of minutes, frames and features in memory at a time are no more than those of a short one."""
    write_video(tmp_path / "long.mp4", num_frames=2 * 60 * 12, fps=12)
    frames, snippets = [], []
    compute, fetch = taps.LiveTaps.features, CachedTaps.fetch

    def features(self, fetched):
        frames.append(len(fetched["frames"]))
        return compute(self, fetched)

    def read(self, video, start, stop, copy=0):
        snippets.append(stop - start)
        return fetch(self, video, start, stop, copy)

    monkeypatch.setattr(taps.LiveTaps, "features", features)
    monkeypatch.setattr(CachedTaps, "fetch", read)
    (video,) = predict_videos(tmp_path / "long.mp4", run, tmp_path / "out", quiet=True)["videos"].values()
    assert video["duration"] == pytest.approx(120, abs=0.2) and sum(frames) >= 1440
    assert max(frames) <= decoding.PIECE_FRAMES + 16 and max(snippets) <= load_model(run)[1].window
    assert len(frames) > 5 and len(snippets) > 5


def test_two_hours_may_hold_more_than_a_clip(run):
    config = load_model(run)[1]
    assert own.raise_limits(config, 599) == config
    long = own.raise_limits(config, 7200)
    assert (long.max_segments, long.pre_nms_topk) == (12 * config.max_segments, 12 * config.pre_nms_topk)


def test_a_video_that_fails_later_stops_no_other(run, world, tmp_path, monkeypatch):
    real = own.predict_video
    troubles = {"b": RuntimeError("out of memory\n  on the accelerator"), "d": OSError(28, "no room")}

    def fails(model, source, video, config):
        if video.id in troubles:
            raise troubles[video.id]
        return real(model, source, video, config)

    monkeypatch.setattr(own, "predict_video", fails)
    for name, path in zip("abcd", world, strict=False):
        shutil.copy(path, tmp_path / f"{name}.mp4")
    with pytest.warns(UserWarning, match="2 of 4"):
        found = predict_videos(tmp_path, run, tmp_path / "out", quiet=True)
    assert list(found["videos"]) == ["a", "c"] and list(found["failed"].values()) == [
        "out of memory on the accelerator", "[Errno 28] no room"]


def test_two_at_once_leave_each_other_alone(run, world, tmp_path, monkeypatch):
    """The second one works through the same folder while the first has taps of a video on the disk."""
    real, results = own.predict_video, []

    def predict_video(*words):
        if not results:
            results.append(None)
            results.append(predict_videos(world[0], run, tmp_path, quiet=True))
        return real(*words)

    monkeypatch.setattr(own, "predict_video", predict_video)
    assert predict_videos(world[0], run, tmp_path, quiet=True) == results[1] and not results[1]["failed"]
    assert not list(tmp_path.glob(".taps*"))


def test_taps_of_a_killed_process_are_removed_and_of_a_living_one_kept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folders = [tmp_path / name for name in (f".taps-{ended.pid}-a", f".taps-{ended.pid}-b", f".taps-{os.getppid()}-c",
                                            ".taps-mine-d")]
    for folder in folders:
        folder.mkdir()
        (folder / "lock").touch()
    with open(folders[1] / "lock", "wb") as elsewhere:
        hold(elsewhere)  # as a process of another machine does, whose number is another's here
        with own.workplace(tmp_path) as ours:
            assert ours.is_dir()
    assert not folders[0].exists() and all(folder.exists() for folder in folders[1:]) and not ours.exists()


def test_segments_of_a_long_video_reach_its_end(made, run, world, tmp_path):
    import av

    with av.open(str(world[0])) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    write_video(tmp_path / "loop.mp4", num_frames=4 * len(pictures), fps=12, draw=lambda i: pictures[i % len(pictures)])
    predict_videos(tmp_path / "loop.mp4", run, tmp_path / "out", quiet=True)
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    starts, length = np.array([float(row["start"]) for row in rows]), 4 * len(pictures) / 12
    assert np.histogram(starts, bins=4, range=(0, length))[0].min() > 0
    assert max(float(row["end"]) for row in rows) <= length + 1e-3


# --- what cannot work -----------------------------------------------------------------------------------------------


def test_no_video_no_run_no_folder(run, world, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(OwnVideoError, match=r"holds no video, only 1 other files.*\.mp4"):
        predict_videos(tmp_path, run, tmp_path / "out")
    with pytest.raises(OwnVideoError, match="there is no such file or folder"):
        predict_videos(tmp_path / "nowhere", run, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="train one with"):
        predict_videos(world[0], tmp_path / "no run", tmp_path / "out")


def test_all_broken_is_an_error_that_lists_them(run, tmp_path):
    (tmp_path / "a.mp4").write_text("x")
    with pytest.raises(OwnVideoError, match="not one of 1 videos can be used:\n  .*a.mp4: "):
        predict_videos(tmp_path, run, tmp_path / "out", quiet=True)
    assert "a.mp4" in (tmp_path / "out" / "failed.csv").read_text()


def test_a_disk_too_small_is_said_before_it_is_full(run, world, tmp_path, monkeypatch):
    monkeypatch.setattr(extract.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OwnVideoError, match="MiB free"):
        predict_videos(world[0], run, tmp_path / "out", quiet=True)


# --- names ----------------------------------------------------------------------------------------------------------


def test_a_good_video_needs_no_words(run, world, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict_videos(world[0], run, tmp_path / "out", quiet=True)
    assert capfd.readouterr().out == ""
