"""The Matching widget in Python: what it is given, what it keeps, and what it refuses."""

import numpy as np
import pytest
from traitlets import TraitError

from widgets.matching import Matching

TRUTH = {"a": [[1.0, 3.0], [6.0, 8.0]], "b": []}
FOUND = {"a": np.array([[1.2, 3.0, 0.9], [6.0, 7.0, 0.4]]), "b": [[0.0, 1.0, 0.2]]}


def test_it_keeps_what_it_was_given_beside_what_is_dragged():
    view = Matching(TRUTH, FOUND, [(1.0, 3.0, 0.9)], video="a", duration=9, tious=[0.3, 0.5, 0.7], sigma=0.4)
    assert view.predictions == view.given == {"a": [[1.2, 3.0, 0.9], [6.0, 7.0, 0.4]], "b": [[0.0, 1.0, 0.2]]}
    assert (view.tiou, view.sigma, view.step, view.mode, view.span) == (0.5, 0.4, 0, "match", [0.0, 9.0])
    view.predictions = {**view.predictions, "a": [[0.0, 3.0, 0.9]]}
    view.step, view.tiou = 3, 0.7
    view.show(TRUTH, FOUND, [], video="b", duration=4.0, tious=[0.3, 0.5, 0.7], title="another")
    assert view.predictions == view.given and (view.step, view.title, view.candidates) == (0, "another", [])
    assert view.tiou == 0.7, "what somebody chose stays where it can"
    view.show(TRUTH, FOUND, [], video="b", duration=4.0, tious=[0.3, 0.5, 0.6])
    assert view.tiou == 0.5


def test_it_refuses_what_has_no_ap():
    for change in ({"tious": []}, {"duration": 0.0}, {"duration": float("nan")}):
        with pytest.raises(ValueError, match="give at least one threshold and one ground truth"):
            Matching(TRUTH, FOUND, [], **{"video": "a", "duration": 9.0, **change})
    with pytest.raises(ValueError, match="0 ground truths"):
        Matching({"a": []}, FOUND, [], video="a", duration=9.0)
    with pytest.raises(TraitError, match="mode"):
        Matching(TRUTH, FOUND, [], video="a", duration=9.0).mode = "other"
