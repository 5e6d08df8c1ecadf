"""Write predictions of videos: JSON, CSV, subtitles and a page."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from losa.evaluation.card import describe_method, versions
from losa.evaluation.published import UNKNOWN
from losa.files import write_text
from losa.formats.cues import srt, vtt
from losa.reports.score_notes import find_best
from losa.reports.videos_page import own_page
from losa.segments import write_predictions
from losa.video.folder import readable
from losa.workflows.detector import Detector

Number = int | float
MOST_NAME = 200  # bytes of a subtitle's file name


def write_all(out: Path, finished: Mapping[str, dict], failed: Mapping[str, str], detector: Detector, run: Path,
              min_score: Number) -> None:
    """Write JSON, CSV, subtitles and the page of the finished videos, and failed.csv where there are others."""
    failed = {readable(path): why for path, why in failed.items()}
    (out / "failed.csv").unlink(missing_ok=True)
    if failed:
        write_text(out / "failed.csv", as_csv([("path", "why"), *failed.items()]))
    if not finished:
        return
    results = {name: video["records"] for name, video in finished.items()}
    made = {"card": own_card(detector, finished), "run": str(run), "config": detector.config.to_dict(),
            "failed": failed}
    write_predictions(out / "predictions.json", results, made)
    rows = [(name, f"{r['segment'][0]:.3f}", f"{r['segment'][1]:.3f}", r["label"], f"{r['score']:.4f}")
            for name, records in results.items() for r in records]
    write_text(out / "predictions.csv", as_csv([("video", "start", "end", "label", "score"), *rows]))
    for name, records in results.items():
        for ending, text in ((".srt", srt), (".vtt", vtt)):
            path = subtitle_path(out, name, ending)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text(records, min_score=min_score))
    videos = [{"id": name, "path": video["path"], "duration": video["duration"], "records": video["records"]}
              for name, video in finished.items()]
    names = ("predictions.csv", "predictions.json", "subtitles", *(["failed.csv"] if failed else []))
    own_page(out / "index.html", videos, classes=detector.classes, failed=failed, min_score=min_score,
             made_by=str(run), files=names)


def own_card(detector: Detector, finished: Mapping[str, dict]) -> dict:
    """Return the protocol card of predictions that were not evaluated; `losa evaluate` adds what it finds out."""
    decoders = dict(Counter(video["decode"] for video in finished.values()))
    known = describe_method(detector.config.to_dict(), decode=decoders)
    known["input"]["weights_sha256"] = detector.live.recipe.weights
    return {"test_set": {"name": "none", "subset": "own", "num_videos": len(finished), "num_instances": UNKNOWN,
                         "left_out": [], "annotations": UNKNOWN, "sha256": UNKNOWN},
            "ap": {"style": UNKNOWN, "tiou": UNKNOWN}, **known, "selection": "last epoch, EMA weights",
            "versions": versions()}


def subtitle_path(out: Path, name: str, ending: str) -> Path:
    """Return the path of a video's subtitles: in the same sub-folder, with a name short enough for any disk."""
    path = out / "subtitles" / name
    if len(path.name.encode()) > MOST_NAME:
        short = path.name.encode()[:MOST_NAME].decode(errors="ignore")
        path = path.with_name(f"{short}~{hashlib.sha256(name.encode()).hexdigest()[:8]}")
    return path.with_name(path.name + ending)


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def counts(video: Mapping, min_score: Number) -> dict[str, int | float | None]:
    """Count the segments of a video, all of them and those that subtitles and page show; and find the best score."""
    scores = [r["score"] for r in video["records"]]
    return {"num_segments": len(scores), "num_shown": sum(score >= min_score for score in scores),
            "best_score": find_best(video["records"])}
