"""The table of segments: what travels to the browser, on demand, and what is refused."""

import math

import pytest

from widgets.segments import FIELDS, Segments, packed

ROWS = {"video": ["v", "w", "v"], "kind": ["prediction", "prediction", "truth"], "index": [4, 0, 1],
        "start": [1.00004, 2.0, 3.0], "end": [2.0, 4.5, 9.0], "predicted": ["a", "b", ""], "really": ["a", "a", "b"],
        "score": [0.91234567, 0.5, math.nan], "error": ["true positive", "wrong label", "missed"]}


def shown(**options):
    view, sent = Segments(ROWS, classes=("a", "b"), **options), []
    view.send = lambda content, buffers=None: sent.append((content, buffers))
    return view, lambda **asked: (sent.clear(), view._answer(view, asked, []), [*sent])[2]


def unpacked(rows):
    """The columns as they were given."""
    lists = {"video": "videos", "kind": "kinds", "predicted": "labels", "really": "labels", "error": "errors"}
    return {name: [rows[lists[name]][i] if name in lists else i for i in rows[name]] for name in FIELDS}


def test_rows_travel_by_message_and_not_in_the_state():
    view, ask = shown(title="mine")
    (answer, _), = ask(kind="rows")
    assert unpacked(answer["rows"]) == ROWS | {"start": [1.0, 2.0, 3.0], "score": [0.9123, 0.5, None]}
    state = {name: value for name, value in view.get_state().items() if name not in ("_esm", "_css")}
    assert "rows" not in state and len(str(state)) < 2000
    assert view.page_state()["rows"] == answer["rows"]
    assert (view.title, view.selected, view.shown, view.pictured) == ("mine", {}, {"error": "errors"}, False)
    assert {"wrong label", "missed", "found"} <= set(answer["rows"]["errors"])


def test_pictures_are_of_start_middle_and_end_or_say_why_not():
    def frames(video, times):
        if video == "w":
            raise OSError("moved")
        return [f"{time:g}".encode() for time in times]

    view, ask = shown(frames=frames)
    assert view.pictured
    assert ask(kind="frames", key="k", video="v", segment=[2.0, 5.0]) == [
        ({"kind": "frames", "key": "k", "error": ""}, [b"2", b"3.5", b"5"])]
    assert ask(kind="frames", key="k", video="w", segment=[2.0, 5.0]) == [
        ({"kind": "frames", "key": "k", "error": "moved"}, [])]


def test_similar_moments_and_doubts_are_asked_of_python_and_failures_said():
    asked = []

    def similar(*what):
        asked.append(what)
        return {**ROWS, "value": [0.9, 0.8, 0.7]}

    def doubts(tap):
        raise ValueError(f"no {tap}")

    view, ask = shown(similar=similar, doubts=doubts, taps=["last layer"])
    (answer, _), = ask(kind="similar", video="v", of="truth", index=1, tap="last layer")
    assert answer["name"] == "similar" and answer["rows"]["value"] == [0.9, 0.8, 0.7]
    assert asked == [("v", "truth", 1, "last layer")]
    assert ask(kind="doubts", tap="last layer") == [({"kind": "failed", "error": "no last layer"}, None)]


def test_a_tag_from_the_table_is_put_and_a_click_is_answered():
    view, ask = shown()
    put = []
    view.let_tag(("ambiguous",), lambda *what: put.append(what), {})
    ask(kind="tag", video="v", of="truth", index=1, tag="ambiguous", note="")
    assert put == [("v", "truth", 1, "ambiguous", "")] and view.tagged == {"truth 1 v": ["ambiguous", ""]}
    assert ask(kind="play", time=3.0) == [({"kind": "play", "time": 3.0}, None)]


def test_another_table_takes_its_place_with_the_filters_as_they_are():
    view, ask = shown()
    view.shown, view.selected = {"error": "missed"}, {"video": "v", "kind": "truth", "index": 1}
    view.show({name: [] for name in ROWS}, classes=(), note="nothing there")
    assert view.shown == {"error": "missed"} and view.selected == {} and view.note == "nothing there"
    assert ask(kind="rows")[0][0]["rows"]["start"] == []
    view.show(ROWS, classes=("a", "b"), shown={"error": "all"})
    assert view.shown == {"error": "all"}


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no column start, score; a table of segments needs video, kind"):
        packed({name: column for name, column in ROWS.items() if name not in ("start", "score")})
