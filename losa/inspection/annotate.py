"""Label a video, or correct the labels of one, in a timeline; save them as a new annotation file."""

import copy
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from losa.annotations.resolve import locate
from losa.annotations.scan import read_layout
from losa.errors import AnnotationError, RunError
from losa.files import read_object, write_json, write_text
from losa.inspection.run_data import RunData
from losa.inspection.timeline_data import TRUTH, frames, timeline_view
from losa.video.probe import probe
from widgets.annotate import Annotate
from widgets.base import plain_json

LANE, LOG = "labels", ".changes.jsonl"  # the lane of a video alone; what the list of changes adds to a name
Records = Sequence[Mapping]


def annotate(source: RunData | str | Path, video_id: str = "", *, labels: str | Path | Records | None = None,
             classes: Sequence[str] = (), predictions: Mapping[str, Records] | Records | None = None,
             min_score: int | float = 0.25) -> Annotate:
    """Return a timeline of one video in which its labels can be made and corrected by keys and mouse.

    source: a video file; or an open run, whose ground truth of the test video `video_id` is edited and whose
    predictions can be accepted. labels: of a video file, an annotation file in any format that `load_annotations`
    reads, in which the video is called `video_id` (by default as its file), or records {"segment": [start, end] in
    seconds, "label"}. classes: labels to choose from beside those that there are; more can be typed. predictions: of a
    video file, records with a "score", or several lists by their names, to accept from. min_score: predictions below it
    are hidden at first.

    `save()` of what is returned, and its button Save, write a new JSON in ActivityNet's layout, which keeps durations,
    rates and the order of classes, and beside it a list of the changes; never the source. Raises AnnotationError and
    RunError for what is not there, VideoError for a file that is no video.
    """
    if isinstance(source, RunData):
        if labels is not None or predictions is not None:
            raise RunError("a run has its labels and predictions; labels= and predictions= are of a video file")
        given, file, document = _of_run(source, video_id)
    else:
        given, file, document = _of_video(Path(source), video_id, labels, predictions)
    listed = [*document.get("classes", []), *given["classes"], *classes]
    given |= {"classes": list(dict.fromkeys(listed)), "document": document, "min_score": float(min_score)}
    return Annotate(**given, write=lambda done, changes, path: write_labels(done, changes, path, file))


def _of_run(run: RunData, video_id: str) -> tuple[dict, Path, dict]:
    view, file = timeline_view({run.name: run}, video_id, live=False), Path(run.config.annotations)
    document = read_document(file)
    if video_id not in document["database"]:
        raise RunError(f"{file} has no video {video_id!r} any more; open the run anew")
    tracks = {TRUTH: document["database"][video_id]["annotations"], run.name: view["tracks"][run.name]}
    agnostic = run.config.class_agnostic and not run.config.classifier  # predictions without classes: none is right
    given = {name: view[name] for name in ("video", "duration", "fps", "frames", "video_id")}
    return given | {"tracks": tracks, "title": f"{video_id}: {run.name}", "has_truth": not agnostic,
                    "classes": list(run.labelled.classes)}, file, document


def _of_video(video: Path, video_id: str, labels: str | Path | Records | None,
              predictions: Mapping[str, Records] | Records | None) -> tuple[dict, Path, dict]:
    info, key = probe(video), video_id or video.stem
    facts = {"duration": float(info.duration), "fps": float(info.fps)}
    if isinstance(labels, str | Path):
        file, document = Path(labels), read_document(Path(labels), video.parent)
        if key not in document["database"]:
            raise AnnotationError(f"{file} has no video {key!r}; give video_id=, one of its {len(document['database'])}"
                                  f": {', '.join([*document['database']][:5])}, ...")
        entry = document["database"][key]
        document["database"][key] = {**facts, **entry}
    else:
        file = video.with_name(f"{video.stem}_labels.json")
        mine = plain_json(list(labels or ()), decimals=12)
        entry = {"subset": "all", **facts, "path": video.name, "annotations": mine}
        document = {"version": "losa", "classes": [], "database": {key: entry}}
    lanes = predictions if isinstance(predictions, Mapping) else {"predictions": predictions} if predictions else {}
    tracks = {LANE: entry["annotations"], **{name: list(records) for name, records in lanes.items()}}
    return {"video": str(video), "duration": facts["duration"], "fps": facts["fps"], "tracks": tracks, "title": key,
            "has_truth": bool(lanes and entry["annotations"]), "video_id": key, "classes": [],
            "frames": lambda times_s: frames(video, times_s)}, file, document


def read_document(path: Path, videos: Path | None = None) -> dict:
    """Read an annotation file as ActivityNet's layout: as it is where it has that, else made of what was read.

    videos: folder in which the files of videos are looked for that state no duration. Raises AnnotationError.
    """
    document = read_object(path) if path.is_file() else {}
    database = document.get("database")
    if isinstance(database, dict) and all(_is_plain(video) for video in database.values()):
        for video in database.values():
            video.setdefault("annotations", [])
        return document
    entries, listed = read_layout(path, videos=videos)
    entries, _ = locate(entries, path, videos)
    names = listed or sorted({label for entry in entries for label, *_ in entry.instances})
    return {"version": "losa", "classes": list(names), "database": {entry.id: _entry(entry, path) for entry in entries}}


def _is_plain(video: object) -> bool:
    items = video.get("annotations", []) if isinstance(video, dict) else None
    return isinstance(items, list) and all(
        isinstance(item, dict) and isinstance(item.get("label"), str) and isinstance(item.get("segment"), list)
        and len(item["segment"]) == 2 and all(type(time) in (int, float) for time in item["segment"]) for item in items)


def _entry(entry, path: Path) -> dict:
    """Return what was read of a video, as it stands in a database."""
    file = None if entry.path is None else Path(os.path.relpath(entry.path, path.parent)).as_posix()
    facts = {"duration": entry.duration, "fps": entry.fps, "path": file, "start": entry.start or None}
    return {"subset": entry.subset, **{name: value for name, value in facts.items() if value is not None},
            "annotations": [{"label": label, "segment": [float(start), float(end)]}
                            for label, start, end in entry.instances]}


def write_labels(document: Mapping, changes: Sequence[Mapping], path: str | Path | None, source: Path) -> Path:
    """Write an annotation file and, beside it, a JSON line for each change; return the path of the first.

    path: a name that is free. None: one beside `source`, with a number where it is taken. Raises AnnotationError for a
    name that exists, or that does not end in .json.
    """
    target = free_name(source) if path is None else Path(path)
    log = target.with_name(f"{target.name}{LOG}")
    if taken := next((one for one in (target, log) if one.exists()), None):
        raise AnnotationError(f"{taken} exists, and nothing is written over; give another name, or none")
    if target.suffix.lower() != ".json":
        raise AnnotationError(f"{target}: expected a name that ends in .json, the format that is written")
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [{**change, "at": datetime.fromtimestamp(change["at"], UTC).isoformat(timespec="milliseconds")}
             if "at" in change else change for change in changes]
    write_text(log, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))
    return write_json(target, moved(document, source.parent, target.parent))


def free_name(source: Path) -> Path:
    """Return the first of labels_edited.json, labels_edited_2.json, ... beside labels.csv that nothing has."""
    stem = source.stem if source.stem.endswith("_labels") else f"{source.stem}_edited"
    names = (f"{stem}{f'_{number}' if number > 1 else ''}.json" for number in count(1))
    return next(source.with_name(name) for name in names
                if not any(source.with_name(f"{name}{more}").exists() for more in ("", LOG)))


def moved(document: Mapping, old: Path, new: Path) -> dict:
    """Return the annotation file with the relative paths of its videos counted from another folder."""
    document = copy.deepcopy(dict(document))
    if old.resolve() != new.resolve():
        for video in document["database"].values():
            if isinstance(video.get("path"), str) and not Path(video["path"]).is_absolute():
                video["path"] = Path(os.path.relpath((old / video["path"]).resolve(), new.resolve())).as_posix()
                document["version"] = "losa"  # only in a file of ours may a path lead out of its folder
    return document
