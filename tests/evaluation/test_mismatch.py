"""A mismatch in words."""

import pytest

from losa.evaluation.mismatch import Mismatch, many, segments


@pytest.mark.parametrize(("examples", "advice", "said"), [
    ([], "", "2 odd"), (["a", "b"], "Mend it", "2 odd: a; b. Mend it"), (["a?"], "Mend it", "2 odd: a? Mend it")])
def test_examples_and_advice_are_one_sentence_after_the_other(examples, advice, said):
    assert str(Mismatch("odd", "note", 2, 9, "2 odd", examples, advice)) == said


def test_videos_that_are_not_shown_are_counted():
    assert str(Mismatch("videos odd", "note", 3, 9, "3 odd", ["a"])) == "3 odd: a and 2 more"


def test_numbers_and_segments():
    assert [many(1, "video"), many(2000, "video")] == ["1 video", "2,000 videos"]
    assert segments([]).shape == (0, 2) and segments([{"segment": [1, 2]}]).tolist() == [[1.0, 2.0]]
