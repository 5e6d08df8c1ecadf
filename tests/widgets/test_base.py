"""What all widgets share: groups, the parts of their code, and values that a trait can hold."""

import numpy as np
import pytest

from widgets.base import View, link, parts, plain_json


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


def test_plain_json_takes_arrays_and_says_what_it_does_not():
    assert plain_json({"a": np.arange(2), "b": (1, np.float32(0.5)), "c": {"k": {3}}}) == {
        "a": [0, 1], "b": [1, 0.5], "c": {"k": [3]}}
    with pytest.raises(TypeError, match="cannot be shown"):
        plain_json({"a": object()})
