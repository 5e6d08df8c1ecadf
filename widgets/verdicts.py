"""Why each prediction of one video is right or wrong, in DETAD's kinds; for whole data sets see `losa.diagnose`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from widgets.figures import score_of, stack_rows

KINDS = ("true positive", "double detection", "wrong label", "localisation", "confusion", "background", "left out")
WRONG = KINDS[1:-1]


def verdicts(truth: Sequence[Mapping], predictions: Sequence[Mapping], tiou: float = 0.5,
             low: float = 0.1) -> tuple[list[dict], list[int | None]]:
    """({"verdict", "tiou", "other"} per prediction, for each ground truth the prediction that finds it or None).

    By falling score each takes the free ground truth of its label with the highest tIoU >= `tiou`. What is left over
    is judged by `other`, the ground truth of highest tIoU (None: touches none; of equal ones one of its label first),
    and left out where it touches an ambiguous one: as THUMOS14's evaluation has it, that counts for nothing.
    What a prediction gets does not depend on those with lower scores: any score threshold keeps it.
    """
    starts, ends = np.reshape([(np.inf, -np.inf) if r.get("ambiguous") else r["segment"] for r in truth], (-1, 2)).T
    labels, found = np.array([r["label"] for r in truth], object), [None] * len(truth)
    free, judged = np.ones(len(truth), bool), [{"verdict": KINDS[5], "tiou": 0.0, "other": None} for _ in predictions]
    for i in sorted(range(len(predictions)), key=lambda i: -score_of(predictions[i])):
        (start, end), label = predictions[i]["segment"], predictions[i]["label"]
        near = np.flatnonzero((starts < end) & (ends > start))
        if not len(near):
            continue
        inter = np.minimum(ends[near], end) - np.maximum(starts[near], start)
        overlap, same = inter / ((end - start) + (ends[near] - starts[near]) - inter), labels[near] == label
        at = int(np.where(free[near] & same, overlap, -1).argmax())
        right = bool(free[near[at]] and same[at] and overlap[at] >= tiou)
        at = at if right else int(((overlap == overlap.max()) * (1 + same)).argmax())
        if right:
            found[near[at]], free[near[at]] = i, False
        kind = 0 if right else 5 if overlap[at] < low else (1 if overlap[at] >= tiou else 3) + (not same[at])
        judged[i] = {"verdict": KINDS[kind], "tiou": float(overlap[at]), "other": int(near[at])}
    for begin, stop in (r["segment"] for r in truth if r.get("ambiguous")):
        for prediction, told in zip(predictions, judged, strict=True):
            start, end = prediction["segment"]
            if told["verdict"] in WRONG and start < stop and end > begin:
                told["verdict"] = KINDS[6]
    return judged, found


def label_of(track: str, record: Mapping) -> str:
    """The record's label. Raises ValueError for what is no record."""
    with suppress(LookupError, TypeError, ValueError):
        length = np.subtract(*record["segment"][::-1])
        if isinstance(record["label"], str) and 0 <= length < np.inf and np.isfinite(score_of(record)):
            return record["label"]
    raise ValueError(f"track {track!r} has a record {record}; expected {{'segment': [start, end] in seconds with start "
                     "<= end, 'label': a text, 'score': a finite number, not needed for ground truth}")


def judged(tracks: Mapping[str, Sequence[Mapping]], tiou: float = 0.5) -> dict[str, list[dict]]:
    """The tracks, truth first, each record with `score`, `row` in its lane and its verdict as above.

    A ground truth gets `found`, {track: score of the prediction that finds it}, and as verdict "found" or "missed", or
    "ambiguous" where it is marked so: then it belongs to no class and is neither.
    """
    done = {name: [{**r, "score": score_of(r), "row": row} for r, row in zip(records, stack_rows(records), strict=True)]
            for name, records in tracks.items()}
    (_, truth), *others = done.items()
    hits: list[dict] = [{} for _ in truth]
    for name, records in others:
        of_predictions, found = verdicts(truth, records, tiou)
        for record, verdict in zip(records, of_predictions, strict=True):
            record |= verdict
        for hit, i in zip(hits, found, strict=True):
            hit |= {} if i is None else {name: records[i]["score"]}
    for record, hit in zip(truth, hits, strict=True):
        verdict = "ambiguous" if record.get("ambiguous") else "found" if hit else "missed"
        record |= {"verdict": verdict, "tiou": None, "other": None, "found": hit}
    return done
