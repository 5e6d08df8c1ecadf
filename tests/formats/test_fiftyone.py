"""FiftyOne: labels.json and samples.json, frames and seconds; and what is written comes back."""

import json

import pytest

from helpers.tool_cases import CASES, found, same, truth, write
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.formats.fiftyone import write_fiftyone
from losa.label_files.rows import Item, Labelled
from losa.label_files.source import Reading


def detection(label, first, last, **more):
    return {"_cls": "TemporalDetection", "label": label, "support": [first, last], **more}


def sample(name, *detections, field="events", **more):
    return {"_media_type": "video", "filepath": name, "tags": ["train", "good"],
            "metadata": {"_cls": "VideoMetadata", "frame_rate": 10.0, "duration": 20.0, "total_frame_count": 200},
            field: {"_cls": "TemporalDetections", "detections": list(detections)}, **more}


def test_the_twelve_instances_of_the_sample():
    sheet = scan(CASES / "fiftyone" / "labels.json")
    assert sheet.layout == "FiftyOne" and same(found(sheet), truth())
    assert sheet.classes == ["bounce", "catch", "jump", "throw", "wave"]


def test_support_is_frames_from_one_with_the_last_one(tmp_path):
    content = {"classes": None, "labels": {"a": [{"label": "run", "support": [11, 20], "confidence": 0.5}],
                                           "b": {"label": "sit", "timestamps": ["0:01", 2.5]}, "c": None, "d": []}}
    sheet = scan(write(tmp_path, "labels.json", content), reading=Reading(fps=10.0))
    assert found(sheet) == [("a", "run", 1, 2), ("b", "sit", 1, 2.5)]
    assert [entry.id for entry in sheet.entries] == ["a", "b", "c", "d"]


def test_numbers_without_a_list_of_classes_are_named_by_the_users(tmp_path):
    path = write(tmp_path, "labels.json", {"labels": {"a": [{"label": 2, "timestamps": [1, 2]}]}})
    assert found(scan(path)) == [("a", "2", 1, 2)] and found(scan(path, ["run", "sit"])) == [("a", "sit", 1, 2)]


def test_numbers_beyond_the_list_and_wrong_times_are_findings(tmp_path):
    items = [{"label": 2, "timestamps": [1, 2]}, {"label": -1, "timestamps": [1, 2]}, {"label": 0, "support": [1]},
             {"label": 0, "support": ["1:2", 3]}, {"label": 0}, 5]
    path = write(tmp_path, "labels.json", {"classes": ["run", "sit"], "labels": {"a": items}})
    with pytest.raises(AnnotationError, match=r"6 rows cannot be understood:\n  labels a 1: expected a class or a "
                                              r"number from 0 to 1, got 2"):
        read_layout(path, reading=Reading(fps=10.0))


@pytest.mark.parametrize("items", [{"a": 1, "b": 0}, {"a": [{"label": 0, "bounding_box": [0, 0, 1, 1]}]},
                                   {"a": {"label": "x"}}])
def test_labels_without_times_are_refused_by_name(tmp_path, items):
    with pytest.raises(AnnotationError, match="FiftyOne's labels without times.*FiftyOneTemporalDetectionDataset"):
        scan(write(tmp_path, "labels.json", {"classes": ["x", "y"], "labels": items}))


def test_samples_of_a_whole_dataset(tmp_path):
    path = write(tmp_path, "samples.json", {"samples": [
        sample("data/a.mp4", detection("run", 11, 20)), sample("/media/disk/b.mp4", tags=["val"], frames={}),
        sample("data/day 1/c.mp4", field="other", events=detection("sit", 1, 5))]})
    sheet = scan(path)
    assert found(sheet) == [("a", "run", 1, 2), ("day 1/c", "sit", 0, 0.5)]
    assert [(e.id, e.subset, e.duration) for e in sheet.entries] == [("a", "train", 20), ("b", "val", 20),
                                                                     ("day 1/c", "train", 20)]


def test_several_fields_are_a_choice(tmp_path):
    predicted = {"_cls": "TemporalDetections", "detections": [detection("sit", 1, 10, confidence=0.9)]}
    samples = [sample("data/a.mp4", detection("run", 11, 20), pred=predicted)]
    path = write(tmp_path, "samples.json", {"samples": samples})
    with pytest.raises(AnnotationError, match=r"several fields with labels: 'events' \(1\), 'pred' \(1\).*--label-col"):
        scan(path)
    assert found(scan(path, reading=Reading(label_column="events"))) == [("a", "run", 1, 2)]
    boxes = {"samples": [{"filepath": "a.mp4", "boxes": {"_cls": "Detections", "detections": [{}]}}]}
    with pytest.raises(AnnotationError, match="without a field of temporal detections"):
        scan(write(tmp_path, "b.json", boxes))


def test_what_is_written_comes_back(tmp_path):
    videos = [Labelled("day 1/a", [Item("run", 1.25, 2.5), Item("go", 3.0, 3.001)], file="day 1/a.mp4"),
              Labelled("b", [])]
    path = write(tmp_path, "labels.json", write_fiftyone(videos)["labels.json"])
    assert found(scan(path)) == [("day 1/a", "go", 3, 3.001), ("day 1/a", "run", 1.25, 2.5)]
    assert [entry.id for entry in scan(path).entries] == ["day 1/a", "b"] and scan(path).classes == ["go", "run"]
    scored = json.loads(write_fiftyone([Labelled("a", [Item("run", 1.0, 2.0, 0.5)])])["labels.json"])
    assert scored == {"classes": ["run"], "labels": {"a": [{"label": 0, "timestamps": [1, 2], "confidence": 0.5}]}}
