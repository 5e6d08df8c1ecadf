"""What the table of segments and the form for tags show of a run, as keywords of widgets; and why there is nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from losa.errors import VideoError
from losa.evaluation.ap_by_score import counted
from losa.inspection.error_table import list_segments
from losa.inspection.run_data import RunData
from losa.inspection.similar_moments import find_doubts, find_similar, name_features
from losa.inspection.timeline_data import frames

if TYPE_CHECKING:
    import pandas as pd

Number = int | float
MOST_SIMILAR = 24  # rows of the list of similar moments


def segments_view(run: RunData, min_score: Number = 0.25, diagnosis: dict | None = None) -> dict:
    """Return the keywords of the Segments widget: predictions with at least `min_score` and all ground truth.

    Similar moments are looked up when they are asked for, in cached features only.
    """
    return {"rows": as_columns(list_segments(run, min_score, diagnosis)), "classes": run.classes,
            "frames": segment_pictures(run), "title": run.name, "taps": name_features(run),
            "note": why_nothing(run, min_score, diagnosis),
            "similar": lambda video, kind, index, tap: as_columns(
                find_similar(run, video, kind, index, k=MOST_SIMILAR, tap=tap)),
            "doubts": lambda tap: as_columns(find_doubts(run, tap=tap))}


def as_columns(table: "pd.DataFrame") -> dict[str, list]:
    """Return a table of segments as lists, None for what is not a number."""
    return {name: [None if value != value else value for value in table[name].tolist()] for name in table.columns}


def segment_pictures(run: RunData) -> Callable | None:
    """Return f(video, times in seconds) -> JPEG bytes of any video of the run's annotations; None if none has a file.
    """
    videos = {video.id: video for video in (*run.labelled.videos, *run.videos.values())}
    if not any(video.path for video in videos.values()):
        return None

    def show(name: str, times_s: Sequence[Number]) -> list[bytes]:
        video = videos[name]
        if video.path is None or not video.path.is_file():
            raise VideoError(video.path or name, "is not there; was it moved?")
        last = max(float(video.duration) - 0.05, 0.0)
        return frames(video.path, [video.start + min(time_s, last) for time_s in times_s])

    return show


def why_nothing(run: RunData, min_score: Number, diagnosis: Mapping | None = None) -> str:
    """Return in a line why there is no error to see and what to do; "" where there is one."""
    scores = [record["score"] for records in run.predictions.values() for record in records]
    if not any(counted(records, run.config.protocol) for records in run.truth.values()):
        return (f"The test videos of {run.name} have no ground truth, so nothing can be right or wrong: choose a run "
                "whose test subset is labelled, or test this one on another subset with `losa test`.")
    if not scores:
        return f"{run.name} predicted nothing at all: train it longer, or lower pre_nms_score and test it anew."
    if max(scores) < min_score:
        return (f"No prediction of {run.name} scores {min_score:g} or more, the best {max(scores):.3f}: lower the "
                "score under the timeline.")
    if diagnosis is not None and not sum(diagnosis["counts"][kind] for kind in diagnosis["counts"]
                                         if kind not in ("true positive", "left out", "found")):
        return (f"No error among the predictions of {run.name} that score {min_score:g} or more: lower the score under "
                "the timeline, or choose a harder run.")
    return ""
