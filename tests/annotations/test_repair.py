"""Clean copies of annotation files: what is repaired, what is said of it, and what stops it."""

import json
import warnings

import numpy as np
import pytest

from helpers.annotation_files import CLEAN, make_mixed_videos, record, write_json
from helpers.annotation_files import write_text as write
from losa.annotations.check import check
from losa.annotations.dataset import load_annotations
from losa.annotations.prepare import prepare
from losa.annotations.repair import fix
from losa.errors import AnnotationError


def counts(report):
    return {found.kind: found.count for found in report.findings}


@pytest.fixture
def folder(tmp_path):
    return make_mixed_videos(tmp_path / "videos")


MISTAKES = """Video;Label;Start;End;Subset
one.avi;cut onion;0,5;1,75;train
one.avi; cut onion ;2,0;2,5;train
one.avi;Cut Onion;2,6;3,0;train
one.avi;cut onoin;3;3,5;train
one.avi;pour water;0:00;0:01,5;train
one.avi;pour water;0:00;0:01,5;train

;;;;
C:\\clips\\two.mp4;pour water;2;1;Train
C:\\clips\\two.mp4;pour water;3;33;Train
more/two.mp4;cut onion;1;1;train
three;cut onion;-1;1;test
three;cut onion;20;21;test
three;pour water;1 s;2 s;test
broken;pour water;1;2;test
gone;pour water;1;2;test
"""
REPAIRED = {
    "one": ("train", [("cut onion", 0.5, 1.75), ("cut onion", 2, 2.5), ("cut onion", 2.6, 3), ("cut onion", 3, 3.5),
                      ("pour water", 0, 1.5)]),
    "more/two": ("train", [("pour water", 1, 2), ("pour water", 3, 4.04)]),
    "three": ("test", [("cut onion", 0, 1)]),
}  # fmt: skip


def records(annotations):
    return {video.id: (video.subset, [(annotations.classes[k], *pair) for k, pair in zip(
        video.labels, np.round(video.segments, 6).tolist(), strict=True)]) for video in annotations.videos}


@pytest.mark.parametrize("name", ["clean.csv", "clean.json", "sub/clean.json"])
def test_a_csv_full_of_ordinary_mistakes_becomes_a_clean_copy(folder, tmp_path, name):
    path = write(tmp_path / "mine.csv", "\ufeff" + MISTAKES.replace("\n", "\r\n"))
    before = path.read_bytes()
    with pytest.raises(AnnotationError, match="--fix"):
        load_annotations(path, folder)
    changed = "\n".join(fix(path, tmp_path / name, folder))
    assert path.read_bytes() == before and not list(tmp_path.rglob(".*"))
    for told in ("9 decimal commas", "1 rows left out that cannot", "2 names that lead out", "1 names of video files",
                 "1 videos left out, their files are missing: gone", "1 videos left out, their files cannot be used",
                 "1 labels put together", "1 labels corrected that look misspelt: 'cut onoin'", "1 repeated instances",
                 "1 segments turned round", "1 instances of zero length", "1 segments wholly outside",
                 "2 segments clipped"):
        assert told in changed, (told, changed)
    report = check(tmp_path / name, folder)
    assert {found.kind for found in report.findings} <= {"files in the folder have no annotations"}, report.table()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = records(load_annotations(tmp_path / name, folder))
        prepared = records(prepare(folder, tmp_path / name, tmp_path / "out"))
    expected = REPAIRED if name.endswith("csv") else {key if key != "more/two" else "two": value
                                                      for key, value in REPAIRED.items()}
    assert found == prepared == expected
    if name.endswith("json"):
        assert load_annotations(tmp_path / name).videos[0].path.resolve() == folder / "one.mp4"


def test_a_clean_copy_of_a_json_keeps_what_was_right(tmp_path):
    database = CLEAN | {"x": record(("jump", 1, 2), ("jmup", 3, 4), ("fly", 5, 6), ("sit", 9, 11), ("sit", 1, 2),
                                    ("sit", 1, 2), fps=25.0, start=3.0), "y": record(path="videos/y.mp4")}
    path = write_json(tmp_path / "a.json", database, classes=["sit", "jump"])
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/y.mp4").touch()
    (tmp_path / "sub").mkdir()
    lines = fix(path, tmp_path / "sub" / "b.json")
    assert any("'fly'" in line and "left out" in line for line in lines)
    found = load_annotations(tmp_path / "sub" / "b.json")
    assert found.classes == ("sit", "jump") and records(found) == {
        "v": ("train", [("jump", 1, 2), ("sit", 3, 4)]), "w": ("val", [("jump", 1, 2), ("sit", 4, 5)]),
        "x": ("train", [("jump", 1, 2), ("jump", 3, 4), ("sit", 9, 10), ("sit", 1, 2)]), "y": ("train", [])}
    x, y = found.videos[2:]
    assert (x.fps, x.start, x.duration) == (25, 3, 10) and y.path.resolve() == tmp_path / "videos" / "y.mp4"
    assert fix(tmp_path / "sub" / "b.json", tmp_path / "c.json") == []
    assert records(load_annotations(tmp_path / "c.json")) == records(found)


def test_what_a_clean_copy_does_not_carry_over_is_named(tmp_path):
    table = write(tmp_path / "a.csv", "video,label,start,end,subset,Annotator,score,empty\n"
                                      "one,jump,1,2,train,Ann,0.5,\none,sit,3,4,train,Bob,,\n")
    assert fix(table, tmp_path / "b.csv") == ["2 columns not carried over: 'annotator' (2), 'score' (1)"]
    database = {"v": record(("jump", 1, 2), ("sit", 3, 4), url="x")}
    for number, item in enumerate(database["v"]["annotations"]):
        item |= {"label_id": number, "segment(frames)": [1, 2]}
    lines = fix(write_json(tmp_path / "a.json", database, taxonomy=[], version="1.3"), tmp_path / "b.json")
    assert len(lines) == 1 and lines[0].startswith("4 keys not carried over: 'label_id' (2), 'segment(frames)' (2), ")
    assert "'taxonomy' (1)" in lines[0] and "'url' (1)" in lines[0]
    many = {"v": record(("jump", 1, 2), **{f"key{i:02}": 1 for i in range(12)})}
    assert fix(write_json(tmp_path / "c.json", many), tmp_path / "d.json")[0].endswith(" and 2 more")


def test_ambiguous_stretches_that_a_clean_copy_leaves_out_are_counted(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    write(texts / "Jump_test.txt", "one 1 2\ntwo 3 4\n")
    write(texts / "Ambiguous_test.txt", "one 5 6\ntwo 5 6\ntwo 8 9\n")
    lines = fix(texts, tmp_path / "b.json")
    assert len(lines) == 1 and lines[0].startswith("3 ambiguous stretches left out") and "one [5.0, 6.0]" in lines[0]
    assert sum(len(video["annotations"]) for video in json.loads((tmp_path / "b.json").read_text())["database"].values()
               ) == 2  # fmt: skip


def test_fix_never_writes_over_its_input_nor_writes_nothing(tmp_path):
    path = write_json(tmp_path / "a.json", CLEAN)
    (tmp_path / "link.json").symlink_to(path)
    before = path.read_bytes()
    for out in (path, tmp_path / "link.json", tmp_path):
        with pytest.raises(AnnotationError, match="name of its own"):
            fix(path, out)
    with pytest.raises(AnnotationError, match="written as .json"):
        fix(path, tmp_path / "b.csv")
    empty = write_json(tmp_path / "e.json", {"v": record(("x", 3, 3))})
    with pytest.raises(AnnotationError, match="nothing would be left"):
        fix(empty, tmp_path / "b.json")
    assert path.read_bytes() == before and not (tmp_path / "b.json").exists()


def test_a_clean_copy_of_thumos_is_clean(shared_data, tmp_path):
    lines = fix(shared_data / "thumos14" / "thumos14.json", tmp_path / "clean.json")
    assert [line.split(":")[0] for line in lines] == ["30 segments wholly outside their video left out",
                                                      "2 keys not carried over"]
    assert lines[1].endswith(": 'label_id' (6365), 'segment(frames)' (6365)")
    assert check(tmp_path / "clean.json").exit_code == 0
    assert sum(len(video.labels) for video in load_annotations(tmp_path / "clean.json").videos) == 6335
