"""Why each prediction of one video is right or wrong, in DETAD's kinds; for whole data sets see `losa.diagnose`."""

from collections.abc import Mapping, Sequence

import numpy as np

from widgets.figures import score_of

KINDS = ("true positive", "double detection", "wrong label", "localisation", "confusion", "background")


def tious(predictions: Sequence[Mapping], truth: Sequence[Mapping]) -> np.ndarray:
    """tIoU of every prediction with every ground truth, (P, G); 0 where both have no length."""
    a, b = (np.array([r["segment"] for r in records], float).reshape(-1, 2) for records in (predictions, truth))
    inter = np.clip(np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0]), 0, None)
    union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def verdicts(truth: Sequence[Mapping], predictions: Sequence[Mapping], tiou: float = 0.5,
             low: float = 0.1) -> tuple[list[dict], list[int | None]]:
    """({"verdict", "tiou", "other"} per prediction, for each ground truth the prediction that finds it or None).

    By falling score each takes the free ground truth of its label with the highest tIoU >= `tiou`. What is left over
    is judged by `other`, the ground truth of highest tIoU (None: touches none; of equal ones one of its label first).
    What a prediction gets does not depend on those with lower scores: any score threshold keeps it.
    """
    overlap, num = tious(predictions, truth), len(truth)
    same = np.array([[p["label"] == t["label"] for t in truth] for p in predictions], bool).reshape(-1, num)
    found, judged = [None] * num, [{"verdict": KINDS[5], "tiou": 0.0, "other": None} for _ in predictions]
    for i in sorted(range(len(predictions)), key=lambda i: -score_of(predictions[i])) if num else ():
        free = np.where([f is None for f in found] & same[i], overlap[i], -1.0)
        j, right = int(free.argmax()), bool(free.max() >= tiou)
        if right:
            found[j] = i
        else:
            j = int(((overlap[i] == overlap[i].max()) * (1 + same[i])).argmax())
        kind = 0 if right else 5 if overlap[i, j] < low else (1 if overlap[i, j] >= tiou else 3) + (not same[i, j])
        judged[i] = {"verdict": KINDS[kind], "tiou": float(overlap[i, j]), "other": j if overlap[i, j] > 0 else None}
    return judged, found
