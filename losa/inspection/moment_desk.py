"""One moment of a video, inside its adapters: whom it attends to, the way through an adapter, what is added up."""

import html

import ipywidgets as w
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from losa.errors import RunError
from losa.inspection.adapter_steps import Moment, add_up, find_moment, trace_adapter
from losa.inspection.lesson_figures import draw_truth, or_say
from losa.inspection.model_internals import tapped_layers
from losa.inspection.run_data import RunData
from losa.model.adapters import spans
from widgets.base import Quiet
from widgets.figures import Picture, small_png
from widgets.shown import Shown


class MomentDesk(Shown, w.VBox):
    """A slider over the seconds of a test video and a block to choose; below, what its adapters do at that moment.

    tap: the block that is chosen at first, counted from 0. Attributes. moment: what is looked at. traces: {range:
    `trace_adapter`}. parts: `add_up`. Raises RunError for a model without adapters.
    """

    def __init__(self, run: RunData, video_id: str, tap: int = 0) -> None:
        self.run, self.video = run, run.video(video_id)
        layers = tapped_layers(run, self.video)
        if not layers:
            raise RunError(f"{run.name} has no adapters to look into; give a run of mode losa or side_tokens")
        step = run.source(self.video).time_grid(self.video).snippet_seconds
        begin = next((sum(r["segment"]) / 2 for r in run.truth.get(video_id, [])), self.video.duration / 2)
        self.time = w.FloatSlider(float(begin), min=0, max=float(self.video.duration), step=step, readout_format=".2f",
                                  description="moment (s)", continuous_update=False, layout={"width": "60%"})
        self.block = w.Dropdown(options=[(f"block {layer}", k) for k, layer in enumerate(layers)],
                                value=min(tap, len(layers) - 1), description="tap of")
        self.picture, self.way, self.added = w.Image(format="png", layout={"max_width": "900px"}), w.HTML(), w.HTML()
        for control in (self.time, self.block):
            control.observe(self.look, "value")
        row = {"flex_flow": "row wrap", "grid_gap": "0 24px"}
        super().__init__([w.HBox([self.time, self.block], layout=row), self.picture,
                          w.HBox([self.way, self.added], layout=row), Quiet()])
        self.look()

    def look(self, _=None) -> None:
        """Show the chosen moment."""
        moment = self.moment = find_moment(self.run, self.video, self.time.value)
        tap = self.block.value
        self.traces = {name: trace_adapter(adapter, moment, tap) for name, adapter in zip(
            spans(self.run.config.ranges), self.run.model.adapters[tap], strict=True)}
        self.parts = add_up(self.run, self.video, moment)
        self.picture.value = small_png(self.draw(moment))
        self.way.value = "".join(
            f"<b>{name} range</b>{_table(pd.DataFrame(trace['steps']).set_index('step').rename_axis(None), 1)}"
            for name, trace in self.traces.items())
        self.added.value = (f"<b>What the fusion adds up at {moment.times[moment.at]:.2f} s</b>, the nearest "
                            f"snippet;<br>the channels are those of the largest sum{_table(self.parts, 3)}")

    def draw(self, moment: Moment) -> Figure:
        """Draw the attention of this moment over the video's seconds, a panel for each range, and what happens."""
        fig = Picture(figsize=(10, 1.5 * len(self.traces) + 0.9), layout="constrained")
        axes = fig.subplots(len(self.traces) + 1, 1, sharex=True, height_ratios=[2] * len(self.traces) + [1])
        half = (moment.times[1] - moment.times[0]) / 2 if len(moment.times) > 1 else float(self.video.duration) / 2
        for ax, (name, trace) in zip(axes, self.traces.items(), strict=False):
            begin, end = moment.times[trace["keys"]].T
            ax.bar(begin - half, trace["weights"][moment.at], end - begin + 2 * half, align="edge", color="#0072B2")
            ax.axvline(moment.times[moment.at], color="#D55E00")
            ax.set(ylabel=f"{name}: weight", xlim=(0, float(self.video.duration)))
        draw_truth(self.run, self.video, axes[-1])
        return fig

    def figure(self) -> Figure:
        """Return the attention of the chosen moment."""
        return self.draw(self.moment)

    def line(self) -> str:
        """Return the moment and the block."""
        return f"MomentDesk, {self.video.id} at {self.moment.times[self.moment.at]:.2f} s, tap of {self.block.label}"


moment_desk = or_say(MomentDesk)  # a run without adapters gets a sentence


def _table(table: pd.DataFrame, digits: int) -> str:
    """Return a small HTML table; what is no number stays empty."""
    tight = "<table style='font-size: 11px; line-height: 1.1'"
    shown = table.map(lambda x: html.escape(x) if isinstance(x, str) else "" if np.isnan(x) else f"{x:.{digits}f}")
    return shown.rename(index=html.escape).to_html(
        escape=False, border=0, classes="jp-RenderedHTMLCommon").replace("<table", tight, 1)
