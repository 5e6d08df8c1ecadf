"""The widget that compares two runs on one video: a timeline with both, and the list of their differences."""

from collections.abc import Mapping, Sequence

import numpy as np
import traitlets

from widgets.base import HERE, pack, parts
from widgets.error_kinds import WRONG, ErrorKind
from widgets.html import Html, element, table
from widgets.still import MOST, align, clock
from widgets.timeline import Timeline


class Compare(Timeline):
    """A `Timeline` of the ground truth and exactly two prediction tracks, with the list of their differences below.

    The list has the rows of `differences` that the timeline's threshold and classes leave, the largest difference
    first. A click on a row plays it.
    """

    _esm = parts("timeline", "js").replace("export default { render };", "") + (HERE / "compare.js").read_text("utf8")
    _css = parts("timeline compare", "css")
    differences = pack(traitlets.List())

    def still(self, alone: bool = True) -> Html:
        """Return the lanes and, as a table, the differences that the page lists with scripts, the largest first."""
        found = [(row, tell_difference(row, self.min_score, self.lanes[1:])) for row in self.differences
                 if row["label"] in self.shown_classes]
        rows = sorted(((*told, row) for row, told in found if told), key=lambda row: -row[0])
        cells = align([[f"{size:.2f}", row["label"], *(clock(t, self.duration, 1) for t in row["segment"]), what]
                       for size, what, row in rows[:MOST]]) if rows else []
        few = f", the {MOST} largest of {len(rows):,}" if len(rows) > MOST else ""
        said = f"Differences{few}:" if rows else "No differences at this score."
        return Html(super().still(alone) + element("div", element("p", said), table(
            ["difference", "label", "start", "end", "what"], cells), class_="losa still"))

    @traitlets.observe("tracks")
    def _compared(self, _change: Mapping) -> None:
        self.differences = differences({name: self.tracks[name] for name in self.lanes}, self.tiou)


def differences(tracks: Mapping[str, Sequence[Mapping]], tiou: float = 0.5) -> list[dict]:
    """Return where two prediction tracks differ; `tracks` as the trait of a `Timeline` has them, ground truth first.

    Each row has "kind", "index", "segment" (s) and "label". Kind "truth", a ground truth that at least one track finds:
    "hits" has for each track [tIoU, score, index] of the prediction that finds it, or None. Kind "wrong", a wrong
    prediction: "track" (0 or 1), "score", and "twin", the best score of a wrong prediction of the other track with the
    same label and place, or -1. Raises ValueError unless there are two prediction tracks.
    """
    truth, *both = tracks.values()
    if len(both) != 2:
        raise ValueError(f"Compare takes exactly 2 prediction tracks after the ground truth, not {len(both)} "
                         f"({', '.join([*tracks][1:]) or 'none'}); a Timeline takes any number")
    hits = [{r["other"]: [r["tiou"], r["score"], i] for i, r in enumerate(rows)
             if r["verdict"] == ErrorKind.TRUE_POSITIVE} for rows in both]
    wrong = [[(i, r) for i, r in enumerate(rows) if r["verdict"] in WRONG] for rows in both]
    row = lambda r, **rest: {"segment": list(r["segment"]), "label": r["label"], **rest}  # noqa: E731
    result = [row(truth[j], kind="truth", index=j, hits=[h.get(j) for h in hits])
              for j in sorted({*hits[0], *hits[1]})]
    for track, own in enumerate(wrong):
        twins = twin_scores([r for _, r in own], [r for _, r in wrong[1 - track]], tiou)
        result += [row(r, kind="wrong", index=i, track=track, score=r["score"], twin=twin)
                   for (i, r), twin in zip(own, twins, strict=True)]
    return result


def tell_difference(row: Mapping, least: float, names: Sequence[str]) -> tuple[float, str] | None:
    """Return how large a row of `differences` is at this least score, and what it is; None where the tracks agree."""
    if row["kind"] == "wrong":  # all of it as `difference` in compare.js
        alone = row["twin"] < least <= row["score"]
        return (row["score"], f"wrong in {names[row['track']]} only: score {row['score']:.2f}") if alone else None
    a, b = (hit if hit and hit[1] >= least else None for hit in row["hits"])
    gain = (a[0] if a else 0) - (b[0] if b else 0)
    name, hit = (names[0], a) if gain > 0 else (names[1], b)
    if abs(gain) < 0.005:
        return None
    return abs(gain), (f"closer in {name}: tIoU {a[0]:.2f} and {b[0]:.2f}" if a and b else
                       f"found by {name} only: tIoU {hit[0]:.2f}, score {hit[1]:.2f}")


def twin_scores(records: Sequence[Mapping], others: Sequence[Mapping], tiou: float) -> list[float]:
    """Return for each record the best score of the others with its label and at least this tIoU, -1 if none."""
    labels = [np.array([r["label"] for r in rows], object) for rows in (records, others)]
    (a, b), (c, d) = (np.array([r["segment"] for r in rows], float).reshape(-1, 2).T for rows in (records, others))
    inter = np.minimum(b[:, None], d) - np.maximum(a[:, None], c)
    same = (inter > 0) & (inter >= tiou * ((b - a)[:, None] + (d - c) - inter)) & np.equal.outer(*labels).astype(bool)
    return np.where(same, [r["score"] for r in others], -1.0).max(1, initial=-1.0).tolist()
