"""From segments to average precision: boundaries of one class's predictions to drag, and soft-NMS step by step."""

from collections.abc import Mapping, Sequence

from traitlets import Dict, Float, List, Unicode

from widgets.base import View, parts, plain_json


class Matching(View):
    """One class's predictions in one video over its ground truth; precision, recall and AP over all videos.

    truth: {video id: [[start, end], ...]}. predictions: {video id: [[start, end, score], ...]}, of all videos. Times in
    seconds. Raises ValueError.

    Traits: what was given; predictions, as they were dragged; tiou, the least that is right; ap, of `predictions` at
    `tiou` (0 to 1), as the browser computes it by the rules of ActivityNet's evaluator. steps: rows to show in place of
    the predictions, to explain suppression: {"segment", "text", "right": filled, "gone": pale}; none: the predictions.
    """

    _esm, _css = parts("heat matching", "js"), parts("matching", "css")
    title, video, steps = Unicode().tag(sync=True), Unicode().tag(sync=True), List().tag(sync=True)
    truth, predictions = Dict().tag(sync=True), Dict().tag(sync=True)
    duration, tiou, ap = (Float(value).tag(sync=True) for value in (1.0, 0.5, 0.0))

    def show(self, truth: Mapping, predictions: Mapping, *, video: str, duration: float, title: str = "",
             steps: Sequence[Mapping] = ()) -> None:
        """Show this, or another class or video in its place. Raises ValueError."""
        if not duration > 0 or not any(truth.values()):
            raise ValueError(f"{duration} seconds, {sum(map(len, truth.values()))} ground truths: give at least one "
                             "ground truth, and the length of the video")
        with self.hold_sync():
            self.truth, self.predictions, self.steps = (plain_json(x) for x in (truth, predictions, steps))
            self.video, self.title, self.duration, self.span = video, title, float(duration), [0.0, float(duration)]
