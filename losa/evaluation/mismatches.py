"""Find where predictions and ground truth do not speak of the same things: labels, video ids, units of time, scores.

Nothing is changed here: mAP stays what the public evaluators give, and what they pass over in silence is said.
`losa.evaluation.amend` changes what is asked for.
"""

import warnings
from collections import Counter

import numpy as np

from losa.evaluation.label_mismatches import find_confused_labels, find_label_mismatches
from losa.evaluation.mismatch import SHOWN, Mismatch, MismatchWarning, many
from losa.evaluation.records import Records, Truth
from losa.evaluation.time_mismatches import find_odd_segments, find_time_mismatches
from losa.evaluation.video_mismatches import find_missed_videos, find_video_mismatches


def find_mismatches(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return how predictions and ground truth do not fit each other, the worst first."""
    found = [
        *find_nothing(truth.records, predictions),
        *find_label_mismatches(truth, predictions),
        *find_video_mismatches(truth, predictions),
        *find_time_mismatches(truth, predictions),
        *find_missed_videos(truth, predictions),
        *find_confused_labels(truth, predictions),
        *find_odd_segments(predictions),
        *_repeated(predictions),
        *_scores(predictions),
    ]
    return sorted(found, key=lambda mismatch: ("error", "warning", "note").index(mismatch.level))


def find_nothing(truth: Records, predictions: Records) -> list[Mismatch]:
    """Return the mismatch that there is no prediction at all, if so."""
    if any(predictions.values()):
        return []
    said = f"there is no prediction, so that mAP is 0: the file holds {len(predictions)} videos, all of them empty"
    return [Mismatch("no predictions", "error", 0, len(truth), said, advice="Was the right file given?")]


def warn_if_nothing_fits(truth: Records, predictions: Records) -> None:
    """Warn where no prediction has a label, or none lies in a video, of the ground truth: mAP is 0 then."""
    bare, judged = Truth(truth, ""), {row["label"] for items in truth.values() for row in items}
    some_label = any(row["label"] in judged for items in predictions.values() for row in items)
    if some_label and predictions.keys() & truth.keys():
        return
    for mismatch in (*find_label_mismatches(bare, predictions), *find_video_mismatches(bare, predictions)):
        if mismatch.level == "error":
            warnings.warn(str(mismatch), MismatchWarning, stacklevel=3)


def _repeated(predictions: Records) -> list[Mismatch]:
    """Return how many predictions are there more than once, with the same label, times and score."""
    seen = {v: Counter((row["label"], *row["segment"], row["score"]) for row in items)
            for v, items in predictions.items()}  # fmt: skip
    total, again = sum(map(len, predictions.values())), sum(c.total() - len(c) for c in seen.values())
    if not again:
        return []
    examples = [f"'{v}' has {label} from {start:g} to {end:g} s {count} times"
                for v, counts in seen.items() for (label, start, end, _), count in counts.items() if count > 1][:SHOWN]
    said = f"{again:,} of {many(total, 'prediction')} repeat another one, with its label, times and score"
    return [Mismatch("repeated predictions", "warning" if again > total / 4 else "note", again, total, said, examples,
                     "A repeat counts as wrong where the first one is right: was a file written, or joined, twice?")]


def _scores(predictions: Records) -> list[Mismatch]:
    scores = np.array([row["score"] for items in predictions.values() for row in items], dtype=np.float64)
    outside = int(((scores < 0) | (scores > 1)).sum())
    found = []
    if outside:
        said = (f"{outside:,} of {many(len(scores), 'score')} outside 0 to 1, from {scores.min():g} to "
                f"{scores.max():g}")  # fmt: skip
        found.append(Mismatch("scores outside 0 to 1", "note", outside, len(scores), said, [],
                              "mAP asks only for their order, so it holds"))  # fmt: skip
    if len(scores) > 2 and (scores == scores[0]).all():
        said = f"all {len(scores):,} scores are {scores[0]:g}, so that the order of predictions, and mAP, is by chance"
        found.append(Mismatch("one score for all", "warning", len(scores), len(scores), said, [],
                              "Give the confidence of each prediction as its score"))  # fmt: skip
    return found
