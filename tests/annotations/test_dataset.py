import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from helpers.annotation_files import by_id, make_three_videos, record, write_csv, write_json
from helpers.video_files import write_video
from losa.annotations.dataset import load_annotations, save_annotations
from losa.errors import AnnotationError


@pytest.fixture
def folder(tmp_path):
    return make_three_videos(tmp_path / "videos")


@pytest.fixture(autouse=True)
def no_unexpected_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# --- JSON -----------------------------------------------------------------------------------------------------------


def test_records_say_what_the_file_says(tmp_path):
    path = write_json(tmp_path / "a.json", {
        "v1": record(("long jump", 1.5, 2.25), ("Archery", 0, 10)),
        "v2": record(("Archery", 3, 4), subset="val", duration=5),
        "v3": record(subset="val"),
    })  # fmt: skip
    found = load_annotations(path)
    assert found.classes == ("Archery", "long jump")
    assert by_id(found) == {"v1": [("long jump", 1.5, 2.25), ("Archery", 0, 10)], "v2": [("Archery", 3, 4)], "v3": []}
    assert [(v.subset, v.duration, v.start, v.path) for v in found.videos[:2]] == [("train", 10, 0, None),
                                                                                  ("val", 5, 0, None)]
    assert found.subsets == {"train": (1, 2), "val": (2, 1)}
    assert [v.id for v in found.subset("val")] == ["v2", "v3"]
    assert found.videos[2].segments.shape == (0, 2) and found.videos[2].labels.dtype == np.int64


def test_listed_classes_fix_the_ids_and_an_argument_fixes_them_before_the_file(tmp_path):
    path = write_json(tmp_path / "a.json", {"v": record(("b", 0, 1), ("a", 1, 2))}, classes=["c", "b", "a"])
    assert load_annotations(path).classes == ("c", "b", "a")
    assert load_annotations(path).videos[0].labels.tolist() == [1, 2]
    assert load_annotations(path, classes=["a", "b"]).videos[0].labels.tolist() == [1, 0]
    with pytest.raises(AnnotationError, match="more than once"):
        load_annotations(path, classes=["a", "b", "a"])


def test_all_wrong_instances_come_in_one_error(tmp_path):
    bad = [("jmup", 0, 1), ("jump", 4, 3), (" jump", 0, 1), *[("run", 5, 4.5)] * 4]
    path = write_json(tmp_path / "a.json", {"v": record(("jump", 0, 1), *bad)}, classes=["jump", "run", " jump"])
    with pytest.raises(AnnotationError) as caught:
        load_annotations(path)
    text = str(caught.value)
    assert f"{path}: 7 instances are wrong" in text and "and 2 more" in text
    assert "v: 'jmup' [0.0, 1.0]: unknown label; did you mean 'jump'?" in text
    assert "v: 'jump' [4.0, 3.0]: ends before it starts" in text and "spaces around it" in text


def test_segments_beyond_the_video_are_clipped_with_one_warning(tmp_path):
    path = write_json(tmp_path / "a.json", {
        "v": record(("a", 8, 12), ("a", -1, 2), ("a", 11, 12), ("a", 9, 10.0004)), "w": record(("a", 0, 99))})
    with pytest.warns(UserWarning, match=r"4 segments pass an end of their video; clipped \(1 of them lie") as caught:
        found = load_annotations(path)
    assert len(caught) == 1 and "v: 'a' [8.0, 12.0] of 10.00 s" in str(caught[0].message)
    assert by_id(found) == {"v": [("a", 8, 10), ("a", 0, 2), ("a", 9, 10)], "w": [("a", 0, 10)]}


def test_zero_length_is_dropped_and_counted(tmp_path):
    path = write_json(tmp_path / "a.json", {"v": record(("a", 3, 3), ("a", 3, 4), ("b", 20, 20))})
    with pytest.warns(UserWarning, match="2 instances have zero length; dropped") as caught:
        found = load_annotations(path)
    assert len(caught) == 1 and by_id(found) == {"v": [("a", 3, 4)]} and found.classes == ("a", "b")


def test_a_subset_without_truth_and_an_unknown_one_stop(tmp_path):
    path = write_json(tmp_path / "a.json", {"v": record(("a", 0, 1), subset="Validation"), "w": record(subset="test")})
    found = load_annotations(path)
    with pytest.raises(AnnotationError, match="'test' has 1 videos but no ground truth"):
        found.subset("test")
    for wrong, near in (("validation", "Validation"), ("valid", "Validation"), ("Test", "test")):
        with pytest.raises(AnnotationError, match=f"no subset '{wrong}'; did you mean '{near}'.*1 videos, 1 instances"):
            found.subset(wrong)
    with pytest.raises(AnnotationError, match="no subset 'q'. There are"):
        found.subset("q")
    with pytest.raises(AnnotationError, match="no ground truth: 1 videos"):
        load_annotations(write_json(tmp_path / "b.json", {"w": record()}))


@pytest.mark.parametrize(("text", "expected"), [
    ("", "cannot be read as JSON"),
    ('{"database": {"v": {}', "cannot be read as JSON.*"),
    ("[1, 2]", r'has no "database" but \[1, 2\]. Expected'),
    ('{"v": {"subset": "train"}}', r"has no .database. but .'v'(.|\n)*Expected"),
    ('{"results": {"v": []}}', "holds predictions, expected annotations"),
    ('{"database": {"v": [], "w": {"subset": 3, "fps": "x", "path": 7}}}', r"4 places are not in the layout:\n  "
     r"database.v: expected an object, got \[\](.|\n)*database.w.subset(.|\n)*database.w.path(.|\n)*database.w.fps"),
    ('{"database": {"v": {"subset": "train", "annotations": [{"label": "a", "segment": [1]}]}}}',
     r"database.v.annotations.0: expected a label and a segment of two times in seconds, got .'label': 'a', 'segment'"),
    ('{"database": {"v": {"subset": "train", "annotations": [{"label": "a", "segment": [NaN, 1]}]}}}',
     r"got.*\[nan, 1\]"),
    ('{"database": {"v": {"subset": "train", "duration": -3}}}', "duration: expected a number above 0, got -3"),
    ('{"database": {"v": {"subset": "a"}, "v": {"subset": "b"}}}', "1 ids are there more than once:\n  'v'"),
    ('{"database": {"v": {"subset": "a", "start": 5, "end": 4, "duration": 1}}}', "contradict themselves"),
    ('{"database": {"v": {"subset": "a", "start": 5, "end": 9, "duration": 9}}}', "contradict themselves"),
    ('{"database": {"v": {"subset": "a", "annotations": [{"label": "x", "segment": [0, 1]}]}}}',
     'v has neither "duration" nor a video file'),
])  # fmt: skip
def test_files_of_another_shape_get_one_error(tmp_path, text, expected):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=expected) as caught:
        load_annotations(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(AnnotationError, match=r"none.json: there is no such file"):
        load_annotations(tmp_path / "none.json")


# --- video files ----------------------------------------------------------------------------------------------------


def test_files_are_found_by_path_id_or_prefixed_id(folder, tmp_path):
    database = {"one": record(("a", 0, 1)), "x": record(("a", 0, 1), path="more/three.mp4"), "three": record()}
    (folder / "one.txt").write_text("a side file of the same name")
    path = write_json(tmp_path / "a.json", database)
    found = load_annotations(path, videos=folder)
    assert [v.path.relative_to(folder).as_posix() for v in found.videos] == ["one.mp4", "more/three.mp4",
                                                                            "more/three.mp4"]
    (folder / "one.mp4").rename(folder / "v_one.mp4")
    assert load_annotations(path, videos=str(folder)).videos[0].path == folder / "v_one.mp4"
    write_video(folder / "more" / "v_one.mkv", 5)
    with pytest.raises(AnnotationError, match="2 files could be the video 'one'"):
        load_annotations(path, videos=folder)
    with pytest.raises(AnnotationError, match="no such folder"):
        load_annotations(path, videos=tmp_path / "nowhere")


def test_missing_files_stop_or_are_dropped_with_a_count(folder, tmp_path):
    database = {"one": record(("a", 0, 1))} | {f"gone{i}": record(("b", 0, 1)) for i in range(7)}
    path = write_json(tmp_path / "a.json", database)
    with pytest.raises(AnnotationError, match=r"7 of 8 video files are missing:(.|\n)*gone0(.|\n)*and 2 more"):
        load_annotations(path, videos=folder)
    with pytest.warns(UserWarning, match="7 of 8 videos dropped"):
        found = load_annotations(path, videos=folder, missing="drop")
    assert [v.id for v in found.videos] == ["one"] and found.classes == ("a", "b")
    stated = write_json(tmp_path / "b.json", {"v": record(("a", 0, 1), path="videos/nine.mp4")})
    with pytest.raises(AnnotationError, match=f"no file {re.escape(str(tmp_path))}/videos/nine.mp4"):
        load_annotations(stated)


def test_an_unstated_duration_is_the_file_s(folder, tmp_path):
    database = {"v": record(("a", 0, 1), duration=None, path="videos/one.mp4"),
                "w": record(("a", 0, 1), duration=None, path="videos/one.mp4", start=1.0),
                "x": record(("a", 0, 1), duration=None, path="videos/one.mp4", start=1.0, end=3.5)}
    found = load_annotations(write_json(tmp_path / "a.json", database))
    assert [v.duration for v in found.videos] == pytest.approx([4.0, 3.0, 2.5])


def test_saving_and_loading_gives_the_same_records(folder, tmp_path):
    (tmp_path / "out").mkdir()
    database = {"v": record(("jump é", 0.1, 1 / 3), path="videos/one.mp4", duration=4.0), "w": record(("b", 0, 1)),
                "x": record(("b", 0, 1), path="videos/one.mp4", start=0.7, duration=2.1, subset="test")}
    first = load_annotations(write_json(tmp_path / "a.json", database, classes=["jump é", "unused", "b"]))
    path = save_annotations(first, tmp_path / "out" / "b.json")
    again = load_annotations(path)
    assert json.loads(path.read_text(encoding="utf-8"))["database"]["v"]["path"] == "../videos/one.mp4"
    assert again.classes == first.classes and by_id(again) == by_id(first)
    for a, b in zip(again.videos, first.videos, strict=True):
        assert (a.id, a.subset, a.start, a.duration) == (b.id, b.subset, b.start, b.duration)
        assert (a.path and a.path.resolve()) == (b.path and b.path.resolve())
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b.json"]


def test_a_failing_save_leaves_the_old_file(tmp_path):
    good = load_annotations(write_json(tmp_path / "a.json", {"v": record(("a", 0, 1))}))
    path = save_annotations(good, tmp_path / "b.json")
    before = path.read_bytes()
    unwritable = replace(good.videos[0], subset="\ud800")  # half a character: fails in the middle of the file
    with pytest.raises(UnicodeEncodeError):
        save_annotations(replace(good, videos=(*good.videos, unwritable)), path)
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]


# --- CSV ------------------------------------------------------------------------------------------------------------


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
    (["File,action,Start,end", "one,a,0,1"], "2 columns have another name:\n  'File' instead of 'video'"),
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


# --- real files -----------------------------------------------------------------------------------------------------


def test_thumos_reads_as_its_file_says(shared_data):
    path = shared_data / "thumos14" / "thumos14.json"
    with pytest.warns(UserWarning, match=r"30 segments pass an end of their video; clipped \(30 of them"):
        found = load_annotations(path)
    raw = json.loads(path.read_text())["database"]
    assert len(found.videos) == 412 and sum(v for v, _ in found.subsets.values()) == 412
    assert sum(i for _, i in found.subsets.values()) == 6365 - 30
    assert found.subsets["Test"] == (212, 3358 - 26)
    ids = {item["label"]: item["label_id"] for video in raw.values() for item in video["annotations"]}
    assert [ids[name] for name in found.classes] == list(range(20))
    for key, rows in by_id(found).items():
        stated, end = raw[key]["annotations"], raw[key]["duration"]
        assert rows == [(item["label"], *item["segment"]) for item in stated if item["segment"][1] <= end]


def test_activitynet_reads_with_its_zero_lengths_announced(shared_data):
    with pytest.warns(UserWarning) as caught:
        found = load_annotations(shared_data / "activitynet13" / "activity_net.v1-3.rebuilt.json")
    told = " ".join(str(w.message) for w in caught)
    assert "12 instances have zero length; dropped" in told and len(caught) == 2
    assert len(found.classes) == 200 and sum(i for _, i in found.subsets.values()) == 22152 - 12
    videos = {name: number for name, (number, _) in found.subsets.items()}
    assert videos == {"training": 9649, "validation": 4728, "testing": 4851}
    with pytest.raises(AnnotationError, match="no ground truth"):
        found.subset("testing")
