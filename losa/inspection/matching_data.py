"""One class's predictions, candidates and ground truth, as the Matching widget takes them."""

from collections.abc import Callable

import ipywidgets as w

from losa.errors import RunError
from losa.evaluation.ap_by_score import counted
from losa.inspection.lesson_figures import or_say
from losa.inspection.run_data import RunData
from widgets.base import Quiet
from widgets.matching import Matching

MOST = 60  # candidates that soft-NMS is shown on


def matching_view(run: RunData, video_id: str, label: str) -> dict:
    """Return the keywords of a Matching widget: a class's segments in all test videos, and the candidates of one.

    Truth is what counts by the run's protocol; the widget judges by ActivityNet's rules. Raises RunError for a class
    without an instance to find.
    """
    video, rules = run.video(video_id), run.config.protocol
    truth = {name: [r["segment"] for r in counted(records, rules) if r["label"] == label]
             for name, records in run.truth.items()}
    if not any(truth.values()):
        raise RunError(f"{run.name} has no test video with {label!r} to find; choose one of {', '.join(run.classes)}")
    found = {name: [[*r["segment"], r["score"]] for r in records if r["label"] == label]
             for name, records in run.predictions.items()}
    return {"truth": truth, "predictions": found, "candidates": candidates_of(run, video_id, label), "video": video_id,
            "duration": float(video.duration), "tious": list(run.config.tiou), "sigma": run.config.nms_sigma,
            "floor": run.config.min_score, "title": f"{label} in {video_id} ({run.name})"}


def candidates_of(run: RunData, video_id: str, label: str) -> list[list[float]]:
    """Return a class's best candidates of a video before suppression, [start, end, score]; none where none were kept.

    Of a run whose classes come from an external classifier: those of the model, whatever their class.
    """
    if not run.raw or video_id not in run.raw[0]:
        return []
    raw, classes = run.raw[0][video_id], run.raw[1]
    rows = raw.labels == classes.index(label) if label in classes else raw.labels >= 0
    best = raw.scores[rows].argsort(descending=True, stable=True)[:MOST]
    return [[*segment, score] for segment, score in zip(raw.segments[rows][best].tolist(),
                                                        raw.scores[rows][best].tolist(), strict=True)]


class MatchingDesk(w.VBox):
    """A class to choose, of those with an action in the video, and its `Matching` widget."""

    def __init__(self, run: RunData, video_id: str) -> None:
        here = {r["label"] for r in counted(run.truth.get(video_id, []), run.config.protocol)}
        labels = [label for label in run.classes if label in here]
        if not labels:
            raise RunError(f"nothing happens in {video_id} that counts; choose another video")
        self.matching = Matching(**matching_view(run, video_id, labels[0]))
        self.label = w.Dropdown(options=labels, description="class")
        show: Callable = lambda change: self.matching.show(**matching_view(run, video_id, change["new"]))  # noqa: E731
        self.label.observe(show, "value")
        super().__init__([self.label, self.matching, Quiet()])


matching_desk = or_say(MatchingDesk)  # a video in which nothing happens gets a sentence
