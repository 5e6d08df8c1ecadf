"""The parts of the lesson that one can turn: gates by hand, and a training step in every mode."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from losa.annotations.dataset import Video
from losa.inspection.lesson import by_hand, influence, training_step
from losa.inspection.model_internals import tapped_layers
from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import timeline_view
from losa.model.adapters import find_adapter, spans
from losa.model.contract import SETTINGS
from widgets.base import Quiet  # in a box, it keeps what is typed there away from the notebook
from widgets.figures import timeline as draw_timeline
from widgets.shown import Shown
from widgets.timeline import Timeline


class GateDesk(Shown, w.VBox):
    """A slider for every gate of a run's model, and a timeline of what it then finds in one test video.

    The sliders start where training left the gates, from -1 to 1; `let` lets through all, none, or one range less.
    Raises ValueError for a model without gates, or whose gates depend on the features.
    """

    def __init__(self, run: RunData, video_id: str) -> None:
        self.run, ranges, layers = run, spans(run.config.ranges), tapped_layers(run, run.video(video_id))
        self._gates = np.zeros((len(layers), len(ranges)))
        rescore = by_hand(run, self._gates)
        self._trained = run.model.fusion.static_gates().mean(2).detach().cpu().numpy()
        self._ways = {"all": (1, 0), "none": (0, 0), "all at 1": (0, 1)}  # what the gates are multiplied by, and added
        self._ways |= {f"no {name}": ([name != other for other in ranges], 0) for name in ranges}
        view = timeline_view({"as trained": run, "by hand": run}, video_id)
        self.timeline = Timeline(**view | {"rescore": {"by hand": rescore}})
        self.let = w.ToggleButtons(options=self._ways, description="let through")
        self.sliders = [[w.FloatSlider(gate, min=-1, max=1, step=0.01, description=f"{name} {layer}")
                         for layer, gate in zip(layers, column, strict=True)]
                        for name, column in zip(ranges, self._trained.T, strict=True)]
        for control in (self.let, *(slider for column in self.sliders for slider in column)):
            control.observe(self._turn, "value")
        super().__init__([self.timeline, self.let, w.HBox([w.VBox(column) for column in self.sliders]), Quiet()])
        self._turn()

    def figure(self) -> Figure:
        """Return the timeline's figure."""
        return self.timeline.figure()

    def line(self) -> str:
        """Return what the timeline says."""
        return f"GateDesk, {self.timeline.line()}"

    def _turn(self, _=None) -> None:
        """Suppress the candidates of the model with its gates as the sliders stand now."""
        factor, added = self.let.value
        turned = np.array([[slider.value for slider in column] for column in self.sliders]).T
        np.copyto(self._gates, turned * factor + added)
        self.timeline.suppress(self.timeline.sigma, data_set=False)

    def average_map(self) -> pd.DataFrame:
        """Return the AP (0 to 1, mean over the run's tIoU) of every label, a row per way of letting gates through."""
        rows = {}
        for name, (factor, added) in self._ways.items():
            table = by_hand(self.run, self._trained * factor + added)(self.run.config.nms_sigma)["table"]
            rows[name] = {label: values[0] for label, values in table["average"].items()}
        return pd.DataFrame(rows).T


def draw_truth(run: RunData, video: Video, ax: Axes) -> None:
    """Draw what really happens in a test video into `ax`, over its seconds."""
    draw_timeline({"truth": run.truth[video.id]}, video.duration, classes=run.classes, ax=ax, legend=False)


def measure_step(run: RunData, mode: str, num_clips: int) -> pd.DataFrame:
    """Return `training_step` of a fresh model of `mode` on the run's first training video as a table, stages across."""
    video = run.labelled.subset(run.config.train_subset)[0]
    return pd.DataFrame(training_step(run.config, video, len(run.classes), mode, num_clips))


def try_modes(run: RunData, modes: Sequence[str]) -> w.Widget:
    """Return a mode and a number of clips to choose, and `measure_step` of these below."""
    show: Callable = lambda mode, clips: measure_step(run, mode, clips).T.style.format("{:.3f}").bar()  # noqa: E731
    chosen = w.interactive(show, mode=list(modes), clips=[1, 2, 4, 8, 16])
    chosen.children += (Quiet(),)
    return chosen


def draw_influence(adapters: Mapping[str, str], num_snippets: int = 64, dim: int = 32) -> Figure:
    """Draw how far adapters see: one snippet of a random tap is blanked (row), and what changes where (column).

    adapters: by the name to show, as a config names them: "temporal" or FILE.py:NAME. A row of pictures for each, for
    the short and the long range, with logarithmic colours.
    """
    fig, axes = plt.subplots(len(adapters), 2, figsize=(6, 3 * len(adapters)), layout="constrained", sharex=True,
                             sharey=True, squeeze=False)
    plt.close(fig)
    tap, last = torch.randn(dim, num_snippets, 1, 1), torch.randn(1, dim, num_snippets)
    mask = torch.ones(1, num_snippets, dtype=torch.bool)
    for row, (name, adapter) in zip(axes, adapters.items(), strict=True):
        for ax, span in zip(row, ("short", "long"), strict=True):
            module = find_adapter(adapter)(dim, span=span, grid=1, **SETTINGS).eval()
            changes = influence(lambda x, module=module: module(x[None], last, mask)[0], tap, 1, 0)
            ax.imshow(changes / changes.max() + 1e-4, norm="log", cmap="Blues")
            ax.set(title=f"{name}, {span} range", xlabel="what it says (snippet)", ylabel="what is blanked")
    return fig
