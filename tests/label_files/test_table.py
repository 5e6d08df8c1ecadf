"""Tables: separator, header, titles and comments are found; odd rows are told."""

import pytest

from losa.label_files.sheet import KINDS, Findings
from losa.label_files.table import find_table, plain


@pytest.mark.parametrize(("name", "expected"), [
    ("Start (s)", "start"), ("start_frame", "start frame"), ("endTimestamp", "end timestamp"), ("t-start", "t start"),
    (" Video  file ", "video file"), ("filename_", "filename"), ("\ufeffvideo", "video"), ("# video", "video"),
    ("Begin Time - ss.msec", "begin time ss.msec"), ("ID", "id"),
])  # fmt: skip
def test_names_of_columns_are_compared_without_case_signs_and_units(name, expected):
    assert plain(name) == expected


BODY = "video,label,start,end\na,x,1,2\nb,\"y, z\",3,4\n"


@pytest.mark.parametrize("text", [
    BODY, "Study 1,,,\n,,,\n" + BODY, "# by me\n# 2024\n" + BODY, "sep=,\n" + BODY, "\ufeff" + BODY,
    BODY.replace("\n", "\r\n"), "made with; a tool; of ours; in 2024\n" + BODY,
])  # fmt: skip
def test_the_header_is_found_below_titles_and_comments(text):
    table = find_table(text)
    assert table.header == ["video", "label", "start", "end"] and [row for _, row in table.rows] == [
        ["a", "x", "1", "2"], ["b", "y, z", "3", "4"]]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_separators_are_those_that_make_most_columns(separator):
    table = find_table(f"Notes, and more, text, here\nvideo{separator}label{separator}start{separator}end\n"
                       f"a{separator}b, c{separator}1{separator}2\n")
    assert table.separator == separator and table.rows == [(3, ["a", "b, c", "1", "2"])]
    assert table.above == ["Notes, and more, text, here"]


def test_rows_may_lack_what_is_optional_and_no_more():
    findings = Findings(KINDS)
    table = find_table("video,label,start,end,subset\na,x,1,2\nb\nc,x,1,2,train,,\nd,x,1\n e ,x,1,2,test\n")
    assert [(line, cells["video"], cells["subset"]) for line, cells in table.records(findings, ("subset",))] == [
        (2, "a", ""), (3, "b", ""), (4, "c", "train"), (6, "e", "test")]
    assert findings["rows do not have as many cells as the first line"].examples == ["line 5: 3 instead of 5: d,x,1"]
    assert findings["cells have spaces around them"].count == 1


def test_spaces_separate_where_nothing_else_does_and_a_lost_quote_is_told():
    assert find_table("a 1.5  2 jump\nb 3 4 sit\n").rows == [(2, ["b", "3", "4", "sit"])]
    assert find_table("").header == [] and find_table("one\ntwo\n").header == ["one"]
    assert "never closed" in find_table(BODY + '"' + "x" * 200_000).error
