"""Labels and predictions go to other tools with what their videos say, and come back."""

import json

import pytest

from helpers.label_cases import CASES, VIDEOS, agree, expected
from losa.annotations.prepare import prepare
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.evaluation.evaluate_file import evaluate_file
from losa.label_files.source import Reading
from losa.workflows.export_labels import export_labels


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared")
    prepare(VIDEOS, CASES / "csv_more" / "boris_fixed.csv", out)
    return out / "annotations.json"


def predictions(path, **scores):
    results = {key: [{"label": label, "segment": [start, end], "score": scores.get(label, 0.9)}
                     for _, label, start, end in expected(key)] for key in ("clip_0000", "clip_0001", "clip_0002")}
    path.write_text(json.dumps({"version": "1", "results": results}))
    return path


@pytest.mark.parametrize("to", ["label-studio", "elan", "boris", "fiftyone"])
def test_annotations_know_their_files_and_need_no_folder(prepared, tmp_path, to):
    paths = export_labels(prepared, to, tmp_path / "out")
    assert agree(scan(paths[0] if len(paths) == 1 else tmp_path / "out", videos=VIDEOS).entries, within=0.05)


def test_predictions_are_written_from_a_score_on_and_the_rest_counted(tmp_path):
    path = predictions(tmp_path / "predictions.json", bounce=0.1)
    with pytest.warns(UserWarning, match="3 of 12 predictions have a score below 0.5 and are not written"):
        export_labels(path, "csv", tmp_path / "out", min_score=0.5)
    written = [row for row in expected() if row[1] != "bounce"]
    entries = scan(next((tmp_path / "out").iterdir())).entries
    assert sum(len(entry.instances) for entry in entries) == len(written) == 9
    with pytest.raises(AnnotationError, match="holds no instance to write of score 0.99 or more; lower --min-score"):
        export_labels(path, "csv", tmp_path / "none", min_score=0.99)


def test_predictions_of_a_run_take_rates_from_its_annotations(prepared, tmp_path):
    predictions(tmp_path / "predictions.json")
    (tmp_path / "config.json").write_text(json.dumps({"annotations": str(prepared)}))
    paths = export_labels(tmp_path, "label-studio", tmp_path / "out")
    assert agree(scan(paths[0], videos=VIDEOS).entries, within=0.05)


def test_frames_need_a_rate_and_subsets_must_be_there(prepared, tmp_path):
    lonely = predictions(tmp_path / "predictions.json")
    with pytest.raises(AnnotationError, match="--videos"):
        export_labels(lonely, "label-studio", tmp_path / "out")
    with pytest.raises(AnnotationError, match="there is no subset 'tset'; there are 'all'"):
        export_labels(prepared, "csv", tmp_path / "out", subset="tset")


def test_the_rate_that_is_given_counts_where_no_video_says_it(tmp_path):
    path = predictions(tmp_path / "predictions.json")
    with pytest.raises(AnnotationError, match=r"the rate \(--fps 25\)"):
        export_labels(path, "label-studio", tmp_path / "none")
    paths = export_labels(path, "label-studio", tmp_path / "out", reading=Reading(fps=25.0))
    assert agree(scan(paths[0]).entries, within=0.05)
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label,start,end\na,jump,1,2\n")
    (tasks, _) = export_labels(labels, "label-studio", tmp_path / "labels", reading=Reading(fps=25.0))
    assert scan(tasks).entries[0].instances == [("jump", 1.0, 2.0)]


def test_predictions_have_no_subset_to_choose(tmp_path):
    with pytest.raises(AnnotationError, match="--subset test: predictions have no subsets; leave it out"):
        export_labels(predictions(tmp_path / "predictions.json"), "csv", tmp_path / "out", subset="test")


def test_predictions_written_as_a_table_still_compare_with_the_truth(prepared, tmp_path):
    (table,) = export_labels(predictions(tmp_path / "predictions.json"), "csv", tmp_path / "out", videos=VIDEOS)
    assert evaluate_file(table, prepared)["average_map"] == 1.0
