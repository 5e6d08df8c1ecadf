"""The parts of the lesson that one can turn: gates by hand, and a training step in every mode."""

import html
from collections.abc import Mapping, Sequence
from functools import lru_cache

import ipywidgets as w
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from jaxtyping import Float
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from losa.inspection.lesson import by_hand, influence, training_step
from losa.inspection.lesson_figures import or_say, shades
from losa.inspection.model_internals import tapped_layers
from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import make_rescore, timeline_view
from losa.model.adapters import find_adapter, spans
from losa.model.contract import SETTINGS
from widgets.base import Quiet  # in a box, it keeps what is typed there away from the notebook
from widgets.figures import Picture
from widgets.shown import Shown
from widgets.timeline import Timeline

ROW = {"flex_flow": "row wrap", "align_items": "center"}

AS_TRAINED, BY_HAND = "as trained", "by hand"


class GateDesk(Shown, w.VBox):
    """A slider for every gate of a run's model, and a timeline of what it then finds in one test video.

    The sliders start where training left the gates, from -1 to 1. A button of `ways` moves all of them: back to where
    they were, to 0, to 1, or those of one range to 0. `whole` computes the mAP of all test videos for both lanes, after
    soft-NMS with the timeline's sigma. Raises ValueError for a model without gates, or whose gates depend on the
    features.
    """

    def __init__(self, run: RunData, video_id: str) -> None:
        self.run, ranges, layers = run, spans(run.config.ranges), tapped_layers(run, run.video(video_id))
        self._gates = np.zeros((len(layers), len(ranges)))
        rescore, trained = by_hand(run, self._gates), ways_of_letting_through(run)
        before = lru_cache(maxsize=32)(make_rescore(run) if run.raw else by_hand(run, trained[AS_TRAINED]))
        view = timeline_view({AS_TRAINED: run, BY_HAND: run}, video_id)
        self.timeline = Timeline(**view | {"rescore": {
            AS_TRAINED: lambda sigma, video_id=None, progress=None: before(sigma, video_id), BY_HAND: rescore}})
        self.ways = {name: w.Button(description=text, layout={"width": "auto"}) for name, text in zip(
            trained, ["Reset: as trained", "none", "all at 1", *(f"no {name}" for name in ranges)], strict=True)}
        self.sliders = [[w.FloatSlider(gate, min=-1, max=1, step=0.01, description=f"{name} {layer}")
                         for layer, gate in zip(layers, column, strict=True)]
                        for name, column in zip(ranges, trained[AS_TRAINED].T, strict=True)]
        self.whole = w.Button(description="mAP of all test videos, by hand and as trained", layout={"width": "auto"})
        self.said, self._moving = w.HTML(), False
        for name, button in self.ways.items():
            button.on_click(lambda _, gates=trained[name]: self.let(gates))
        self.whole.on_click(lambda _: self.measure())
        self.timeline.observe(lambda _: setattr(self.said, "value", ""), ["sigma", "min_score", "shown_classes"])
        for slider in (slider for column in self.sliders for slider in column):
            slider.observe(self._turn, "value")
        super().__init__([self.timeline, w.HBox([w.Label("gates:"), *self.ways.values()], layout=ROW),
                          w.HBox([w.VBox(column) for column in self.sliders], layout=ROW),
                          w.HBox([self.whole, self.said], layout=ROW), Quiet()])
        self._turn()

    def let(self, gates: Float[np.ndarray, "K R"]) -> None:
        """Move all sliders to these gates, and look once at what is found then."""
        self._moving = True
        for column, values in zip(self.sliders, gates.T.tolist(), strict=True):
            for slider, value in zip(column, values, strict=True):
                slider.value = value
        self._moving = False
        self._turn()

    def _turn(self, _=None) -> None:
        """Suppress the candidates of the model with its gates as the sliders stand now; the other lane stays."""
        if self._moving:
            return
        np.copyto(self._gates, np.array([[slider.value for slider in column] for column in self.sliders]).T)
        data, sigma = self.timeline.ap[AS_TRAINED]["data"], self.timeline.sigma
        self.timeline.suppress(sigma, data_set=False)
        self.timeline.ap = self.timeline.ap | {AS_TRAINED: self.timeline.ap[AS_TRAINED] | {"data": data}}
        self.said.value = ""

    def measure(self) -> None:
        """Compute the mAP of all test videos for both lanes, alike in all but the gates, and say it."""
        self.whole.disabled, self.said.value = True, "computing ..."
        try:
            self.timeline.suppress(self.timeline.sigma)
            maps = {name: tables["data"] for name, tables in self.timeline.live_map.items()}
            told = ", ".join(f"{name} {100 * value:.1f} %" for name, value in maps.items() if value is not None)
            self.said.value = (f"mAP of {len(self.run.videos)} test videos: {told or 'no instance to find'} (soft-NMS "
                               f"{self.timeline.sigma:g}, scores of at least {self.timeline.min_score:g})")
        except Exception as error:  # nobody would see it in a callback
            self.said.value = html.escape(f"{type(error).__name__}: {error}")
        self.whole.disabled = False

    def average_map(self) -> pd.DataFrame:
        """Return the AP (0 to 1, mean over the run's tIoU) of every label, a row per way of letting gates through."""
        return average_map(self.run)


gate_desk = or_say(GateDesk)  # a run without gates to turn gets a sentence


def ways_of_letting_through(run: RunData) -> dict[str, Float[np.ndarray, "K R"]]:
    """Return gates by name: "as trained", "none" of them, "all at 1", and without each range.

    Raises RunError for a model without gates, or whose gates depend on the features.
    """
    by_hand(run, np.zeros((0, 0)))  # says so
    trained, ranges = run.model.fusion.static_gates().mean(2).detach().cpu().numpy(), spans(run.config.ranges)
    kept = {f"no {name}": np.array([name != other for other in ranges]) for name in ranges}
    return {AS_TRAINED: trained, "none": 0 * trained, "all at 1": 0 * trained + 1} | {
        name: trained * factor for name, factor in kept.items()}


@lru_cache(maxsize=1)
def average_map(run: RunData) -> pd.DataFrame:
    """Return the AP (0 to 1, mean over the run's tIoU) of every label, a row per way of letting gates through.

    Raises RunError for a model without gates, or whose gates depend on the features.
    """
    rows = {}
    for name, gates in ways_of_letting_through(run).items():
        table = by_hand(run, gates)(run.config.nms_sigma)["table"]
        rows[name] = {label: values[0] for label, values in table["average"].items()}
    return pd.DataFrame(rows).T


@or_say
def show_average_map(run: RunData) -> Styler | Markdown:
    """Return `average_map` in percent with its mean over the labels, coloured."""
    table = 100 * average_map(run)
    shown = table.assign(mean=table.mean(axis=1)).style.format("{:.1f}").background_gradient(cmap="Blues", axis=None)
    return shown.format_index(escape="html", axis=1)  # a label is text


def measure_step(run: RunData, mode: str, num_clips: int) -> pd.DataFrame:
    """Return `training_step` of a fresh model of `mode` on the run's first training video as a table, stages across."""
    video = run.labelled.subset(run.config.train_subset)[0]
    return pd.DataFrame(training_step(run.config, video, len(run.classes), mode, num_clips))


@lru_cache(maxsize=16)
def measure_steps(run: RunData, modes: tuple[str, ...], num_clips: int) -> pd.DataFrame:
    """Return `measure_step` of every mode: rows (mode, "kept" or "gradient"), stages across."""
    return pd.concat({mode: measure_step(run, mode, num_clips) for mode in modes})


@or_say
def draw_kept(run: RunData, modes: Sequence[str], num_clips: int) -> Figure | Markdown:
    """Draw how many MiB every stage keeps in a training step, a bar for each mode with its total."""
    kept = measure_steps(run, tuple(modes), num_clips).xs("kept", level=1)
    fig = Picture(figsize=(10, 3), layout="constrained")
    ax = fig.subplots()
    bars = kept.plot.barh(stacked=True, color=shades(kept.shape[1]), ax=ax, xlabel="MiB kept")
    bars.legend(bbox_to_anchor=(1, 1), frameon=False)
    for bar, total in enumerate(kept.sum(axis=1)):
        ax.text(total, bar, f" {total:.1f}", va="center")
    ax.margins(x=0.08)
    return fig


@or_say
def show_gradients(run: RunData, modes: Sequence[str], num_clips: int) -> Styler | Markdown:
    """Return a table of the gradient's norm at the output of each stage, a row for each mode."""
    found = measure_steps(run, tuple(modes), num_clips).xs("gradient", level=1).drop(columns="loss")
    return found.style.format(lambda norm: f"{norm:.4f}" if norm else "never")


class ModeDesk(Shown, w.VBox):
    """A mode and a number of clips to choose, and `measure_step` of these below, in `table`.

    With the same number of clips, bars of the same length mean the same in every mode. Raises RunError for a run
    without a backbone.
    """

    def __init__(self, run: RunData, modes: Sequence[str]) -> None:
        self.run, self.modes, self.table = run, tuple(modes), w.HTML()
        self.mode = w.Dropdown(options=self.modes, description="mode")
        self.clips = w.Dropdown(options=[1, 2, 4, 8, 16], description="clips")
        for control in (self.mode, self.clips):
            control.observe(self.look, "value")
        super().__init__([w.HBox([self.mode, self.clips], layout=ROW), self.table, Quiet()])
        measure_steps(run, self.modes, self.clips.value)  # a run that has no backbone says so
        self.look()

    def look(self, _=None) -> None:
        """Measure the chosen step, which takes seconds the first time."""
        self.table.value = "measuring ..."
        try:
            self.table.value = self.style().to_html()
        except Exception as error:  # nobody would see it in a callback
            self.table.value = html.escape(f"{type(error).__name__}: {error}")

    def style(self) -> Styler:
        """Return the chosen mode's table: a row for each stage, MiB kept and the gradient's norm, with bars."""
        books = measure_steps(self.run, self.modes, self.clips.value)
        shown = books.loc[self.mode.value].T.rename_axis(self.mode.value).style.format("{:.3f}")
        for what, colour in (("kept", "#7fb2d680"), ("gradient", "#e2a76f80")):
            most = float(books.xs(what, level=1).to_numpy().max())
            shown = shown.bar(subset=[what], vmin=0, vmax=most or 1.0, color=colour)
        return shown

    def line(self) -> str:
        """Return the mode and the number of clips; the notebook's own picture is `draw_kept`."""
        return f"ModeDesk, mode {self.mode.value}, {self.clips.value} clip{'s' * (self.clips.value != 1)}"


try_modes = or_say(ModeDesk)  # a run that has no backbone gets a sentence


def draw_influence(adapters: Mapping[str, str], num_snippets: int = 64, dim: int = 32) -> Figure:
    """Draw how far adapters see: one snippet of a random tap is blanked (row), and what changes where (column).

    adapters: by the name to show, as a config names them: "temporal" or FILE.py:NAME. A row of pictures for each, for
    the short and the long range, with logarithmic colours.
    """
    fig = Picture(figsize=(6, 3 * len(adapters)), layout="constrained")
    axes = fig.subplots(len(adapters), 2, sharex=True, sharey=True, squeeze=False)
    tap, last = torch.randn(dim, num_snippets, 1, 1), torch.randn(1, dim, num_snippets)
    mask = torch.ones(1, num_snippets, dtype=torch.bool)
    for row, (name, adapter) in zip(axes, adapters.items(), strict=True):
        for ax, span in zip(row, ("short", "long"), strict=True):
            module = find_adapter(adapter)(dim, span=span, grid=1, **SETTINGS).eval()
            changes = influence(lambda x, module=module: module(x[None], last, mask)[0], tap, 1, 0)
            ax.imshow(changes / changes.max() + 1e-4, norm="log", cmap="Blues")
            ax.set(title=f"{name}, {span} range", xlabel="what it says (snippet)", ylabel="what is blanked")
    return fig
