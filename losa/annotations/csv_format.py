"""Read CSV as people write it: with or without a header, from Excel, with commas or semicolons, seconds or minutes."""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from losa.annotations.cells import is_safe, read_text, seconds, without_suffix
from losa.annotations.sheet import KINDS, Entry, Findings, Sheet, check_one_subset, stop
from losa.errors import AnnotationError

COLUMNS = ("video", "label", "start", "end")
ALIASES = {
    "video": ("filename", "file", "file_name", "video_id", "videoid", "video_name", "videoname", "clip", "id", "path"),
    "label": ("class", "action", "activity", "category", "event", "name", "labels"),
    "start": ("begin", "from", "t_start", "start_time", "starttime", "start_s", "onset", "t-start"),
    "end": ("stop", "to", "t_end", "end_time", "endtime", "end_s", "offset", "t-end"),
    "subset": ("split", "set", "fold"),
}  # fmt: skip


def read_csv_sheet(path: Path, text: str, findings: Findings) -> Sheet:
    """Read the rows of a CSV with columns video, label, start, end and, if it has one, subset; one entry per video."""
    names, instances, subsets, unread = defaultdict(dict), defaultdict(list), defaultdict(Counter), Counter()
    for line, row in _rows(path, text, COLUMNS, ("subset",), findings):
        unread.update(column for column, cell in row.items() if cell and column not in (*COLUMNS, "subset"))
        name, start, end = row["video"].replace("\\", "/"), seconds(row["start"]), seconds(row["end"])
        whole = name and row["label"] and start is not None and end is not None
        if not whole and (not name or row["label"] or row["start"] or row["end"]):
            findings.add("rows cannot be understood", f"line {line}: {','.join(row.values())}")
            continue
        if not is_safe(name, f"line {line}: {name!r}", findings):
            name = re.split("[/:]", name)[-1][:200]
            if not is_safe(name):
                continue
        key = without_suffix(name)
        names[key].setdefault(name)
        subsets[key][row["subset"] or "all"] += 1
        if whole:
            for time in (row["start"], row["end"]):
                if ":" in time:
                    findings.add("times are written as minutes:seconds", f"line {line}: {time} is {seconds(time):g} s")
                if "," in time:
                    findings.add("times have a decimal comma", f"line {line}: {time}")
            instances[key].append((row["label"], start, end))
    for key, spellings in names.items():
        if len({Path(name).suffix for name in spellings} - {Path(key).suffix}) > 1:
            findings.add("ids are there more than once", f"{key}: {', '.join(spellings)} would be one video")
    check_one_subset(subsets, findings)
    entries = [Entry(key, max(subsets[key], key=subsets[key].get), instances[key], max(spellings, key=len))
               for key, spellings in names.items()]
    return Sheet("CSV", entries, None, findings, unread=unread)


def read_ranges(path: Path) -> list[dict]:
    """Read the rows of a CSV with columns id, file, start, end (seconds; empty: 0 and inf) and perhaps subset.

    Each has the number of its "line" as well. Raises AnnotationError for rows that make no range.
    """
    rows, wrong, findings = [], [], Findings(KINDS)
    for line, row in _rows(path, read_text(path, findings), ("id", "file", "start", "end"), ("subset",), findings):
        start, end = seconds(row["start"] or 0), seconds(row["end"]) if row["end"] else np.inf
        safe = is_safe(row["id"], row["id"], findings) and is_safe(row["file"], row["file"], findings)
        if not safe or start is None or end is None or not 0 <= start < end:
            wrong.append(f"line {line}: {','.join(row.values())}")
        rows.append(row | {"start": start, "end": end, "line": line})
    wrong += [example for finding in findings.values() if finding.level == "error" for example in finding.examples]
    if wrong:
        stop(path, wrong, "ranges cannot be understood", "Expected id, file, and 0 <= start < end in seconds.")
    return rows


def _rows(path: Path, text: str, needed: Sequence[str], optional: Sequence[str],
          findings: Findings) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells of every row that is not empty, without the spaces around them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if separator_line := re.match(r"\s*sep=(.)\n", text):  # Excel's own way to name its separator
        text = text[: separator_line.start(1) - 4] + text[separator_line.end(1) :]
    first = text.lstrip().split("\n", 1)[0]
    separator = max(",;\t|", key=first.count)
    if separator != ",":
        findings.add("separators are no commas", f"{separator!r} in the first line: {first}")
    lines = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        rows = ((lines.line_num, row) for row in lines if any(cell.strip() for cell in row))
        line, cells = next(rows, (1, []))
        header = _header(path, cells, needed, optional, findings)
        if "header line missing" in findings:
            rows = iter([(line, cells), *rows])
        for line, row in rows:
            if any(cell != cell.strip() for cell in row):
                findings.add("cells have spaces around them", f"line {line}: {separator.join(row)}")
            row = _evened([cell.strip() for cell in row], header, optional)
            if len(row) != len(header):
                findings.add("rows do not have as many cells as the first line",
                             f"line {line}: {len(row)} instead of {len(header)}: {separator.join(row)}")
                continue
            cells = dict(zip(header, row, strict=True))
            yield line, cells | {name: "" for name in optional if name not in cells}
    except csv.Error as error:
        raise AnnotationError(f"{path}: line {lines.line_num} cannot be read as CSV ({error}); is a quote opened and "
                              f"never closed?") from error


def _evened(row: list[str], header: list[str], optional: Sequence[str]) -> list[str]:
    """Return the row without empty cells beyond the header's, and with those that may be left out."""
    while len(row) > len(header) and not row[-1]:
        row = row[:-1]
    only_name = len(row) == 1 and not set(row[0]) & set(",;\t\n")
    short = only_name or (len(row) == len(header) - 1 and header[-1] in optional)
    return row + [""] * (len(header) - len(row)) if short else row


def _header(path: Path, cells: list[str], needed: Sequence[str], optional: Sequence[str],
            findings: Findings) -> list[str]:
    """Return the names of the columns, ours for their aliases; without a header line by their order."""
    header = [cell.strip().lower() for cell in cells]
    while header and not header[-1]:  # empty columns of a table's edge
        header.pop()
    for name in (*needed, *optional):
        other = next((alias for alias in ALIASES.get(name, ()) if alias in header), None)
        if name not in header and other and needed == COLUMNS:
            findings.add("columns have another name", f"{cells[header.index(other)].strip()!r} instead of {name!r}")
            header[header.index(other)] = name
    lacking = [name for name in needed if name not in header]
    if len(lacking) == len(needed) == 4 and len(header) in (4, 5) and needed == COLUMNS:
        for order in (("video", "start", "end", "label", "subset"), ("video", "label", "start", "end", "subset")):
            if None not in (seconds(header[order.index("start")]), seconds(header[order.index("end")])):
                findings.add("header line missing", f"the first line is {','.join(cells)!r}, read as "
                             f"{','.join(order[: len(header)])}")
                return list(order[: len(header)])
    if lacking or len(set(header)) < len(header):
        what = f"no column {', '.join(lacking)}" if lacking else "a column is there more than once"
        raise AnnotationError(f"{path}: {what}; the first line is {','.join(cells)[:200]!r}, expected "
                              f"{','.join(needed)} (and {', '.join(optional)}, if you like)")
    return header
