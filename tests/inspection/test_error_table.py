"""Segments in tables: wrong predictions, one of each kind by hand, what really happened there, and all others."""

import json
import math
from dataclasses import replace

import pytest

from helpers.made_runs import made_run, made_world
from losa.evaluation.diagnose import diagnose
from losa.inspection.error_table import COLUMNS, SEGMENTS, diagnose_run, list_errors, list_segments
from losa.inspection.run_folder import open_run


def record(start, end, label, score):
    return {"segment": [start, end], "label": label, "score": score}


@pytest.fixture
def run(tmp_path):
    """A run whose test videos hold jump from 5 to 7 (test_0; a second later in each next one) and kick from 20 to 25.

    test_0 has two movements that are no class: a bow from 30 to 33 and a nod from 32 to 34.
    """
    annotations = made_world(tmp_path / "world", 0, num_videos=2)
    content = json.loads(annotations.read_text())
    content["database"]["test_0"]["fillers"] = [{"label": "bow", "segment": [30.0, 33.0]},
                                                {"label": "nod", "segment": [32.0, 34.0]}]
    annotations.write_text(json.dumps(content))
    made_run(tmp_path / "run", annotations, 0.1)
    return open_run(tmp_path / "run")


FOUND = {
    "test_0": [record(5, 7, "jump", 0.9), record(5, 6.9, "jump", 0.8), record(20, 25, "jump", 0.7),
               record(21, 23, "kick", 0.6), record(20, 22, "jump", 0.55), record(32.1, 34, "kick", 0.5),
               record(30, 32, "jump", 0.45), record(12, 14, "kick", 0.4), record(6.9, 12, "jump", 0.35),
               record(5, 7, "kick", 0.1)],
    "test_1": [record(31, 33, "jump", 0.3)],
}


def test_each_kind_of_error_is_listed_with_what_really_happens(run):
    table = list_errors(replace(run, predictions=FOUND))
    assert list(table.columns) == COLUMNS
    expected = [
        ["test_0", 5, 6.9, "jump", 0.8, "double detection", "jump"],
        ["test_0", 20, 25, "jump", 0.7, "wrong label", "kick"],
        ["test_0", 21, 23, "kick", 0.6, "true positive", ""],
        ["test_0", 20, 22, "jump", 0.55, "confusion", "kick"],
        ["test_0", 32.1, 34, "kick", 0.5, "background", "nod"],
        ["test_0", 30, 32, "jump", 0.45, "background", "bow"],
        ["test_0", 12, 14, "kick", 0.4, "background", "nothing in particular"],
        ["test_0", 6.9, 12, "jump", 0.35, "background", "nothing in particular"],
        ["test_1", 31, 33, "jump", 0.3, "background", "nothing in particular"],
    ]
    expected[2][5:] = ["localisation", "kick"]
    assert table.values.tolist() == expected


def test_scores_below_the_least_one_do_not_count(run):
    found = replace(run, predictions=FOUND)
    assert list_errors(found, min_score=0.5).score.tolist() == [0.8, 0.7, 0.6, 0.55, 0.5]
    assert 0.1 in list_errors(found, min_score=0.05).score.tolist()
    nothing = list_errors(found, min_score=0.95)
    assert len(nothing) == 0 and list(nothing.columns) == COLUMNS


def test_the_table_agrees_with_the_diagnosis(run):
    told = diagnose_run(run, 0.2)
    assert told == diagnose(run.truth, run.predictions, thresholds=run.config.tiou, min_score=0.2,
                            durations={"test_0": 40.0, "test_1": 40.0})
    wrong = {kind["name"]: kind["count"] for kind in told["kinds"] if kind["name"] != "true positive"}
    counted = list_errors(run, 0.2).error.value_counts().to_dict()
    assert counted == {name: count for name, count in wrong.items() if count}


def test_without_the_annotations_file_the_truth_still_tells(run):
    gone = replace(run, predictions=FOUND, config=run.config.replace(annotations="gone.json"))
    table = list_errors(gone).set_index("score").really
    assert table[0.7] == "kick" and table[0.5] == table[0.45] == "nothing in particular"


def test_every_segment_has_a_row_with_what_was_predicted_and_what_really_is(run):
    table = list_segments(replace(run, predictions=FOUND), min_score=0.3)
    assert list(table.columns) == SEGMENTS and len(table) == 9 + 1 + 4  # but for the one of 0.1
    rows = {(row.video, row.kind, row.index): row for row in table.itertuples(index=False)}
    right, missed = rows["test_0", "prediction", 0], rows["test_1", "truth", 0]
    assert (right.error, right.predicted, right.really, right.score) == ("true positive", "jump", "jump", 0.9)
    assert (missed.error, missed.predicted, missed.really) == ("missed", "", "jump") and math.isnan(missed.score)
    assert [missed.start, missed.end] == [6, 8] and rows["test_0", "truth", 0].error == "found"
    told = diagnose_run(replace(run, predictions=FOUND), 0.3)
    assert table[table.kind == "prediction"].error.value_counts().to_dict() == {
        name: count for name, count in told["counts"].items() if count and name not in ("found", "missed", "left out")}
    assert (table.error == "missed").sum() == told["counts"]["missed"]
    assert table.equals(list_segments(replace(run, predictions=FOUND), 0.3, told))


def test_videos_without_predictions_are_there_and_a_run_without_anything_has_no_row(run):
    assert list_segments(replace(run, predictions={})).error.tolist() == ["missed"] * 4
    truth = {"test_0": run.truth["test_0"], "lost": [{"segment": [1.0, 2.0], "label": "jump"}]}
    assert "lost" in list_segments(replace(run, truth=truth)).video.tolist()
