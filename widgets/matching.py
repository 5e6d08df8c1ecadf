"""From segments to average precision: boundaries of one class's predictions to drag, and soft-NMS step by step."""

from collections.abc import Mapping, Sequence

from traitlets import Dict, Enum, Float, Int, List, Unicode

from widgets.base import HERE, View, parts, plain_json


class Matching(View):
    """One class's predictions in one video over its ground truth; precision, recall and AP over all videos.

    truth: {video id: [[start, end], ...]}. predictions: {video id: [[start, end, score], ...]}, of all videos.
    candidates: [[start, end, score], ...] of the shown video before soft-NMS, best first. tious: thresholds to choose
    from. floor: below this score soft-NMS drops a candidate. Times in seconds. Raises ValueError.

    Traits: what was given (predictions as `given`); predictions, as they were dragged; tiou; sigma and step of
    soft-NMS; mode, "match" or "steps"; ap, of `predictions` at `tiou` (0 to 1), as the browser computes it by the rules
    of ActivityNet's evaluator.
    """

    _esm, _css = parts("heat", "js") + (HERE / "matching.js").read_text("utf8"), parts("matching", "css")
    title, video = Unicode().tag(sync=True), Unicode().tag(sync=True)
    mode = Enum(("match", "steps"), "match").tag(sync=True)
    truth, given, predictions = (Dict().tag(sync=True) for _ in range(3))
    candidates, tious = List().tag(sync=True), List([0.5]).tag(sync=True)
    duration, tiou, sigma = Float(1.0).tag(sync=True), Float(0.5).tag(sync=True), Float(0.5).tag(sync=True)
    floor, ap, step = Float(0.001).tag(sync=True), Float(0.0).tag(sync=True), Int(0).tag(sync=True)

    def __init__(self, *given, **named) -> None:
        super().__init__()
        self.show(*given, **named)

    def show(self, truth: Mapping, predictions: Mapping, candidates: Sequence, *, video: str, duration: float,
             tious: Sequence[float] = (0.5,), sigma: float = 0.5, floor: float = 0.001, title: str = "") -> None:
        """Show this, or another class or video in its place. Raises ValueError."""
        if not tious or not duration > 0 or not any(truth.values()):
            raise ValueError(f"{len(tious)} thresholds, {duration} seconds, {sum(map(len, truth.values()))} ground "
                             "truths: give at least one threshold and one ground truth, and the length of the video")
        with self.hold_sync():
            self.truth, self.given, self.predictions = (plain_json(x) for x in (truth, predictions, predictions))
            self.candidates, self.tious, self.video, self.title = plain_json(candidates), [*tious], video, title
            self.tiou = self.tiou if self.tiou in tious else float(tious[len(tious) // 2])
            self.duration, self.sigma, self.floor, self.step = float(duration), float(sigma), float(floor), 0
            self.span = [0.0, self.duration]
