"""Compare runs: intervals over seeds and over test videos, convergence, and Pareto fronts of mAP against cost.

Two kinds of uncertainty stand side by side and are never mixed: a t-interval over seeds (other data, other training)
and a bootstrap over test videos (the same models, other videos). Nothing here chooses an epoch or a run.
"""

import functools
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy import stats

from losa.config import Config, Role, list_fields
from losa.errors import SweepError
from losa.evaluation.average_precision import ClassMatches, match_classes
from losa.evaluation.protocols import Protocol, check_tiou, find_protocol, interpolated_area
from losa.evaluation.records import Records
from losa.sweeps.collect import SEEDS, Judged, read_judged

Number = int | float
AT_ONCE = 1 << 22  # weights of predictions held in memory at a time
CONVERGED = 0.3  # points of val mAP that the last quarter of the epochs may still win
TOGETHER = {"adapters": {"mode", "ranges"}, "mode": {"ranges"}, "backbone": {"weights", "backbone_seed"},
            "weights": {"backbone_seed"}}  # columns that change with another one
NO_SETTING = {*list_fields(Role.SEED, Role.RUNNING)}  # fields that two settings may differ in and stay the same one
GIVEN = ("annotations", "weights")  # runs that are compared must share these, as they share their seeds


@dataclass(frozen=True)
class Interval:
    """The mean of `n` values and its confidence interval; low and high are NaN for fewer than two values."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2


# ------------------------------------------------------------------------------------------ over seeds
def interval(values: Sequence[Number] | np.ndarray, confidence: Number = 0.95) -> Interval:
    """Return mean and Student's t-interval of independent values, one per seed; NaN (failed runs) are left out."""
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    n = len(numbers)
    if n < 2:
        return Interval(float(numbers[0]) if n else np.nan, np.nan, np.nan, n)
    mean = float(numbers.mean())
    half = float(stats.t.ppf(0.5 + confidence / 2, n - 1) * numbers.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def paired_interval(differences: Sequence[Number] | np.ndarray, confidence: Number = 0.95) -> Interval:
    """Return `interval` of the differences between two settings, one for each seed that both share."""
    return interval(differences, confidence)


# ------------------------------------------------------------------------------------------ over test videos
def video_draws(num_videos: int, num_draws: int, seed: int) -> Int[np.ndarray, "draws videos"]:
    """Return how often each video occurs in each draw of `num_videos` videos with replacement."""
    return np.random.default_rng(seed).multinomial(num_videos, np.full(num_videos, 1 / num_videos), num_draws)


def bootstrap_scores(truth: Records, predictions: Records, tiou: Sequence[Number], protocol: str = "activitynet", *,
                     seed: int = 0, num_draws: int = 1000) -> Float[np.ndarray, " draws"]:
    """Return the average mAP on draws of the videos in `truth`; NaN for a draw without any instance.

    Runs with the same truth and seed are given the same draws.
    """
    draws = video_draws(len(truth), num_draws, seed)
    return weighted_map(truth, predictions, draws, tiou, protocol).mean(axis=1)


def weighted_map(truth: Records, predictions: Records, weights: Int[np.ndarray, "draws videos"],
                 tiou: Sequence[Number], protocol: str = "activitynet") -> Float[np.ndarray, "draws thresholds"]:
    """Return mAP per draw and threshold where each video of `truth`, sorted by id, counts `weights` times.

    Equals `evaluate` on that many copies of every video, but matches predictions only once. Predictions on videos
    outside `truth` count once in each draw.
    """
    tiou, rules = check_tiou(tiou), find_protocol(protocol)
    classes = match_classes(truth, predictions, tiou, protocol)
    place = {video: i for i, video in enumerate(sorted({*truth, *predictions}))}
    every = np.ones((len(weights), len(place)), np.int64)
    every[:, [place[video] for video in sorted(truth)]] = weights
    total, count = np.zeros((len(weights), len(tiou))), np.zeros((len(weights), 1))
    for matches in classes.values():
        num_truth = every[:, matches.truth_video].sum(axis=1)
        has = num_truth > 0
        total[has] += _weighted_ap(matches, every[has], num_truth[has], rules)
        count[has] += 1
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _weighted_ap(matches: ClassMatches, weights: np.ndarray, num_truth: np.ndarray, rules: Protocol) -> np.ndarray:
    """Return the AP of one class, (draws, thresholds)."""
    ap = np.empty((len(weights), len(matches.matched)))
    step = max(1, AT_ONCE // max(1, len(matches.score)))
    for begin in range(0, len(weights), step):
        part = slice(begin, begin + step)
        given = weights[part][:, matches.video]
        counted = np.cumsum(given, axis=1)
        for column, row in enumerate(matches.matched):
            if rules.area is interpolated_area:
                ap[part, column] = _interpolated_ap(given, counted, row, num_truth[part])
            else:
                kept = row != -2  # -2: a prediction that is left out
                right = row[kept] >= 0
                ap[part, column] = [rules.area(np.repeat(right, times[kept]), int(num))
                                    for times, num in zip(given, num_truth[part], strict=True)]
    return ap


def _interpolated_ap(given: np.ndarray, counted: np.ndarray, row: np.ndarray, num_truth: np.ndarray) -> np.ndarray:
    """Return `interpolated_area` per draw, (draws,), with predictions (P,) repeated `given` (draws, P) times.

    counted: (draws, P), how many predictions there are up to each. Copies of a right prediction follow each other, so
    the best precision from any of them on is the one after the last copy.
    """
    right = np.flatnonzero(row >= 0)
    if (row == -2).any():
        counted = counted - np.cumsum(np.where(row == -2, given, 0), axis=1)
    hits = given[:, right]
    precision = np.cumsum(hits, axis=1) / np.maximum(counted[:, right], 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return (best * hits).sum(axis=1) / num_truth


def bootstrap_difference(ours: Sequence[Judged], theirs: Sequence[Judged] = (), *, confidence: Number = 0.95,
                         num_draws: int = 1000, seed: int = 0) -> Interval:
    """Return average mAP of `ours` minus that of `theirs` (none: ours alone) with its percentile interval over videos.

    Each side is averaged over its runs. Runs on the same videos see the same draws. `mean` is the difference on the
    videos as they are, `n` the number of different videos; mAP is a fraction.
    """
    draws, exact = np.zeros(num_draws), 0.0
    for sign, runs in ((1, ours), (-1, theirs)):
        for run in runs:
            draws += sign * draw_run(run, num_draws, seed) / len(runs)
            exact += sign * float(weighted_map(run.truth, run.predictions, np.ones((1, len(run.truth)), np.int64),
                                               run.tiou, run.protocol).mean()) / len(runs)
    low, high = np.nanpercentile(draws, (50 - 50 * confidence, 50 + 50 * confidence))
    videos = {(hash_truth(run.truth), video) for run in (*ours, *theirs) for video in run.truth}
    return Interval(exact, float(low), float(high), len(videos))


def draw_run(run: Judged, num_draws: int = 1000, seed: int = 0) -> Float[np.ndarray, " draws"]:
    """Return `bootstrap_scores` of a run; the draws depend only on its ground truth and the seed."""
    return bootstrap_scores(run.truth, run.predictions, run.tiou, run.protocol, num_draws=num_draws,
                            seed=hash_truth(run.truth) + seed)


def hash_truth(truth: Records) -> int:
    """Return a checksum of the videos and their instances."""
    return zlib.crc32(json.dumps({video: truth[video] for video in sorted(truth)}, sort_keys=True).encode())


@functools.lru_cache(maxsize=4096)
def _draw_folder(path: str, changed: int, num_draws: int) -> np.ndarray:
    """Return `draw_run` of a run's folder; `changed`, when its predictions were written, is part of the cache's key."""
    return draw_run(read_judged(path), num_draws)


# ------------------------------------------------------------------------------------------ comparing settings
def compare_groups(frame: pd.DataFrame, axis: str, baseline: object, *, value: str = "average_map",
                   videos: bool = True, num_draws: int = 1000) -> pd.DataFrame:
    """Compare every setting in a column of `collect`'s table with a baseline setting; return a row per setting.

    A run is paired with the baseline's runs that share its seeds and all other settings; where there are none, with
    those that share seeds, data and weights, and `also_differs` names what else differs. Differences are averaged over
    everything but the unit: the data seed, or where all data is the same the training seed, else the backbone's.

    Columns, in percent and points: setting, n (number of units), unit, runs, mean and baseline_mean of the runs
    compared, difference, seeds_low and seeds_high (95 % paired t-interval), videos_low and videos_high (95 % bootstrap
    over test videos; only of average_map), late_gain, also_differs. NaN where something cannot be computed.
    Raises SweepError for an unknown column or baseline.
    """
    if axis not in frame or value not in frame:
        raise SweepError(f"no column {axis if axis not in frame else value!r}; there are {', '.join(map(str, frame))}")
    groups: dict[str, list[dict]] = {key(setting): [] for setting in frame[axis]}
    if key(baseline) not in groups:
        raise SweepError(f"{axis}={baseline!r} is in no run; there are {', '.join(groups)}")
    scored, moved = frame[frame[value].notna()], {axis} | TOGETHER.get(axis, set())
    for row in scored.to_dict("records"):
        groups[key(row[axis])].append(row)
    others = [c for c in frame if c in {*Config.model_fields, "version"} - moved - NO_SETTING]
    seeds = [c for c in (*SEEDS, *GIVEN) if c in frame and c not in moved]
    settings = [v for v in frame[axis].drop_duplicates() if key(v) != key(baseline)]
    if all(isinstance(v, int | float) for v in settings):
        settings = sorted(settings)
    units = [n for n in ("data_seed", "training_seed", "backbone_seed") if n in frame]
    unit = next((n for n in units if len({key(v) for v in scored[n]}) > 1), units[0] if units else "run")
    draws = num_draws if videos and value == "average_map" else 0
    theirs = groups[key(baseline)]
    return pd.DataFrame([{"setting": v, **_compare_setting(groups[key(v)], theirs, seeds, others, unit, value, draws)}
                         for v in settings])


def _compare_setting(ours: list[dict], theirs: list[dict], seeds: list[str], others: list[str], unit: str, value: str,
                     num_draws: int) -> dict:
    """Return one row of `compare_groups` for the runs of a setting and those of the baseline."""
    pairs, differs = [], []
    for names in ([*seeds, *others], seeds):
        shared = lambda row: tuple(key(row.get(name)) for name in names)  # noqa: B023, E731
        baselines: dict[tuple, list[dict]] = {}
        for row in theirs:
            baselines.setdefault(shared(row), []).append(row)
        pairs = [(row, baselines[shared(row)]) for row in ours if shared(row) in baselines]
        if pairs:
            differs = [n for n in others if any(key(a[n]) != key(b[n]) for a, partners in pairs for b in partners)]
            break
    by_unit: dict[str, list] = {}
    for row, partners in pairs:
        by_unit.setdefault(key(row.get(unit)), []).append((row, partners))
    means, baseline_means = ([100 * _mean([score(pair) for pair in of_unit]) for of_unit in by_unit.values()]
                             for score in (lambda p: p[0][value], lambda p: _mean([b[value] for b in p[1]])))
    over_seeds = paired_interval(np.subtract(means, baseline_means))
    low, high = _interval_over_videos(list(by_unit.values()), num_draws) if pairs and num_draws else (np.nan, np.nan)
    return {"n": over_seeds.n, "unit": unit, "runs": len(pairs), "mean": float(_mean(means)),
            "baseline_mean": float(_mean(baseline_means)), "difference": over_seeds.mean, "seeds_low": over_seeds.low,
            "seeds_high": over_seeds.high, "videos_low": low, "videos_high": high,
            "late_gain": float(_mean([a.get("late_gain", np.nan) for a, _ in pairs])),
            "also_differs": ", ".join(differs)}


def _interval_over_videos(units: list[list], num_draws: int) -> tuple[float, float]:
    """Return the percentile interval of the units' mean difference, in points; NaN where a run's files are gone."""
    def scores(row: dict) -> np.ndarray:
        return _draw_folder(row["path"], os.stat(Path(row["path"]) / "predictions.json").st_mtime_ns, num_draws)

    try:
        draws = _mean([_mean([scores(row) - _mean([scores(b) for b in partners]) for row, partners in pairs])
                       for pairs in units])
    except (OSError, KeyError):  # predictions or annotations were deleted, or the frame has no paths
        return np.nan, np.nan
    low, high = 100 * np.nanpercentile(draws, (2.5, 97.5))
    return float(low), float(high)


def _mean(values: Sequence) -> np.ndarray | Number:
    """Return the mean over the first axis; NaN of an empty list."""
    return np.mean(values, axis=0) if len(values) else np.nan


def key(value: object) -> str:
    """Return a text that equal settings share: 4 and 4.0, a list and its JSON, None and NaN."""
    if value is None or value != value:
        return "None"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)
    return f"{value:.12g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


# ------------------------------------------------------------------------------------------ judging runs
def converged(late_gain: Number, most: Number = CONVERGED) -> bool:
    """Tell whether val average mAP won less than `most` points in the last quarter of the epochs; False if unknown."""
    return bool(late_gain < most)


def optimism(log: Sequence[dict] | str | Path) -> float:
    """Return how much the best test epoch exceeds the last one, as a fraction of mAP; NaN if test was not tracked.

    log: the rows of log.jsonl, or its path. This shows what choosing an epoch by test would claim; nothing is chosen.
    """
    if not isinstance(log, Sequence) or isinstance(log, str):
        log = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    tracked = [row["test_map"] for row in log if "test_map" in row]
    return max(tracked) - tracked[-1] if tracked else np.nan


def pareto(frame: pd.DataFrame, x: str, y: str) -> Bool[np.ndarray, " rows"]:
    """Mark the rows that no other beats: lower or equal cost (x), higher or equal score (y), and one of them better."""
    cost, score = frame[x].to_numpy(np.float64), frame[y].to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        better = (cost[None] <= cost[:, None]) & (score[None] >= score[:, None])
        better &= (cost[None] < cost[:, None]) | (score[None] > score[:, None])
    return ~better.any(axis=1) & ~np.isnan(cost) & ~np.isnan(score)
