"""Rows of importers become entries: names of files however they are written, times, and what is not understood."""

import pytest

from losa.label_files.rows import Row, clean_name, collect
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.times import Frames


@pytest.mark.parametrize(("name", "expected"), [
    ("clip.mp4", "clip.mp4"), ("day 1/clip.mp4", "day 1/clip.mp4"), (7, "7"), ("file:///data/a%20b.mp4", "a b.mp4"),
    ("C:\\Users\\x\\clip.mp4", "clip.mp4"), ("/media/x/clip.mp4", "clip.mp4"),
    ("\\\\host\\share\\clip.mp4", "clip.mp4"),
    ("https://www.youtube.com/watch?v=abc-_1&t=3", "abc-_1"), ("https://youtu.be/abc?t=3", "abc"),
    ("s3://bucket/x/clip.mp4?sig=1", "clip.mp4"), ("/data/upload/1/abcd1234-clip.mp4", "clip.mp4"),
    ("/data/local-files/?d=x/clip.mp4", "clip.mp4"), ("abcd1234-clip.mp4", "abcd1234-clip.mp4"),
    (None, ""), (True, ""), ("", ""), ("..", ""), ([], ""),
])  # fmt: skip
def test_names_of_videos_are_cut_to_what_a_folder_can_hold(name, expected):
    findings = Findings(KINDS)
    assert clean_name(name, "line 2", findings) == expected
    assert ("names of videos are paths or addresses" in findings) == bool(expected and str(name) != expected)


def test_names_that_lead_out_of_the_folder_are_errors():
    findings = Findings(KINDS)
    assert clean_name("../a.mp4", "line 2", findings) == "a.mp4"
    assert findings["ids or paths lead out of the folder"].level == "error"


def test_rows_are_put_together_by_video_and_nothing_is_lost_in_silence():
    findings = Findings(KINDS)
    sheet = collect("X", [
        Row("1", "b.mp4", "x", 1, 2.5, "train"), Row("2", "a", "y", "1:00", "70 s", duration=90, fps=25),
        Row("3", "b", "z", Frames(3), Frames(9), "train"), Row("4", "c"), Row("5", "a", "y", 1, None),
        Row("6", "a", "y", "14. Mai", 3), Row("7", "", "y", 1, 2), Row("8", "a", "", 1, 2), Row("9", "a", 5, 1, 2),
    ], findings)
    assert [(entry.id, entry.name, entry.subset, entry.instances) for entry in sheet.entries] == [
        ("b", "b.mp4", "train", [("x", 1, 2.5), ("z", Frames(3), Frames(9))]),
        ("a", "a", "all", [("y", 60, 70), ("5", 1, 2)]), ("c", "c", "all", [])]
    assert (sheet.entries[1].duration, sheet.entries[1].fps) == (90, 25)
    assert {kind: (found.count, found.level) for kind, found in findings.items()} == {
        "times are written as minutes:seconds": (1, "note"), "instances have no end": (1, "error"),
        "times are dates": (1, "error"), "rows cannot be understood": (2, "error")}


def test_two_files_or_two_subsets_of_one_video_are_errors():
    findings = Findings(KINDS)
    collect("X", [Row("1", "a.mp4", "x", 1, 2, "train"), Row("2", "a.avi", "x", 1, 2, "test")], findings)
    assert findings["ids are there more than once"].examples == ["a: a.mp4, a.avi would be one video"]
    assert findings["videos are in more than one subset"].count == 1


@pytest.mark.parametrize("name", [{"id": "a"}, ["a"], None, 1.5])
def test_a_row_whose_video_is_no_name_is_a_finding(name):
    sheet = collect("X", [Row("row 1", name, "jump", 1, 2), Row("row 2", "a", "jump", 1, 2)], Findings(KINDS))
    assert [(entry.id, entry.instances) for entry in sheet.entries] == [("a", [("jump", 1.0, 2.0)])]
    assert sheet.findings["rows cannot be understood"].count == 1
