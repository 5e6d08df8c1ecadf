"""A table of segments of many videos: filtered, sorted, each with pictures, to be tagged and looked up elsewhere."""

from collections.abc import Callable, Mapping, Sequence

import traitlets

from widgets.base import parts, plain_json
from widgets.diagnosis import KINDS
from widgets.figures import class_colours
from widgets.tagging import Tagged

FIELDS = ("video", "kind", "index", "start", "end", "predicted", "really", "score", "error")
NAMED = {"video": "videos", "kind": "kinds", "predicted": "labels", "really": "labels", "error": "errors"}


class Segments(Tagged):
    """Show a row per segment of `rows`, a column each: {"video", "kind" ("prediction" or "truth"), "index", "start",
    "end" (s), "predicted", "really", "score" (None for ground truth), "error"}, lists of one length.

    classes: all labels, for their colours. frames(video, times_s) -> JPEG bytes per time; None shows none.
    similar(video, kind, index, tap) and doubts(tap): return further tables, with a column more, "value": how alike a
    segment is to this one, and which share of a segment's neighbours has another label. taps: what they can go by.
    Rows, and pictures of those in sight, travel by message and are no part of the widget's state.

    Traits. shown: {"error", "predicted", "really", "video", "tag": what is shown only; "low", "high" (score),
    "shortest", "longest" (s)}. selected: {"video", "kind", "index"} of the segment clicked, {} before. note: a line.
    """

    _esm, _css = parts("tagging segments", "js"), parts("tagging segments", "css")
    shown, selected = traitlets.Dict().tag(sync=True), traitlets.Dict().tag(sync=True)
    title, note = traitlets.Unicode().tag(sync=True), traitlets.Unicode().tag(sync=True)
    taps, colours = traitlets.List(traitlets.Unicode()).tag(sync=True), traitlets.Dict().tag(sync=True)
    pictured = traitlets.Bool(False).tag(sync=True)

    def show(self, rows: Mapping[str, Sequence], *, classes: Sequence[str], frames: Callable | None = None,
             similar: Callable | None = None, doubts: Callable | None = None, taps: Sequence[str] = (),
             title: str = "", note: str = "", shown: Mapping | None = None) -> None:
        """Show another table in the same place; filters stay unless `shown` says others. Raises ValueError."""
        self.rows, self.frames, self.similar, self.doubts = packed(rows), frames, similar, doubts
        self.selected, self.title, self.note, self.taps = {}, title, note, list(taps)
        self.colours, self.pictured = class_colours(classes), frames is not None
        self.shown = dict(shown) if shown is not None else self.shown or {"error": "errors"}
        self.send({"kind": "rows", "rows": self.rows})

    def page_state(self) -> dict:
        """Return the traits that an offline page starts from, and the rows."""
        return super().page_state() | {"rows": self.rows}

    def _answer(self, _: Tagged, content: Mapping, __: Sequence) -> None:
        """Send rows, pictures or a further table, or why there are none."""
        kind = content.get("kind")
        if kind == "rows":
            self.send({"kind": "rows", "rows": self.rows})
        elif kind == "frames":
            pictures, error = self.take_pictures(content)
            self.send({"kind": "frames", "key": content["key"], "error": error}, pictures)
        elif kind == "play":  # sent back, and so heard after all that the click made Python change
            self.send(dict(content))
        elif kind in ("similar", "doubts"):
            try:
                found = (self.doubts(content["tap"]) if kind == "doubts" else
                         self.similar(content["video"], content["of"], int(content["index"]), content["tap"]))
                self.send({"kind": "list", "rows": packed(found), "name": kind})
            except Exception as problem:  # no taps, say: the table stays
                self.send({"kind": "failed", "error": str(problem)})
        else:
            self.hear_tag(content)


def packed(rows: Mapping[str, Sequence]) -> dict:
    """Return the columns as the browser gets them: texts as places in lists of names.

    Raises ValueError where a column is missing.
    """
    if missing := [name for name in FIELDS if name not in rows]:
        raise ValueError(f"no column {', '.join(missing)}; a table of segments needs {', '.join(FIELDS)}, lists of one "
                         "length")
    names: dict[str, dict[str, int]] = {"errors": {str(kind): i for i, kind in enumerate([*KINDS, "found"])}}
    found: dict[str, list] = {}
    for field in (*FIELDS, *(["value"] if "value" in rows else [])):
        column = plain_json(list(rows[field]))
        if field in NAMED:
            known = names.setdefault(NAMED[field], {})
            found[field] = [known.setdefault(str(value), len(known)) for value in column]
        else:
            found[field] = [None if x is None or x != x else round(x, 4) for x in column]
    return found | {name: list(known) for name, known in names.items()}
