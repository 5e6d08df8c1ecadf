"""Average precision of the predictions above each score, for the slider of a timeline."""

from collections.abc import Sequence

import numpy as np

from losa.evaluation.average_precision import ClassMatches, match_classes, rules_of
from losa.evaluation.protocols import Protocol, check_tiou, match_by_score, match_by_truth
from losa.evaluation.records import Records
from losa.segments import tiou as pairwise_tiou

Number = int | float
THRESHOLDS = [i / 100 for i in range(101)]  # of scores, in AP tables


def ap_table(truth: Records, predictions: Records, tiou: Sequence[Number], protocol: str = "activitynet") -> dict:
    """Per class the AP of `evaluate`, averaged over `tiou`, of the records with at least a score, for every threshold.

    {"thresholds": [0, 0.01, ..., 1], "average": {label: [AP]}}, "average" empty where there is no instance. Exact
    but for the order of equal scores, which is not defined.
    """
    rules, average = rules_of(protocol), {}
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
    """AP averaged over tIoU at each threshold. It changes with the number of right predictions only."""
    counts, sums = np.searchsorted(-matches.score, -np.array(THRESHOLDS), side="right"), np.zeros(len(THRESHOLDS))
    for row in matches.matched:
        right, counted = row >= 0, row >= -1
        at = right.nonzero()[0]
        found, place = np.unique(np.searchsorted(at, counts), return_inverse=True)
        areas = [rules.area(right[:at[n - 1] + 1][counted[:at[n - 1] + 1]], len(matches.lengths)) if n else 0.0
                 for n in found]
        sums += np.array(areas)[place]
    return (sums / len(matches.matched)).tolist()


def _falling_by_truth(truth: Records, predictions: Records, tiou: Sequence[Number], rules: Protocol) -> dict:
    """`ap_table` where each ground truth takes the nearest prediction: matched for all thresholds of scores at once."""
    place = {v: i for i, v in enumerate(sorted({*truth, *predictions}))}
    wanted, given, found = {}, {}, {}
    for v, items in truth.items():
        for r in rules.choose([r for r in items if not r.get("ambiguous")]):
            wanted.setdefault(r["label"], {}).setdefault(v, []).append(r["segment"])
    vague = {place[v]: [r["segment"] for r in items if r.get("ambiguous")] for v, items in truth.items()}
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
            if vague.get(video):
                mine = np.flatnonzero(rows[:, 1] == video)
                forgiven[mine] = (pairwise_tiou(rows[mine, 2:], np.array(vague[video], float)) > 0).any(1)
        for v, segments in instances.items():
            ranks = np.flatnonzero(rows[:, 1] == place[v])
            right[..., ranks] = _taken(np.array(segments, float), rows[ranks, 2:], ranks < counts[:, None], tiou)
        of = sum(map(len, instances.values()))
        found[label] = [float(np.mean([rules.area(row[k, :n][row[k, :n] | ~forgiven[:n]], of) for row in right]))
                        for k, n in enumerate(counts)]
    return found


def _taken(truth: np.ndarray, given: np.ndarray, there: np.ndarray, tiou: Sequence[Number]) -> np.ndarray:
    """Which predictions (P, 2) of a video are right, (tiou, N, P), for N choices `there` (N, P) of those that count."""
    free, every = np.repeat(there[None], len(tiou), 0), np.indices((len(tiou), len(there)))
    for overlap in pairwise_tiou(truth, given) if len(given) else ():
        value = np.where(free & (overlap > np.array(tiou)[:, None, None]), overlap, 0.0)
        best = value.argmax(2)
        free[(*every, best)] &= value.max(2) == 0
    return there & ~free


def counted(records: list[dict], protocol: str) -> list[dict]:
    """The instances of a video that are to be found: neither ambiguous nor one that the protocol leaves out."""
    return rules_of(protocol).choose([r for r in records if not r.get("ambiguous")])
