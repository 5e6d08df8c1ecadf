"""The protocols by which a mean average precision is computed: who matches whom, and which area under the curve.

A new one is one more entry of `PROTOCOLS`. Needs neither torch nor a decoder.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from losa.errors import EvaluationError
from losa.segments import tiou as pairwise_tiou

Number = int | float
PAIRS_AT_ONCE = 1 << 21  # of a prediction and a ground truth, whose overlaps are held in memory


def parse_tiou(text: str) -> tuple[float, ...]:
    """Read the thresholds of "0.3:0.7:0.1" (first:last:step), "0.5" or "0.5,0.75,0.95"; at most 1,000.

    Raises EvaluationError for any other text.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            if step <= 0 or last < first or (last - first) / step > 1000:
                raise ValueError
            values = [first + i * step for i in range(math.floor((last - first) / step + 1e-6) + 1)]
        else:
            values = [float(part) for part in text.split(",")]
        return check_tiou([round(value, 10) for value in values])
    except (ValueError, OverflowError):
        raise EvaluationError(
            f'tIoU thresholds "{text[:100]}": expected first:last:step such as 0.3:0.7:0.1, or a list such as '
            "0.5,0.75,0.95, each above 0 and at most 1, no more than 1,000."
        ) from None


def check_tiou(tiou: Sequence[Number]) -> tuple[float, ...]:
    """Return the thresholds as floats. Raises EvaluationError unless there are some, each above 0 and at most 1."""
    if not 0 < len(tiou) <= 1001 or not all(0 < threshold <= 1 for threshold in tiou):
        raise EvaluationError(f"tiou={str(tuple(tiou))[:100]}: expected thresholds, each above 0 and at most 1.")
    return tuple(float(threshold) for threshold in tiou)


# --- which instances count --------------------------------------------------------------------------------


def keep_all(instances: list[dict]) -> list[dict]:
    """Return the instances of a video as they are."""
    return instances


def drop_duplicates(instances: list[dict]) -> list[dict]:
    """Return the instances of a video without those of no length and those that repeat an earlier one.

    One repeats another where the labels are equal and start and end differ by at most 1e-3 s. ActivityNet-1.3 has 22
    such instances in its validation subset; OpenTAD and ActionFormer drop them (opentad/evaluations/builder.py).
    """
    kept: list[dict] = []
    cells: dict[tuple, list[tuple]] = {}  # of 4e-3 s x 4e-3 s: what is within 1e-3 s lies in one of at most four
    for instance in instances:
        (start, end), label = instance["segment"], instance["label"]
        if end <= start:
            continue
        starts, ends = ({math.floor((x + shift) / 4e-3) for shift in (-1.01e-3, 1.01e-3)} for x in (start, end))
        near = (other for s in starts for e in ends for other in cells.get((label, s, e), ()))
        if not any(abs(start - s) <= 1e-3 and abs(end - e) <= 1e-3 for s, e in near):
            kept.append(instance)
            cells.setdefault((label, math.floor(start / 4e-3), math.floor(end / 4e-3)), []).append((start, end))
    return kept


# --- order of predictions ---------------------------------------------------------------------------------


def order_as_numpy(scores: Float[np.ndarray, " P"], videos: Int[np.ndarray, " P"]) -> Int[np.ndarray, " P"]:
    """Return the order of falling scores that the public evaluators get: `argsort()[::-1]`.

    numpy's default sort is not stable: where scores are equal, their order and with it the AP depend on the
    number of predictions and on the processor's vector unit, there as here.
    """
    return scores.argsort()[::-1]


def order_by_video(scores: Float[np.ndarray, " P"], videos: Int[np.ndarray, " P"]) -> Int[np.ndarray, " P"]:
    """Return the order of falling scores; equal ones by the names of their videos, then as given.

    `videos` are the places of the predictions' videos in the sorted list of ids.
    """
    return np.lexsort((videos, -scores))


# --- who matches whom -------------------------------------------------------------------------------------


def match_by_score(
    truth: Float[np.ndarray, "G 2"], predictions: Float[np.ndarray, "P 2"], tiou: Sequence[Number]
) -> Int[np.ndarray, "thresholds P"]:
    """Return the ground truth that each prediction takes at each threshold, or -1: (thresholds, P) int64.

    `truth` (G, 2) and `predictions` (P, 2), in falling score, are of one class and one video. A prediction takes
    the free ground truth of highest tIoU if that is >= the threshold; of equal ones whichever numpy's default
    sort puts last. Two segments without length match wherever they lie: the evaluators this equals divide 0 by
    0 there, sort the nan first, and find it not below the threshold (ActivityNet/Evaluation/eval_detection.py).
    """
    matched = np.full((len(tiou), len(predictions)), -1)
    taken = [set() for _ in tiou]
    at_once = max(1, PAIRS_AT_ONCE // max(1, len(truth)))
    for begin in range(0, len(predictions), at_once):
        which, near, overlap = _near_pairs(truth, predictions[begin : begin + at_once], min(tiou))
        which = which + begin
        for row, gone, threshold in zip(matched, taken, tiou, strict=True):
            above = ~(overlap < threshold)
            last = -1
            for i, j in zip(which[above].tolist(), near[above].tolist(), strict=True):
                if i != last and j not in gone:
                    row[i], last = j, i
                    gone.add(j)
                    if len(gone) == len(truth):
                        break
    return matched


def _near_pairs(truth: np.ndarray, predictions: np.ndarray, lowest: Number) -> tuple[np.ndarray, ...]:
    """Return prediction, truth and tIoU of all pairs not below the lowest threshold, by prediction and falling tIoU."""
    overlap = pairwise_tiou(predictions, truth)
    no_length = [segments[:, 0] == segments[:, 1] for segments in (predictions, truth)]
    if no_length[0].any() and no_length[1].any():
        overlap[no_length[0][:, None] & no_length[1][None, :]] = np.nan
    which = np.flatnonzero((~(overlap < lowest)).any(axis=1))
    overlap = overlap[which]
    falling = overlap.argsort(axis=1)[:, ::-1]
    overlap = np.take_along_axis(overlap, falling, axis=1)
    rows, columns = (~(overlap < lowest)).nonzero()
    return which[rows], falling[rows, columns], overlap[rows, columns]


def match_by_truth(
    truth: Float[np.ndarray, "G 2"], predictions: Float[np.ndarray, "P 2"], tiou: Sequence[Number]
) -> Int[np.ndarray, "thresholds P"]:
    """Match as `match_by_score`, but each ground truth, in its order, takes the free prediction of highest tIoU.

    Its tIoU has to be above the threshold; its score does not matter; of equal ones the first is taken (THUMOS'14
    toolkit, TH14eventdetpr.m).
    """
    matched = np.full((len(tiou), len(predictions)), -1)
    for j, instance in enumerate(truth):
        overlap = pairwise_tiou(instance[None], predictions)[0]
        near = np.flatnonzero(overlap > min(tiou))
        overlap = overlap[near]
        for row, threshold in zip(matched, tiou, strict=True):
            free = np.where(row[near] < 0, overlap, -1.0)
            if len(near) and free.max() > threshold:
                row[near[free.argmax()]] = j
    return matched


# --- area under the curve ---------------------------------------------------------------------------------


def interpolated_area(true: Bool[np.ndarray, " P"], num_truth: int) -> float:
    """Return the AP as the area under precision over recall, precision made monotone (VOC 2011).

    `true` says which predictions, in falling score, are right.
    """
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    return float(np.maximum.accumulate(precision[::-1])[::-1][true].sum() / num_truth)


def plain_area(true: Bool[np.ndarray, " P"], num_truth: int) -> float:
    """Return the AP as the sum of precision at each right prediction over the number of ground truths."""
    precision = np.cumsum(true) / np.arange(1, len(true) + 1)
    return float(precision[true].sum() / num_truth)


@dataclass(frozen=True)
class Protocol:
    """The rules of an evaluator: which instances of a video count, order of scores, matching, area under the curve.

    match(truth (G, 2), predictions (P, 2), thresholds) -> (thresholds, P): index of the ground truth taken, or -1.
    forgive: whether a wrong prediction that overlaps an ambiguous instance counts for nothing.
    """

    choose: Callable[[list[dict]], list[dict]] = keep_all
    order: Callable[[np.ndarray, np.ndarray], np.ndarray] = order_as_numpy
    match: Callable[[np.ndarray, np.ndarray, Sequence[Number]], np.ndarray] = match_by_score
    area: Callable[[np.ndarray, int], float] = interpolated_area
    forgive: bool = False


PROTOCOLS = {
    "activitynet": Protocol(),  # ActivityNet's own evaluator
    "activitynet-dedup": Protocol(choose=drop_duplicates),  # OpenTAD and ActionFormer
    "thumos14": Protocol(order=order_by_video, match=match_by_truth, area=plain_area, forgive=True),  # MATLAB toolkit
}


def find_protocol(name: str) -> Protocol:
    """Return the protocol of this name. Raises EvaluationError for an unknown one."""
    if name not in PROTOCOLS:
        raise EvaluationError(f'protocol="{name}": expected one of {", ".join(PROTOCOLS)}.')
    return PROTOCOLS[name]
