"""Write a clean copy of an annotation file: repairs what `check` finds and what can be repaired without guessing.

A repair never destroys. Labels become one by themselves only where they are equal but for case and spaces. What is
changed or left out is counted, and logged item by item beside the copy, so that it can be put back (`change_log`).
Where most of the instances would be left out, nothing is written. A second repair of the copy changes nothing.
"""

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from losa.annotations.change_log import ChangeLog, Instance, log_beside
from losa.annotations.check import (
    CHECKS,
    counted,
    find_videos,
    identity,
    is_outside,
    scan_listed,
    with_file_facts,
)
from losa.annotations.resolve import ROUNDING, ends_are_durations, find_other_unit, shortened, where
from losa.annotations.scan import AS_PUBLISHED
from losa.annotations.spelling import choose_names, report_labels, same_words, unify
from losa.errors import AnnotationError
from losa.files import write_text
from losa.formats.csv_format import COLUMNS
from losa.label_files.cells import read_text, short
from losa.label_files.sheet import KINDS, NOT_LAYOUT, Entry, Findings, Sheet
from losa.label_files.source import AS_RECOGNISED, Reading, parse_json

READ = {  # what reading alone repairs, by kind of finding
    "header line missing": "header line written",
    "columns have another name": "columns renamed",
    "rows cannot be understood": "rows left out that cannot be understood",
    "rows do not have as many cells as the first line": "rows left out with more or fewer cells than the first line",
    "instances have no end": "rows left out that have no end",
    "times are dates": "rows left out with dates for times",
    "timecodes do not fit the frame rate": "rows left out whose timecode does not fit the frame rate",
    "times are frames, and the frame rate is not known": "rows left out in frames, of unknown rate",
    "times are frames": "videos whose frames were made seconds",
    "times are timecodes": "timecodes made seconds",
    "names of videos are paths or addresses": "names of videos cut to the name of the file",
    "lines above the header": "lines above the header left out",
    "bytes are not UTF-8": "file read as Windows-1252 and written as UTF-8: look at its accents",
    NOT_LAYOUT: "places left out that are not in the layout",
    "videos contradict themselves": "videos whose duration was made end - start",
    "ids are there more than once": "videos put together from several entries",
    "videos are in more than one subset": "videos put into the subset that most of their rows name",
    "ids or paths lead out of the folder": "names that lead out of the folder cut to their last part, or left out",
    "separators are no commas": "separators made commas",
    "times are written as minutes:seconds": "times written in seconds",
    "times have a decimal comma": "decimal commas made points",
    "cells have spaces around them": "rows freed of spaces around cells",
}
LOOKED_UP = {  # what the videos repair, by kind of finding
    "video files have another name": "names of video files corrected",
    "durations differ from the file's": "durations taken from the file",
    "frame rates differ from the file's": "frame rates taken from the file",
    "video files are missing": "videos left out, their files are missing",
    "video files cannot be used": "videos left out, their files cannot be used",
    "videos could be several files": "videos left out that could be several files",
}
AMBIGUOUS = ("ambiguous stretches left out, which belong to no class: the protocol thumos14 forgives what touches "
             "them, evaluate by the text files")
SET_ASIDE = "instances set aside that are no action"
LEFT_OUT = {  # what is left out: in a list of changes, and in a sum
    "instances left out, their video has no usable file": "in videos without a usable file",
    "instances left out, their label is empty": "without a label",
    "segments left out that end before they start and lie not inside their video": "ending before they start",
    "instances of zero length left out": "of zero length",
    "segments wholly outside their video left out": "wholly outside their video",
    "repeated instances left out": "repeated",
    "instances left out that repeat another to the millisecond": "repeated to the millisecond",
}
NO_FILE, EMPTY, BACKWARDS, ZERO, OUTSIDE, REPEATED, NEARLY = LEFT_OUT
OWN = [  # what is changed row by row
       "labels of instances written as in the list of classes",
       "labels of instances written as the commonest that differs only in case or spaces",
       "labels of instances renamed as asked for",
       "segments turned round that ended before they started",
       "segments clipped to their video",
       "videos put together that are one file",
       "subsets of videos written as the commonest that differs only in case or spaces",
       "videos without a subset put into the subset all",
       "facts of videos written as their files have them"]  # fmt: skip
LISTED, CASE, RENAMED, TURNED, CLIPPED, MERGED, SUBSET, NO_SUBSET, FACTS = OWN
CHANGES = {change: ("note", "") for change in [*READ.values(), *LOOKED_UP.values(), *LEFT_OUT, *OWN, AMBIGUOUS,
                                                           SET_ASIDE]}
NOT_READ = ("rows cannot be understood", "rows do not have as many cells as the first line",
            "instances have no end", "times are dates", "timecodes do not fit the frame rate",
            "times are frames, and the frame rate is not known")  # each one row less
ALL = 10**9  # examples: every one is logged


@dataclass
class Repairs:
    """What happens on the way from a file to its copy: counts with examples, the sum, and the log."""

    changes: Findings = field(default_factory=lambda: Findings(CHANGES, show=3))
    left_out: Counter[str] = field(default_factory=Counter)
    log: ChangeLog = field(default_factory=ChangeLog)

    def leave_out(self, entry: Entry, old: Instance, why: Sequence[str]) -> None:
        """Count and log an instance that is left out for the last of these reasons."""
        self.changes.add(why[-1], where(entry, *old))
        self.left_out[LEFT_OUT[why[-1]]] += 1
        self.log.add_instance(entry.id, old, list(why))

    def keep(self, entry: Entry, old: Instance, why: Sequence[str], target: Entry, new: Instance) -> None:
        """Count and log an instance that is kept, if anything about it is another for these reasons."""
        for reason in why:
            self.changes.add(reason, _change(entry, old, new, reason))
        if why or target is not entry:
            self.log.add_instance(entry.id, old, [*why, *[MERGED] * (target is not entry)], target.id, new)

    def sum(self, kept: int) -> str:
        """Return "read 12 instances = 9 kept + 3 of zero length"."""
        read = kept + self.left_out.total()
        return f"read {counted(read, 'instance')} = {kept} kept" + "".join(
            f" + {count} {reason}" for reason, count in self.left_out.items())


def fix(annotations: str | Path, out: str | Path, videos: str | Path | None = None, decode: bool = False,
        rename: Sequence[str] = (), classes: str | Path | Sequence[str] | None = None,
        reading: Reading = AS_RECOGNISED) -> list[str]:
    """Write the clean copy `out` and return what was changed in it: the sum, counts with examples, the log's name.

    out: .json for ActivityNet's layout, or .csv where a CSV came in; never the input itself. With `videos`, the folder
    of the files, names, durations and frame rates become the files' and videos without a usable file are left out;
    `decode` reads them to their end. rename: "OLD=NEW" for each label that is to have another name. classes: names, or
    a file with one a line; labels that differ from one in case or spaces are written like it, others are left as they
    are. reading: how to read the file, where it leaves a choice. Columns and keys that mean nothing here are not
    carried over, and named.

    A single segment that ends before it starts is turned round where both times lie inside the video (or its length is
    not known): that loses nothing, and the log has both. It is left out where one time lies outside.

    Raises AnnotationError where nothing can be read, nothing would be left, OLD is no label, many ends are durations,
    most segments lie outside their video, or more than half of the instances would be left out, exact repeats aside.
    """
    source, out, folder = Path(annotations), Path(out), None if videos is None else Path(videos)
    reading = reading if classes is None else replace(reading, classes=classes)
    sheet = scan_listed(source, reading, folder, show=ALL)
    _check_out(sheet, source, out)
    repairs, findings = Repairs(), Findings(CHECKS, show=3)
    names, listed = choose_names(sheet, rename)
    _count_unread(sheet, source, repairs)
    given = entries = sheet.entries
    if folder is not None:
        entries, infos = find_videos(entries, source, folder, findings, decode)
        entries = [with_file_facts(entry, infos.get(entry.path), findings) if entry.path else entry
                   for entry in entries]
    _refuse_other_units([entry for entry in entries if folder is None or entry.path], source)
    facts = ("name", "duration", "fps") if out.suffix.lower() == ".json" else ("name",)
    entries = _repair_entries(given, entries, source, folder, facts, repairs)
    renamed = {label: (name, _why_renamed(label, name, bool(listed))) for label, name in names.items()}
    entries = [replace(group[0], instances=_clean(group, renamed, repairs)) for group in _grouped(entries, repairs)]
    kept = sum(len(entry.instances) for entry in entries)
    _refuse_to_destroy(kept, repairs, replace(sheet, entries=given), findings, source)
    sheet = replace(sheet, classes=listed or None)
    out.parent.mkdir(parents=True, exist_ok=True)
    repairs.log.write(log_beside(out))
    write_text(out, _as_csv(entries) if out.suffix.lower() == ".csv" else _as_json(sheet, entries, source, out, folder))
    return _told(sheet, findings, repairs, kept, out)


def _check_out(sheet: Sheet, source: Path, out: Path) -> None:
    for path in (out, log_beside(out)):
        if path.exists() and (path.is_dir() or (source.exists() and path.samefile(source))):
            raise AnnotationError(f"{path}: is the input itself, or a folder; give the clean copy a name of its own")
    both = sheet.layout not in AS_PUBLISHED
    if out.suffix.lower() not in ((".csv", ".json") if both else (".json",)):
        raise AnnotationError(f"{out}: the clean copy of {sheet.layout} is written as .json" + " or .csv" * both)


# --- what was read, and what stops a repair -------------------------------------------------------------------------


def _count_unread(sheet: Sheet, source: Path, repairs: Repairs) -> None:
    """Count what reading alone left out or repaired, and log its examples."""
    for kind, finding in sheet.findings.items():
        if kind in READ:
            for example in finding.examples:
                repairs.log.add_fact("", READ[kind], "", example, None)
            more = finding.count - len(finding.examples)
            if more:
                repairs.log.add_fact("", READ[kind], "", f"and {more} more in {source.name}", None)
    rows = sum(sheet.findings[kind].count for kind in NOT_READ if kind in sheet.findings)
    rows += max(0, _num_items(source) - sum(len(entry.instances) for entry in sheet.entries)
                - sum(sheet.set_aside.values())) if sheet.layout in ("ActivityNet", "MultiTHUMOS") else 0  # fmt: skip
    repairs.left_out.update({"not understood": rows} if rows else {})
    for kind in [kind for kind in sheet.set_aside if kind != "stretches are ambiguous"]:
        repairs.left_out[f"set aside ({kind})"] += sheet.set_aside[kind]
        for example in sheet.findings[kind].examples:
            repairs.changes.add(SET_ASIDE, example)
            repairs.log.add_fact("", SET_ASIDE, "", example, None)
    for key, stretches in sheet.ambiguous.items():
        for start, end in stretches:
            repairs.changes.add(AMBIGUOUS, f"{key} [{start}, {end}]")
            repairs.log.add_instance(key, ("Ambiguous", start, end), [AMBIGUOUS])
            repairs.left_out["ambiguous, of no class"] += 1


def _num_items(source: Path) -> int:
    """Count the items in all lists of annotations of a JSON, whatever they are."""
    content = parse_json(read_text(source, Findings(KINDS)), [])
    videos = content.get("database", content) if isinstance(content, dict) else {}
    lists = [video.get("annotations", video.get("actions")) for video in videos.values() if isinstance(video, dict)]
    return sum(len(items) for items in lists if isinstance(items, list))


def _refuse_other_units(entries: Sequence[Entry], source: Path) -> None:
    """Raise AnnotationError where `end` holds durations, or most segments lie outside their video."""
    backwards = ends_are_durations(entries)
    if backwards:
        raise AnnotationError(f"{source}: {backwards} of {sum(len(entry.instances) for entry in entries)} segments end "
                              f"before they start; no copy is written. {CHECKS['ends are durations'][1]}")
    why, advice, examples = find_other_unit(entries)
    if why:
        raise AnnotationError(f"{source}: {why}, first {examples[0]}; no copy is written. {advice}")


def _refuse_to_destroy(kept: int, repairs: Repairs, sheet: Sheet, findings: Findings, source: Path) -> None:
    """Raise AnnotationError where nothing would be left, or less than half of what is not an exact repeat."""
    lost = sum(count for why, count in repairs.left_out.items() if not why.startswith("set aside")
               and why not in (LEFT_OUT[REPEATED], "ambiguous, of no class"))
    if kept and lost <= kept:
        return
    report_labels(sheet, findings)
    reasons = [f"{f.count} {f.kind}: {f.examples[0]}" for f in [*sheet.findings.values(), *findings.values()]
               if f.level == "error"]
    reasons += [f"{f.count} {f.kind}: {f.examples[0]}" for kind, f in repairs.changes.items() if kind in LEFT_OUT]
    begin = "nothing is repaired by deleting most of the file" if kept else "nothing would be left"
    advice = ". Copy the videos into the folder, or leave out --videos" if repairs.left_out[LEFT_OUT[NO_FILE]] else ""
    raise AnnotationError(f"{source}: {begin}: {repairs.sum(kept)}. Correct these in the file first: "
                          + "; ".join(reasons) + advice)


# --- the repairs ----------------------------------------------------------------------------------------------------


def _repair_entries(given: Sequence[Entry], found: Sequence[Entry], source: Path, folder: Path | None,
                    facts: Sequence[str], repairs: Repairs) -> list[Entry]:
    """Return the entries that have a usable file (all, without a folder), with one spelling of each subset.

    found: the given ones, with what the files say. facts: what the copy will have of that.
    """
    subsets, entries = unify(Counter(entry.subset for entry in found if folder is None or entry.path)), []
    for old, new in zip(given, found, strict=True):
        if folder is not None and new.path is None:
            for name in ("subset", "name", "duration", "fps"):
                repairs.log.add_fact(old.id, NO_FILE, name, getattr(old, name), None)
            for item in old.instances:
                repairs.leave_out(old, item, [NO_FILE])
            continue
        subset = subsets.get(new.subset, new.subset) or "all"
        if subset != old.subset:
            why = SUBSET if old.subset else NO_SUBSET
            repairs.changes.add(why, f"{old.id}: {old.subset!r} is {subset!r}")
            repairs.log.add_fact(old.id, why, "subset", old.subset, subset)
        same_file = old.name and new.path and (source.parent / old.name).resolve() == new.path.resolve()
        for name in facts:
            was, now = getattr(old, name), getattr(new, name)
            if was != now and not (name == "name" and same_file and "duration" in facts):
                repairs.changes.add(FACTS, f"{old.id}: {name} {now}" + f" instead of {was}" * (was is not None))
                repairs.log.add_fact(old.id, FACTS, name, was, now)
        entries.append(replace(new, subset=subset))
    return entries


def _grouped(entries: Iterable[Entry], repairs: Repairs) -> list[list[Entry]]:
    """Return the entries in groups that are the same whole file in the same subset."""
    groups: dict = {}
    for entry in entries:
        key = (entry.path, entry.subset) if entry.path and entry.whole else entry.id
        if key in groups:
            repairs.changes.add(MERGED, f"{groups[key][0].id} and {entry.id}")
            repairs.log.add_fact(entry.id, MERGED, "video", entry.id, groups[key][0].id)
        groups.setdefault(key, []).append(entry)
    return list(groups.values())


def _clean(group: Sequence[Entry], renamed: Mapping[str, tuple[str, str]], repairs: Repairs) -> list[Instance]:
    """Return the instances that are left of a video's entries, inside the video, each once."""
    kept: dict[tuple, Instance] = {}
    for entry in group:
        for old in entry.instances:
            name, *why = renamed.get(old[0], (old[0],))
            new, more = _repaired(name, *old[1:], entry.duration)
            first = kept.setdefault(identity(*new, entry.duration), new) if new else None
            if new and first is new:
                repairs.keep(entry, old, [*why, *more], group[0], new)
            else:
                repairs.leave_out(entry, old, [*why, *more, *[REPEATED if first == new else NEARLY] * bool(new)])
    return list(kept.values())


def _repaired(label: str, start: float, end: float, duration: float | None) -> tuple[Instance | None, list[str]]:
    """Return an instance turned round and clipped where it has to be, None where it is left out, and why."""
    if not label.strip():
        return None, [EMPTY]
    if start == end:
        return None, [ZERO]
    why, last = [], float("inf") if duration is None else duration
    if end < start:
        start, end, why = end, start, [TURNED]
        if start < 0 or end > last + ROUNDING:
            return None, [BACKWARDS]
    if is_outside(start, end, duration):
        return None, [*why, OUTSIDE]
    low, high = max(start, 0.0), last if end > last + ROUNDING else end  # loading clips what passes it by less
    return (label, low, high), why + [CLIPPED] * ((low, high) != (start, end))


def _why_renamed(label: str, name: str, listed: bool) -> str:
    return RENAMED if same_words(label) != same_words(name) else LISTED if listed else CASE


def _change(entry: Entry, old: Instance, new: Instance, reason: str) -> str:
    """Return the change of an instance in words."""
    change = {CLIPPED: f" to [{new[1]:g}, {new[2]:g}]", TURNED: ""}.get(reason, f" is {new[0]!r}")
    return where(entry, *old) + change


# --- writing --------------------------------------------------------------------------------------------------------


def _as_csv(entries: list[Entry]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, "subset"])
    for entry in entries:
        for label, start, end in entry.instances or [("", "", "")]:
            writer.writerow([entry.name or entry.id, label, start, end, entry.subset])
    return file.getvalue()


def _as_json(sheet: Sheet, entries: list[Entry], source: Path, out: Path, folder: Path | None) -> str:
    database, own = {}, False
    for entry in entries:
        file = entry.path
        if file is None and entry.name and sheet.layout == "ActivityNet" and folder is None:
            file = source.parent / entry.name
        path = None if file is None else Path(os.path.relpath(file.resolve(), out.parent.resolve())).as_posix()
        own |= path is not None and ".." in path.split("/")
        database[entry.id] = {
            "subset": entry.subset,
            **({"duration": entry.duration} if entry.duration is not None else {}),
            **({"fps": entry.fps} if entry.fps is not None else {}),
            **({"path": path} if path else {}),
            **({"start": entry.start} if entry.start else {}),
            **({"end": entry.duration} if entry.duration and not entry.start and not entry.whole else {}),
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in entry.instances],
        }  # fmt: skip
    classes = {"classes": sheet.classes} if sheet.classes else {}
    return json.dumps({"version": "losa" if own else "checked by losa", **classes, "database": database}, indent=1,
                      ensure_ascii=False)


def _told(sheet: Sheet, findings: Findings, repairs: Repairs, kept: int, out: Path) -> list[str]:
    """Return the sum, a line for each kind of change, what is not carried over, and where the log is."""
    changed, lines = READ | LOOKED_UP, [repairs.sum(kept)]
    lines += [_line(changed[kind], item.count, item.examples) for kind, item in (sheet.findings | findings).items()
              if kind in changed]
    lines += [_line(kind, item.count, item.examples) for kind, item in repairs.changes.items()]
    unread = sorted(sheet.unread.items(), key=lambda item: (-item[1], item[0]))
    if unread:
        what = f"{'columns' if sheet.layout == 'CSV' else 'keys'} not carried over"
        lines.append(f"{len(unread)} {what}: {shortened([f'{short(name)} ({count})' for name, count in unread], 10)}")
    rows = counted(len(repairs.log.rows), "change")
    return [*lines, f"{rows} one by one, old and new: {log_beside(out)}"] if repairs.log.rows else lines


def _line(change: str, count: int, examples: list[str]) -> str:
    shown = "; ".join(re.sub(r"\s+", " ", example) for example in examples[:3])
    return f"{count} {change}: {shown}" + (f"; and {count - 3} more" if count > 3 else "")
