"""A run as it learnt: its gates and its predictions of one video after every epoch, on a slider that plays."""

import html
import json
from collections.abc import Sequence

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure

from losa.annotations.dataset import Video
from losa.errors import RunError
from losa.evaluation.ap_by_score import counted
from losa.evaluation.ground_truth import as_judged, make_truth
from losa.inspection.lesson_figures import or_say, shades
from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import TRUTH, make_pictures
from losa.model.adapters import spans
from losa.training.snapshots import FILE, read_snapshots
from widgets.base import Quiet
from widgets.figures import Picture, small_png
from widgets.shown import Shown
from widgets.timeline import Timeline
from widgets.verdicts import judged


def read_epochs(run: RunData) -> tuple[Video, list[dict]]:
    """Return the video of a run's snapshots, and those by epoch: {"epoch", "gates" (K, R) or None, "records", "log"}.

    log: the epoch's row of log.jsonl, {} without. Raises RunError for a run without snapshots, and where their video
    is not in the annotations any more.
    """
    rows = read_snapshots(run.path)
    if not rows:
        raise RunError(f"{run.name} has no {FILE}, a snapshot of each epoch: it was trained by a version of losa that "
                       "kept none; train it anew into another folder to see it learn")
    known = {video.id: video for video in run.labelled.videos}
    if (name := rows[0]["video"]) not in known:
        raise RunError(f"the snapshots of {run.name} are of {name}, which its annotations do not hold any more")
    logged = {row["epoch"]: row for row in (run.read_log() if (run.path / "log.jsonl").is_file() else ())}
    return known[name], [{"epoch": row["epoch"], "gates": None if row["gates"] is None else np.array(row["gates"]),
                          "records": [{"segment": [start, end], "label": label, "score": score}
                                      for start, end, label, score in row["records"]],
                          "log": logged.get(row["epoch"], {})} for row in rows]


def draw_gates(epochs: Sequence[dict], at: int, blocks: Sequence[str], ranges: Sequence[str]) -> Figure | None:
    """Draw the gates (E epochs) as lines over the epochs, a panel for each range, and a mark at place `at`; None: none.
    """
    if any(row["gates"] is None for row in epochs):
        return None
    number, gates = [row["epoch"] for row in epochs], np.stack([row["gates"] for row in epochs])
    fig = Picture(figsize=(10, 2.4), layout="constrained")
    axes = fig.subplots(1, len(ranges), sharey=True, squeeze=False)
    colours = shades(len(blocks))
    for r, (ax, name) in enumerate(zip(axes[0], ranges, strict=True)):
        for k, block in enumerate(blocks):
            ax.plot(number, gates[:, k, r], color=colours[k], label=block)
            ax.plot(number[at], gates[at, k, r], "o", color=colours[k], markersize=5)
        ax.axvline(number[at], color="#D55E00", linewidth=1)
        ax.set(title=f"{name} range", xlabel="epoch", ylabel="gate" if r == 0 else "")
    axes[0, -1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


class EpochDesk(Shown, w.VBox):
    """A slider over the epochs of a run, with a play button: its gates, and what it found in its snapshots' video.

    Raises RunError for a run without snapshots.
    """

    def __init__(self, run: RunData) -> None:
        self.run = run
        video, self.rows = read_epochs(run)
        judging = as_judged(run.config, run.labelled)
        known = next(one for one in judging.videos if one.id == video.id)
        truth = counted(make_truth([known], judging.classes)[video.id], run.config.protocol)
        there = video.path is not None and video.path.is_file()
        self.timeline = Timeline(
            str(video.path) if there and not video.start else None, {TRUTH: truth, run.name: []},
            duration=float(video.duration), fps=video.fps and float(video.fps), classes=run.classes, video_id=video.id,
            title=f"{video.id}: {run.name}, epoch by epoch", frames=make_pictures(video) if there else None)
        layers = json.loads((run.path / "run.json").read_text())["backbone"].get("layers", ())
        self._blocks, last = [f"block {layer}" for layer in layers], len(self.rows) - 1
        self.epoch = w.IntSlider(last, 0, last, description="epoch", readout=False, layout={"width": "50%"})
        self.play, self.said = w.Play(last, 0, last, interval=700), w.HTML()
        w.jslink((self.play, "value"), (self.epoch, "value"))
        self.picture = w.Image(format="png", layout={"display": "none", "max_width": "900px"})
        self.epoch.observe(self.look, "value")
        super().__init__([w.HBox([self.play, self.epoch, self.said], layout={"flex_flow": "row wrap"}), self.picture,
                          self.timeline, Quiet()])
        self.look()

    def look(self, _=None) -> None:
        """Show the chosen epoch."""
        row = self.rows[self.epoch.value]
        self.timeline.selected = None
        self.timeline.tracks = judged({**self.timeline.tracks, self.run.name: row["records"]}, self.timeline.tiou)
        figure = self.draw()
        if figure is not None:
            self.picture.value, self.picture.layout.display = small_png(figure), ""
        told = {"loss": ("cls_loss", "reg_loss"), "mAP of validation": ("val_map",)}
        values = {name: sum(row["log"][key] for key in keys) for name, keys in told.items() if {*keys} <= {*row["log"]}}
        self.said.value = html.escape(", ".join([f"epoch {row['epoch']} of {self.rows[-1]['epoch']}", *(
            f"{name} {100 * value:.1f} %" if "mAP" in name else f"{name} {value:.3f}"
            for name, value in values.items())]))

    def draw(self) -> Figure | None:
        """Draw the gates, `draw_gates`, with a mark at the chosen epoch."""
        return draw_gates(self.rows, self.epoch.value, self._blocks, spans(self.run.config.ranges))

    def figure(self) -> Figure:
        """Return the gates over the epochs; of a run without gates what it found after the chosen epoch."""
        return self.draw() or self.timeline.figure()

    def line(self) -> str:
        """Return what is shown: the epoch, and what the timeline says."""
        return f"EpochDesk, epoch {self.rows[self.epoch.value]['epoch']}, {self.timeline.line()}"


epoch_desk = or_say(EpochDesk)  # a run without snapshots gets a sentence
