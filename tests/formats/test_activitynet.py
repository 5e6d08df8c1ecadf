"""ActivityNet's JSON: keys that are there twice, and what is no instance."""

import json

import pytest

from helpers.annotation_files import instances, record
from helpers.annotation_files import write_text as write
from helpers.label_cases import CASES, assert_same, damaged_json, errors, expected, found, survives
from losa.annotations.scan import scan
from losa.formats.activitynet import parse_instance
from losa.label_files.source import parse_json
from losa.label_files.times import seconds


def test_instances_under_a_repeated_key_are_not_lost(tmp_path):
    one, two = (json.dumps(record(("a", start, start + 1))) for start in (0, 5))
    sheet = scan(write(tmp_path / "a.json", f'{{"database": {{"v": {one}, "v": {two}}}}}'))
    assert instances(sheet.entries) == {"v": [("a", 0, 1), ("a", 5, 6)]}
    assert sheet.findings["ids are there more than once"].count == 1


def test_of_a_repeated_key_the_last_value_counts_with_the_annotations_of_all():
    repeated = []
    video = '"v": {"subset": "%s", "annotations": [%d], "actions": [%d]}'
    text = "{" + ", ".join(video % (name, i, -i) for i, name in enumerate("abc")) + ', "w": 1, "w": 2}'
    merged = {"subset": "c", "annotations": [0, 1, 2], "actions": [0, -1, -2]}
    assert parse_json(text, repeated) == {"v": merged, "w": 2} and repeated == ["v", "v", "w"]
    plain = '{"v": {"annotations": [1, {"label": "a"}]}, "w": null}'
    assert parse_json(plain, repeated) == json.loads(plain) and len(repeated) == 3
    with pytest.raises(ValueError, match="Expecting"):
        parse_json('{"v": ', [])


@pytest.mark.parametrize("item", [
    None, [], "jump", {}, {"label": "a"}, {"segment": [0, 1]}, {"label": 3, "segment": [0, 1]},
    {"label": "a", "segment": [0]}, {"label": "a", "segment": [0, 1, 2]}, {"label": "a", "segment": "01"},
    {"label": "a", "segment": [0, None]}, {"label": "a", "segment": ["soon", 1]}, {"label": "a", "segment": [True, 1]},
])  # fmt: skip
def test_what_is_no_label_with_two_times_is_no_instance(item):
    assert parse_instance(item, seconds) is None


def test_an_instance_keeps_its_label_and_the_times_as_they_are_understood():
    item = {"label": " a", "segment": ["1:02.5", 3], "score": 0.5}
    assert parse_instance(item, seconds) == (" a", 62.5, 3.0)
    assert parse_instance(item | {"segment": [9, 3]}, seconds) == (" a", 9, 3)  # backwards is for others to say


# --- files of the same kind -------------------------------------------------------------------------------------------


def test_bmns_files_have_the_videos_at_their_top():
    sheet = scan(CASES / "mmaction2/anet_anno_train.json")
    assert_same([(row[0].removeprefix("v_"), *row[1:]) for row in found(sheet)], expected(), 1e-4)
    assert [(entry.id, entry.duration) for entry in sheet.entries] == [
        ("v_clip_0000", 45.0833), ("v_clip_0001", 54.75), ("v_clip_0002", 45.3333)]
    assert {(entry.subset, entry.fps) for entry in sheet.entries} == {("train", 12)}
    assert not errors(sheet) and sheet.findings["the subset is named by the file"].count == 1


def test_a_file_of_bmn_may_have_subsets_or_none_and_says_what_is_wrong_by_its_own_keys(tmp_path):
    video = {"duration_second": 92.2, "duration_frame": 2765, "feature_frame": 2752,
             "annotations": [{"segment": [6.7, "37.9"], "label": "Playing saxophone"}]}
    content = {"v_a": video | {"subset": "training"}, "v_b": video | {"subset": "validation"}}
    sheet = scan(write(tmp_path / "video_info_train_val.json", json.dumps(content)))  # AFSD's; two subsets in its name
    assert {entry.id: entry.subset for entry in sheet.entries} == {"v_a": "training", "v_b": "validation"}
    assert instances(sheet.entries)["v_b"] == [("Playing saxophone", 6.7, 37.9)]
    sheet = scan(write(tmp_path / "anet_anno_action.json", json.dumps({"v_a": video, "v_b": 3})))
    assert [entry.subset for entry in sheet.entries] == ["all"]
    assert sheet.findings["places are not in the layout"].examples == ["v_b: expected an object, got 3"]
    wrong = {"v_a": video | {"annotations": [{"segment": [1], "label": "x"}]}}
    sheet = scan(write(tmp_path / "a.json", json.dumps(wrong)))
    assert sheet.findings["places are not in the layout"].examples[0].startswith("v_a.annotations.0: expected a label")


@pytest.mark.parametrize("key", ["duration_second", "duration_sec", "duration_seconds"])
def test_a_duration_has_several_names(tmp_path, key):
    one = {"subset": "train", key: "12.5", "annotations": []}
    assert scan(write(tmp_path / "a.json", json.dumps({"database": {"v": one}}))).entries[0].duration == 12.5
    sheet = scan(write(tmp_path / "a.json", json.dumps({"database": {"v": one | {key: -1}}})))
    assert sheet.findings["places are not in the layout"].examples == [
        f"database.v.{key}: expected a number above 0, got -1"]


def labelled(*labels, **more):
    items = [{"segment": [at, at + 1]} | label for at, label in enumerate(labels)]
    return json.dumps({"database": {"v": {"subset": "train", "annotations": items}}, **more})


def test_labels_that_are_numbers_are_names_of_the_files_list(tmp_path):
    path = write(tmp_path / "a.json", labelled({"label": 1}, {"label": 0}, {"label": "jump"}, classes=["jump", "sit"]))
    sheet = scan(path)
    assert [row[0] for row in sheet.entries[0].instances] == ["sit", "jump", "jump"]
    assert sheet.classes == ["jump", "sit"]
    taxonomy = [{"nodeId": 269, "nodeName": "Fixing bicycle", "parentId": 257}, {"nodeId": 1, "nodeName": "Archery"}]
    sheet = scan(write(tmp_path / "b.json", labelled({"label": 269}, {"label": 1}, taxonomy=taxonomy)))
    assert [row[0] for row in sheet.entries[0].instances] == ["Fixing bicycle", "Archery"]


def test_labels_that_are_numbers_without_a_list_are_named_by_the_users(tmp_path):
    path = write(tmp_path / "a.json", labelled({"label_id": 2}, {"label": 0}, {"label": None, "label_id": 2},
                                               {"label": -1}, {"label": True}, {"label_id": 10**30}))
    sheet = scan(path)
    assert [row[0] for row in sheet.entries[0].instances] == ["class_2", "class_0", "class_2"]
    assert sheet.set_aside == {"labels mean that nothing happens": 1}
    assert sheet.findings["places are not in the layout"].count == 2
    sheet = scan(path, classes=write(tmp_path / "names.txt", "0 jump\n2 sit\n"))
    assert [row[0] for row in sheet.entries[0].instances] == ["sit", "jump", "sit"]


def test_coins_annotation_is_not_lost_and_its_start_is_no_offset(tmp_path):
    video = {"video_url": "https://www.youtube.com/embed/a", "recipe_type": 13, "class": "ReplaceMemoryChip",
             "subset": "training", "duration": 143.4, "start": 16.5, "end": 141.0,
             "annotation": [{"id": "66", "segment": [29.0, 46.0], "label": "remove the battery"}]}
    entry, = scan(write(tmp_path / "COIN.json", json.dumps({"database": {"a": video}}))).entries
    assert entry.instances == [("remove the battery", 29, 46)]
    assert (entry.duration, entry.start, entry.whole) == (143.4, 0, True)


def test_string_times_and_a_folder_of_one_file_a_subset(tmp_path):
    one = {"duration_second": 9, "annotations": [{"segment": ["0.20", "1.10"], "label": "CricketBowling"}]}
    for subset in ("train", "val"):
        write(tmp_path / f"anet_anno_{subset}.json", json.dumps({f"v_{subset}": one}))
    sheet = scan(tmp_path)
    assert {entry.id: (entry.subset, entry.instances) for entry in sheet.entries} == {
        f"v_{subset}": (subset, [("CricketBowling", 0.2, 1.1)]) for subset in ("train", "val")}


@pytest.mark.parametrize("name", ["activitynet", "bmn", "multithumos"])
def test_damaged_files_end_in_a_sheet_or_in_one_error(tmp_path, name):
    videos = json.loads((CASES / "mmaction2/anet_anno_train.json").read_text())
    content = {"activitynet": {"database": videos, "classes": ["throw", "jump"]}, "bmn": videos,
               "multithumos": {"v": {"subset": "a", "duration": 9.5, "actions": [[1, 2, 3], [4, 5, 6.5]]}}}[name]
    for seed in range(40):
        survives(write(tmp_path / "a.json", damaged_json(content, seed)), name)


def test_what_is_ambiguous_is_set_aside_by_its_label_or_its_key(tmp_path):
    items = [{"label": "jump", "label_id": 1, "segment": [0, 1]},
             {"label": "Ambiguous", "label_id": 0, "segment": [1, 2]},
             {"label": "jump", "label_id": 1, "segment": [2, 3], "ambiguous": True}]
    content = {"database": {"v": {"subset": "test", "annotations": items}}}
    sheet = scan(write(tmp_path / "a.json", json.dumps(content)))
    assert sheet.entries[0].instances == [("jump", 0, 1)] and sheet.ambiguous == {"v": [(1, 2), (2, 3)]}
    assert sheet.classes == ["jump"] and sheet.set_aside == {"stretches are ambiguous": 2}
    del items[2]
    listed = scan(write(tmp_path / "b.json", json.dumps(content | {"classes": ["Ambiguous", "jump"]})))
    assert len(listed.entries[0].instances) == 2  # stated to be a class


def test_videos_at_the_top_with_nothing_but_annotations_are_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"one": {"annotations": [{"label": "a", "segment": [1, 2]}]}}))
    assert scan(path).entries[0].instances == [("a", 1, 2)]
