"""Timelines on a page: what a panel starts from, which segments it carries, where the video comes from."""

import base64
from urllib.parse import unquote

import pytest

from helpers.page_data import HOSTILE, Tree, own_video, video
from helpers.video_files import write_video
from losa.reports.timeline_panels import (
    LEAST_SCORE,
    Timelines,
    choose_strongest,
    embed_video,
    link_video,
    make_controls,
)

GONE = {"kind": "none", "path": "", "message": "gone"}


def test_the_strongest_segments_are_chosen_best_first():
    records = [{"segment": [i, i + 1], "label": "a", "score": i / 100} for i in range(100)]
    assert [r["score"] for r in choose_strongest(records, 3)] == [0.99, 0.98, 0.97]
    assert min(r["score"] for r in choose_strongest(records, 1000)) == LEAST_SCORE


def test_no_browser_hears_of_a_timeline_that_is_only_written(monkeypatch):
    opened = []
    monkeypatch.setattr("comm.create_comm", lambda **what: opened.append(what))
    timelines, mine = Timelines(["jump"], min_score=0.3), own_video("x.mp4")
    timelines.panel({**mine, "tracks": {"found": mine["records"]}}, GONE)
    assert timelines.page_parts()["widgets"] and opened == []


def test_a_panel_has_a_place_for_its_timeline_and_a_drawing_for_those_without_scripts():
    timelines = Timelines(["jump", "wave"], min_score=0.3, has_truth=False, most_rows=1)
    mine = own_video("x.mp4")
    panels = [timelines.panel({**mine, "tracks": {"found": mine["records"]}}, GONE) for _ in range(2)]
    tree = Tree("".join(panels))
    assert [a["id"] for a, _ in tree.of("video")] == ["video-0", "video-1"]
    assert [a["data-widget"] for a, _ in tree.of("widget")] == ["0", "1"]
    assert [text for tag, _, text in tree.elements if tag == "p"] == ["gone"] * 2
    listed = [text for tag, _, text in tree.elements if tag == "tr"]
    assert listed[:3] == ["labelstartendscore", "jump0:01.00:03.00.90", f"{HOSTILE}0:40.01:40.00.50"]
    (module, state), other = timelines.page_parts()["widgets"]
    assert "export default" in module and state["has_truth"] is False and state["min_score"] == 0.3
    assert {r["row"] for r in state["tracks"]["found"]} == {0} and state["source"] == GONE
    assert state["group"] != other[1]["group"] and state["colours"] == other[1]["colours"]


def test_ground_truth_is_whole_whatever_the_limit():
    timelines = Timelines(["jump"], min_score=0.3)
    timelines.panel(video("x.mp4"), GONE, most=1)
    tracks = timelines.states[0]["tracks"]
    assert {name: len(records) for name, records in tracks.items()} == {"truth": 3, "head only": 1, "LoSA": 1}


def test_the_legend_says_what_is_right_only_where_there_is_ground_truth():
    words = lambda controls: [text for _, text in Tree(controls).of("key")]  # noqa: E731
    assert words(make_controls(0.25, {"jump": "#000000"})) == ["fainter: lower score", "jump"]
    assert words(make_controls(0.25, {}, 0.5))[:3] == ["right (tIoU at least 0.5)", "wrong", "missed by all"]


@pytest.mark.parametrize("embed", [False, True])
def test_a_video_is_linked_as_seen_from_the_page_or_inside_it(tmp_path, embed):
    (tmp_path / "a b.mp4").write_bytes(b"1234")
    source = link_video(tmp_path / "a b.mp4", tmp_path / "out", embed)
    inside = f"data:video/mp4;base64,{base64.b64encode(b'1234').decode()}"
    assert source["kind"] == "link" and source["path"] == (inside if embed else "../a%20b.mp4")
    assert "losa data playable" in source["message"] and ("was moved" in source["message"]) == (not embed)
    assert embed_video(tmp_path / "a b.mp4", 1)["path"] == inside


def test_what_a_page_says_of_a_video_tells_a_missing_file_from_one_that_browsers_do_not_show(tmp_path):
    """Names with every odd character, and an ending in capitals; the format is blamed only where it is at fault."""
    good = write_video(tmp_path / "ü #1 100% [a]'b.mp4", num_frames=5).rename(tmp_path / "ü #1 100% [a]'b.MP4")
    source = link_video(good, tmp_path / "out", False)
    assert unquote(source["path"]) == f"../{good.name}" and "was moved or deleted" in source["message"]
    assert str(good) in source["message"] and "browsers do not show" not in source["message"]
    strange = write_video(tmp_path / "x.mp4", num_frames=5, codec="mpeg4", options={})
    source = link_video(strange, tmp_path / "out", False)
    assert source["kind"] == "link" and "(mpeg4) that browsers do not show" in source["message"]
    assert "moved" not in source["message"]
    good.unlink()
    source = link_video(good, tmp_path / "out", False)
    assert source["kind"] == "none" and source["message"] == f"{good.name} is not there any more"
