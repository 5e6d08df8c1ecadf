import json
from collections import Counter

import numpy as np
import pytest

from losa.annotations.cells import seconds
from losa.annotations.dataset import load_annotations
from losa.annotations.formats import read_classes, read_layout, scan
from losa.errors import AnnotationError


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def instances(entries):
    return {entry.id: entry.instances for entry in entries}


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [
    ("83.5", 83.5), ("83,5", 83.5), (" 7 ", 7), ("1e2", 100), ("-3", -3), (".5", 0.5), ("1:23.5", 83.5), ("0:05", 5),
    ("1:02:03,25", 3723.25), ("90:00", 5400), (12, 12), (1.5, 1.5),
    ("1:60", None), ("1:60:00", None), ("1:2:3:4", None), ("nan", None), ("inf", None), ("1e400", None), ("", None),
    ("5 s", None), ("1.234,5", None), ("1,234.5", None), (float("nan"), None), (10**400, None), (1e9, None),
    (True, None), (None, None), ([1], None), ("-1:00", None), ("٣", None),
])  # fmt: skip
def test_times_are_seconds_or_clock_times_and_nothing_else(text, value):
    assert seconds(text) == value


# --- JSON -----------------------------------------------------------------------------------------------------------


def activitynet(**videos):
    return json.dumps({"database": videos})


def labelled(*rows, **more):
    annotations = [{"label": label, "segment": [start, end], **({} if number is None else {"label_id": number})}
                   for label, start, end, number in rows]
    return {"subset": "train", "duration": 10, "annotations": annotations, **more}


def test_label_ids_fix_the_order_where_every_instance_has_one(tmp_path):
    text = activitynet(v=labelled(("take", 0, 1, 0), ("put", 1, 2, 3), ("cut", 2, 3, 1)))
    assert read_layout(write(tmp_path / "a.json", text))[1] == ["take", "cut", "put"]
    text = activitynet(v=labelled(("take", 0, 1, 0), ("put", 1, 2, None)))
    assert read_layout(write(tmp_path / "b.json", text))[1] is None
    sheet = scan(write(tmp_path / "c.json", activitynet(v=labelled(("a", 0, 1, 1), ("a", 1, 2, 0), ("b", 0, 1, 2)))))
    assert sheet.classes is None and sheet.findings["labels have two numbers"].examples == ["'a': label_id [0, 1]"]


def test_the_frame_rate_of_the_file_is_kept(tmp_path):
    path = write(tmp_path / "a.json", activitynet(v=labelled(("a", 0, 1, 0), fps=29.97), w=labelled(("a", 0, 1, 0))))
    assert [video.fps for video in load_annotations(path).videos] == [29.97, None]


def test_numbers_of_multithumos_get_names(tmp_path):
    content = {"v": {"subset": "training", "duration": 20, "actions": [[2, 1, 2.5], [7, 3, 4]]},
               "w": {"subset": "testing", "duration": 5, "actions": []}}
    path = write(tmp_path / "m.json", json.dumps(content))
    entries, classes = read_layout(path)
    assert classes == ["class_2", "class_7"]
    assert instances(entries) == {"v": [("class_2", 1, 2.5), ("class_7", 3, 4)], "w": []}
    numbered = write(tmp_path / "classes.txt", "7 Run\n2  Jump high\n1 Stand\n")
    found = load_annotations(path, classes=numbered)
    assert found.classes == ("Stand", "Jump high", "Run") and found.videos[0].labels.tolist() == [1, 2]
    plain = write(tmp_path / "plain.txt", "\n".join("abcdefg"))
    assert load_annotations(path, classes=plain).videos[0].labels.tolist() == [1, 6]
    assert load_annotations(path, classes=list("abcdefg")).classes == tuple("abcdefg")
    with pytest.raises(AnnotationError, match=r"1 places(.|\n)*class number, one of 1 to 2, start, end.*\[7, 3, 4\]"):
        read_layout(path, classes=["a", "b"])


def test_class_files_are_numbered_or_plain(tmp_path):
    assert read_classes(write(tmp_path / "a", "1 a\n2 b b\n")) == {1: "a", 2: "b b"}
    assert read_classes(write(tmp_path / "b", "a\n\n100 m\n")) == {1: "a", 2: "100 m"}
    with pytest.raises(AnnotationError, match="one class a line"):
        read_classes(write(tmp_path / "c", '["a"]'))


@pytest.mark.parametrize("key", ["../x", "/etc/x", "a/../../x", "C:\\x", "..", "", "a\0b", "x" * 300, "a/./b"])
def test_names_that_lead_out_of_the_folder_stop(tmp_path, key):
    for content in ({"database": {key: labelled(("a", 0, 1, 0))}}, {key: {"subset": "a", "actions": []}},
                    {"database": {"v": labelled(("a", 0, 1, 0), path=key)}}):
        path = write(tmp_path / "a.json", json.dumps(content))
        with pytest.raises(AnnotationError, match="lead out of the folder"):
            read_layout(path)


def test_only_our_own_files_name_videos_above_them(tmp_path):
    content = {"version": "losa", "database": {"v": labelled(("a", 0, 1, 0), path="../videos/v.mp4")}}
    assert read_layout(write(tmp_path / "a.json", json.dumps(content)))[0][0].name == "../videos/v.mp4"
    for name in ("../videos/../../v.mp4", "../../../../etc/passwd", "../v.mp4/../key", "../v", "../v.mp4.txt"):
        content["database"]["v"]["path"] = name
        with pytest.raises(AnnotationError, match=r"lead out(.|\n)*'../' may lead to a video file \(.mp4, .mkv, ...\)"):
            read_layout(write(tmp_path / "a.json", json.dumps(content)))


def test_instances_under_a_repeated_key_are_not_lost(tmp_path):
    one, two = (json.dumps(labelled(("a", start, start + 1, 0))) for start in (0, 5))
    sheet = scan(write(tmp_path / "a.json", f'{{"database": {{"v": {one}, "v": {two}}}}}'))
    assert instances(sheet.entries) == {"v": [("a", 0, 1), ("a", 5, 6)]}
    assert sheet.findings["ids are there more than once"].count == 1


# --- THUMOS' text files ---------------------------------------------------------------------------------------------


def test_thumos_text_files_become_entries_with_ambiguous_apart(tmp_path):
    write(tmp_path / "Jump_test.txt", "video_test_2  1.5 2.0\nvideo_test_1  3 4\n")
    write(tmp_path / "Dive_test.txt", "video_test_2  0.5 1\n\n")
    write(tmp_path / "Dive_val.txt", "video_validation_9  0.5 1\n")
    write(tmp_path / "Ambiguous_test.txt", "video_test_2  7 8\nvideo_test_7  1 2\n")
    write(tmp_path / "readme.txt", "something else")
    sheet = scan(tmp_path)
    assert instances(sheet.entries) == {"video_test_1": [("Jump", 3, 4)], "video_validation_9": [("Dive", 0.5, 1)],
                                        "video_test_2": [("Dive", 0.5, 1), ("Jump", 1.5, 2)]}
    assert {entry.id: entry.subset for entry in sheet.entries}["video_validation_9"] == "val"
    assert sheet.ambiguous == {"video_test_2": [(7, 8)], "video_test_7": [(1, 2)]} and sheet.classes == ["Dive", "Jump"]
    write(tmp_path / "detclasslist.txt", "3 Jump\n8 Dive\n")
    assert scan(tmp_path).classes == ["Jump", "Dive"]
    write(tmp_path / "Run_test.txt", "video_test_1  3\n../video  1 2\n")
    with pytest.raises(AnnotationError, match=r"Run_test.txt line 1: video_test_1  3(.|\n)*Run_test.txt line 2"):
        read_layout(tmp_path)


def test_a_folder_without_such_files_says_what_is_expected(tmp_path):
    with pytest.raises(AnnotationError, match="without files like BaseballPitch_test.txt"):
        read_layout(tmp_path)


# --- CSV ------------------------------------------------------------------------------------------------------------

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
    ("video,label,start,end\nC:\\x\\a.mp4,x,1,2\n", "lead out of the folder"),
    ("video,label,start,end\na,x,1,5,2,5\n", r"6 instead of 4: a,x,1,5,2,5\nWrite a decimal point"),
])  # fmt: skip
def test_csv_that_says_too_little_stops(tmp_path, text, expected):
    with pytest.raises(AnnotationError, match=expected):
        read_layout(write(tmp_path / "a.csv", text))


def test_other_encodings_are_told_with_their_line(tmp_path):
    path = write(tmp_path / "a.csv", "video,label,start,end\na,x,1,2\nb,tür,1,2\n", "cp1252")
    with pytest.raises(AnnotationError, match=r'1 bytes are not UTF-8:\n  a.csv line 3: .*\n.*CSV UTF-8'):
        read_layout(path)
    assert scan(path).entries[1].instances == [("tür", 1, 2)]
    (tmp_path / "b.csv").write_bytes(b"PK\3\4\0\0\0\0" * 99)
    with pytest.raises(AnnotationError, match="is no text file; expected a CSV or JSON"):
        read_layout(tmp_path / "b.csv")


# --- real files -----------------------------------------------------------------------------------------------------


def test_the_official_text_and_the_json_of_thumos_agree(shared_data):
    text, classes = read_layout(shared_data / "thumos14" / "official_txt")
    table, names = read_layout(shared_data / "thumos14" / "thumos14.json")
    assert classes == names and len(text) == 212 and len(scan(shared_data / "thumos14/official_txt").ambiguous) == 37
    table = [entry for entry in table if entry.subset == "Test"]
    ours, theirs = ({e.id: Counter((label, round(s, 1), round(t, 1)) for label, s, t in e.instances) for e in entries}
                    for entries in (text, table))
    assert ours == theirs and {entry.fps for entry in table} == {24.0, 25.0, 29.97, 30.0}


def test_multithumos_reads_as_its_file_says(shared_data):
    path = shared_data / "multithumos" / "multithumos.json"
    raw = json.loads(path.read_text())
    with pytest.warns(UserWarning) as caught:
        found = load_annotations(path)
    told = " ".join(str(warning.message) for warning in caught)
    assert "7 instances have zero length" in told and "65 segments pass" in told
    assert len(found.videos) == 413 and len(found.classes) == 65
    assert sum(len(e["actions"]) for e in raw.values()) == 38690
    for video in found.videos:
        stated = [row for row in raw[video.id]["actions"] if row[1] < min(row[2], video.duration)]
        np.testing.assert_allclose(video.segments, [[s, min(e, video.duration)] for _, s, e in stated])
        assert [int(found.classes[k].removeprefix("class_")) for k in video.labels] == [row[0] for row in stated]
