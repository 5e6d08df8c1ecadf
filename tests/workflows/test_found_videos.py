"""The choice of videos and its timeline: each video with its own lanes, copies where a browser needs them, notes."""

import json
import os

import pytest

from helpers.video_files import write_video
from losa.video.probe import probe
from losa.workflows.found_videos import FoundVideos, make_watchable

JUMP = {"segment": [0.2, 0.8], "label": "jump"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with a video that every browser plays, and one of an old kind."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "ü #1 100%.MP4", num_frames=50)
    write_video(folder / "old.avi", num_frames=50, codec="mpeg4", options={})
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder that Jupyter, this process' parent, was started in; the clips lie outside of it."""
    (tmp_path / "root").mkdir()
    (tmp_path / "jpserver-77.json").write_text(json.dumps({"root_dir": str(tmp_path / "root"), "pid": 77}))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    return tmp_path / "root"


def desk(clips, copies, **more):
    videos = {path.stem: {"path": str(path), "duration": 2.0, "fps": 25.0} for path in sorted(clips.iterdir())}
    lanes = {"ü #1 100%": {"what happens": [JUMP], "found": [JUMP | {"score": 0.9}, JUMP | {"score": 0.1}]},
             "old": {"found": [JUMP | {"score": 0.18}]}}
    return FoundVideos(lanes, videos, copies, classes=("jump", "wave"), min_score=0.3, **more)


def test_the_first_video_is_there_and_another_one_takes_its_place(clips, tmp_path):
    shown = desk(clips, tmp_path / "playable")
    assert [label for label, _ in shown.choice.options] == ["ü #1 100%: 1 segment",
                                                            "old: nothing above 0.30; the best is 0.18"]
    timeline = shown.timeline
    assert timeline.lanes == ["what happens", "found"] and timeline.has_truth and timeline.title == "ü #1 100%"
    assert timeline.source["kind"] == "bytes" and shown.message == "" and not (tmp_path / "playable").exists()
    assert [r["verdict"] for r in timeline.tracks["found"]] == ["true positive", "double detection"]
    timeline.min_score = 0.4
    shown.choice.value = "old"
    assert shown.timeline is timeline and timeline.lanes == ["found"] and not timeline.has_truth
    assert timeline.min_score == 0.4 and timeline.classes == ["jump", "wave"]


def test_what_is_hidden_is_said_as_the_slider_moves(clips, tmp_path):
    shown = desk(clips, tmp_path)
    shown.choice.value = "old"
    assert shown.message.startswith("nothing above 0.30; the best is 0.18: lower the slider")
    shown.timeline.min_score = 0.1
    assert "nothing above" not in shown.message
    shown.timeline.min_score = 0.2
    assert shown.message.startswith("nothing above 0.20; the best is 0.18") and "<p" in shown._said.value


def test_a_video_that_no_browser_plays_is_copied_once(clips, tmp_path):
    shown = desk(clips, tmp_path / "playable")
    shown.choice.value = "old"
    copy = tmp_path / "playable" / "old.mp4"
    assert probe(copy).num_frames == 50 and shown.timeline.video == copy
    assert shown.timeline.source["kind"] == "bytes" and f"shown is a copy, {copy}" in shown.message
    before = copy.stat().st_mtime_ns
    assert make_watchable(clips / "old.avi", copy) == (copy, shown.message.splitlines()[-1])
    assert copy.stat().st_mtime_ns == before
    os.utime(copy, (0, 0))  # the video is newer now
    make_watchable(clips / "old.avi", copy)
    assert copy.stat().st_mtime > 1e6


def test_a_large_video_that_jupyter_does_not_see_is_linked_to_where_it_does(clips, elsewhere, monkeypatch):
    monkeypatch.setattr("losa.workflows.found_videos.video_source.__defaults__", (0.001,))
    good, copy = next(clips.glob("*.MP4")), elsewhere / "runs" / "day" / "one.mp4"
    path, said = make_watchable(good, copy)
    assert path == copy and os.path.samefile(copy, good) and "too large to be sent" in said
    outside = elsewhere.parent / "outside.mp4"
    assert make_watchable(good, outside) == (good, "")


def test_a_video_that_is_gone_or_broken_is_said_to_be_so(clips, tmp_path):
    videos = {"gone": {"path": str(tmp_path / "gone.mp4"), "duration": 2.0, "fps": 25.0}}
    shown = FoundVideos({"gone": {"found": []}}, videos, tmp_path / "playable")
    assert "There is no video at" in shown.timeline.source["message"] and shown.message == "nothing at all was found"
    assert shown.choice not in shown.children, "there is nothing to choose"
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video")
    path, said = make_watchable(broken, tmp_path / "playable" / "broken.mp4")
    assert path == broken and said.startswith("no playable copy of broken.avi could be made: ")
    assert not (tmp_path / "playable" / "broken.mp4").exists()
