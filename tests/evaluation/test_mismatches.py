"""What does not fit between ground truth and predictions is found, counted and answered; what fits is silent."""

import pytest

from helpers.eval_files import DURATIONS, RECORDS, TRUTH, found, relabelled, results
from losa.evaluation.mismatch import MismatchWarning
from losa.evaluation.mismatches import find_mismatches, warn_if_nothing_fits


def test_what_fits_is_silent():
    assert find_mismatches(TRUTH, results()) == []


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(DURATIONS, [])])
def test_no_prediction_at_all_is_one_error(nothing):
    (only,) = find_mismatches(TRUTH, nothing)
    assert only.level == "error" and "there is no prediction" in str(only)


def test_odd_segments_and_scores_are_noted():
    odd = results()
    odd["clip_0000"][0] |= {"segment": [-0.5, 2.0], "score": 95.0}
    odd["clip_0001"][0] |= {"segment": [2.0, 2.0], "score": -4.0}
    notes = found(odd)
    assert {m.level for m in notes.values()} == {"note"} and len(notes) == 3
    assert notes["segments before the start"].count == notes["segments of no length"].count == 1
    assert "2 of 12 scores outside 0 to 1, from -4 to 95" in notes["scores outside 0 to 1"].said
    same = results(lambda v, r: (v, {**r, "score": 1.0}))
    assert "all 12 scores are 1" in found(same)["one score for all"].said


def test_the_worst_comes_first_and_json_has_the_counts():
    odd = relabelled(str.title)
    odd["clip_0000"][0]["score"] = 95.0
    levels = [m.level for m in find_mismatches(TRUTH, odd)]
    assert levels == ["error", "note"]
    assert set(find_mismatches(TRUTH, odd)[0].to_dict()) >= {"kind", "count", "examples", "advice"}


def test_evaluation_itself_warns_where_nothing_fits(recwarn):
    warn_if_nothing_fits(RECORDS, results())
    warn_if_nothing_fits(RECORDS, relabelled(lambda name: "Jump" if name == "jump" else name))
    warn_if_nothing_fits(RECORDS, {})
    assert not recwarn
    with pytest.warns(MismatchWarning, match="so that mAP is 0"):
        warn_if_nothing_fits(RECORDS, relabelled(str.upper))


def test_predictions_that_are_there_twice_are_counted():
    only = found({v: [*items, *items] for v, items in results().items()})["repeated predictions"]
    assert (only.level, only.count, only.of) == ("warning", 12, 24)
    assert "repeated predictions" not in found({v: [*items, *({**r, "score": 0.01} for r in items)]
                                                for v, items in results().items()})
