import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.video_files import OPEN_GOP, read_number, write_audio, write_video
from losa.annotations.dataset import load_annotations, save_annotations
from losa.annotations.prepare import prepare
from losa.errors import AnnotationError
from losa.video.probe import probe
from losa.video.reader import Reader


def write_json(path, database, **more):
    path.write_text(json.dumps({"database": database, **more}), encoding="utf-8")
    return path


def record(*instances, subset="train", duration=10.0, **more):
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in instances]
    return {"subset": subset, "duration": duration, "annotations": annotations, **more}


def by_id(annotations):
    """{video id: [(label name, start, end)]}, written independently of how records are stored."""
    return {
        video.id: [(annotations.classes[i], *s) for i, s in zip(video.labels, video.segments.tolist(), strict=True)]
        for video in annotations.videos
    }


@pytest.fixture
def folder(tmp_path):
    """Three good barcoded videos of 4, 2 and 2 s at 25 fps, one of them in a sub-folder."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    write_video(folder / "one.mp4", 100)
    write_video(folder / "two.mkv", 50)
    write_video(folder / "more" / "three.mp4", 50)
    return folder


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


def write_csv(path, *lines):
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


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


# --- prepare --------------------------------------------------------------------------------------------------------


def test_prepare_finishes_the_good_and_lists_the_broken(folder, tmp_path):
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video at all\n" * 50)
    write_audio(folder / "sound.m4a").rename(folder / "sound.mp4")
    whole = (folder / "one.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    names = ["one", "two", "empty", "text", "sound", "cut", "gone"]
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", *[f"{name},a,0.5,1.5" for name in names])
    with pytest.warns(UserWarning, match="5 of 7 videos left out") as caught:
        found = prepare(folder, table, tmp_path / "out")
    text = str(caught[0].message)
    for name, why in {"empty": "0 bytes", "sound": "only audio", "text": "", "cut": "", "gone": "no file gone"}.items():
        assert re.search(f"{name}: .*{why}", text), text
    assert [v.id for v in found.videos] == ["one", "two"] and len(caught) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations.json", "skipped.csv"]
    assert (tmp_path / "out" / "skipped.csv").read_text().count("\n") == 6
    assert by_id(load_annotations(tmp_path / "out" / "annotations.json")) == by_id(found)

    for name in names[2:]:
        (folder / f"{name}.mp4").unlink(missing_ok=True)
        write_video(folder / f"{name}.mp4", 50)
    assert len(prepare(folder, table, tmp_path / "out").videos) == 7
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["annotations.json"]


def test_prepare_with_nothing_usable_writes_nothing(folder, tmp_path):
    path = write_json(tmp_path / "a.json", {"gone": record(("a", 0, 1))})
    with pytest.raises(AnnotationError, match="1 videos, and not one can be used"):
        prepare(folder, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_takes_the_file_s_duration_and_says_so(folder, tmp_path):
    path = write_json(tmp_path / "a.json", {"one": record(("a", 3, 5), duration=10.0)})
    with pytest.warns(UserWarning) as caught:
        found = prepare(folder, path, tmp_path / "out")
    told = sorted(str(w.message) for w in caught)
    assert "1 durations differ" in told[0] and "10.00 s stated, 4.00 s in the file" in told[0]
    assert "1 segments pass" in told[1] and len(told) == 2
    assert by_id(found)["one"] == [("a", 3, pytest.approx(4))]


def test_prepare_takes_the_file_s_frame_rate_and_says_so(folder, tmp_path):
    database = {"one": record(("a", 0, 1), duration=4.0, fps=30.0), "two": record(("a", 0, 1), duration=2.0, fps=25.0),
                "three": record(("a", 0, 1), duration=2.0)}  # fmt: skip
    with pytest.warns(UserWarning) as caught:
        found = prepare(folder, write_json(tmp_path / "a.json", database), tmp_path / "out")
    assert len(caught) == 1 and "1 frame rates differ" in str(caught[0].message)
    assert "one: 30 fps stated, 25 in the file" in str(caught[0].message)
    again = load_annotations(tmp_path / "out" / "annotations.json")
    assert [v.fps for v in found.videos] == [v.fps for v in again.videos] == [25, 25, 25]


def test_risky_files_are_announced_or_encoded_anew(folder, tmp_path):
    write_video(folder / "more" / "open.mkv", 40, options=OPEN_GOP)
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,0.5,0.9", "more/open,a,0.4,1.2")
    with pytest.warns(UserWarning, match=r"1 video files would give wrong frames(.|\n)*open.mkv") as caught:
        found = prepare(folder, table, tmp_path / "out")
    assert len(caught) == 1 and found.videos[1].path == folder / "more" / "open.mkv"
    found = prepare(folder, table, tmp_path / "out", normalise=True)
    path = load_annotations(tmp_path / "out" / "annotations.json").videos[1].path.resolve()
    assert path == found.videos[1].path == (tmp_path / "out/videos/more/open.mkv.mp4").resolve()
    assert found.videos[0].path == folder / "one.mp4" and not probe(path).risks
    assert [read_number(frame) for frame in Reader(path).read([0, 17, 39])] == [0, 17, 39]


def test_a_prepared_file_can_be_prepared_again(folder, tmp_path):
    write_video(folder / "three.mp4", 25)
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "more/three.mp4,a,0.5,1.9", "one,b,0,1")
    first = prepare(folder, table, tmp_path / "out")
    again = prepare(folder, tmp_path / "out" / "annotations.json", tmp_path / "two")
    assert [v.path.resolve() for v in again.videos] == [v.path.resolve() for v in first.videos]


def test_ranges_cut_a_file_into_videos(folder, tmp_path):
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,0.5,0.9", "one,b,0.8,2.2", "one,a,3,3.5",
                      "two,a,0,1")  # fmt: skip
    ranges = write_csv(tmp_path / "r.csv", "id,file,start,end,subset", "first,one.mp4,,1.0,train",
                       "last,one,2.0,,test", "mid,one.mp4,1,2,train")  # fmt: skip
    with pytest.warns(UserWarning, match="3 times a segment crosses an edge"):
        found = prepare(folder, table, tmp_path / "out", ranges=ranges)
    expected = {"first": [("a", 0.5, 0.9), ("b", 0.8, 1.0)], "mid": [("b", 0.0, 1.0)],
                "last": [("b", 0.0, 0.2), ("a", 1.0, 1.5)], "two": [("a", 0, 1)]}
    again = load_annotations(tmp_path / "out" / "annotations.json")
    for annotations in (found, again):
        got = by_id(annotations)
        assert list(got) == ["first", "mid", "last", "two"]
        for key, rows in expected.items():
            assert [row[0] for row in got[key]] == [row[0] for row in rows]
            np.testing.assert_allclose([row[1:] for row in got[key]], [row[1:] for row in rows], atol=1e-9)
    info = {v.id: (v.subset, v.start, round(v.duration, 6)) for v in again.videos}
    assert info == {"first": ("train", 0, 1), "mid": ("train", 1, 1), "last": ("test", 2, 2), "two": ("all", 0, 2)}
    last = again.subset("test")[0]
    assert read_number(Reader(last.path).read([round(last.start * 25)])[0]) == 50


@pytest.mark.parametrize(("lines", "expected"), [
    (["x,one,0,1", "x,one,1,2"], "x .2 times"),
    (["two,one,0,1"], "two .2 times"),
    (["x,one,2,1"], "1 ranges cannot be understood"),
    (["x,one,0,2,train", "y,one,1,3,test"], "y, one from 1.0 to 3.0 s: overlaps x"),
    (["x,one,4.5,6"], "starts after the file's end, 4.00 s"),
    (["x,three,0,1"], "no such file among the annotated whole ones"),
    (["x,one,0,zwei"], "cannot be understood"),
])  # fmt: skip
def test_bad_ranges_stop(folder, tmp_path, lines, expected):
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,0.1,0.2", "two,a,0,1")
    header = "id,file,start,end" + ",subset" * (lines[0].count(",") == 4)
    with pytest.raises(AnnotationError, match=expected):
        prepare(folder, table, tmp_path / "out", ranges=write_csv(tmp_path / "r.csv", header, *lines))
    assert not (tmp_path / "out").exists()


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


def test_the_real_video_is_prepared(shared_data, tmp_path):
    labels = shared_data / "videos/cc_by_4/one-by-one-person-detection.annotations.json"
    found = prepare(shared_data / "videos", labels, tmp_path)
    assert (len(found.videos), len(found.videos[0].labels)) == (1, 18)
    assert Path(load_annotations(tmp_path / "annotations.json").videos[0].path).resolve().is_file()
