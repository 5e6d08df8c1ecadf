import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.annotation_files import by_id, record, write_json
from losa.annotations.dataset import load_annotations, save_annotations
from losa.errors import AnnotationError

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


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
    assert len(found.subset("testing", need_labels=False)) == 4851
    assert len(found.classes) == 200 and sum(i for _, i in found.subsets.values()) == 22152 - 12
    videos = {name: number for name, (number, _) in found.subsets.items()}
    assert videos == {"training": 9649, "validation": 4728, "testing": 4851}
    with pytest.raises(AnnotationError, match="no ground truth"):
        found.subset("testing")


def test_a_subset_without_labels_is_there_for_those_who_ask_for_it(tmp_path):
    """ActivityNet's testing subset has no "annotations"; other challenges publish it as a file of its own."""
    database = {"a": {"subset": "train", "duration": 9, "annotations": [{"label": "jump", "segment": [1, 2]}]},
                "b": {"subset": "testing", "duration": 7}}
    (tmp_path / "both.json").write_text(json.dumps({"database": database}))
    both = load_annotations(tmp_path / "both.json")
    assert [v.id for v in both.subset("testing", need_labels=False)] == ["b"]
    with pytest.raises(AnnotationError, match="'testing' has 1 videos but no ground truth"):
        both.subset("testing")
    del database["a"]
    (tmp_path / "hidden.json").write_text(json.dumps({"database": database}))
    with pytest.raises(AnnotationError, match="no ground truth: 1 videos"):
        load_annotations(tmp_path / "hidden.json")
    hidden = load_annotations(tmp_path / "hidden.json", need_labels=False)
    assert hidden.classes == () and hidden.subsets == {"testing": (1, 0)}
