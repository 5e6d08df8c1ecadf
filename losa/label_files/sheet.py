"""What is read from an annotation file: a sheet of entries, and findings about what is odd."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from losa.errors import AnnotationError

NOT_LAYOUT = "places are not in the layout"
KINDS = {  # what a reader can find: how bad it is, and what to do
    "header line missing": ("error", "Make the first line video,label,start,end (and ,subset if you like)."),
    "columns have another name": ("note", "Understood as said here; --columns ours=NAME takes others."),
    "columns state another unit than is asked for": ("warning", "--times is taken; leave it out to take that of the "
                                                     "columns."),
    "hundredths may be frames": ("warning", "Taken as hundredths of a second, though none is above 29. If they count "
                                 "frames, write a colon before them: 00:00:08:09."),
    "numbers have groups of digits": ("note", "Understood as thousands."),
    "lines above the header": ("note", "They are not read."),
    "columns are not read that may be labels": ("note", "One column holds the labels, here another one."),
    "rows cannot be understood": ("error", "Expected a video, a label, and start and end as seconds (83.5) or as "
                                  "m:ss (1:23.5); a video without any action is a row with only its name. Of "
                                  "cells that a spreadsheet merged only the first is filled: fill every row."),
    "rows do not have as many cells as the first line": (
        "error", 'Write a decimal point (1.5, not 1,5), and "quotes" around a cell with a comma in it.'),
    "instances have no end": ("error", "Write the end of each, in seconds; a table of starts and durations needs a "
                              "column duration."),
    "times are dates": ("error", "A spreadsheet made dates of numbers such as 14.5: format the columns as text, write "
                        "the times again and save."),
    "timecodes do not fit the frame rate": ("error", "They count more frames than a second has: --fps gives the rate "
                                            "that they were written with."),
    "times are frames, and the frame rate is not known": ("error", "Give the folder of the videos (--videos), or the "
                                                          "rate (--fps 25). Of published labels for each frame, "
                                                          "Breakfast and GTEA have 15, 50Salads has 30."),
    "frames are counted at another rate": ("error", "They do not fit the videos' own rate: --fps takes the one that "
                                           "the tool counted with (Label Studio: 24, unless set)."),
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
    "names of videos are paths or addresses": ("note", "Only the file's name is used."),
    "times are timecodes": ("note", "Understood as hours:minutes:seconds:frames, at the frame rate of the video."),
    "times are frames": ("note", "Divided by the frame rate of the video."),
    "videos have no subset": ("note", "They are all in the subset 'all'."),
    "videos are named by their files": ("note", "No column or key names a video: each label file is of the video that "
                                        "has its name."),
    "files are not read": ("note", "They are of no known format, or of another than most in this folder."),
    "labels look like several in one": ("warning", "Each is a class as it is written."),
    "separators are no commas": ("note", "Understood as written."),
    "times are written as minutes:seconds": ("note", "Understood as minutes:seconds or hours:minutes:seconds."),
    "times have a decimal comma": ("note", "Understood as a decimal point."),
    "cells have spaces around them": ("note", "They do not count."),
    "labels have two numbers": ("note", "The numbers are not used, classes are in alphabetical order."),
    "the subset is named by the file": ("note", "The file itself has none; give its folder to read all of its files."),
    "the file has other labels as well": ("note", "One kind is taken; the option that is named there takes another."),
    "frames may be counted at another rate": ("note", "They are divided by the frame rate of the video; --fps takes "
                                              "another."),
    "tiers are not read": ("note", "--tier NAME takes another, --tier A,B several, --tier all all of them."),
    "media are not read": ("note", "Their times are those of the first one, which names the video."),
    "times are shifted": ("note", "The tool counts from another moment than the start of the video's file."),
    "times may be shifted": ("warning", "Taken as they are. Compare one with the video."),
    "pairs may be shifted": ("warning", "Their number is odd: one start or stop is missing, and from there on the "
                             "pauses between actions are taken for actions. Find it in BORIS (Observations, Check "
                             "state events) and save the project again."),
    "observations have no media": ("note", "The name of the observation is taken for the video's."),
    "cues have several lines": ("note", "Each line is a label."),
    "cues go on": ("note", "A line that touching cues share, beside others, is one instance: overlapping actions are "
                   "written so."),
    "texts end in scores": ("note", "The label is what stands before; scores are not read."),
    "several could be the label": ("note", "One is taken, as said here; --label-column or --tier takes another."),
    "tracks do not end": ("note", 'They have no shape with outside="1", and are taken to end with their last one.'),
    "frames are counted in steps": ("note", "Understood as the frames of a task that takes every Nth of its video."),
    "items name several videos": ("note", "The first one is taken."),
    "videos are not labelled yet": ("note", "They are left out: nobody has said what happens in them."),
    "labels are predictions": ("warning", "No annotator has confirmed them."),
    "frames are counted at the tool's rate": (
        "note", "Label Studio counts frames at the frameRate of its labelling config, 24 unless it is set, and not at "
        "the video's. Where the file does not state it, the video's own is taken: if the config has another, give "
        "that (--fps 24)."),
}

ASIDE = {  # what a reader leaves out, an instance for each count: these, and what is kept, add up to what was read
    "labels mean that nothing happens": ("note", "They are set aside: not a class. To train on one, name it in "
                                         "--classes FILE."),
    "stretches are ambiguous": ("note", "They are set aside: neither a class nor background. The protocol thumos14 "
                                "forgives predictions that touch them."),
    "events are points in time": ("note", "They are set aside: an action has a start and an end."),
    "samples are negative": ("note", "They are set aside: they say where an action is not."),
    "starts or stops have no partner": ("warning", "They are set aside: a start and a stop make one action. Complete "
                                        "them in the tool and export again."),
    "items are no segments": ("note", "They are set aside."),
    "labels are not primary": ("note", "They are set aside, as the benchmark does: only its primary labels count."),
    "instances have no label": ("warning", "They are set aside: name the action in the tool, and export again."),
    "instances have no time": ("warning", "They are set aside: give them a start and an end in the tool, and export "
                               "again."),
    "items are drafts, skipped or predicted": ("note", "They are set aside: only what an annotator submitted counts."),
    "items are another annotator's": ("note", "They are set aside, or are an earlier version; --tier NAME takes one."),
}
KINDS |= ASIDE


@dataclass(frozen=True)
class Entry:
    """A video as the annotation file states it: its duration may be unknown, its segments may be wrong."""

    id: str
    subset: str
    instances: list[tuple[str, Any, Any]] = field(default_factory=list)  # in seconds; Frames until `settle`
    name: str | None = None  # of the video file, as written
    path: Path | None = None
    start: int | float = 0.0
    duration: int | float | None = None
    whole: bool = True  # False: only the stretch of the file from `start` on
    fps: int | float | None = None


@dataclass
class Finding:
    """How often something is odd about the annotations, with the first examples and what to do about it."""

    kind: str
    level: Literal["error", "warning", "note"]
    count: int
    examples: list[str]
    advice: str

    def describe(self, source: str | Path) -> str:
        """Return it in words: the file, the count, the first examples on a line each, and the advice."""
        return f"{source}: {self.count} {self.kind}:{listing(self.examples, self.count)}\n{self.advice}"


class Findings(dict[str, Finding]):
    """Findings by kind; remembers the first few examples of each, whatever the size of the file."""

    def __init__(self, kinds: dict[str, tuple[str, str]], show: int = 5):
        super().__init__()
        self.kinds, self.show = kinds, show

    def add(self, kind: str, example: str, longest: int = 200) -> None:
        """Count a finding of this kind and keep it, in `longest` characters, if it is one of the first."""
        if kind not in self:
            level, advice = self.kinds[kind]
            self[kind] = Finding(kind, level, 0, [], advice)
        self[kind].count += 1
        if len(self[kind].examples) < self.show:
            example = example.encode("utf-8", "backslashreplace").decode()
            self[kind].examples.append(_shortened(example, longest))


def _shortened(text: str, longest: int) -> str:
    """Return a text without its middle where it is too long: the option to type stands at its end."""
    half = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


@dataclass
class Sheet:
    """All that could be read from an annotation file, and what could not."""

    layout: str  # the format's name for people: "ActivityNet", "CSV", "ELAN"
    entries: list[Entry]
    classes: list[str] | None
    findings: Findings
    ambiguous: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # neither a class nor background
    unread: Counter[str] = field(default_factory=Counter)  # columns or keys with content that mean nothing here

    @property
    def set_aside(self) -> dict[str, int]:
        """The numbers of instances that were left out, by reason (a key of ASIDE)."""
        return {kind: self.findings[kind].count for kind in ASIDE if kind in self.findings}

    @property
    def counts(self) -> str:
        """How many instances were read, kept and set aside, in words: "22 read = 12 kept + 10 set aside (...)"."""
        kept, aside = sum(len(entry.instances) for entry in self.entries), self.set_aside
        reasons = "; ".join(f"{count}: {kind}" for kind, count in aside.items())
        total = sum(aside.values())
        return f"{kept + total} instances read = {kept} kept + {total} set aside ({reasons})" if aside else ""


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
