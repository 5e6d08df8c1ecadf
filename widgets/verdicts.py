"""Judge the predictions of one video: right or wrong, and which kind of error. `losa.diagnose` does whole data sets."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from widgets.error_kinds import WRONG, ErrorKind, name_error


def score_of(record: Mapping) -> float:
    """Return the record's score; ground truth has none and counts as 1."""
    return float(record.get("score", 1.0))


def note_hidden(records: Iterable[Mapping], min_score: float) -> str:
    """Return "; nothing above 0.25, the best is 0.18" where the threshold hides all records of a lane, else ""."""
    best = max(map(score_of, records), default=0.0)
    return f"; nothing above {min_score:.2f}, the best is {precise(best)}" if 0 < best < min_score - 1e-9 else ""


def precise(score: float) -> str:
    """Return a score with two digits, rounded down, so that a threshold of that shows it; small ones with three."""
    digits = 2 if score >= 0.01 else 3
    return f"{int(score * 10**digits + 1e-9) / 10**digits:.{digits}f}"


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the tIoU of two segments; 0 if both have no length."""
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


def stack_rows(records: Sequence[Mapping]) -> list[int]:
    """Return a row for each record such that no two in a row overlap.

    Rows are given by falling score, so a score threshold moves no segment.
    """
    rows, taken = [0] * len(records), []  # segments of each row, in the order of time
    for i in sorted(range(len(records)), key=lambda i: -score_of(records[i])):
        start, end = segment = tuple(records[i]["segment"])
        places = ((r, spans, bisect(spans, segment)) for r, spans in enumerate(taken))
        rows[i], spans, at = next(
            ((r, spans, at) for r, spans, at in places
             if all(end <= s or start >= e for s, e in spans[max(at - 1, 0):at + 1])), (len(taken), [], 0))
        if rows[i] == len(taken):
            taken.append(spans)
        spans.insert(at, segment)
    return rows


def verdicts(truth: Sequence[Mapping], predictions: Sequence[Mapping], tiou: float = 0.5,
             low: float = 0.1) -> tuple[list[dict], list[int | None]]:
    """Return {"verdict", "tiou", "other"} per prediction, and per ground truth the index of the one that finds it.

    In falling score each prediction takes the free ground truth of its label with the highest tIoU >= `tiou`: a true
    positive. The others are judged by `other`, the ground truth of highest tIoU (of equal ones one of their label;
    None: they overlap none). A wrong one that overlaps an ambiguous ground truth is left out, as in THUMOS14's
    evaluation. A verdict does not depend on predictions of lower score, so it holds at every score threshold.
    """
    starts, ends = np.reshape([(np.inf, -np.inf) if r.get("ambiguous") else r["segment"] for r in truth], (-1, 2)).T
    labels, found_by = np.array([r["label"] for r in truth], object), [None] * len(truth)
    free = np.ones(len(truth), bool)
    judgements = [{"verdict": ErrorKind.BACKGROUND.value, "tiou": 0.0, "other": None} for _ in predictions]
    for i in sorted(range(len(predictions)), key=lambda i: -score_of(predictions[i])):
        (start, end), label = predictions[i]["segment"], predictions[i]["label"]
        near = np.flatnonzero((starts < end) & (ends > start))
        if not len(near):
            continue
        inter = np.minimum(ends[near], end) - np.maximum(starts[near], start)
        overlap, same = inter / ((end - start) + (ends[near] - starts[near]) - inter), labels[near] == label
        at = int(np.where(free[near] & same, overlap, -1).argmax())
        if free[near[at]] and same[at] and overlap[at] >= tiou:
            kind, found_by[near[at]], free[near[at]] = ErrorKind.TRUE_POSITIVE, i, False
        else:
            at = int(((overlap == overlap.max()) * (1 + same)).argmax())
            kind = name_error(overlap[at], same[at], enough=tiou, low=low)
        judgements[i] = {"verdict": kind.value, "tiou": float(overlap[at]), "other": int(near[at])}
    for ambiguous_start, ambiguous_end in (r["segment"] for r in truth if r.get("ambiguous")):
        for prediction, judgement in zip(predictions, judgements, strict=True):
            start, end = prediction["segment"]
            if judgement["verdict"] in WRONG and start < ambiguous_end and end > ambiguous_start:
                judgement["verdict"] = ErrorKind.LEFT_OUT.value
    return judgements, found_by


def label_of(track: str, record: Mapping) -> str:
    """Return the label of a record of this track. Raises ValueError where it is no record."""
    with suppress(LookupError, TypeError, ValueError):
        length = np.subtract(*record["segment"][::-1])
        if isinstance(record["label"], str) and 0 <= length < np.inf and np.isfinite(score_of(record)):
            return record["label"]
    raise ValueError(f"track {track!r} has a record {record}; expected {{'segment': [start, end] in seconds with start "
                     "<= end, 'label': a text, 'score': a finite number, not needed for ground truth}")


def unjudged(tracks: Mapping[str, Sequence[Mapping]]) -> dict[str, list[dict]]:
    """Return the tracks, each record with its `score` and `row` in the lane; without ground truth none is judged."""
    return {name: [{**r, "score": score, "row": row} for r, score, row in zip(
        records, map(score_of, records), stack_rows(records), strict=True)]
            for name, records in tracks.items()}


def judged(tracks: Mapping[str, Sequence[Mapping]], tiou: float = 0.5) -> dict[str, list[dict]]:
    """Return the tracks, ground truth first, each record with `score`, `row` in its lane and its verdict as above.

    A ground truth gets `found`, {track: score of the prediction that finds it}, and the verdict "found" or "missed", or
    "ambiguous" where it is marked so: then it belongs to no class and is neither.
    """
    done = unjudged(tracks)
    (_, truth), *others = done.items()
    hits: list[dict] = [{} for _ in truth]
    for name, records in others:
        judgements, found_by = verdicts(truth, records, tiou)
        for record, judgement in zip(records, judgements, strict=True):
            record |= judgement | {"tiou": round(judgement["tiou"], 6)}
        for hit, i in zip(hits, found_by, strict=True):
            hit |= {} if i is None else {name: records[i]["score"]}
    for record, hit in zip(truth, hits, strict=True):
        verdict = "ambiguous" if record.get("ambiguous") else "found" if hit else "missed"
        record |= {"verdict": verdict, "tiou": None, "other": None, "found": hit}
    return done
