"""Single values of label files: names of videos, and text of any encoding."""

import pytest

from helpers.annotation_files import write_text as write
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.label_files.cells import (
    class_number,
    counts_itself,
    is_safe,
    is_text,
    read_classes,
    read_text,
    short,
    without_suffix,
)
from losa.label_files.sheet import KINDS, Findings


def test_a_list_of_classes_may_have_the_numbers_of_charades(tmp_path):
    listed = write(tmp_path / "classes.txt", "c000 Holding some clothes\nc156 Someone is eating something\n")
    assert read_classes(listed) == {0: "Holding some clothes", 156: "Someone is eating something"}
    assert read_classes(write(tmp_path / "a.txt", "c000 Holding\ncut\n")) == {1: "c000 Holding", 2: "cut"}


def test_other_encodings_are_told_with_their_line(tmp_path):
    path = write(tmp_path / "a.csv", "video,label,start,end\na,x,1,2\nb,tür,1,2\n", "cp1252")
    with pytest.raises(AnnotationError, match=r'1 bytes are not UTF-8:\n  a.csv line 3: .*\n.*CSV UTF-8'):
        read_layout(path)
    assert scan(path).entries[1].instances == [("tür", 1, 2)]
    (tmp_path / "b.csv").write_bytes(b"PK\3\4\0\0\0\0" * 99)
    with pytest.raises(AnnotationError, match="is no text file but a spreadsheet; save its sheet as"):
        read_layout(tmp_path / "b.csv")


@pytest.mark.parametrize(("name", "safe"), [
    ("a.mp4", True), ("day 1/ü.mp4", True), ("a..b", True), (".hidden", True), ("C:x", True), ("a/b/c" * 100, True),
    ("", False), ("/a", False), ("\\\\host\\a", False), ("C:\\a", False), ("c:/a", False), ("a/../b", False),
    ("..", False), ("a\\..\\b", False), ("./a", False), ("a\nb", False), ("a\0", False), ("\ud800", False),
    ("a" * 201, False), ("a/" * 501, False),
])  # fmt: skip
def test_names_are_safe_that_stay_in_their_folder(name, safe):
    findings = Findings(KINDS)
    assert is_safe(name, f"line 3: {name}", findings) is safe
    assert [found.count for found in findings.values()] == [1] * (not safe)
    assert is_text(name) is (name != "\ud800") and not is_text(3)


def test_endings_of_videos_are_taken_off_and_no_others():
    names = {"a.mp4": "a", "a.b.MKV": "a.b", "day/a.avi": "day/a", "a.txt": "a.txt", "a": "a", "v1.5": "v1.5"}
    assert {name: without_suffix(name) for name in names} == names


def test_values_in_messages_are_short_and_can_be_written():
    assert short([1, "a"]) == "[1, 'a']" and short({str(i): 0 for i in range(9)}) == "['0', '1', '2', '3', '4']"
    assert short("x" * 200) == "'" + "x" * 96 + "..." and short("\ud800").encode()


def test_text_is_read_in_every_encoding_of_a_spreadsheet_and_folders_are_none(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        findings = Findings(KINDS)
        assert read_text(write(tmp_path / "a.csv", "tür,1", encoding), findings) == "tür,1"
        assert list(findings) == ["bytes are not UTF-8"] * (encoding == "cp1252")
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_text(tmp_path, Findings(KINDS))
    with pytest.raises(AnnotationError, match="none.csv: there is no such file"):
        read_text(tmp_path / "none.csv", Findings(KINDS))


@pytest.mark.parametrize(("label", "number"), [
    ("7", 7), ("7.0", 7), ("class_07", 7), ("0", 0), ("7.5", None), ("-1", None), ("class_", None), ("1" * 10, None),
    ("٧", None), ("seven", None)])
def test_the_number_of_a_class(label, number):
    assert class_number(label) == number


def test_names_without_numbers_are_counted_from_one(tmp_path):
    path = write(tmp_path / "a.txt", "a\nb\n")
    assert [counts_itself(given) for given in (None, ["a"], path, str(path))] == [False, True, True, True]
    assert not counts_itself(write(tmp_path / "b.txt", "0 a\n1 b\n"))
