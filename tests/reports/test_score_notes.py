"""What is said where a threshold hides all there is."""

import pytest

from losa.reports.score_notes import describe_hidden, describe_none_shown, find_best


def test_the_best_score_is_that_of_the_records_and_truth_counts_as_one():
    assert find_best([{"score": 0.2}, {"score": 0.4}, {"score": 0.1}]) == 0.4
    assert find_best([{"label": "a"}]) == 1.0 and find_best([]) is None


@pytest.mark.parametrize(("best", "said"), [
    (0.18, "nothing above 0.30; the best is 0.18: lower `min_score`"),
    (0.2999, "nothing above 0.30; the best is 0.29: lower `min_score`"),
    (0.0042, "nothing above 0.30; the best is 0.004: lower `min_score`"),
    (None, "nothing at all was found"), (0.3, ""), (0.9, "")])
def test_one_video(best, said):
    assert describe_none_shown(best, 0.3) == said


@pytest.mark.parametrize(("best", "said"), [
    ({"a": 0.1, "b": 0.18}, "nothing above 0.30; the best is 0.18: type less (2 videos)"),
    ({"a": 0.1}, "nothing above 0.30; the best is 0.10: type less"),
    ({"a": 0.1, "b": 0.5}, "nothing above 0.30 in 1 of 2 videos: a (best 0.10): type less"),
    ({"z": 0.9, "a": None, "b": 0.2, "c": 0.2, "d": 0.2},
     "nothing above 0.30 in 4 of 5 videos: a (nothing at all), b (best 0.20), c (best 0.20) and 1 more: type less"),
    ({"a": None, "b": None}, "nothing at all was found (2 videos)"), ({"a": 0.3, "b": 0.4}, ""), ])
def test_several_videos(best, said):
    assert describe_hidden(best, 0.3, "type less") == said
