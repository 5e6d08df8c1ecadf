"""Compute the average precision at every score threshold, for the slider of a timeline."""

from collections.abc import Sequence

import numpy as np

from losa.evaluation.average_precision import UNMATCHED, ClassMatches, match_classes
from losa.evaluation.protocols import Protocol, check_tiou, find_protocol, match_by_score, match_by_truth
from losa.evaluation.records import Records
from losa.segments import tiou as pairwise_tiou

Number = int | float
THRESHOLDS = [i / 100 for i in range(101)]  # of scores, in AP tables


def ap_table(truth: Records, predictions: Records, tiou: Sequence[Number], protocol: str = "activitynet") -> dict:
    """Return the AP of every class as `evaluate` computes it, averaged over `tiou`, at every score threshold.

    At a threshold only records of at least that score count. {"thresholds": [0, 0.01, ..., 1], "average": {label:
    [AP]}}, "average" empty where there is no instance. Exact but for the order of equal scores, which is not defined.
    """
    rules, average = find_protocol(protocol), {}
    clear = {v: [r for r in items if not r.get("ambiguous")] for v, items in truth.items()}
    if not any(rules.choose(items) for items in clear.values()):
        return {"thresholds": THRESHOLDS, "average": average}
    if rules.match is match_by_score:  # what one prediction gets does not depend on those with lower scores
        matches = match_classes(truth, predictions, tiou, protocol)
        return {"thresholds": THRESHOLDS, "average": {k: _by_threshold(m, rules) for k, m in matches.items()}}
    if rules.match is match_by_truth:
        return {"thresholds": THRESHOLDS, "average": _falling_by_truth(truth, predictions, check_tiou(tiou), rules)}
    for threshold in THRESHOLDS:
        kept = {v: [r for r in items if r["score"] >= threshold] for v, items in predictions.items()}
        for label, matches in match_classes(truth, kept, tiou, protocol).items():
            average.setdefault(label, []).append(_by_threshold(matches, rules)[0])
    return {"thresholds": THRESHOLDS, "average": average}


def _by_threshold(matches: ClassMatches, rules: Protocol) -> list[float]:
    """Return the AP averaged over tIoU at each threshold. It changes only where another prediction is right."""
    counts, sums = np.searchsorted(-matches.score, -np.array(THRESHOLDS), side="right"), np.zeros(len(THRESHOLDS))
    for row in matches.matched:
        right, counts_at_all = row >= 0, row >= UNMATCHED
        at = right.nonzero()[0]
        num_right, place = np.unique(np.searchsorted(at, counts), return_inverse=True)
        areas = [rules.area(right[:at[n - 1] + 1][counts_at_all[:at[n - 1] + 1]], len(matches.lengths)) if n else 0.0
                 for n in num_right]
        sums += np.array(areas)[place]
    return (sums / len(matches.matched)).tolist()


def _falling_by_truth(truth: Records, predictions: Records, tiou: Sequence[Number], rules: Protocol) -> dict:
    """Return the averages of `ap_table` where each ground truth takes the nearest prediction."""
    place = {v: i for i, v in enumerate(sorted({*truth, *predictions}))}
    wanted, given, average = {}, {}, {}
    for v, items in truth.items():
        for r in rules.choose([r for r in items if not r.get("ambiguous")]):
            wanted.setdefault(r["label"], {}).setdefault(v, []).append(r["segment"])
    ambiguous = {place[v]: [r["segment"] for r in items if r.get("ambiguous")] for v, items in truth.items()}
    for v, items in predictions.items():
        for r in items:
            given.setdefault(r["label"], []).append((r["score"], place[v], *r["segment"]))
    for label, instances in sorted(wanted.items()):
        rows = np.array(given.get(label, []), np.float64).reshape(-1, 4)
        rows = rows[rules.order(rows[:, 0], rows[:, 1].astype(np.int64))]
        counts = np.searchsorted(-rows[:, 0], -np.array(THRESHOLDS), side="right")
        right = np.zeros((len(tiou), len(counts), len(rows)), bool)
        forgiven = np.zeros(len(rows), bool)
        for video in np.unique(rows[:, 1]).astype(int) if rules.forgive else ():
            if ambiguous.get(video):
                inside = np.flatnonzero(rows[:, 1] == video)
                forgiven[inside] = (pairwise_tiou(rows[inside, 2:], np.array(ambiguous[video], float)) > 0).any(1)
        for v, segments in instances.items():
            ranks = np.flatnonzero(rows[:, 1] == place[v])
            right[..., ranks] = _taken(np.array(segments, float), rows[ranks, 2:], ranks < counts[:, None], tiou)
        of = sum(map(len, instances.values()))
        average[label] = [float(np.mean([rules.area(row[k, :n][row[k, :n] | ~forgiven[:n]], of) for row in right]))
                        for k, n in enumerate(counts)]
    return average


def _taken(truth: np.ndarray, given: np.ndarray, there: np.ndarray, tiou: Sequence[Number]) -> np.ndarray:
    """Return which predictions (P, 2) of a video are right, (tiou, N, P), for N choices `there` (N, P) of those."""
    free, every = np.repeat(there[None], len(tiou), 0), np.indices((len(tiou), len(there)))
    for overlap in pairwise_tiou(truth, given) if len(given) else ():
        value = np.where(free & (overlap > np.array(tiou)[:, None, None]), overlap, 0.0)
        best = value.argmax(2)
        free[(*every, best)] &= value.max(2) == 0
    return there & ~free


def counted(records: list[dict], protocol: str) -> list[dict]:
    """Return the instances of a video that are to be found: neither ambiguous nor left out by the protocol."""
    return find_protocol(protocol).choose([r for r in records if not r.get("ambiguous")])
