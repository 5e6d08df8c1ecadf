"""Mean average precision of temporal detections, by named protocols that equal the public evaluators.

Truth and predictions are `{video_id: [{"segment": [start, end], "label": name, ("score": number)}]}`, seconds.
Needs numpy and `losa.segments` only. A protocol is a `Protocol`: which ground truth counts, who matches whom,
and what area is taken under the curve; a new one is one more entry of `PROTOCOLS`.
"""

import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from losa.segments import tiou as pairwise_tiou

Number = int | float
Records = dict[str, list[dict]]

# Seconds (above, up to and including). Fixed, so that groups mean the same in every data set; zero length is XS.
LENGTHS = {
    "XS": (0.0, 1.5),
    "S": (1.5, 3.0),
    "M": (3.0, 6.0),
    "L": (6.0, 12.0),
    "XL": (12.0, math.inf),
}


# --- reading ----------------------------------------------------------------------------------------------


def read_ground_truth(path: str | Path, subset: str) -> Records:
    """Every video of one subset with its instances (perhaps none), from a file in ActivityNet's layout.

    Raises FileNotFoundError, and ValueError for a file of another kind, a subset that is not in it letter for
    letter, a malformed instance, or no instance at all.
    """
    database = _read_section(path, "database", "a ground truth file in ActivityNet's layout")
    sizes: dict[str, int] = {}
    for video_id, video in database.items():
        if not isinstance(video, dict) or "subset" not in video:
            raise ValueError(f'{path}: video "{video_id}" has no "subset"; add the split it belongs to.')
        instances = video.get("annotations") or []
        if not isinstance(instances, list) or not isinstance(video["subset"], str):
            raise ValueError(f'{path}: video "{video_id}": "annotations" must be a list and "subset" a text.')
        sizes[video["subset"]] = sizes.get(video["subset"], 0) + len(instances)
    if not sizes.get(subset):
        raise ValueError(_no_truth_message(path, subset, sizes))
    return {
        video_id: _check_records(path, video_id, video.get("annotations") or [], scored=False)
        for video_id, video in database.items()
        if video["subset"] == subset
    }


def read_predictions(path: str | Path) -> Records:
    """The records of every video in a file of ActivityNet's results format, in the file's order.

    Raises FileNotFoundError, and ValueError for a file of another kind or a malformed record.
    """
    results = _read_section(path, "results", "a predictions file in ActivityNet's results format")
    return {video_id: _check_records(path, video_id, records, scored=True) for video_id, records in results.items()}


def _read_section(path: str | Path, key: str, kind: str) -> dict:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {kind}. Check the path.")
    try:
        content = json.loads(path.read_text(encoding="utf8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); expected {kind}. Write the file anew.") from error
    if not isinstance(content, dict) or not isinstance(content.get(key), dict):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f'{path}: has no "{key}" ({found[:80] or "empty"}); expected {kind}. '
            "Were ground truth and predictions swapped?"
        )
    return content[key]


def _no_truth_message(path: str | Path, subset: str, sizes: dict[str, int]) -> str:
    listed = ", ".join(f'"{name}" ({size} instances)' for name, size in sorted(sizes.items())) or "none"
    if subset in sizes:
        return f'{path}: subset "{subset}" has no ground truth instance. Subsets: {listed}. Choose another.'
    folded = {name.lower(): name for name in sizes}
    close = get_close_matches(subset.lower(), folded, n=1)
    proposal = f' Did you mean "{folded[close[0]]}"?' if close else ""
    return f'{path}: no subset "{subset}".{proposal} Subsets: {listed}.'


def _check_records(path: str | Path, video_id: str, records: object, *, scored: bool) -> list[dict]:
    if not isinstance(records, list):
        raise ValueError(f'{path}: video "{video_id}" holds {str(records)[:60]}; expected a list of records.')
    for i, record in enumerate(records):
        try:
            numbers = [*record["segment"], record["score"]] if scored else record["segment"]
            start, end, *_ = (float(number) for number in numbers)
            ok = len(numbers) == 2 + scored and start <= end and isinstance(record["label"], str)
            ok = ok and all(math.isfinite(number) for number in numbers)
        except (TypeError, ValueError, KeyError):
            ok = False
        if not ok:
            wanted = '"label": text, "segment": [start, end] in seconds, start <= end'
            raise ValueError(
                f'{path}: item {i} of video "{video_id}" is {str(record)[:120]}; '
                f"expected {wanted}{', and a finite score' if scored else ''}. Correct it in the file."
            )
    return records


def parse_tiou(text: str) -> tuple[float, ...]:
    """The thresholds of "0.3:0.7:0.1" (first:last:step), "0.5" or "0.5,0.75,0.95".

    Raises ValueError for any other text.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            if step <= 0 or last < first:
                raise ValueError
            values = [first + i * step for i in range(math.floor((last - first) / step + 1e-6) + 1)]
        else:
            values = [float(part) for part in text.split(",")]
        return _check_tiou([round(value, 10) for value in values])
    except ValueError:
        raise ValueError(
            f'tIoU thresholds "{text}": expected first:last:step such as 0.3:0.7:0.1, or a list such as '
            "0.5,0.75,0.95, each above 0 and at most 1."
        ) from None


def _check_tiou(tiou: Sequence[Number]) -> tuple[float, ...]:
    if not len(tiou) or not all(0 < threshold <= 1 for threshold in tiou):
        raise ValueError(f"tiou={tuple(tiou)}: expected at least one threshold, each above 0 and at most 1.")
    return tuple(float(threshold) for threshold in tiou)


# --- protocols --------------------------------------------------------------------------------------------


def match_by_score(
    truth: Float[np.ndarray, "G 2"], predictions: Float[np.ndarray, "P 2"], tiou: Sequence[Number]
) -> Int[np.ndarray, "thresholds P"]:
    """For each threshold and prediction the ground truth it takes, or -1: (thresholds, P) int64.

    `truth` (G, 2) and `predictions` (P, 2), in falling score, are of one class and one video. A prediction takes
    the free ground truth of highest tIoU if that is >= the threshold; of equal ones whichever numpy's default
    sort puts last. Two segments without length match wherever they lie: the evaluators this equals divide 0 by
    0 there, sort the nan first, and find it not below the threshold (ActivityNet/Evaluation/eval_detection.py).
    """
    overlap = pairwise_tiou(predictions, truth)
    no_length = [segments[:, 0] == segments[:, 1] for segments in (predictions, truth)]
    overlap[no_length[0][:, None] & no_length[1][None, :]] = np.nan
    falling = overlap.argsort(axis=1)[:, ::-1]
    matched = np.full((len(tiou), len(predictions)), -1)
    for row, threshold in zip(matched, tiou, strict=True):
        near = ~(overlap < threshold)
        free = set(range(len(truth)))
        for i in np.flatnonzero(near.any(axis=1)):
            nearest_first = falling[i][near[i, falling[i]]].tolist()
            taken = next((j for j in nearest_first if j in free), -1)
            row[i] = taken
            free.discard(taken)
    return matched


def interpolated_area(true: Bool[np.ndarray, " P"], num_truth: int) -> float:
    """AP: the area under precision over recall, precision made monotone (VOC 2011).

    `true` says which predictions, in falling score, are right.
    """
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    return float(np.maximum.accumulate(precision[::-1])[::-1][true].sum() / num_truth)


def order_as_numpy(scores: Float[np.ndarray, " P"]) -> Int[np.ndarray, " P"]:
    """The order of falling scores that the public evaluators get: `argsort()[::-1]`.

    numpy's default sort is not stable: where scores are equal, their order and with it the AP depend on the
    number of predictions and on the processor's vector unit, there as here.
    """
    return scores.argsort()[::-1]


def keep_all(instances: list[dict]) -> list[dict]:
    """The instances of a video as they are."""
    return instances


def drop_duplicates(instances: list[dict]) -> list[dict]:
    """The instances of a video, less those without length and those within 1e-3 s of an earlier one.

    Within means both start and end, for the same label (OpenTAD: opentad/evaluations/builder.py).
    """
    kept: list[dict] = []
    for instance in instances:
        (start, end), label = instance["segment"], instance["label"]
        if end > start and not any(
            abs(start - other["segment"][0]) <= 1e-3
            and abs(end - other["segment"][1]) <= 1e-3
            and label == other["label"]
            for other in kept
        ):
            kept.append(instance)
    return kept


@dataclass(frozen=True)
class Protocol:
    """How a number is made: which instances of a video count, order of scores, matching, area under the curve.

    match(truth (G, 2), predictions (P, 2), thresholds) -> (thresholds, P): index of the ground truth taken, -1
    for a wrong prediction, -2 for one that counts for nothing.
    """

    choose: Callable[[list[dict]], list[dict]] = keep_all
    order: Callable[[np.ndarray], np.ndarray] = order_as_numpy
    match: Callable[[np.ndarray, np.ndarray, Sequence[Number]], np.ndarray] = match_by_score
    area: Callable[[np.ndarray, int], float] = interpolated_area


PROTOCOLS = {
    "activitynet": Protocol(),  # ActivityNet's own evaluator
    "activitynet-dedup": Protocol(choose=drop_duplicates),  # OpenTAD and ActionFormer
}


# --- evaluation -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found. AP and mAP are fractions 0..1, one per threshold of `tiou`, in its order.

    per_class: label -> [AP].
    per_length: group of `LENGTHS` -> {"bounds" in seconds (no upper one: null), "num_ground_truth", "map",
    "average_map"}, the last two null where the group is empty.
    num_predictions: all that were given. Of these num_unknown_video lie in videos outside the ground truth and
    count as wrong, as in the public evaluators: leave such videos out beforehand if they were not to be found.
    num_unknown_label have a label outside the ground truth and count for nothing. num_tied share their score
    with another of their class: their order is not defined, and the mAP exact only but for it.
    """

    tiou: tuple[float, ...]
    map: list[float]
    average_map: float
    per_class: dict[str, list[float]]
    per_length: dict[str, dict]
    num_ground_truth: int
    num_predictions: int
    num_unknown_video: int
    num_unknown_label: int
    num_tied: int
    protocol: str

    def to_dict(self) -> dict:
        """All of it as plain JSON values."""
        return {**asdict(self), "tiou": list(self.tiou)}


@dataclass(frozen=True)
class _ClassMatches:
    """One class over all videos: matched (thresholds, P) indexes lengths (G,) seconds, or see `Protocol`."""

    matched: np.ndarray
    lengths: np.ndarray


def evaluate(
    truth: Records,
    predictions: Records,
    tiou: Sequence[Number] = (0.3, 0.4, 0.5, 0.6, 0.7),
    protocol: str = "activitynet",
) -> Evaluation:
    """The mean average precision of the predictions, with its parts per class and per length of the instances.

    The classes are those of the ground truth; one without predictions has AP 0. Per length: only instances of
    that length are to be found, and predictions matched to others are left out, as in DETAD's sensitivity
    analysis (without its normalisation); the mean goes over the classes that have such instances.

    Raises ValueError for an unknown protocol, a bad threshold, or a truth without instances.
    """
    tiou = _check_tiou(tiou)
    if protocol not in PROTOCOLS:
        raise ValueError(f'protocol="{protocol}": expected one of {", ".join(PROTOCOLS)}.')
    rules = PROTOCOLS[protocol]
    chosen = {video_id: rules.choose(instances) for video_id, instances in truth.items()}
    labels = sorted({instance["label"] for instances in chosen.values() for instance in instances})
    if not labels:
        raise ValueError(f"evaluate was given {len(truth)} videos without one instance; nothing to measure.")
    truth_by_class, predictions_by_class = _by_class(chosen, scored=False), _by_class(predictions, scored=True)
    classes = {
        label: _match_class(truth_by_class[label], predictions_by_class.get(label, {}), tiou, rules) for label in labels
    }
    per_class = {label: _ap(matches, np.ones(len(matches.lengths), bool), rules) for label, matches in classes.items()}
    mean = np.mean(list(per_class.values()), axis=0)
    return Evaluation(
        tiou=tiou,
        map=mean.tolist(),
        average_map=float(mean.mean()),
        per_class=per_class,
        per_length={name: _per_length(classes.values(), bounds, rules) for name, bounds in LENGTHS.items()},
        num_ground_truth=_count(chosen),
        num_predictions=_count(predictions),
        num_unknown_video=_count({v: records for v, records in predictions.items() if v not in truth}),
        num_unknown_label=sum(r["label"] not in classes for records in predictions.values() for r in records),
        num_tied=sum(_count_tied(videos) for label, videos in predictions_by_class.items() if label in classes),
        protocol=protocol,
    )


def report(evaluation: Evaluation) -> dict:
    """What `losa evaluate` writes: `map`, `average_map`, the counts and the parts, as plain JSON values."""
    return evaluation.to_dict()


def _count(records: Records) -> int:
    return sum(len(items) for items in records.values())


def _count_tied(videos: dict[str, np.ndarray]) -> int:
    """How many predictions share their score with another."""
    counts = np.unique(np.concatenate([given[:, 2] for given in videos.values()]), return_counts=True)[1]
    return int(counts[counts > 1].sum())


def _by_class(records: Records, *, scored: bool) -> dict[str, dict[str, np.ndarray]]:
    """label -> video id -> (N, 3) float64: start, end, score (or 0), in the order given."""
    rows: dict[str, dict[str, list]] = {}
    for video_id, items in records.items():
        for item in items:
            row = (*item["segment"], item["score"] if scored else 0.0)
            rows.setdefault(item["label"], {}).setdefault(video_id, []).append(row)
    return {
        label: {video_id: np.array(listed, dtype=np.float64) for video_id, listed in videos.items()}
        for label, videos in rows.items()
    }


def _match_class(
    truth: dict[str, np.ndarray], predictions: dict[str, np.ndarray], tiou: Sequence[Number], rules: Protocol
) -> _ClassMatches:
    """Matches of one class, its predictions over all videos in falling score."""
    first = dict(zip(truth, np.cumsum([0, *map(len, truth.values())]), strict=False))
    lengths = np.concatenate([instances[:, 1] - instances[:, 0] for instances in truth.values()])
    scores = np.concatenate([given[:, 2] for given in predictions.values()] or [np.zeros(0)])
    rank = np.empty(len(scores), dtype=np.int64)
    rank[rules.order(scores)] = np.arange(len(scores))
    matched, begin = np.full((len(tiou), len(scores)), -1), 0
    for video_id, given in predictions.items():
        ranks, begin = rank[begin : begin + len(given)], begin + len(given)
        if video_id in truth:
            order = ranks.argsort()
            found = rules.match(truth[video_id][:, :2], given[order, :2], tiou)
            matched[:, ranks[order]] = np.where(found >= 0, found + first[video_id], found)
    return _ClassMatches(matched, lengths)


def _ap(matches: _ClassMatches, wanted: np.ndarray, rules: Protocol) -> list[float]:
    """AP per threshold for the instances `wanted` (G,) bool; predictions matched to others are left out."""
    aps = []
    for row in matches.matched:
        right = (row >= 0) & wanted[row]
        aps.append(rules.area(right[right | (row == -1)], int(wanted.sum())))
    return aps


def _per_length(classes: Collection[_ClassMatches], bounds: tuple[float, float], rules: Protocol) -> dict:
    """One group of `Evaluation.per_length`: instances longer than the first bound, not than the second."""
    above, up_to = bounds
    wanted = [((m.lengths > above) | (above == 0)) & (m.lengths <= up_to) for m in classes]
    aps = [_ap(m, of_length, rules) for m, of_length in zip(classes, wanted, strict=True) if of_length.any()]
    mean = np.mean(aps, axis=0) if aps else None
    return {
        "bounds": [above, up_to if math.isfinite(up_to) else None],
        "num_ground_truth": int(sum(of_length.sum() for of_length in wanted)),
        "map": None if mean is None else mean.tolist(),
        "average_map": None if mean is None else float(mean.mean()),
    }
