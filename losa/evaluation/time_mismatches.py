"""Find segments of predictions that do not fit their videos, and the unit in which they would."""

from collections.abc import Sequence

import numpy as np

from losa.evaluation.mismatch import SHOWN, Mismatch, many, segments
from losa.evaluation.records import Records, Truth
from losa.segments import tiou

Number = int | float

BEYOND = 1.0  # seconds after the end of a video that are nothing to speak of
UNITS = {"frames": "frames", "ms": "milliseconds", "minutes": "minutes", "shares": "shares of the video"}


def find_time_mismatches(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return segments beyond the known end of their video, and times that look like another unit than seconds."""
    known = {v: items for v, items in predictions.items() if items and truth.durations.get(v)}
    total = sum(map(len, known.values()))
    beyond = [(v, row["segment"]) for v, items in known.items() for row in items
              if row["segment"][1] > truth.durations[v] + BEYOND]  # fmt: skip
    if beyond:
        examples = [f"'{v}' {start:g} to {end:g} s, video of {truth.durations[v]:g} s"
                    for v, (start, end) in beyond[:SHOWN]]  # fmt: skip
        said = f"{len(beyond):,} of {many(total, 'prediction')} with an end beyond the video's"
        often = len(beyond) > total / 4
        advice = _advise_unit(truth, known) if often else ""
        return [Mismatch("segments beyond their video", "warning" if often else "note", len(beyond), total, said,
                         examples, advice)]  # fmt: skip
    early = [v for v, items in known.items() if max(row["segment"][1] for row in items) <= truth.durations[v] / 25]
    if len(early) < len(known) or not known or total < 3:
        return _apart(truth, predictions)
    said = f"all {many(total, 'prediction')} lie in the first 4 % of their videos"
    examples = [f"'{v}' ends at {max(row['segment'][1] for row in known[v]):g} s of {truth.durations[v]:g} s"
                for v in early[:SHOWN]]  # fmt: skip
    return [Mismatch("segments in no part but the first", "warning", total, total, said, examples,
                     _advise_unit(truth, known))]  # fmt: skip


def _apart(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return that no prediction lies on an instance of its video by half, with the unit in which some do."""
    judged = {v: items for v, items in predictions.items() if items and truth.records.get(v)}
    total = sum(map(len, judged.values()))
    if total < 3 or any(_count_overlapping(truth, v, items, 1) for v, items in judged.items()):
        return []
    best, most = "", total / 100
    for unit in UNITS:
        scales = {v: seconds_per(unit, truth.durations.get(v), truth.fps.get(v)) for v in judged}
        hits = sum(_count_overlapping(truth, v, items, scales[v] or 0) for v, items in judged.items() if scales[v])
        if hits > most:
            best, most = unit, hits
    (video, items), *_ = judged.items()
    examples = [f"'{video}' has predictions to {max(row['segment'][1] for row in items):g} s and instances to "
                f"{max(row['segment'][1] for row in truth.records[video]):g} s"]  # fmt: skip
    advice = (f"Are they {UNITS[best]}? Read so, {int(most):,} of {total:,} do. If so, give --predicted-times {best}"
              if best else "Expected seconds from the start of the video. If they are frames: --predicted-times frames "
              "--fps 30, with the frame rate of the videos")  # fmt: skip
    return [Mismatch("segments on no instance", "warning", total, total, f"none of the {many(total, 'prediction')} "
                     "overlaps an instance of its video by half, whatever its label", examples, advice)]  # fmt: skip


def _advise_unit(truth: Truth, predictions: Records) -> str:
    unit, how = propose_unit(truth, predictions)
    if unit:
        return f"Are they {UNITS[unit]}? Read so, {how}. If so, give --predicted-times {unit}"
    return "Expected seconds from the start of the video"


def propose_unit(truth: Truth, predictions: Records) -> tuple[str, str]:
    """Return the unit in which the times could be, and how it fits; "" for none.

    Nearly all videos have to hold their predictions then, and fill with them. Of several units it is the one by which
    most predictions lie on an instance.
    """
    best, how, most = "", "", (-1, 0.1)
    for unit in UNITS:
        scales = {v: seconds_per(unit, truth.durations.get(v), truth.fps.get(v)) for v, items in predictions.items()
                  if items and v in truth.durations}  # fmt: skip
        if not scales or None in scales.values():
            continue
        ends = {v: max(row["segment"][1] for row in predictions[v]) * (scale or 0) for v, scale in scales.items()}
        fit = sum(end <= truth.durations[v] + BEYOND for v, end in ends.items())
        filled = float(np.median([end / truth.durations[v] for v, end in ends.items()]))
        if fit < 0.95 * len(ends) or filled < 0.1:
            continue
        hits = sum(_count_overlapping(truth, v, predictions[v], scale or 0) for v, scale in scales.items())
        if (hits, filled) > most:
            best, most = unit, (hits, filled)
            how = (f"{fit} of {many(len(ends), 'video')} hold all of theirs, and {hits:,} of "
                   f"{many(sum(len(predictions[v]) for v in ends), 'prediction')} lie on an instance")  # fmt: skip
    return best, how


def _count_overlapping(truth: Truth, video_id: str, items: Sequence[dict], scale: Number) -> int:
    """Count the predictions of a video, times multiplied, that overlap any instance of it by half."""
    instances = truth.records.get(video_id, [])
    return int((tiou(segments(items) * scale, segments(instances)) >= 0.5).any(axis=1).sum()) if instances else 0


def seconds_per(unit: str, duration: Number | None, fps: Number | None) -> float | None:
    """Return how many seconds one of a unit is; None where that is not known."""
    if unit == "frames":
        return 1 / fps if fps else None
    return {"ms": 0.001, "minutes": 60.0, "shares": float(duration) if duration else None}[unit]


def find_odd_segments(predictions: Records) -> list[Mismatch]:
    """Return segments that start before their video, or have no length."""
    rows = [(v, row["segment"]) for v, items in predictions.items() for row in items]
    kinds = {
        "segments before the start": ("with a start before the video's", [r for r in rows if r[1][0] < 0]),
        "segments of no length": ("without length, which match nothing that has one",
                                  [r for r in rows if r[1][0] == r[1][1]]),
    }  # fmt: skip
    return [Mismatch(kind, "note", len(odd), len(rows), f"{len(odd):,} of {many(len(rows), 'prediction')} {text}",
                     [f"'{v}' {start:g} to {end:g} s" for v, (start, end) in odd[:SHOWN]], "They count as they are")
            for kind, (text, odd) in kinds.items() if odd]  # fmt: skip
