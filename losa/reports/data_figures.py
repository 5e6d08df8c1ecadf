"""Draw static figures (matplotlib) of the data: frames, segments, the time grid, windows and training targets.

Records and colours are as in `widgets.figures`. No grid or target is computed here: they are given as arrays.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from losa.world.motions import ACTIONS, OTHERS
from losa.world.render import movement_frames
from widgets.figures import (
    FAINT,
    INK,
    PALETTE,
    WIDTH,
    Picture,
    bare,
    class_colours,
    draw_segment,
    hide_long_labels,
    plain,
)

Number = int | float
NONE, PAD, BAND = "#80808033", "#C8C8C8", "#BDBDBD"  # a valid place without an action; padding; a regression range


def filmstrip(read: Callable, timestamps: np.ndarray, records: Sequence[Mapping], span: tuple[float, float], *,
              classes: Sequence[str], title: str = "", num: int = 12) -> Figure:
    """Draw `num` evenly spaced frames between two times, in seconds, above the segments they fall into.

    read: a function from indices to frames (n, H, W, 3) uint8. timestamps: when each frame of the video is shown.
    """
    first, last = np.searchsorted(timestamps, span).clip(max=len(timestamps) - 1)
    chosen = np.linspace(first, last, num).round().astype(int)
    frames, times = read(chosen), timestamps[chosen]
    side, below, above = WIDTH / len(frames), 1.3, 0.3  # inches
    fig = Picture(figsize=(WIDTH, side + below + above))
    height, colours = side + below + above, class_colours(classes)
    for i, (frame, time) in enumerate(zip(frames, times, strict=True)):
        image = fig.add_axes(((i + 0.04) / len(frames), below / height, 0.92 / len(frames), 0.92 * side / height))
        image.imshow(frame)
        image.axis("off")
        now = [r["label"] for r in records if r["segment"][0] <= time < r["segment"][1]]
        image.text(0.5, -0.06, f"{time:.1f} s\n{plain(now[0]) if now else ''}", transform=image.transAxes, ha="center",
                   va="top", fontsize=7.5, color=INK, fontweight="bold" if now else "normal")
    ax = fig.add_axes((0.02, 0.5 / height, 0.96, 0.3 / height))
    for record in records:
        draw_segment(ax, record, 0, 1, colours, True)
    ax.plot(times, [-0.25] * len(times), "v", color=INK, markersize=4, clip_on=False)
    ax.set(xlim=span, ylim=(1, 0), xlabel="seconds", yticks=[])
    fig.suptitle(title, fontsize=10, y=1 - 0.06 / height, va="top")
    bare(ax)
    hide_long_labels(ax)
    return fig


# ------------------------------------------------------------------------------------------ statistics
def class_pictures(columns: int = 2) -> Figure:
    """Draw eight frames of every class of the embedded world, and of the fillers, which have no label, below."""
    blocks = [[*ACTIONS.items()], [*OTHERS.items()]]
    rows = [block[i:i + columns] for block in blocks for i in range(0, len(block), columns)]
    wide, title = WIDTH / columns, 0.32  # inches
    high = title + (wide - 0.1) / 8
    fig = Picture(figsize=(WIDTH, high * len(rows)))
    for i, row in enumerate(rows):
        for j, (name, motion) in enumerate(row):
            place = (j / columns, 1 - (i + 1) / len(rows), (wide - 0.1) / WIDTH, (high - title) / high / len(rows))
            ax = fig.add_axes(place)
            frames = [np.pad(frame, ((0, 0), (0, 2), (0, 0)), constant_values=255) for frame in movement_frames(name)]
            ax.imshow(np.concatenate(frames, 1), aspect="auto")
            ax.axis("off")
            kind, _, about = motion.about.partition("; ")
            ax.set_title(plain(name), loc="left", fontsize=8, fontweight="bold", color=INK, pad=11)
            ax.text(0, 1.04, f"{kind}: {about}", transform=ax.transAxes, fontsize=7, color=INK, va="bottom")
    return fig


def durations(seconds: Mapping[str, Sequence[Number] | np.ndarray], classes: Sequence[str]) -> Figure:
    """Draw how long the instances of each class are (a dot each, the bar is the median) and how many there are."""
    fig = Picture(figsize=(WIDTH, 0.32 * len(classes) + 0.8), layout="constrained")
    ax = fig.subplots()
    colours = class_colours(classes)
    for i, label in enumerate(classes):
        values = np.asarray(seconds.get(label, []), float)
        jitter = 0.26 * np.sin(np.arange(len(values)) * 2.4)
        ax.scatter(values, i + jitter, s=12, color=colours[label], alpha=0.65, linewidths=0)
        if len(values):
            ax.vlines(np.median(values), i - 0.36, i + 0.36, color=INK, linewidth=1.6)
    ax.set(ylim=(len(classes) - 0.4, -0.6), xlim=(0, None), xlabel="seconds")
    ax.set_yticks(range(len(classes)), [f"{plain(c)}  ({len(seconds.get(c, []))})" for c in classes])
    bare(ax, grid="x")
    return fig


def length_levels(lengths: Sequence[Number] | np.ndarray, levels: Sequence[int], num_levels: int) -> Figure:
    """Draw a histogram of segment lengths (s), coloured by the pyramid level that has to find them; -1: no level."""
    lengths, levels = np.asarray(lengths, float), np.asarray(levels, int)
    fig = Picture(figsize=(WIDTH, 2.6), layout="constrained")
    ax = fig.subplots()
    low, high = max(lengths.min(), 1e-2), max(lengths.max(), 2e-2)
    edges = np.geomspace(low * 0.97, high * 1.03, 28)
    hues = [PALETTE[level % len(PALETTE)] for level in range(num_levels)]
    chosen = [level for level in range(-1, num_levels) if (levels == level).any()]
    names = ["no level" if level < 0 else f"level {level}" for level in chosen]
    ax.hist([lengths[levels == level].clip(low, high) for level in chosen], edges, stacked=True,
            color=["#555555" if level < 0 else hues[level] for level in chosen],
            label=[f"{name}: {(levels == level).sum()}" for name, level in zip(names, chosen, strict=True)])
    steps = (1, 2, 5) if edges[-1] > 20 * edges[0] else (1, 1.5, 2, 3, 4, 5, 7)
    ticks = [t for power in range(-2, 4) for t in np.multiply(steps, 10.0**power) if edges[0] <= t <= edges[-1]]
    ax.set(xscale="log", xlabel="length of a segment (seconds, logarithmic)", ylabel="segments",
           xlim=(edges[0], edges[-1]))
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)
    bare(ax, grid="y")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize=8, title="found at", title_fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


# ------------------------------------------------------------------------------------------ the time grid
def time_grid(record: Mapping, *, fps: Number, clip: Number, tubelet: Number, snippets: Sequence[Number] | np.ndarray,
              points: tuple, positive: Sequence[bool] | np.ndarray, margin: Number,
              classes: Sequence[str]) -> Figure:
    """Draw one segment, with `margin` seconds around it, over frames, clips, tubelets, snippets and points.

    All numbers are seconds but for fps. clip, tubelet: the length of one; the first begins at 0. snippets: the time of
    each. points: for the points of all levels their times (P), strides (P) and the ranges (P, 2) in which a segment's
    farther boundary must lie. positive (P): which of them have to find a segment.
    """
    points, strides, ranges = map(np.asarray, points)
    positive, snippets = np.asarray(positive), np.asarray(snippets)
    start, end = np.add(record["segment"], (-margin, margin)).clip(0, snippets.max() + tubelet / 2)
    colour, level_strides = class_colours(classes)[record["label"]], np.unique(strides)
    tops = [0.0, 1.15, 2.15, 3.15, 4.15, *(5.45 + 1.3 * np.arange(len(level_strides)))]
    bottom = tops[-1] + 1.2
    fig = Picture(figsize=(WIDTH, 0.36 * bottom + 1.1), layout="constrained")
    ax = fig.subplots()
    ax.set(xlim=(start, end), ylim=(bottom, -0.1), xlabel="seconds")
    ax.add_patch(Rectangle((record["segment"][0], 0), float(np.diff(record["segment"])[0]), bottom,
                           facecolor=colour, alpha=0.13, linewidth=0))
    for edge in record["segment"]:
        ax.axvline(edge, color=colour, linewidth=1, linestyle=(0, (4, 3)))
    draw_segment(ax, record, tops[0], 0.8, {record["label"]: colour}, True)
    ax.vlines(np.arange(np.ceil(start * fps), end * fps) / fps, tops[1], tops[1] + 0.7, color=INK, linewidth=0.8)
    draw_boxes(ax, clip, tops[2], PALETTE[0], "clip {}")
    draw_boxes(ax, tubelet, tops[3], PALETTE[4], "")
    ax.plot(snippets, np.full(len(snippets), tops[4] + 0.35), "o", color=PALETTE[4], markersize=4.5)
    for top, stride in zip(tops[5:], level_strides, strict=True):
        at_level = strides == stride
        inside = (points[at_level] > record["segment"][0]) & (points[at_level] < record["segment"][1])
        draw_level(ax, record, points[at_level], ranges[at_level][0], positive[at_level] & inside, top, colour)
    label_lanes(ax, tops, fps, clip, tubelet, level_strides, [ranges[strides == s][0] for s in level_strides])
    marks = [Line2D([], [], marker="o", linestyle="", markerfacecolor="white", color="#777777", label="point"),
             Line2D([], [], marker="o", linestyle="", color=colour, label="positive: must find the segment"),
             Line2D([], [], marker="|", markersize=8, color=colour, label="its two distances"),
             Patch(facecolor=BAND, alpha=0.6,
                   label="regression range of the middle point: where its farther boundary may be")]
    fig.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=8, handlelength=1.6)
    hide_long_labels(ax)
    return fig


def draw_boxes(ax: Axes, step: Number, top: Number, colour: str, name: str) -> None:
    """Draw boxes of `step` seconds side by side in alternating shades, with `name` and their number where it fits."""
    low, high = ax.get_xlim()
    for i in range(int(low // step), int(np.ceil(high / step))):
        first, last = i * step, (i + 1) * step
        ax.add_patch(Rectangle((first, top), last - first, 0.7, facecolor=colour, edgecolor="white",
                               alpha=0.45 + 0.3 * (i % 2), linewidth=1))
        if name:
            first, last = max(first, low), min(last, high)
            text = ax.text((first + last) / 2, top + 0.35, name.format(i), ha="center", va="center", fontsize=7,
                           clip_on=True)
            text.width_seconds = last - first


def draw_level(ax: Axes, record: Mapping, points: np.ndarray, reach: np.ndarray, positive: np.ndarray, top: Number,
               colour: str) -> None:
    """Draw one level's points and, for the one in the segment's middle, where its farther boundary may lie."""
    middle, y = np.abs(points - np.mean(record["segment"])).argmin(), top + 0.55
    for side in (-1, 1):
        first, last = sorted(points[middle] + side * reach)
        ax.add_patch(Rectangle((first, top), last - first, 1.1, facecolor=BAND, alpha=0.6, linewidth=0, zorder=0))
    ax.axhline(y, color=FAINT, linewidth=0.6, zorder=1)
    if positive.any():
        ax.plot(record["segment"], [y, y], "|-", color=colour, linewidth=2, markersize=9, markeredgewidth=2, zorder=2)
    ax.plot(points[~positive], np.full((~positive).sum(), y), "o", markersize=4.5, color="#777777",
            markerfacecolor="white", markeredgewidth=0.9, zorder=3)
    ax.plot(points[positive], np.full(positive.sum(), y), "o", markersize=6.5, color=colour, markeredgecolor="white",
            markeredgewidth=0.8, zorder=4)


def label_lanes(ax: Axes, tops: Sequence[Number] | np.ndarray, fps: Number, clip: Number, tubelet: Number,
                strides: np.ndarray, ranges: Sequence[np.ndarray]) -> None:
    """Name the lanes of `time_grid` on the left and explain them on the right."""
    left = ["annotation", "frames", "clips", "tubelets", "snippets", *(f"level {i}" for i in range(len(strides)))]
    right = ["what a person wrote down", f"{fps:.3g} a second",
             f"{round(clip * fps)} frames = {clip:.2f} s: seen at once",
             f"{round(tubelet * fps)} frames = {tubelet:.2f} s: one token", "one feature each, at its centre"]
    for stride, (low, high) in zip(strides, ranges, strict=True):
        limits = f"{low:.3g} to {high:.3g} s" if high < 1000 * strides[0] else f"{low:.3g} s and more"
        step = f"{round(stride / strides[0])} snippet" + "s" * int(stride > strides[0])
        right.append(f"stride {step} = {stride:.3g} s\nregression range {limits}")
    middles = [top + (0.4 if i < 5 else 0.55) for i, top in enumerate(tops)]
    ax.set_yticks(middles, left)
    for y, text in zip(middles, right, strict=True):
        ax.text(1.01, y, text, transform=ax.get_yaxis_transform(), va="center", fontsize=7.5, color=INK,
                linespacing=1.15).width_seconds = np.inf
    bare(ax)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


# ------------------------------------------------------------------------------------------ windows and targets
def batch_windows(windows: Sequence[Mapping], classes: Sequence[str]) -> Figure:
    """Draw each training window where it lies in its video, and the padding behind it.

    A window is {"title", "duration", "segments": records of the whole video, "window": (start, end, end of padding)};
    all in seconds.
    """
    fig = Picture(figsize=(WIDTH, 0.5 * len(windows) + 1.1), layout="constrained")
    ax = fig.subplots()
    colours = class_colours(classes)
    for top, window in enumerate(windows):
        first, last, padded = window["window"]
        whole = [((0, window["duration"]), NONE), *((r["segment"], colours[r["label"]]) for r in window["segments"])]
        for low, high, alpha in ((0, first, 0.3), (first, last, 1), (last, window["duration"], 0.3)):
            for (start, end), colour in whole:  # what is cut away is faint
                start, end = max(start, low), min(end, high)
                if start < end:
                    *colour, opacity = to_rgba(colour)
                    ax.add_patch(Rectangle((start, top + 0.2), end - start, 0.4, facecolor=(*colour, alpha * opacity),
                                           linewidth=0))
        if padded > last:
            ax.add_patch(Rectangle((last, top + 0.08), padded - last, 0.64, facecolor="none", edgecolor=PAD,
                                   hatch="/////", linewidth=0))
        ax.add_patch(Rectangle((first, top + 0.08), last - first, 0.64, facecolor="none", edgecolor=INK, linewidth=1.6))
    longest = max(max(w["window"][2], w["duration"]) for w in windows)
    ax.set(xlim=(-0.5, 1.01 * longest), ylim=(len(windows) - 0.15, -0.05), xlabel="seconds of its video")
    ax.set_yticks(np.arange(len(windows)) + 0.4, [plain(w["title"]) for w in windows])
    bare(ax)
    marks = [Patch(facecolor="none", edgecolor=INK, linewidth=1.6, label="window: mask is True"),
             Patch(facecolor="none", edgecolor=PAD, hatch="/////", label="padding: mask is False"),
             Patch(facecolor=PALETTE[0], label="segments in the window"),
             Patch(facecolor=PALETTE[0], alpha=0.3, label="cut away this time")]
    fig.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return fig


def window_targets(features: Mapping[str, np.ndarray], mask: np.ndarray, records: Sequence[Mapping],
                   strides: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw one window as the model gets it, over its T snippets, and the target of each point.

    features: {name: (C, t)} of the t real snippets, which come first. mask (T): True for them. records: their segments
    are in snippets of the window. strides (P), in snippets, and targets (P, A), 0 or 1, of the points of all levels.
    """
    mask, strides, targets = map(np.asarray, (mask, strides, targets))
    num, valid, colours = len(mask), int(mask.sum()), class_colours(classes)
    heights = (*[1.4] * len(features), 0.45, 0.6, 0.42 * len(np.unique(strides)))
    fig = Picture(figsize=(WIDTH, sum(heights) + 1.3), layout="constrained")
    axes = fig.subplots(len(heights), 1, height_ratios=heights, sharex=True)
    masked, segments, pyramid = axes[len(features):]
    edges = (-0.5, num - 0.5)
    for ax, (name, values) in zip(axes, features.items(), strict=False):
        values = np.asarray(values)
        values = (values - values.mean(1, keepdims=True)) / (values.std(1, keepdims=True) + 1e-9)
        ax.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-3, vmax=3, extent=(-0.5, valid - 0.5, len(values), 0))
        ax.set(ylabel="channel", title=plain(name))
    for first, last, face, ink, text in ((0, valid, NONE, INK, "True"), (valid, num, "#666666", "white", "False")):
        masked.add_patch(Rectangle((first - 0.5, 0.1), last - first, 0.8, facecolor=face, linewidth=0))
        if last - first > num / 20:
            masked.text((first + last) / 2 - 0.5, 0.5, f"{text}: {last - first}", ha="center", va="center", color=ink,
                        fontsize=7.5)
    for record in records:
        draw_segment(segments, record, 0.08, 0.84, colours, True)
    draw_targets(pyramid, mask, strides, targets, [colours[label] for label in classes])
    masked.set(ylim=(1, 0))
    segments.set(ylim=(1, 0))
    pyramid.set(xlim=edges, xlabel="snippet of the window", title="targets: the class each point has to say")
    named = (("mask",), ("segments",), [f"level {i}" for i in range(len(np.unique(strides)))])
    for ax, names in zip((masked, segments, pyramid), named, strict=True):
        ax.set_yticks(np.arange(len(names)) + 0.5, names)
    for ax in axes:
        bare(ax)
    hide_long_labels(segments)
    used = [c for c in classes if any(r["label"] == c for r in records)]
    marks = [*(Patch(facecolor=colours[c], label=plain(c)) for c in used), Patch(facecolor=NONE, label="nothing")]
    fig.legend(handles=marks, loc="outside lower center", ncols=8, frameon=False, fontsize=8, handlelength=1.4)
    return fig


def draw_targets(ax: Axes, mask: np.ndarray, strides: np.ndarray, targets: np.ndarray, colours: Sequence[str]) -> None:
    """Draw a row per level with a cell around every valid point, in the colour of (the first of) its classes."""
    for level, stride in enumerate(np.unique(strides)):
        for i, hot in enumerate(targets[strides == stride]):
            if mask[int(i * stride)]:
                ax.add_patch(Rectangle(((i - 0.5) * stride, level + 0.08), stride, 0.84, edgecolor="#80808080",
                                       facecolor=colours[int(hot.argmax())] if hot.any() else NONE,
                                       linewidth=0.25 if stride < 4 else 0.8))
    ax.set(ylim=(level + 1, 0))
