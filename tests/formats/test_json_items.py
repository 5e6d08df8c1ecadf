"""Walking through JSON of any types: nothing breaks it, and nothing is lost without a finding."""

from pathlib import Path

import pytest

from losa.errors import AnnotationError
from losa.formats.json_items import child, frame, objects, parse_cell, pick, texts
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.times import Frames, parse_time


def test_objects_come_with_their_places_and_others_are_findings():
    findings = Findings(KINDS)
    assert list(objects([{"a": 1}, 7, {"b": 2}], "task", findings)) == [("task 1", {"a": 1}), ("task 3", {"b": 2})]
    assert list(objects({"k": {"a": 1}, "l": None}, "meta", findings)) == [("meta k", {"a": 1})]
    assert list(objects("text", "x", findings)) == [] and list(objects(None, "y", findings)) == []
    assert findings["rows cannot be understood"].examples == [
        "task 2: expected an object, got 7", "meta l: expected an object, got None",
        "x: expected an object, got 'text'"]


def test_children_texts_and_cells_of_any_type():
    assert child({"a": {"b": 1}}, "a") == {"b": 1} and child({"a": [1]}, "a") == {} and child(None, "a") == {}
    assert texts([" a ", "", 3, True, None, ["b"]]) == ["a", "3"] and texts("b") == ["b"] and texts({}) == []
    assert parse_cell('[{"a": 1}]') == [{"a": 1}] and parse_cell("[1") == "[1" and parse_cell("x") == "x"
    assert parse_cell("[" * 100_000) == "[" * 100_000


@pytest.mark.parametrize("value", [None, "x", "1:23", [1], 10**400, float("nan"), True, {}])
def test_what_is_no_frame_becomes_text_that_is_no_time(value):
    assert parse_time(frame(value)) is None


def test_frames_are_numbers():
    assert frame("15", 1) == Frames(14.0) and frame(28) == Frames(28.0)


def test_one_of_several_is_picked_or_asked_for():
    counts = {"verb": 3, "the noun": 2}
    assert pick(Path("a.json"), "the noun", counts, "--tier", "tier") == "the noun"
    assert pick(Path("a.json"), "", {"one": 1}, "--tier", "tier") == "one" and pick(Path("a"), "", {}, "-x", "y") == ""
    with pytest.raises(AnnotationError, match=r"a.json: has several tiers with labels: 'verb' \(3\), 'the noun' \(2\). "
                                              r"Say which is meant, such as --tier verb"):
        pick(Path("a.json"), "", counts, "--tier", "tier")
    with pytest.raises(AnnotationError, match=r"--tier x: there is no such tier; there are 'verb' \(3\)"):
        pick(Path("a.json"), "x", counts, "--tier", "tier")
