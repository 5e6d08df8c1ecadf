"""Write a clean copy of an annotation file: repairs what `check` finds and what can be repaired without guessing."""

import csv
import io
import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from losa.annotations.cells import short
from losa.annotations.check import CHECKS, check_labels, find_videos, rounded, same_but_for_signs, with_file_facts
from losa.annotations.csv_format import COLUMNS
from losa.annotations.formats import scan
from losa.annotations.resolve import ROUNDING, shortened, where
from losa.annotations.sheet import NOT_LAYOUT, Entry, Findings, Sheet
from losa.errors import AnnotationError
from losa.files import write_text

READ = {  # what reading alone repairs, by kind of finding
    "header line missing": "header line written",
    "columns have another name": "columns renamed",
    "rows cannot be understood": "rows left out that cannot be understood",
    "rows do not have as many cells as the first line": "rows left out with more or fewer cells than the first line",
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
LOOKED_UP = {  # what the videos and the other rows repair, by kind of finding
    "video files have another name": "names of video files corrected",
    "durations differ from the file's": "durations taken from the file",
    "frame rates differ from the file's": "frame rates taken from the file",
    "subsets differ only in case or spaces": "subsets put together that differ only in case or spaces",
    "labels differ only in case, spaces or signs": "labels put together that differ only in case, spaces or signs",
    "labels look misspelt": "labels corrected that look misspelt",
    "video files are missing": "videos left out, their files are missing",
    "video files cannot be used": "videos left out, their files cannot be used",
    "videos could be several files": "videos left out that could be several files",
}
OWN = [  # what is repaired row by row
       "instances left out, their label is empty or not clear", "labels of instances taken from the list of classes",
       "segments turned round that ended before they started", "instances of zero length left out",
       "segments wholly outside their video left out", "segments clipped to their video", "repeated instances left out",
       "videos put together that are one file", "ambiguous stretches left out, which belong to no class: the protocol "
       "thumos14 forgives what touches them, evaluate by the text files"]
CHANGES = {change: ("note", "") for change in [*READ.values(), *LOOKED_UP.values(), *OWN]}


def fix(annotations: str | Path, out: str | Path, videos: str | Path | None = None,
        decode: bool = False) -> list[str]:
    """Write the clean copy `out` and return what was changed in it: counts, and the first examples.

    out: .json for ActivityNet's layout, or .csv where a CSV came in; never the input itself. With `videos`, the folder
    of the files, names, durations and frame rates become the files' and videos without a usable file are left out;
    `decode` reads them to their end. Columns and keys that mean nothing here are not carried over, and named.
    Raises AnnotationError where nothing can be read, or nothing would be left.
    """
    source, out, folder = Path(annotations), Path(out), None if videos is None else Path(videos)
    if out.exists() and (out.is_dir() or (source.exists() and out.samefile(source))):
        raise AnnotationError(f"{out}: is the input itself, or a folder; give the clean copy a name of its own")
    sheet = scan(source)
    if out.suffix.lower() not in ((".csv", ".json") if sheet.layout == "CSV" else (".json",)):
        raise AnnotationError(f"{out}: the clean copy of {sheet.layout} is written as .json"
                              + (" or .csv" if sheet.layout == "CSV" else ""))
    findings, changes = Findings(CHECKS, show=3), Findings(CHANGES, show=3)
    entries = sheet.entries
    if folder is not None:
        located, infos = find_videos(entries, source, folder, findings, decode)
        entries = [with_file_facts(entry, infos.get(entry.path), findings) for entry in located if entry.path]
    for key, stretches in sheet.ambiguous.items():
        for start, end in stretches:
            changes.add(OWN[-1], f"{key} [{start}, {end}]")
    subsets = same_but_for_signs(Counter(entry.subset for entry in entries), "subsets differ only in case or spaces",
                                 findings)
    renamed = check_labels(replace(sheet, entries=entries), findings)
    entries = [replace(entry, subset=subsets.get(entry.subset, entry.subset) or "all") for entry in entries]
    entries = [replace(entry, instances=_clean(entry, renamed, bool(sheet.classes), changes))
               for entry in _merged(entries, changes)]
    if not any(entry.instances for entry in entries):
        reasons = [f"{f.count} {f.kind}: {f.examples[0]}" for f in [*sheet.findings.values(), *findings.values()]
                   if f.level == "error"]
        raise AnnotationError(f"{source}: nothing would be left. " + "; ".join(reasons))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, _as_csv(entries) if out.suffix.lower() == ".csv" else _as_json(sheet, entries, source, out, folder))
    changed = READ | LOOKED_UP
    lines = [_line(changed[kind], item.count, item.examples) for kind, item in (sheet.findings | findings).items()
             if kind in changed]
    lines += [_line(kind, item.count, item.examples) for kind, item in changes.items()]
    unread = sorted(sheet.unread.items(), key=lambda item: (-item[1], item[0]))
    unread = [f"{short(name)} ({count})" for name, count in unread]
    what = f"{'columns' if sheet.layout == 'CSV' else 'keys'} not carried over"
    return lines + ([f"{len(unread)} {what}: {shortened(unread, 10)}"] if unread else [])


def _merged(entries: list[Entry], changes: Findings) -> list[Entry]:
    """Merge entries that are the same whole file in the same subset."""
    merged: dict = {}
    for entry in entries:
        key = (entry.path, entry.subset) if entry.path and entry.whole else entry.id
        if key in merged:
            changes.add("videos put together that are one file", f"{merged[key].id} and {entry.id}")
            merged[key] = replace(merged[key], instances=merged[key].instances + entry.instances)
        else:
            merged[key] = entry
    return list(merged.values())


def _clean(entry: Entry, renamed: dict[str, str], listed: bool, changes: Findings) -> list[tuple[str, float, float]]:
    """Return the instances that are left, inside the video, each once."""
    kept = {}
    for label, start, end in entry.instances:
        place, name = where(entry, label, start, end), renamed.get(label, label)
        if not name:
            changes.add("instances left out, their label is empty or not clear", place)
            continue
        if listed and name != label:
            changes.add("labels of instances taken from the list of classes", f"{place} is {name!r}")
        if end < start:
            changes.add("segments turned round that ended before they started", place)
            start, end = end, start
        low, high = max(start, 0.0), end if entry.duration is None else min(end, entry.duration)
        if start == end:
            changes.add("instances of zero length left out", place)
        elif low >= high:
            changes.add("segments wholly outside their video left out", place)
        elif rounded(name, low, high) in kept:
            changes.add("repeated instances left out", place)
        else:
            if low > start or high < end - ROUNDING:
                changes.add("segments clipped to their video", f"{place} to [{low:g}, {high:g}]")
            kept[rounded(name, low, high)] = (name, low, high)
    return list(kept.values())


def _as_csv(entries: list[Entry]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, "subset"])
    for entry in entries:
        for label, start, end in entry.instances or [("", "", "")]:
            times = [round(time, 6) if label else "" for time in (start, end)]
            writer.writerow([entry.name or entry.id, label, *times, entry.subset])
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
            **({"duration": round(entry.duration, 6)} if entry.duration is not None else {}),
            **({"fps": entry.fps} if entry.fps is not None else {}),
            **({"path": path} if path else {}),
            **({"start": entry.start} if entry.start else {}),
            "annotations": [{"label": label, "segment": [start, end]} for label, start, end in entry.instances],
        }  # fmt: skip
    left = {label for entry in entries for label, _, _ in entry.instances}
    classes = {"classes": sheet.classes} if sheet.classes and left <= set(sheet.classes) else {}
    return json.dumps({"version": "losa" if own else "checked by losa", **classes, "database": database}, indent=1,
                      ensure_ascii=False)


def _line(change: str, count: int, examples: list[str]) -> str:
    shown = "; ".join(re.sub(r"\s+", " ", example) for example in examples[:3])
    return f"{count} {change}: {shown}" + (f"; and {count - 3} more" if count > 3 else "")
