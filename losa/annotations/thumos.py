"""Parse THUMOS-14's official text files: a row for each line, as it is written.

A folder holds CLASS_test.txt and CLASS_val.txt with lines "video start end", times in seconds. Two oddities:

Ambiguous_test.txt and Ambiguous_val.txt mark stretches that belong to no class. Training does without them; evaluation
by the protocol "thumos14" forgives the predictions that touch them.

CliffDiving is a kind of Diving: every CliffDiving instance (143 of validation, 217 of test) is a Diving instance with
the same times as well. Nothing is done about that here or later: both are kept for training and for evaluation, and the
head learns both classes of such a segment (`losa.model.points.assign_batch`). ActionFormer drops CliffDiving from
training and pins its score to 0 (libs/datasets/thumos14.py, "empty_label_ids").
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

AMBIGUOUS = "Ambiguous"  # in place of a class


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
