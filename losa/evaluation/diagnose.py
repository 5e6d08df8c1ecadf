"""What kind of error each prediction is, what is missed, and what mending a kind would give, as DETAD asks it.

After Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018 (HumamAlwassel/DETAD). Differences:
AP is the protocol's own, not normalised, so that gains add to the number reported; found and missed, counts and profile
are at one threshold; of two ground truths equally near, that of the prediction's label counts as the nearest.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from losa.evaluation.average_precision import LENGTHS, match_classes, rules_of
from losa.evaluation.protocols import Protocol, check_tiou
from losa.evaluation.records import Records
from losa.segments import tiou as pairwise_tiou

Number = int | float
KINDS = ("true positive", "double detection", "wrong label", "localisation", "confusion", "background", "left out")
LEFT_OUT = 6  # its place in KINDS
PAIRS_AT_ONCE = 1 << 22  # of a prediction and a ground truth, whose overlaps are held in memory


def _groups(names: str, *edges: Number) -> dict[str, tuple[Number, Number]]:
    """name -> (above, up to and including), the last without end."""
    return dict(zip(names.split(), zip((0.0, *edges), (*edges, math.inf), strict=True), strict=True))


# Groups of instances by length in seconds, coverage (length over the video's), and number of their class in the video.
BINS = {
    "losa": {"length": LENGTHS, "coverage": _groups("XS S M L XL", 0.02, 0.05, 0.1, 0.3),
             "instances": _groups("1 2-4 5-8 9-40 >40", 1, 4, 8, 40)},
    "detad-thumos14": {"length": _groups("XS S M L XL", 3, 6, 12, 18), "instances": _groups("XS S M L", 1, 40, 80),
                       "coverage": _groups("XS S M L XL", 0.02, 0.04, 0.06, 0.08)},
    "detad-activitynet": {"length": _groups("XS S M L XL", 30, 60, 120, 180), "instances": _groups("XS S M L", 1, 4, 8),
                          "coverage": _groups("XS S M L XL", 0.2, 0.4, 0.6, 0.8)},
}  # fmt: skip


def diagnose(
    truth: Records, predictions: Records, tiou: Number = 0.5, protocol: str = "activitynet", *,
    thresholds: Sequence[Number] = (0.3, 0.4, 0.5, 0.6, 0.7), durations: Mapping[str, Number] | None = None,
    low: Number = 0.1, min_score: Number = -math.inf, min_precision: Number = 0.0, top: int = 10, bins: str = "losa",
) -> dict:  # fmt: skip
    """What is wrong with the predictions, as plain JSON values.

    A prediction that evaluation matches at `tiou` is a "true positive". For another the ground truth of highest
    tIoU, of any class, decides: at least `tiou`: "double detection" if it has the prediction's label, else "wrong
    label"; at least `low`: "localisation" or "confusion"; less: "background". What the protocol forgives, what scores
    less than `min_score` and instances that do not count are "left out". An instance is "found" or "missed".

    thresholds: those of the average mAP. durations: seconds of each video; without it nothing is told by coverage.
    min_precision: a find counts only where the precision of its class, normalised to the mean number of instances
    per class, is above this when its turn comes by falling score (DETAD: 0.05); for found and missed only.
    bins: a name of `BINS`.

    Returns the settings and:
    average_map: of all predictions (that of `evaluate`); average_map_top: of the best `top` G of each class, where G
    is the class's number of instances. Fractions.
    predictions: {video: {"verdict", "tiou" (with "other"), "other" (index of the matched or nearest truth; null: no
    overlap)}}, each a list with a place per given record.
    truth: {video: {"verdict", "tiou", "other"}}: the prediction that found it, else the nearest of its label.
    counts: {verdict: number}. kinds: a bar per verdict of predictions: name, count, share.
    gains: a bar per kind of error among the best `top` G: gain (fraction) in average_map_top and per_tiou if, at every
    threshold, what is of this kind were not there; name, count, share.
    profile: for g = 1 to `top` the predictions ranked (g - 1) G + 1 to g G in their class: name, count, parts (bars).
    missed: {"length" | "coverage" | "instances": [bar: name, bounds, count, of, share (null where of is 0)]}.
    Each bar has references [{"video", "kind": "prediction" | "truth", "index"}] into the given records, predictions
    by falling score.

    Raises ValueError for an unknown protocol or bins, a threshold outside (0, 1], a truth without instances, and a
    video without a duration.
    """
    _check(truth, tiou, low, top, bins, durations)
    thresholds, rules = check_tiou(thresholds), rules_of(protocol)
    videos = sorted({*truth, *predictions})
    kept = {v: [(i, r) for i, r in enumerate(rows) if r["score"] >= min_score] for v, rows in predictions.items()}
    wanted, given = _flat({v: _choose(rows, rules) for v, rows in truth.items()}, videos), _flat(kept, videos)
    matched, ranked = _match(truth, kept, wanted, given, (*thresholds, tiou), protocol)
    near, back = _nearest(wanted, given)
    *per_tiou, at = [_codes(row, near, t, low) for row, t in zip(matched, (*thresholds, tiou), strict=True)]
    sizes = {label: int((wanted.label == label).sum()) for label in ranked}
    best = {label: ids[: top * sizes[label]] for label, ids in ranked.items()}
    average = lambda ids, without: _mean_ap(ids, sizes, per_tiou, without, rules)  # noqa: E731
    found_by, refs = _found_by(matched[-1], ranked, wanted, min_precision), _refs(given, videos)
    base, of_best = average(best, LEFT_OUT), _bars(np.concatenate(list(best.values())), at, refs, given)
    gains = [(bar, average(best, code) - base) for code, bar in enumerate(of_best) if code]
    of_given = _columns(predictions, videos, given, wanted, [KINDS[code] for code in at],
                        np.where(at == 0, matched[-1], near.other))  # fmt: skip
    of_truth = _columns(truth, videos, wanted, given, ["found" if i >= 0 else "missed" for i in found_by],
                        np.where(found_by >= 0, found_by, back.other))  # fmt: skip
    counts = Counter(verdict for column in of_given.values() for verdict in column["verdict"])
    return {
        "tiou": float(tiou), "low": float(low), "protocol": protocol, "thresholds": list(thresholds),
        "min_score": float(min_score) if math.isfinite(min_score) else None, "min_precision": float(min_precision),
        "top": top, "bins": bins, "num_truth": len(wanted.video), "num_predictions": len(given.video),
        "average_map": float(average(ranked, LEFT_OUT).mean()), "average_map_top": float(base.mean()),
        "predictions": of_given, "truth": of_truth,
        "counts": {name: counts[name] for name in KINDS} | {"found": int((found_by >= 0).sum()),
                                                            "missed": int((found_by < 0).sum())},
        "kinds": _bars(np.arange(len(at)), at, refs, given),
        "gains": [bar | {"gain": float(gain.mean()), "per_tiou": gain.tolist()} for bar, gain in gains],
        "profile": [_slice(g, ranked, sizes, at, refs, given) for g in range(top)],
        "missed": _missed(wanted, found_by < 0, videos, durations, BINS[bins]),
    }  # fmt: skip


def _check(truth: Records, tiou: Number, low: Number, top: int, bins: str, durations: Mapping | None) -> None:
    check_tiou([tiou])
    if not 0 < low <= tiou or top < 1:
        raise ValueError(f"diagnose(low={low}, top={top}, tiou={tiou}): expected 0 < low <= tiou, and top at least 1.")
    if bins not in BINS:
        raise ValueError(f'diagnose(bins="{bins}"): expected one of {", ".join(BINS)}.')
    lacking = [v for v in truth if durations is not None and not durations.get(v, 0) > 0]
    if lacking:
        raise ValueError(f'diagnose(durations=...): no seconds for {len(lacking)} videos of the truth ("{lacking[0]}" '
                         "first); give every video's duration, or none at all.")  # fmt: skip


class _Flat(NamedTuple):
    """Records side by side (N,): place of the video in the alphabet, index in its list; segment is (N, 2)."""

    video: np.ndarray
    index: np.ndarray
    label: np.ndarray
    segment: np.ndarray
    score: np.ndarray


def _flat(records: Mapping[str, list[tuple[int, dict]]], videos: Sequence[str]) -> _Flat:
    place = {v: i for i, v in enumerate(videos)}
    rows = [(place[v], i, r) for v, items in records.items() for i, r in items]
    of = lambda key, dtype: np.array([r.get(key, 0.0) for *_, r in rows], dtype=dtype)  # noqa: E731
    video, index = (np.array([row[at] for row in rows], np.int64) for at in (0, 1))
    return _Flat(video, index, of("label", object), of("segment", float).reshape(-1, 2), of("score", float))


def _choose(instances: list[dict], rules: Protocol) -> list[tuple[int, dict]]:
    """The instances that count and their places in the list."""
    chosen, found = rules.choose([r for r in instances if not r.get("ambiguous")]), []
    for i, instance in enumerate(instances):
        if len(found) < len(chosen) and instance is chosen[len(found)]:
            found.append((i, instance))
    return found


def _match(
    truth: Records, kept: dict, wanted: _Flat, given: _Flat, tiou: Sequence[Number], protocol: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Matches of `evaluate` in flat places: (thresholds, P), and the predictions of each class by falling score."""
    matched, ranked = np.full((len(tiou), len(given.video)), -1), {}
    of_truth, of_given = _by_value(wanted.label), _by_value(given.label)
    records = {v: [r for _, r in rows] for v, rows in kept.items()}
    for label, matches in match_classes(truth, records, tiou, protocol).items():
        ids = of_given.get(label, np.zeros(0, np.int64))
        ranked[label] = ids = ids[rules_of(protocol).order(given.score[ids], given.video[ids])]
        matched[:, ids] = np.where(matches.matched < 0, matches.matched, of_truth[label][matches.matched.clip(0)])
    return matched, ranked


def _by_value(values: np.ndarray) -> dict:
    """value -> its places, in their order."""
    found = defaultdict(list)
    for i, value in enumerate(values.tolist()):
        found[value].append(i)
    return {value: np.array(places, np.int64) for value, places in found.items()}


class _Near(NamedTuple):
    """Of each record the highest tIoU with one of the others, which one (-1: no overlap), whether of its label."""

    tiou: np.ndarray
    other: np.ndarray
    same: np.ndarray


def _nearest(wanted: _Flat, given: _Flat) -> tuple[_Near, _Near]:
    """For each prediction the nearest truth of any label; for each truth the nearest prediction of its label."""
    near, back = (_Near(np.zeros(n), np.full(n, -1), np.zeros(n, bool)) for n in (len(given.video), len(wanted.video)))
    instances = _by_value(wanted.video)
    for video, ids in _by_value(given.video).items():
        those = instances.get(video)
        if those is None:
            continue
        step = max(1, PAIRS_AT_ONCE // len(those))
        for part in (ids[a : a + step] for a in range(0, len(ids), step)):
            overlap = pairwise_tiou(given.segment[part], wanted.segment[those])
            same = given.label[part][:, None] == wanted.label[those][None, :]
            own = np.where(same, overlap, -1.0)
            near.tiou[part] = overlap.max(axis=1)
            near.same[part] = own.max(axis=1) == near.tiou[part]
            at = np.where(near.same[part], own.argmax(axis=1), overlap.argmax(axis=1))
            near.other[part] = np.where(near.tiou[part] > 0, those[at], -1)
            better = own.max(axis=0) > back.tiou[those]
            back.tiou[those[better]] = own.max(axis=0)[better]
            back.other[those[better]] = part[own.argmax(axis=0)[better]]
    return near, back


def _codes(matched: np.ndarray, near: _Near, tiou: Number, low: Number) -> np.ndarray:
    """Places in `KINDS` (P,) of all predictions at one threshold."""
    wrong = np.where(near.tiou >= tiou, np.where(near.same, 1, 2),
                     np.where(near.tiou >= low, np.where(near.same, 3, 4), 5))  # fmt: skip
    return np.where(matched >= 0, 0, np.where(matched == -2, 6, wrong))


def _found_by(matched: np.ndarray, ranked: Mapping, wanted: _Flat, min_precision: Number) -> np.ndarray:
    """The prediction that found each instance (G,), -1 where it is missed."""
    found, mean = np.full(len(wanted.video), -1), len(wanted.video) / len(ranked)
    for label, ids in ranked.items():
        ids = ids[matched[ids] != -2]
        right = matched[ids] >= 0
        weight = np.cumsum(right) / (wanted.label == label).sum() * mean
        ids = ids[right & (weight > min_precision * (weight + np.cumsum(~right)))]
        found[matched[ids]] = ids
    return found


def _mean_ap(ranked: Mapping, sizes: Mapping, codes: Sequence[np.ndarray], without: int, rules: Protocol) -> np.ndarray:
    """mAP at each threshold (T,) of the predictions but those of the kind `without` and what is forgiven."""
    rows = [np.where(row == without, LEFT_OUT, row) for row in codes]
    kept = [[(row[ids][row[ids] != LEFT_OUT], sizes[label]) for label, ids in ranked.items()] for row in rows]
    return np.array([np.mean([rules.area(code == 0, size) for code, size in classes]) for classes in kept])


def _refs(rows: _Flat, videos: Sequence[str], kind: str = "prediction") -> list[dict]:
    return [{"video": videos[v], "kind": kind, "index": i}
            for v, i in zip(rows.video.tolist(), rows.index.tolist(), strict=True)]  # fmt: skip


def _bars(ids: np.ndarray, codes: np.ndarray, refs: list[dict], given: _Flat) -> list[dict]:
    """A bar per kind of the predictions `ids`."""
    ids = ids[codes[ids] != LEFT_OUT]
    ids = ids[(-given.score[ids]).argsort(kind="stable")]
    chosen = [ids[codes[ids] == code].tolist() for code in range(LEFT_OUT)]
    return [{"name": name, "count": len(those), "share": len(those) / len(ids) if len(ids) else None,
             "references": [refs[i] for i in those]} for name, those in zip(KINDS, chosen, strict=False)]  # fmt: skip


def _slice(g: int, ranked: Mapping, sizes: Mapping, codes: np.ndarray, refs: list[dict], given: _Flat) -> dict:
    ids = np.concatenate([ids[g * sizes[label] : (g + 1) * sizes[label]] for label, ids in ranked.items()])
    parts = _bars(ids, codes, refs, given)
    return {"name": f"{g + 1}G", "count": sum(part["count"] for part in parts), "parts": parts}


def _missed(wanted: _Flat, missed: np.ndarray, videos: Sequence[str], durations: Mapping | None, bins: Mapping) -> dict:
    values, refs = {"length": wanted.segment[:, 1] - wanted.segment[:, 0]}, _refs(wanted, videos, "truth")
    if durations is not None:
        values["coverage"] = values["length"] / np.array([durations[videos[v]] for v in wanted.video], np.float64)
    classes = list(zip(wanted.video.tolist(), wanted.label.tolist(), strict=True))
    values["instances"] = np.array(list(map(Counter(classes).get, classes)))
    return {name: [_missed_bar(group, *bounds, value, missed, refs) for group, bounds in bins[name].items()]
            for name, value in values.items()}  # fmt: skip


def _missed_bar(name: str, above: Number, up_to: Number, values: np.ndarray, missed: np.ndarray, refs: list) -> dict:
    inside = ((values > above) | (above == 0)) & (values <= up_to)
    ids, of = np.flatnonzero(inside & missed), int(inside.sum())
    return {"name": name, "bounds": [above, up_to if math.isfinite(up_to) else None], "count": len(ids), "of": of,
            "share": len(ids) / of if of else None, "references": [refs[i] for i in ids]}  # fmt: skip


def _columns(records: Records, videos: Sequence[str], rows: _Flat, others: _Flat, verdicts: list, other) -> dict:
    """{video: {"verdict", "tiou", "other"}}, "left out" where a record is not among the rows."""
    columns = {v: {"verdict": ["left out"] * len(items), "tiou": [0.0] * len(items), "other": [None] * len(items)}
               for v, items in records.items()}  # fmt: skip
    found = np.flatnonzero(other >= 0)
    inter = (np.minimum(rows.segment[found, 1], others.segment[other[found], 1])
             - np.maximum(rows.segment[found, 0], others.segment[other[found], 0])).clip(0)  # fmt: skip
    union = np.diff(rows.segment[found])[:, 0] + np.diff(others.segment[other[found]])[:, 0] - inter
    tiou = np.zeros(len(other))
    tiou[found] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    for v, i, *values in zip(rows.video.tolist(), rows.index.tolist(), verdicts, tiou.tolist(), other, strict=True):
        column = columns[videos[v]]
        column["verdict"][i], column["tiou"][i] = values[:2]
        column["other"][i] = int(others.index[values[2]]) if values[2] >= 0 else None
    return columns
