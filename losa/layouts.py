"""Annotation files as they are written: ActivityNet-layout JSON and CSV in, plain rows out.

A new layout is one more function from a path to rows. What is wrong with a file stops with one AnnotationError that
lists it; whether the rows make sense beside classes and videos is for `losa.data` to say.
"""

import csv
import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

VIDEO_SUFFIXES = frozenset([".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
                            ".ogv", ".ts", ".webm", ".wmv", ".y4m"])  # fmt: skip


class AnnotationError(ValueError):
    """What is wrong with an annotation file, where, and what to do."""


@dataclass(frozen=True)
class Entry:
    """A video as its file states it: the duration may be unknown, segments may be senseless."""

    id: str
    subset: str
    instances: list[tuple[str, float, float]] = field(default_factory=list)
    name: str | None = None  # of the video file, as written
    path: Path | None = None
    start: float = 0.0
    duration: float | None = None
    whole: bool = True


class _JsonInstance(BaseModel):
    label: str
    segment: tuple[FiniteFloat, FiniteFloat]


class _JsonVideo(BaseModel):
    subset: str
    duration: FiniteFloat | None = Field(None, gt=0)
    path: str | None = None
    start: FiniteFloat = Field(0.0, ge=0)
    end: FiniteFloat | None = None
    annotations: list[_JsonInstance] = []


class _JsonFile(BaseModel):
    database: dict[str, _JsonVideo]
    classes: list[str] | None = None


def read_json(path: Path) -> tuple[list[Entry], list[str] | None]:
    """The videos of an ActivityNet-layout JSON, and its list of classes if it has one."""
    try:
        file = _JsonFile.model_validate(json.loads(_text(path), object_pairs_hook=_unique_keys))
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        stop(path, wrong, "places are not in ActivityNet's layout",
             'Expected {"database": {id: {"subset", "duration", "annotations": [{"label", "segment"}]}}}.')
    except (json.JSONDecodeError, KeyError) as error:
        raise AnnotationError(f"{path}: cannot be read as JSON: {error.args[0]}") from error
    entries, wrong = [], []
    for key, video in file.database.items():
        stretch = video.duration if video.end is None else video.end - video.start
        if video.end is not None and (stretch <= 0 or abs((video.duration or stretch) - stretch) > 0.01):
            wrong.append(f"{key}: start {video.start}, end {video.end}, duration {video.duration}")
        instances = [(item.label, *item.segment) for item in video.annotations]
        entries.append(Entry(key, video.subset, instances, video.path, None, video.start, video.duration or stretch,
                             whole=not video.start and video.end is None))
    if wrong:
        stop(path, wrong, "videos contradict themselves", "Expected duration = end - start, above 0.")
    return entries, file.classes


def _unique_keys(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [repr(key) for key, times in Counter(key for key, _ in pairs).items() if times > 1]
        raise KeyError(f"{', '.join(twice[:5])} is there more than once; keep one")
    return found


def read_csv(path: Path) -> list[Entry]:
    """The videos of a CSV with columns video, label, start, end and, if it has one, subset (else "all")."""
    names, subsets, instances, wrong = {}, defaultdict(set), defaultdict(list), []
    for line, row in _rows(path, ("video", "label", "start", "end"), ("subset",)):
        name, start, end = row["video"], _number(row["start"]), _number(row["end"])
        key = name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in VIDEO_SUFFIXES else name
        names.setdefault(key, name)
        subsets[key].add(row["subset"] or "all")
        if name and row["label"] and start is not None and end is not None:
            instances[key].append((row["label"], start, end))
        elif not name or row["label"] or row["start"] or row["end"]:
            wrong.append(f"line {line}: {','.join(row.values())}")
    if wrong:
        stop(path, wrong, "rows cannot be understood", "Expected a video, a label, and start and end in seconds.")
    split = [f"{key}: {', '.join(sorted(found))}" for key, found in subsets.items() if len(found) > 1]
    if split:
        stop(path, split, "videos are in more than one subset", "Put all rows of a video into one.")
    repeated = [f"{key}: {item}" for key, found in instances.items() for item, n in Counter(found).items() if n > 1]
    if repeated:
        announce(path, repeated, "instances are there more than once; one of each is kept")
    return [Entry(key, *subsets[key], list(dict.fromkeys(instances[key])), name) for key, name in names.items()]


def read_ranges(path: Path) -> list[dict]:
    """The rows of a CSV with columns id, file, start, end (seconds; empty: 0 and inf) and subset, and their line."""
    rows, wrong = [], []
    for line, row in _rows(path, ("id", "file", "start", "end"), ("subset",)):
        start, end = _number(row["start"] or "0"), _number(row["end"]) if row["end"] else np.inf
        if not row["id"] or not row["file"] or start is None or end is None or not 0 <= start < end:
            wrong.append(f"line {line}: {','.join(row.values())}")
        rows.append(row | {"start": start, "end": end, "line": line})
    if wrong:
        stop(path, wrong, "ranges cannot be understood", "Expected id, file, and 0 <= start < end in seconds.")
    return rows


def _rows(path: Path, needed: Sequence[str], optional: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells of every row that is not empty, without the spaces around them."""
    reader = csv.reader(_text(path).splitlines())
    header = [name.strip() for name in next(reader, [])]
    lacking = [name for name in needed if name not in header]
    if lacking:
        raise AnnotationError(f"{path}: no column {', '.join(lacking)}; the first line is {','.join(header)!r}, "
                              f"expected {','.join(needed)} (and {', '.join(optional)}, if you like), comma-separated")
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    uneven = [f"line {line}: {','.join(row)}" for line, row in rows if len(row) != len(header)]
    if uneven:
        stop(path, uneven, f"rows do not have {len(header)} cells", 'Put "quotes" around a comma inside a cell.')
    absent = {name: "" for name in optional if name not in header}
    return [(line, dict(zip(header, row, strict=True)) | absent) for line, row in rows]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AnnotationError(f"{path}: there is no such file (seen from {Path.cwd()})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _number(text: str) -> float | None:
    try:
        return float(text) if np.isfinite(float(text)) else None
    except ValueError:
        return None


# --- saying it ------------------------------------------------------------------------------------------------------


def _listing(items: Sequence[str], show: int) -> str:
    more = [f"... and {len(items) - show} more"] if len(items) > show else []
    return "".join(f"\n  {item}" for item in [*items[:show], *more])


def stop(source: Path, items: Sequence[str], what: str, advice: str) -> NoReturn:
    """Raises AnnotationError: how many items are what, the first five of them, and the advice."""
    raise AnnotationError(f"{source}: {len(items)} {what}:{_listing(items, 5)}\n{advice}")


def announce(source: Path, items: Sequence[str], what: str, show: int = 3) -> None:
    """Warns how many items are what, with the first few of them."""
    warnings.warn(f"{source}: {len(items)} {what}:{_listing(items, show)}", stacklevel=5)
