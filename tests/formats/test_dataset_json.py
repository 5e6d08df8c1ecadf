"""Ego4D's moments and FineGym's JSON."""

import json

import pytest

from helpers.annotation_files import instances
from helpers.annotation_files import write_text as write
from helpers.label_cases import CASES, assert_same, damaged_json, errors, expected, found, survives
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.source import Reading


def label(name, start, end, offset, **more):
    return {"start_time": start, "end_time": end, "start_frame": int(start * 30), "end_frame": int(end * 30),
            "video_start_time": start + offset, "video_end_time": end + offset, "label": name, **more}


def moments(*labels, offset=100.0, **more):
    clip = {"clip_uid": "c1", "video_start_sec": offset, "video_end_sec": offset + 480, "clip_start_sec": 0,
            "annotations": [{"annotator_uid": f"a{at}", "labels": [one]} for at, one in enumerate(labels)]} | more
    return {"version": "1", "date": "220216", "description": "Moments Annotations", "manifest": "",
            "videos": [{"video_uid": "v1", "split": "val", "clips": [clip]}]}


def test_the_twelve_instances_are_the_primary_labels_of_ego4d():
    sheet = scan(CASES / "ego4d_moments/moments_train.json")
    assert sheet.layout == "Ego4D moments" and not errors(sheet) and {e.subset for e in sheet.entries} == {"train"}
    assert sheet.counts.startswith("24 instances read = 12 kept + 12 set aside")
    assert_same(found(sheet), expected(), 1e-6)


def test_ego4ds_times_are_those_of_the_video_or_of_the_clip(tmp_path):
    both = moments(label("use_phone", 2.5, 4, 100, primary=True), label("wash_dishes", 1, 3, 100, primary=False))
    path = write(tmp_path / "moments_val.json", json.dumps(both))
    sheet = scan(path)
    assert found(sheet) == [("v1", "use_phone", 102.5, 104)] and sheet.entries[0].subset == "val"
    assert sheet.entries[0].duration is None and sheet.set_aside == {"labels are not primary": 1}
    assert "--tier clips takes the 1 clips" in sheet.findings["the file has other labels as well"].examples[0]
    sheet = scan(path, reading=Reading(tier="clips"))
    assert found(sheet) == [("c1", "use_phone", 2.5, 4)] and sheet.entries[0].duration == 480
    with pytest.raises(AnnotationError, match="--tier clip: expected videos or clips"):
        scan(path, reading=Reading(tier="clip"))


def test_ego4d_without_flags_or_without_times_in_the_video(tmp_path):
    labels = [{name: value for name, value in label(name, 1, 2, 0).items() if not name.startswith("video")}
              for name in ("walk", "sit")]
    sheet = scan(write(tmp_path / "a.json", json.dumps(moments(*labels, offset=60.0))))
    assert found(sheet) == [("v1", "sit", 61, 62), ("v1", "walk", 61, 62)] and not sheet.set_aside
    hidden = moments()
    del hidden["videos"][0]["clips"][0]["annotations"]
    assert instances(scan(write(tmp_path / "b.json", json.dumps(hidden))).entries) == {"v1": []}


def test_what_is_wrong_in_a_file_of_ego4d_is_told_by_its_place(tmp_path):
    content = moments(label("walk", 1, 2, 0), {"label": 3}, label("sit", 5, 6, 0) | {"video_end_time": None})
    content["videos"].append({"video_uid": "v2"})
    sheet = scan(write(tmp_path / "a.json", json.dumps(content)))
    assert found(sheet) == [("v1", "walk", 1, 2)]
    assert [text.split(":")[0] for text in sheet.findings["rows cannot be understood"].examples] == [
        "videos.0.clips.0", "videos.1"]
    assert sheet.findings["instances have no end"].count == 1


# --- FineGym ----------------------------------------------------------------------------------------------------------

GYM = {"0LtLS9wROrk": {
    "E_002407_002435": {"event": 4, "timestamps": [[2407.32, 2435.28]], "segments": {
        "A_0003_0005": {"stages": 1, "timestamps": [[3.56, 5.12]]},
        "A_0006_0009": {"stages": 3, "timestamps": [[6, 7], [7, 7.5], [7.5, 9.25]]}}},
    "E_000100_000130": {"event": 1, "timestamps": [[100, 130.5]], "segments": None}}, "empty": {}}


def test_the_twelve_segments_of_finegym_have_the_numbers_of_their_events():
    sheet = scan(CASES / "finegym/finegym.json")
    assert [row[:1] + row[2:] for row in sorted(found(sheet), key=lambda row: (row[0], row[2]))] == [
        row[:1] + row[2:] for row in sorted(expected(), key=lambda row: (row[0], row[2]))]
    assert [row[0] for entry in sheet.entries for row in entry.instances] == [f"event_{n}" for n in (1, 2, 3, 4)] * 3


def test_finegym_has_events_and_elements_inside_of_them(tmp_path):
    path = write(tmp_path / "finegym_annotation_info_v1.1.json", json.dumps(GYM))
    sheet = scan(path)
    assert instances(sheet.entries) == {"0LtLS9wROrk": [("event_4", 2407.32, 2435.28), ("event_1", 100, 130.5)],
                                        "empty": []}
    assert "--tier segments takes the 2 elements" in sheet.findings["the file has other labels as well"].examples[0]
    named = scan(path, reading=Reading(classes=write(tmp_path / "c.txt", "1 vault\n4 uneven bars\n")))
    assert [row[0] for row in named.entries[0].instances] == ["uneven bars", "vault"]
    inner = scan(path, reading=Reading(tier="segments"))
    assert_same(found(inner), [("0LtLS9wROrk", "event_4", 2410.88, 2412.44),
                               ("0LtLS9wROrk", "event_4", 2413.32, 2416.57)], 1e-6)


def test_an_event_without_its_number_or_times_is_a_finding(tmp_path):
    wrong = {"v": {"a": {"event": "x", "timestamps": [[1, 2]]}, "b": {"event": 1, "timestamps": [[1]]},
                   "c": {"event": 2, "timestamps": [[1, 2]]}, "d": None, "e": {"event": 3, "timestamps": [[4, 5]]}},
             "w": 7}
    sheet = scan(write(tmp_path / "a.json", json.dumps(wrong)))
    assert found(sheet) == [("v", "event_2", 1, 2), ("v", "event_3", 4, 5)]
    assert sheet.findings["rows cannot be understood"].count == 4


@pytest.mark.parametrize(("name", "tier"), [("ego4d-moments", "clips"), ("finegym", "segments")])
def test_damaged_files_end_in_a_sheet_or_in_one_error(tmp_path, name, tier):
    content = {"finegym": GYM, "ego4d-moments": moments(label("walk", 1, 2, 0, primary=True), label("sit", 5, 6, 0))}
    for seed in range(40):
        survives(write(tmp_path / "a.json", damaged_json(content[name], seed)), name, tier=tier)
