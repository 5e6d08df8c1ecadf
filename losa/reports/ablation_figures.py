"""Draw figures of ablations: matplotlib for keeping, plotly for exploring. Takes data frames and dicts only.

A frame has one row per run: its settings in columns, `average_map` and `val_map` as fractions, what it cost, `status`.
Figures show percent or points of mAP. Runs that failed have no numbers; they are left out, never drawn as zero.
"""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator
from pandas.io.formats.style import Styler

from widgets.figures import FAINT, GREY, INK, PALETTE, WIDTH, Picture, bare, ink_on, plain, run_colours

GROUPS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A7F1C", "#7A5195", "#56B4E9", "#E69F00")
CLEAR, LINES = "rgba(0,0,0,0)", "rgba(128,128,128,0.3)"  # ground and grid of an interactive figure, on any page


# ------------------------------------------------------------------------------------------ pure functions
def list_values(column: pd.Series) -> list:
    """Return the different values of a column: numbers in order, anything else as it first appears."""
    values = list(column.dropna().unique())
    return sorted(values) if all(isinstance(v, int | float | np.number) for v in values) else values


def find_front(costs: Sequence[int | float] | np.ndarray, gains: Sequence[int | float] | np.ndarray) -> list[int]:
    """Return the indices of the Pareto front by cost: no other point costs at most as much and gains at least as much.
    """
    best, kept = -np.inf, []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -gains[i])):
        if gains[i] > best:
            best = gains[i]
            kept.append(i)
    return kept


def restrict(frame: pd.DataFrame, base: Mapping[str, object], *free: str) -> pd.DataFrame:
    """Return the runs whose settings are those of `base` {column: value}, except in the columns `free`."""
    fixed = [name for name in base if name not in free]
    rows = frame.to_dict("records")
    return frame[[all(as_text(row[name]) == as_text(base[name]) for name in fixed) for row in rows]]


def as_text(value: object) -> str:
    """Return a setting's value in few characters: 4.0 as 4, a list as its text, NaN (a table's None) as None."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return "None" if np.isnan(value) else f"{value:.12g}"
    return plain(value)


# ------------------------------------------------------------------------------------------ for keeping
def heat_maps(frame: pd.DataFrame, x: str, y: str, values: Mapping[str, str]) -> Figure:
    """Draw the mean mAP (%) over the runs of every pair of settings, a panel per column of `values` {column: title}.

    Below the mean of several runs: their standard deviation. A place without a finished run is hatched. Each panel
    has its own range of colours.
    """
    xs, ys = list_values(frame[x]), list_values(frame[y])
    fig = Picture(figsize=(WIDTH, 0.62 * len(ys) + 1.2), layout="constrained")
    axes = fig.subplots(1, len(values), squeeze=False, sharey=True)
    for ax, (column, title) in zip(axes[0], values.items(), strict=True):
        cells = (100 * frame[column]).groupby([frame[y], frame[x]]).agg(["mean", "std", "count"])
        mean, std = (cells[name].unstack().reindex(index=ys, columns=xs).to_numpy(float) for name in ("mean", "std"))
        texts = [["" if np.isnan(m) else f"{m:.1f}" + ("" if np.isnan(s) else f"\n± {s:.1f}")
                  for m, s in zip(*row, strict=True)] for row in zip(mean, std, strict=True)]
        low, high = (np.nanmin(mean), np.nanmax(mean)) if np.isfinite(mean).any() else (0, 1)
        draw_cells(ax, mean, texts, Normalize(low - (high - low) / 2 - 0.5, high + (high - low) / 4 + 0.5), "Blues")
        ax.set(xlabel=x, title=title)
        ax.set_xticks(range(len(xs)), [as_text(v) for v in xs])
        bare(ax)
    axes[0, 0].set(ylabel=y)
    axes[0, 0].set_yticks(range(len(ys)), [as_text(v) for v in ys])
    return fig


def draw_cells(ax: Axes, values: np.ndarray, texts: Sequence[Sequence[str]], norm: Normalize, colours: str) -> None:
    """Draw a matrix as coloured cells, each with its text; hatched where it has no value."""
    shade = matplotlib.colormaps[colours]
    for (row, column), value in np.ndenumerate(values):
        missing = bool(np.isnan(value))
        face = "none" if missing else to_hex(shade(norm(value)))
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=face, edgecolor=FAINT if missing else "white",
                               hatch="////" if missing else None, linewidth=0.8))
        ax.text(column, row, texts[row][column], ha="center", va="center", fontsize=8,
                color=INK if missing else ink_on(face))
    ax.set(xlim=(-0.5, values.shape[1] - 0.5), ylim=(values.shape[0] - 0.5, -0.5))


def interval_plot(rows: pd.DataFrame, kinds: Mapping[str, str], *, baseline: str) -> Figure:
    """Draw how many points of mAP each setting gains over the baseline, a panel per kind of interval {kind: title}.

    rows: `axis`, `setting`, `difference` and, for each kind, `<kind>_low` and `<kind>_high`, all in points; an
    interval that is not known is NaN. A dot is full where the interval leaves zero out, else hollow.
    """
    axes_names = list(dict.fromkeys(rows["axis"]))
    colours = {name: GROUPS[i % len(GROUPS)] for i, name in enumerate(axes_names)}
    tops = np.arange(len(rows)) + 0.6 * np.array([axes_names.index(name) for name in rows["axis"]])
    fig = Picture(figsize=(WIDTH, 0.3 * (tops.max(initial=0) + 1) + 1.3), layout="constrained")
    panels = fig.subplots(1, len(kinds), squeeze=False, sharex=True, sharey=True)
    for ax, (kind, title) in zip(panels[0], kinds.items(), strict=True):
        ax.axvline(0, color=INK, linewidth=0.8)
        lows, highs = (rows[f"{kind}_{end}"].to_numpy(float) for end in ("low", "high"))
        for top, name, middle, low, high in zip(tops, rows["axis"], rows["difference"], lows, highs, strict=True):
            has_interval = np.isfinite(low) and np.isfinite(high)
            if has_interval:
                ax.plot([low, high], [top, top], color=colours[name], linewidth=2, solid_capstyle="butt")
            excludes_zero = has_interval and (low > 0 or high < 0)
            ax.plot([middle], [top], "o", color=colours[name], markersize=6,
                    markerfacecolor=colours[name] if excludes_zero else "white", markeredgewidth=1.4)
        ax.set(title=title, xlabel=f"points of average mAP over {plain(baseline)}")
        ax.update_datalim([(-0.5, tops[0] if len(tops) else 0), (0.5, 0)])  # less is nothing
        ax.autoscale_view()
        bare(ax, grid="x")
    labels = [f"{plain(a)} = {as_text(s)}" for a, s in zip(rows["axis"], rows["setting"], strict=True)]
    panels[0, 0].set_yticks(tops, labels)
    panels[0, 0].set_ylim(tops.max(initial=0) + 0.7, -0.7)
    marks = [Line2D([], [], marker="o", color="#777777", markeredgewidth=1.4, label="interval without 0"),
             Line2D([], [], marker="o", color="#777777", markerfacecolor="white", markeredgewidth=1.4,
                    label="with 0, or no interval: one run tells no spread")]
    fig.legend(handles=marks, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return fig


def length_panels(parts: pd.DataFrame, x: str, *, baseline: Mapping[str, float] | None = None,
                  name: str = "head only") -> Figure:
    """Draw the AP (%) of instances of each length against one setting, a panel per length that has any.

    parts: a row per run and length with columns `x`, `length`, `above` and `up_to` (seconds), `num_ground_truth`,
    `average_map`. The line is the mean over runs, faint dots are the runs. baseline: AP of another model per length,
    dashed, called `name`.
    """
    scored = parts.dropna(subset=["average_map"]).sort_values("above", kind="stable")
    ordered = pd.api.types.is_numeric_dtype(scored[x])  # else a line would join what has no order
    xs, shown = list_values(scored[x]), scored.drop_duplicates("length").to_dict("records")
    fig = Picture(figsize=(WIDTH, 3.0), layout="constrained")
    axes = fig.subplots(1, max(len(shown), 1), squeeze=False, sharey=True)
    for ax, first in zip(axes[0], shown, strict=False):
        rows = scored[scored["length"] == first["length"]]
        few, many = rows["num_ground_truth"].min(), rows["num_ground_truth"].max()
        length, most = first["length"], f"to {first['up_to']:g} s" if np.isfinite(first["up_to"]) else "s and more"
        title = f"{plain(length)}: {first['above']:g} {most}\n{few if few == many else f'{few} to {many}'} actions"
        at = rows[x].map(xs.index)
        ax.plot(at, 100 * rows["average_map"], "o", color=PALETTE[0], alpha=0.35, markersize=4, markeredgewidth=0)
        mean = 100 * rows["average_map"].groupby(at).mean()
        ax.plot(mean.index, mean, "o-" if ordered else "o", color=PALETTE[0], label="mean, and each run")
        if baseline is not None and length in baseline:
            ax.axhline(100 * baseline[length], color="#777777", linestyle="--", label=plain(name))
        ax.set(xlabel=x, title=title, xlim=(-0.4, len(xs) - 0.6))
        ax.set_xticks(range(len(xs)), [as_text(v) for v in xs])
        bare(ax, grid="y")
    axes[0, 0].set(ylabel="AP (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return fig


def gate_maps(gates: pd.DataFrame) -> Figure:
    """Draw how far each gate is open in each setting (mean over runs), a panel per range, a column per tapped block.

    gates: columns `setting`, `range`, `block`, `gate`. Blue: the adapter's output is added; red: it is subtracted;
    white: the gate is closed; hatched: there is no such adapter.
    """
    settings, blocks, ranges = (list_values(gates[name]) for name in ("setting", "block", "range"))
    fig = Picture(figsize=(WIDTH, 0.3 * len(settings) + 1.1), layout="constrained")
    axes = fig.subplots(1, max(len(ranges), 1), squeeze=False, sharey=True)
    most = max(float(gates["gate"].abs().max()), 1e-3) if len(gates) else 1.0
    for ax, kind in zip(axes[0], ranges, strict=False):
        means = gates[gates["range"] == kind].groupby(["setting", "block"])["gate"].mean().unstack()
        values = means.reindex(index=settings, columns=blocks).to_numpy(float)
        texts = [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in values]
        draw_cells(ax, values, texts, TwoSlopeNorm(0, -most, most), "RdBu")
        ax.set(xlabel="tapped block", title=f"{kind} range")
        ax.set_xticks(range(len(blocks)), [as_text(b) for b in blocks])
        bare(ax)
    axes[0, 0].set_yticks(range(len(settings)), [as_text(s) for s in settings])
    return fig


def pareto_plot(frame: pd.DataFrame, by: str, costs: Mapping[str, str], *, value: str = "average_map",
                order: Sequence | None = None) -> Figure:
    """Draw mAP (%) against each cost {column: axis title}, one point per value of `by`: the mean over its runs.

    Whiskers go from its worst to its best run. The line is the Pareto front: what no cheaper value beats. Costs are
    on a logarithmic axis. order: all values of `by`; the first one, a baseline, is grey.
    """
    finished = frame.dropna(subset=[value])
    present = set(finished[by])
    colours = run_colours(list_values(finished[by]) if order is None else order)
    names = [name for name in colours if name in present]
    fig = Picture(figsize=(WIDTH, 3.3), layout="constrained")
    axes = fig.subplots(1, len(costs), squeeze=False, sharey=True)
    for ax, (column, title) in zip(axes[0], costs.items(), strict=True):
        groups = finished.dropna(subset=[column]).groupby(by)
        drawn = [name for name in names if name in groups.groups]
        x, y = (groups[c].mean().reindex(drawn).to_numpy(float) * scale for c, scale in ((column, 1), (value, 100)))
        best = find_front(x, y)
        ax.plot(x[best], y[best], color=FAINT, linewidth=1.2, zorder=1)
        for i, name in enumerate(drawn):
            runs = 100 * groups[value].get_group(name)
            ax.vlines(x[i], runs.min(), runs.max(), color=colours[name], linewidth=1.6)
            ax.plot([x[i]], [y[i]], "o" if i in best else "s", color=colours[name], markersize=7 if i in best else 5.5,
                    markerfacecolor=colours[name] if i in best else "white", markeredgewidth=1.4)
        ax.set(xlabel=title)
        ax.margins(x=0.12)
        bare(ax, grid="y")
        log_axis(ax)
    axes[0, 0].set(ylabel="average mAP (%)")
    marks = [Line2D([], [], marker="o", linestyle="", color=colours[name], label=as_text(name)) for name in names]
    marks += [Line2D([], [], marker="s", linestyle="", color="#777777", markerfacecolor="white", label="beaten")]
    fig.legend(handles=marks, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    return fig


def cost_bars(costs: Mapping[str, float], unit: str) -> Figure:
    """Draw one bar per name on a logarithmic axis, at its end its value and how many times the first one's it is.

    A name with a comma, as in "full, checkpointing", has the colour of what stands before it, and a hatch.
    """
    fig = Picture(figsize=(WIDTH, 0.36 * len(costs) + 0.9), layout="constrained")
    ax = fig.subplots()
    kinds, first = [name.split(",")[0] for name in costs], next(iter(costs.values()))
    colours = run_colours(list(dict.fromkeys(kinds)))
    bars = ax.barh([plain(name) for name in costs], list(costs.values()), color=[colours[k] for k in kinds], height=0.7,
                   hatch=["////" if "," in name else "" for name in costs], edgecolor="white", linewidth=0)
    ax.bar_label(bars, [f"{v:,.1f}  ({v / first:,.1f} x)" for v in costs.values()], fontsize=8, padding=3)
    ax.set(xlabel=unit, ylim=(len(costs) - 0.5, -0.5))
    ax.margins(x=0.25)
    bare(ax, grid="x")
    log_axis(ax)
    return fig


def log_axis(ax: Axes) -> None:
    """Make the horizontal axis logarithmic, with at most six numbers on it, as in 500k."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(ticks) <= 6:
            break
    if len(ticks) < 2:
        ticks = [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high]
    ax.set_xticks(ticks, [EngFormatter(sep="")(t) if t >= 1000 else f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)


# ------------------------------------------------------------------------------------------ for exploring
def explore(frame: pd.DataFrame, fields: Sequence[str], *, value: str = "average_map") -> go.Figure:
    """Draw every finished run as a dot (mAP in %); a menu chooses which of `fields` is the horizontal axis.

    Hovering shows the run's name and all of `fields`. Colour is the seed; a cross is a run of the head alone, which
    has no adapters: where other fields are the axis it stands at values that do nothing for it.
    """
    finished = frame.dropna(subset=[value]).reset_index(drop=True)
    orders = {field: [as_text(v) for v in list_values(finished[field])] for field in fields}
    groups = group_dots(finished)
    fig = go.Figure()
    for name, marker, rows in groups:
        hover_texts = ["<br>".join([str(row["run"]), *(f"{f} = {as_text(row[f])}" for f in fields)])
                       for row in rows.to_dict("records")]
        fig.add_scatter(x=rows[fields[0]].map(as_text).tolist(), y=(100 * rows[value]).tolist(), mode="markers",
                        name=name, text=hover_texts, hovertemplate="%{y:.1f}<br>%{text}<extra></extra>",
                        marker={"size": 10, "opacity": 0.75, **marker})
    buttons = [{"label": field, "method": "update", "args": [
        {"x": [rows[field].map(as_text).tolist() for _, _, rows in groups]},
        {"xaxis.title.text": field, "xaxis.categoryarray": orders[field]}]} for field in fields]
    fig.update_layout(
        template="plotly_white", paper_bgcolor=CLEAR, plot_bgcolor=CLEAR, font_color=GREY, height=420, autosize=True,
        margin={"t": 60, "b": 50, "l": 60, "r": 20},
        yaxis_title="average mAP on test (%)", showlegend=True,
        xaxis={"title": {"text": fields[0]}, "type": "category", "categoryorder": "array",
               "categoryarray": orders[fields[0]]},
        updatemenus=[{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.15, "yanchor": "top"}])
    fig.update_xaxes(gridcolor=LINES).update_yaxes(gridcolor=LINES, zerolinecolor=LINES)
    return fig


def group_dots(frame: pd.DataFrame) -> list[tuple[str, dict, pd.DataFrame]]:
    """Return (name in the legend, colour and symbol, runs) for every seed, runs of the head alone apart and last."""
    alone = frame["mode"] == "head_only" if "mode" in frame else pd.Series(False, index=frame.index)
    groups = []
    for title, symbol, part in (("", "circle", frame[~alone]), ("head_only, ", "x", frame[alone])):
        for i, seed in enumerate(list_values(frame["seed"])):
            rows = part[part["seed"] == seed]
            marker = {"color": GROUPS[i % len(GROUPS)], "symbol": symbol}
            groups += [(f"{title}seed {as_text(seed)}", marker, rows)] if len(rows) else []
    return groups


def narrow(frame: pd.DataFrame, digits: int = 2) -> Styler:
    """Style a table for a narrow page: small letters, long texts and names of columns over several lines.

    digits: of floats after the point. A missing value is left empty.
    """
    props = ("font-size: 11px; padding: 2px 4px; white-space: normal; overflow-wrap: break-word; max-width: 9em; "
             "text-align: right")
    shown = frame.style.set_uuid("narrow").format(precision=digits, escape="html", na_rep="")
    return shown.set_table_styles([{"selector": "th, td", "props": props}])
