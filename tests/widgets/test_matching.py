"""The Matching widget in Python: what it is given, what it keeps, and what it refuses."""

import numpy as np
import pytest

from widgets.matching import Matching

TRUTH = {"a": [[1.0, 3.0], [6.0, 8.0]], "b": []}
FOUND = {"a": np.array([[1.2, 3.0, 0.9], [6.0, 7.0, 0.4]]), "b": [[0.0, 1.0, 0.2]]}


def test_it_shows_another_video_in_place_of_what_was_dragged():
    view = Matching(TRUTH, FOUND, video="a", duration=9)
    assert view.predictions == {"a": [[1.2, 3.0, 0.9], [6.0, 7.0, 0.4]], "b": [[0.0, 1.0, 0.2]]}
    assert (view.tiou, view.steps, view.span) == (0.5, [], [0.0, 9.0])
    view.predictions, view.tiou = {**view.predictions, "a": [[0.0, 3.0, 0.9]]}, 0.7
    view.steps = [{"segment": [1.0, 3.0], "text": "kept", "right": True, "gone": False}]
    view.show(TRUTH, FOUND, video="b", duration=4.0, title="another")
    assert view.predictions["a"][0] == [1.2, 3.0, 0.9] and (view.title, view.steps) == ("another", [])
    assert (view.video, view.span, view.tiou) == ("b", [0.0, 4.0], 0.7)


def test_it_refuses_what_has_no_ap():
    for duration in (0.0, float("nan")):
        with pytest.raises(ValueError, match="give at least one ground truth, and the length"):
            Matching(TRUTH, FOUND, video="a", duration=duration)
    with pytest.raises(ValueError, match="0 ground truths"):
        Matching({"a": []}, FOUND, video="a", duration=9.0)
