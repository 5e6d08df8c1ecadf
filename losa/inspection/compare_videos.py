"""Two runs over all test videos: what each found in sum, and the videos that show best where they differ."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import video_table

Number = int | float
PARTS = ["found", "missed", "wrong"]  # columns of counts


def count_by_video(runs: Mapping[str, RunData], min_score: Number = 0.25) -> pd.DataFrame:
    """Return a row per test video with columns (run, "average mAP" | "found" | "missed" | "wrong").

    All of it is of predictions with at least `min_score`: average mAP of the video (0 to 1, NaN without an instance),
    and counts at a tIoU of 0.5.
    """
    tables = {}
    for name, run in runs.items():
        table = video_table(run, min_score=min_score).set_index("video")
        tables[name] = table.assign(found=table.num_truth - table.missed).rename(
            columns={"average_map": "average mAP"})[["average mAP", *PARTS]]
    return pd.concat(tables, axis=1)


def sum_counts(counts: pd.DataFrame) -> pd.DataFrame:
    """Return a row per run of `count_by_video`: over all its videos the instances found and missed, wrong segments."""
    return pd.DataFrame({name: counts[name][PARTS].sum() for name in counts.columns.unique(0)}).T.astype(int)


def choose_telling_videos(counts: pd.DataFrame, number: int = 3) -> dict[str, str]:
    """Return {video: why} of `number` videos: won by the second of two runs, lost by it, typical, and again.

    The difference is that of their average mAP. The video won is the one of the largest gain, the one lost of the
    largest loss, and a typical one is nearest to the mean difference. Where nothing was lost (or won), there is none.
    `why` says which, with both runs' average mAP in percent and their errors, missed and wrong together. Raises
    ValueError unless there are two runs.
    """
    names = [*counts.columns.unique(0)]
    if len(names) != 2:
        raise ValueError(f"{len(names)} runs ({', '.join(names)}); give the counts of two, to choose by the difference")
    change = (counts[names[1]]["average mAP"] - counts[names[0]]["average mAP"]).dropna()
    kinds = {f"{names[1]} gains most": (-change)[change > 0], f"{names[1]} loses most": change[change < 0],
             "typical": (change - change.mean()).abs()}
    orders = {kind: [*order.sort_values(kind="stable").index] for kind, order in kinds.items()}
    chosen: dict[str, str] = {}
    while len(chosen) < min(number, len(change)):
        for kind, order in orders.items():
            order[:] = [video for video in order if video not in chosen]
            if order and len(chosen) < number:
                chosen[order[0]] = f"{kind}: {_describe(counts.loc[order[0]], names)}"
    return chosen


def _describe(row: pd.Series, names: list[str]) -> str:
    """Return both runs' average mAP and errors in one video as words."""
    before, after = (row[name] for name in names)
    errors = [int(side["missed"] + side["wrong"]) for side in (before, after)]
    percent = [np.round(100 * side["average mAP"]) for side in (before, after)]
    return f"average mAP {percent[0]:.0f} → {percent[1]:.0f} %, errors {errors[0]} → {errors[1]}"
