"""Times that do not fit their videos, and the unit in which they would."""

import pytest

from helpers.eval_files import CLASSES, DURATIONS, RECORDS, TRUTH, found, results, scaled
from losa.evaluation.mismatches import find_mismatches
from losa.evaluation.records import Truth
from losa.evaluation.time_mismatches import propose_unit


@pytest.mark.parametrize(("unit", "predictions"), [
    ("frames", scaled(12)), ("ms", scaled(1000)), ("minutes", scaled(1 / 60)), ("shares", scaled(1, duration=True))])
def test_the_unit_is_the_one_in_which_times_fill_their_videos(unit, predictions):
    (only,) = find_mismatches(TRUTH, predictions)
    assert propose_unit(TRUTH, predictions)[0] == unit and f"give --predicted-times {unit}" in only.advice
    assert "3 of 3 videos hold all of theirs" in only.advice and only.level == "warning"


def test_no_unit_is_proposed_where_none_fits_or_few_are_beyond():
    no_fps = Truth(RECORDS, "test", DURATIONS)
    assert propose_unit(no_fps, scaled(12)) == ("", "")
    assert propose_unit(TRUTH, scaled(12 * 1000)) == ("", "")
    late = results()
    late["clip_0000"][0]["segment"] = [50.0, 60.0]
    only = found(late)["segments beyond their video"]
    assert (only.count, only.of, only.level, only.advice) == (1, 12, "note", "")
    assert only.examples == ["'clip_0000' 50 to 60 s, video of 45.0833 s"]


def test_times_in_frames_are_said_where_no_duration_is_known():
    bare = Truth(RECORDS, "test", classes=CLASSES)
    only = found(scaled(1000), bare)["segments on no instance"]
    assert only.count == only.of == 12 and "Are they milliseconds? Read so, 12 of 12 do" in only.advice
    assert "--predicted-times frames --fps 30" in found(scaled(12), bare)["segments on no instance"].advice
    assert find_mismatches(bare, results()) == []
