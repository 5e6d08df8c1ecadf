"""What the features' view is given and keeps."""

import numpy as np
import pytest

from widgets.features import Features
from widgets.figures import class_colours

TAP = {"name": "block 0", "similarity": np.eye(3), "xy": [[0, 1], [2, 3], [4, 5]], "explained": (0.5, 0.25)}
GIVEN = dict(times=[0.5, 1.5, 2.5], labels=["a", "", "b"], duration=3.0, classes=["b", "a"])


def test_arrays_arrive_and_colours_are_those_of_the_project():
    view = Features([TAP, TAP | {"name": "fused", "similarity": np.full((3, 3), 0.5)}], **GIVEN)
    similarity = np.frombuffer(view.similarity, "u1").reshape(2, 6)  # of the pairs 00 01 02 11 12 22, in hundredths
    assert similarity.tolist() == [[100, 0, 0, 100, 0, 100], [50] * 6]
    assert np.array_equal(np.frombuffer(view.xy, "<f4").reshape(2, 3, 2)[1], TAP["xy"])
    assert view.taps == [{"name": n, "explained": [0.5, 0.25]} for n in ("block 0", "fused")]
    assert view.colours == class_colours(["b", "a"]) and view.labels == ["a", "", "b"]


def test_another_video_keeps_the_chosen_tap_while_there_is_one():
    view = Features([TAP, TAP], **GIVEN)
    view.tap = 1
    view.show([TAP, TAP], **GIVEN | {"duration": 4.0})
    assert view.tap == 1 and view.span == [0.0, 4.0]
    view.show([TAP], **GIVEN)
    assert view.tap == 0


@pytest.mark.parametrize(("taps", "more", "words"), [
    ([], {}, "0 taps, 3 times"), ([TAP], {"labels": ["a"]}, "1 labels"), ([TAP], {"times": [1.0, 2.0]}, "2 times"),
    ([TAP | {"similarity": -np.eye(3)}], {}, r"in 0\.\.1"), ([TAP | {"xy": np.zeros((3, 3))}], {}, "places"),
    ([TAP | {"similarity": np.full((3, 3), np.nan)}], {}, r"in 0\.\.1"), ([TAP], {"duration": 0.0}, "times in 0.0 s"),
    ([TAP | {"xy": np.full((3, 2), np.nan)}], {}, "finite places")])
def test_what_does_not_fit_is_refused(taps, more, words):
    with pytest.raises(ValueError, match=words):
        Features(taps, **GIVEN | more)


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="colour"):
        Features([TAP], **GIVEN, colour="red")


def test_the_picture_shows_the_chosen_tap_on_both_sides_of_the_diagonal():
    skewed = np.array([[1, 0.2, 0.4], [0.2, 1, 0.6], [0.4, 0.6, 1]])
    view = Features([TAP, TAP | {"name": "fused", "similarity": skewed, "xy": [[5, 6], [7, 8], [9, 9]]}], **GIVEN)
    view.tap = 1
    square, cloud = view.figure().axes
    assert np.allclose(square.images[0].get_array(), skewed)
    places = {dots.get_label(): dots.get_offsets().tolist() for dots in cloud.collections}
    assert places == {"a": [[5, 6]], "background": [[7, 8]], "b": [[9, 9]]}
    assert "3 snippets of fused" in view.line()
