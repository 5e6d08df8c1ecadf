"""Collect what importers read, a row for each instance, into entries: names, labels and times of any spelling.

An importer is a function from a `Source` to a `Sheet`; most of them make `Row`s and hand them to `collect`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from losa.label_files.cells import is_safe, short, without_suffix
from losa.label_files.sheet import Entry, Findings, Sheet, check_one_subset
from losa.label_files.times import Frames, looks_like_date, parse_time

UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file
NOT_FILES = "names of videos are paths or addresses"


class Row(NamedTuple):
    """One instance as a file states it; without a label and times only the video, which has no instance here.

    Times are anything that `parse_time` reads: numbers (of the unit that the file's numbers have, seconds if none is
    stated or asked for), text, or `Frames` counted from 0, the end being the first frame after the segment.
    """

    place: str  # for messages: "line 3", "track 0"
    video: str  # name of the video or of its file, as written
    label: object = None
    start: object = None
    end: object = None
    subset: str = ""
    duration: int | float | None = None  # of the video, in seconds
    fps: int | float | None = None


class Item(NamedTuple):
    """An instance, or a prediction with its score, to be written; times in seconds.

    verdict, tiou: what an evaluation says of a prediction, and its tIoU with the instance that it says so about.
    """

    label: str
    start: int | float
    end: int | float
    score: int | float | None = None
    verdict: str | None = None
    tiou: int | float | None = None


class VideoFile(NamedTuple):
    """Where the file of a video lies, its size in pixels and its number of frames."""

    path: Path
    width: int
    height: int
    num_frames: int


class Labelled(NamedTuple):
    """A video to be written with what was found or annotated in it. None: not known."""

    id: str
    items: list[Item]
    subset: str = ""
    file: str | None = None  # name of its file, with its ending
    duration: int | float | None = None  # seconds
    fps: int | float | None = None
    found: VideoFile | None = None  # its file, where it was found
    truth: list[Item] | None = None  # the ground truth, where `items` are predictions of a run


def collect(layout: str, rows: Iterable[Row], findings: Findings, classes: Sequence[str] | None = None,
            unread: Counter[str] | None = None) -> Sheet:
    """Return the sheet of an importer's rows, one entry for each video, in order of the first row of each.

    Rows without a video, with a label but no times, or with times that are none are findings.
    """
    entries: dict[str, Entry] = {}
    cleaned: dict[str, str] = {}
    names: dict[str, dict[str, None]] = defaultdict(dict)
    subsets: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        written = repr(row.video)
        if written not in cleaned:
            cleaned[written] = clean_name(row.video, row.place, findings)
        name = cleaned[written]
        label = "" if row.label is None else str(row.label).strip()
        empty = not label and row.start in (None, "") and row.end in (None, "")
        instance = None if empty or not name else _instance(row, label, findings)
        if not name or (instance is None and not empty):
            if not name:
                findings.add("rows cannot be understood", f"{row.place}: names no video: {_shown(row)}")
            continue
        key = without_suffix(name)
        names[key].setdefault(name)
        subsets[key][row.subset.strip() or "all"] += 1
        entry = entries.setdefault(key, Entry(key, "", [], duration=row.duration, fps=row.fps))
        if instance is not None:
            entry.instances.append(instance)
    for key, spellings in names.items():
        if len({PurePosixPath(name).suffix for name in spellings} - {PurePosixPath(key).suffix}) > 1:
            findings.add("ids are there more than once", f"{key}: {', '.join(spellings)} would be one video")
    check_one_subset(subsets, findings)
    listed = [Entry(key, max(subsets[key], key=subsets[key].__getitem__), entry.instances, max(names[key], key=len),
                    duration=entry.duration, fps=entry.fps) for key, entry in entries.items()]
    return Sheet(layout, listed, list(classes) if classes else None, findings, unread=unread or Counter())


def _instance(row: Row, label: str, findings: Findings) -> tuple | None:
    """Return (label, start, end) of a row; None, with a finding, where one of them is missing or no time."""
    start, end = parse_time(row.start), parse_time(row.end)
    if label and start is not None and end is not None:
        for time in (row.start, row.end):
            _note_spelling(row.place, time, findings)
        return label, start, end
    kind = "rows cannot be understood"
    if label and start is not None and row.end in (None, ""):
        kind = "instances have no end"
    elif any(isinstance(time, str) and looks_like_date(time) for time in (row.start, row.end)):
        kind = "times are dates"
    findings.add(kind, f"{row.place}: {_shown(row)}")
    return None


def _note_spelling(place: str, time: object, findings: Findings) -> None:
    parsed = parse_time(time)
    if isinstance(time, str) and isinstance(parsed, Frames) and (":" in time or ";" in time):
        findings.add("times are timecodes", f"{place}: {time} has {parsed.number:g} frames")
    elif isinstance(time, str) and isinstance(parsed, float):
        if ":" in time:
            findings.add("times are written as minutes:seconds", f"{place}: {time} is {parsed:g} s")
        if "," in time:
            findings.add("times have a decimal comma", f"{place}: {time}")


def _shown(row: Row) -> str:
    return ",".join(short(cell) if not isinstance(cell, str) else cell[:80]
                    for cell in (row.video, row.label, row.start, row.end) if cell is not None)


def clean_name(name: object, place: str, findings: Findings) -> str:
    """Return a video's name as it may be in a folder: the last part of an absolute path or address; "" for none.

    YouTube's addresses become the video's id, Label Studio's uploads lose the eight letters before their name.
    """
    text = str(name).strip() if isinstance(name, str | int) and not isinstance(name, bool) else ""
    cut = _last_part(text)
    if cut != text:
        findings.add(NOT_FILES, f"{place}: {text} is {cut!r}")
    text = cut.replace("\\", "/")
    if text and not is_safe(text, f"{place}: {text!r}", findings):
        text = re.split("[/:]", text)[-1][:200]
    return text if is_safe(text) else ""


def _last_part(text: str) -> str:
    text = re.sub(r"^(\.[\\/]+)+", "", text)
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]+://", text):
        try:
            address = urlsplit(text)
        except ValueError:
            return text.rsplit("/", 1)[-1]
        query = parse_qs(address.query)
        if address.netloc.endswith(("youtube.com", "youtu.be")) and "v" in query:
            return query["v"][0]
        last = unquote(address.path.rstrip("/").rsplit("/", 1)[-1]) or unquote(address.netloc)
        return UPLOADED.sub("", last) if "/upload/" in address.path else last
    if text.startswith("/data/local-files/") and "d=" in text:  # Label Studio's files on its own disk
        return unquote(text.split("d=", 1)[1]).rsplit("/", 1)[-1]
    if re.match(r"/|\\\\|[A-Za-z]:[\\/]", text):
        last = re.split(r"[\\/]", text.rstrip("\\/"))[-1]
        return UPLOADED.sub("", last) if "/upload/" in text else last
    return text
