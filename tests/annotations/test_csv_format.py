"""CSV as people write it: every way to save it says the same, and what says too little stops."""


import pytest

from helpers.annotation_files import by_id, instances, write_csv
from helpers.annotation_files import write_text as write
from losa.annotations.csv_format import read_ranges
from losa.annotations.dataset import load_annotations
from losa.annotations.formats import read_layout
from losa.errors import AnnotationError

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


ROWS = "video,label,start,end,subset\none.mp4,jump,0.5,1.5,train\ntwo,sit,3,83.5,test\nthree,,,,test\n"


@pytest.mark.parametrize("text", [
    ROWS, "\ufeff" + ROWS, ROWS.replace("\n", "\r\n"), ROWS.replace("\n", "\r"), ROWS.replace("\n", "\n\n"),
    "\n\n" + ROWS, ROWS.replace(",", ";"), ROWS.replace(",", "\t"), "sep=;\n" + ROWS.replace(",", ";"),
    ROWS.replace(",", ";").replace(".5", ",5"), ROWS.replace("83.5", "1:23.5"), ROWS.replace("83.5", "00:01:23.5"),
    ROWS.replace(",", " , "), ROWS.replace("video", "Video").replace("end", "END"), ROWS.replace("\n", ",,\n"),
    ROWS.replace("three,,,,test", "three"), ROWS.replace(",,,,test", ",,,,"), ROWS.replace("0.5", '"0,5"'),
    ROWS + ",,,,\n",
])  # fmt: skip
def test_csv_is_read_however_it_was_saved(tmp_path, text):
    expected = {"one": [("jump", 0.5, 1.5)], "two": [("sit", 3, 83.5)], "three": []}
    for name, encoding in (("a.csv", "utf-8"), ("a.txt", "utf-8"), ("b.csv", "utf-16")):
        entries, classes = read_layout(write(tmp_path / name, text.removeprefix("\ufeff" * (encoding == "utf-16")),
                                             encoding))
        assert instances(entries) == expected and classes is None
    assert [entry.name for entry in entries] == ["one.mp4", "two", "three"]


@pytest.mark.parametrize(("text", "expected"), [
    ("", "no column video, label, start, end; the first line is ''"),
    ("a,b\n1,2\n", "no column video"),
    ("video,label,start,end\n\"one,a,1,2\n", "1 rows do not have"),
    ("video,label,start,end\n\"" + "x" * 200_000, "line .* cannot be read as CSV .*never closed"),
    ("video,label,start,end\na.mp4,x,1,2\na.avi,x,3,4\n", "a: a.mp4, a.avi would be one video"),
    ("video,label,start,end\n../a.mp4,x,1,2\n", r"lead out of the folder:\n  line 2: '../a.mp4'"),
    ("video,label,start,end\na,x,1,5,2,5\n", r"6 instead of 4: a,x,1,5,2,5\nWrite a decimal point"),
])  # fmt: skip
def test_csv_that_says_too_little_stops(tmp_path, text, expected):
    with pytest.raises(AnnotationError, match=expected):
        read_layout(write(tmp_path / "a.csv", text))


def test_csv_rows_become_records(folder, tmp_path):
    path = write_csv(tmp_path / "a.csv", "video, label, start, end, subset", "one.mp4, jump, 0.5, 1.5, train",
                     'one,"sit, stand",2,3,train', "", "more/three.mp4,,,,test", "two,jump,0,0.25,test")  # fmt: skip
    found = load_annotations(path, folder)
    assert by_id(found) == {"one": [("jump", 0.5, 1.5), ("sit, stand", 2, 3)], "more/three": [],
                            "two": [("jump", 0, 0.25)]}
    assert {v.id: (v.subset, v.path.name) for v in found.videos} == {
        "one": ("train", "one.mp4"), "more/three": ("test", "three.mp4"), "two": ("test", "two.mkv")}
    assert [v.duration for v in found.videos] == pytest.approx([4.0, 2.0, 2.0], abs=0.01)
    plain = write_csv(tmp_path / "b.csv", "video,label,start,end", "one,a,0,1")
    assert load_annotations(plain, folder).subsets == {"all": (1, 1)}


@pytest.mark.parametrize(("lines", "expected"), [
    (["video/label/start/end"], "no column video, label, start, end; the first line is 'video/label/start/end'"),
    (["one,0,1,a"], "1 header line missing:\n  the first line is 'one,0,1,a', read as video,start,end,label"),
    (["video,label,start,end,end", "one,a,0,1,1"], "a column is there more than once"),
    (["video,label,start", "one,a,1"], "no column end"),
    (["video,label,start,end", "one,a,0:61,2", "one,a,,2", ",a,1,2", "one,a,nan,2"],
     r"4 rows cannot be understood:\n  line 2: one,a,0:61,2"),
    (["video,label,start,end", "one,a,1,2,3"],
     r"1 rows do not have as many cells as the first line:\n  line 2: 5 instead of 4"),
    (["video,label,start,end,subset", "one,a,1,2,train", "one.mp4,a,2,3,test"],
     r"in more than one subset:\n  one: test, train"),
    (["video,label,start,end", "one,a,2,1"], r"one: 'a' \[2.0, 1.0\]: ends before it starts"),
    (["video,label,start,end", "one,a,1,2", "nine,a,1,2"], "1 of 2 video files are missing"),
    (["video,label,start,end", "one,,,"], "no ground truth"),
])  # fmt: skip
def test_bad_csv_stops(folder, tmp_path, lines, expected):
    with pytest.raises(AnnotationError, match=expected):
        load_annotations(write_csv(tmp_path / "a.csv", *lines), folder)


def test_repeated_csv_rows_are_kept_once_and_counted(folder, tmp_path):
    path = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,1,2", "one.mp4,a,1.0,2", "one,b,1,2")
    with pytest.warns(UserWarning, match="1 instances are there more than once"):
        assert by_id(load_annotations(path, folder)) == {"one": [("a", 1, 2), ("b", 1, 2)]}


def test_ranges_are_rows_with_their_line_and_open_ends(tmp_path):
    path = write_csv(tmp_path / "r.csv", "id,file,start,end,subset", "a, one.mp4 ,0:30,1:00,train", "", "b,one.mp4,,,")
    assert read_ranges(path) == [
        {"id": "a", "file": "one.mp4", "start": 30.0, "end": 60.0, "subset": "train", "line": 2},
        {"id": "b", "file": "one.mp4", "start": 0.0, "end": float("inf"), "subset": "", "line": 4}]
    path = write_csv(tmp_path / "r.csv", "id;file;start;end", "a;one.mp4;2;1", "../b;one.mp4;0;1", "c;one.mp4;-1;1",
                     "d;one.mp4;0;1", "e;one.mp4;zero;1", "f;one.mp4;0;1;2;3")
    with pytest.raises(AnnotationError, match="ranges cannot be understood") as caught:
        read_ranges(path)
    said = str(caught.value)
    assert all(f"line {line}: " in said for line in (2, 3, 4, 6))
    assert "line 5" not in said and "0 <= start < end" in said
