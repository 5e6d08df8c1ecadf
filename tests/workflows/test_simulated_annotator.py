"""The simulated annotator: ends with the truth whatever was proposed, and its clock is the sum of stated times."""

import random

import pytest

from losa.errors import ConfigError
from losa.workflows.labelling_effort import count_effort
from losa.workflows.simulated_annotator import TIMES, list_times, match, simulate
from widgets import edits

CLASSES = [f"class {i}" for i in range(12)]  # the last three have no key


def some_video(rng, fps):
    """(video, truth, proposals): proposals are right, shifted, mislabelled, doubled, or of nothing."""
    truth, now = [], 0.0
    for _ in range(rng.randint(1, 8)):
        begin = now + rng.uniform(0.0, 3.0)
        now = begin + rng.uniform(0.3, 4.0)
        truth.append({"label": rng.choice(CLASSES), "segment": [begin, now]})
    end = now + 1.0
    near = [{"label": r["label"] if rng.random() < 0.7 else rng.choice(CLASSES), "score": rng.random(),
             "segment": [max(r["segment"][0] + shift, 0), min(r["segment"][1] + rng.gauss(0, 0.3), end)]}
            for r in truth * 2 for shift in [rng.choice([0.0, 0.02, rng.gauss(0, 0.5)])]]
    far = [{"label": CLASSES[0], "score": rng.random(), "segment": [end - 0.2, end]}]
    proposals = [r for r in [*near, *far] if r["segment"][1] > r["segment"][0] and rng.random() < 0.8]
    return {"id": "a", "duration": end, "fps": fps}, truth, proposals


def by_start(records):
    return sorted((r["segment"][0], r["segment"][1], r["label"]) for r in records)


@pytest.mark.parametrize("fps", [12.0, 29.97, None])
@pytest.mark.parametrize("proposed", [False, True])
def test_its_labels_are_the_truth_to_half_a_frame(fps, proposed):
    rng = random.Random(1)
    for _ in range(100):
        video, truth, proposals = some_video(rng, fps)
        done = simulate(video, truth, proposals if proposed else (), classes=CLASSES)
        found, half = by_start(done["records"]), 0.5 / (fps or 100) + 1e-5
        assert len(found) == len(truth)
        for (a, b, name), (begin, end, label) in zip(found, by_start(truth), strict=True):
            assert name == label and abs(a - begin) <= half and abs(b - end) <= half


def test_its_operations_done_again_give_the_same_labels():
    video, truth, proposals = some_video(random.Random(3), 25.0)
    done, state = simulate(video, truth, proposals, classes=CLASSES), edits.start(())
    for op in done["ops"]:
        state = edits.apply(state, op, video)
    assert state["records"] == done["records"] and state["changes"] == done["changes"]


def test_the_clock_from_scratch_by_hand():
    """One action of the third class in 10 s at 12 fps: two edges of three steps and three keys, and a key of class."""
    video, truth = {"id": "a", "duration": 10.0, "fps": 12.0}, [{"label": CLASSES[2], "segment": [2.0, 4.0]}]
    effort = count_effort(simulate(video, truth, classes=CLASSES, began=50.0))
    assert effort["presses"] == 2 * (3 + 3) + 1 and effort["operations"] == {"create": 1}
    assert effort["seconds"] == pytest.approx(10.0 + 13 * 0.28 + 3 * 1.35)


def test_the_clock_of_a_correction_by_hand():
    """A proposal whose end is off: click, key, drag, two thoughts; one of nothing: a thought; a right one: no drag."""
    video = {"id": "a", "duration": 10.0, "fps": 12.0}
    truth = [{"label": CLASSES[0], "segment": [2.0, 4.0]}, {"label": CLASSES[1], "segment": [6.0, 7.0]}]
    found = [{"label": CLASSES[0], "segment": [2.0, 4.5], "score": 0.9}, {"label": CLASSES[1], "segment": [6.0, 7.03],
             "score": 0.8}, {"label": CLASSES[1], "segment": [8.0, 9.0], "score": 0.7}]  # fmt: skip
    done = simulate(video, truth, found, classes=CLASSES, times={"drag": 5.0})
    effort = count_effort(done)
    assert effort["operations"] == {"accept": 2, "move_edge": 1} and effort["presses"] == 2 + 1 + 2
    assert effort["seconds"] == pytest.approx(10.0 + 2 * (1.3 + 0.28) + 5.0 + 4 * 1.35)
    assert [r["segment"] for r in done["records"]] == [[2.0, 4.0], [6.0, 7.03]]


def test_a_wrong_label_and_a_class_without_a_key():
    video = {"id": "a", "duration": 10.0, "fps": 12.0}
    truth = [{"label": CLASSES[10], "segment": [2.0, 4.0]}]
    done = simulate(video, truth, [{**truth[0], "label": CLASSES[0], "score": 0.9}], classes=CLASSES)
    assert [change["what"] for change in done["changes"]] == ["accept", "relabel"]
    assert [change["presses"] for change in done["changes"]] == [2, 1 + 2]  # the list is opened and clicked into


def test_proposals_are_matched_the_surest_first_and_each_action_once():
    truth = [{"label": "a", "segment": [0.0, 10.0]}]
    near, nearer = {"segment": [0.0, 8.0], "score": 0.9}, {"segment": [0.0, 10.0], "score": 0.5}
    assert match(truth, [nearer, near]) == ([(truth[0], near)], [nearer])
    assert match([], [near]) == ([], [near]) and match(truth, []) == ([(truth[0], None)], [])


@pytest.mark.parametrize("times", [{"keys": 1.0}, {"key": -1.0}, {"drag": float("nan")}])
def test_wrong_times_are_said(times):
    with pytest.raises(ConfigError, match=f"{next(iter(times))}.*{', '.join(TIMES)}"):
        simulate({"id": "a", "duration": 1.0, "fps": 12.0}, [], classes=[], times=times)


def test_the_table_of_times_says_what_each_is_and_the_times_that_are_taken():
    table = list_times({"key": 0.2})
    assert list(table.index) == list(TIMES) and table["what it does"].str.len().min() > 10
    assert table["seconds (assumed)"].to_dict() == {**TIMES, "key": 0.2}


@pytest.mark.parametrize("slack, moved", [(0.0, [0, 1]), (0.3, [1]), (0.6, [])])
def test_an_edge_within_the_slack_is_left_as_it_was_proposed(slack, moved):
    video, truth = {"id": "a", "duration": 10.0, "fps": 10.0}, [{"label": CLASSES[0], "segment": [2.0, 4.0]}]
    found = [{"label": CLASSES[0], "segment": [2.2, 4.5], "score": 0.5}]
    done = simulate(video, truth, found, classes=CLASSES, times={"slack": slack})
    assert sorted(op["edge"] for op in done["ops"][1:]) == moved
    assert done["records"][0]["segment"] == [(2.0, 4.0)[i] if i in moved else (2.2, 4.5)[i] for i in (0, 1)]
