"""Draw static figures (matplotlib) of segments, training and results. Takes dicts and arrays only.

A record is `{"segment": [start, end], "label": text, "score": number}`, times in seconds, `score` optional.
Colours mean the same in every figure and page of the project: `class_colours` for classes, `run_colours` for runs.
"""

import base64
import contextlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import matplotlib.collections
import numpy as np
from IPython import get_ipython
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text
from PIL import Image

from widgets.error_kinds import ErrorKind
from widgets.verdicts import note_hidden, score_of, stack_rows, verdicts

# Okabe and Ito's colours that hold on white and on dark grey, and two more: distinct with any colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A7F1C", "#7A5195")
RUN_PALETTE = ("#8C8C8C", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
INK, FAINT, WIDTH = "#333333", "#B5B5B5", 10.0  # WIDTH of every figure, inches
GREY = "#767676"  # takes the place of black in a notebook: contrast above 4 : 1 on white and on JupyterLab's dark grey
SIGNED = LinearSegmentedColormap.from_list("signed", ["#0B4D8C", "#74A6D2", "#F3F3F3", "#E29654", "#8C3C00"])


# ------------------------------------------------------------------------------------------ pure functions
def class_colours(classes: Sequence[str]) -> dict[str, str]:
    """Return a fixed colour (#rrggbb) per class, by its place in `classes`; from the 9th on darker, then lighter ones.
    """
    shades = ((0.0, 0.0), (0.42, 0.0), (0.5, 1.0))  # (share, of this grey level)
    mix = lambda hue, share, grey: to_hex([(1 - share) * c + share * grey for c in to_rgb(hue)])  # noqa: E731
    return {label: mix(PALETTE[i % len(PALETTE)], *shades[i // len(PALETTE) % len(shades)])
            for i, label in enumerate(classes)}


def run_colours(runs: Sequence[str]) -> dict[str, str]:
    """Return a colour per run, by its place: the first, a baseline, is grey."""
    return {run: RUN_PALETTE[i % len(RUN_PALETTE)] for i, run in enumerate(runs)}


def ink_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on this colour."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return "#000000" if float(np.dot(linear, (0.2126, 0.7152, 0.0722))) > 0.18 else "#FFFFFF"


def opacity(score: float) -> float:
    """Return how solid a segment of this score is drawn: 0.3 to 1."""
    return 0.3 + 0.7 * min(max(score, 0.0), 1.0)


# ------------------------------------------------------------------------------------------ in a notebook
class Picture(Figure):
    """A figure that holds on a light and on a dark page when a notebook shows it; in a file it is black on white."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if shell := get_ipython():  # pyplot, which pandas loads to plot, has one for all figures that would come first
            shell.display_formatter.formatters["image/png"].for_type(Picture, notebook_png)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/png": notebook_png(self), "text/plain": f"a figure, {self.get_figwidth():g} inches wide"}


def notebook_png(fig: Figure) -> str:
    """Return `small_png` as text (base64), as a notebook keeps it."""
    return base64.b64encode(small_png(fig)).decode()


def small_png(fig: Figure) -> bytes:
    """Return the figure as a small PNG, at most about 900 pixels wide, without ground and with grey ink."""
    out = io.BytesIO()
    with _inked(fig):
        fig.savefig(out, format="png", dpi=90, transparent=True, bbox_inches="tight", pad_inches=0.05)
    small = Image.open(out).quantize(64, method=Image.Quantize.FASTOCTREE)
    small.save(out := io.BytesIO(), "PNG", optimize=True)
    return out.getvalue()


@contextlib.contextmanager
def _inked(fig: Figure) -> Iterator[None]:
    """Draw in grey what is black; not a text on a colour, which has its ink from `ink_on`, nor one in a white box."""
    before = [(artist, {name: value}) for artist in fig.findobj() for name, value in _inks(artist)
              if (value if isinstance(value, str) else to_hex(value, keep_alpha=True)) in BLACK]
    for artist, (name,) in before:
        artist.set(**{name: GREY})
    try:
        yield
    finally:
        for artist, colour in before:
            artist.set(**colour)


BLACK = {"black", "k", INK, "#000000ff", f"{INK}ff"}


def _inks(artist: Artist) -> Iterator[tuple[str, Any]]:
    """Yield the properties that are the colour of this artist's lines or letters, and their values."""
    if isinstance(artist, matplotlib.collections.Collection):
        yield from (("edgecolor", colour) for colour in artist.get_edgecolor()[:1])
    elif isinstance(artist, Patch):
        yield "edgecolor", artist.get_edgecolor()
    elif isinstance(artist, Line2D):
        yield from (("color", artist.get_color()), ("markeredgecolor", artist.get_markeredgecolor()))
    elif isinstance(artist, Text) and artist.get_bbox_patch() is None:
        yield "color", artist.get_color()


# ------------------------------------------------------------------------------------------ timelines
def timeline(tracks: Mapping[str, Sequence[Mapping]], duration: float, *, classes: Sequence[str],
             min_score: float = 0.25, tiou: float = 0.5, title: str = "", ax: Axes | None = None,
             legend: bool | Collection[str] = True, has_truth: bool = True) -> Figure:
    """Draw one lane per track over `duration` seconds; the first track is the ground truth of the others.

    Colour is the class, opacity the score. A prediction that finds a ground truth at `tiou` is solid, a wrong one is
    hatched. Predictions below `min_score` are left out. has_truth: False if all tracks are predictions, so that none is
    right or wrong; a single track is not judged either. ax: draw into these axes, with the legend below.
    legend: False leaves it out; a list of classes limits it to them, so that it can stand for several timelines.
    """
    shown = {name: [r for r in records if score_of(r) >= min_score] for name, records in tracks.items()}
    used = [c for c in classes if any(r["label"] == c for records in shown.values() for r in records)]
    used = used if isinstance(legend, bool) else [c for c in classes if c in legend]
    per_row = 8
    legend_height = 0.27 * (-(-len(used) // per_row) + 1) if legend else 0.0
    truth_name = next(iter(tracks)) if has_truth else None
    lanes = {name: stack_rows(records) for name, records in shown.items()}
    heights = {name: max(rows, default=0) * 0.6 + 1 for name, rows in lanes.items()}
    if ax is None:
        lane_height = 0.42 * sum(heights.values()) + 0.12 * len(heights)
        below, above = 0.62 + legend_height, 0.35 if title else 0.1
        fig = Picture(figsize=(WIDTH, lane_height + below + above))
        total = lane_height + below + above
        ax = fig.add_axes((0.16, below / total, 0.82, lane_height / total))
    colours, top, ticks = class_colours(classes), 0.0, {}
    for name, records in shown.items():
        is_plain = not has_truth or name == truth_name
        right = [True] * len(records) if is_plain else [
            told["verdict"] == ErrorKind.TRUE_POSITIVE for told in verdicts(tracks[truth_name], records, tiou)[0]]
        row_height = heights[name] / (max(lanes[name], default=0) + 1)
        for record, row, ok in zip(records, lanes[name], right, strict=True):
            draw_segment(ax, record, top + row * row_height, row_height * 0.86, colours, ok)
        ticks[top + heights[name] / 2] = lane_title(name, right, len(tracks.get(truth_name, ())), is_plain) + (
            note_hidden(tracks[name], min_score).replace("; ", "\n").replace(", ", "\n"))
        top += heights[name] + 0.28
    ax.set(xlim=(0, duration), ylim=(top - 0.28 + 0.06, -0.06), xlabel="seconds", title=plain(title))
    ax.set_yticks(list(ticks), list(ticks.values()))
    bare(ax)
    hide_long_labels(ax)
    handles = [Patch(facecolor=colours[c], label=plain(c)) for c in used]
    meaning = [Patch(facecolor="#777777", label=f"right (tIoU at least {tiou:g})"),
               Patch(facecolor="none", edgecolor="#777777", hatch="/////", label="wrong")
               ] if len(tracks) > 1 and has_truth else []
    if any(score_of(r) < 0.95 for records in shown.values() for r in records):
        meaning.append(Patch(facecolor="#777777", alpha=opacity(0), label="fainter: lower score"))
    if legend:
        place_legends(ax, handles, meaning, per_row, legend_height)
    return ax.figure


def draw_segment(ax: Axes, record: Mapping, top: float, height: float, colours: Mapping[str, str], right: bool):
    """Draw one record as a bar, solid if it is right and hatched if not, with its label."""
    start, end = record["segment"]
    colour, alpha = colours.get(record["label"], "#777777"), opacity(score_of(record))
    faces = dict(facecolor=colour, edgecolor="none") if right else dict(
        facecolor="none", edgecolor=colour, hatch="/////", linewidth=1.2)
    ax.add_patch(Rectangle((start, top), end - start, height, alpha=alpha, **faces))
    ink = ink_on(colour) if right and alpha > 0.6 else INK
    box = None if right else dict(facecolor="white", edgecolor="none", pad=0.6, alpha=0.85)
    text = ax.text((start + end) / 2, top + height / 2, plain(record["label"]), ha="center", va="center", fontsize=7,
                   color=ink, clip_on=True, bbox=box)
    text.width_seconds = end - start


def lane_title(name: str, right: Sequence[bool], num_truth: int, is_plain: bool) -> str:
    """Return a lane's name and below it the number of its segments, or of right and wrong ones."""
    if is_plain:
        return f"{plain(name)}\n{len(right)} segment{'' if len(right) == 1 else 's'}"
    return f"{plain(name)}\n{sum(right)} of {num_truth} found, {len(right) - sum(right)} wrong"


def hide_long_labels(ax: Axes) -> None:
    """Hide the labels that are wider than their segment."""
    ax.figure.draw_without_rendering()  # settles the layout
    pixels = ax.transData.transform([(0, 0), (1, 0)])
    per_second = pixels[1, 0] - pixels[0, 0]
    for text in ax.texts:
        fits = text.get_window_extent().width + 4 <= text.width_seconds * per_second
        text.set_visible(fits)


def place_legends(ax: Axes, classes: list, meaning: list, per_row: int, height: float) -> None:
    """Put two legends, classes and meaning, below the axis label, where they cover nothing."""
    inches = ax.get_position().height * ax.figure.get_size_inches()[1]
    style = dict(loc="upper center", frameon=False, fontsize=8, handlelength=1.4, columnspacing=1.4, borderpad=0)
    if classes:
        ax.add_artist(ax.legend(handles=classes, ncols=min(per_row, len(classes)),
                                bbox_to_anchor=(0.5, -0.5 / inches), **style))
    ax.legend(handles=meaning, ncols=3, bbox_to_anchor=(0.5, -(0.5 + height - 0.25) / inches), **style)


# ------------------------------------------------------------------------------------------ maps and charts
def heat_map(values: np.ndarray, rows: Sequence[str], duration: float, title: str = "") -> Figure:
    """Draw numbers over time, (rows, T) evenly spaced in `duration` seconds, in the colours of the widgets' maps."""
    fig = Picture(figsize=(WIDTH, 0.2 * len(rows) + 0.9), layout="constrained")
    ax, high = fig.subplots(), max(float(np.abs(values).max(initial=0)), 1e-9)
    colours = dict(cmap=SIGNED, vmin=-high) if values.min(initial=0) < 0 else dict(cmap="viridis", vmin=0)
    image = ax.imshow(values, aspect="auto", extent=(0, duration, len(rows), 0), interpolation="nearest", vmax=high,
                      **colours)
    ax.set_yticks(np.arange(len(rows)) + 0.5, [plain(row) for row in rows])
    ax.set(xlabel="seconds", title=plain(title))
    fig.colorbar(image, pad=0.01).ax.tick_params(labelsize=8)
    bare(ax)
    return fig


def bar_charts(charts: Sequence[tuple[str, Sequence[tuple[str, float, str, str]]]], title: str = "") -> Figure:
    """Draw charts of horizontal bars, two side by side: (title, [(name, share 0 to 1, text, colour)]) each."""
    lines = -(-len(charts) // 2)
    fig = Picture(figsize=(WIDTH, 0.2 * lines * max(len(bars) for _, bars in charts) + 0.5 * lines + 0.3),
                  layout="constrained")
    fig.suptitle(plain(title), fontsize=10)
    for ax, (name, bars) in zip(fig.subplots(lines, 2, squeeze=False).flat, charts, strict=False):
        names, shares, texts, colours = zip(*bars, strict=True)
        ax.bar_label(ax.barh(range(len(bars)), shares, color=colours), texts, fontsize=8, padding=3)
        ax.set(xlim=(0, 1.25), ylim=(len(bars) - 0.4, -0.6), xticks=[], title=plain(name))
        ax.set_yticks(range(len(bars)), [plain(each) for each in names])
        bare(ax)
    for ax in fig.axes[len(charts):]:
        ax.axis("off")
    return fig


def square_and_cloud(similarity: np.ndarray, xy: np.ndarray, labels: Sequence[str], colours: Mapping[str, str],
                     duration: float, title: str = "") -> Figure:
    """Draw how similar N snippets are to each other, (N, N), and beside it their places, (N, 2), by label."""
    fig = Picture(figsize=(WIDTH, 4.2), layout="constrained")
    square, cloud = fig.subplots(1, 2)
    fig.suptitle(plain(title), fontsize=10)
    square.imshow(similarity, extent=(0, duration, duration, 0), cmap="viridis", vmax=1)
    square.set(xlabel="seconds", ylabel="seconds", title="similarity of the snippets")
    for label in ["", *colours]:
        x, y = xy[np.array(labels) == label].T
        style = dict(color=colours[label]) if label else dict(facecolors="none", edgecolors=FAINT, marker="s")
        if len(x):
            cloud.scatter(x, y, 16, label=plain(label or "background"), **style)
    cloud.set(xticks=[], yticks=[], title="snippets in two dimensions", aspect="equal", adjustable="datalim")
    cloud.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    bare(square)
    bare(cloud)
    return fig


def bare(ax: Axes, grid: str = "") -> None:
    """Remove the frame's top and right, make ticks small, and draw a faint grid along one axis."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, length=3)
    ax.title.set_fontsize(10)
    if grid:
        ax.grid(axis=grid, color=FAINT, alpha=0.4, linewidth=0.6)
        ax.set_axisbelow(True)


def plain(text: str) -> str:
    """Return the text such that matplotlib shows it as it is: a $ in a label starts no formula."""
    return str(text).replace("$", r"\$")
