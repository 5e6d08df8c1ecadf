"""BORIS projects: events that pair, files that play one after the other, and offsets."""

import json

import pytest

from helpers.annotator_files import found, labelled, same, truth, written
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.formats.boris import write_boris
from losa.label_files.source import Reading

STATE, POINT = "State event", "Point event"


def project(path, observations, types=(("jump", STATE), ("run", STATE), ("bell", POINT)), **more):
    conf = {str(i): {"code": code, "type": kind, "key": "k", "modifiers": {}} for i, (code, kind) in enumerate(types)}
    path.write_text(json.dumps({"project_format_version": "7.0", "behaviors_conf": conf, "observations": observations,
                                **more}))
    return path


def observation(*events, files=("clip.mp4",), lengths=None, offset=0.0, **more):
    media = {"length": dict(zip(files, lengths, strict=True)) if lengths else {}, "fps": {}}
    return {"type": "MEDIA", "file": {"1": list(files), "2": []}, "time offset": offset, "media_info": media,
            "events": [[time, who, code, modifier, ""] for time, who, code, modifier in events], **more}


def test_states_pair_for_each_subject_behaviour_and_modifier_and_points_are_set_aside(tmp_path):
    path = project(tmp_path / "p.boris", {"one": observation(
        (1.0, "", "jump", ""), (1.5, "a", "jump", ""), (1.75, "", "bell", ""), (2.0, "", "jump", ""),
        (2.25, "a", "jump", ""), (3.0, "", "run", "fast"), (3.5, "", "run", "slow"), (4.0, "", "run", "slow"),
        (5.0, "", "run", "fast"), (6.0, "", "jump", ""))})  # fmt: skip
    sheet = scan(path)
    assert sorted(sheet.entries[0].instances, key=lambda row: row[1]) == [
        ("jump", 1.0, 2.0), ("jump", 1.5, 2.25), ("run", 3.0, 5.0), ("run", 3.5, 4.0)]
    assert sheet.set_aside == {"events are points in time": 1, "starts or stops have no partner": 1}
    assert sheet.findings["starts or stops have no partner"].examples == [
        "observation 'one', event 10: START of 'jump' at 6 s"]
    assert sheet.findings["pairs may be shifted"].examples == ["observation 'one': 3 starts and stops of 'jump'"]
    assert [e.split(" (")[0] for e in sheet.findings["columns are not read that may be labels"].examples] == [
        "'modifier'", "'subject'"]


def test_events_out_of_order_and_other_spellings_of_types(tmp_path):
    path = project(tmp_path / "p.boris", {"one": observation((2.0, "", "jump", ""), (1.0, "", "jump", ""),
                                                             (1.2, "", "bell", ""))},
                   types=(("jump", "State event with coding map"), ("bell", "POINT EVENT")))
    assert found(path) == {"clip": [("jump", 1.0, 2.0)]}


def test_times_of_a_list_of_files_count_from_the_start_of_each(tmp_path):
    """Events as in the project's own example: 179.96 s, then the next file; a time offset is part of every time."""
    events = [(11.8, "", "jump", ""), (18.125, "", "jump", ""), (237.765, "", "run", ""), (263.49, "", "run", ""),
              (188.0, "", "jump", ""), (189.96, "", "jump", ""), (189.0, "", "run", ""), (190.5, "", "run", "")]
    path = project(tmp_path / "p.boris", {"one": observation(*events, files=("/x/a.mp4", "/x/b.mp4"),
                                                             lengths=(179.96, 359.96), offset=10.0)})
    sheet = scan(path)
    read = {e.id: sorted(e.instances, key=lambda row: row[1]) for e in sheet.entries}
    assert same(read, {"a": [("jump", 1.8, 8.125), ("jump", 178.0, 179.96)], "b": [("run", 47.805, 73.53)]})
    assert {e.id: e.duration for e in sheet.entries} == {"a": 179.96, "b": 359.96}
    assert sheet.findings["starts or stops have no partner"].examples == [
        "observation 'one', event 7: 'run' starts in /x/a.mp4 and stops in /x/b.mp4"]
    assert sheet.findings["times are shifted"].count == 2


def test_a_list_of_files_of_unknown_length_cannot_be_placed(tmp_path):
    path = project(tmp_path / "p.boris", {"one": observation((1.0, "", "jump", ""), files=("a.mp4", "b.mp4"))})
    told = scan(path).findings["rows cannot be understood"]
    assert told.level == "error" and "the lengths of the files before it are not in the project" in told.examples[0]


def test_live_observations_a_second_player_and_pictures(tmp_path):
    two = observation((1.0, "", "jump", ""), (2.0, "", "jump", ""))
    two["file"]["2"] = ["side.mp4"]
    path = project(tmp_path / "p.boris", {
        "live 1": {"type": "LIVE", "file": [], "events": [[1, "", "run", "", ""], [2.5, "", "run", "", "", "NA"]]},
        "two": two, "photos": {"type": "IMAGES", "file": {}, "events": [["NA", "", "run", "", "", 3, "x.jpg"]]}})
    sheet = scan(path)
    assert {e.id: e.instances for e in sheet.entries} == {"live 1": [("run", 1.0, 2.5)], "photos": [],
                                                          "clip": [("jump", 1.0, 2.0)]}
    assert sheet.findings["media are not read"].examples == ["observation 'two': player 2: side.mp4"]
    assert sheet.set_aside == {"items are no segments": 1}


def test_observations_of_one_video_are_put_together(tmp_path):
    path = project(tmp_path / "p.boris", {
        "am": observation((1.0, "", "jump", ""), (2.0, "", "jump", "")),
        "pm": observation((1.5, "", "jump", ""), (3.0, "", "jump", "")), "empty": observation(files=("c.mp4",))})
    assert found(path) == {"clip": [("jump", 1.0, 2.0), ("jump", 1.5, 3.0)], "c": []}


def test_other_fields_as_labels(tmp_path):
    path = project(tmp_path / "p.boris", {"one": observation(
        (1.0, "ann", "jump", "high"), (2.0, "ann", "jump", "high"), (3.0, "", "run", ""), (4.0, "", "run", ""))})
    sheet = scan(path, reading=Reading(label_column="Modifier"))
    assert sheet.entries[0].instances == [("high", 1.0, 2.0)] and sheet.set_aside == {"instances have no label": 1}
    assert scan(path, reading=Reading(label_column="subject")).entries[0].instances == [("ann", 1.0, 2.0)]
    with pytest.raises(AnnotationError, match="--label-column colour: events of a BORIS project have behavior"):
        scan(path, reading=Reading(label_column="colour"))


def test_what_the_ethogram_does_not_know_is_an_error(tmp_path):
    path = project(tmp_path / "p.boris", {"one": observation((1.0, "", "dance", "")), "bad": 3})
    assert scan(path).findings["rows cannot be understood"].examples == [
        "observation 'one', event 1: [1.0, '', 'dance', '', '']: 'dance' is not in the ethogram",
        "observation 'bad': 3"]


def test_actions_outlive_writing_and_reading(tmp_path):
    videos = truth() | {"day/busy": [("a", 0.0, 4.0), ("a", 1.0, 2.0), ("a", 1.5, 3.0), ("b", 2.0, 3.0),
                                     ("b", 3.0, 3.5)], "none": []}
    files = write_boris(labelled(videos, duration=60.0, fps=25.0))
    sheet = scan(written(tmp_path, files) / "losa.boris")
    assert same({entry.id: entry.instances for entry in sheet.entries}, videos)
    assert not sheet.set_aside and {entry.duration for entry in sheet.entries} == {60.0}


def test_boris_finds_what_it_opens_a_project_with():
    """The keys that project_functions.open_project_json and the observation window read."""
    videos = labelled({"v": [("jump", 1.0, 2.5), ("jump", 2.0, 3.0)]}, fps=10.0)
    content = json.loads(write_boris(videos)["losa.boris"])
    assert content.pop("project_format_version") == "7.0"
    assert {"project_name", "project_date", "project_description", "subjects_conf", "behaviors_conf", "observations",
            "behavioral_categories", "independent_variables", "coding_map", "behaviors_coding_map",
            "converters", "time_format"} == set(content)
    assert {"code", "type", "key", "modifiers", "excluded", "coding map", "category", "description"} <= set(
        content["behaviors_conf"]["0"])
    assert [subject["name"] for subject in content["subjects_conf"].values()] == ["2"]
    one = content["observations"]["v"]
    assert one["file"]["1"] == ["v.mp4"] and one["type"] == "MEDIA" and one["time offset"] == 0.0
    assert one["events"] == [[1.0, "", "jump", "", "", 10], [2.0, "2", "jump", "", "", 20],
                             [2.5, "", "jump", "", "", 25], [3.0, "2", "jump", "", "", 30]]
    assert one["media_info"]["fps"] == {"v.mp4": 10.0}
