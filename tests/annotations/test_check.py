import re
import warnings

import av
import pytest

from helpers.annotation_files import CLEAN, make_mixed_videos, record, write_json
from helpers.annotation_files import write_text as write
from helpers.video_files import write_late, write_video
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


def test_a_clean_file_has_nothing_and_exit_code_0(tmp_path):
    report = check(write_json(tmp_path / "a.json", CLEAN))
    assert report.findings == [] and report.exit_code == 0
    assert "nothing to complain about" in report.table() and "2 videos, 4 instances, 2 labels" in report.table()


@pytest.mark.parametrize(("database", "classes", "kind", "count", "example", "level"), [
    ({"v": record(("jump", 8, 12), ("jump", 11, 12), ("jump", 5, 10.0004))}, None,
     "segments pass the end of their video", 2, "v: 'jump' [8.0, 12.0] of 10.00 s", "warning"),
    ({"v": record(("jump", 3, 3), ("jump", 4, 5))}, None, "instances have zero length", 1, "v: 'jump' [3.0, 3.0]",
     "warning"),
    ({"v": record(("jump", -1, 1))}, None, "segments start before 0", 1, "v: 'jump' [-1.0, 1.0]", "warning"),
    ({"v": record(("jump", 2, 1))}, None, "segments end before they start", 1, "v: 'jump' [2.0, 1.0]", "error"),
    ({"v": record(*[("jump", 1, 2)] * 3, ("jump", 1, 2.0001), ("sit", 1, 2))}, None,
     "instances are there more than once", 3, "v: 'jump' [1.0, 2.0]", "warning"),
    ({"v": record(("jump", 1, 5), ("jump", 2, 3), ("sit", 2, 3), ("jump", 4, 6), ("jump", 6, 7))}, None,
     "instances of one class overlap", 2, "v: 'jump' [2.0, 3.0] starts before 5 s", "note"),
    ({"v": record(("jmup", 1, 2), ("swim", 3, 4), ("jump", 4, 5))}, ["jump", "walk"],
     "labels are not in the list of classes", 2, "'jmup' (1 instances); did you mean 'jump'?", "error"),
    ({"v": record(("jump", 1, 2))}, ["jump", "walk"], "classes of the list have no instance", 1, "'walk'", "note"),
    ({"v": record(("", 1, 2), ("  ", 3, 4), ("jump", 1, 2))}, None, "labels are empty", 2, "v: '", "error"),
    ({"v": record(("long jump", 1, 2), ("long jump", 3, 4), ("Long  Jump ", 5, 6))}, None,
     "labels differ only in case or spaces", 1, "'long jump' (2) and 'Long  Jump ' (1)", "warning"),
    ({"v": record(("take-off", 1, 2), ("take-off", 3, 4), ("Take off", 5, 6))}, None, "labels differ only in signs", 1,
     "'take-off' (2) and 'Take off' (1); if they are one class: --rename 'Take off=take-off'", "warning"),
    ({"v": record(("jumping", 1, 2), ("jumping", 3, 4), ("jupming", 5, 6))}, None, "labels look misspelt", 1,
     "'jupming' (1 instances) and 'jumping' (2); if they are one class: --rename jupming=jumping", "warning"),
    ({"v": record(("Jump", 1, 2), ("jump", 3, 4))}, ["jump"], "labels are written unlike the list of classes", 1,
     "'Jump' (1 instances) is 'jump'", "error"),
    ({"v": record(*[("x", start, 1) for start in (5, 6, 7)], *[("x", i, 9) for i in range(8)])}, None,
     "ends are durations", 3, "v: 'x' [5.0, 1.0]", "error"),
    ({"v": record(("x", 20, 30), ("x", 40, 45), ("x", 10, 11), ("x", 1, 2), ("x", 8, 11))}, None,
     "times are no seconds", 3, "v: 'x' [20.0, 30.0] of 10.00 s", "error"),
    ({"v": record(("jump", 1, 2)), "w": record(("jump", 1, 2), ("sit", 3, 4), subset="test")}, None,
     "classes have no instance in the training subset", 1, "'sit': none in 'train', 1 in 'test'", "warning"),
    ({"a": record(("x", 1, 2), subset="Validation"), "b": record(("y", 1, 2), subset="Test")}, None,
     "classes have no instance in the training subset", 1, "'y': none in 'Validation'", "warning"),
    ({"a": record(("x", 1, 2)), "b": record(("x", 1, 2)), "c": record(("x", 1, 2), subset="Train ")}, None,
     "subsets differ only in case or spaces", 1, "'train' (2) and 'Train ' (1)", "warning"),
    ({"a": record(("x", 1, 2), subset="val_1"), "b": record(("x", 1, 2), subset="val-1")}, None,
     "subsets differ only in signs", 1, "'val-1' (1) and 'val_1' (1)", "warning"),
    ({"abc": record(("x", 1, 2)), "v_ABC": record(("x", 3, 4), subset="test")}, None,
     "videos are in two subsets under two names", 1, "abc in 'train' and v_ABC in 'test'", "warning"),
    ({"a": record(("x", 1, 2), ("x", 3, 4.5)), "b": record(("x", 3, 4.5), ("x", 1, 2), subset="test")}, None,
     "videos of two subsets have the same instances", 1, "a in 'train' and b in 'test'", "warning"),
    ({"v": record(("x", 1, 2), duration=None)}, None, "lengths are not known", 1, "v", "note"),
    ({"v": record(), "w": record(("x", 1, 2))}, None, "videos have no instance", 1, "v in 'train'", "note"),
    ({"v": record()}, None, "files hold no instance", 1, "1 videos", "error"),
    ({"v": record(("x", 1, 2), path="gone.mp4")}, None, "video files are missing", 1, "v: no file", "error"),
    ({"v": {"subset": 3, "annotations": [{"label": "x"}]}}, None, "places are not in the layout", 2, "v.subset",
     "error"),
])  # fmt: skip
def test_each_kind_is_found_counted_and_shown(tmp_path, database, classes, kind, count, example, level):
    path = write_json(tmp_path / "a.json", database, **({} if classes is None else {"classes": classes}))
    report = check(path)
    found = {found.kind: found for found in report.findings}[kind]
    assert (found.count, found.level) == (count, level) and example in found.examples[0]
    assert found.advice in report.table() and found.examples[0] in report.table()
    assert report.exit_code == int(any(other.level != "note" for other in report.findings))
    row = report.to_frame().set_index("kind").loc[kind]
    assert row["count"] == count and row["level"] == level


def test_labels_that_are_meant_to_differ_are_left_alone(tmp_path):
    rows = [("step 1", i, i + 1) for i in range(6)] + [("step 2", 6, 7), ("High jump", 7, 8), ("Long jump", 8, 9)]
    report = check(write_json(tmp_path / "a.json", {"v": record(*rows), "w": record(("sit", 0, 1), ("set", 1, 2))}))
    assert not {"labels look misspelt", "labels differ only in case or spaces", "labels differ only in signs"
                } & set(counts(report))


def test_times_in_frames_are_suspected(tmp_path):
    report = check(write_json(tmp_path / "a.json", {"v": record(("x", 30, 60), ("x", 90, 130), ("x", 1, 9))}))
    assert "2 of 3 instances lie wholly outside their videos. All of them fit with --times frames" in report.table()
    assert "Frames need --videos or --fps" in report.table()
    assert "segments pass the end of their video" not in counts(report)
    report = check(write_json(tmp_path / "a.json", {"v": record(("x", 5, 60), ("x", 7, 130), ("x", 1, 9))}))
    assert "frames or milliseconds" in report.table()


def test_single_segments_that_end_before_they_start_are_no_durations(tmp_path):
    """Two of two, or three of fifteen, may be slips of the hand."""
    for slips, rest in ((2, 0), (3, 12)):
        rows = [("x", 9, i) for i in range(slips)] + [("x", i, i + 1) for i in range(rest)]
        found = counts(check(write_json(tmp_path / "a.json", {"v": record(*rows, duration=20.0)})))
        assert found["segments end before they start"] == slips and "ends are durations" not in found


def test_instances_shorter_than_a_few_milliseconds_are_not_the_same(tmp_path):
    """Fractions of a day: 1.17 s and 1.25 s later round to the same millisecond of a day."""
    rows = [("x", 1.35e-05, 2.7e-05), ("x", 1.4e-05, 2.6e-05), ("x", 1.4e-05, 2.6e-05), ("y", 0.0101, 0.0204),
            ("y", 0.0104, 0.0201)]
    assert counts(check(write_json(tmp_path / "a.json", {"v": record(*rows)})))[
        "instances are there more than once"] == 1
    rows = [("x", 1, 1.5), ("x", 1.0003, 1.4998), ("x", 1.002, 1.5)]  # half a second: a third of a millisecond is none
    assert counts(check(write_json(tmp_path / "a.json", {"v": record(*rows)})))[
        "instances are there more than once"] == 1


def test_a_list_of_classes_settles_what_looks_misspelt(tmp_path):
    table = write(tmp_path / "a.csv", "video,label,start,end\n" + "a,take,1,2\n" * 3 + "a,bake,4,5\na,Bake,6,7\n"
                  "a,bale,7,8\n")
    assert {"labels look misspelt", "labels differ only in case or spaces"} <= set(counts(check(table)))
    (tmp_path / "classes.txt").write_text("bake\ntake\nfold\n")
    report = check(table, classes=tmp_path / "classes.txt")
    found = {found.kind: found.examples for found in report.findings}
    assert not {"labels look misspelt", "labels differ only in case or spaces"} & set(found)
    assert found["labels are not in the list of classes"] == [
        "'bale' (1 instances); did you mean 'bake'? --rename bale=bake"]
    assert found["labels are written unlike the list of classes"] == ["'Bake' (1 instances) is 'bake'"]
    assert found["classes of the list have no instance"] == ["'fold'"]
    with pytest.raises(AnnotationError, match="no such file"):
        check(table, classes=tmp_path / "none.txt")


def test_a_file_that_is_another_videos_is_not_taken_for_a_like_named_one(folder, tmp_path):
    (folder / "clip-1.mp4").write_bytes((folder / "one.mp4").read_bytes())
    table = write(tmp_path / "a.csv", "video,label,start,end\nclip-1,x,1,2\nclip_1,x,2,3\n")
    found = counts(check(table, folder))
    assert found["video files are missing"] == 1 and "video files have another name" not in found
    table = write(tmp_path / "a.csv", "video,label,start,end\nclip_1,x,2,3\n")
    assert counts(check(table, folder))["video files have another name"] == 1


@pytest.mark.parametrize("text", ["", "{", '{"database": 3}', "[1]", '{"results": {}}', "a,b\n1,2\n"])
def test_a_file_that_cannot_be_read_at_all_is_one_finding(tmp_path, text):
    report = check(write(tmp_path / "a.json", text))
    assert counts(report) == {"file cannot be read": 1} and report.exit_code == 1
    with pytest.raises(AnnotationError):
        fix(tmp_path / "a.json", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
    assert check(tmp_path / "none.csv").exit_code == 1


# --- beside videos --------------------------------------------------------------------------------------------------


def test_a_missing_video_is_not_taken_for_one_that_has_its_own_labels(folder, tmp_path):
    path = write_json(tmp_path / "a.json", {"one": record(("x", 1, 2)), "ones": record(("x", 1, 2)),
                                            "extr": record(("x", 1, 2))})
    text = check(path, folder).table()
    assert "ones: no file ones" in text and "one.mp4?" not in text and "did you mean extra.mp4?" in text


def test_files_are_compared_with_what_is_said_of_them(folder, tmp_path):
    (folder / "copy.mp4").write_bytes((folder / "one.mp4").read_bytes())
    path = write_json(tmp_path / "a.json", {
        "one": record(("x", 1, 2), duration=9.0, fps=30.0),
        "two": record(("x", 1, 5), path="more/two.mp4", duration=4.04),
        "thre": record(("x", 1, 2)), "broken": record(("x", 1, 2)),
        "copy": record(("x", 0, 1), subset="test", duration=4),
        "THREE": record(("x", 1, 2), duration=4.08)})  # fmt: skip
    report = check(path, folder)
    assert counts(report) == {
        "video files are missing": 1, "video files have another name": 1, "video files cannot be used": 1,
        "segments pass the end of their video": 1, "durations differ from the file's": 1,
        "frame rates differ from the file's": 1, "videos are in two subsets under two names": 1,
        "files in the folder have no annotations": 1}
    text = report.table()
    assert "thre: no file thre" in text and "did you mean three.mkv?" in text and "THREE is three.mkv" in text
    assert "one: 9.00 s stated, 4.00 s in the file" in text and "one: 30 fps stated, 25 in the file" in text
    assert re.search(r"one in 'train' and copy in 'test' are the same file", text) and "extra.mp4" in text
    with pytest.raises(AnnotationError, match="no such folder"):
        check(path, tmp_path / "nowhere")


def test_stretches_of_one_file_may_be_in_two_subsets_but_not_overlap(folder, tmp_path):
    half = {"a": record(("x", 0, 1), path="one.mp4", duration=2.0),
            "b": record(("x", 0, 1), path="one.mp4", start=2.0, duration=2.0, subset="test")}
    assert check(write_json(tmp_path / "a.json", half), folder).exit_code == 1  # a has no end: it is the whole file
    half["a"] |= {"start": 0.0, "end": 2.0}
    assert check(write_json(tmp_path / "a.json", half), folder).exit_code == 0
    half["b"]["start"] = 1.5
    found = counts(check(write_json(tmp_path / "a.json", half), folder))
    assert found["videos are in two subsets under two names"] == 1


def test_a_file_damaged_in_its_middle_is_found_by_reading_it_to_its_end(folder, tmp_path):
    """Its packets are all there, so that opening it says nothing."""
    whole = write_video(tmp_path / "whole.mkv", 60)
    with av.open(str(whole)) as source, av.open(str(folder / "hurt.mkv"), "w") as hurt:
        stream = hurt.add_stream_from_template(source.streams.video[0])
        for i, packet in enumerate(p for p in source.demux(video=0) if p.size):
            data = bytes(packet)
            copy = av.Packet(b"\xff\xff\xff\xff" + data[4:] if 30 <= i < 40 else data)  # of no length that can be
            copy.pts, copy.dts, copy.time_base, copy.stream = packet.pts, packet.dts, packet.time_base, stream
            copy.is_keyframe = packet.is_keyframe
            hurt.mux(copy)
    table = write(tmp_path / "a.csv", "video,label,start,end,subset\none,jump,1,2,train\nhurt,jump,1,2,test\n")
    assert "video files cannot be used" not in counts(check(table, folder))
    report = check(table, folder, decode=True)
    found = {found.kind: found for found in report.findings}["video files cannot be used"]
    assert (found.level, found.count) == ("error", 1) and "hurt.mkv" in found.examples[0] and report.exit_code == 1
    changed = fix(table, tmp_path / "clean.csv", folder, decode=True)
    assert [line for line in changed if "hurt.mkv" in line and "cannot be used" in line]
    assert "hurt" not in (tmp_path / "clean.csv").read_text()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert [video.id for video in prepare(folder, table, tmp_path / "out").videos] == ["one", "hurt"]
    with pytest.warns(UserWarning, match=r"1 of 2 videos left out(.|\n)*hurt: "):
        kept = prepare(folder, table, tmp_path / "out", decode=True)
    assert [video.id for video in kept.videos] == ["one"]
    assert "hurt" in (tmp_path / "out" / "skipped.csv").read_text()


def test_a_video_that_starts_later_than_its_sound_is_told(folder, tmp_path):
    write_late(folder / "late.mp4", 37)
    write_late(folder / "prompt.mp4", 0)
    table = write(tmp_path / "a.csv", "video,label,start,end\none,jump,1,2\nlate,jump,0.2,0.8\nprompt,jump,0,1\n")
    report = check(table, folder)
    found = {found.kind: found for found in report.findings}["videos start later than their sound"]
    assert (found.level, found.count) == ("warning", 1) and report.exit_code == 1
    assert re.search(r"late.mp4: 1\.4[78] s later", found.examples[0])


def test_what_does_not_end_like_a_video_is_none(folder, tmp_path):
    """A prepared file could name it, but not be read again: paths out of a folder lead to videos only."""
    (folder / "three.mkv").rename(folder / "three.dat")
    path = write_json(tmp_path / "a.json", {"v": record(("a", 0, 1), path="three.dat", duration=None)})
    with pytest.raises(AnnotationError, match="v: no file three.dat in .*videos has the ending of a video file"):
        load_annotations(path, folder)
    assert counts(check(path, folder))["video files are missing"] == 1


# --- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "expected"), [
    ("thumos14/thumos14.json", {"segments pass the end of their video": 30, "instances of one class overlap": 8}),
    ("multithumos/multithumos.json", {"segments pass the end of their video": 65, "instances have zero length": 7,
                                      "instances of one class overlap": 1066}),
    ("activitynet13/activity_net.v1-3.rebuilt.json", {
        "segments pass the end of their video": 132, "instances have zero length": 12,
        "instances are there more than once": 50, "videos have no instance": 4851,
        "instances of one class overlap": 271}),
])  # fmt: skip
def test_what_is_odd_about_the_field_s_files(shared_data, name, expected):
    report = check(shared_data / name)
    assert counts(report) == expected and report.exit_code == 1
