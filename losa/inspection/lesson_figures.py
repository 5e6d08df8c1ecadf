"""Pictures of the lesson: a clip's tokens, the taps of a video, how far each part sees."""

import html
from collections.abc import Callable
from functools import wraps

import numpy as np
import torch
from IPython.display import HTML, Markdown
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from losa.annotations.dataset import Video
from losa.errors import RunError
from losa.inspection.lesson import clip_tokens, colours, sight
from losa.inspection.model_internals import look_inside, tapped_layers
from losa.inspection.run_data import RunData
from widgets.figures import Picture, notebook_png
from widgets.figures import timeline as draw_timeline


def or_say(show: Callable) -> Callable:
    """Let a part of the lesson return, where the run cannot show it, a sentence that says why, in place of its error.

    So that the lesson goes on with the parts that are there. Only a RunError is caught.
    """
    @wraps(show)
    def shown(*given, **named):
        try:
            return show(*given, **named)
        except RunError as error:
            return Markdown(f"> **Not for this run:** {error}.")

    return shown


def shades(number: int) -> list[tuple]:
    """Return colours in an order, such as that of blocks, that are seen on a white page and on a black one."""
    return [*map(tuple, colormaps["viridis"](np.linspace(0.3, 0.82, number)).tolist())]


def fold(shown: Figure | Styler | Markdown, what: str) -> HTML | Markdown:
    """Return a figure or a table as an output that one opens by a click on `what`; a sentence stays as it is.

    For what answers the question above it: JupyterLab opens a folded output when its cell runs.
    """
    if isinstance(shown, Markdown):
        return shown
    body = (f'<img alt="" src="data:image/png;base64,{notebook_png(shown)}">' if isinstance(shown, Figure) else
            shown.to_html(table_uuid="folded"))
    return HTML(f"<details><summary>{html.escape(what)}</summary>{body}</details>")


@or_say
def draw_clip(run: RunData, video: Video, clip: int) -> Figure | Markdown:
    """Draw a frame for each snippet of a clip and, below, its tokens after each block: alike in like colours."""
    seen = clip_tokens(run, video, clip)
    rows = {"frames": seen["frames"].numpy()}
    rows |= {f"block {block}": colours(x) for block, x in zip(seen["blocks"], seen["tokens"], strict=True)}
    across = len(seen["frames"])
    fig = Picture(figsize=(10, 1.2 * len(rows) * 8 / max(across, 8)))
    axes = fig.subplots(len(rows), across, squeeze=False, subplot_kw={"xticks": [], "yticks": []})
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name)
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture)
    return fig


@or_say
def draw_taps(run: RunData, video: Video) -> Figure | Markdown:
    """Draw the taps of a whole video and its last layer, a row each, as the model gets them; below what happens."""
    windows = list(look_inside(run, video))
    rows = [torch.cat([window["taps"][k] for window in windows], -1) for k in range(len(windows[0]["taps"]))]
    rows.append(torch.cat([window["last"] for window in windows], -1))
    fig = Picture(figsize=(10, 1.1 + 0.37 * len(rows)), layout="constrained")
    ax, below = fig.subplots(2, 1, height_ratios=(len(rows), 1), sharex=True)
    ax.imshow([colours(x) for x in rows], aspect="auto", extent=(0, float(video.duration), len(rows), 0),
              interpolation="nearest")
    ax.set_yticks(np.arange(len(rows)) + 0.5, [*(f"block {k}" for k in tapped_layers(run, video)), "last layer"])
    draw_truth(run, video, below)
    return fig


def draw_truth(run: RunData, video: Video, ax: Axes) -> None:
    """Draw what really happens in a test video into `ax`, over its seconds."""
    draw_timeline({"truth": run.truth.get(video.id, [])}, video.duration, classes=run.classes, ax=ax, legend=False)


def reach(changes: Float[np.ndarray, "T T"]) -> int:
    """Return how many snippets away the farthest output lies that changes, see `influence`."""
    return max((abs(i - j) for i, j in np.argwhere(changes > 1e-6 * changes.max()).tolist()), default=0)


@or_say
def draw_sight(run: RunData, video: Video, tap: int, num_clips: int) -> Figure | Markdown:
    """Draw `sight`: a row is the blanked snippet, a column an output; dark where it changes much, logarithmic.

    The last tap is taken for a `tap` beyond it.
    """
    seen = sight(run, video, min(tap, max(len(run.model.adapters) - 1, 0)), num_clips)
    step = run.source(video).time_grid(video).snippet_seconds
    fig = Picture(figsize=(10, 3.8), layout="constrained")
    axes = fig.subplots(1, len(seen), squeeze=False)
    for ax, (name, changes) in zip(axes[0], seen.items(), strict=True):
        far = reach(changes)
        ax.imshow(np.log10(changes / max(changes.max(), 1e-9) + 1e-4), cmap="Greys")
        ax.set(title=f"{name}: {far} snippets = {step * far:.1f} s", xlabel="output", ylabel="blanked")
    return fig
