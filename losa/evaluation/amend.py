"""Change predictions as asked for before they are evaluated: labels, ids of videos, the unit of times.

`losa.evaluation.mismatches` proposes; nothing here happens by itself.
"""

from collections.abc import Sequence
from difflib import get_close_matches

from losa.errors import EvaluationError
from losa.evaluation.records import Records, Truth
from losa.evaluation.time_mismatches import UNITS, seconds_per
from losa.evaluation.video_mismatches import match_loosely


def rename_labels(predictions: Records, pairs: Sequence[str]) -> Records:
    """Return the predictions with labels renamed, given as "OLD=NEW".

    Raises EvaluationError for another text, and for a label that no prediction has.
    """
    names = {}
    known = {row["label"] for items in predictions.values() for row in items}
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not sign or not new or old not in known:
            near = get_close_matches(old, known, n=1)
            why = f"no prediction has the label '{old}'" if sign and new else "expected OLD=NEW"
            raise EvaluationError(f"--rename {pair}: {why}{f'; did you mean {near[0]!r}?' if near else ''}")
        names[old] = new
    return {v: [{**row, "label": names.get(row["label"], row["label"])} for row in items]
            for v, items in predictions.items()}  # fmt: skip


def match_ids(truth: Truth, predictions: Records) -> tuple[Records, int]:
    """Return the predictions under the truth's ids, compared without folder, ending and "v_"; and how many changed.

    Raises EvaluationError where two of them would become one video.
    """
    names = match_loosely(truth.records, [v for v in predictions if v not in truth.records])
    matched: Records = {}
    for video_id, items in predictions.items():
        new = names.get(video_id, video_id)
        if new in matched:
            twice = [v for v in predictions if names.get(v, v) == new]
            raise EvaluationError(f"--match-ids: {' and '.join(map(repr, twice))} would both be the video '{new}'; "
                                  "keep one of them in the predictions")  # fmt: skip
        matched[new] = items
    return matched, len(names)


def convert_times(truth: Truth, predictions: Records, unit: str) -> Records:
    """Return the predictions with times in seconds, given in `unit`, one of `mismatches.UNITS`.

    Raises EvaluationError for another unit, and where a video's frame rate or duration is needed and not known.
    """
    if unit not in UNITS:
        raise EvaluationError(f"--predicted-times {unit}: expected one of {', '.join(UNITS)}, or none for seconds")
    converted = {}
    for video_id, items in predictions.items():
        scale = seconds_per(unit, truth.durations.get(video_id), truth.fps.get(video_id))
        if scale is None and video_id not in truth.records:
            scale = 1.0  # wrong whatever its times
        if scale is None:
            lacking = "fps" if unit == "frames" else "duration"
            advice = "give it with --fps 30" if unit == "frames" else "add it there"
            raise EvaluationError(f"--predicted-times {unit}: the ground truth gives no {lacking} of the video "
                                  f"'{video_id}'; {advice}, or convert the predictions to seconds")  # fmt: skip
        converted[video_id] = [{**row, "segment": [t * scale for t in row["segment"]]} for row in items]
    return converted


def merge_classes(records: Records) -> Records:
    """Return the records with one label, "action", for all that are not ambiguous."""
    return {v: [row if row.get("ambiguous") else {**row, "label": "action"} for row in items]
            for v, items in records.items()}  # fmt: skip
