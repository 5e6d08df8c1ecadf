import json

import numpy as np
import pytest

from helpers.annotation_files import instances
from helpers.annotation_files import write_text as write
from losa.annotations.dataset import load_annotations
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.label_files.cells import read_classes

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


# --- real files -----------------------------------------------------------------------------------------------------


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
