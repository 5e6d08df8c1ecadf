"""Read THUMOS-14's official text files, and MultiTHUMOS' text files and JSON.

A folder holds CLASS_test.txt and CLASS_val.txt with lines "video start end", times in seconds. Two oddities:

Ambiguous_test.txt and Ambiguous_val.txt mark stretches that belong to no class. Training does without them; evaluation
by the protocol "thumos14" forgives the predictions that touch them.

CliffDiving is a kind of Diving: every CliffDiving instance (143 of validation, 217 of test) is a Diving instance with
the same times as well. Nothing is done about that here or later: both are kept for training and for evaluation, and the
head learns both classes of such a segment (`losa.model.points.assign_batch`). ActionFormer drops CliffDiving from
training and pins its score to 0 (libs/datasets/thumos14.py, "empty_label_ids").
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from losa.errors import AnnotationError
from losa.formats.activitynet import json_object
from losa.label_files.cells import is_safe, is_text, read_classes, read_text, short
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import KINDS, NOT_LAYOUT, Entry, Findings, Sheet, check_one_subset
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

AMBIGUOUS = "Ambiguous"  # in place of a class
VIDEO = re.compile(r"video_(test|validation)_\d+")  # how THUMOS names its videos
NO_CLASS = re.compile(r"class_?list|readme", re.IGNORECASE)  # text files that are no class's


class ThumosFile(NamedTuple):
    """A file of one class, or of AMBIGUOUS, and one subset, "test" or "val"."""

    path: Path
    label: str
    subset: str


class ThumosRow(NamedTuple):
    """A line of such a file; without a video it is not "video start end"."""

    number: int
    line: str
    video: str | None
    start: float
    end: float


def find_thumos_files(folder: Path) -> list[ThumosFile]:
    """Return the official text files in a folder, sorted by name."""
    paths = sorted(path for path in folder.glob("*.txt") if re.search(r"_(test|val)\.txt$", path.name))
    return [ThumosFile(path, *path.stem.rsplit("_", 1)) for path in paths]


def parse_thumos_text(text: str, to_seconds: Callable[[str], int | float | None]) -> Iterator[ThumosRow]:
    """Yield a row for each line that is not empty. to_seconds returns the time that a cell holds, None for none."""
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        times = [to_seconds(cell) for cell in cells[1:]]
        if len(times) == 2 and None not in times:
            yield ThumosRow(number, line.strip(), cells[0], *times)
        elif cells:
            yield ThumosRow(number, line.strip(), None, 0.0, 0.0)


def is_thumos(source: Source) -> bool:
    """Return whether a folder holds files such as BaseballPitch_test.txt."""
    return source.path.is_dir() and bool(find_thumos_files(source.path))


def read_thumos(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the official text files; ambiguous stretches go apart, as they belong to no class."""
    instances, subsets, ambiguous = defaultdict(list), defaultdict(set), defaultdict(list)
    folder = source.path
    files = find_thumos_files(folder)
    for path, label, subset in files:
        for number, line, video, start, end in parse_thumos_text(read_text(path, findings), seconds):
            if video is None:
                findings.add("rows cannot be understood", f"{path.name} line {number}: {line}")
            elif is_safe(video, f"{path.name} line {number}: {video!r}", findings):
                if label == AMBIGUOUS:
                    ambiguous[video].append((start, end))
                    findings.add("stretches are ambiguous", f"{video} [{start}, {end}]")
                else:
                    instances[video].append((label, start, end))
                    subsets[video].add(subset)
    check_one_subset(subsets, findings)
    classes = {file.label for file in files} - {AMBIGUOUS}
    numbered = read_classes(folder / "detclasslist.txt") if (folder / "detclasslist.txt").is_file() else {}
    listed = [numbered[n] for n in sorted(numbered)] if classes <= set(numbered.values()) else sorted(classes)
    return Sheet("THUMOS text", [Entry(key, min(subsets[key]), rows) for key, rows in sorted(instances.items())],
                 listed, findings, dict(ambiguous))


def is_class_files(source: Source) -> bool:
    """Return whether a folder holds files such as BaseballPitch.txt with lines "video_test_0000004 1.2 3.4".

    Videos of other names are recognised where class_list.txt names the files.
    """
    files = _class_files(source.path) if source.path.is_dir() else []
    named = bool(files) and {path.stem for path in files} <= set(_class_list(source.path))
    rows = [row for path in files[:3] for row in list(parse_thumos_text(_start(path), seconds))[:1]]
    return bool(rows) and all(row.video is not None and (named or VIDEO.fullmatch(row.video)) for row in rows)


def read_class_files(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read MultiTHUMOS' text files, CLASS.txt with lines "video start end"; the subset is in the names of videos."""
    files, listed = _class_files(source.path), _class_list(source.path)

    def rows() -> Iterator[Row]:
        for path in files:
            for number, line, video, start, end in parse_thumos_text(read_text(path, findings), seconds):
                subset = VIDEO.fullmatch(video or "")
                if video is None:
                    findings.add("rows cannot be understood", f"{path.name} line {number}: {line}")
                else:
                    yield Row(f"{path.name} line {number}", video, path.stem, start, end,
                              {"test": "test", "validation": "val"}[subset[1]] if subset else "")

    if not files:
        raise AnnotationError(f"{source.path}: expected a folder of CLASS.txt with lines 'video start end'")
    return collect("MultiTHUMOS", rows(), findings, listed or [path.stem for path in files])


def _class_files(folder: Path) -> list[Path]:
    """Return the text files of classes in a folder, or in its folder "annotations"."""
    for place in (folder, folder / "annotations"):
        files = [path for path in sorted(place.glob("*.txt")) if not NO_CLASS.search(path.stem) and path.is_file()]
        if files:
            return files
    return []


def _class_list(folder: Path) -> list[str]:
    """Return the names of class_list.txt in a folder or beside it; none where there is no such file."""
    for place in (folder, folder / "annotations", folder.parent):
        if (place / "class_list.txt").is_file():
            try:
                return [name for _, name in sorted(read_classes(place / "class_list.txt").items())]
            except AnnotationError:
                return []
    return []


def _start(path: Path) -> str:
    """Return the beginning of a file; "" where it is no text."""
    try:
        return read_text(path, Findings(KINDS))[:2000]
    except AnnotationError:
        return ""


def is_multithumos(source: Source) -> bool:
    """Return whether a file is JSON of {video: {"subset", "duration", "actions"}}."""
    videos = list(source.content.values()) if isinstance(source.content, dict) else []
    return bool(videos) and all(isinstance(video, dict) and "actions" in video for video in videos)


def read_multithumos(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read {video: {"subset", "duration", "actions": [[class number, start, end]]}}; names by `reading.classes`."""
    content = json_object(source, 'JSON of {video: {"subset", "duration", "actions"}}')
    names = read_classes(reading.classes)
    entries, used, unread = [], set(), Counter()
    for key, video in content.items():
        if not isinstance(video, dict) or "actions" not in video:
            findings.add(NOT_LAYOUT, f"{short(key)}: expected an object with actions, got {short(video)}")
            continue
        unread.update(video.keys() - {"subset", "duration", "actions"})
        if not is_safe(key, f"{key!r}", findings):
            continue
        instances = []
        for item in video["actions"] if isinstance(video["actions"], list) else [video["actions"]]:
            number, *times = [*item, None] if isinstance(item, list) and len(item) == 3 else [None, None, None, None]
            start, end = map(seconds, times[:2])
            if not isinstance(number, int) or number < 0 or (names and number not in names) or None in (start, end):
                choices = f", one of {min(names)} to {max(names)}" if names else ""
                findings.add(NOT_LAYOUT, f"{key}.actions: expected [class number{choices}, start, end] in seconds, "
                             f"got {short(item)}")
                continue
            used.add(number)
            instances.append((names.get(number, f"class_{number}"), start, end))
        duration, subset = seconds(video.get("duration")), video.get("subset")
        if not is_text(subset) or (video.get("duration") is not None and not (duration or 0) > 0):
            findings.add(NOT_LAYOUT, f"{key}: expected a subset and a duration above 0, got {short(subset)}, "
                         f"{short(video.get('duration'))}")
        entries.append(Entry(key, subset if is_text(subset) else "", instances, duration=duration or None))
    listed = list(names.values()) or [f"class_{number}" for number in sorted(used)]
    return Sheet("MultiTHUMOS", entries, listed, findings, unread=unread)
