"""What the runs of `losa.studies.ablations` say: one section a part, the answers they allow, and two figures.

Two kinds of uncertainty are told apart and never mixed: a t-interval over data seeds (other worlds, other training)
and a bootstrap over test videos (the same models, other videos). Scores are average mAP in percent.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from losa.annotations.dataset import load_annotations
from losa.evaluation.average_precision import LENGTHS
from losa.sweeps.collect import read_judged
from losa.sweeps.statistics import converged, paired_interval, run_draws
from losa.world.motions import CLASSES, UNSEEN
from widgets.figures import bare, run_colours

RANGES = ("short", "long", "both")
GROUPS = {"unseen": UNSEEN, "seen": tuple(c for c in CLASSES if c not in UNSEEN)}  # by the "gap" backbone
SPANS = {"XS": "to 1.5 s", "S": "1.5 to 3 s", "M": "3 to 6 s", "L": "6 to 12 s"}
PAIR = ("kick", "answered_kick")  # the two classes that only context tells apart
Parts = dict[str, tuple[str, str]]  # name -> (title, label of the baseline)


def conclude(rows: list[dict], parts: Parts, pictures: Path, chosen: dict[str, dict | None]) -> str:
    """The whole finding as markdown; writes ablation_intervals.png and ablation_where.png to `pictures`.

    rows: one per planned run, with part, label, data_seed, backbone and the folder of the run (None: not finished).
    """
    frame, text = read_runs(rows), ["Average mAP in percent over tIoU 0.3 to 0.7, last epoch, test videos. ±: 95 % "
                                    "t-interval of the paired difference over data seeds (backbone seeds averaged "
                                    "first); [ , ]: 95 % bootstrap over test videos, the same models."]
    for name, (title, baseline) in parts.items():
        part = frame[frame.part == name]
        if name == "warm" or not part[part.label != baseline].score.notna().any():
            continue  # parts share runs: a finished baseline may be another part's
        text.append(f"## {title}\n\n" + section(part, baseline))
        if name == "tries":
            text.append("Chosen on val: " + "; ".join(f"{m}: {json.dumps(c)}" for m, c in chosen.items() if c) + ".")
        if name in ("copies", "live"):
            text.append(disk(part))
        if name.startswith("context"):
            text.append(the_pair(part, baseline))
    text += answers(frame)
    pictures.mkdir(parents=True, exist_ok=True)
    for file, figure in (("ablation_intervals", intervals_figure(frame, parts)), ("ablation_where", where(frame))):
        figure.savefig(pictures / f"{file}.png", dpi=110, bbox_inches="tight")
        plt.close(figure)
    return "\n\n".join(text) + "\n"


def read_runs(rows: list[dict]) -> pd.DataFrame:
    """One row per planned run; a run that is not there has NaN for numbers."""
    return pd.DataFrame([{**row, **read_run(row["folder"])} for row in rows])


def read_run(folder: Path | None) -> dict:
    if folder is None:
        return dict.fromkeys(("score", "late_gain", "seconds", "parameters", "memory", "epochs"), np.nan) | {
            "per_class": {}, "per_length": {}, "config": {}}
    result = json.loads((folder / "result.json").read_text())
    per_class = {label: 100 * float(np.mean(values)) for label, values in result["per_class"].items()}
    per_length = {name: 100 * group["average_map"] for name, group in result["per_length"].items()
                  if group["average_map"] is not None}
    config = result["config"]
    return {"score": 100 * result["average_map"], "late_gain": result["late_gain"],
            "seconds": result["seconds"]["train"], "parameters": result["trainable_parameters"],
            "memory": result["peak_memory_mb"], "epochs": config["epochs"] + config["warmup_epochs"],
            "per_class": per_class, "per_length": per_length, "config": config}


# ------------------------------------------------------------------------------------------ arithmetic
def by_seed(part: pd.DataFrame, label: str, column: str = "score") -> pd.Series:
    """The numbers of a setting by data seed, the mean over its backbone seeds; seeds that lack a run are left out."""
    return part[part.label == label].groupby("data_seed")[column].agg(lambda x: x.mean(skipna=False)).dropna()


def paired(part: pd.DataFrame, label: str, baseline: str, column: str = "score") -> np.ndarray:
    """Differences of two settings on the data seeds both have."""
    a, b = by_seed(part, label, column), by_seed(part, baseline, column)
    return (a - b).dropna().to_numpy()


def with_groups(part: pd.DataFrame) -> pd.DataFrame:
    """The frame with one more column per length and per class."""
    lengths = {f"length {n}": [r.get(n, np.nan) for r in part.per_length] for n in LENGTHS}
    classes = {f"class {c}": [r.get(c, np.nan) for r in part.per_class] for c in (*CLASSES, PAIR[1])}
    groups = {f"group {g}": [group_score(r, names) for r in part.per_class] for g, names in GROUPS.items()}
    return part.assign(**lengths, **classes, **groups)


def group_score(per_class: dict[str, float], names: Sequence[str]) -> float:
    """Mean AP of some classes; NaN where one is missing."""
    return float(np.mean([per_class.get(name, np.nan) for name in names]))


def t_text(differences: np.ndarray) -> str:
    """Mean and t-interval."""
    if not len(differences):
        return ""
    found = paired_interval(differences)
    return f"{found.mean:+.1f}" + (f" ± {found.half:.1f}" if len(differences) > 1 else "")


def video_text(part: pd.DataFrame, label: str, baseline: str) -> str:
    """Percentile interval of the difference when test videos are drawn anew, over all runs that both settings have."""
    mine, other = (part[(part.label == x) & part.score.notna()].set_index(["data_seed", "backbone"]).folder
                   for x in (label, baseline))
    both = mine.index.intersection(other.index)
    if not len(both):
        return ""
    drawn = np.mean([resampled(mine[i]) - resampled(other[i]) for i in both], axis=0)
    low, high = 100 * np.nanpercentile(drawn, (2.5, 97.5))
    return f"[{low:+.1f}, {high:+.1f}]"


_resampled: dict[Path, np.ndarray] = {}


def resampled(folder: Path) -> np.ndarray:
    """Average mAP of a run on 1,000 draws of its test videos; runs on the same videos are given the same draws."""
    if folder not in _resampled:
        _resampled[folder] = run_draws(read_judged(folder))
    return _resampled[folder]


# ------------------------------------------------------------------------------------------ text
def section(part: pd.DataFrame, baseline: str) -> str:
    """One row per setting, with what is missing said below."""
    backbones, compared = list(dict.fromkeys(part.backbone)), sum(label != baseline for label in {*part.label})
    heads = ["setting", "average mAP", "by data seed", f"minus {baseline}", "test videos",
             *([f"by backbone ({', '.join(backbones)})"] if len(backbones) > 1 else []),
             "late val gain", "training (s)", "memory (MB)", "parameters"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for label in dict.fromkeys(part.label):
        mine, scores = part[part.label == label], by_seed(part, label)
        if scores.empty:
            continue
        other = label != baseline
        each = [t_text(paired(part[part.backbone == b], label, baseline)).split(" ")[0] for b in backbones]
        late = float(mine.late_gain.mean())
        told = "unknown" if np.isnan(late) else f"{late:+.1f}{'' if converged(late) else ' (not converged)'}"
        lines.append("| " + " | ".join([
            label, f"{scores.mean():.1f}", " / ".join(f"{v:.1f}" for v in scores),
            t_text(paired(part, label, baseline)) if other else "",
            video_text(part, label, baseline) if other else "",
            *([" / ".join(each) if other else ""] if len(backbones) > 1 else []),
            told, f"{mine.seconds.mean():.0f}", f"{mine.memory.mean():.0f}", f"{mine.parameters.mean():,.0f}"]) + " |")
    seeds = ", ".join(map(str, dict.fromkeys(part.data_seed)))
    note = f"Data seeds {seeds}; backbone {', '.join(backbones)}; {part.epochs.max():.0f} epochs."
    if compared > 5 and baseline in {*part.label}:
        note += f" {compared} settings are compared: where nothing differs, one interval in 20 misses zero."
    if missing := int(part.score.isna().sum()):
        note += f" {missing} of {len(part)} runs are missing or failed and count for nothing."
    return "\n".join(lines) + f"\n\n{note}"


def the_pair(part: pd.DataFrame, baseline: str) -> str:
    """AP of the two classes that only context tells apart."""
    part = part.assign(pair=[group_score(c, PAIR) for c in part.per_class])
    lines = [f"| setting | AP of {' and '.join(PAIR)} | by data seed | minus {baseline} |", "|---" * 4 + "|"]
    for label in dict.fromkeys(part.label):
        scores = by_seed(part, label, "pair")
        if scores.empty:
            continue
        gain = t_text(paired(part, label, baseline, "pair")) if label != baseline else ""
        lines.append(f"| {label} | {scores.mean():.1f} | {' / '.join(f'{v:.1f}' for v in scores)} | {gain} |")
    return "\n".join(lines)


def disk(part: pd.DataFrame) -> str:
    """What the cached taps of the training videos of one world take."""
    config = next(c for c in part.config if c)
    seconds = sum(v.duration for v in load_annotations(config["annotations"]).subset(config["train_subset"]))
    megabytes = seconds * 6 * 7 * 96 * 2 / 1e6  # 6 snippets a second, 6 taps and the last layer, 96 channels, fp16
    return (f"Cached taps of one world's training videos: {megabytes:.0f} MB for each copy; nothing on disk where the "
            "pixels are new in every epoch.")


def answers(frame: pd.DataFrame) -> list[str]:
    """The questions that need more than one column."""
    text = []
    for name, title in (("ranges", "the backbone without 6 classes"), ("covered", "the backbone that saw all")):
        part = with_groups(frame[frame.part == name])
        if {*RANGES} <= {*part[part.score.notna()].label}:
            text.append(f"## Do short and long complement each other? Where? ({title})\n\n" + complement(part))
    if (frame.part.isin(("ranges", "covered", "weak")) & (frame.label == "both") & frame.score.notna()).any():
        text.append("## Unseen classes or an undertrained backbone?\n\n" + unseen_or_weak(frame))
    return text


def complement(part: pd.DataFrame) -> str:
    """Gains over head_only and what `both` adds to either range: overall, by length, by class."""
    columns = {"all": "score", **{f"{n} ({SPANS[n]})": f"length {n}" for n in SPANS},
               **{f"{c}{' (unseen by gap)' if c in UNSEEN else ''}": f"class {c}" for c in CLASSES}}
    lines = ["| actions | head_only | short | long | both | both minus short | both minus long |", "|---" * 7 + "|"]
    for title, column in columns.items():
        base = by_seed(part, "head_only", column)
        if base.empty:
            continue
        gains = [t_text(paired(part, label, "head_only", column)) for label in RANGES]
        more = [t_text(paired(part, "both", label, column)) for label in RANGES[:2]]
        lines.append(f"| {title} | {base.mean():.1f} | {' | '.join([*gains, *more])} |")
    return "\n".join(lines)


def unseen_or_weak(frame: pd.DataFrame) -> str:
    """The gain of `both` on the classes the gap backbone did not see and on the others, for three kinds of backbone."""
    lines = ["| backbone | classes | head_only | both | both minus head_only |", "|---" * 5 + "|"]
    for name, title in (("ranges", "gap: 6 classes unseen"), ("covered", "covered: all seen"),
                        ("weak", "weak: all seen, a quarter of the steps")):
        part = with_groups(frame[frame.part == name])
        for group, classes in GROUPS.items():
            base, both = (by_seed(part, label, f"group {group}") for label in ("head_only", "both"))
            if len(base) and len(both):
                gain = t_text(paired(part, "both", "head_only", f"group {group}"))
                lines.append(f"| {title} | the {len(classes)} {group} by gap | {base.mean():.1f} | {both.mean():.1f} "
                             f"| {gain} |")
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------ figures
def intervals_figure(frame: pd.DataFrame, parts: Parts) -> Figure:
    """Differences to the part's baseline with their t-intervals over data seeds; small dots are the seeds."""
    shown = [n for n in parts if n != "tries" and len(settings_with_differences(frame[frame.part == n], parts[n][1]))]
    rows = {n: settings_with_differences(frame[frame.part == n], parts[n][1]) for n in shown}
    heights = [len(r) + 1.6 for r in rows.values()] or [1]
    figure, axes = plt.subplots(max(1, len(shown)), 1, figsize=(9, max(2.5, 0.27 * sum(heights))), squeeze=False,
                                sharex=True, height_ratios=heights, layout="constrained")
    for axis, name in zip(axes[:, 0], shown, strict=False):
        for y, (_, values) in enumerate(rows[name].items()):
            mean = values.mean()
            if len(values) > 1:
                half = paired_interval(values).half
                axis.plot([mean - half, mean + half], [y, y], color="#0072B2", linewidth=2)
            axis.plot(values, np.full(len(values), y), ".", color="#D55E00", markersize=5, zorder=3)
            axis.plot(mean, y, "o", color="#0072B2", markersize=7)
        axis.set_yticks(range(len(rows[name])), list(rows[name]))
        axis.set_ylim(len(rows[name]) - 0.5, -0.5)
        axis.axvline(0, color="#333333", linewidth=0.8)
        axis.set_title(f"{parts[name][0]}: minus {parts[name][1]}", loc="left", fontsize=9)
        axis.tick_params(labelsize=8)
        bare(axis, "x")
    axes[-1, 0].set_xlabel("average mAP points; line: 95 % t-interval over data seeds, dots: the seeds")
    return figure


def settings_with_differences(part: pd.DataFrame, baseline: str) -> dict[str, np.ndarray]:
    """label -> paired differences, of the settings that have some."""
    found = {label: paired(part, label, baseline) for label in dict.fromkeys(part.label) if label != baseline}
    return {label: values for label, values in found.items() if len(values)}


def where(frame: pd.DataFrame) -> Figure:
    """Gain over head_only of short, long and both, by action length and by class, for both kinds of backbone."""
    colours = dict(zip(RANGES, list(run_colours(("", *RANGES)).values())[1:], strict=True))
    titles = {"ranges": "backbone without 6 classes (*)", "covered": "backbone that saw all classes"}
    done = {name for name in titles if len(settings_with_differences(frame[frame.part == name], "head_only"))}
    titles = {name: title for name, title in titles.items() if name in done or not done}
    figure, axes = plt.subplots(len(titles), 2, figsize=(11, 0.6 + 2.8 * len(titles)), width_ratios=(1, 2.4),
                                sharey="row", squeeze=False, layout="constrained")
    for row, (name, title) in zip(axes, titles.items(), strict=True):
        part = with_groups(frame[frame.part == name])
        lengths = {f"{n}\n{SPANS[n]}": f"length {n}" for n in SPANS}
        classes = {**{f"{c}*": f"class {c}" for c in UNSEEN}, **{c: f"class {c}" for c in GROUPS["seen"]}}
        for axis, columns in zip(row, (lengths, classes), strict=True):
            for i, label in enumerate(RANGES):
                for x, column in enumerate(columns.values()):
                    values = paired(part, label, "head_only", column)
                    if len(values):
                        at, half = x + 0.22 * (i - 1), paired_interval(values).half if len(values) > 1 else 0.0
                        axis.errorbar(at, values.mean(), half, fmt="o", color=colours[label], markersize=5,
                                      label=label if x == 0 else None)
            axis.axhline(0, color="#333333", linewidth=0.8)
            axis.set_xticks(range(len(columns)), list(columns), fontsize=8, rotation=30 if columns is classes else 0)
            axis.set_xlim(-0.5, len(columns) - 0.5)
            bare(axis, "y")
        row[0].set_title(title, loc="left", fontsize=10)
        row[0].set_ylabel("AP minus head_only")
    named = next((a for a in axes.flat if a.get_legend_handles_labels()[0]), None)
    if named is not None:
        axes[0, 1].legend(*named.get_legend_handles_labels(), frameon=False, ncols=3, fontsize=9, loc="lower right",
                          bbox_to_anchor=(1, 1))
    figure.supxlabel("by action length, by class; bars: 95 % t-interval over data seeds", fontsize=9)
    return figure
