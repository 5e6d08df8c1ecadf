"""The truth that predictions are compared with: which classes, which videos, and whose file."""

import json

import numpy as np
import pytest

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import ConfigError, EvaluationError, NoTruthError
from losa.evaluation.average_precision import evaluate
from losa.evaluation.ground_truth import as_judged, as_learnt, choose_truth, leave_unmeasured, make_truth


def a_video(name, subset, *rows):
    segments = np.array([row[1:] for row in rows], float).reshape(-1, 2)
    labels = np.array([("jump", "wave").index(row[0]) for row in rows], int)
    return Video(name, subset, None, 0.0, 40.0, segments, labels)


LABELLED = Annotations(("jump", "wave"), (a_video("a", "train", ("wave", 1, 2)), a_video("b", "test", ("jump", 3, 5),
                                          ("wave", 4, 6)), a_video("c", "test", ("wave", 7, 8))))  # fmt: skip
TRUTH = {"b": [{"segment": [3.0, 5.0], "label": "jump"}, {"segment": [4.0, 6.0], "label": "wave"}],
         "c": [{"segment": [7.0, 8.0], "label": "wave"}]}
ONE_CLASS = {video: [record | {"label": "action"} for record in records] for video, records in TRUTH.items()}


def test_one_class_is_learnt_and_a_classifier_is_judged_by_all():
    apart, one, named = (Config(), Config(class_agnostic=True), Config(class_agnostic=True, classifier="x.json"))
    assert as_learnt(apart, LABELLED) is as_judged(apart, LABELLED) is as_judged(named, LABELLED) is LABELLED
    for seen in (as_learnt(one, LABELLED), as_learnt(named, LABELLED), as_judged(one, LABELLED)):
        assert seen.classes == ("action",) and make_truth(seen.videos[1:], seen.classes) == ONE_CLASS
    assert LABELLED.videos[1].labels.tolist() == [0, 1]  # as it was


def test_the_truth_is_that_of_the_annotations_without_what_is_left_out(tmp_path):
    (tmp_path / "blocked.txt").write_text("v_c")
    config = Config(block_list=str(tmp_path / "blocked.txt"))
    assert choose_truth(Config(), LABELLED, "test") == (TRUTH, set())
    assert choose_truth(Config(class_agnostic=True), LABELLED, "test") == (ONE_CLASS, set())
    assert choose_truth(config, LABELLED, "test") == ({"b": TRUTH["b"]}, {"c"})
    only_test = choose_truth(config.replace(test_subset="train"), LABELLED, "test")
    assert only_test == (TRUTH, set()), "another subset than the test subset is judged as it is"


@pytest.mark.parametrize(("fields", "label"), [
    ({}, "wave"), ({"class_agnostic": True}, "action"), ({"class_agnostic": True, "classifier": "x.json"}, "wave")])
def test_a_file_of_its_own_is_taken_as_it_is_published(tmp_path, fields, label):
    """An instance beyond the end of its video, which the cleaned annotations lack, counts."""
    item = {"segment": [90.0, 99.0], "label": "wave"}
    content = {"database": {"b": {"subset": "test", "duration": 40, "annotations": [item]}}}
    (tmp_path / "truth.json").write_text(json.dumps(content))
    truth, left_out = choose_truth(Config(ground_truth=str(tmp_path / "truth.json"), **fields), LABELLED, "test")
    assert truth == {"b": [item | {"label": label}]} and left_out == set()


def test_a_published_name_needs_the_published_instances(tmp_path):
    config = Config(test_set="thumos14-212")
    with pytest.raises(ConfigError, match=r"2 videos with 3 instances.*cleaned.*ground_truth=FILE.*-s test_set="):
        choose_truth(config, LABELLED, "test")
    assert choose_truth(config, LABELLED, "train")[0].keys() == {"a"}
    item = {"segment": [1.0, 2.0], "label": "wave"}
    database = {name: {"subset": "test", "annotations": [item]} for name in ("b", "video_test_0001292")}
    (tmp_path / "truth.json").write_text(json.dumps({"database": database}))
    with pytest.warns(UserWarning, match="1 videos with 1 instances, where ActionFormer"):
        truth, left_out = choose_truth(config.replace(ground_truth=str(tmp_path / "truth.json")), LABELLED, "test")
    assert truth == {"b": [item]} and left_out == {"video_test_0001292"}
    with pytest.raises(EvaluationError, match="did you mean thumos14-212"):
        choose_truth(config.replace(test_set="thumos-212"), LABELLED, "test")


def test_a_subset_without_labels_has_a_truth_without_instances(tmp_path):
    """Also where a ground truth file does not have it; one that lacks a subset with labels is an error as before."""
    hidden = Annotations(LABELLED.classes, (*LABELLED.videos, a_video("d", "hidden"), a_video("e", "hidden")))
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"database": {"a": {"subset": "train", "annotations": [
        {"label": "wave", "segment": [1, 2]}]}}}))
    for given in ("", str(path)):
        config = Config(ground_truth=given, test_subset="hidden")
        assert choose_truth(config, hidden, "hidden") == ({"d": [], "e": []}, set())
    with pytest.raises(NoTruthError, match='no subset "test"'):
        choose_truth(Config(ground_truth=str(path)), hidden, "test")
    found = leave_unmeasured({"d": [], "e": []}, {"d": [{"label": "jump", "segment": [0, 1], "score": 1}], "x": [
        {"label": "jump", "segment": [0, 1], "score": 1}]}, Config())
    measured = evaluate(TRUTH, TRUTH_AS_FOUND).to_dict()
    assert found.keys() == measured.keys() and json.loads(json.dumps(found)) == found
    assert (found["num_videos"], found["num_predictions"], found["num_unknown_video"]) == (2, 2, 1)


TRUTH_AS_FOUND = {video: [record | {"score": 1.0} for record in records] for video, records in TRUTH.items()}
