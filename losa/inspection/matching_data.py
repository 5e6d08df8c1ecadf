"""One class's predictions and ground truth, as the Matching widget takes them, and soft-NMS step by step."""

import html
import math
from collections.abc import Sequence

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure

from losa.errors import RunError
from losa.evaluation.ap_by_score import counted
from losa.evaluation.average_precision import evaluate
from losa.inspection.lesson_figures import or_say
from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import TRUTH
from losa.segments import tiou
from widgets.base import Quiet
from widgets.figures import timeline
from widgets.matching import Matching
from widgets.shown import Shown

MOST = 20  # candidates that soft-NMS is shown on, all of which are drawn
STEPS = "Soft-NMS, step by step"
EXPLAINED = ("A step keeps the best of what is left and multiplies the scores of the others by exp(-tIoU² / sigma). "
             "What has become pale is below the least score that is kept.")


def matching_view(run: RunData, video_id: str, label: str) -> dict:
    """Return the keywords of a Matching widget: a class's segments in all test videos.

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
    return {"truth": truth, "predictions": found, "video": video_id, "duration": float(video.duration),
            "title": f"{label} in {video_id} ({run.name})"}


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


def soft_nms_steps(candidates: Sequence[Sequence[int | float]], sigma: int | float, floor: int | float,
                   steps: int) -> list[dict]:
    """Return candidates [start, end, score] after so many steps of soft-NMS: segment, score, kept (step or 0), by.

    A step keeps the best of what is left and multiplies the scores of the others by exp(-tIoU^2 / sigma); what falls
    below `floor` is gone. by: what the last step did to a candidate, (its tIoU with the kept one, its score before);
    None for the others. Source: `soft_nms`, whose twin this is for one class.
    """
    rows = [{"segment": [start, end], "score": score, "kept": 0, "by": None} for start, end, score in candidates]
    segments = np.array([row["segment"] for row in rows], dtype=float).reshape(-1, 2)
    for step in range(1, steps + 1):
        left = [i for i, row in enumerate(rows) if not row["kept"] and row["score"] >= floor]
        if not left:
            break
        best = max(left, key=lambda i: rows[i]["score"])
        rows[best]["kept"], overlaps = step, tiou(segments, segments[[best]])[:, 0].tolist()
        for i, row in enumerate(rows):
            row["by"] = (overlaps[i], row["score"]) if i in left and i != best else None
            row["score"] *= math.exp(-overlaps[i] ** 2 / sigma) if row["by"] else 1
    return rows


def _told(row: dict, floor: int | float) -> dict:
    """Return a row of `soft_nms_steps` as the widget shows it."""
    text = f"{row['score']:.3f}"
    if row["kept"]:
        text = f"kept, step {row['kept']}: {text}"
    elif row["by"] and row["by"][0] > 0.005:
        text = f"{row['by'][1]:.3f} → {text}, tIoU {row['by'][0]:.2f}"
    return {"segment": row["segment"], "text": text, "right": row["kept"] > 0,
            "gone": not row["kept"] and row["score"] < floor}


class MatchingDesk(Shown, w.VBox):
    """A class to choose, of those with an action in the video, and its `Matching` widget, in one of two ways.

    Boundaries to drag, with the tIoU that is needed and a button that puts them back; or, where candidates were kept,
    soft-NMS step by step with a sigma to choose.
    """

    def __init__(self, run: RunData, video_id: str) -> None:
        here = {r["label"] for r in counted(run.truth.get(video_id, []), run.config.protocol)}
        labels = [label for label in run.classes if label in here]
        if not labels:
            raise RunError(f"nothing happens in {video_id} that counts; choose another video")
        self.run, self.video_id, tious = run, video_id, list(run.config.tiou)
        self.matching = Matching(**matching_view(run, video_id, labels[0]))
        self.label = w.Dropdown(options=labels, description="class")
        self.way = w.ToggleButtons(options=["Drag a boundary", STEPS] if run.raw else ["Drag a boundary"],
                                   style={"button_width": "auto"})
        self.tiou = w.Dropdown(options=[(f"{one:.2f}", one) for one in tious], value=tious[len(tious) // 2],
                               description="tIoU needed")
        self.back = w.Button(description="Put boundaries back", layout={"width": "auto"})
        self.sigma = w.FloatSlider(min(max(run.config.nms_sigma, 0.05), 2), min=0.05, max=2, step=0.05,
                                   description="sigma")
        self.step, self.said = w.IntSlider(0, 0, MOST, description="step"), w.HTML()
        self.label.observe(self._change_class, "value")
        self.back.on_click(self._change_class)
        for control in (self.way, self.tiou, self.sigma, self.step):
            control.observe(self._look, "value")
        row = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([w.HBox([self.label, self.way], layout=row),
                          w.HBox([self.tiou, self.back, self.step, self.sigma], layout=row), self.matching, self.said,
                          Quiet()])
        self._change_class()

    def _change_class(self, _=None) -> None:
        """Show the chosen class as it was predicted, before the first step."""
        self.view = matching_view(self.run, self.video_id, self.label.value)
        self.candidates = candidates_of(self.run, self.video_id, self.label.value)
        self.matching.show(**self.view)
        self.step.value, self.step.max = 0, len(self.candidates)
        self._look()

    def _look(self, _=None) -> None:
        """Show the predictions, or the candidates after the chosen step."""
        in_steps, floor = self.way.value == STEPS, self.run.config.min_score
        for control in (self.tiou, self.back, self.step, self.sigma):
            control.layout.display = "" if (control in (self.step, self.sigma)) == in_steps else "none"
        rows = soft_nms_steps(self.candidates, self.sigma.value, floor, self.step.value) if in_steps else []
        self.matching.tiou, self.matching.steps = self.tiou.value, [_told(row, floor) for row in rows]
        self.said.value = html.escape(f"{EXPLAINED} Drawn are the {len(rows)} candidates of highest score." if in_steps
                                      else f"As predicted, AP is {100 * self.predicted():.1f} %.")

    def figure(self) -> Figure:
        """Return the class's ground truth and predictions in the video, right ones full."""
        lanes = {TRUTH: counted(self.run.truth.get(self.video_id, []), self.run.config.protocol),
                 self.run.name: self.run.predictions.get(self.video_id, [])}
        rows = {name: [r for r in lane if r["label"] == self.label.value] for name, lane in lanes.items()}
        return timeline(rows, self.view["duration"], classes=self.run.classes, min_score=0.05, tiou=self.tiou.value,
                        title=self.view["title"], legend=False)

    def line(self) -> str:
        """Return the class, the video, and AP of what was predicted."""
        return f"MatchingDesk {self.view['title']}, AP {100 * self.predicted():.1f} % at tIoU {self.tiou.value:.2f}"

    def predicted(self) -> float:
        """Return the AP (0 to 1) of the predictions as they were, by the package's evaluator at the chosen tIoU."""
        truth = {name: [{"segment": s, "label": "x"} for s in rows] for name, rows in self.view["truth"].items()}
        found = {name: [{"segment": [s, e], "label": "x", "score": score} for s, e, score in rows]
                 for name, rows in self.view["predictions"].items()}
        return evaluate(truth, found, [self.tiou.value]).average_map


matching_desk = or_say(MatchingDesk)  # a video in which nothing happens gets a sentence
