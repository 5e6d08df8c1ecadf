"""Videos and ids that only one side has."""

import pytest

from helpers.eval_files import CLASSES, DURATIONS, RECORDS, found, results
from losa.evaluation.records import Truth
from losa.evaluation.video_mismatches import loose_id, match_loosely


@pytest.mark.parametrize(("write", "by"), [
    (lambda v: f"v_{v}", '"v_" in front'), (lambda v: f"{v}.mp4", "a file ending"), (str.upper, "upper case"),
    (lambda v: f"videos/{v}.mp4", "a folder and a file ending"), (lambda v: f"a\\b\\{v}.MKV", "a folder and a file"),
    (lambda v: f"{v}.npy", "a file ending")])
def test_ids_written_otherwise_are_told_with_what_differs(write, by):
    whole = found(results(lambda v, r: (write(v), r)))
    assert set(whole) == {"video ids written otherwise"}
    only = whole["video ids written otherwise"]
    assert (only.level, only.count, only.of) == ("error", 3, 3) and by in only.said and "--match-ids" in only.advice
    assert "all 3 videos in the predictions, with 12 predictions" in only.said and "mAP is 0" in only.advice
    some = found(results(lambda v, r: (write(v) if v == "clip_0001" else v, r)))
    only = some["video ids written otherwise"]
    assert (only.level, only.count) == ("warning", 1) and "1 of 3 videos" in only.said
    assert some["videos without a prediction"].count == 1
    back = Truth({write(v): items for v, items in RECORDS.items()}, "test")
    assert found(results(), back)["video ids written otherwise"].count == 3


def test_ids_that_could_be_two_videos_are_left_alone():
    assert loose_id("a/V_Clip.0.mp4") == "clip.0"
    assert match_loosely(["clip", "v_clip"], ["clip.mp4"]) == {} and match_loosely(["x"], ["y"]) == {}


def test_videos_of_another_subset_are_said_to_be_there():
    truth = Truth(RECORDS, "test", subsets={"clip_0007": "train"})
    only = found({**results(), "clip_0007": [{"label": "jump", "segment": [0, 1], "score": 1.0}], "x": []}, truth)
    mismatch = only["videos unknown to the ground truth"]
    assert (mismatch.count, mismatch.of, mismatch.level) == (2, 5, "warning")
    assert 'with 1 prediction, unknown to the ground truth; 1 of them are in its subset "train"' in mismatch.said


def test_videos_without_a_prediction_are_counted_and_empty_ones_are_not_missed():
    predictions = {v: items for v, items in results().items() if v != "clip_0002"}
    vague = [{"segment": [0, 1], "label": "Ambiguous", "ambiguous": True}]
    truth = Truth(RECORDS | {"empty": [], "vague": vague}, "test")
    for given in (predictions, predictions | {"clip_0002": []}):
        only = found(given, truth)["videos without a prediction"]
        assert (only.count, only.of, only.examples) == (1, 3, ["'clip_0002'"])
        assert only.said == "no prediction in 1 of 3 videos with ground truth, 4 instances missed"


def test_videos_of_one_other_subset_name_it_as_an_option():
    truth = Truth({"other": [{"label": "jump", "segment": [0, 1]}]}, "test", classes=CLASSES,
                  subsets={**dict.fromkeys(DURATIONS, "my val"), "other": "test"})
    assert "--subset 'my val'" in found(results(), truth)["videos unknown to the ground truth"].advice
