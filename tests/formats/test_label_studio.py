"""Label Studio: exports of every kind, annotators, controls, frame rates; and tasks that come back as they were."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree

import pytest

from helpers.tool_cases import CASES, found, same, truth, write
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.formats.label_studio import write_label_studio
from losa.label_files.rows import Item, Labelled
from losa.label_files.source import Reading

AT_12 = Reading(fps=12.0)
URL = "/data/upload/3/0123abcd-walk.mp4"


def timeline(label, *ranges, control="videoLabels", **more):
    value = {"ranges": [{"start": first, "end": last} for first, last in ranges], "timelinelabels": [label]}
    return {"type": "timelinelabels", "from_name": control, "to_name": "video", "value": value, **more}


def task(*results, number=1, by=1, data=None, **more):
    return {"id": number, "data": data or {"video": URL},
            "annotations": [{"id": number, "completed_by": by, "result": list(results), **more}]}


@pytest.mark.parametrize("name", ["ls.csv", "project.json"])
def test_the_twelve_instances_of_the_samples(name):
    sheet = scan(CASES / "label_studio" / name, reading=AT_12)
    assert sheet.layout == "Label Studio" and same(found(sheet), truth()) and not sheet.set_aside


def test_frames_are_divided_by_the_rate_of_the_videos_which_a_note_says():
    sheet = scan(CASES / "label_studio" / "project.json", videos=CASES / "videos")
    assert same(found(sheet), truth())
    note = sheet.findings["frames are counted at the tool's rate"]
    assert note.count == 3 and "--fps 24" in note.advice and "not stated" in note.examples[0]
    findings = scan(CASES / "label_studio" / "project.json").findings
    without = findings["times are frames, and the frame rate is not known"]
    assert without.level == "error" and "--fps" in without.advice


def test_json_min_with_lists_and_with_single_regions(tmp_path):
    region = {"ranges": [{"start": 25, "end": 48}], "timelinelabels": ["jump", "high"]}
    rows = [{"video": URL, "id": 1, "videoLabels": [region], "annotator": 1, "annotation_id": 1, "lead_time": 3.2},
            {"video": "s3://bucket/day 1/run.mov", "id": 2, "videoLabels": region}]
    sheet = scan(write(tmp_path, "min.json", rows), reading=Reading(fps=24.0))
    assert found(sheet) == [(video, label, 1, 2) for video in ("run", "walk") for label in ("high", "jump")]


def test_csv_cells_may_be_longer_than_a_reader_of_csv_allows(tmp_path):
    regions = [{"ranges": [{"start": n * 10 + 1, "end": n * 10 + 5}], "timelinelabels": ["jump"], "note": "x" * 500}
               for n in range(400)]
    text = io.StringIO()
    csv.writer(text).writerows([["annotation_id", "annotator", "id", "video", "videoLabels"],
                                [1, "a@b.c", 1, URL, json.dumps(regions)]])
    sheet = scan(write(tmp_path, "a.csv", text.getvalue()), reading=Reading(fps=10.0))
    assert len(found(sheet)) == 400 and found(sheet)[1][2:] == (1, 1.5)


def test_a_csv_without_the_columns_of_annotators(tmp_path):
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([["id", "video", "acts"], [
        1, "http://localhost:8080/data/upload/1/0123abcd-a.mp4", json.dumps(timeline("run", (1, 10))["value"])],
        [2, "b.mp4", ""]])
    sheet = scan(write(tmp_path, "a.csv", text.getvalue()), reading=Reading(fps=10.0))
    assert found(sheet) == [("a", "run", 0, 1)] and [entry.id for entry in sheet.entries] == ["a", "b"]


def test_seconds_of_audio_labels_and_an_annotation_that_holds_its_task(tmp_path):
    speech = {"type": "labels", "from_name": "label", "to_name": "audio",
              "value": {"start": 1.25, "end": 2.5, "channel": 0, "labels": ["clap"]}}
    annotation = {"id": 4, "result": [speech], "completed_by": {"id": 1, "email": "a@b.c"},
                  "task": {"id": 9, "data": {"audio": "/data/local-files/?d=sound/clip%201.mp4"}}}
    assert found(scan(write(tmp_path, "4.json", annotation))) == [("clip 1", "clap", 1.25, 2.5)]
    assert "frames are counted at the tool's rate" not in scan(tmp_path / "4.json").findings


def test_boxes_are_segments_while_they_are_enabled_at_the_rate_beside_them(tmp_path):
    value = {"framesCount": 250, "duration": 10.0, "labels": ["car"], "sequence": [
        {"frame": 51, "enabled": True, "time": 2}, {"frame": 26, "enabled": True}, {"frame": 75, "enabled": False},
        {"frame": 226, "enabled": True, "x": 1}]}
    results = [{"id": "a", "type": "videorectangle", "from_name": "box", "value": value},
               {"id": "a", "type": "labels", "from_name": "videoLabels", "value": value}]
    sheet = scan(write(tmp_path, "a.json", [task(*results)]))
    assert found(sheet) == [("walk", "car", 1, 3), ("walk", "car", 9, 10)] and sheet.entries[0].duration == 10
    assert found(scan(tmp_path / "a.json", reading=Reading(fps=50.0))) == [("walk", "car", 0.5, 1.5),
                                                                         ("walk", "car", 4.5, 5)]


def test_the_rate_of_a_config_that_takes_it_from_the_task(tmp_path):
    path = write(tmp_path, "a.json", [task(timeline("run", (11, 20)), data={"video": URL, "fps": "10"})])
    sheet = scan(path, videos=tmp_path)
    assert found(sheet) == [("walk", "run", 1, 2)]
    assert "10 a second, as the file states" in sheet.findings["frames are counted at the tool's rate"].examples[0]


def test_skipped_annotations_predictions_and_tasks_without_any_are_set_aside(tmp_path):
    one = task(timeline("run", (1, 10), (21, 30)))
    one["annotations"].append({"was_cancelled": True, "completed_by": 2, "result": [timeline("sit", (1, 5))]})
    one["predictions"] = [{"model_version": "m", "result": [timeline("fly", (1, 5)), timeline("fly", (6, 9))]}]
    one["drafts"] = [{"result": [timeline("sit", (3, 5))]}]
    two = {"id": 2, "data": {"video": "b.mp4"}, "annotations": [], "predictions": [{"result": [timeline("x", (1, 2))]}]}
    three = {"id": 3, "data": {"video": "c.mp4"}, "annotations": []}
    four = task(number=4, data={"video": "d.mp4"})  # submitted without a label: nothing happens in it
    sheet = scan(write(tmp_path, "a.json", [one, two, three, four]), reading=Reading(fps=10.0))
    assert found(sheet) == [("walk", "run", 0, 1), ("walk", "run", 2, 3)]
    assert [entry.id for entry in sheet.entries] == ["walk", "d"]
    assert sheet.set_aside == {"items are drafts, skipped or predicted": 5}
    assert sheet.counts.startswith("7 instances read = 2 kept + 5 set aside")
    assert sheet.findings["videos are not labelled yet"].count == 2


def test_predictions_alone_are_read_with_a_warning(tmp_path):
    rows = [{"data": {"video": URL}, "predictions": [{"model_version": "m1", "result": [timeline("run", (1, 10))]}]}]
    sheet = scan(write(tmp_path, "a.json", rows), reading=Reading(fps=10.0))
    assert found(sheet) == [("walk", "run", 0, 1)] and sheet.findings["labels are predictions"].level == "warning"


def test_several_annotators_are_a_choice(tmp_path):
    both = task(timeline("run", (1, 10)), by={"id": 1, "email": "ann@x.org"}, updated_at="2024-01-01")
    both["annotations"] += [{"completed_by": 2, "result": [timeline("run", (1, 12)), timeline("sit", (21, 30))]},
                            {"completed_by": {"email": "ann@x.org"}, "result": [timeline("run", (1, 20))],
                             "updated_at": "2024-02-01"}]
    path = write(tmp_path, "a.json", [both, task(timeline("sit", (1, 10)), number=2, by=2, data={"video": "b.mp4"})])
    with pytest.raises(AnnotationError, match=r"several annotators.*'ann@x.org' \(2\), '2' \(2\).*--tier ann@x.org"):
        scan(path, reading=Reading(fps=10.0))
    sheet = scan(path, reading=Reading(fps=10.0, tier="ann@x.org"))  # the later of her two versions
    assert found(sheet) == [("walk", "run", 0, 2)] and sheet.set_aside == {"items are another annotator's": 4}
    both["annotations"][1]["ground_truth"] = True
    sheet = scan(write(tmp_path, "b.json", [both]), reading=Reading(fps=10.0))
    assert found(sheet) == [("walk", "run", 0, 1.2), ("walk", "sit", 2, 3)]
    with pytest.raises(AnnotationError, match=r"--tier 7: there is no such annotator; there are '2' \(1\)"):
        scan(path.with_name("b.json"), reading=Reading(fps=10.0, tier="7"))


def test_several_controls_are_a_choice_and_boxes_are_not(tmp_path):
    box = {"type": "videorectangle", "from_name": "box",
           "value": {"sequence": [{"frame": 1, "enabled": True}], "labels": ["car"], "framesCount": 100}}
    path = write(tmp_path, "a.json", [task(timeline("run", (1, 10)), box)])
    sheet = scan(path, reading=Reading(fps=10.0))
    assert found(sheet) == [("walk", "run", 0, 1)] and sheet.set_aside == {"instances have no label": 1}
    assert "'box' (1)" in sheet.findings["several could be the label"].examples[0]
    assert found(scan(path, reading=Reading(fps=10.0, label_column="box"))) == [("walk", "car", 0, 10)]
    path = write(tmp_path, "b.json", [task(timeline("run", (1, 10)), timeline("near", (1, 20), control="camera"))])
    with pytest.raises(AnnotationError, match=r"several controls.*'videoLabels' \(1\), 'camera' \(1\).*--label-column"):
        scan(path)
    assert found(scan(path, reading=Reading(fps=10.0, label_column="camera"))) == [("walk", "near", 0, 2)]


def test_answers_about_a_region_can_be_its_label_and_those_about_a_video_are_none(tmp_path):
    about = {"id": "r", "type": "choices", "from_name": "how", "value": {
        "ranges": [{"start": 1, "end": 10}], "choices": ["fast"]}}
    whole = {"type": "choices", "from_name": "scene", "value": {"choices": ["indoor"]}}
    path = write(tmp_path, "a.json", [task(timeline("run", (1, 10), id="r"), about, whole)])
    sheet = scan(path, reading=Reading(fps=10.0))
    assert found(sheet) == [("walk", "run", 0, 1)] and sheet.set_aside == {"items are no segments": 1}
    assert "'how' (1)" in sheet.findings["several could be the label"].examples[0]
    assert found(scan(path, reading=Reading(fps=10.0, label_column="how"))) == [("walk", "fast", 0, 1)]


def test_projects_without_segments_are_refused_by_name(tmp_path):
    shape = {"type": "rectanglelabels", "value": {"x": 1, "y": 2, "rectanglelabels": ["car"]}}
    path = write(tmp_path, "a.json", [task(shape, shape, data={"image": "a.jpg"})])
    with pytest.raises(AnnotationError, match=r"file without any segment; it has 2 rectanglelabels.*TimelineLabels"):
        scan(path)
    words = {"type": "labels", "value": {"start": 3, "end": 9, "text": "Berlin", "labels": ["place"]}}
    with pytest.raises(AnnotationError, match="without any segment; it has 1 labels"):
        scan(write(tmp_path, "b.json", [task(words, data={"text": "in Berlin"})]))


def test_values_that_are_no_frames_are_findings_with_their_place(tmp_path):
    wrong = timeline("run", (1, 10))
    wrong["value"]["ranges"] += [{"start": "0:01", "end": 4}, {"start": 5}, 7]
    with pytest.raises(AnnotationError, match=r"3 rows cannot be understood:\n  task 1 \(id 1\) annotations 1 resu"):
        read_layout(write(tmp_path, "a.json", [task(wrong)]), reading=Reading(fps=10.0))


# --- writing --------------------------------------------------------------------------------------------------------

VIDEOS = [Labelled("day 1/a b", [Item("jump", 1.0, 2.6), Item('"sit" & <go>', 3.21, 3.22)], "", "day 1/a b.mp4",
                   None, 25.0),
          Labelled("c", [], file="c.mkv", fps=29.97)]


def test_annotations_come_back_from_what_is_written(tmp_path):
    files = write_label_studio(VIDEOS)
    sheet = scan(write(tmp_path, "label_studio.json", files["label_studio.json"]))
    assert same(found(sheet), [("day 1/a b", '"sit" & <go>', 3.2, 3.24), ("day 1/a b", "jump", 1, 2.6)], 1e-9)
    assert [entry.id for entry in sheet.entries] == ["day 1/a b", "c"]
    assert "labels are predictions" not in sheet.findings


def test_scored_items_are_written_as_predictions_for_all_videos(tmp_path):
    scored = [Labelled("a", [Item("jump", 1.0, 2.0, 0.75)], fps=30.0), Labelled("b", [], fps=30.0)]
    tasks = json.loads(write_label_studio(scored)["label_studio.json"])
    assert [sorted(each) for each in tasks] == [["data", "predictions"]] * 2
    result = tasks[0]["predictions"][0]["result"][0]
    assert result["score"] == 0.75 and result["value"] == {"ranges": [{"start": 31, "end": 60}],
                                                           "timelinelabels": ["jump"]}
    assert found(scan(write(tmp_path, "a.json", tasks))) == [("a", "jump", 1, 2)]


def test_the_config_names_every_label_and_the_rate_of_the_task():
    config = ElementTree.fromstring(write_label_studio(VIDEOS)["labeling_config.xml"])
    assert [label.get("value") for label in config.iter("Label")] == ['"sit" & <go>', "jump"]
    assert config.find("Video").get("frameRate") == "$fps" and config.find("TimelineLabels").get("toName") == "video"


def test_writing_needs_the_frame_rate():
    with pytest.raises(AnnotationError, match=r"of 1 videos the frame rate is not known:\n  x\n.*--videos.*--fps 25"):
        write_label_studio([*VIDEOS, Labelled("x", [])])
