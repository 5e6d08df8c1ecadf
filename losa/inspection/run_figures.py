"""Figures of runs: how they learnt, what they score, and how far their gates are open."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from widgets.figures import FAINT, INK, PALETTE, WIDTH, Picture, bare, plain, run_colours


def training_curves(runs: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Draw loss (left) and validation mAP (right) per epoch, from the rows of each run's log.jsonl."""
    fig = Picture(figsize=(WIDTH, 3.2), layout="constrained")
    left, right = fig.subplots(1, 2)
    colours = run_colours(["", *runs]) if len(runs) == 1 else run_colours(list(runs))
    for name, rows in runs.items():
        colour, epochs = colours[name], [r["epoch"] for r in rows]
        left.plot(epochs, [r["cls_loss"] for r in rows], color=colour, label=f"{plain(name)}: classes")
        left.plot(epochs, [r["reg_loss"] for r in rows], color=colour, ls="--", label=f"{plain(name)}: boundaries")
        tested = [r for r in rows if r.get("val_map") is not None]
        right.plot([r["epoch"] for r in tested], [100 * r["val_map"] for r in tested], "o-", color=colour,
                   markersize=4, label=plain(name))
    left.set(xlabel="epoch", ylabel="loss", title="loss of the epoch's last batch", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="average mAP (%)", title="validation", ylim=(0, None))
    for ax in (left, right):
        bare(ax, grid="y")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return fig


def map_bars(results: Mapping[str, Mapping]) -> Figure:
    """Draw each run's mAP (%) at each tIoU threshold and on average; a result has `map`, `tiou`, `average_map`."""
    groups = [f"{t:g}" for t in next(iter(results.values()))["tiou"]] + ["average"]
    values = {name: [100 * v for v in (*r["map"], r["average_map"])] for name, r in results.items()}
    fig = Picture(figsize=(WIDTH, 3.4), layout="constrained")
    ax = fig.subplots()
    grouped_bars(ax, groups, values, digits=1)
    ax.axvline(len(groups) - 1.5, color=FAINT, linewidth=0.8)
    ax.set(xlabel="tIoU threshold", ylabel="mAP (%)")
    return fig


def per_class(results: Mapping[str, Mapping], classes: Sequence[str]) -> Figure:
    """Draw each class's AP (%), mean over the thresholds, per run; a result has `per_class` {label: [AP per tIoU]}."""
    labels = [c for c in classes if any(c in r["per_class"] for r in results.values())]
    values = {name: [100 * float(np.mean(r["per_class"].get(c, [np.nan]))) for c in labels]
              for name, r in results.items()}
    fig = Picture(figsize=(WIDTH, 3.4), layout="constrained")
    ax = fig.subplots()
    grouped_bars(ax, [plain(c) for c in labels], values, turn=len(labels) > 12)
    ax.set(ylabel="AP (%), mean over tIoU")
    return fig


def gate_bars(gates: np.ndarray | None, layers: Sequence[int], ranges: Sequence[str]) -> Figure:
    """Draw how far each adapter's gate is open: `gates` (K, R), K layers by R ranges; None for a model without gates.
    """
    fig = Picture(figsize=(WIDTH, 3.0), layout="constrained")
    ax = fig.subplots()
    if gates is None or not len(layers):
        ax.text(0.5, 0.5, "this model has no gates", ha="center", color=INK)
        ax.axis("off")
        return fig
    values = {f"{name} range": gates[:, r].tolist() for r, name in enumerate(ranges)}
    grouped_bars(ax, [f"block {layer}" for layer in layers], values, digits=2,
                 colours=dict(zip(values, (PALETTE[1], PALETTE[0]), strict=False)))
    ax.set(ylabel="gate (0 = closed)")
    ax.axhline(0, color=INK, linewidth=0.8)
    return fig


def grouped_bars(ax: Axes, groups: Sequence[str], values: Mapping[str, Sequence[float]], *, turn: bool = False,
                 digits: int = 0, colours: Mapping[str, str] | None = None) -> None:
    """Draw a bar per group and name, its value above it if there is room, and the legend above the axes."""
    colours = colours or (run_colours(["", *values]) if len(values) == 1 else run_colours(list(values)))
    width = 0.8 / max(len(values), 1)
    for i, (name, heights) in enumerate(values.items()):
        bars = ax.bar(np.arange(len(groups)) + (i - (len(values) - 1) / 2) * width, heights, width * 0.94,
                      color=colours[name], label=plain(name))
        if len(groups) * len(values) <= 30:
            ax.bar_label(bars, fmt=f"%.{digits}f", fontsize=7, padding=1)
    ax.set_xticks(range(len(groups)), groups, rotation=40 if turn else 0, ha="right" if turn else "center")
    ax.margins(y=0.12)
    bare(ax, grid="y")
    ax.legend(frameon=False, fontsize=8, ncols=len(values), loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)
