"""CSV and ActivityNet's JSON: what is written reads back the same."""

import csv
import io
import json

import pytest

from helpers.annotation_files import write_text as write
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.formats.write_labels import write_activitynet, write_csv
from losa.label_files.rows import Item, Labelled

VIDEOS = [
    Labelled("one", [Item("long jump", 0.0, 1.25), Item('say "hi", twice', 3.1234567, 60.5)], "train", "one.mp4", 61.5,
             29.97),
    Labelled("sub/two", [Item("=1+1", 1e-05, 2.0)], "val"),
    Labelled("empty", [], "val", "empty.mkv", 3.0),
    Labelled("plain", [Item("Sprünge", 10.0, 11.0)]),
]
EXPECTED = {"one": [("long jump", 0, 1.25), ('say "hi", twice', 3.123457, 60.5)], "sub/two": [("=1+1", 1e-05, 2)],
            "empty": [], "plain": [("Sprünge", 10, 11)]}


@pytest.mark.parametrize("function", [write_csv, write_activitynet])
def test_labels_read_back_as_they_were(tmp_path, function):
    (name, text), = function(VIDEOS).items()
    sheet = scan(write(tmp_path / name, text))
    assert {entry.id: entry.instances for entry in sheet.entries} == EXPECTED
    assert {entry.id: entry.subset for entry in sheet.entries} == {"one": "train", "sub/two": "val", "empty": "val",
                                                                   "plain": "all"}
    assert [finding.kind for finding in sheet.findings.values()] == []


def test_activitynet_keeps_duration_and_frame_rate_and_csv_the_names_of_files(tmp_path):
    content = json.loads(write_activitynet(VIDEOS)["annotations.json"])["database"]
    assert (content["one"]["duration"], content["one"]["fps"]) == (61.5, 29.97)
    assert content["plain"] == {"subset": "all", "annotations": [{"label": "Sprünge", "segment": [10.0, 11.0]}]}
    rows = list(csv.reader(io.StringIO(write_csv(VIDEOS)["labels.csv"])))
    assert rows[0] == ["video", "label", "start", "end", "subset"]
    assert rows[2] == ["one.mp4", 'say "hi", twice', "3.123457", "60.5", "train"]
    assert rows[4] == ["empty.mkv", "", "", "", "val"] and rows[3][2] == "1e-05"


def test_predictions_are_results_with_scores(tmp_path):
    videos = [Labelled("one", [Item("jump", 1.0, 2.0, 0.75), Item("jump", 1.5, 2.0, 0.123456789)]), Labelled("two", [])]
    (name, text), = write_activitynet(videos).items()
    assert name == "predictions.json" and json.loads(text)["results"] == {"one": [
        {"label": "jump", "segment": [1.0, 2.0], "score": 0.75},
        {"label": "jump", "segment": [1.5, 2.0], "score": 0.123456789}], "two": []}
    rows = list(csv.reader(io.StringIO(write_csv(videos)["labels.csv"])))
    assert rows[0][-1] == "score" and rows[1] == ["one", "jump", "1.0", "2.0", "", "0.75"]
    assert rows[3] == ["two", "", "", "", "", ""]
    assert scan(write(tmp_path / "a.csv", write_csv(videos)["labels.csv"])).entries[0].instances[1] == ("jump", 1.5, 2)


def test_scores_for_some_items_alone_are_refused():
    videos = [Labelled("one", [Item("jump", 1.0, 2.0, 0.75), Item("sit", 1.5, 2.0)])]
    with pytest.raises(AnnotationError, match=r"1 of 2 items have no score: one: 'sit' \[1.5, 2.0\]; expected a score"):
        write_activitynet(videos)
    assert write_csv(videos)["labels.csv"].splitlines()[2] == "one,sit,1.5,2.0,,"
