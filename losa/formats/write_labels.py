"""Write instances or predictions as CSV and as ActivityNet's JSON, so that they read back the same."""

import csv
import io
import json
from collections.abc import Sequence

from losa.errors import AnnotationError
from losa.label_files.cells import without_suffix
from losa.label_files.rows import Labelled

DIGITS = 6  # of seconds


def write_csv(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {"labels.csv": text}, with columns video, label, start, end, subset, and score where items have one.

    A video without items is a row with only its name. The name is that of its file where this is the id with an ending;
    of predictions the id, as `losa evaluate` compares it with the ground truth's.
    """
    scored = any(item.score is not None for video in videos for item in video.items)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["video", "label", "start", "end", "subset", *(["score"] if scored else [])])
    for video in videos:
        name = video.file if video.file and not scored and without_suffix(video.file) == video.id else video.id
        for label, start, end, score, *_ in video.items or [(None, None, None, None)]:
            row = [name, label, _rounded(start), _rounded(end), video.subset]
            table.writerow(row + ([_rounded(score)] if scored else []))
    return {"labels.csv": text.getvalue()}


def write_activitynet(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {"annotations.json": text} of {"database": ...}, or {"predictions.json": ...} of {"results": ...}.

    Predictions are written where items have scores. Raises AnnotationError where some have one and some do not.
    """
    items = [(video.id, item) for video in videos for item in video.items]
    without = [(key, item) for key, item in items if item.score is None]
    if len(without) == len(items):
        database = {video.id: _video(video) for video in videos}
        return {"annotations.json": _json({"version": "1.0", "database": database})}
    if without:
        key, item = without[0]
        raise AnnotationError(f"{len(without)} of {len(items)} items have no score: {key}: {item.label!r} [{item.start}"
                              f", {item.end}]; expected a score for all of them (predictions) or for none (labels)")
    results = {video.id: [_instance(*item[:3]) | {"score": item.score} for item in video.items] for video in videos}
    return {"predictions.json": _json({"version": "1.0", "results": results, "external_data": {}})}


def _video(video: Labelled) -> dict:
    facts = {"duration": _rounded(video.duration), "fps": video.fps}
    return {"subset": video.subset or "all", **{name: value for name, value in facts.items() if value is not None},
            "annotations": [_instance(*item[:3]) for item in video.items]}


def _instance(label: str, start: int | float, end: int | float) -> dict:
    return {"label": label, "segment": [_rounded(start), _rounded(end)]}


def _rounded(number: int | float | None) -> int | float | None:
    return None if number is None else round(float(number), DIGITS)


def _json(content: dict) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
