"""What an offline page shows where scripts are off: lanes as a drawing, the same segments as a table, times as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from widgets.error_kinds import ErrorKind
from widgets.figures import ink_on, opacity
from widgets.html import Html, element, table
from widgets.verdicts import note_hidden

ROW, ROWS_HIGH, TITLE, AXIS = 18, 90, 18, 20  # pixels: a row of a lane, all its rows, its name above, the time axis
LABEL = 6.6, 10, 760  # pixels: a letter, both sides of a label, and the narrowest drawing that shows labels
MOST = 100  # rows of a table
LONG = 120  # seconds from which times are told in hours, minutes and seconds
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds between marks
KEYS = {"": "full: right", "wrong": "hatched: wrong", "void": "empty: counts for nothing",
        "missed": "dashed outline: missed by all"}


def clock(seconds: float, duration: float, digits: int = 0) -> str:
    """Return a time in a video: "47.3" in a short one; "2:05.0" or "1:02:05.0" in one of LONG seconds or more."""
    if duration < LONG:
        return f"{seconds:.{digits}f}" if digits else f"{seconds:g}" if seconds == int(seconds) else f"{seconds:.0f}"
    units = round(seconds * 10 ** digits)
    whole, rest = divmod(units, 10 ** digits)
    head = f"{whole // 3600}:{whole // 60 % 60:02d}" if duration >= 3600 else f"{whole // 60}"
    return f"{head}:{whole % 60:02d}" + (f".{rest:0{digits}d}" if digits else "")


def choose_shown(view: Any) -> dict[str, list[Mapping]]:
    """Return the records of each lane of a `Timeline` as it shows them at first: of its classes, from its least score.
    """
    return {name: sorted((r for r in view.tracks[name] if r["label"] in view.shown_classes and (
        view.has_truth and not lane or r["score"] >= view.min_score - 1e-9)), key=lambda r: r["segment"])
            for lane, name in enumerate(view.lanes)}


def finders(view: Any, record: Mapping) -> list[str]:
    """Return the names of the tracks that find this ground truth at the least score."""
    return [name for name, score in record["found"].items() if score >= view.min_score - 1e-9]


def kind_of(view: Any, lane: int, record: Mapping) -> str:
    """Return how a record is drawn, a key of KEYS: full (""), hatched, empty, or with a dashed outline."""
    if not view.has_truth or record.get("ambiguous"):
        return ""
    if not lane:
        return "missed" if len(view.lanes) > 1 and not finders(view, record) else ""
    return {ErrorKind.LEFT_OUT: "void", ErrorKind.TRUE_POSITIVE: ""}.get(record["verdict"], "wrong")


def draw_lanes(view: Any) -> Html:
    """Return the lanes of a `Timeline` as a drawing as wide as there is room, places in percent of the width."""
    parts, top, shown = [], 0.0, choose_shown(view)
    num_truth = sum(not r.get("ambiguous") for r in shown[view.lanes[0]])
    for lane, (name, records) in enumerate(shown.items()):
        kinds = [kind_of(view, lane, r) for r in records]
        high = min(ROW, ROWS_HIGH / (rows := max((r["row"] for r in records), default=0) + 1))
        told = (f"{kinds.count('')} of {num_truth} found, {kinds.count('wrong')} wrong" if lane and view.has_truth else
                f"{len(records)} segment{'s' * (len(records) != 1)}")
        if lane or not view.has_truth:
            told += note_hidden([r for r in view.tracks[name] if r["label"] in view.shown_classes], view.min_score)
        back = element("rect", class_="lane", width="100%", height=f"{rows * high:g}")
        parts.append(element("g", element("text", element("tspan", name), f" \u2002{told}", class_="name", x=2, y=-5),
                             back, *(draw_bar(view, r, kind, high) for r, kind in zip(records, kinds, strict=True)),
                             transform=f"translate(0 {top + TITLE:g})"))
        top += TITLE + rows * high + 4
    step = next((step for step in STEPS if view.duration <= 7 * step), view.duration)
    unit = " s" if view.duration < LONG else ""
    times = [i * step for i in range(1, int(0.97 * view.duration / step) + 1)]
    marks = [element("text", clock(t, view.duration, int(step < 1)) + unit, x=place(t, view)) for t in times]
    said = "; ".join(f"{name}: {len(records)} segments" for name, records in shown.items())
    return element("svg", *parts, element("g", *marks, class_="marks", transform=f"translate(0 {top + 14:g})"),
                   role="img", aria_label=f"Segments over time. {said}", height=f"{top + AXIS:g}")


def place(time: float, view: Any) -> str:
    """Return a time as a share of the width."""
    return f"{round(100 * time / view.duration, 2):g}%"


def draw_bar(view: Any, record: Mapping, kind: str, high: float) -> Html:
    """Return a segment as a bar of its class's colour, fainter with a lower score; its label where it fits."""
    (start, end), colour = record["segment"], view.colours.get(record["label"], "#777777")
    wide, faint, y = (end - start) / view.duration, opacity(record["score"]), record["row"] * high
    box = dict(x=place(start, view), y=f"{y:g}" if y else None, width=place(end - start, view),
               height=f"{high - min(2, high / 4):g}")
    bar = element("rect", **box, fill=colour, stroke=colour if kind in ("wrong", "void") else None,
                  class_=kind or None, opacity=f"{faint:.2g}" if faint < 1 else None)
    bar += element("rect", **box, class_="hatch") if kind == "wrong" else ""
    letter, sides, narrow = LABEL
    if high < 12 or letter * len(record["label"]) + sides > wide * narrow:
        return Html(bar)
    plain = kind in ("", "missed") and faint > 0.8
    return Html(bar + element("text", record["label"], x=place((start + end) / 2, view),
                              y=f"{y + high / 2 + 3:g}", fill=ink_on(colour) if plain else None))


def list_segments(view: Any, tell: bool = True) -> Html:
    """Return the segments of a `Timeline` as a table: those that `draw_lanes` draws, the MOST of highest score.

    tell: say how many are left out because of their score or class; more than MOST are always told.
    """
    rows = [(lane, name, r) for lane, (name, records) in enumerate(choose_shown(view).items()) for r in records]
    kept = {id(r) for *_, r in sorted(rows, key=lambda row: -row[-1]["score"])[:MOST]}
    cells = [[*([name] if len(view.lanes) > 1 else []), r["label"], *(clock(t, view.duration, 1) for t in r["segment"]),
              f"{r['score']:.2f}" if lane or not view.has_truth else "",
              *([tell_verdict(view, lane, r)] if view.has_truth else [])] for lane, name, r in rows if id(r) in kept]
    unit = "" if view.duration >= LONG else " (s)"
    heads = [*(["lane"] if len(view.lanes) > 1 else []), "label", f"start{unit}", f"end{unit}", "score",
             *(["verdict"] if view.has_truth else [])]
    few = f"The {MOST} of highest score of these {len(rows):,} are listed. " if len(rows) > MOST else ""
    weak = sum(map(len, view.tracks.values())) - len(rows)
    few += f"{weak:,} of a score below {view.min_score:g} or of hidden classes are left out." if weak and tell else ""
    return Html((table(heads, align(cells)) if cells else element("p", "No segment is shown."))
                + (element("p", few, class_="soft") if few else ""))


def tell_verdict(view: Any, lane: int, record: Mapping) -> str:
    """Return what a prediction is, or which tracks find a ground truth."""
    if lane or record.get("ambiguous") or len(view.lanes) == 1:
        return record["verdict"] if len(view.lanes) > 1 else ""
    return f"found by {', '.join(names)}" if (names := finders(view, record)) else "missed by all"


def align(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the cells, those that begin with a digit padded to the width of their column so that digits line up."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.rjust(size, "\u2007") if cell[:1].isdigit() and set(cell) <= set("0123456789:.") else cell
             for cell, size in zip(row, wide, strict=True)] for row in rows]


def explain(view: Any) -> Html:
    """Return the legend of a drawing: how right, wrong and missed segments look, and the colours of its classes."""
    shown = choose_shown(view)
    kinds = {kind_of(view, lane, r) for lane, records in enumerate(shown.values()) for r in records}
    words = [text for kind, text in KEYS.items() if kind in kinds] if view.has_truth else []
    labels = {r["label"] for records in shown.values() for r in records}
    dots = [element("span", element("i", style=f"background:{colour}"), label) for label, colour in view.colours.items()
            if label in labels]
    return element("p", " \u00b7 ".join([*words, "fainter: lower score"]), *dots, class_="soft legend")
