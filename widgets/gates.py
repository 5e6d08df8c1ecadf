"""The widget of a model's gates, over a video and over a data set: which layers, which range, when, for what?"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from matplotlib.figure import Figure
from traitlets import Bool, Bytes, Dict, Enum, Float, List, Unicode

from widgets import figures
from widgets.base import View, pack, parts, plain_json


class Gates(View):
    """Maps of gates, adapter outputs and contributions (|gate| x norm) over time; below, means by class and length.

    gates, norms: (K, R, T) for K blocks (`layers`), R ranges, T snippets with centres `times`, seconds; gates None for
    a model without. norms: size of each adapter's output, as a multiple of the last layer's features. static: the same
    gates everywhere, shown as bars. profile: {"by_class", "by_length": {"gate", "contribution": (N, K, R)},
    "background": {... (K, R)}, "classes", "lengths": names}; `classes`, `lengths` replace its names. Raises ValueError.

    Traits: the arrays as bytes of float32; `answer`, a sentence; `kind` and `by`, what map and table show.
    """

    _esm, _css = parts("heat gates", "js"), parts("heat gates", "css")
    gates, norms, times = (pack(Bytes()) for _ in range(3))
    layers, ranges, profile = List().tag(sync=True), List().tag(sync=True), pack(Dict())
    duration, static = Float().tag(sync=True), Bool().tag(sync=True)
    title, answer = Unicode().tag(sync=True), Unicode().tag(sync=True)
    kind, by = (Enum(few, few[0]).tag(sync=True) for few in (("gate", "contribution", "norm"), ("class", "length")))

    def show(self, gates: np.ndarray | None, norms: np.ndarray | None, times: Sequence[float], *,
             layers: Sequence, ranges: Sequence[str], duration: float, static: bool, title: str = "",
             profile: Mapping | None = None, classes: Sequence | None = None, lengths: Sequence | None = None) -> None:
        """Show another video in place of this one; arguments as in making one. Raises ValueError."""
        shape, given = (len(layers), len(ranges), len(times)), {}
        if not (shape[2] and 0 < duration < np.inf):
            raise ValueError(f"{shape[2]} snippets in {duration} seconds; give at least one, and the video's length")
        for name, values in {"gates": gates, "norms": norms}.items():
            given[name] = np.nan_to_num(np.asarray([] if values is None else values, "<f4"))
            if (given[name].size or gates is not None) and given[name].shape != shape:
                raise ValueError(f"{name} of shape {given[name].shape}, but layers, ranges and times are {shape}: give "
                                 "those of the same model and video, and gates=None for a model without")
        table = _table(profile, classes, lengths, shape[0] * shape[1]) if profile and gates is not None else {}
        with self.hold_sync():
            self.duration, self.span = float(duration), self.span if duration == self.duration else [0.0, duration]
            self.layers, self.ranges, self.static = plain_json(layers), plain_json(ranges), bool(static)
            self.gates, self.norms, self.times = (*(v.tobytes() for v in given.values()),
                                                  np.asarray(times, "<f4").tobytes())
            self.title, self.profile = title, table
            self.answer = summarise(given["gates"], given["norms"], np.asarray(times), self.layers, self.ranges, table)

    def figure(self) -> Figure | None:
        """Return the map as a figure, a row per block and range: gates, where these do not change contributions."""
        rows = [f"block {layer}, {name}" for layer in self.layers for name in self.ranges]
        if not rows or not self.norms:
            return None
        gates, norms = (np.frombuffer(x, "<f4").reshape(-1, len(self.times) // 4) for x in (self.gates, self.norms))
        values = norms if not gates.size else np.abs(gates) * norms if self.static else gates
        kind = "size of the adapters' output" if not gates.size else "contribution" if self.static else "gate"
        return figures.heat_map(values, rows, self.duration, f"{kind}, {self.title}".strip(", "))

    def line(self) -> str:
        """Return the title and the sentence about the gates."""
        return f"Gates {self.title}: {self.answer}"


def _table(profile: Mapping, classes: Sequence | None, lengths: Sequence | None, size: int) -> dict:
    """Return the profile's rows, {"class", "length": {"names", "gate", "contribution": lists of `size` numbers}}."""
    table = {}
    for by, names in (("class", classes or profile["classes"]), ("length", lengths or profile["lengths"])):
        table[by] = {"names": [*map(str, names), "background"]}
        for kind, values in profile[f"by_{by}"].items():
            rows = [np.full(size, np.nan) if row is None else np.ravel(row) for row in
                    (*values, profile["background"][kind])]
            if len(rows) != len(table[by]["names"]) or any(len(row) != size for row in rows):
                raise ValueError(f"profile by {by} has {len(rows) - 1} rows of {len(rows[0])} numbers for "
                                 f"{len(names)} names and {size} adapters: give that of the same model")
            table[by][kind] = np.where(np.isfinite(np.array(rows, float)), rows, None).tolist()
    return table


def share_out(added: np.ndarray) -> np.ndarray:
    """Return the share of each layer and range, (K, R), in what is added, (K, R, T); zeros where that is nothing."""
    return added.sum(2) / (added.sum() or 1.0)


def summarise(gates: np.ndarray, norms: np.ndarray, times: np.ndarray, layers: Sequence, ranges: Sequence,
           table: Mapping) -> str:
    """Return one sentence: which layers, which range, when, for which actions; (K, R, T) arrays, times in seconds."""
    if not gates.size:
        return ("This model has no gates. The map shows how much each adapter gives to its fusion." if norms.size else
                "This model has no gates: it has no adapters, its head sees the last layer alone.")
    added = np.abs(gates) * norms
    if not added.any():
        return "All gates are closed in this video: nothing of the adapters comes through."
    share, curve = share_out(added), added.sum((0, 1))
    curve = np.convolve(curve, np.ones(min(5, len(curve))), "same")  # a moment, not a single snippet
    block, side = share.sum(1).argmax(), share.sum(0).argmax()
    at = float(times[curve.argmax()])
    when = f"{at:.1f} s" if times[-1] < 120 else str(timedelta(seconds=round(at)))
    sentence = (f"Of what the adapters add, most comes from block {layers[block]} ({share.sum(1)[block]:.0%}) and from "
                f"the {ranges[side]} range ({share.sum(0)[side]:.0%}); in this video most is added around {when}")
    names, rows = (table["class"][key] for key in ("names", "contribution")) if table else ([], [])
    *sums, rest = [None if None in row else (sum(row), name) for name, row in zip(names, rows, strict=True)] or [None]
    if not any(sums):
        return sentence + "."
    (least, quiet), (most, loud) = min(filter(None, sums)), max(filter(None, sums))
    return (f"{sentence}; over the data set most for {loud} ({most:.2f} times the last layer), least for {quiet} "
            f"({least:.2f})" + (f", with {rest[0]:.2f} where no action is labelled." if rest else "."))
