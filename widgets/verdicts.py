"""Why each prediction of one video is right or wrong, in DETAD's kinds; for whole data sets see `losa.diagnose`."""

from collections.abc import Mapping, Sequence

import numpy as np

from widgets.figures import score_of, stack_rows

KINDS = ("true positive", "double detection", "wrong label", "localisation", "confusion", "background")


def verdicts(truth: Sequence[Mapping], predictions: Sequence[Mapping], tiou: float = 0.5,
             low: float = 0.1) -> tuple[list[dict], list[int | None]]:
    """({"verdict", "tiou", "other"} per prediction, for each ground truth the prediction that finds it or None).

    By falling score each takes the free ground truth of its label with the highest tIoU >= `tiou`. What is left over
    is judged by `other`, the ground truth of highest tIoU (None: touches none; of equal ones one of its label first).
    What a prediction gets does not depend on those with lower scores: any score threshold keeps it.
    """
    (a, b), (s, e) = (np.array([r["segment"] for r in rs], float).reshape(-1, 2).T for rs in (predictions, truth))
    labels = [np.array([r["label"] for r in rs], object) for rs in (predictions, truth)]
    inter = np.clip(np.minimum(b[:, None], e) - np.maximum(a[:, None], s), 0, None)
    union, same = (b - a)[:, None] + (e - s) - inter, np.equal.outer(*labels).astype(bool)
    overlap = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    free, found = np.where(same, overlap, -1.0), [None] * len(truth)
    judged = [{"verdict": KINDS[5], "tiou": 0.0, "other": None} for _ in predictions]
    for i in sorted(range(len(predictions)), key=lambda i: -score_of(predictions[i])) if len(truth) else ():
        j = int(free[i].argmax())
        right = free[i, j] >= tiou
        if right:
            found[j], free[:, j] = i, -1.0
        else:
            j = int(((overlap[i] == overlap[i].max()) * (1 + same[i])).argmax())
        kind = 0 if right else 5 if overlap[i, j] < low else (1 if overlap[i, j] >= tiou else 3) + (not same[i, j])
        judged[i] = {"verdict": KINDS[kind], "tiou": float(overlap[i, j]), "other": j if overlap[i, j] > 0 else None}
    return judged, found


def judged(tracks: Mapping[str, Sequence[Mapping]], tiou: float = 0.5) -> dict[str, list[dict]]:
    """The tracks, truth first, each record with `score`, `row` in its lane and its verdict as above.

    A ground truth gets `found`, {track: score of the prediction that finds it}, and "found" or "missed" as verdict.
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
        record |= {"verdict": "found" if hit else "missed", "tiou": None, "other": None, "found": hit}
    return done
