"""The widget of a model's features: how similar a video's snippets are to each other, and a 2-D projection of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from traitlets import Bytes, Dict, Float, Int, List, Unicode

from widgets.base import View, pack, parts
from widgets.figures import class_colours, square_and_cloud


class Features(View):
    """Self-similarity and a 2-D projection of N snippets, coloured by class, of one of `taps` at a time.

    taps: [{"name", "similarity" (N, N) in 0..1, "xy" (N, 2), "explained": share of the variance of each direction}].
    times: centres of the snippets, seconds. labels: N texts, "" for background. classes: all labels, in the order that
    fixes their colours. Raises ValueError.

    Traits: similarity, hundredths, a byte per pair i <= j, of all taps; xy and times (float32) as bytes; `tap`, number
    of the one shown.
    """

    _esm, _css = parts("heat features", "js"), parts("heat", "css")
    taps, labels, colours = List().tag(sync=True), List().tag(sync=True), Dict().tag(sync=True)
    similarity, xy, times = (pack(Bytes()) for _ in range(3))
    tap, duration, title = Int().tag(sync=True), Float().tag(sync=True), Unicode().tag(sync=True)

    def show(self, taps: Sequence[Mapping], times: Sequence[float], labels: Sequence[str], *, duration: float,
             classes: Sequence[str], title: str = "") -> None:
        """Show another video in place of this one; arguments as in making one. Raises ValueError."""
        size, pairs = len(times), [np.asarray(tap["similarity"], float) for tap in taps]
        places = [np.asarray(tap["xy"], "<f4") for tap in taps]
        if not taps or not size or len(labels) != size or not 0 < duration < np.inf or any(
                s.shape != (size, size) or xy.shape != (size, 2) or not np.isfinite(xy).all()
                or not (s.min() >= -1e-3 and s.max() <= 1.001) for s, xy in zip(pairs, places, strict=True)):
            raise ValueError(f"{len(taps)} taps, {size} times in {duration} s, {len(labels)} labels, similarities "
                             f"{[s.shape for s in pairs]}, places {[xy.shape for xy in places]}: give at least one "
                             "tap, for N times N labels, (1 + cosine) / 2 in 0..1 (N, N), and finite places (N, 2)")
        with self.hold_sync():
            self.duration, self.span = float(duration), self.span if duration == self.duration else [0.0, duration]
            self.similarity = b"".join(
                (s.clip(0, 1) * 100).round().astype("u1")[np.triu_indices(size)].tobytes() for s in pairs)
            self.xy, self.times = b"".join(xy.tobytes() for xy in places), np.asarray(times, "<f4").tobytes()
            self.taps = [{"name": str(tap["name"]), "explained": np.nan_to_num(tap["explained"]).ravel().tolist()}
                         for tap in taps]
            self.tap, self.labels, self.title = min(self.tap, len(taps) - 1), [str(x) for x in labels], title
            self.colours = class_colours([*classes, *sorted({*self.labels} - {*classes, ""})])

    def figure(self) -> Figure:
        """Return the square of similarities and the cloud of snippets of the chosen tap as a figure."""
        size = len(self.labels)
        square, upper = np.zeros((size, size)), np.triu_indices(size)
        square[upper] = np.frombuffer(self.similarity, "u1").reshape(len(self.taps), -1)[self.tap] / 100
        xy = np.frombuffer(self.xy, "<f4").reshape(len(self.taps), -1, 2)[self.tap]
        return square_and_cloud(np.maximum(square, square.T), xy, self.labels, self.colours, self.duration,
                                f"{self.taps[self.tap]['name']}, {self.title}".strip(", "))

    def line(self) -> str:
        """Return the title, the chosen tap and the number of snippets."""
        return f"Features {self.title}: {len(self.labels)} snippets of {self.taps[self.tap]['name']}"
