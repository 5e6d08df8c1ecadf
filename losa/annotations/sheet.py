"""What is read from an annotation file: a sheet of entries, and findings about what is odd."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from losa.errors import AnnotationError

NOT_LAYOUT = "places are not in the layout"
KINDS = {  # what a reader can find: how bad it is, and what to do
    "header line missing": ("error", "Make the first line video,label,start,end (and ,subset if you like)."),
    "columns have another name": ("error", "Rename them: expected video, label, start, end and, if you like, subset."),
    "rows cannot be understood": ("error", "Expected a video, a label, and start and end as seconds (83.5) or as "
                                  "m:ss (1:23.5); a video without any action is a row with only its name."),
    "rows do not have as many cells as the first line": (
        "error", 'Write a decimal point (1.5, not 1,5), and "quotes" around a cell with a comma in it.'),
    "bytes are not UTF-8": ("error", 'Save the file as UTF-8 (in Excel: "CSV UTF-8").'),
    NOT_LAYOUT: ("error", 'Expected {"database": {id: {"subset", "duration", "annotations": [{"label", "segment": '
                          "[start, end]}]}}}, times in seconds."),
    "videos contradict themselves": ("error", "Expected duration = end - start, above 0."),
    "ids are there more than once": ("error", "Keep one entry for each video, with all of its instances."),
    "videos are in more than one subset": ("error", "Put all rows of a video into one subset, spelt alike: what is "
                                           "trained on cannot be tested on."),
    "ids or paths lead out of the folder": ("error", "Give names inside the folder of videos: no drive, no leading "
                                            "slash, no '..', no control character, no part beyond 200 characters. "
                                            "Where losa wrote the file, '../' may lead to a video file (.mp4, .mkv, "
                                            "...), and to no other."),
    "separators are no commas": ("note", "Understood as written."),
    "times are written as minutes:seconds": ("note", "Understood as minutes:seconds or hours:minutes:seconds."),
    "times have a decimal comma": ("note", "Understood as a decimal point."),
    "cells have spaces around them": ("note", "They do not count."),
    "labels have two numbers": ("note", "The numbers are not used, classes are in alphabetical order."),
}


@dataclass(frozen=True)
class Entry:
    """A video as the annotation file states it: its duration may be unknown, its segments may be wrong."""

    id: str
    subset: str
    instances: list[tuple[str, float, float]] = field(default_factory=list)
    name: str | None = None  # of the video file, as written
    path: Path | None = None
    start: float = 0.0
    duration: float | None = None
    whole: bool = True  # False: only the stretch of the file from `start` on
    fps: float | None = None


@dataclass
class Finding:
    """How often something is odd about the annotations, with the first examples and what to do about it."""

    kind: str
    level: Literal["error", "warning", "note"]
    count: int
    examples: list[str]
    advice: str


class Findings(dict[str, Finding]):
    """Findings by kind; remembers the first few examples of each, whatever the size of the file."""

    def __init__(self, kinds: dict[str, tuple[str, str]], show: int = 5):
        super().__init__()
        self.kinds, self.show = kinds, show

    def add(self, kind: str, example: str) -> None:
        """Count a finding of this kind and keep it as an example, if it is one of the first."""
        if kind not in self:
            level, advice = self.kinds[kind]
            self[kind] = Finding(kind, level, 0, [], advice)
        self[kind].count += 1
        if len(self[kind].examples) < self.show:
            self[kind].examples.append(example if len(example) <= 200 else example[:197] + "...")


@dataclass
class Sheet:
    """All that could be read from an annotation file, and what could not."""

    layout: Literal["ActivityNet", "MultiTHUMOS", "THUMOS text", "CSV"]
    entries: list[Entry]
    classes: list[str] | None
    findings: Findings
    ambiguous: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # THUMOS: neither class nor not
    unread: Counter[str] = field(default_factory=Counter)  # columns or keys with content that mean nothing here


def check_one_subset(subsets: dict, findings: Findings) -> None:
    """Add a finding for each video of {id: its subsets} that is in more than one."""
    for key, names in subsets.items():
        if len(names) > 1:
            findings.add("videos are in more than one subset", f"{key}: {', '.join(sorted(names))}")


# --- saying it ------------------------------------------------------------------------------------------------------


def listing(items: Sequence[str], count: int, show: int = 5) -> str:
    """Return the first items on a line each, and how many of `count` are not shown."""
    more = [f"... and {count - show} more"] if count > show else []
    return "".join(f"\n  {item}" for item in [*items[:show], *more])


def stop(source: Path, items: Sequence[str], what: str, advice: str) -> NoReturn:
    """Raise an AnnotationError: how many items are what, the first five of them, and the advice."""
    raise AnnotationError(f"{source}: {len(items)} {what}:{listing(items, len(items))}\n{advice}")


def announce(source: str | Path, items: Sequence[str], what: str, show: int = 3) -> None:
    """Warn how many items are what, with the first few of them."""
    warnings.warn(f"{source}: {len(items)} {what}:{listing(items, len(items), show)}", stacklevel=5)
