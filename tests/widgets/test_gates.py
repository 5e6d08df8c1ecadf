"""What the gates' view is given, keeps and says."""

import numpy as np
import pytest
from traitlets import TraitError

from widgets.gates import Gates

GATES = np.array([[0.5, -1.0], [0.0, 0.25]])[..., None] * np.ones(4)  # 2 blocks, 2 ranges, 4 snippets
NORMS = np.ones((2, 2, 4)) * [1, 1, 1, 2]
GIVEN = dict(times=[0.5, 1.5, 2.5, 3.5], layers=[3, 7], ranges=["short", "long"], duration=4.0, static=True)
PROFILE = {"classes": ["a", "b", "c"], "lengths": ["S", "L"],
           "by_class": {"gate": [GATES[..., 0]] * 3, "contribution": [np.ones((2, 2)), 2 * np.ones((2, 2)), None]},
           "by_length": {"gate": [GATES[..., 0]] * 2, "contribution": [np.full((2, 2), np.nan), np.ones((2, 2))]},
           "background": {"gate": GATES[..., 0], "contribution": np.zeros((2, 2))}}


def test_the_sentence_names_block_range_time_and_actions():
    view = Gates(GATES, NORMS, profile=PROFILE, **GIVEN)
    assert "most comes from block 3 (86%) and from the long range (71%)" in view.answer  # 1.5 and 1.25 of 1.75
    assert "most for b (8.00 times the last layer), least for a (4.00), with 0.00 where no action" in view.answer
    rest = {kind: None for kind in ("gate", "contribution")}
    assert Gates(GATES, NORMS, profile=PROFILE | {"background": rest}, **GIVEN).answer.endswith("least for a (4.00).")
    assert Gates(0 * GATES, NORMS, **GIVEN).answer.startswith("All gates are closed in this video")
    late = Gates(GATES, NORMS, **GIVEN | {"times": 177.96 + np.arange(4.0), "duration": 200.0})
    assert late.answer.endswith("around 0:03:00.")
    moved = Gates(GATES[..., :1] * np.ones(20), np.ones((2, 2, 20)) + (np.arange(20) == 14), **GIVEN | {
        "times": np.arange(20) + 0.5})
    assert abs(float(moved.answer.split("around ")[1].split(" s")[0]) - 14.5) <= 2 and moved.answer.endswith(" s.")


def test_arrays_arrive_as_given_and_empty_groups_as_none():
    view = Gates(GATES, NORMS, profile=PROFILE, lengths=["short ones", "long ones"], **GIVEN)
    assert np.array_equal(np.frombuffer(view.gates, "<f4").reshape(2, 2, 4), GATES.astype("f4"))
    assert view.profile["class"]["names"] == ["a", "b", "c", "background"]
    assert view.profile["length"] == {"names": ["short ones", "long ones", "background"], "gate": [
        [0.5, -1.0, 0.0, 0.25]] * 3, "contribution": [[None] * 4, [1.0] * 4, [0.0] * 4]}
    assert view.span == [0.0, 4.0] and view.layers == [3, 7]


def test_another_video_replaces_this_one():
    view = Gates(GATES, NORMS, **GIVEN)
    view.span = [1.0, 2.0]
    view.show(GATES, 2 * NORMS, **GIVEN)
    assert view.span == [1.0, 2.0] and np.frombuffer(view.norms, "<f4").max() == 4
    view.show(GATES[..., :3], NORMS[..., :3], **GIVEN | {"times": [1, 2, 3], "duration": 3.0})
    assert view.span == [0.0, 3.0] and len(view.times) == 12


def test_a_model_without_gates_says_so():
    assert Gates(None, NORMS, **GIVEN).answer.startswith("This model has no gates. The map")
    alone = Gates(None, np.zeros((0, 0, 4)), **GIVEN | {"layers": []}, profile=PROFILE)
    assert "no adapters" in alone.answer and alone.norms == b"" and alone.profile == {}


def test_shapes_that_do_not_fit_and_unknown_keywords_are_refused():
    with pytest.raises(ValueError, match=r"norms of shape \(2, 2, 3\), but layers, ranges and times are \(2, 2, 4\)"):
        Gates(GATES, NORMS[..., :3], **GIVEN)
    with pytest.raises(ValueError, match="gates of shape"):
        Gates(GATES[0], NORMS, **GIVEN)
    for empty in ({"times": []}, {"duration": 0.0}, {"duration": float("nan")}):
        with pytest.raises(ValueError, match="give at least one, and the video's length"):
            Gates(GATES[..., :len(empty.get("times", GIVEN["times"]))], None, **GIVEN | empty)
    for more in ({"classes": ["a"]}, {"profile": PROFILE | {"by_class": {"gate": [np.ones((3, 2))] * 3}}}):
        with pytest.raises(ValueError, match="give that of the same model"):
            Gates(GATES, NORMS, **GIVEN | {"profile": PROFILE} | more)
    view = Gates(GATES, NORMS, **GIVEN)
    for name, value in {"by": "colour", "kind": "gates", "span": [1.0]}.items():
        with pytest.raises(TraitError, match=name):
            setattr(view, name, value)
    with pytest.raises(TypeError, match="colour"):
        Gates(GATES, NORMS, **GIVEN, colour="red")
