"""The edits of segments in a browser: the table of cases that Python has, and the same as Python on random ones."""

import json

import pytest
from hypothesis import given, settings

from helpers.edit_cases import CASES, DURATION, SEQUENCES, prepared
from helpers.paths import ROOT
from widgets import edits

RUN = """([state, ops, video]) => { const states = [state]; const errors = [];
  for (const op of ops) { try { states.push(losaEdits.applied(states.at(-1), op, video)); errors.push(null); }
    catch (error) { states.push(states.at(-1)); errors.push(error.message); } }
  return [states, errors, states.map(({ records }) => losaEdits.unsavedCount(records, state.records))]; }"""


@pytest.fixture(scope="module")
def page(browser):
    """A page with the functions of edits.js."""
    opened = browser.new_page()
    code = (ROOT / "widgets" / "edits.js").read_text()
    opened.evaluate(f"() => {{ {code}\n globalThis.losaEdits = {{ applied, filled, unsavedCount }}; }}")
    yield opened
    opened.close()


def python(start, ops, video):
    """What RUN gives, by Python."""
    states, errors = [start], []
    for op in ops:
        try:
            states.append(edits.apply(states[-1], op, video))
            errors.append(None)
        except ValueError as error:
            states.append(states[-1])
            errors.append(str(error))
    return [states, errors, [edits.count_unsaved(state["records"], start["records"]) for state in states]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_cases(page, case):
    records, ops, video = prepared(case)
    (_, *states), errors, _ = page.evaluate(RUN, [edits.start(records), ops, video])
    if "error" in case:
        assert case["error"] in errors[0]
    else:
        assert errors == [None] * len(ops)
        found = [[r["id"], r["label"], *r["segment"]] for r in states[-1]["records"]]
        assert [row[:2] for row in found] == [row[:2] for row in case["records"]]
        assert [row[2:] for row in found] == [pytest.approx(row[2:], abs=1e-9) for row in case["records"]]


def test_python_and_browser_agree_to_the_last_digit_after_any_operations(page):
    records = [{"label": "a", "segment": [1, 2], "more": 1}, {"label": "b", "segment": [1.5, 4.25]}]

    @settings(max_examples=300, deadline=None)
    @given(SEQUENCES)
    def agree(sequence):
        fps, ops = sequence
        given_all = [edits.start(records), [{**op, "at": 1.5, "by": "key"} for op in ops],
                     {"duration": DURATION, "fps": fps}]
        assert page.evaluate(RUN, given_all) == python(*given_all)

    agree()


@pytest.mark.parametrize("more", [{}, {"classes": ["b"]}, {"classes": ["b"], "version": "x"}])
def test_python_and_browser_fill_a_file_alike(page, more):
    database = {"v": {"subset": "test", "annotations": [{"label": "b", "segment": [0, 1], "label_id": 4}]}, "x": {}}
    records = [{"id": 1, "label": "b", "segment": [0, 2], "label_id": 4, "note": "n"},
               {"id": 3, "label": "new", "segment": [5, 6]}]
    given_all = [{**more, "database": database}, "v", records, ["b", "new"]]
    assert page.evaluate("given => losaEdits.filled(...given)", given_all) == edits.filled(*given_all)
    bare = json.loads(json.dumps(given_all).replace(', "label_id": 4', ""))
    assert page.evaluate("given => losaEdits.filled(...given)", bare) == edits.filled(*bare)
