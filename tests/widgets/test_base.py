"""What all widgets share: groups, the parts of their code, and values that a trait can hold."""

import json
import zlib

import numpy as np
import pytest
import traitlets

from widgets.base import View, link, pack, parts, plain_json


class Empty(View):
    """A widget that draws nothing."""

    _esm = "export default { render() {} };"


def test_widgets_have_a_group_of_their_own_until_they_are_linked():
    first, second, third = Empty(), Empty(), Empty()
    assert len({first.group, second.group, third.group}) == 3
    link(first, second)
    assert first.group == second.group != third.group


def test_what_all_widgets_share_comes_before_their_own_code():
    code = parts("timeline", "js")
    assert code.index("function shared(") < code.index("function laidOut(") and parts("", "js") in code
    assert parts("timeline", "css").index(".losa {") < parts("timeline", "css").index(".timeline {")


def test_a_page_starts_without_a_kernel_and_without_what_only_jupyter_needs():
    state = Empty(current_time=2.0).page_state()
    assert state["live"] is False and state["current_time"] == 2
    assert {*state} == {"group", "current_time", "span", "live"}


class Drawn(Empty):
    """A widget with code and a style sheet of its own."""

    _esm, _css = "export default { render() { return 1; } };", ".drawn { color: red; }"


def test_widgets_of_one_class_share_their_code_and_keep_no_copy():
    first, second, other = Drawn(), Drawn(), Empty()
    assert first._code == second._code == Drawn.code.model_id != other._code == Empty.code.model_id
    assert (zlib.decompress(Drawn.code.deflated).decode(), Drawn.code._css) == (Drawn.script, Drawn.style) == (
        "export default { render() { return 1; } };", ".drawn { color: red; }")
    assert Drawn.script not in json.dumps(first.get_state()) and ".drawn" not in json.dumps(first.get_state())
    assert Drawn.code._anywidget_id != Empty.code._anywidget_id  # else one style sheet would take the other's place


class Holding(View):
    """A widget with large content."""

    _esm = Empty.script
    rows, data = pack(traitlets.List()), pack(traitlets.Bytes())


def test_packed_traits_travel_deflated_and_are_plain_in_python_and_in_pages():
    view = Holding(rows=[{"ü": 1.5}] * 99, data=b"abc")
    state = view.get_state()
    assert json.loads(zlib.decompress(state["rows"]["deflated"])) == view.rows and state["rows"]["json"] is True
    assert zlib.decompress(state["data"]["deflated"]) == b"abc" and state["data"]["json"] is False
    assert {*Holding.code.packed} == {"rows", "data"} and Empty()._code and Empty.code.packed == []
    assert view.page_state()["rows"] == [{"ü": 1.5}] * 99 and view.page_state()["data"] == b"abc"


def test_code_that_somebody_closed_is_there_again_for_the_next_widget():
    first = Drawn()._code
    Drawn.code.close()
    assert Drawn()._code not in (first, "") and Drawn.code.comm


def test_plain_json_keeps_six_decimals_and_whole_numbers():
    assert plain_json({"score": 0.123456789, "segment": [1 / 3, 2e4 / 7], "row": 7, "tiny": 1e-9}) == {
        "score": 0.123457, "segment": [0.333333, 2857.142857], "row": 7, "tiny": 0.0}
    assert isinstance(plain_json(7), int) and plain_json("0.123456789") == "0.123456789"


def test_plain_json_takes_arrays_and_says_what_it_does_not():
    assert plain_json({"a": np.arange(2), "b": (1, np.float32(0.5)), "c": {"k": {3}}}) == {
        "a": [0, 1], "b": [1, 0.5], "c": {"k": [3]}}
    with pytest.raises(TypeError, match="cannot be shown"):
        plain_json({"a": object()})
