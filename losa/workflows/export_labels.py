"""Gather labels or predictions, with what their video files say, and write them for another tool."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from losa.annotations.export import export
from losa.annotations.resolve import find_entry, index_folder
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.evaluation.records import looks_like_predictions, read_predictions
from losa.files import read_object
from losa.label_files.rows import Item, Labelled, VideoFile
from losa.label_files.sheet import Entry
from losa.label_files.source import AS_RECOGNISED, Reading
from losa.video.probe_pool import probe_many
from widgets.verdicts import verdicts

BY_ID = ("activitynet", "csv")  # formats of videos, all others are of files


def export_labels(source: str | Path, to: str, out: str | Path, videos: str | Path | None = None, subset: str = "",
                  min_score: int | float = 0.0, reading: Reading = AS_RECOGNISED) -> list[Path]:
    """Write annotations or predictions in the format of another tool, and return the files.

    source: any label file that `read_layout` knows, predictions (JSON or CSV), or the folder of a run or of `losa
    predict`, whose predictions are meant. to: a name of `losa.annotations.export.WRITERS`. out: folder. videos: folder
    of the videos, for names, lengths and frame rates; without it files are where the annotations say. subset: of
    annotations, only this one. min_score: leave out predictions below it, with a warning that counts them.
    Raises AnnotationError or EvaluationError where the source cannot be read, or nothing is left to write.
    """
    path = Path(source)
    path = path / "predictions.json" if (path / "predictions.json").is_file() else path
    scores: dict[str, list] = {}
    if path.is_file() and looks_like_predictions(path):
        entries, scores, path = *_predicted(path, min_score), _annotations_of(path)
        entries = _as_annotated(entries, path)
    else:
        entries = read_layout(path, reading=reading, videos=videos)[0]
    subsets = sorted({entry.subset for entry in entries})
    if subset and subsets == [""] and scores:
        raise AnnotationError(f"{source}: --subset {subset}: predictions have no subsets; leave it out")
    if subset and subset not in subsets:
        raise AnnotationError(f"{source}: there is no subset {subset!r}; there are {', '.join(map(repr, subsets))}")
    entries = [entry for entry in entries if subset in ("", entry.subset)]
    if not any(entry.instances for entry in entries):
        raise AnnotationError(f"{source}: holds no instance to write"
                              + (f" of score {min_score} or more; lower --min-score" if scores else ""))
    described = describe_files(entries, scores, path, None if videos is None else Path(videos), to not in BY_ID)
    described = [video if video.fps else video._replace(fps=reading.fps) for video in described]
    if scores and to == "fiftyone":
        described = add_truth(described, path)
    return export(described, to, Path(out))


def _predicted(path: Path, min_score: int | float) -> tuple[list[Entry], dict[str, list]]:
    """Return the predictions of a file as entries, and {video: the score of each}."""
    entries, scores, dropped = [], {}, 0
    for video, items in read_predictions(path).items():
        kept = [item for item in items if item["score"] >= min_score]
        dropped += len(items) - len(kept)
        entries.append(Entry(video, "", [(item["label"], *item["segment"]) for item in kept]))
        scores[video] = [item["score"] for item in kept]
    if dropped:
        warnings.warn(f"{path}: {dropped} of {dropped + sum(map(len, scores.values()))} predictions have a score below "
                      f"{min_score} and are not written (--min-score)", stacklevel=3)
    return entries, scores


def add_truth(videos: Sequence[Labelled], annotations: Path) -> list[Labelled]:
    """Return the videos of predictions with the ground truth of the run's annotations, each prediction judged by it.

    The verdicts are those of the timelines: at tIoU 0.5, see `widgets.verdicts`. Without annotations, as they are.
    """
    try:
        known = {entry.id: entry for entry in scan(annotations).entries}
    except AnnotationError:
        return list(videos)  # predictions without a run
    return [judge(video, known[video.id]) if video.id in known else video for video in videos]


def judge(video: Labelled, entry: Entry) -> Labelled:
    """Return the video with the instances of its entry as its ground truth, and with a verdict on each prediction."""
    truth = [Item(label, start + entry.start, end + entry.start) for label, start, end in entry.instances]
    as_records = lambda items: [{"segment": [i.start, i.end], "label": i.label, "score": i.score or 0.0}  # noqa: E731
                                for i in items]
    found, _ = verdicts(as_records(truth), as_records(video.items))
    items = [item._replace(verdict=each["verdict"], tiou=round(each["tiou"], 4))
             for item, each in zip(video.items, found, strict=True)]
    return video._replace(items=items, truth=truth)


def _annotations_of(predictions: Path) -> Path:
    """Return the annotations of the run that predictions lie in; the predictions' own path where there is none."""
    stated = read_object(predictions.with_name("config.json")).get("annotations")
    return Path(stated) if isinstance(stated, str) and Path(stated).is_file() else predictions


def _as_annotated(entries: list[Entry], annotations: Path) -> list[Entry]:
    """Return the entries with the file and length that the run's annotations give for their videos."""
    try:
        known = {entry.id: entry for entry in scan(annotations).entries}
    except AnnotationError:
        return entries  # predictions without a run
    return [replace(known[entry.id], instances=entry.instances) if entry.id in known else entry for entry in entries]


def describe_files(entries: Sequence[Entry], scores: dict[str, list], source: Path, videos: Path | None,
                   by_file: bool = True) -> list[Labelled]:
    """Return the entries as they are written, with the name, length and frame rate of their files where there are any.

    Files are looked for in `videos`, else beside `source`, where the entries say they are. by_file: times count from
    the start of the file, also where a video is a stretch of one.
    """
    find = None if videos is None else index_folder(videos)
    files: dict[str, Path] = {}
    for entry in entries:
        stated = source.parent / entry.name if entry.name else None
        found = find_entry(entry, source, videos, find) if find and videos else [stated] if stated else []
        if len(found) == 1 and found[0].is_file():
            files[entry.id] = found[0]
    infos, _ = probe_many(files.values())
    described = []
    for entry in entries:
        path, shift = files.get(entry.id), entry.start if by_file else 0
        info = infos.get(path) if path else None
        duration = info.duration if info and (entry.whole or by_file) else entry.duration
        listed = scores.get(entry.id) or [None] * len(entry.instances)
        items = [Item(label, start + shift, end + shift, score)
                 for (label, start, end), score in zip(entry.instances, listed, strict=True)]
        described.append(Labelled(entry.id, items, entry.subset, path.name if path else entry.name, duration,
                                  float(info.fps) if info else entry.fps,
                                  info and VideoFile(info.path, info.width, info.height, info.num_frames)))
    return described
