"""What a timeline shows of finished runs: segments, live mAP, pictures and a table of videos, as plain data.

Nothing here knows a widget: `timeline_view` returns the keywords of one.
"""

import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from losa.annotations.dataset import Video
from losa.errors import RunError, VideoError
from losa.evaluation.ap_by_score import ap_table, counted
from losa.evaluation.average_precision import evaluate
from losa.evaluation.diagnose import diagnose
from losa.evaluation.mismatch import MismatchWarning
from losa.evaluation.protocols import find_protocol
from losa.evaluation.records import Records
from losa.inference.postprocess import suppress
from losa.inference.video_classifier import fuse, read_scores
from losa.inspection.run_data import RunData
from losa.video.probe import probe
from losa.video.reader import get_reader
from widgets.error_kinds import COUNTED, WRONG
from widgets.figures import run_colours

Number = int | float
TRUTH = "ground truth"  # name of the first track
PLAIN = "head_only"  # the mode of a baseline


# --- segments --------------------------------------------------------------------------------------------------------


def timeline_view(runs: Mapping[str, RunData], video_id: str, live: bool = True) -> dict:
    """Return the keywords of a timeline of one video: its ground truth and each run's predictions, with live mAP.

    live: add `rescore`, which applies non-maximum suppression anew; False for pages that have no Python. The video is
    None where its file is missing or is a longer file of which it is only a part. Ground truth is what counts by the
    first run's protocol and, where that protocol forgives detections on them, the ambiguous stretches. The head alone
    comes first, so that a run has the same side and colour in every view. Raises RunError where the runs were to find
    different actions.
    """
    names = list(runs)
    first = runs[names[0]]
    video = first.video(video_id)
    there = video.path is not None and video.path.is_file()
    truth = lambda run: counted(run.truth.get(video_id, []), first.config.protocol)  # noqa: E731
    forgiven = first.truth.get(video_id, []) if find_protocol(first.config.protocol).forgive else []
    tracks = {TRUTH: _records(truth(first) + [r for r in forgiven if r.get("ambiguous")])}
    for name, run in sorted(runs.items(), key=lambda pair: pair[1].config.mode != PLAIN):  # in this order otherwise
        run.video(video_id)
        if not _same_task(run, first, video_id, truth):
            raise RunError(f"{name} and {names[0]} were to find different actions in {video_id} and cannot share a "
                           "timeline; choose runs of the same annotations, both with or both without class_agnostic")
        tracks[name] = _records(run.predictions.get(video_id, []))
    fps = video.fps or (probe(video.path).fps if there else None)
    return {"video": str(video.path) if there and not video.start else None, "tracks": tracks,
            "duration": float(video.duration), "fps": None if fps is None else float(fps),
            "classes": list(first.classes), "title": f"{video_id}: {', '.join(names)}", "sigma": first.config.nms_sigma,
            "ap": {name: {"video": video_ap(run, video_id, run.predictions), "data": run.table}
                   for name, run in runs.items()},
            "rescore": {name: make_rescore(run) for name, run in runs.items() if live and run.raw} or None,
            "frames": make_pictures(video) if there else None,
            "video_id": video_id, "run_colours": choose_colours(runs)}


def choose_colours(runs: Mapping[str, RunData]) -> dict[str, str]:
    """Return the colour of each run by what it is: the head alone is grey, the first of the others, LoSA, is blue."""
    plain = [name for name, run in runs.items() if run.config.mode == PLAIN]
    colours = run_colours([*(plain[:1] or [""]), *(name for name in runs if name not in plain), *plain[1:]])
    return {name: colours[name] for name in runs}


def _same_task(run: RunData, other: RunData, video_id: str, truth: Callable) -> bool:
    """Tell whether both runs have the same classes and the same actions in this video, to half a second."""
    one, two = (sorted((r["label"], *r["segment"]) for r in truth(side)) for side in (run, other))
    return set(run.classes) == set(other.classes) and [r[0] for r in one] == [r[0] for r in two] and np.allclose(
        [r[1:] for r in one], [r[1:] for r in two], rtol=0, atol=0.5)


def _records(records: Iterable[dict]) -> list[dict]:
    """Return the records, each with a score: ground truth has 1."""
    return [{"score": 1.0, **record} for record in records]


def video_ap(run: RunData, video_id: str, predictions: Records) -> dict:
    """Return the `ap_table` of one video."""
    return ap_table({video_id: run.truth.get(video_id, [])}, {video_id: predictions.get(video_id, [])},
                    run.config.tiou, run.config.protocol)


def make_rescore(run: RunData) -> Callable:
    """Return f(sigma, video_id) -> {"records", "table"}: one video after soft-NMS with another sigma.

    With video_id None all videos are done and f returns {"table"}; progress(done, total) is called after each video.
    """
    def rescore(sigma: Number, video_id: str | None = None, progress: Callable | None = None) -> dict:
        chosen = list(run.videos) if video_id is None else [run.video(video_id).id]
        config, records = run.config.replace(nms_sigma=sigma, classifier=""), {}
        (raw, classes), scores = run.raw, _scores(run.config.classifier, run.labelled.classes)
        for done, name in enumerate(chosen, start=1):
            detections = suppress({name: raw[name]} if name in raw else {}, config, classes)
            if scores is not None:
                detections = fuse(detections, scores, config.classifier_topk, config.classifier_fusion)
            records |= detections
            if progress is not None:
                progress(done, len(chosen))
        if video_id is None:
            return {"table": ap_table(run.truth, records, config.tiou, config.protocol)}
        return {"records": _records(records.get(video_id, [])), "table": video_ap(run, video_id, records)}

    return rescore


@lru_cache(maxsize=2)
def _scores(path: str, classes: tuple[str, ...]):
    return read_scores(path, classes) if path else None


def make_pictures(video: Video) -> Callable:
    """Return f(times in seconds of the video) -> its `frames` as JPEG bytes; an empty list for a damaged file."""
    def pictures(times_s: Sequence[Number]) -> list[bytes]:
        try:
            return frames(video.path, [video.start + t for t in times_s])
        except VideoError:
            return []

    return pictures


def frames(path: str | Path, times_s: Sequence[Number], height: int = 96) -> list[bytes]:
    """Return a JPEG, `height` pixels high, of what a video file shows at each of these times (seconds)."""
    reader, pictures = get_reader(str(path)), []
    starts = reader.timestamps
    for time_s in times_s:
        index = int(np.clip(np.searchsorted(starts, time_s + 1e-6, side="right") - 1, 0, len(starts) - 1))
        picture = Image.fromarray(reader.read([index])[0].numpy())
        out = io.BytesIO()
        picture.resize((max(1, round(picture.width * height / picture.height)), height)).save(out, "JPEG", quality=80)
        pictures.append(out.getvalue())
    return pictures


def video_table(run: RunData, tiou: Number = 0.5, min_score: Number = 0.25) -> pd.DataFrame:
    """Return a row per test video: video, duration (s), num_truth, average_map, missed, wrong, a count per verdict.

    All of it is of predictions with at least `min_score`, as a timeline shows them; average_map is NaN for a video
    without an instance.
    """
    diagnosis = diagnose(run.truth, run.predictions, tiou, run.config.protocol, thresholds=(tiou,), min_score=min_score,
                         top=1)
    rows = []
    for name, video in run.videos.items():
        truth = {name: run.truth.get(name, [])}
        given = {name: [r for r in run.predictions.get(name, []) if r["score"] >= min_score]}
        clear = counted(truth[name], run.config.protocol)
        counts = Counter(diagnosis["predictions"].get(name, {"verdict": ()})["verdict"])
        with warnings.catch_warnings(action="ignore", category=MismatchWarning):  # one video may well lack its labels
            found = evaluate(truth, given, tuple(run.config.tiou), run.config.protocol) if clear else None
        rows.append({"video": name, "duration": float(video.duration), "num_truth": len(clear),
                     "average_map": found.average_map if found else np.nan,
                     "missed": diagnosis["truth"].get(name, {"verdict": []})["verdict"].count("missed"),
                     "wrong": sum(counts[kind] for kind in WRONG)}
                    | {kind.value: counts[kind] for kind in COUNTED})
    return pd.DataFrame(rows)
