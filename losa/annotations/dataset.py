"""Load and save annotations: which videos there are and what happens in them.

What is wrong is listed in one AnnotationError; what is changed is counted in a warning: segments clipped to their
video, instances of zero length dropped, files left out. `losa.annotations.scan` reads the layouts of the files.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from losa.annotations.resolve import check_instances, check_units, clip, locate, nearest, with_durations
from losa.annotations.scan import read_layout
from losa.errors import AnnotationError
from losa.files import replacing
from losa.label_files.sheet import Entry, announce, stop
from losa.label_files.source import AS_RECOGNISED, Reading


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

    def records(self, classes: Sequence[str]) -> list[dict]:
        """Return the instances as records: {"segment": [start, end] in seconds, "label": name}."""
        return [{"segment": segment, "label": classes[label]}
                for segment, label in zip(self.segments.tolist(), self.labels, strict=True)]


@dataclass(frozen=True, eq=False)
class Annotations:
    """The names of the classes (a label is an index into them) and all videos."""

    classes: tuple[str, ...]
    videos: tuple[Video, ...]

    @property
    def subsets(self) -> dict[str, tuple[int, int]]:
        """Return the numbers of videos and of instances of every subset."""
        videos = Counter(video.subset for video in self.videos)
        instances = Counter(video.subset for video in self.videos for _ in video.labels)
        return {name: (videos[name], instances[name]) for name in sorted(videos)}

    def subset(self, name: str, *, need_labels: bool = True) -> tuple[Video, ...]:
        """Return the videos of one subset. Raises AnnotationError where it does not exist or has no instance.

        need_labels: False also takes a subset without an instance, as test sets of challenges are.
        """
        sizes = self.subsets
        listed = ", ".join(f"{key!r} ({v} videos, {i} instances)" for key, (v, i) in sizes.items())
        if name not in sizes:
            raise AnnotationError(f"there is no subset {name!r}{nearest(name, sizes)} There are: {listed}")
        if need_labels and not sizes[name][1]:
            raise AnnotationError(f"subset {name!r} has {sizes[name][0]} videos but no ground truth: nothing can be "
                                  f"learnt or measured on it. There are: {listed}")
        return tuple(video for video in self.videos if video.subset == name)


# --- ways in and out ------------------------------------------------------------------------------------------------


def load_annotations(path: str | Path, videos: str | Path | None = None,
                     classes: Sequence[str] | str | Path | None = None,
                     missing: Literal["error", "drop"] = "error", *, need_labels: bool = True,
                     reading: Reading = AS_RECOGNISED) -> Annotations:
    """Load and check an annotation file in any layout that `losa.annotations.scan.read_layout` knows.

    {"database": {id: {"subset", "duration", "annotations": [{"label", "segment": [start, end]}]}}} is ActivityNet's;
    further keys of a video: "fps", "path" (relative to the JSON's folder) and "start" / "end" (the stretch of that
    file it is; its segments count from "start"). A top-level "classes" list fixes the labels' ids, else ActionFormer's
    "label_id", else they are alphabetical.

    videos: folder to look for each video's file in, by its "path", id, or v_id; None takes "path", or no file.
    classes: the only allowed labels, in order of their ids, or a text file of them; MultiTHUMOS' numbers are theirs.
    reading: how to read the file, where it leaves a choice: its format, unit of times, columns.
    missing: what to do where a file is not there: stop, or drop those videos with a warning.
    need_labels: False also takes a file without one instance; it has no classes then, unless they are given.
    Raises AnnotationError, which lists all that is wrong.
    """
    path = Path(path)
    entries, listed = read_layout(path, classes, reading, videos)
    names = check_instances(entries, listed, path, need_labels)
    return _finish(entries, names, path, None if videos is None else Path(videos), missing)


def save_annotations(annotations: Annotations, path: str | Path) -> Path:
    """Write annotations so that `load_annotations` reads the same, and return the path.

    The paths of videos are written relative to its folder.
    """
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
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump({"version": "losa", "classes": list(annotations.classes), "database": database}, file, indent=1,
                  ensure_ascii=False)
    return path


# --- entries to records ---------------------------------------------------------------------------------------------


def _finish(entries: list[Entry], names: tuple[str, ...], source: Path, folder: Path | None,
            missing: str) -> Annotations:
    entries, lost = locate(entries, source, folder)
    reasons = _reasons(lost)
    if lost and (missing == "error" or len(lost) == len(entries)):
        stop(source, reasons, f"of {len(entries)} video files are missing", "Give the folder that holds them (`losa "
             'check --videos FOLDER` looks for similar names, `--fix` takes them); or read the others alone: '
             'load_annotations(..., missing="drop"), or `losa data prepare`.')
    if lost:
        announce(source, reasons, f"of {len(entries)} videos dropped, their files are missing")
    kept = with_durations([entry for entry in entries if entry.id not in lost], source)
    check_units(kept, source)
    return _build(clip(kept, source), names, source)


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
