"""Read class scores of whole videos from an external classifier, and give segments their classes from them.

ActivityNet's published numbers come from a localiser that knows no classes times a classifier of whole videos
(CUHK's, top two). Both ways to multiply are here; which one was used belongs on the card beside the number.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from losa.errors import ClassifierError

MOST_SCORES = 100_000_000  # videos times classes that fit into memory; ActivityNet-1.3 has 4 million


@dataclass(frozen=True)
class VideoScores:
    """scores[video] (A,) float64 in 0..1, one per name of `classes`; `path` is where they came from."""

    classes: tuple[str, ...]
    scores: dict[str, np.ndarray]
    path: str = ""

    def of(self, video_id: str) -> np.ndarray | None:
        """Return the scores of a video; "v_" in front of an id makes no difference. None where there are none."""
        bare = video_id.removeprefix("v_")
        return next((self.scores[key] for key in (video_id, bare, f"v_{bare}") if key in self.scores), None)


def read_scores(path: str | Path, classes: Sequence[str] = ()) -> VideoScores:
    """Read the scores of a JSON file: {"class": [names], "results": {video: [scores]}} as CUHK's, ActionFormer's and
    OpenTAD's, or {video: {label: score}}, where a label not named has 0.

    classes: those of the data set; a label of the file that is not among them is an error.

    Raises ClassifierError for another file, a score that is no number in 0..1, or an unknown label.
    """
    content = _read(Path(path))
    if isinstance(content.get("results"), dict):
        names = content.get("class", content.get("classes"))
        if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
            raise ClassifierError(f'{path}: has "results" but no "class": expected the list of class names, in the '
                                  "order of the scores.")  # fmt: skip
        rows = {video: _flat(row) for video, row in content["results"].items()}
    else:
        wrong = [f"{video}: {_short(row)}" for video, row in content.items() if not isinstance(row, dict)]
        if wrong or not content:
            _stop(path, wrong or ["it is empty"], "entries are no {label: score}", 'Expected {"class": [...], '
                  '"results": {video: [scores]}} or {video: {label: score}}.')  # fmt: skip
        names = list(dict.fromkeys(label for row in content.values() for label in row))
        if len(names) * len(content) > MOST_SCORES:
            raise ClassifierError(f"{path}: {len(names)} labels for {len(content)} videos; expected a few classes "
                                  "that the videos share.")  # fmt: skip
        rows = {video: [row.get(name, 0.0) for name in names] for video, row in content.items()}
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        _stop(path, twice, "classes are named more than once", "Keep one.")
    _check_names(path, names, classes)
    return VideoScores(tuple(names), _check_rows(path, rows, len(names)), str(path))


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ClassifierError(f"{path}: no such file; expected a JSON of video-level class scores.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ClassifierError(f"{path}: cannot be read as JSON ({str(error)[:200]}).") from error
    if not isinstance(content, dict):
        raise ClassifierError(f"{path}: holds a {type(content).__name__}; expected an object of videos.")
    return content


def _flat(row: object) -> object:
    """Return [[scores]], as some files have them, as [scores]."""
    return row[0] if isinstance(row, list) and len(row) == 1 and isinstance(row[0], list) else row


def _check_names(path: str | Path, names: Sequence[str], classes: Sequence[str]) -> None:
    unknown = [name for name in names if classes and name not in set(classes)]
    if unknown:
        near = {name: get_close_matches(name, classes, n=1) for name in unknown[:5]}
        listed = [f'"{name}"' + (f' (did you mean "{near[name][0]}"?)' if near.get(name) else "") for name in unknown]
        _stop(path, listed, "classes are not in the annotations", "Rename them in one of the two files.")


def _check_rows(path: str | Path, rows: dict[str, object], num_classes: int) -> dict[str, np.ndarray]:
    scores, wrong, outside = {}, [], []
    for video, row in rows.items():
        if not isinstance(row, list) or len(row) != num_classes or not all(type(x) in (int, float) for x in row):
            what = f"{len(row)} scores" if isinstance(row, list) and len(row) != num_classes else _short(row)
            wrong.append(f"{video}: {what}")
        elif not all(0 <= x <= 1 for x in row):  # nan is outside as well
            outside.append(f"{video}: {next(_short(x) for x in row if not 0 <= x <= 1)}")
        else:
            scores[video] = np.array(row, dtype=np.float64)
    if wrong:
        _stop(path, wrong, "videos do not have one number per class", f"Expected {num_classes} scores each.")
    if outside:
        _stop(path, outside, "videos have scores outside 0..1", "Expected probabilities: apply the softmax or "
              "sigmoid these were made for.")  # fmt: skip
    return scores


def _short(value: object) -> str:
    try:
        return json.dumps(value, default=str)[:60]
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a {type(value).__name__} too large to print"


def _stop(path: str | Path, items: Sequence[str], what: str, advice: str) -> NoReturn:
    more = f", ... and {len(items) - 5} more" if len(items) > 5 else ""
    raise ClassifierError(f"{path}: {len(items)} {what}: {', '.join(items[:5])}{more}. {advice}")


def fuse(
    records: dict[str, list[dict]],
    scores: VideoScores,
    topk: int = 2,
    how: Literal["sqrt", "product"] = "sqrt",
) -> dict[str, list[dict]]:
    """Return each segment once per class of the video's `topk` best, by falling score; its own label is dropped.

    The new score is segment score x class score ("product", OpenTAD's CUHK classifier) or its square root ("sqrt",
    ActionFormer: libs/utils/postprocessing.py). Comes after suppression, as in both. Of equal class scores the
    class named first wins.

    Raises ClassifierError where videos have no scores, or segments have negative ones.
    """
    if how not in ("sqrt", "product") or topk < 1:
        raise ClassifierError(f'fuse(topk={topk}, how="{how}"): expected topk >= 1 and how "sqrt" or "product".')
    lacking = [video for video in records if scores.of(video) is None]
    if lacking:
        _stop(scores.path or "the classifier", lacking, f"of {len(records)} videos have no scores",
              "Is it the right subset? Leave these videos out, or add their scores.")  # fmt: skip
    fused = {}
    for video, items in records.items():
        of_video = scores.of(video)
        best = (-of_video).argsort(kind="stable")[:topk]
        if any(item["score"] < 0 for item in items):
            raise ClassifierError(f"{video}: segments have negative scores; expected probabilities.")
        rows = [
            {**item, "label": scores.classes[a], "score": _fused(item["score"], float(of_video[a]), how)}
            for a in best
            for item in items
        ]
        fused[video] = sorted(rows, key=lambda row: -row["score"])
    return fused


def _fused(segment: float, label: float, how: str) -> float:
    return math.sqrt(segment * label) if how == "sqrt" else segment * label
