"""Tags of segments: read, found again after a new test, and left out of an evaluation as by hand."""

import json

import numpy as np
import pytest

from losa.evaluation.average_precision import evaluate
from losa.evaluation.tagged import FILE, NEAR_S, evaluate_without, find_tagged, read_tags


def tag(video, kind, label, segment, name="ambiguous"):
    return {"video": video, "kind": kind, "label": label, "segment": list(segment), "tag": name, "note": ""}


def record(start, end, label, score=None):
    return {"segment": [start, end], "label": label} | ({} if score is None else {"score": score})


TRUTH = {"v": [record(0, 10, "a"), record(20, 30, "a"), record(40, 50, "b")], "w": [record(0, 5, "b")], "empty": []}
GIVEN = {"v": [record(0, 10, "a", 0.9), record(5, 14, "b", 0.8), record(21, 30, "a", 0.7), record(60, 70, "a", 0.6),
               record(40, 49, "b", 0.5)], "w": [record(0, 4, "b", 0.4), record(7, 9, "b", 0.95)], "empty": []}


def test_read_tags_reads_what_is_written_and_nothing_where_there_is_no_file(tmp_path):
    assert read_tags(tmp_path) == []
    tags = [tag("v", "truth", "a", [0, 10]) | {"note": "half hidden"}]
    (tmp_path / FILE).write_text(json.dumps({"tags": tags}))
    assert read_tags(tmp_path) == tags


@pytest.mark.parametrize("content", ["[]", "{", '{"tags": 3}', json.dumps({"tags": [tag("v", "lane", "a", [0, 1])]}),
                                     json.dumps({"tags": [tag("v", "truth", "a", [0, 1], "odd")]}),
                                     json.dumps({"tags": [tag("v", "truth", "a", [0])]}),
                                     json.dumps({"tags": [tag("v", "truth", "a", ["0", "1"])]})])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match="tags.json.*expected the tags of a run"):
        read_tags(tmp_path)


def test_a_tag_finds_its_segment_after_it_moved_a_little_and_no_other():
    rows = {"v": [record(1.0, 2.0, "a", 0.9), record(1.02, 2.03, "a", 0.8), record(1.0, 2.0, "b", 0.7)]}
    found = lambda *tags: find_tagged(tags, {}, rows)  # noqa: E731
    assert found(tag("v", "prediction", "a", [1.021, 2.029])) == [1]
    assert found(tag("v", "prediction", "b", [1.0, 2.0])) == [2]
    assert found(tag("v", "prediction", "a", [1.0, 2.0]), tag("v", "prediction", "a", [1.02, 2.03])) == [0, 1]
    assert found(tag("v", "prediction", "a", [1.0, 2.0]), tag("v", "prediction", "a", [1.001, 2.0])) == [0, 1]
    assert found(tag("v", "truth", "a", [1.0, 2.0]), tag("x", "prediction", "a", [1.0, 2.0])) == [None, None]
    assert found(tag("v", "prediction", "b", [1.0 - 1.1 * NEAR_S, 2.0])) == [None]


def test_ambiguous_truth_is_not_to_be_found_and_what_touches_it_is_forgiven():
    tags = [tag("v", "truth", "a", [0, 10]), tag("w", "truth", "b", [0, 5], "label wrong")]
    found = evaluate_without(TRUTH, GIVEN, tags, (0.5,))
    by_hand = {"v": TRUTH["v"][1:], "w": TRUTH["w"], "empty": []}
    left = {"v": GIVEN["v"][2:], "w": GIVEN["w"], "empty": []}  # the first two touch what is tagged
    assert found["without"]["per_class"] == evaluate(by_hand, left, (0.5,)).per_class
    assert found["all"] == evaluate(TRUTH, GIVEN, (0.5,)).to_dict()
    assert (found["num_truth"], found["num_predictions"], found["num_forgiven"], found["num_gone"]) == (1, 0, 2, 0)
    assert found["classes"] == [] and found["without"]["num_ground_truth"] == 3
    assert found["without"]["average_map"] != found["all"]["average_map"]


def test_a_right_prediction_that_touches_something_ambiguous_stays_right():
    found = evaluate_without({"v": [record(0, 10, "a"), record(8, 12, "b")]},
                             {"v": [record(0, 10, "a", 0.9), record(0, 9, "a", 0.8)]},
                             [tag("v", "truth", "b", [8, 12])])
    assert found["without"]["average_map"] == 1.0 and found["classes"] == ["b"] and found["num_forgiven"] == 1


def test_tagged_predictions_are_taken_out_and_gone_ones_are_counted():
    tags = [tag("v", "prediction", "a", [60, 70]), tag("v", "prediction", "a", [80, 90]),
            tag("gone", "truth", "a", [0, 1])]
    found = evaluate_without(TRUTH, GIVEN, tags)
    left = {**GIVEN, "v": [row for row in GIVEN["v"] if row["segment"] != [60, 70]]}
    assert found["without"]["map"] == evaluate(TRUTH, left).map
    assert (found["num_truth"], found["num_predictions"], found["num_gone"]) == (0, 1, 2)


def test_what_was_ambiguous_before_keeps_its_meaning_in_every_protocol():
    vague = {"segment": [60.0, 65.0], "label": "Ambiguous", "ambiguous": True}
    truth = {**TRUTH, "v": [*TRUTH["v"], vague]}
    tags = [tag("v", "truth", "b", [40, 50])]
    plain = evaluate_without(truth, GIVEN, tags)
    assert plain["without"]["map"] == evaluate_without(TRUTH, GIVEN, tags)["without"]["map"]
    toolkit = evaluate_without(truth, GIVEN, tags, protocol="thumos14")
    by_hand = {**truth, "v": [*TRUTH["v"][:2], {**TRUTH["v"][2], "ambiguous": True}, vague]}
    assert np.allclose(toolkit["without"]["map"], evaluate(by_hand, GIVEN, protocol="thumos14").map)
    assert toolkit["num_forgiven"] == 1 and plain["num_forgiven"] == 1  # the b of 40 to 49 s, in both


def test_an_instance_written_twice_is_taken_out_with_its_copy():
    truth = {"v": [record(0, 10, "a"), record(0, 10.0005, "a"), record(20, 30, "a")]}
    found = evaluate_without(truth, GIVEN, [tag("v", "truth", "a", [0, 10])], protocol="activitynet-dedup")
    assert found["without"]["num_ground_truth"] == 1


def test_nothing_left_and_an_unknown_tag_are_errors_that_help():
    tags = [tag(v, "truth", r["label"], r["segment"]) for v, rows in TRUTH.items() for r in rows]
    with pytest.raises(ValueError, match="all 4 instances are tagged ambiguous.*Take the tag"):
        evaluate_without(TRUTH, GIVEN, tags)
    with pytest.raises(ValueError, match="'vague': expected some of label wrong, ambiguous, model wrong"):
        evaluate_without(TRUTH, GIVEN, tags, which=["vague"])
