"""Files that are no text, or no JSON."""

import re
from pathlib import Path

import pytest

from losa.label_files.unreadable import describe_binary, describe_no_json


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.zip", b"PK", "ZIP file"), ("a.opf", b"PK", "Datavyu.*--times ms"), ("a.odx", b"PK", "Observer XT"),
    ("a.gz", b"\x1f\x8b", "gunzip"), ("a.xlsx", b"PK", "spreadsheet"), ("a", b"PK", "spreadsheet"),
    ("a.pkl", b"", "pickle"), ("a.csv", b"\x80\4", "pickle"), ("a.mat", b"M\0", "MATLAB"), ("a.csv", b"x\0", "no text"),
    ("a.opf", b"text", "^$"), ("a.csv", b"video,label", "^$")])
def test_what_a_file_is_that_is_no_text(name, content, words):
    assert re.search(words, describe_binary(Path(name), content))


def test_only_a_known_text_is_named():
    assert "LosslessCut" in describe_no_json("{\n  version: 1, cutSegments: []}") and describe_no_json("{") == ""
