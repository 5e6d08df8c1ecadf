"""What a run got wrong in tables: each wrong prediction and what really happened there, and every segment at all."""

import math
from collections.abc import Sequence

import pandas as pd

from losa.evaluation.diagnose import diagnose
from losa.files import read_object
from losa.inspection.run_data import RunData
from widgets.error_kinds import ErrorKind
from widgets.verdicts import overlap

Number = int | float
COLUMNS = ["video", "start", "end", "predicted", "score", "error", "really"]
SEGMENTS = ["video", "kind", "index", "start", "end", "predicted", "really", "score", "error"]
NOTHING = "nothing in particular"


def diagnose_run(run: RunData, min_score: Number = 0.25) -> dict:
    """Return DETAD's kinds of error of a run's predictions with at least `min_score`, see `diagnose`.

    Nothing is told by coverage where the truth names videos that the run's annotations do not have.
    """
    seconds = {name: float(video.duration) for name, video in run.videos.items()}
    return diagnose(run.truth, run.predictions, protocol=run.config.protocol, thresholds=run.config.tiou,
                    min_score=min_score, durations=seconds if {*seconds} >= {*run.truth} else None)


def list_errors(run: RunData, min_score: Number = 0.25) -> pd.DataFrame:
    """Return a row per wrong prediction: video, start, end (seconds), predicted, score, error, really.

    really: the label of what happens there; in the embedded world also one of the movements that are no class
    ("fillers" in its annotations); else "nothing in particular".
    """
    table = list_segments(run, min_score)
    wrong = (table.kind == "prediction") & ~table.error.isin([ErrorKind.TRUE_POSITIVE, ErrorKind.LEFT_OUT])
    return table[wrong][COLUMNS].reset_index(drop=True)


def list_segments(run: RunData, min_score: Number = 0.25, diagnosis: dict | None = None) -> pd.DataFrame:
    """Return a row per prediction with at least `min_score` and per ground truth that counts, video after video.

    video; kind: "prediction" or "truth"; index: in the run's list; start, end (s); predicted: its label, that of the
    prediction that found a ground truth, "" of a missed one; really: as in `list_errors`; score: NaN of ground truth;
    error: a kind of error, "left out", "found" or "missed". diagnosis: of `diagnose_run`, where there is one already.
    """
    database, rows = read_object(run.config.annotations).get("database", {}), []
    found = diagnosis or diagnose_run(run, min_score)
    for video, judged in found["predictions"].items():
        fillers, truth = database.get(video, {}).get("fillers", []), run.truth.get(video, [])
        for i, (record, verdict, nearest) in enumerate(zip(run.predictions[video], judged["verdict"], judged["other"],
                                                           strict=True)):
            if record["score"] >= min_score:
                really = _really(record, verdict, None if nearest is None else truth[nearest], fillers)
                rows.append([video, "prediction", i, *record["segment"], record["label"], really, record["score"],
                             verdict])
        rows += _truth_rows(run, video, found)
    for video in found["truth"].keys() - found["predictions"].keys():
        rows += _truth_rows(run, video, found)
    return pd.DataFrame(rows, columns=SEGMENTS).astype({"start": float, "end": float, "score": float})


def _truth_rows(run: RunData, video: str, diagnosis: dict) -> list[list]:
    """Return the rows of a video's ground truth."""
    verdicts = diagnosis["truth"].get(video, {"verdict": []})["verdict"]
    return [[video, "truth", i, *record["segment"], record["label"] if verdict == "found" else "", record["label"],
             math.nan, verdict] for i, (record, verdict) in enumerate(zip(run.truth.get(video, []), verdicts,
                                                                          strict=True)) if verdict != "left out"]


def _really(record: dict, verdict: str, nearest: dict | None, fillers: list[dict]) -> str:
    """Return the label of what happens where a prediction is."""
    if nearest is not None and verdict != ErrorKind.BACKGROUND:
        return nearest["label"] if overlap(nearest["segment"], record["segment"]) else NOTHING
    best = find_most_overlapping(record["segment"], fillers)
    return best["label"] if best else NOTHING


def find_most_overlapping(segment: Sequence[Number], records: Sequence[dict]) -> dict | None:
    """Return the record that overlaps a segment most, the first of equal ones; None where none does."""
    best = max(records, key=lambda record: overlap(record["segment"], segment), default=None)
    return best if best and overlap(best["segment"], segment) else None
