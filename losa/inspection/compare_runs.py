"""Several finished runs in one table or figure, by the names that a notebook gives them."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from losa.config import Config, Role, list_fields
from losa.inspection import run_figures
from losa.inspection.run_folder import Run, open_run
from losa.inspection.timeline_data import TRUTH
from widgets import figures

Number = int | float
DEMO = {"head only": "head_only", "LoSA": "losa"}  # folders of `losa demo`, by what they are called here
JUDGED = tuple(field for field in list_fields(Role.DATA, Role.EVALUATION) if field != "val_subset")
COUNTS = list_fields(Role.BACKBONE, Role.INPUT, Role.METHOD, Role.SEED, Role.POST, Role.CLASSIFIER)
FIELDS = list(Config.model_fields)
ADAPTERS = ("taps", "grid", "gate_lr_scale", *FIELDS[FIELDS.index("ranges"):FIELDS.index("head_dim")])


class ResultTable(Styler):
    """A table whose HTML and text are the same at every execution: no random name, no address in memory."""

    def __repr__(self) -> str:
        return self.to_string()


def result_table(runs: Mapping[str, Run]) -> Styler:
    """Return a table, a row per run: mAP in percent at every tIoU and on average, and what the run was and cost.

    That is: epochs and those of warm-up as in "30 + 3", seed, trained parameters, seconds of training. NaN where
    the test subset has no ground truth.
    """
    rows = {name: {**{f"tIoU {tiou:g}": 100 * value for tiou, value in zip(
                        run.result["tiou"], run.result["map"] or [math.nan] * len(run.result["tiou"]), strict=True)},
                   "average mAP": math.nan if run.result["average_map"] is None else 100 * run.result["average_map"],
                   "epochs + warm-up": f"{run.config.epochs} + {run.config.warmup_epochs}", "seed": run.config.seed,
                   "trained parameters": run.result["trainable_parameters"],
                   "training (s)": run.result["seconds"]["train"]}
            for name, run in runs.items()}  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index")
    percent = [name for name in table if name.startswith(("tIoU", "average"))]
    shown = ResultTable(table, uuid="runs").format("{:.1f}", subset=percent)
    return shown.format("{:,.0f}", subset=["trained parameters", "training (s)"])


def training_curves(runs: Mapping[str, Run]) -> Figure:
    """Draw loss and validation mAP over the epochs of each run. Raises RunError where one has no log.jsonl."""
    return run_figures.training_curves({name: run.read_log() for name, run in runs.items()})


def draw_timeline(runs: Mapping[str, Run], video_id: str, min_score: Number = 0.25,
                  legend: bool | Collection[str] = True, title: str = "") -> Figure:
    """Draw what happens in a test video and what each run found with at least `min_score`, as a static picture.

    title: by default the video's name.
    """
    first = next(iter(runs.values()))
    lanes = {TRUTH: first.truth.get(video_id, []),
             **{name: run.predictions.get(video_id, []) for name, run in runs.items()}}
    return figures.timeline(lanes, first.video(video_id).duration, classes=first.classes, min_score=min_score,
                            title=title or video_id, legend=legend)


def beside_demo(run: Run, name: str = "this run") -> dict[str, Run]:
    """Return the run, and before it the demo's head-only and LoSA runs where these are on the same data, judged alike.
    """
    demo, runs = Path(run.config.annotations).parent.parent, {}
    for title, folder in DEMO.items():
        if (demo / folder / "result.json").is_file() and (demo / folder).resolve() != run.path.resolve():
            other = open_run(demo / folder)
            if all(getattr(other.config, field) == getattr(run.config, field) for field in JUDGED):
                runs[title] = other
    return {**runs, name: run}


def tell_apart(runs: Mapping[str, Run]) -> str:
    """Return a line for each run but the last: in which settings the last one differs from it.

    Where there are several, the line says that a difference in mAP may come from any of them.
    """
    *others, name = runs
    lines = []
    for other in others:
        differences = list_differences(runs[name].config, runs[other].config)
        told = "; ".join(f"{field} {mine!r}, not {theirs!r}" for field, (mine, theirs) in differences.items())
        warning = " Several things differ, so a difference in mAP may come from any." if len(differences) > 1 else ""
        lines.append(f"{name} against {other}: {told or 'the same settings'}.{warning}")
    return "\n".join(lines)


def list_differences(mine: Config, theirs: Config) -> dict[str, tuple]:
    """Return {field: (mine, theirs)} where configs differ in what changes a result; of adapters only if both have any.
    """
    without = ADAPTERS if "head_only" in (mine.mode, theirs.mode) else ()
    pairs = {field: (getattr(mine, field), getattr(theirs, field)) for field in COUNTS if field not in without}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}
