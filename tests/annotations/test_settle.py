"""Frames, units, class numbers and names that are no action: settled after reading, and every instance is counted."""

import pytest

from helpers.label_cases import CASES, VIDEOS, agree
from losa.annotations.scan import scan
from losa.annotations.settle import settle
from losa.errors import AnnotationError
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.source import Reading
from losa.label_files.times import Frames


def settled(*rows, videos=None, layout="X", **reading):
    return settle(collect(layout, rows, Findings(KINDS)), Reading(**reading), CASES / "a.csv", videos)


def test_frames_take_the_given_rate_then_the_videos_then_the_stated_one():
    row = Row("1", "clip_0000", "x", Frames(12), Frames(24), fps=24)
    assert settled(row, fps=6, videos=VIDEOS).entries[0].instances == [("x", 2, 4)]
    assert settled(row, videos=VIDEOS).entries[0].instances == [("x", 1, 2)]
    assert settled(row).entries[0].instances == [("x", 0.5, 1)]
    lost = settled(row._replace(fps=None))
    assert lost.entries[0].instances == [] and lost.findings[
        "times are frames, and the frame rate is not known"].examples == ["clip_0000: 'x' ['frame 12', 'frame 24']"]
    with pytest.raises(AnnotationError, match="--fps 0: expected the frames per second"):
        settled(row, fps=0)
    odd = settled(Row("1", "a", "x", Frames(20, 1), Frames(0, 2)), fps=12)
    assert odd.findings["timecodes do not fit the frame rate"].count == 1


@pytest.mark.parametrize(("name", "times"), [
    ("excel/frames.csv", "frames"), ("excel/milliseconds.csv", "ms"), ("excel/dayfraction.csv", "days"),
    ("excel/mmss_as_hhmm.csv", "minutes"), ("csv_more/mmss_dots.csv", "m.ss")])
def test_the_unit_that_is_asked_for_gives_the_twelve_instances(name, times):
    whole = times in ("minutes", "m.ss")  # those files are in whole seconds
    sheet = scan(CASES / name, reading=Reading(times=times), videos=VIDEOS)
    assert agree(sheet.entries, within=1 if whole else 0.06)
    assert not agree(scan(CASES / name, videos=VIDEOS).entries, within=1)


@pytest.mark.parametrize("label", ["Ambiguous", "background", "Background", "action_start", "-1", "SIL", "no_action"])
def test_names_that_mean_nothing_are_set_aside_counted_unless_they_are_asked_for(label):
    rows = Row("1", "a", label, 1, 2), Row("2", "a", "x", 3, 4)
    sheet = settled(*rows)
    assert sheet.entries[0].instances == [("x", 3, 4)]
    kind = "stretches are ambiguous" if label == "Ambiguous" else "labels mean that nothing happens"
    assert sheet.set_aside == {kind: 1} and sheet.ambiguous == ({"a": [(1, 2)]} if label == "Ambiguous" else {})
    assert sheet.counts == f"2 instances read = 1 kept + 1 set aside (1: {kind})"
    asked = settled(*rows, classes=[label, "x"])
    assert len(asked.entries[0].instances) == 2 and not asked.set_aside and asked.counts == ""


def test_class_numbers_become_names_where_a_list_gives_them():
    rows = Row("1", "a", "2", 1, 2), Row("2", "a", 1, 3, 4), Row("3", "a", "9", 5, 6), Row("4", "a", "sit", 7, 8)
    assert [item[0] for item in settled(*rows, classes=["jump", "sit"]).entries[0].instances] == [
        "sit", "jump", "9", "sit"]
    assert [item[0] for item in settled(*rows).entries[0].instances] == ["2", "1", "9", "sit"]


def test_several_labels_in_a_cell_are_told_and_split_on_request():
    sheet = scan(CASES / "csv_more/multilabel_cell.csv")
    found = sheet.findings["labels look like several in one"]
    assert found.count == 5 and found.examples[0].endswith("to make one of each: --label-separator '|'")
    split = scan(CASES / "csv_more/multilabel_cell.csv", reading=Reading(label_separator="|")).entries
    assert sum(len(entry.instances) for entry in split) == 24
    for entry in split:
        entry.instances[:] = [item for item in entry.instances if item[0] != "fast"]
    assert agree(split, within=0.01)
    assert "labels look like several in one" not in settled(Row("1", "a", "sit; stand", 1, 2), *[
        Row("2", "a", "run", 1, 2)] * 3).findings


def test_frames_that_fit_only_at_another_rate_ask_for_it():
    rows = Row("1", "clip_0000", "x", Frames(24), Frames(48)), Row("2", "clip_0000", "y", Frames(960), Frames(1080))
    sheet = settled(*rows, videos=VIDEOS)  # 541 frames of 12 a second
    found = sheet.findings["frames are counted at another rate"]
    assert found.level == "error" and found.examples == [
        "clip_0000: 'y' ['frame 960', 'frame 1080'] of 541; at --fps 24 or 25 or 30 or 50 or 60 all lie inside"]
    asked = settled(*rows, videos=VIDEOS, fps=24)
    assert asked.entries[0].instances == [("x", 1, 2), ("y", 40, 45)] and not [
        finding for finding in asked.findings.values() if finding.level == "error"]


@pytest.mark.parametrize("text", ["0 a\n1 b\n", "id,name\n0,a\n1,b\n", "name,id\na,0\nb,1\n"])
def test_class_numbers_of_tables_and_spreadsheets_get_their_names(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    (tmp_path / "a.csv").write_text("video,label,start,end\none,0,1,2\none,1.0,3,4\n")
    entries = scan(tmp_path / "a.csv", tmp_path / "classes.txt").entries
    assert [label for label, _, _ in entries[0].instances] == ["a", "b"]


def test_numbers_from_0_are_not_shifted_to_names_counted_from_1(tmp_path):
    (tmp_path / "classes.txt").write_text("a\nb\n")
    (tmp_path / "a.csv").write_text("video,label,start,end\none,0,1,2\none,1,3,4\n")
    with pytest.raises(AnnotationError, match="1 instances are of class number 0, .*counted from 1. .*'0 a' where"):
        scan(tmp_path / "a.csv", tmp_path / "classes.txt")
    (tmp_path / "classes.txt").write_text("0 a\n0 b\n")
    with pytest.raises(AnnotationError, match="number 0 is 'a' and 'b'"):
        scan(tmp_path / "a.csv", tmp_path / "classes.txt")
