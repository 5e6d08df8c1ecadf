"""The first lines of a file and a table of findings, as a notebook shows them."""

import pandas as pd
import pytest

from losa.annotations.display import first_lines, wrapped


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_of_any_encoding_is_shown(tmp_path, encoding):
    lines = ["Datei;Beginn;Ende;Art", "über.mp4;1,5;2,5;Öffnen", "b.mp4;1;2"]
    (tmp_path / "t.csv").write_bytes("\r\n".join(lines).encode(encoding))
    assert first_lines(tmp_path / "t.csv", 2).splitlines() == lines[:2]


def test_a_table_shows_lists_line_by_line_and_escapes_what_it_is_given():
    page = wrapped(pd.DataFrame({"kind": ["<b>"], "examples": [["one", "two"]]})).to_html()
    assert "one\ntwo" in page and "&lt;b&gt;" in page and "<b>" not in page


def test_of_a_folder_the_files_are_shown(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "sub/a.txt"):
        (tmp_path / name).touch()
    assert first_lines(tmp_path) == "b.txt\nsub/a.txt"
