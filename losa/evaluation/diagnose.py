"""Diagnose a detector as DETAD does: which kind of error each prediction is, what is missed, what fixing a kind gains.

After Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018 (HumamAlwassel/DETAD). Differences:
AP is the protocol's own, not normalised, so that gains add to the number reported; found and missed, counts and profile
are at one threshold; of two ground truths equally near, that of the prediction's label counts as the nearest.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from losa.errors import EvaluationError
from losa.evaluation.average_precision import FORGIVEN, LENGTHS, match_classes
from losa.evaluation.protocols import Protocol, check_tiou, find_protocol
from losa.evaluation.records import Records
from losa.segments import tiou as pairwise_tiou
from widgets.error_kinds import COUNTED, WRONG, ErrorKind

Number = int | float
PAIRS_AT_ONCE = 1 << 22  # of a prediction and a ground truth, whose overlaps are held in memory


def _groups(names: str, *edges: Number) -> dict[str, tuple[Number, Number]]:
    """Return {name: (above, up to and including)} of groups that meet at these edges; the last has no upper one."""
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
    """Return what is wrong with the predictions, as plain JSON values.

    A prediction that evaluation matches at `tiou` is a "true positive". Any other is judged by the ground truth of
    highest tIoU, whatever its class: at least `tiou`: "double detection" if the labels agree, else "wrong label"; at
    least `low`: "localisation" if they agree, else "confusion"; less: "background". What the protocol forgives, what
    scores less than `min_score` and instances that do not count are "left out". An instance is "found" or "missed".

    thresholds: those of the average mAP. durations: seconds of each video; without it nothing is told by coverage.
    min_precision: an instance counts as found only if, at the rank of the prediction that finds it, the precision of
    its class, normalised to the mean number of instances per class, is above this (DETAD: 0.05).
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

    Raises EvaluationError for an unknown protocol or bins, a threshold outside (0, 1], a truth without instances, and a
    video without a duration.
    """
    _check(truth, tiou, low, top, bins, durations)
    thresholds, rules = check_tiou(thresholds), find_protocol(protocol)
    videos = sorted({*truth, *predictions})
    kept = {v: [(i, r) for i, r in enumerate(rows) if r["score"] >= min_score] for v, rows in predictions.items()}
    wanted, given = _flat({v: _choose(rows, rules) for v, rows in truth.items()}, videos), _flat(kept, videos)
    matched, ranked = _match(truth, kept, wanted, given, (*thresholds, tiou), protocol)
    near, back = _nearest(wanted, given)
    *kinds_at, kinds = [_judge(row, near, t, low) for row, t in zip(matched, (*thresholds, tiou), strict=True)]
    sizes = {label: int((wanted.label == label).sum()) for label in ranked}
    best = {label: ids[: top * sizes[label]] for label, ids in ranked.items()}
    found_by, refs = _find_instances(matched[-1], ranked, wanted, min_precision), _refs(given, videos)
    of_best = _bars(np.concatenate(list(best.values())), kinds, refs, given)
    base = _mean_ap(best, sizes, kinds_at, rules)
    gains = {kind: _mean_ap(best, sizes, kinds_at, rules, without=kind) - base for kind in WRONG}
    of_given = _columns(predictions, videos, given, wanted, kinds.tolist(),
                        np.where(kinds == ErrorKind.TRUE_POSITIVE, matched[-1], near.other))  # fmt: skip
    of_truth = _columns(truth, videos, wanted, given, ["found" if i >= 0 else "missed" for i in found_by],
                        np.where(found_by >= 0, found_by, back.other))  # fmt: skip
    counts = Counter(verdict for column in of_given.values() for verdict in column["verdict"])
    return {
        "tiou": float(tiou), "low": float(low), "protocol": protocol, "thresholds": list(thresholds),
        "min_score": float(min_score) if math.isfinite(min_score) else None, "min_precision": float(min_precision),
        "top": top, "bins": bins, "num_truth": len(wanted.video), "num_predictions": len(given.video),
        "average_map": float(_mean_ap(ranked, sizes, kinds_at, rules).mean()), "average_map_top": float(base.mean()),
        "predictions": of_given, "truth": of_truth,
        "counts": {kind.value: counts[kind] for kind in ErrorKind} | {"found": int((found_by >= 0).sum()),
                                                                      "missed": int((found_by < 0).sum())},
        "kinds": _bars(np.arange(len(kinds)), kinds, refs, given),
        "gains": [bar | {"gain": float(gains[bar["name"]].mean()), "per_tiou": gains[bar["name"]].tolist()}
                  for bar in of_best if bar["name"] in gains],
        "profile": [_slice(g, ranked, sizes, kinds, refs, given) for g in range(top)],
        "missed": _missed(wanted, found_by < 0, videos, durations, BINS[bins]),
    }  # fmt: skip


def _check(truth: Records, tiou: Number, low: Number, top: int, bins: str, durations: Mapping | None) -> None:
    check_tiou([tiou])
    if not 0 < low <= tiou or top < 1:
        raise EvaluationError(f"diagnose(low={low}, top={top}, tiou={tiou}): expected 0 < low <= tiou, and top at "
                              "least 1.")
    if bins not in BINS:
        raise EvaluationError(f'diagnose(bins="{bins}"): expected one of {", ".join(BINS)}.')
    lacking = [v for v in truth if durations is not None and not durations.get(v, 0) > 0]
    if lacking:
        raise EvaluationError(f"diagnose(durations=...): no seconds for {len(lacking)} videos of the truth "
                              f'("{lacking[0]}" first); give every video\'s duration, or none at all.')  # fmt: skip


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
    """Return the instances that count, each with its place in the list."""
    chosen, placed = rules.choose([r for r in instances if not r.get("ambiguous")]), []
    for i, instance in enumerate(instances):
        if len(placed) < len(chosen) and instance is chosen[len(placed)]:
            placed.append((i, instance))
    return placed


def _match(
    truth: Records, kept: dict, wanted: _Flat, given: _Flat, tiou: Sequence[Number], protocol: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Match as `evaluate` does: places in `wanted` (thresholds, P), and each class's predictions, best first."""
    matched, ranked = np.full((len(tiou), len(given.video)), -1), {}
    of_truth, of_given = _by_value(wanted.label), _by_value(given.label)
    records = {v: [r for _, r in rows] for v, rows in kept.items()}
    for label, matches in match_classes(truth, records, tiou, protocol).items():
        ids = of_given.get(label, np.zeros(0, np.int64))
        ranked[label] = ids = ids[find_protocol(protocol).order(given.score[ids], given.video[ids])]
        matched[:, ids] = np.where(matches.matched < 0, matches.matched, of_truth[label][matches.matched.clip(0)])
    return matched, ranked


def _by_value(values: np.ndarray) -> dict:
    """Return {value: its places in the array, in their order}."""
    places = defaultdict(list)
    for i, value in enumerate(values.tolist()):
        places[value].append(i)
    return {value: np.array(at, np.int64) for value, at in places.items()}


class _Near(NamedTuple):
    """For each record: the highest tIoU with one of the others, which one (-1: no overlap), whether of its label."""

    tiou: np.ndarray
    other: np.ndarray
    same: np.ndarray


def _nearest(wanted: _Flat, given: _Flat) -> tuple[_Near, _Near]:
    """Find the nearest truth of any label for each prediction, the nearest prediction of its label for each truth."""
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


def _judge(matched: np.ndarray, near: _Near, tiou: Number, low: Number) -> np.ndarray:
    """Return the kind of every prediction at one threshold: (P,) texts. As `widgets.error_kinds.name_error`."""
    close, touching = near.tiou >= tiou, near.tiou >= low
    rules = [(matched >= 0, ErrorKind.TRUE_POSITIVE), (matched == FORGIVEN, ErrorKind.LEFT_OUT),
             (close & near.same, ErrorKind.DOUBLE_DETECTION), (close, ErrorKind.WRONG_LABEL),
             (touching & near.same, ErrorKind.LOCALISATION), (touching, ErrorKind.CONFUSION)]  # fmt: skip
    return np.select(*zip(*rules, strict=True), default=ErrorKind.BACKGROUND)


def _find_instances(matched: np.ndarray, ranked: Mapping, wanted: _Flat, min_precision: Number) -> np.ndarray:
    """Return the prediction that finds each instance (G,), -1 where it is missed."""
    found_by, mean = np.full(len(wanted.video), -1), len(wanted.video) / len(ranked)
    for label, ids in ranked.items():
        ids = ids[matched[ids] != FORGIVEN]
        right = matched[ids] >= 0
        weight = np.cumsum(right) / (wanted.label == label).sum() * mean
        ids = ids[right & (weight > min_precision * (weight + np.cumsum(~right)))]
        found_by[matched[ids]] = ids
    return found_by


def _mean_ap(ranked: Mapping, sizes: Mapping, kinds_at: Sequence[np.ndarray], rules: Protocol,
             without: ErrorKind = ErrorKind.LEFT_OUT) -> np.ndarray:
    """Return the mAP at each threshold (T,) as if predictions of the kind `without` were not there."""
    means = []
    for kinds in kinds_at:
        right, counts = kinds == ErrorKind.TRUE_POSITIVE, (kinds != ErrorKind.LEFT_OUT) & (kinds != without)
        means.append(np.mean([rules.area(right[ids][counts[ids]], sizes[label]) for label, ids in ranked.items()]))
    return np.array(means)


def _refs(rows: _Flat, videos: Sequence[str], kind: str = "prediction") -> list[dict]:
    return [{"video": videos[v], "kind": kind, "index": i}
            for v, i in zip(rows.video.tolist(), rows.index.tolist(), strict=True)]  # fmt: skip


def _bars(ids: np.ndarray, kinds: np.ndarray, refs: list[dict], given: _Flat) -> list[dict]:
    """Return a bar for each kind that counts, of the predictions `ids`."""
    ids = ids[kinds[ids] != ErrorKind.LEFT_OUT]
    ids = ids[(-given.score[ids]).argsort(kind="stable")]
    chosen = {kind: ids[kinds[ids] == kind].tolist() for kind in COUNTED}
    return [{"name": kind.value, "count": len(rows), "share": len(rows) / len(ids) if len(ids) else None,
             "references": [refs[i] for i in rows]} for kind, rows in chosen.items()]  # fmt: skip


def _slice(g: int, ranked: Mapping, sizes: Mapping, kinds: np.ndarray, refs: list[dict], given: _Flat) -> dict:
    """Return the bars of the predictions ranked g G + 1 to (g + 1) G in their class, G being its instances."""
    ids = np.concatenate([ids[g * sizes[label] : (g + 1) * sizes[label]] for label, ids in ranked.items()])
    parts = _bars(ids, kinds, refs, given)
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
    """Return {video: {"verdict", "tiou", "other"}}, "left out" where a record is not among the rows."""
    columns = {v: {"verdict": [ErrorKind.LEFT_OUT.value] * n, "tiou": [0.0] * n, "other": [None] * n}
               for v, n in ((v, len(items)) for v, items in records.items())}  # fmt: skip
    near = np.flatnonzero(other >= 0)
    segments, near_segments = rows.segment[near], others.segment[other[near]]
    inter = (np.minimum(segments[:, 1], near_segments[:, 1]) - np.maximum(segments[:, 0], near_segments[:, 0])).clip(0)
    union = np.diff(segments)[:, 0] + np.diff(near_segments)[:, 0] - inter
    tiou = np.zeros(len(other))
    tiou[near] = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    for v, i, *values in zip(rows.video.tolist(), rows.index.tolist(), verdicts, tiou.tolist(), other, strict=True):
        column = columns[videos[v]]
        column["verdict"][i], column["tiou"][i] = values[:2]
        column["other"][i] = int(others.index[values[2]]) if values[2] >= 0 else None
    return columns
