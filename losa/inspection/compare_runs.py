"""Several finished runs in one table or figure, by the names that a notebook gives them."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from losa.inspection.run_folder import Run, open_run
from losa.inspection.timeline_data import TRUTH
from widgets import figures

Number = int | float


class ResultTable(Styler):
    """A table whose HTML and text are the same at every execution: no random name, no address in memory."""

    def __repr__(self) -> str:
        return self.to_string()


def result_table(runs: Mapping[str, Run]) -> Styler:
    """Return a table, a row per run: mAP in percent at every tIoU and on average, trained parameters, seconds.

    NaN where the test subset has no ground truth.
    """
    rows = {name: {**{f"tIoU {tiou:g}": 100 * value for tiou, value in zip(
                        run.result["tiou"], run.result["map"] or [math.nan] * len(run.result["tiou"]), strict=True)},
                   "average mAP": math.nan if run.result["average_map"] is None else 100 * run.result["average_map"],
                   "trained parameters": run.result["trainable_parameters"],
                   "training (s)": run.result["seconds"]["train"]}
            for name, run in runs.items()}  # fmt: skip
    whole = ["trained parameters", "training (s)"]
    return ResultTable(pd.DataFrame(rows).T, uuid="runs").format("{:.1f}").format("{:,.0f}", subset=whole)


def training_curves(runs: Mapping[str, Run]) -> Figure:
    """Draw loss and validation mAP over the epochs of each run, from its log.jsonl."""
    logs = {name: [json.loads(row) for row in (run.path / "log.jsonl").read_text().splitlines()]
            for name, run in runs.items()}
    return figures.training_curves(logs)


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


def beside_head_only(run: Run, name: str = "this run") -> dict[str, Run]:
    """Return the run, and before it the demo's head-only run where that is on the same data and judged alike."""
    baseline = Path(run.config.annotations).parent.parent / "head_only"
    if not (baseline / "result.json").is_file() or baseline.resolve() == run.path.resolve():
        return {name: run}
    other = open_run(baseline)
    same = other.result["tiou"] == run.result["tiou"] and other.config.annotations == run.config.annotations
    return {"head only": other, name: run} if same else {name: run}
