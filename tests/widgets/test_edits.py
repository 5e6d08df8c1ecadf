"""Edits of segments: a table of cases, and what holds after any sequence. The browser does the same in test_edits_page.
"""

import pytest
from hypothesis import given, settings

from helpers.edit_cases import CASES, DURATION, SEQUENCES, prepared, short
from widgets import edits


def done(records, ops, video):
    """All states on the way, the first one before any operation; what cannot be done changes nothing."""
    states = [edits.start(records)]
    for op in ops:
        try:
            states.append(edits.apply(states[-1], op, video))
        except ValueError:
            states.append(states[-1])
    return states


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cases(case):
    records, ops, video = prepared(case)
    if "error" in case:
        with pytest.raises(ValueError, match=case["error"]):
            edits.apply(edits.start(records), ops[0], video)
    else:
        found = short(done(records, ops, video)[-1]["records"])
        assert [row[:2] for row in found] == [row[:2] for row in case["records"]]
        assert [row[2:] for row in found] == [pytest.approx(row[2:], abs=1e-9) for row in case["records"]]


@settings(max_examples=300)
@given(SEQUENCES)
def test_undo_undoes_everything_and_redo_does_it_again(sequence):
    fps, ops = sequence
    given_records, video = [{"label": "a", "segment": [1, 2], "more": 1}], {"duration": DURATION, "fps": fps}
    states = done(given_records, ops, video)
    last, back = states[-1], states[-1]
    for _ in last["changes"]:
        back = edits.apply(back, {"what": "undo"}, video)
    assert back["records"] == states[0]["records"] and back["changes"] == []
    for _ in last["changes"]:
        back = edits.apply(back, {"what": "redo"}, video)
    assert back["records"] == last["records"] and back["changes"] == last["changes"]


@settings(max_examples=300)
@given(SEQUENCES)
def test_segments_stay_in_the_video_with_ids_of_their_own(sequence):
    fps, ops = sequence
    for state in done([{"label": "a", "segment": [1, 2]}], ops, {"duration": DURATION, "fps": fps}):
        ids = [record["id"] for record in state["records"]]
        assert ids == sorted(set(ids)) and max(ids, default=0) <= state["made"]
        assert all(0 <= r["segment"][0] < r["segment"][1] <= DURATION for r in state["records"])


def test_a_change_tells_who_when_and_what_the_rest_of_a_record_stays():
    state = edits.start([{"label": "a", "segment": [1, 2], "note": "x"}])
    op = {"what": "relabel", "id": 1, "label": "b", "at": 5.0, "by": "key", "presses": 1}
    (change,) = edits.apply(state, op, {"duration": 3, "fps": None})["changes"]
    old, new = {"label": "a", "segment": [1, 2], "note": "x", "id": 1}, {"label": "b", "segment": [1, 2], "note": "x"}
    assert change == {"what": "relabel", "before": [old], "after": [new | {"id": 1}], "at": 5.0, "by": "key",
                      "presses": 1}


def test_what_changes_nothing_is_no_change():
    state = edits.start([{"label": "a", "segment": [1, 2]}])
    assert edits.apply(state, {"what": "relabel", "id": 1, "label": "a"}, {"duration": 3, "fps": 25}) == state


def test_an_edit_that_is_not_known_is_refused_by_name():
    state = edits.start([{"label": "a", "segment": [1, 2]}])
    with pytest.raises(ValueError, match="there is no edit 'grow'"):
        edits.apply(state, {"what": "grow", "id": 1}, {"duration": 3, "fps": 25})


def test_unsaved_counts_records_not_operations():
    one, two = {"label": "a", "segment": [1, 2]}, {"label": "b", "segment": [2, 3]}
    video = {"duration": 9, "fps": 25}
    ops = [{"what": "move", "id": 1, "time": 4}, {"what": "move", "id": 1, "time": 5}, {"what": "delete", "id": 2},
           {"what": "create", "label": "c", "segment": [6, 7]}]
    states = done([one, two], ops, video)
    saved = states[0]["records"]
    assert [edits.count_unsaved(state["records"], saved) for state in states] == [0, 1, 1, 2, 3]
    back = edits.apply(edits.apply(states[2], {"what": "undo"}, video), {"what": "undo"}, video)
    assert edits.count_unsaved(back["records"], saved) == 0


def test_a_file_gets_the_records_and_keeps_the_rest():
    document = {"version": "x", "classes": ["b"], "taxonomy": [1], "database": {
        "v": {"subset": "test", "url": "u", "annotations": [{"label": "b", "segment": [0, 1], "label_id": 4}]},
        "w": {"annotations": [{"label": "z", "segment": [0, 1], "label_id": 7}]}, "x": {"subset": "train"}}}
    records = [{"id": 1, "label": "b", "segment": [0, 2], "label_id": 4, "note": "n"},
               {"id": 2, "label": "z", "segment": [3, 4], "label_id": 4}, {"id": 3, "label": "new", "segment": [5, 6]}]
    done = edits.filled(document, "v", records, ["b", "z", "new"])
    items = [{"label": "b", "segment": [0, 2], "label_id": 4, "note": "n"},
             {"label": "z", "segment": [3, 4], "label_id": 7}, {"label": "new", "segment": [5, 6], "label_id": 8}]
    assert done == {"version": "x", "classes": ["b", "z", "new"], "taxonomy": [1], "database": {
        "v": {"subset": "test", "url": "u", "annotations": items}, "w": document["database"]["w"],
        "x": document["database"]["x"]}}
    assert document["database"]["v"]["annotations"][0]["segment"] == [0, 1], "the source stays"
