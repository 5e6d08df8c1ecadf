"""Subtitles as labels: those of people, of other tools, and those that predictions are written as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.annotation_files import write_text
from helpers.annotator_files import CASES, found, labelled, same, truth, written
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.formats.cues import srt, vtt, write_subtitles
from losa.label_files.rows import Item, Labelled
from losa.label_files.source import Reading

OVERLAPPING = [{"label": "jump", "segment": [1.0, 4.0], "score": 0.9}, {"label": "wave", "segment": [3.0, 6.5],
               "score": 0.5}, {"label": "jump", "segment": [7.0, 8.0], "score": 0.25}]


@pytest.mark.parametrize("name", ["clip_0000.srt", "clip_0000.vtt"])
def test_files_of_the_kind(name):
    assert same(found(CASES / "srt" / name), truth("clip_0000"))


def test_a_folder_with_both_is_read_once():
    for name in ("", "srt", "webvtt"):
        sheet = scan(CASES / "srt", reading=Reading(format=name))
        assert len(sheet.entries[0].instances) == 4 and sheet.findings["files are not read"].count == 1
        assert sheet.layout == ("WebVTT" if name == "webvtt" else "SRT")


@pytest.mark.parametrize("write, ending", [(srt, ".srt"), (vtt, ".vtt")])
def test_predictions_come_back_as_they_were(tmp_path, write, ending):
    sheet = scan(write_text(tmp_path / f"clip{ending}", write(OVERLAPPING)))
    assert [(e.id, e.instances) for e in sheet.entries] == [
        ("clip", [("jump", 1.0, 4.0), ("wave", 3.0, 6.5), ("jump", 7.0, 8.0)])]
    assert sheet.findings["cues go on"].count == 2 and sheet.findings["texts end in scores"].count == 5


def test_labels_that_predictions_leave_out_are_counted(tmp_path):
    crowd = [{"label": name, "segment": [0, 2], "score": 0.5} for name in "abcde"]
    sheet = scan(write_text(tmp_path / "clip.srt", srt(crowd)))
    assert [row[0] for row in sheet.entries[0].instances] == ["a", "b", "c"]
    assert sheet.counts == "4 instances read = 3 kept + 1 set aside (1: items are no segments)"
    assert "predictions.json" in sheet.findings["items are no segments"].examples[0]


def test_srt_as_people_and_editors_write_it(tmp_path):
    text = ("\ufeff1\r\n0:0:1,5 --> 0:0:2,25 X1:10 X2:20 Y1:1 Y2:2\r\n<i>high jump</i>\r\n\r\n2\r\n00:00:03.000 --> "
            "00:00:04.000\r\n{\\an8}<font color=\"red\">run</font>\r\n3\r\n01:00:00,000 --> 01:00:01,500\r\nspeed < 5"
            "\r\n\r\n\r\n4\r\n01:00:02,000 --> 01:00:03,000\r\n\r\n")
    sheet = scan(write_text(tmp_path / "day 1.mp4.srt", text))
    assert [(e.id, e.instances) for e in sheet.entries] == [
        ("day 1", [("high jump", 1.5, 2.25), ("run", 3.0, 4.0), ("speed < 5", 3600.0, 3601.5)])]
    assert sheet.set_aside == {"instances have no label": 1}
    assert not [f for f in sheet.findings.values() if f.level == "error"]


def test_vtt_with_all_that_it_may_have(tmp_path):
    text = ("WEBVTT - labels\nKind: captions\n\nNOTE made by\nhand --- then\n\nSTYLE\n::cue { color: red }\n\nintro\n"
            "00:01.500 --> 00:02.250 align:start position:10%\n<v Ann>high &amp; <c.big>long</c> jump\n\n"
            "2\n00:00:03.000 --> 00:00:04.000\n<00:00:03.500>run &lt;fast&gt;\n\nNOTE end\n")
    assert found(write_text(tmp_path / "a.vtt", text)) == {
        "a": [("high & long jump", 1.5, 2.25), ("run <fast>", 3.0, 4.0)]}


def test_lines_are_labels_and_touching_cues_stay_apart_unless_lines_come_and_go(tmp_path):
    text = ("1\n00:00:01,000 --> 00:00:02,000\nrun\n\n2\n00:00:02,000 --> 00:00:03,000\nrun\n\n"
            "3\n00:00:05,000 --> 00:00:06,000\nsit\n\n4\n00:00:06,000 --> 00:00:07,000\nsit\ntalk; nod\n\n")
    path = write_text(tmp_path / "a.srt", text)
    assert found(path) == {"a": [("run", 1.0, 2.0), ("run", 2.0, 3.0), ("sit", 5.0, 7.0), ("talk; nod", 6.0, 7.0)]}
    assert scan(path).findings["cues have several lines"].examples == ["line 14: sit / talk; nod"]
    assert found(path, Reading(label_separator=";"))["a"][3:] == [("talk", 6.0, 7.0), ("nod", 6.0, 7.0)]


def test_numbers_stay_where_not_every_line_ends_in_a_score(tmp_path):
    text = "1\n00:00:01,000 --> 00:00:02,000\nspeed 0.50\n\n2\n00:00:02,000 --> 00:00:03,000\nrun\n"
    assert [row[0] for row in found(write_text(tmp_path / "a.srt", text))["a"]] == ["speed 0.50", "run"]


def test_sbv_and_ass(tmp_path):
    sbv = "0:00:01.500,0:00:02.250\njump\n\n0:00:03.000,0:00:04.000\nrun\n"
    assert found(write_text(tmp_path / "a.sbv", sbv)) == {"a": [("jump", 1.5, 2.25), ("run", 3.0, 4.0)]}
    ass = ("[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n"
           "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
           "Dialogue: 0,0:00:01.50,0:00:02.25,Default,,0,0,0,,{\\b1}jump, high{\\b0}\n"
           "Comment: 0,0:00:01.50,0:00:02.25,Default,,0,0,0,,no\n"
           "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,run\\Nwave\n")
    for name in ("a.ass", "a.ssa", "a.txt"):
        assert found(write_text(tmp_path / name, ass)) == {
            "a": [("jump, high", 1.5, 2.25), ("run", 3.0, 4.0), ("wave", 3.0, 4.0)]}


def test_what_belongs_to_no_cue_is_an_error(tmp_path):
    text = ("1\n00:00:01,000 --> 00:00:02,000\njump\n\nand more\n\n2\n00:00:03,000 -> 00:00:04,000\nrun\n\n"
            "3\n00:99 --> x\n")
    sheet = scan(write_text(tmp_path / "a.srt", text))
    told = sheet.findings["rows cannot be understood"].examples
    assert "line 12: 00:99 --> x" in told and "line 5: and more belongs to no cue" in told


def test_files_of_one_name_in_two_folders_are_two_videos(tmp_path):
    cue = [("jump", 1.0, 2.0)]
    written(tmp_path, write_subtitles(labelled({"mon/cam": cue, "tue/cam": [("run", 3.0, 4.0)], "tue/other": cue})))
    assert found(tmp_path) == {"mon/cam": cue, "tue/cam": [("run", 3.0, 4.0)], "other": cue}


@pytest.mark.parametrize("write, ending", [(srt, ".srt"), (vtt, ".vtt")])
def test_a_video_without_predictions_is_one_without_instances(tmp_path, write, ending):
    write_text(tmp_path / f"none{ending}", write([]))
    write_text(tmp_path / f"some{ending}", write(OVERLAPPING[:1]))
    assert found(tmp_path) == {"none": [], "some": [("jump", 1.0, 4.0)]}


@pytest.mark.parametrize("ending", [".srt", ".vtt"])
def test_labels_outlive_writing_and_reading(tmp_path, ending):
    videos = truth() | {"busy": [("a b", 0.0, 4.0), ("c", 1.0, 2.0), ("d", 1.5, 3.0), ("d", 4.0, 5.0), ("d", 5.0, 6.0)]}
    files = write_subtitles(labelled(videos), ending)
    assert sorted(files) == [f"{name}{ending}" for name in ("busy", "clip_0000", "clip_0001", "clip_0002")]
    assert same(found(written(tmp_path / "out", files)), videos)


def test_scores_are_written_and_an_unknown_ending_is_told():
    videos = [Labelled("v", [Item("jump", 1.0, 2.0, 0.834)])]
    assert write_subtitles(videos) == {"v.srt": "1\n00:00:01,000 --> 00:00:02,000\njump 0.83\n"}
    with pytest.raises(AnnotationError, match=r"'.sub': expected .srt or .vtt"):
        write_subtitles(videos, ".sub")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.sampled_from("abc"), st.integers(0, 100)),
                max_size=3, unique_by=lambda row: row[2]))
def test_pictures_of_predictions_give_them_back(tmp_path_factory, rows):
    """One segment a label, no more labels at a time than a cue shows."""
    records = [{"label": c, "segment": [a / 2, (a + n) / 2], "score": s / 100} for a, n, c, s in rows]
    path = write_text(tmp_path_factory.mktemp("x") / "v.srt", srt(records) or "1\n00:00:00,000 --> 00:00:01,000\nx\n")
    if records:
        assert found(path) == {"v": sorted(((r["label"], *r["segment"]) for r in records), key=lambda r: r[1:])} or \
            same(found(path), {"v": [(r["label"], *r["segment"]) for r in records]})
