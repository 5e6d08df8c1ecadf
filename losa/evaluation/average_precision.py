"""Compute the mean average precision of temporal detections, by named protocols that equal the public evaluators.

`records` reads ground truth and predictions, `protocols` holds the rules in which evaluators differ. Needs neither
torch nor a decoder.
"""

import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from losa.errors import EvaluationError
from losa.evaluation.mismatches import warn_if_nothing_fits
from losa.evaluation.protocols import Protocol, check_tiou, find_protocol
from losa.evaluation.records import Records, count_instances, unknown_videos
from losa.segments import tiou as pairwise_tiou

Number = int | float

UNMATCHED, FORGIVEN = -1, -2  # in place of a ground truth: of a wrong prediction, of one that counts for nothing

# Groups of instances by length: seconds (above, up to and including). Fixed, so that they mean the same in every data
# set; zero length is XS.
LENGTHS = {
    "XS": (0.0, 1.5),
    "S": (1.5, 3.0),
    "M": (3.0, 6.0),
    "L": (6.0, 12.0),
    "XL": (12.0, math.inf),
}


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`. AP and mAP are fractions 0..1, one per threshold of `tiou`, in its order.

    per_class: label -> [AP].
    per_length: group of `LENGTHS` -> {"bounds" in seconds (no upper one: null), "num_ground_truth", "map",
    "average_map"}, the last two null where the group is empty.
    num_videos, num_ground_truth: of the truth, after what the protocol leaves out; ambiguous ones do not count.
    num_ambiguous: instances of the truth that belong to no class; the protocol "thumos14" forgives what touches them.
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
    num_videos: int
    num_ground_truth: int
    num_ambiguous: int
    num_predictions: int
    num_unknown_video: int
    num_unknown_label: int
    num_tied: int
    protocol: str

    def to_dict(self) -> dict:
        """Return all of it as plain JSON values, as `losa evaluate` writes them."""
        return {**asdict(self), "tiou": list(self.tiou)}


@dataclass(frozen=True)
class ClassMatches:
    """The matches of one class over all videos: its predictions (P,) in falling score, its ground truth (G,).

    matched (thresholds, P): index of the ground truth that a prediction takes, else UNMATCHED or FORGIVEN.
    video (P,) and truth_video (G,) are places in the sorted list of all ids; lengths (G,) are seconds.
    """

    matched: np.ndarray
    score: np.ndarray
    video: np.ndarray
    lengths: np.ndarray
    truth_video: np.ndarray


def evaluate(
    truth: Records,
    predictions: Records,
    tiou: Sequence[Number] = (0.3, 0.4, 0.5, 0.6, 0.7),
    protocol: str = "activitynet",
    *,
    forgive: bool = False,
) -> Evaluation:
    """Return the mean average precision of the predictions, also per class and per length of the instances.

    The classes are those of the ground truth; one without predictions has AP 0. Per length: only instances of
    that length are to be found, and predictions matched to others are left out, as in DETAD's sensitivity
    analysis (without its normalisation); the mean goes over the classes that have such instances.

    forgive: predictions that touch an ambiguous instance are forgiven even where the protocol would not.

    Raises EvaluationError for an unknown protocol, a bad threshold, or a truth without instances. Warns where no
    prediction lies in a video of the truth, or none has a label of it, and where the protocol forgives what is
    ambiguous but nothing is marked so.
    """
    tiou = check_tiou(tiou)
    rules, classes = find_protocol(protocol), match_classes(truth, predictions, tiou, protocol, forgive=forgive)
    unknown = unknown_videos(truth, predictions)
    warn_if_nothing_fits(truth, predictions)
    num_ambiguous = sum(bool(r.get("ambiguous")) for items in truth.values() for r in items)
    if rules.forgive and not num_ambiguous:
        warnings.warn(
            f'protocol="{protocol}" forgives what touches an ambiguous instance, and this ground truth marks none: not '
            "the challenge's number. For that, give the folder of THUMOS-14's official text files, with its Ambiguous "
            "ones.",
            stacklevel=2,
        )
    per_class = {label: _ap(matches, np.ones(len(matches.lengths), bool), rules) for label, matches in classes.items()}
    mean = np.mean(list(per_class.values()), axis=0)
    return Evaluation(
        tiou=tiou,
        map=mean.tolist(),
        average_map=float(mean.mean()),
        per_class=per_class,
        per_length={name: _per_length(classes.values(), bounds, rules) for name, bounds in LENGTHS.items()},
        num_videos=len(truth),
        num_ground_truth=sum(len(matches.lengths) for matches in classes.values()),
        num_ambiguous=num_ambiguous,
        num_predictions=count_instances(predictions),
        num_unknown_video=count_instances(unknown),
        num_unknown_label=count_instances(predictions) - sum(len(matches.score) for matches in classes.values()),
        num_tied=sum(_count_tied(matches.score) for matches in classes.values()),
        protocol=protocol,
    )


def match_classes(
    truth: Records, predictions: Records, tiou: Sequence[Number], protocol: str, *, forgive: bool = False
) -> dict[str, ClassMatches]:
    """Match predictions to instances, class by class: {label: matches} of the ground truth's classes, sorted.

    forgive: forgive what touches an ambiguous instance even where the protocol would not.
    Raises EvaluationError for a truth without instances.
    """
    rules = find_protocol(protocol)
    clear = {v: rules.choose([r for r in items if not r.get("ambiguous")]) for v, items in truth.items()}
    labels = sorted({instance["label"] for instances in clear.values() for instance in instances})
    if not labels:
        raise EvaluationError(f"evaluate was given {len(truth)} videos without one instance; nothing to measure.")
    place = {video_id: i for i, video_id in enumerate(sorted({*truth, *predictions}))}
    wanted, given = _table(clear, place, labels), _table(predictions, place, labels)
    ambiguous = {place[v]: _segments([r for r in items if r.get("ambiguous")]) for v, items in truth.items()}
    ambiguous = {i: segments for i, segments in ambiguous.items() if (rules.forgive or forgive) and len(segments)}
    return {
        label: _match_class(of_truth, of_given, ambiguous, tiou, rules)
        for label, of_truth, of_given in zip(labels, _by_class(wanted, len(labels)), _by_class(given, len(labels)),
                                             strict=True)
    }  # fmt: skip


@dataclass(frozen=True)
class _Table:
    """Records side by side (N,): class and video as numbers (-1: no class of the truth), segment (N, 2), score."""

    label: np.ndarray
    video: np.ndarray
    segment: np.ndarray
    score: np.ndarray

    def rows(self, index: np.ndarray) -> "_Table":
        return _Table(self.label[index], self.video[index], self.segment[index], self.score[index])


def _table(records: Records, place: dict[str, int], labels: Sequence[str]) -> _Table:
    rows, number = [row for items in records.values() for row in items], {label: i for i, label in enumerate(labels)}
    label = np.array([number.get(row["label"], -1) for row in rows], dtype=np.int64)
    video = np.repeat(np.array([place[v] for v in records], np.int64), [len(items) for items in records.values()])
    return _Table(label, video, _segments(rows), np.array([row.get("score", 0.0) for row in rows], dtype=np.float64))


def _segments(rows: Sequence[dict]) -> np.ndarray:
    """Return start and end of the records: (N, 2) float64."""
    return np.array([row["segment"] for row in rows], dtype=np.float64).reshape(-1, 2)


def _by_class(table: _Table, num_classes: int) -> list[_Table]:
    """Split the table into the rows of each class, in their order."""
    order = table.label.argsort(kind="stable")
    borders = np.searchsorted(table.label[order], np.arange(num_classes + 1))
    return [table.rows(order[a:b]) for a, b in zip(borders[:-1], borders[1:], strict=True)]


def _by_video(video: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each video with the indices of its rows, in their order."""
    order = video.argsort(kind="stable")
    videos, first = np.unique(video[order], return_index=True)
    return zip(videos.tolist(), np.split(order, first[1:]), strict=True) if len(order) else iter(())


def _count_tied(scores: np.ndarray) -> int:
    """Count the predictions that share their score with another."""
    counts = np.unique(scores, return_counts=True)[1]
    return int(counts[counts > 1].sum())


def _match_class(
    truth: _Table, given: _Table, ambiguous: dict[int, np.ndarray], tiou: Sequence[Number], rules: Protocol
) -> ClassMatches:
    """Match the predictions of one class; `ambiguous` holds the segments that are forgiven, per video."""
    given = given.rows(rules.order(given.score, given.video))
    instances = dict(_by_video(truth.video))
    matched = np.full((len(tiou), len(given.score)), UNMATCHED)
    for video, ranks in _by_video(given.video):
        if video in instances:
            index = instances[video]
            taken = rules.match(truth.segment[index], given.segment[ranks], tiou)
            matched[:, ranks] = np.where(taken >= 0, index[taken], UNMATCHED)
        if video in ambiguous:
            touches = ranks[_touches(given.segment[ranks], ambiguous[video])]
            matched[:, touches] = np.where(matched[:, touches] == UNMATCHED, FORGIVEN, matched[:, touches])
    lengths = truth.segment[:, 1] - truth.segment[:, 0]
    return ClassMatches(matched, given.score, given.video, lengths, truth.video)


def _touches(segments: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return which segments (N, 2) overlap one of the others: (N,) bool."""
    touching = np.zeros(len(segments), bool)
    for other in others:
        touching |= pairwise_tiou(segments, other[None])[:, 0] > 0
    return touching


def _ap(matches: ClassMatches, wanted: np.ndarray, rules: Protocol) -> list[float]:
    """Return the AP per threshold for the instances `wanted` (G,) bool; predictions matched to others are left out."""
    aps = []
    for row in matches.matched:
        right = row >= 0
        right[right] = wanted[row[right]]
        aps.append(rules.area(right[right | (row == UNMATCHED)], int(wanted.sum())))
    return aps


def _per_length(classes: Collection[ClassMatches], bounds: tuple[float, float], rules: Protocol) -> dict:
    """Return one group of `Evaluation.per_length`: instances longer than the first bound, not than the second."""
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
