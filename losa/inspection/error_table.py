"""What a run got wrong, prediction by prediction, and what really happened there."""

import pandas as pd

from losa.evaluation.diagnose import diagnose
from losa.files import read_object
from losa.inspection.run_data import RunData
from widgets.figures import overlap

Number = int | float
COLUMNS = ["video", "start", "end", "predicted", "score", "error", "really"]


def diagnose_run(run: RunData, min_score: Number = 0.25) -> dict:
    """Return DETAD's kinds of error of a run's predictions with at least `min_score`, see `diagnose`."""
    return diagnose(run.truth, run.predictions, protocol=run.config.protocol, thresholds=run.config.tiou,
                    min_score=min_score, durations={name: float(video.duration) for name, video in run.videos.items()})


def list_errors(run: RunData, min_score: Number = 0.25) -> pd.DataFrame:
    """Return a row per wrong prediction: video, start, end (seconds), predicted, score, error, really.

    really: the label of what happens there; in the embedded world also one of the movements that are no class
    ("fillers" in its annotations); else "nothing in particular".
    """
    database, rows = read_object(run.config.annotations).get("database", {}), []
    for video, judged in diagnose_run(run, min_score)["predictions"].items():
        fillers = database.get(video, {}).get("fillers", [])
        for record, verdict, nearest in zip(run.predictions[video], judged["verdict"], judged["other"], strict=True):
            if verdict in ("true positive", "left out"):
                continue
            if nearest is not None and verdict != "background":
                candidates = [run.truth[video][nearest]]
            else:
                candidates = sorted(fillers, key=lambda f: -overlap(f["segment"], record["segment"]))[:1]  # noqa: B023
            really = [r["label"] for r in candidates if overlap(r["segment"], record["segment"])]
            start, end = record["segment"]
            rows.append([video, start, end, record["label"], record["score"], verdict,
                         "".join(really) or "nothing in particular"])
    return pd.DataFrame(rows, columns=COLUMNS)
