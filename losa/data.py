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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from jaxtyping import Float64, Int64

from losa.entries import (
    ROUNDING,
    check_instances,
    clip,
    finder,
    locate,
    measure,
    nearest,
    probe_all,
    where,
    with_durations,
)
from losa.errors import AnnotationError, VideoError
from losa.layouts import read_layout
from losa.probe import VideoInfo, probe
from losa.rows import Entry, announce, read_classes, stop
from losa.tables import read_ranges
from losa.video import normalise as encode_anew


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
    fps: int | float | None = None  # of the file; None: not known


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
            raise AnnotationError(f"there is no subset {name!r}{nearest(name, there)} There are: {known}")
        if not there[name][1]:
            raise AnnotationError(f"subset {name!r} has {there[name][0]} videos but no ground truth: nothing can be "
                                  f"learnt or measured on it. There are: {known}")
        return tuple(video for video in self.videos if video.subset == name)


# --- ways in and out ------------------------------------------------------------------------------------------------


def load_annotations(path: str | Path, videos: str | Path | None = None,
                     classes: Sequence[str] | str | Path | None = None,
                     missing: Literal["error", "drop"] = "error") -> Annotations:
    """The checked content of an annotation file in any layout that `losa.layouts.read_layout` knows.

    {"database": {id: {"subset", "duration", "annotations": [{"label", "segment": [start, end]}]}}} is ActivityNet's;
    further keys of a video: "fps", "path" (relative to the JSON's folder) and "start" / "end" (the stretch of that
    file it is; its segments count from "start"). A top-level "classes" list fixes the labels' ids, else ActionFormer's
    "label_id", else they are alphabetical.

    videos: folder to look for each video's file in, by its "path", id, or v_id; None takes "path", or no file.
    classes: the only allowed labels, in order of their ids, or a text file of them; MultiTHUMOS' numbers are theirs.
    missing: what to do where a file is not there: stop, or drop those videos with a warning.
    """
    path = Path(path)
    entries, listed = read_layout(path, classes)
    names = check_instances(entries, _class_names(classes) or listed, path)
    return _finish(entries, names, path, None if videos is None else Path(videos), missing)


def load_csv(path: str | Path, videos_folder: str | Path) -> Annotations:
    """The checked content of a CSV with columns video, label, start, end (seconds or m:ss) and, if you like, subset.

    `video` is a file in the folder, with or without its ending; a row with only a video is one without instances.
    """
    return load_annotations(path, videos_folder)


def _class_names(classes: Sequence[str] | str | Path | None) -> list[str] | None:
    """The names in order of their numbers."""
    return [name for _, name in sorted(read_classes(classes).items())] or None


def prepare(videos_folder: str | Path, annotations_file: str | Path, out: str | Path,
            ranges: str | Path | None = None, classes: Sequence[str] | str | Path | None = None,
            split: tuple[float, ...] | None = None, normalise: bool = False, decode: bool = False) -> Annotations:
    """Checks every file, writes `out`/annotations.json, and returns what is in it.

    Files that are missing or broken are left out, listed with their reasons in a warning and in `out`/skipped.csv.
    Durations and frame rates are the files', whatever is stated.

    annotations_file: anything that `load_annotations` reads.
    ranges: CSV with columns id, file, start, end and, if you like, subset; each row makes a video of its own from a
    stretch of a file (empty start or end: the file's). Files that it does not name stay whole.
    split: shares of train, val and test; every video gets one of them, whatever subset it had, the same each time.
    normalise: encode files on which seeking would give wrong frames anew, into `out`/videos; else they are announced,
    and read in sequence, which is slower.
    decode: read every file to its end, which takes as long as decoding does: finds those damaged in their middle, which
    else only extraction meets.
    """
    if split is not None and (len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-6):
        raise ValueError(f"split={split}: expected three shares of train, val and test that add up to 1")
    source, out, folder = Path(annotations_file), Path(out), Path(videos_folder)
    entries, listed = read_layout(source, classes)
    names = check_instances(entries, _class_names(classes) or listed, source)
    rows = [] if ranges is None else read_ranges(Path(ranges))
    entries, broken = locate(entries, source, folder)
    infos = probe_all([entry for entry in entries if entry.id not in broken], broken, decode)
    if len(broken) == len(entries):
        stop(source, _reasons(broken), "videos, and not one can be used", f"Check the folder {folder}.")
    good = clip(measure([entry for entry in entries if entry.id not in broken], infos, source), source)
    if rows:
        lost = {name for entry in entries if entry.id in broken for name in (entry.id, entry.name)}
        good = _cut(good, [row for row in rows if row["file"] not in lost], Path(ranges), folder)
    good = _make_safe(good, infos, broken, source, folder, out / "videos" if normalise else None)
    annotations = _build(good, names, source)
    if split is not None:
        annotations = _split(annotations, split)
    out.mkdir(parents=True, exist_ok=True)
    save_annotations(annotations, out / "annotations.json")
    (out / "skipped.csv").unlink(missing_ok=True)
    if broken:
        with _replacing(out / "skipped.csv") as file:
            csv.writer(file).writerows([("video", "why"), *broken.items()])
        announce(source, _reasons(broken), f"of {len(entries)} videos left out (all are in {out / 'skipped.csv'})",
                 show=20)
    return annotations


def _make_safe(entries: list[Entry], infos: dict[Path, VideoInfo], broken: dict[str, str], source: Path,
               folder: Path, out: Path | None) -> list[Entry]:
    """Entries whose risky files are replaced by ones encoded anew in `out`; without it they are announced.

    Entries whose file cannot be encoded go to `broken`.
    """
    risks = {entry.path: infos[entry.path].risks for entry in entries}
    risky, fresh = {path: why for path, why in risks.items() if why}, {}
    if risky and out is None:
        announce(source, [f"{path}: {', '.join(why)}" for path, why in risky.items()],
                 "video files would give wrong frames after a seek; they are read in sequence, which is slower "
                 "(normalise=True, --normalise, encodes them anew)")
        return entries
    for path in risky:
        target = out / path.relative_to(folder)
        target = target if target.suffix == ".mp4" else target.with_name(target.name + ".mp4")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh[path] = probe(encode_anew(path, target))
        except VideoError as error:
            broken |= {entry.id: error.why for entry in entries if entry.path == path}
    safe = [entry for entry in entries if entry.id not in broken]
    return [replace(e, path=fresh[e.path].path, fps=fresh[e.path].fps) if e.path in fresh else e for e in safe]


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
            "subset": video.subset, "duration": round(float(video.duration), 6),
            **({} if video.fps is None else {"fps": float(video.fps)}),
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


# --- entries to records ---------------------------------------------------------------------------------------------


def _finish(entries: list[Entry], names: tuple[str, ...], source: Path, folder: Path | None,
            missing: str) -> Annotations:
    entries, lost = locate(entries, source, folder)
    reasons = _reasons(lost)
    if lost and (missing == "error" or len(lost) == len(entries)):
        stop(source, reasons, f"of {len(entries)} video files are missing", "Give the folder that holds them (`losa "
             'check --videos FOLDER` looks for similar names, `--fix` takes them); or read the others alone: '
             'load_annotations(..., missing="drop"), or `losa prepare`.')
    if lost:
        announce(source, reasons, f"of {len(entries)} videos dropped, their files are missing")
    found = with_durations([entry for entry in entries if entry.id not in lost], source)
    return _build(clip(found, source), names, source)


def _cut(entries: list[Entry], rows: list[dict], source: Path, folder: Path) -> list[Entry]:
    """Entries cut into one per row of `rows`, with the segments that overlap it; those without a row stay whole."""
    find, by_path = finder(folder), {entry.path: entry for entry in entries if entry.whole}
    wrong, cuts, crossing = [], defaultdict(list), []
    for row in sorted(rows, key=lambda row: row["start"]):
        found = find(row["file"])
        entry = by_path.get(found[0]) if len(found) == 1 else None
        place = f"line {row['line']}: {row['id']}, {row['file']} from {row['start']} to {row['end']} s"
        if entry is None:
            wrong.append(f"{place}: no such file among the annotated whole ones")
            continue
        row["end"] = min(row["end"], entry.duration)
        if row["start"] >= entry.duration:
            wrong.append(f"{place}: starts after the file's end, {entry.duration:.2f} s")
        elif cuts[entry.id] and row["start"] < cuts[entry.id][-1]["end"] - ROUNDING:
            wrong.append(f"{place}: overlaps {cuts[entry.id][-1]['id']}")
        cuts[entry.id].append(row)
        crossing += [f"{where(entry, *item)} and {row['id']}" for item in entry.instances
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


def _reasons(broken: dict[str, str]) -> list[str]:
    return [f"{key}: {why}" for key, why in broken.items()]


def _build(entries: list[Entry], names: tuple[str, ...], source: Path) -> Annotations:
    twice = [f"{key} ({times} times)" for key, times in Counter(entry.id for entry in entries).items() if times > 1]
    if twice:
        stop(source, twice, "ids are there more than once", "Every video, and every range, needs an id of its own.")
    number = {name: index for index, name in enumerate(names)}
    return Annotations(names, tuple(
        Video(e.id, e.subset, e.path, e.start, e.duration,
              np.array([item[1:] for item in e.instances], dtype=np.float64).reshape(-1, 2),
              np.array([number[item[0]] for item in e.instances], dtype=np.int64), e.fps)
        for e in entries))  # fmt: skip
