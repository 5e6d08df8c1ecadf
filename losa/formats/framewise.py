"""Read labels of each frame, as MS-TCN has them: groundTruth/VIDEO.txt, a label a line, beside mapping.txt and splits/.

Breakfast and GTEA count 15 frames a second, 50Salads 30. Neighbouring frames of one label are one instance. Breakfast's
own files, with lines "31-150 take_cup" of first and last frame from 1, are read in the same places.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from losa.errors import AnnotationError
from losa.label_files.cells import read_classes, read_text
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import KINDS, Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import Frames, seconds

FOLDER = "groundtruth"  # in small letters
NO_VIDEOS = {"mapping", "readme", "actions", "classes", "label map"}  # text files that are no video's
RANGE = re.compile(r"(\d{1,9})-(\d{1,9})\s+(\S.*)", re.ASCII)  # a line of Breakfast's own files
MOST_SHOWN = 5


def is_framewise(source: Source) -> bool:
    """Return whether a text file holds one label a line with neighbours alike, or a folder such files."""
    if not source.path.is_dir():
        return source.path.suffix.lower() == ".txt" and source.content is None and source.xml is None \
            and _is_labels(source.text)
    folders = _folders(source.path)
    files = _files(folders[0] if folders else source.path)
    return bool(files) and all(_is_labels(_text(file)) for file in files[:3])


def read_framewise(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read a folder of MS-TCN (with groundTruth/, or that folder), or one file of it; times are frames.

    Classes are in the order of mapping.txt. With `reading.tier` "split1", or where there is only one split, the videos
    are in the subsets that splits/*.split1.bundle name.
    """
    if not source.path.is_dir():
        files, above = [source.path], [source.path.parent, source.path.parent.parent]
    else:
        folders = _folders(source.path)
        if len(folders) > 1:
            listed = "".join(f"\n  {folder.parent}" for folder in folders[:MOST_SHOWN])
            raise AnnotationError(f"{source.path}: holds {len(folders)} data sets; give one of them:{listed}")
        folder = folders[0] if folders else source.path
        files, above = _files(folder), [folder, folder.parent]
    if not files:
        raise AnnotationError(f"{source.path}: no text file with a label a line; expected groundTruth/VIDEO.txt")
    mapping = next((path / "mapping.txt" for path in above if (path / "mapping.txt").is_file()), None)
    names = {} if mapping is None else read_classes(mapping)
    subsets = _subsets(source, above, reading.tier, findings) if source.path.is_dir() else {}

    def rows() -> Iterator[Row]:
        for file in files:
            subset = subsets.get(file.stem, "")
            if subsets and not subset:
                findings.add("videos have no subset", f"{file.stem} is in no file of the split")
            yield Row(file.name, file.stem, subset=subset)
            lines = _lines(read_text(file, findings))
            ranges = any(map(RANGE.fullmatch, lines[:1]))
            for label, first, end in _ranges(file.name, lines, findings) if ranges else _runs(lines):
                number = int(label) if label.isascii() and label.isdigit() and len(label) < 10 else None
                named = label if number is None or label in names.values() else names.get(number, label)
                times = Frames(float(first)), Frames(float(end))
                yield Row(f"{file.name} line {first + 1}", file.stem, named, *times, subset)

    return collect("MS-TCN", rows(), findings, [name for _, name in sorted(names.items())])


def _folders(folder: Path) -> list[Path]:
    """Return the folders named groundTruth, at most two levels below."""
    below = [path for path in sorted(folder.glob("*")) if path.is_dir()]  # glob passes over what it may not open
    found = [path for path in below if path.name.lower() == FOLDER]
    return found[:1] or [path for inner in below for path in sorted(inner.glob("*"))
                         if path.name.lower() == FOLDER and path.is_dir()]


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.txt"))
            if path.stem.lower().replace("_", " ") not in NO_VIDEOS and path.is_file()]


def _text(path: Path) -> str:
    """Return the text of a file; "" for what is no text."""
    try:
        return read_text(path, Findings(KINDS))
    except AnnotationError:
        return ""


def _lines(text: str) -> list[str]:
    """Return the lines without the empty ones at the end."""
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _is_labels(text: str) -> bool:
    """Return whether all lines are labels without a separator or a time in them, and some neighbours are alike.

    Or all are frames and a label.
    """
    lines = _lines(text)
    labels = set(lines)
    if lines and all(map(RANGE.fullmatch, lines)):
        return True
    if "" in labels or len(lines) < 2 or any(set(label) & set(",;\t|#<>{}") for label in labels):
        return False
    if any(seconds(cell) is not None for label in labels if " " in label for cell in label.split()):
        return False
    return any(one == other for one, other in zip(lines, lines[1:], strict=False))


def _runs(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Yield label, first frame and the first frame after it, of every run of equal labels; empty lines are none."""
    first = 0
    for label, run in groupby(lines):
        length = sum(1 for _ in run)
        if label:
            yield label, first, first + length
        first += length


def _ranges(name: str, lines: list[str], findings: Findings) -> Iterator[tuple[str, int, int]]:
    """Yield label, first frame and the first frame after it, of lines "31-150 take_cup"."""
    for number, line in enumerate(lines, 1):
        found = RANGE.fullmatch(line)
        if found:
            yield found[3].strip(), int(found[1]) - 1, int(found[2])
        elif line:
            findings.add("rows cannot be understood", f"{name} line {number}: {line}")


def _subsets(source: Source, above: list[Path], tier: str, findings: Findings) -> dict[str, str]:
    """Return {video: subset} of one split of splits/{train,test}.SPLIT.bundle."""
    bundles = [path for folder in above for path in sorted((folder / "splits").glob("*.bundle"))]
    splits: dict[str, dict[str, str]] = {}
    for path in bundles:
        subset, _, name = path.stem.partition(".")
        for line in _lines(_text(path)):
            splits.setdefault(name or "split", {})[Path(line.split("/")[-1]).stem] = subset
    if tier and tier not in splits:
        raise AnnotationError(f"{source.path}: --tier {tier}: there is no such split; there are "
                              f"{', '.join(splits) or 'none'}")
    if len(splits) > 1 and not tier:
        findings.add("the file has other labels as well", f"{', '.join(splits)} divide the videos differently: all are "
                     f"in 'all'; --tier {next(iter(splits))} takes the subsets of one")
        return {}
    return splits[tier or next(iter(splits))] if splits else {}
