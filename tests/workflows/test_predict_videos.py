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
from urllib.parse import unquote

import numpy as np
import pytest
import torch

from helpers.page_data import page_states
from helpers.video_files import write_video
from losa.errors import CheckpointError, ConfigError, OwnVideoError
from losa.evaluation.card import read_card
from losa.files import hold
from losa.model.checkpoint import load_model, save_model
from losa.presets import PRESETS, postprocess
from losa.taps import decoding, extract
from losa.taps import live as taps
from losa.taps.cached import CachedTaps
from losa.taps.open import open_features
from losa.video.folder import find_videos
from losa.workflows import predict_videos as own
from losa.workflows.predict_videos import predict_videos
from losa.workflows.run import run as train_and_test
from losa.workflows.write_predictions import as_csv, subtitle_path

NASTY = "quotes \"x\" 'y' <b>&amp; ü #1?"


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory) -> Path:
    """A run on the tiny world, with its own predictions of the test subset."""
    out = tmp_path_factory.mktemp("own") / "run"
    train_and_test(PRESETS["tiny"](tiny, epochs=1, warmup_epochs=0), out, quiet=True)
    return out


@pytest.fixture(scope="module")
def world(tiny) -> list[Path]:
    return sorted((tiny / "world" / "videos").glob("*.mp4"))


@pytest.fixture(scope="module")
def made(run, world, tmp_path_factory):
    """(folder of videos, result); predicted into a folder inside, with broken files among the good ones."""
    folder = tmp_path_factory.mktemp("phone") / "my videos"
    for source, name in zip(world, ("day 1/IMG_1.mp4", "day 2/IMG_1.MP4", f"{NASTY}.mp4"), strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    shutil.copy(folder / "day 1/IMG_1.mp4", folder / "copy.mp4")
    write_video(folder / "one frame.mp4", num_frames=1)
    (folder / "empty.mov").write_bytes(b"")
    (folder / "text.mp4").write_text("no video")
    (folder / "._text.mp4").write_text("what another system leaves behind")
    (folder / "notes.txt").write_text("no video")
    with pytest.warns(UserWarning, match="2 of 7 videos could not be used") as told:
        result = predict_videos(folder, run, folder / "out", quiet=True)
    assert "text.mp4" in str(told[0].message) and "is empty (0 bytes)" in str(told[0].message)
    return folder, result


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


def test_json_and_csv_say_the_same(made):
    folder, result = made
    content = json.loads((folder / "out" / "predictions.json").read_text())
    rows = list(csv.DictReader((folder / "out" / "predictions.csv").open(encoding="utf-8", newline="")))
    assert list(rows[0]) == ["video", "start", "end", "label", "score"]
    flat = [(name, *r["segment"], r["label"], r["score"]) for name, rs in content["results"].items() for r in rs]
    assert [(r["video"], r["label"]) for r in rows] == [(f[0], f[3]) for f in flat]
    np.testing.assert_allclose([[float(r[k]) for k in ("start", "end", "score")] for r in rows],
                               [[f[1], f[2], f[4]] for f in flat], atol=6e-4)
    assert {name: len(rs) for name, rs in content["results"].items()} == {
        name: video["num_segments"] for name, video in result["videos"].items()}
    card = read_card(folder / "out" / "predictions.json")
    assert card["post"]["nms_sigma"] == 0.5 and card["classifier"] is None
    assert card["test_set"]["num_videos"] == 5 and sum(card["input"]["decode"].values()) == 5


def test_subtitles_lie_as_the_videos_do_and_the_page_finds_the_files(made):
    folder, result = made
    for name in result["videos"]:
        assert (folder / "out" / "subtitles" / f"{name}.srt").is_file()
        assert (folder / "out" / "subtitles" / f"{name}.vtt").read_text().startswith("WEBVTT\n")
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count('class="video one-of-many"') == 5 and "is empty (0 bytes)" in page
    sources = [state["source"]["path"] for state in page_states(page)]
    assert len(sources) == 5 and all(sources)
    for source in sources:
        assert source.startswith("data:video/mp4;base64,") or (folder / "out" / unquote(source)).is_file()


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


def test_predictions_may_be_made_otherwise_than_the_run_did(run, world, tmp_path):
    config, kept = load_model(run)[1], tmp_path / "out" / ".finished"

    def predicted(**how):
        found = predict_videos(world[0], run, tmp_path / "out", quiet=True, **how)["videos"]["test_0000"]
        return found["num_segments"], json.loads((tmp_path / "out" / "predictions.json").read_text())

    as_trained, _ = predicted()
    few, written = predicted(fields={"max_segments": 3})
    assert few == 3 < as_trained and written["external_data"]["config"]["max_segments"] == 3
    _, written = predicted(post="opentad", fields={"tiou": [0.5]})
    expected = postprocess(config, "opentad").replace(tiou=[0.5], cache="")
    assert written["external_data"]["config"] == expected.to_dict()
    assert len(list(kept.iterdir())) == 3
    assert predicted(fields={"tiou": [0.4], "num_workers": 1})[0] == as_trained and len(list(kept.iterdir())) == 3
    with pytest.raises(ConfigError, match="head_dim: fixed when the run was trained"):
        predicted(fields={"head_dim": 8})


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


def test_a_run_on_features_of_others_says_so(run, world, tmp_path):
    model, config, classes = load_model(run)
    config = config.replace(features="feats", feature_stride=4, taps="none")
    recipe = open_features(load_model(run)[1].replace(cache=""), ()).recipe
    save_model(model, tmp_path / "run" / "model.safetensors", config, classes, recipe.describe())
    with pytest.raises(OwnVideoError, match="trained on features that others computed"):
        predict_videos(world[0], tmp_path / "run", tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_other_weights_of_the_backbone_are_refused(run, world, tmp_path):
    from losa.backbones import vit as backbone

    other = next(Path(backbone.__file__).parent.joinpath("weights").glob("*covered*.safetensors"))
    with pytest.raises(CheckpointError, match="trained on other taps"):
        predict_videos(world[0], run, tmp_path / "out", weights=str(other), quiet=True)


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


def test_a_model_without_classes_works_without_the_classifier_it_was_tested_with(run, world, tmp_path):
    model, config, classes = load_model(run)
    recipe = open_features(config.replace(cache=""), ()).recipe
    config = config.replace(class_agnostic=True, classifier="scores.json")
    save_model(model, tmp_path / "run" / "model.safetensors", config, classes, recipe.describe())
    with pytest.warns(UserWarning, match="scores.json, which knows nothing of these videos"):
        found = predict_videos(world[0], tmp_path / "run", tmp_path / "out", quiet=True)
    assert found["videos"]["test_0000"]["num_segments"] > 0


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_that_are_no_utf8_still_make_valid_files(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    try:
        os.close(os.open(raw, os.O_CREAT))
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    (name,) = find_videos(tmp_path)
    assert name == "caf\ufffd" and as_csv([(name, "x")]).encode("utf-8")


def test_subtitle_names_stay_short_and_inside(tmp_path):
    long = [subtitle_path(tmp_path, f"day/{'字' * 80}{i}", ".srt") for i in range(2)]
    assert all(len(path.name.encode()) < 230 and path.parent == tmp_path / "subtitles" / "day" for path in long)
    assert long[0] != long[1] and subtitle_path(tmp_path, "a.b", ".vtt").name == "a.b.vtt"


def test_a_good_video_needs_no_words(run, world, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict_videos(world[0], run, tmp_path / "out", quiet=True)
    assert capfd.readouterr().out == ""
