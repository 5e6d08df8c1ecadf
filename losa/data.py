"""Which videos there are and what happens in them: annotation files in, checked `Video` records out.

Every check stops with one AnnotationError that lists what is wrong, or announces by `warnings.warn`, with a count,
what it changed: segments clipped to their video, instances of zero length dropped, files left out. The layouts of
those files are read in `losa.layouts`.
"""

import csv
import json
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from jaxtyping import Float64, Int64
from tqdm.auto import tqdm

from losa.layouts import (
    VIDEO_SUFFIXES,
    AnnotationError,
    Entry,
    announce,
    read_csv,
    read_json,
    read_ranges,
    stop,
)
from losa.video import VideoError, VideoInfo, probe

ROUNDING = 1e-3  # seconds by which a segment may pass the end of its video without a word: digits cut off


@dataclass(frozen=True, eq=False)
class Video:
    """One video, or the stretch of a file from `start` on; times in seconds, those of segments from `start`."""

    id: str
    subset: str
    path: Path | None  # None: annotations that were read without videos
    start: int | float
    duration: int | float  # of the stretch
    segments: Float64[np.ndarray, "M 2"]
    labels: Int64[np.ndarray, " M"]


@dataclass(frozen=True, eq=False)
class Annotations:
    """The names of the classes (a label is an index into them) and all videos."""

    classes: tuple[str, ...]
    videos: tuple[Video, ...]

    @property
    def subsets(self) -> dict[str, tuple[int, int]]:
        """Numbers of videos and of instances in every subset."""
        videos = Counter(video.subset for video in self.videos)
        instances = Counter(video.subset for video in self.videos for _ in video.labels)
        return {name: (videos[name], instances[name]) for name in sorted(videos)}

    def subset(self, name: str) -> tuple[Video, ...]:
        """The videos of one subset. AnnotationError where there is no such subset, or no instance in it."""
        there = self.subsets
        known = ", ".join(f"{key!r} ({v} videos, {i} instances)" for key, (v, i) in there.items())
        if name not in there:
            raise AnnotationError(f"there is no subset {name!r}{_nearest(name, there)} There are: {known}")
        if not there[name][1]:
            raise AnnotationError(f"subset {name!r} has {there[name][0]} videos but no ground truth: nothing can be "
                                  f"learnt or measured on it. There are: {known}")
        return tuple(video for video in self.videos if video.subset == name)


# --- ways in and out ------------------------------------------------------------------------------------------------


def load_annotations(path: str | Path, videos: str | Path | None = None, classes: Sequence[str] | None = None,
                     missing: Literal["error", "drop"] = "error") -> Annotations:
    """The checked content of an ActivityNet-layout JSON.

    {"database": {id: {"subset", "duration", "annotations": [{"label", "segment": [start, end]}]}}}; further keys of a
    video: "path" (relative to the JSON's folder) and "start" / "end" (the stretch of that file it is; its segments
    count from "start"). A top-level "classes" list fixes the labels' ids, else they are alphabetical.

    videos: folder to look for each video's file in, by its "path", id, or v_id; None takes "path", or no file.
    classes: the only allowed labels, in order of their ids.
    missing: what to do where a file is not there: stop, or drop those videos with a warning.
    """
    path = Path(path)
    entries, listed = read_json(path)
    names = _check_instances(entries, listed if classes is None else classes, path)
    return _finish(entries, names, path, None if videos is None else Path(videos), missing)


def load_csv(path: str | Path, videos_folder: str | Path) -> Annotations:
    """The checked content of a CSV with columns video, label, start, end (seconds) and, if you like, subset.

    `video` is a file in the folder, with or without its ending; a row with only a video is one without instances.
    """
    path = Path(path)
    entries = read_csv(path)
    return _finish(entries, _check_instances(entries, None, path), path, Path(videos_folder), "error")


def prepare(videos_folder: str | Path, annotations_file: str | Path, out: str | Path,
            ranges: str | Path | None = None, classes: Sequence[str] | None = None,
            split: tuple[float, ...] | None = None) -> Annotations:
    """Checks every file, writes `out`/annotations.json, and returns what is in it.

    Files that are missing or broken are left out, listed with their reasons in a warning and in `out`/skipped.csv.

    annotations_file: JSON or CSV, as `load_annotations` and `load_csv` read them.
    ranges: CSV with columns id, file, start, end and, if you like, subset; each row makes a video of its own from a
    stretch of a file (empty start or end: the file's). Files that it does not name stay whole.
    split: shares of train, val and test; every video gets one of them, whatever subset it had, the same each time.
    """
    if split is not None and (len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-6):
        raise ValueError(f"split={split}: expected three shares of train, val and test that add up to 1")
    source, out, folder = Path(annotations_file), Path(out), Path(videos_folder)
    entries, listed = (read_csv(source), None) if source.suffix.lower() == ".csv" else read_json(source)
    names = _check_instances(entries, listed if classes is None else classes, source)
    rows = [] if ranges is None else read_ranges(Path(ranges))
    entries, broken = _locate(entries, source, folder)
    infos = _probe_all([entry for entry in entries if entry.id not in broken], broken)
    reasons = [f"{key}: {why}" for key, why in broken.items()]
    if len(broken) == len(entries):
        stop(source, reasons, "videos, and not one can be used", f"Check the folder {folder}.")
    good = _clip(_measure([entry for entry in entries if entry.id not in broken], infos, source), source)
    if rows:
        lost = {name for entry in entries if entry.id in broken for name in (entry.id, entry.name)}
        good = _cut(good, [row for row in rows if row["file"] not in lost], Path(ranges), folder)
    annotations = _build(good, names, source)
    if split is not None:
        annotations = _split(annotations, split)
    out.mkdir(parents=True, exist_ok=True)
    save_annotations(annotations, out / "annotations.json")
    (out / "skipped.csv").unlink(missing_ok=True)
    if broken:
        with _replacing(out / "skipped.csv") as file:
            csv.writer(file).writerows([("video", "why"), *broken.items()])
        announce(source, reasons, f"of {len(entries)} videos left out (all are in {out / 'skipped.csv'})", show=20)
    return annotations


def _split(annotations: Annotations, shares: tuple[float, ...]) -> Annotations:
    """The same videos with subsets train, val, test by the order of a hash of their ids; none with a share is empty."""
    order = sorted(annotations.videos, key=lambda video: zlib.crc32(video.id.encode()))
    borders = [round(sum(shares[:i]) * len(order)) for i in range(4)]
    subsets = {video.id: name for name, first, last in zip(("train", "val", "test"), borders, borders[1:], strict=False)
               for video in order[first:last]}
    counts = Counter(subsets.values())
    lacking = [name for name, share in zip(("train", "val", "test"), shares, strict=True) if share and not counts[name]]
    if lacking:
        raise ValueError(f"{len(order)} videos are too few for split={shares}: {lacking} would be empty; "
                         f"give a subset column, or cut the files with ranges")
    return replace(annotations, videos=tuple(replace(v, subset=subsets[v.id]) for v in annotations.videos))


def save_annotations(annotations: Annotations, path: str | Path) -> Path:
    """`path`, after writing what `load_annotations` reads back the same; video paths relative to its folder."""
    path, database = Path(path), {}
    for video in annotations.videos:
        file = None if video.path is None else os.path.relpath(video.path.resolve(), path.parent.resolve())
        database[video.id] = {
            "subset": video.subset, "duration": float(video.duration),
            **({} if file is None else {"path": Path(file).as_posix()}),
            **({"start": float(video.start)} if video.start else {}),
            "annotations": [{"label": annotations.classes[label], "segment": segment} for segment, label
                            in zip(video.segments.tolist(), video.labels.tolist(), strict=True)],
        }  # fmt: skip
    with _replacing(path) as file:
        json.dump({"version": "losa", "classes": list(annotations.classes), "database": database}, file, indent=1,
                  ensure_ascii=False)
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """An open temporary file beside `path`, which takes its place at the end and goes if anything fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# --- checking -------------------------------------------------------------------------------------------------------


def _check_instances(entries: list[Entry], classes: Sequence[str] | None, source: Path) -> tuple[str, ...]:
    """The names of the classes; stops at labels that are not among them and at segments that end before they start."""
    labels = {label for entry in entries for label, _, _ in entry.instances}
    if not labels:
        raise AnnotationError(f"{source}: no ground truth: {len(entries)} videos, and no instance in any of them")
    names = tuple(sorted(labels) if classes is None else classes)
    if len(set(names)) < len(names):
        raise AnnotationError(f"{source}: a class is there more than once in {', '.join(names)}")
    wrong = []
    for entry in entries:
        for label, start, end in entry.instances:
            where = _where(entry, label, start, end)
            if label not in names:
                wrong.append(f"{where}: unknown label{_nearest(label, names)}")
            elif not label or label != label.strip():
                wrong.append(f"{where}: the label is empty or has spaces around it")
            if end < start:
                wrong.append(f"{where}: ends before it starts")
    if wrong:
        stop(source, wrong, "instances are wrong", f"Correct them. The {len(names)} classes: {', '.join(names)}")
    return names


def _finish(entries: list[Entry], names: tuple[str, ...], source: Path, folder: Path | None,
            missing: str) -> Annotations:
    entries, lost = _locate(entries, source, folder)
    reasons = [f"{key}: {why}" for key, why in lost.items()]
    if lost and (missing == "error" or len(lost) == len(entries)):
        stop(source, reasons, f"of {len(entries)} video files are missing", "Give the folder that holds them; or read "
             'the others alone: load_annotations(..., missing="drop"), or `losa prepare`.')
    if lost:
        announce(source, reasons, f"of {len(entries)} videos dropped, their files are missing")
    entries = [_with_duration(entry, source) for entry in entries if entry.id not in lost]
    return _build(_clip(entries, source), names, source)


def _locate(entries: list[Entry], source: Path, folder: Path | None) -> tuple[list[Entry], dict[str, str]]:
    """Entries with the path of their file, and {id: why} of those whose file is not there."""
    if folder is None:
        located = [replace(e, path=source.parent / e.name if e.name else None) for e in entries]
        return located, {e.id: f"no file {e.path}" for e in located if e.path and not e.path.is_file()}
    find, located, lost = _finder(folder), [], {}
    for entry in entries:
        found = find(entry.name or entry.id) or find(f"v_{entry.id}")
        if len(found) > 1:
            stop(folder, [str(path) for path in found], f"files could be the video {entry.id!r}", "Keep one.")
        if not found:
            lost[entry.id] = f"no file {entry.name or entry.id} in {folder}"
        located.append(replace(entry, path=found[0] if found else None))
    return located, lost


def _finder(folder: Path):
    """A function from a name to the files it may mean: a path in the folder, or a name with or without ending."""
    if not folder.is_dir():
        raise AnnotationError(f"{folder}: there is no such folder of videos")
    files = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            for key in {path.name, path.stem, inside.as_posix(), inside.with_suffix("").as_posix()}:
                files[key].append(path)
    return lambda name: [folder / name] if (folder / name).is_file() else files.get(name, [])


def _probe_all(entries: list[Entry], broken: dict[str, str]) -> dict[Path, VideoInfo]:
    """What `probe` says of every file; adds the ids of the unusable ones to `broken`, with the reason."""
    infos, whys = {}, {}
    for path in tqdm(dict.fromkeys(entry.path for entry in entries), desc="checking videos", unit="file"):
        try:
            infos[path] = probe(path)
        except VideoError as error:
            whys[path] = error.why
    broken.update({entry.id: whys[entry.path] for entry in entries if entry.path in whys})
    return infos


def _with_duration(entry: Entry, source: Path) -> Entry:
    if entry.duration is not None:
        return entry
    if entry.path is None:
        raise AnnotationError(f'{source}: {entry.id} has neither "duration" nor a video file; add one of them')
    return _measure([entry], {entry.path: probe(entry.path)}, source)[0]


def _measure(entries: list[Entry], infos: dict[Path, VideoInfo], source: Path) -> list[Entry]:
    """Entries with the duration that their file really has."""
    measured, differ, wrong = [], [], []
    for entry in entries:
        real = infos[entry.path].duration - entry.start
        stated = real if entry.duration is None else entry.duration
        duration = real if entry.whole else min(real, stated)
        if duration <= 0:
            wrong.append(f"{entry.id}: starts at {entry.start} s, its file ends at {real + entry.start:.2f} s")
        if abs(stated - duration) > max(0.5, 0.01 * duration):
            differ.append(f"{entry.id}: {stated:.2f} s stated, {duration:.2f} s in the file")
        measured.append(replace(entry, duration=duration))
    if wrong:
        stop(source, wrong, "videos start after the end of their file", "Correct them.")
    if differ:
        announce(source, differ, "durations differ from the file's, which is taken; is it the same video?")
    return measured


def _clip(entries: list[Entry], source: Path) -> list[Entry]:
    """Entries with their segments inside the video: clipped, and dropped where nothing is left."""
    clipped, zero, beyond, outside = [], [], [], 0
    for entry in entries:
        kept = []
        for label, start, end in entry.instances:
            low, high = max(start, 0.0), min(end, entry.duration)
            if start == end:
                zero.append(_where(entry, label, start, end))
            elif start < 0 or end > entry.duration + ROUNDING:
                beyond.append(f"{_where(entry, label, start, end)} of {entry.duration:.2f} s")
                outside += low >= high
            if low < high:
                kept.append((label, low, high))
        clipped.append(replace(entry, instances=kept))
    if zero:
        announce(source, zero, "instances have zero length; dropped")
    if beyond:
        announce(source, beyond, "segments pass an end of their video; clipped"
                 + (f" ({outside} of them lie wholly outside and are dropped)" if outside else ""))
    return clipped


def _cut(entries: list[Entry], rows: list[dict], source: Path, folder: Path) -> list[Entry]:
    """Entries cut into one per row of `rows`, with the segments that overlap it; those without a row stay whole."""
    find, by_path = _finder(folder), {entry.path: entry for entry in entries if entry.whole}
    wrong, cuts, crossing = [], defaultdict(list), []
    for row in sorted(rows, key=lambda row: row["start"]):
        found = find(row["file"])
        entry = by_path.get(found[0]) if len(found) == 1 else None
        where = f"line {row['line']}: {row['id']}, {row['file']} from {row['start']} to {row['end']} s"
        if entry is None:
            wrong.append(f"{where}: no such file among the annotated whole ones")
            continue
        row["end"] = min(row["end"], entry.duration)
        if row["start"] >= entry.duration:
            wrong.append(f"{where}: starts after the file's end, {entry.duration:.2f} s")
        elif cuts[entry.id] and row["start"] < cuts[entry.id][-1]["end"] - ROUNDING:
            wrong.append(f"{where}: overlaps {cuts[entry.id][-1]['id']}")
        cuts[entry.id].append(row)
        crossing += [f"{_where(entry, *item)} and {row['id']}" for item in entry.instances
                     if item[1] < row["start"] < item[2] or item[1] < row["end"] < item[2]]
    if wrong:
        stop(source, wrong, "ranges are wrong", "Expected ranges inside annotated files that do not overlap.")
    if crossing:
        announce(source, crossing, "times a segment crosses an edge of a range; clipped to it")
    return [piece for entry in entries for piece in [_piece(entry, row) for row in cuts[entry.id]] or [entry]]


def _piece(entry: Entry, row: dict) -> Entry:
    low, high = row["start"], row["end"]
    inside = [(label, max(start, low) - low, min(end, high) - low) for label, start, end in entry.instances
              if min(end, high) > max(start, low)]
    return replace(entry, id=row["id"], subset=row["subset"] or entry.subset, instances=inside, start=low,
                   duration=high - low)


def _build(entries: list[Entry], names: tuple[str, ...], source: Path) -> Annotations:
    twice = [f"{key} ({times} times)" for key, times in Counter(entry.id for entry in entries).items() if times > 1]
    if twice:
        stop(source, twice, "ids are there more than once", "Every video, and every range, needs an id of its own.")
    number = {name: index for index, name in enumerate(names)}
    return Annotations(names, tuple(
        Video(e.id, e.subset, e.path, e.start, e.duration,
              np.array([item[1:] for item in e.instances], dtype=np.float64).reshape(-1, 2),
              np.array([number[item[0]] for item in e.instances], dtype=np.int64))
        for e in entries))  # fmt: skip


# --- saying it ------------------------------------------------------------------------------------------------------


def _where(entry: Entry, label: str, start: float, end: float) -> str:
    return f"{entry.id}: {label!r} [{start}, {end}]"


def _nearest(name: str, known: Iterable[str]) -> str:
    lowered = {key.lower(): key for key in known}
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.4)
    return f"; did you mean {lowered[near[0]]!r}?" if near else "."
