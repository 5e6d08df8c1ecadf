"""The tables and two figures of the ablation study (`losa.studies.ablations`): one section per part.

Two kinds of uncertainty stand side by side and are never mixed: a t-interval over data seeds (other worlds, other
training) and a bootstrap over test videos (the same models, other videos). Both come from
`losa.sweeps.statistics.compare_groups`. Scores are average mAP in percent.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from losa.annotations.dataset import load_annotations
from losa.evaluation.average_precision import LENGTHS
from losa.files import read_object
from losa.sweeps.statistics import compare_groups, converged
from losa.world.motions import CLASSES, UNSEEN
from widgets.figures import bare, run_colours

RANGES = ("short", "long", "both")
SPANS = {"XS": "to 1.5 s", "S": "1.5 to 3 s", "M": "3 to 6 s", "L": "6 to 12 s"}
PAIR = ("kick", "answered_kick")  # the two classes that only context tells apart
GROUPS = {"unseen": UNSEEN, "seen": tuple(c for c in CLASSES if c not in UNSEEN), "pair": PAIR}  # unseen: by "gap"
Parts = dict[str, tuple[str, str]]  # name -> (title, label of the baseline)


def conclude(rows: list[dict], parts: Parts, pictures: Path, chosen: dict[str, dict | None]) -> str:
    """Return the study's tables as markdown; write ablation_intervals.png and ablation_where.png to `pictures`.

    rows: one per planned run, with part, label, data_seed, backbone and the folder of the run (None: not finished).
    chosen: the learning rate that val chose for each mode.
    """
    frame = pd.DataFrame([{**row, **read_run(row["folder"])} for row in rows])
    text = ["Average mAP in percent over tIoU 0.3 to 0.7, last epoch, test videos. ±: 95 % t-interval of the paired "
            "difference over data seeds (backbone seeds averaged first); [ , ]: 95 % bootstrap over test videos, the "
            "same models."]
    for name, (title, baseline) in parts.items():
        part = frame[frame.part == name]
        if name == "warm" or not part[part.label != baseline].average_map.notna().any():
            continue  # parts share runs: a finished baseline may be another part's
        text.append(f"## {title}\n\n" + section(part, baseline))
        if name == "tries":
            text.append("Chosen on val: " + "; ".join(f"{m}: {json.dumps(c)}" for m, c in chosen.items() if c) + ".")
        if name in ("copies", "live"):
            text.append(disk_space(part))
        if name.startswith("context"):
            text.append(pair_table(part, baseline))
    text += across_parts(frame)
    pictures.mkdir(parents=True, exist_ok=True)
    for file, figure in (("ablation_intervals", intervals_figure(frame, parts)), ("ablation_where", where(frame))):
        figure.savefig(pictures / f"{file}.png", dpi=110, bbox_inches="tight")
        plt.close(figure)
    return "\n\n".join(text) + "\n"


def read_run(folder: Path | None) -> dict:
    """Return a run's numbers as columns of the table; NaN for a run that is not there (None).

    average_map, and AP by class, group of classes and length ("class kick", "group seen", "length XS") are fractions.
    """
    result = read_object(folder / "result.json") if folder else {}
    config, per_class, per_length = (result.get(name, {}) for name in ("config", "per_class", "per_length"))
    ap = {label: float(np.mean(values)) for label, values in per_class.items()}
    numbers = {
        "average_map": result.get("average_map"), "late_gain": result.get("late_gain"),
        "train_seconds": result.get("seconds", {}).get("train"), "peak_memory_mb": result.get("peak_memory_mb"),
        "trainable_parameters": result.get("trainable_parameters"),
        "num_epochs": config["epochs"] + config["warmup_epochs"] if config else None,
        **{f"class {label}": ap.get(label) for label in CLASSES},
        **{f"group {name}": float(np.mean([ap.get(label, np.nan) for label in group]))
           for name, group in GROUPS.items()},
        **{f"length {name}": per_length.get(name, {}).get("average_map") for name in LENGTHS}}
    return {"path": str(folder), "config": config,
            **{name: np.nan if value is None else value for name, value in numbers.items()}}


# ------------------------------------------------------------------------------------------ comparisons
def mean_by_seed(part: pd.DataFrame, label: str, column: str = "average_map") -> pd.Series:
    """Return a setting's scores (%) by data seed, averaged over backbones; seeds that lack a run are left out."""
    scores = part[part.label == label].groupby("data_seed")[column].agg(lambda x: x.mean(skipna=False))
    return 100 * scores.dropna()


def compare(part: pd.DataFrame, baseline: str, column: str = "average_map", videos: bool = False) -> pd.DataFrame:
    """Return `compare_groups` of the labels that share a data seed with the baseline; the label is the index.

    A data seed counts for a label if it has a run of every backbone there.
    """
    complete = part.groupby(["label", "data_seed"])[column].transform(lambda x: x.notna().all())
    part = part[complete.astype(bool)]
    if len({*part.label} - {baseline}) == 0 or baseline not in {*part.label}:
        return pd.DataFrame()
    table = compare_groups(part, "label", baseline, value=column, videos=videos)
    return table[table.n > 0].set_index("setting")


def difference_text(table: pd.DataFrame, label: str) -> str:
    """Return "+1.2 ± 0.3" from the row of a label in `compare`; no interval of a single seed, "" without a row."""
    if label not in table.index:
        return ""
    row = table.loc[label]
    return f"{row.difference:+.1f}" + (f" ± {half_width(row):.1f}" if row.n > 1 else "")


def half_width(row: pd.Series) -> float:
    """Return half the width of the t-interval over seeds, in points; NaN of a single seed."""
    return (row.seeds_high - row.seeds_low) / 2


# ------------------------------------------------------------------------------------------ text
def section(part: pd.DataFrame, baseline: str) -> str:
    """Return a table with one row per setting, and below it what it rests on and which runs are missing."""
    backbones, compared = list(dict.fromkeys(part.backbone)), sum(label != baseline for label in {*part.label})
    heads = ["setting", "average mAP", "by data seed", f"minus {baseline}", "test videos",
             *([f"by backbone ({', '.join(backbones)})"] if len(backbones) > 1 else []),
             "late val gain", "training (s)", "memory (MB)", "parameters"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    table = compare(part, baseline, videos=True)
    by_backbone = [compare(part[part.backbone == backbone], baseline) for backbone in backbones]
    for label in dict.fromkeys(part.label):
        runs, scores = part[part.label == label], mean_by_seed(part, label)
        if scores.empty:
            continue
        compares = label in table.index and not np.isnan(table.videos_low[label])
        late_gain = float(runs.late_gain.mean())
        late = "unknown" if np.isnan(late_gain) else f"{late_gain:+.1f}" + " (not converged)" * (
            not converged(late_gain))
        differences = [difference_text(one, label).split(" ")[0] for one in by_backbone]
        lines.append("| " + " | ".join([
            label, f"{scores.mean():.1f}", " / ".join(f"{v:.1f}" for v in scores), difference_text(table, label),
            f"[{table.videos_low[label]:+.1f}, {table.videos_high[label]:+.1f}]" if compares else "",
            *([" / ".join(differences) if label != baseline else ""] if len(backbones) > 1 else []),
            late, f"{runs.train_seconds.mean():.0f}", f"{runs.peak_memory_mb.mean():.0f}",
            f"{runs.trainable_parameters.mean():,.0f}"]) + " |")
    seeds = ", ".join(map(str, dict.fromkeys(part.data_seed)))
    note = f"Data seeds {seeds}; backbone {', '.join(backbones)}; {part.num_epochs.max():.0f} epochs."
    if compared > 5 and baseline in {*part.label}:
        note += f" {compared} settings are compared: where nothing differs, one interval in 20 misses zero."
    if missing := int(part.average_map.isna().sum()):
        note += f" {missing} of {len(part)} runs are missing or failed and count for nothing."
    return "\n".join(lines) + f"\n\n{note}"


def pair_table(part: pd.DataFrame, baseline: str) -> str:
    """Return a table of the AP of the two classes that only context tells apart."""
    lines = [f"| setting | AP of {' and '.join(PAIR)} | by data seed | minus {baseline} |", "|---" * 4 + "|"]
    table = compare(part, baseline, "group pair")
    for label in dict.fromkeys(part.label):
        scores = mean_by_seed(part, label, "group pair")
        if not scores.empty:
            lines.append(f"| {label} | {scores.mean():.1f} | {' / '.join(f'{v:.1f}' for v in scores)} "
                         f"| {difference_text(table, label)} |")
    return "\n".join(lines)


def disk_space(part: pd.DataFrame) -> str:
    """Return a sentence on how much disk the cached taps of one world's training videos take."""
    config = next(c for c in part.config if c)
    seconds = sum(v.duration for v in load_annotations(config["annotations"]).subset(config["train_subset"]))
    megabytes = seconds * 6 * 7 * 96 * 2 / 1e6  # 6 snippets a second, 6 taps and the last layer, 96 channels, fp16
    return (f"Cached taps of one world's training videos: {megabytes:.0f} MB for each copy; nothing on disk where the "
            "pixels are new in every epoch.")


def across_parts(frame: pd.DataFrame) -> list[str]:
    """Return the sections that look at several parts, lengths and classes together."""
    text, done = [], frame[frame.average_map.notna()]
    for name, title in (("ranges", "the backbone without 6 classes"), ("covered", "the backbone that saw all")):
        if {*RANGES} <= {*done[done.part == name].label}:
            text.append(f"## Do short and long complement each other? Where? ({title})\n\n"
                        + complement(frame[frame.part == name]))
    if (done.part.isin(("ranges", "covered", "weak")) & (done.label == "both")).any():
        text.append("## Unseen classes or an undertrained backbone?\n\n" + unseen_or_weak(frame))
    return text


def complement(part: pd.DataFrame) -> str:
    """Return a table of gains over head_only and of what `both` adds to each range: overall, by length, by class."""
    columns = {"all": "average_map", **{f"{n} ({SPANS[n]})": f"length {n}" for n in SPANS},
               **{f"{c}{' (unseen by gap)' if c in UNSEEN else ''}": f"class {c}" for c in CLASSES}}
    lines = ["| actions | head_only | short | long | both | both minus short | both minus long |", "|---" * 7 + "|"]
    for title, column in columns.items():
        scores = mean_by_seed(part, "head_only", column)
        if scores.empty:
            continue
        over_head = compare(part, "head_only", column)
        gains = [difference_text(over_head, label) for label in RANGES]
        gains += [difference_text(compare(part, label, column), "both") for label in RANGES[:2]]
        lines.append(f"| {title} | {scores.mean():.1f} | {' | '.join(gains)} |")
    return "\n".join(lines)


def unseen_or_weak(frame: pd.DataFrame) -> str:
    """Return a table of what `both` gains on the classes that "gap" did not see and on the others, by backbone."""
    lines = ["| backbone | classes | head_only | both | both minus head_only |", "|---" * 5 + "|"]
    for name, title in (("ranges", "gap: 6 classes unseen"), ("covered", "covered: all seen"),
                        ("weak", "weak: all seen, a quarter of the steps")):
        part = frame[frame.part == name]
        for group in ("unseen", "seen"):
            column = f"group {group}"
            head_only, both = (mean_by_seed(part, label, column) for label in ("head_only", "both"))
            if len(head_only) and len(both):
                lines.append(f"| {title} | the {len(GROUPS[group])} {group} by gap | {head_only.mean():.1f} "
                             f"| {both.mean():.1f} | {difference_text(compare(part, 'head_only', column), 'both')} |")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------ figures
def intervals_figure(frame: pd.DataFrame, parts: Parts) -> Figure:
    """Draw each setting's difference to its part's baseline with the t-interval over data seeds; dots are the seeds."""
    tables = {name: compare(frame[frame.part == name], parts[name][1]) for name in parts if name != "tries"}
    tables = {name: table for name, table in tables.items() if len(table)}
    heights = [len(table) + 1.6 for table in tables.values()] or [1]
    figure, axes = plt.subplots(len(heights), 1, figsize=(9, max(2.5, 0.27 * sum(heights))), squeeze=False,
                                sharex=True, height_ratios=heights, layout="constrained")
    for axis, (name, table) in zip(axes[:, 0], tables.items(), strict=False):
        part, (title, baseline) = frame[frame.part == name], parts[name]
        for y, (label, row) in enumerate(table.iterrows()):
            if row.n > 1:
                axis.plot([row.seeds_low, row.seeds_high], [y, y], color="#0072B2", linewidth=2)
            seeds = (mean_by_seed(part, label) - mean_by_seed(part, baseline)).dropna()
            axis.plot(seeds, np.full(len(seeds), y), ".", color="#D55E00", markersize=5, zorder=3)
            axis.plot(row.difference, y, "o", color="#0072B2", markersize=7)
        axis.set_yticks(range(len(table)), list(table.index))
        axis.set_ylim(len(table) - 0.5, -0.5)
        axis.axvline(0, color="#333333", linewidth=0.8)
        axis.set_title(f"{title}: minus {baseline}", loc="left", fontsize=9)
        axis.tick_params(labelsize=8)
        bare(axis, "x")
    axes[-1, 0].set_xlabel("average mAP points; line: 95 % t-interval over data seeds, dots: the seeds")
    return figure


def where(frame: pd.DataFrame) -> Figure:
    """Draw the gain over head_only of short, long and both, by action length and by class, for both backbones."""
    colours = dict(zip(RANGES, list(run_colours(("", *RANGES)).values())[1:], strict=True))
    titles = {"ranges": "backbone without 6 classes (*)", "covered": "backbone that saw all classes"}
    done = {name for name in titles if len(compare(frame[frame.part == name], "head_only"))}
    titles = {name: title for name, title in titles.items() if name in done or not done}
    figure, axes = plt.subplots(len(titles), 2, figsize=(11, 0.6 + 2.8 * len(titles)), width_ratios=(1, 2.4),
                                sharey="row", squeeze=False, layout="constrained")
    lengths = {f"{n}\n{SPANS[n]}": f"length {n}" for n in SPANS}
    classes = {**{f"{c}*": f"class {c}" for c in UNSEEN}, **{c: f"class {c}" for c in GROUPS["seen"]}}
    for row, (name, title) in zip(axes, titles.items(), strict=True):
        for axis, columns in zip(row, (lengths, classes), strict=True):
            tables = [compare(frame[frame.part == name], "head_only", column) for column in columns.values()]
            for i, label in enumerate(RANGES):
                for x, table in enumerate(tables):
                    if label in table.index:
                        gain = table.loc[label]
                        axis.errorbar(x + 0.22 * (i - 1), gain.difference, half_width(gain) if gain.n > 1 else 0.0,
                                      fmt="o", color=colours[label], markersize=5, label=label if x == 0 else None)
            axis.axhline(0, color="#333333", linewidth=0.8)
            axis.set_xticks(range(len(columns)), list(columns), fontsize=8, rotation=30 if columns is classes else 0)
            axis.set_xlim(-0.5, len(columns) - 0.5)
            bare(axis, "y")
        row[0].set_title(title, loc="left", fontsize=10)
        row[0].set_ylabel("AP minus head_only")
    labelled = next((a for a in axes.flat if a.get_legend_handles_labels()[0]), None)
    if labelled is not None:
        axes[0, 1].legend(*labelled.get_legend_handles_labels(), frameon=False, ncols=3, fontsize=9, loc="lower right",
                          bbox_to_anchor=(1, 1))
    figure.supxlabel("by action length, by class; bars: 95 % t-interval over data seeds", fontsize=9)
    return figure
