"""Effort from lists of changes: sums done by hand, breaks, and what the widget's own list of changes gives."""

import pytest

from losa.workflows import labelling_effort as effort
from losa.workflows.labelling_effort import COLUMNS, PAUSE_S, add_efforts, count_effort, draw_curves, follow, tabulate

RECORD = {"id": 1, "label": "jump", "segment": [1.0, 2.0]}
CHANGES = [{"what": "create", "before": [], "after": [RECORD], "at": 1010.0, "by": "key", "presses": 7},
           {"what": "accept", "before": [], "after": [RECORD | {"id": 2}], "at": 1014.5, "by": "key", "presses": 2},
           {"what": "move_edge", "before": [], "after": [], "at": 1017.0, "by": "mouse", "presses": 1}]


def session(**more):
    return {"video": "a", "duration": 30.0, "fps": 25.0, "began": 1000.0, "ended": 1020.0, "changes": CHANGES,
            "records": [RECORD, RECORD | {"id": 2}], **more}


def test_a_list_made_by_hand():
    assert count_effort(session()) == {"seconds": 20.0, "presses": 10, "instances": 2,
                                       "operations": {"create": 1, "accept": 1, "move_edge": 1}}


@pytest.mark.parametrize("duration, counted", [(30.0, PAUSE_S), (500.0, 500.0)])
def test_a_break_counts_no_longer_than_watching_could_take(duration, counted):
    late = [*CHANGES, CHANGES[-1] | {"at": 9000.0}]
    found = count_effort(session(changes=late, ended=9001.0, duration=duration))
    assert found["seconds"] == pytest.approx(17.0 + counted + 1.0)


def test_a_change_made_in_python_has_no_presses_and_nothing_done_costs_nothing():
    assert count_effort(session(changes=[{"what": "delete", "at": 1003.0}]))["presses"] == 0
    nothing = add_efforts([session(changes=[], records=[], ended=1000.0)])
    assert nothing["seconds"] == 0 and nothing["seconds_each"] is None and nothing["presses_each"] is None


def test_rounds_add_up_and_costs_per_instance_are_of_the_round_alone():
    first, second = session(), session(records=[RECORD], changes=CHANGES[:1], ended=1012.0)
    rows = follow([{"sessions": [first], "average_map": 0.2}, {"sessions": [second], "average_map": None}])
    assert [(r["round"], r["videos"], r["instances"], r["presses"]) for r in rows] == [(1, 1, 2, 10), (2, 2, 3, 17)]
    assert [r["minutes"] for r in rows] == pytest.approx([20 / 60, 32 / 60])
    assert [r["seconds_each"] for r in rows] == [10.0, 12.0] and [r["presses_each"] for r in rows] == [5.0, 7.0]
    table = tabulate({"from scratch": rows})
    assert list(table.columns) == [name for key, name in COLUMNS.items() if key != "round"]
    assert table.loc[("from scratch", 2), "instances"] == 3


def test_the_cost_of_an_instance_in_the_first_round_and_in_all_later_ones():
    later = [session(records=[RECORD] * 4), session(changes=CHANGES[:1], ended=1012.0)]
    rounds = [{"sessions": [each], "average_map": 0.2} for each in (session(), *later)]
    table = effort.compare({"from scratch": follow(rounds[:1]), "propose and correct": follow(rounds)})
    assert list(table.index) == ["from scratch, round 1", "propose and correct, later rounds"]
    first, rest = table.to_dict("records")
    assert (first["instances"], first["seconds per instance"], first["keys and clicks per instance"]) == (2, 10.0, 5.0)
    assert rest["instances"] == 6 and rest["seconds per instance"] == pytest.approx((20 + 12) / 6)
    assert rest["keys and clicks per instance"] == pytest.approx((10 + 7) / 6)
    assert (rest["made anew"], rest["accepted"], rest["edges dragged"], rest["labels mended"]) == (2, 1, 1, 0)
    assert effort.compare({"propose and correct": []}).empty


def test_the_figure_says_whose_minutes_they_are_and_draws_each_way():
    rows = follow([{"sessions": [session()], "average_map": 0.2}, {"sessions": [session()], "average_map": 0.5}])
    (ax,) = draw_curves({"from scratch": rows, "propose and correct": rows[:1]}, "simulated").axes
    assert "simulated" in ax.get_title() and "simulated" in ax.get_xlabel()
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines["from scratch"] == [[pytest.approx(20 / 60), 20.0], [pytest.approx(40 / 60), 50.0]]
    assert lines["propose and correct"] == [[pytest.approx(20 / 60), 20.0]]
