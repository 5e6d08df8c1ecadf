"""Write the report of a folder of runs: one offline page with intervals per setting, Pareto fronts and all runs.

It gives numbers only. Which run to choose is for the validation subset to say, and the page says so.
"""

import base64
import os
from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from losa.config import Config
from losa.reports.ablation_figures import as_text, interval_plot, pareto_plot
from losa.reports.page import make_table, minutes, percent, write_page
from losa.sweeps.collect import NUMBERS, SEEDS, collect, write_frame
from losa.sweeps.statistics import NO_SETTING, TOGETHER, compare_groups, converged, key, pareto
from widgets.html import Html, element

COSTS = {"peak_memory_mb": "peak memory (MB)", "train_seconds": "training (s)",
         "trainable_parameters": "trained parameters"}
KINDS = {"seeds": "over seeds: paired t, 95 %", "videos": "over test videos: bootstrap, 95 %"}
FIRST = {"mode": "head_only", "adapters": "head_only"}  # what others are compared with, if it was run
FILES = ("annotations", "weights", "start")  # shown in the table where they differ; never compared with each other
MOST_POINTS = 6  # settings drawn in a Pareto figure, each in a colour of its own
SHADE = "background:#fff;max-width:100%;height:auto;border-radius:6px"  # figures are drawn for a white page


def report(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the page (None: `folder`/report.html), runs.csv and runs.parquet beside it; return the page's path.

    Raises FileNotFoundError where no run lies under the folder.
    """
    page = Path(folder) / "report.html" if out is None else Path(out)
    frame = collect(folder)
    page.parent.mkdir(parents=True, exist_ok=True)
    for ending in ("csv", "parquet"):
        write_frame(frame, page.parent / f"runs.{ending}")
    done = frame[frame["status"] == "ok"]
    axes, compared = find_axes(frame), find_axes(done)  # no run that failed is a baseline
    counts = ", ".join(f"{n} {status}" for status, n in frame["status"].value_counts().items())
    sections = []
    if compared:
        sections += [("Settings compared", comparisons(done, compared)), ("What it costs", costs(done, compared))]
    if done["best_test_epoch_map"].notna().any():
        sections.append(("What choosing an epoch by test would claim", optimism_table(done)))
    sections.append((f"All runs ({len(frame)})", runs_table(frame, axes, page.parent)))
    if len(done) < len(frame):
        sections.append(("Runs without a result", failures(frame[frame["status"] != "ok"], page.parent)))
    lede = (f"{len(frame)} run{'s' * (len(frame) > 1)}: {counts}. Every result is the last epoch on the test videos; "
            "runs without a result have no number anywhere. Choose between settings by val, which is in the table.")
    return write_page(page, title=f"Runs in {'/'.join(Path(folder).resolve().parts[-2:])}", lede=lede,
                      sections=sections)


def find_axes(frame: pd.DataFrame) -> dict[str, object]:
    """Return the settings that differ between the runs, each with the value that others are compared with.

    That is head_only where there is such a run, else the config's default, else the most frequent value. Mode and
    ranges are one axis, `adapters`, where both differ.
    """
    fields = Config.model_fields
    names = [c for c in frame if c in fields and c not in {*NO_SETTING, *FILES} and len({*map(key, frame[c])}) > 1]
    if frame["adapters"].nunique() > 1 and {"mode", "ranges"} <= {*names}:
        names = ["adapters", *(n for n in names if n not in TOGETHER["adapters"])]
    baselines = {}
    for name in names:
        wanted = [FIRST[name]] if name in FIRST else []
        wanted += [fields[name].default] if name in fields else []
        values = {key(value): value for value in frame[name]}
        most_frequent = frame[name].mode(dropna=False).iloc[0]
        baselines[name] = next((values[key(value)] for value in wanted if key(value) in values), most_frequent)
    return baselines


# ------------------------------------------------------------------------------------------ sections
def comparisons(done: pd.DataFrame, axes: Mapping[str, object]) -> Html:
    """Return a figure and a table of every setting's difference to its baseline, with both intervals."""
    tables = [compare_groups(done, axis, baseline).assign(axis=axis, baseline=as_text(baseline))
              for axis, baseline in axes.items()]
    nonempty = [table for table in tables if len(table)]
    differences = pd.concat(nonempty, ignore_index=True) if nonempty else pd.DataFrame()
    differences = differences[differences["difference"].notna()] if len(differences) else differences
    if not len(differences):
        return element("p", "No two settings share a seed, so nothing can be compared.")
    heads = ["axis", "setting", "compared with", "seeds", "mean", "difference", "over seeds", "over test videos",
             "late val gain", "also differs"]
    rows = [[row["axis"], as_text(row["setting"]), row["baseline"], row["n"], f"{row['mean']:.1f}",
             f"{row['difference']:+.1f}", bounds(row["seeds_low"], row["seeds_high"]),
             bounds(row["videos_low"], row["videos_high"]), late(row["late_gain"]), row["also_differs"]]
            for row in differences.to_dict("records")]
    note = ("mAP in percent, differences in points, on the seeds and other settings that both share. Two different "
            "questions: would it be so with other seeds (data, training), and would it be so on other test videos? "
            "An interval over seeds needs two of them. Late val gain: points won in the last quarter of the epochs; "
            "from 0.3 on a run has not converged.")
    base = ", ".join(f"{axis} = {as_text(value)}" for axis, value in axes.items())
    drawn = differences.assign(setting=differences["setting"].map(as_text))
    figure = interval_plot(drawn, KINDS, baseline="the baseline")
    return Html(picture(figure, f"Differences to the baseline with intervals over seeds and over videos ({base})")
                + make_table(heads, rows) + element("p", note, class_="soft"))


def costs(done: pd.DataFrame, axes: Mapping[str, object]) -> Html:
    """Return a figure and a table of mAP against memory, time and number of trained parameters, per setting."""
    named = done.assign(setting=[name_setting(row, axes) for row in done.to_dict("records")])
    measured = {column: title for column, title in COSTS.items() if (named[column] > 0).all()}
    if not measured:
        return element("p", "The runs do not say what they cost.")
    means = named.groupby("setting", sort=False)[["average_map", *measured]].mean()
    fronts = pd.DataFrame({column: pareto(means, column, "average_map") for column in measured},
                          index=means.index)
    order = means.assign(front=fronts.any(axis=1)).sort_values(["front", "average_map"], ascending=False).index
    drawn = order[:MOST_POINTS]
    letters = dict(zip(drawn, drawn if max(map(len, drawn)) < 15 else "ABCDEF", strict=False))
    counts = named["setting"].value_counts()
    heads = ["setting", "drawn as", "runs", "average mAP", *measured.values(), "beaten by none in"]
    rows = [[name, letters.get(name, "–"), counts[name], percent(means.at[name, "average_map"]),
             *(f"{means.at[name, column]:,.0f}" for column in measured),
             ", ".join(measured[column] for column in measured if fronts.at[name, column]) or "–"] for name in order]
    note = ("Means over the runs of a setting, named by what differs from the baselines; whiskers from the worst to "
            "the best run. They are not paired: settings with other seeds, or fewer, are not quite comparable. At most "
            f"{MOST_POINTS} are drawn: those that nothing cheaper beats, then the best.")
    chosen = named[named["setting"].isin(drawn)].sort_values("setting", key=lambda s: s.map(list(drawn).index))
    figure = pareto_plot(chosen.assign(setting=chosen["setting"].map(letters)), "setting", measured)
    return Html(picture(figure, "Average mAP against what it costs") + make_table(heads, rows)
                + element("p", note, class_="soft"))


def name_setting(row: Mapping, axes: Mapping[str, object]) -> str:
    """Return a run's settings in few words: where it differs from the baselines."""
    differs = [as_text(row[axis]) if axis in FIRST else f"{axis} {as_text(row[axis])}"
               for axis, baseline in axes.items() if axis in FIRST or as_text(row[axis]) != as_text(baseline)]
    return ", ".join(differs) or "baseline"


def optimism_table(done: pd.DataFrame) -> Html:
    """Return a table of what the best test epoch would promise over the last one; nothing was chosen by it."""
    tracked = done[done["best_test_epoch_map"].notna()]
    gains = 100 * (tracked["best_test_epoch_map"] - tracked["average_map"])
    rows = [[row["run"], percent(row["average_map"]), percent(row["best_test_epoch_map"]), f"{gain:+.1f}"]
            for row, gain in zip(tracked.to_dict("records"), gains, strict=True)]
    text = (f"On average the best of the tracked epochs on test is {gains.mean():+.1f} points from the last one, at "
            f"most {gains.max():+.1f}. That is no better model but a look at the answers: nothing was chosen by it.")
    return Html(element("p", text) + make_table(["run", "last epoch", "best test epoch", "difference"], rows))


def runs_table(frame: pd.DataFrame, axes: Mapping[str, object], where: Path) -> Html:
    """Return a table with a row per run, sorted by its settings; its name links to its notebook."""
    seeds = [name for name in SEEDS if frame[name].notna().any()]
    files = [name for name in FILES if name in frame]
    tious = [c for c in frame if c.startswith("map_")]
    heads = ["run", "status", "average mAP", "val, last", "val, best", "late val gain", *axes,
             *(name.replace("_", " ") for name in seeds), *(f"tIoU {float(c[4:]) / 100:g}" for c in tious),
             "parameters", "memory (MB)", "training", "everything", *files]
    rows = []
    for row in frame.sort_values([*axes, *seeds], key=lambda c: c.map(ordered)).to_dict("records"):
        rows.append([link_run(row, where), row["status"], *(shown(row[c], percent) for c in NUMBERS[:3]),
                     late(row["late_gain"]), *(as_text(row[a]) for a in axes),
                     *(shown(row[s], "{:.0f}".format) for s in seeds), *(shown(row[c], percent) for c in tious),
                     shown(row["trainable_parameters"], "{:,.0f}".format),
                     shown(row["peak_memory_mb"], "{:,.0f}".format), shown(row["train_seconds"], minutes),
                     shown(row["seconds"], minutes),
                     *("/".join(Path(str(row[f])).parts[-3:]) if row[f] else "–" for f in files)])
    agreed = {name: frame[name].iloc[0] for name in ("mode", "ranges") if name in frame and frame[name].nunique() == 1}
    common = "".join(f" {name} = {as_text(value)} in all of them." for name, value in agreed.items())
    note = "mAP in percent. The same and all settings are in runs.csv and runs.parquet beside this page." + common
    return Html(make_table(heads, rows) + element("p", note, class_="soft"))


def failures(frame: pd.DataFrame, where: Path) -> Html:
    """Return a list of the runs that failed or have not ended, with their errors and links to their notebooks."""
    items = [element("li", link_run(row, where), f" {row['status']}: {row['error'] or 'it has not ended'}")
             for row in frame.to_dict("records")]
    return element("ul", *items, class_="failed")


# ------------------------------------------------------------------------------------------ pieces
def picture(figure: Figure, alt: str) -> Html:
    """Return the figure as an image inside the page. alt: what it shows, in words."""
    with matplotlib.rc_context({"svg.hashsalt": "losa"}):
        file = BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    source = f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"
    return element("p", Html(f'<img src="{source}" alt="{escape(alt)}" style="{SHADE}">'))


def link_run(row: Mapping, where: Path) -> Html | str:
    """Return the run's name, as a link to its executed notebook if there is one."""
    notebook = Path(row["path"]) / "run.ipynb"
    if not notebook.is_file():
        return row["run"]
    try:
        address = quote(Path(os.path.relpath(notebook, where)).as_posix())
    except ValueError:  # another drive
        address = notebook.resolve().as_uri()
    return element("a", row["run"], href=address)


def shown(value: object, style) -> str:
    """Return the number as `style` writes it; a dash if there is none."""
    return "–" if value is None or pd.isna(value) else style(value)


def bounds(low: float, high: float) -> str:
    """Return an interval as "-0.3 to +1.2"; a dash if it is not known."""
    return "–" if np.isnan(low) or np.isnan(high) else f"{low:+.1f} to {high:+.1f}"


def late(gain: float) -> str:
    """Return the points won late, marked if the run was still learning."""
    return shown(gain, lambda v: f"{v:+.1f}{'' if converged(v) else ' (not converged)'}")


def ordered(value: object) -> tuple:
    """Return a sort key: numbers first, in order, then texts."""
    number = isinstance(value, int | float | np.number) and not pd.isna(value)
    return (0, float(value), "") if number else (1, 0.0, str(value))
