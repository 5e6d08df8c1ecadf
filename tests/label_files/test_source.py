"""Opening label files: JSON, JSON lines, XML, tables and folders are told apart by what is in them."""

import pytest

from helpers.annotation_files import write_text as write
from losa.errors import AnnotationError
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.source import open_source


def opened(path):
    return open_source(path, Findings(KINDS))


def test_content_decides_what_a_file_is(tmp_path):
    assert opened(write(tmp_path / "a.json", '{"a": 1}')).content == {"a": 1}
    assert opened(write(tmp_path / "a.txt", ' [{"a": 1}]')).content == [{"a": 1}]
    assert opened(write(tmp_path / "b.json", '{"a": 1}\n{"a": 2}\n')).content == [{"a": 1}, {"a": 2}]
    assert opened(write(tmp_path / "a.eaf", '<?xml version="1.0" encoding="UTF-16"?>\n<a b="1"/>')).xml.get("b") == "1"
    table = opened(write(tmp_path / "a.csv", "video;label;start;end\na;{x};1;2\n"))
    assert table.content is None and table.columns == {"video", "label", "start", "end"}
    rows = opened(write(tmp_path / "c.json", '[{"video": "a", "start": 1}, {"video": "b", "end": null}]'))
    assert rows.columns == {"video", "start", "end"} and rows.table.rows[1] == (2, ["b", "", ""])
    assert opened(write(tmp_path / "d.json", '[{"video": {"id": 1}}]')).columns == set()


def test_folders_list_label_files_and_leave_videos_out(tmp_path):
    for name in ("a.srt", "a.json.changes.jsonl", "b.mp4", "sub/c.TextGrid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = opened(tmp_path)
    assert [path.name for path in source.files] == ["a.srt", "c.TextGrid"] and source.columns == set()


@pytest.mark.parametrize(("name", "text", "said"), [
    ("a.json", '{"a": ', "cannot be read as JSON"), ("a.json", '{"a": 1}\n{"a": ', "cannot be read as JSON"),
    ("a.json", "[" * 100_000, "cannot be read as JSON"), ("a.xml", "<a><b></a>", "cannot be read as XML"),
    ("a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "defines XML entities"),
])  # fmt: skip
def test_damaged_files_stop(tmp_path, name, text, said):
    with pytest.raises(AnnotationError, match=said):
        opened(write(tmp_path / name, text))


def test_spreadsheets_and_pickles_say_what_to_do(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(AnnotationError, match='save its sheet as "CSV UTF-8"'):
        opened(tmp_path / "a.xlsx")
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(AnnotationError, match="is a pickle, which is never opened"):
        opened(tmp_path / "a.pkl")
