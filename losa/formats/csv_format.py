"""Read CSV as people write it: with or without a header, from Excel, with commas or semicolons, in any unit.

Columns are found by their names (`table.ALIASES`) or given (`Reading.columns`). Times are in the unit that the name
of their column states, "Start (ms)" or "start_frame", else seconds.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from losa.errors import AnnotationError
from losa.formats.other_tools import name_tool
from losa.label_files.cells import is_safe, read_text
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import KINDS, Findings, Sheet, stop
from losa.label_files.source import Reading, Source
from losa.label_files.table import ALIASES, HEADER, UNIT, Table, find_table, plain
from losa.label_files.times import WORDS, Frames, Time, convert, parse_time, seconds
from losa.video.folder import VIDEO_SUFFIXES

COLUMNS = ("video", "label", "start", "end")
OPTIONAL = ("subset",)
GROUPED = re.compile(r"\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{3})+")  # 1.166 or 1'166, which may be 1166
FEW = 0.5  # of the rows: a text column with fewer different values than this looks like labels


class Column(NamedTuple):
    """A column of the table: its name as `plain` has it, its name as written, and the unit that this states."""

    key: str
    written: str
    unit: str = ""
    grouped: bool = False  # digits in groups of three: "1.166" is 1166


def read_csv_sheet(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read a table with columns video, label, start, end (or duration) and, if it has one, subset.

    Raises AnnotationError where columns are missing.
    """
    if reading.tier:
        raise AnnotationError(f"{source.path}: --tier {reading.tier}: a table has no tiers; --label-column NAME "
                              f"takes a column")
    table = with_header(source.table, reading, findings)
    try:
        columns = find_columns(source.path, table, reading, findings)
    except AnnotationError as error:
        tool = "" if reading.columns or reading.label_column else name_tool(source)
        raise AnnotationError(f"{source.path}: {tool}") if tool else error from None
    if "video" not in columns:
        _check_one_video(source, table)
        findings.add("videos are named by their files", f"{source.path.name} is of {source.video!r}")
    columns = _in_units(table, columns, reading, findings)
    used = {column.key for column in columns.values()}
    unread, seen = Counter[str](), defaultdict(Counter)

    def rows() -> Iterator[Row]:
        for line, cells in table.records(findings, (*ALIASES["subset"], "subset")):
            for name, cell in cells.items():
                if cell and name not in used:
                    unread[name] += 1
                    seen[name][cell] += 1
            yield _row(f"line {line}", cells, columns, source.video)

    sheet = collect("CSV", rows(), findings, unread=unread)
    _note_frames(table, columns, findings)
    if table.error:
        raise AnnotationError(f"{source.path}: {table.error}")
    mention_unread(seen, {written: name for name, written in zip(table.plain, table.header, strict=True)}, findings,
                   "video" in columns)
    return sheet


def _check_one_video(source: Source, table: Table) -> None:
    """Raise AnnotationError where no column is the video's, and one has names of other files than the table's own."""
    for at, written in enumerate(table.header):
        names = dict.fromkeys(row[at].strip() for _, row in table.rows if len(row) > at and row[at].strip())
        files = {re.split(r"[\\/]", name)[-1] for name in names}
        if all(Path(name).suffix.lower() in {*VIDEO_SUFFIXES, ".eaf"} for name in files) and any(
                Path(name).stem != Path(source.video).name for name in files):
            raise AnnotationError(f"{source.path}: no column video, but {written!r} names {len(names)} files, such as "
                                  f"{next(iter(names))[:100]!r}. Say that it is meant: --columns video=\"{written}\"")


def _row(place: str, cells: Mapping[str, str], columns: Mapping[str, Column], file: str) -> Row:
    """Return the row of a line's cells; `file` names the video where no column does."""
    found = {ours: cells.get(column.key, "") for ours, column in columns.items()}
    start, end = (_time(found.get(name, ""), columns.get(name)) for name in ("start", "end"))
    if "duration" in columns and "end" not in columns:
        end = _later(start, _time(found["duration"], columns["duration"]))
    video = re.sub(r"(?<=.)\.eaf$", "", found.get("video", file), flags=re.IGNORECASE)  # as ELAN names the file
    return Row(place, video, found["label"], start, end, found.get("subset", ""))


def _time(cell: str, column: Column | None) -> object:
    """Return the cell as it is, or as a time in the unit of its column where that states one."""
    if column is not None and column.grouped:
        cell = re.sub(r"\D", "", cell)
    return cell if column is None else in_unit(cell, column.unit)


def in_unit(cell: str, unit: str) -> object:
    """Return a number as a time in the unit of its column; the cell as it is where it is none, or a clock's."""
    number = seconds(cell) if unit not in ("", "seconds") and ":" not in cell else None
    return cell if number is None else convert(number, unit)


def _in_units(table: Table, columns: Mapping[str, Column], reading: Reading, findings: Findings) -> dict[str, Column]:
    """Return the columns with the unit that their numbers have: the one asked for, before the one of their name.

    In whole milliseconds or frames, "1.166" is 1166 where every number beyond 999 is written so.
    """
    asked = "" if reading.times == "seconds" else reading.times
    found = dict(columns)
    for ours, column in columns.items():
        if reading.times and column.unit not in ("", "seconds"):
            findings.add("columns state another unit than is asked for", f"{column.written!r} is read as "
                         f"{reading.times}, not {column.unit}")
            found[ours] = column._replace(unit="")
    whole = {ours: table.plain.index(column.key) for ours, column in found.items()
             if ours in ("start", "end", "duration") and (asked or column.unit) in ("ms", "frames")}
    cells = [row[at].strip() for _, row in table.rows for at in whole.values() if len(row) > at]
    groups = [cell for cell in cells if GROUPED.fullmatch(cell)]
    if groups and all(re.fullmatch(r"\d{0,3}", cell) or GROUPED.fullmatch(cell) for cell in cells):
        findings.add("numbers have groups of digits", f"{groups[0]} is " + re.sub(r"\D", "", groups[0]))
        found |= {ours: found[ours]._replace(grouped=True) for ours in whole}
    return found


def _note_frames(table: Table, columns: Mapping[str, Column], findings: Findings) -> None:
    """Add a finding where all times are like 00:00:08.09 and the last two digits could be those of a timecode."""
    at = [table.plain.index(columns[name].key) for name in ("start", "end") if name in columns]
    cells = [row[i].strip() for _, row in table.rows for i in at if len(row) > i and row[i].strip()]
    found = [re.fullmatch(r"\d+:\d\d:\d\d[.,](\d\d)", cell) for cell in cells]
    last = {match[1] for match in found if match}
    if all(found) and len(last) > 5 and max(last) < "30":
        findings.add("hundredths may be frames", f"{max(cells, key=lambda cell: cell[-2:])}, and {len(cells)} like it")


def _later(start: object, duration: object) -> Time | str:
    """Return the end of what begins at `start`; "" where one of both is no time."""
    first, length = parse_time(start), parse_time(duration)
    if first is None or length is None:
        return ""
    if isinstance(first, Frames):
        return replace(first, later=length)
    return replace(length, later=first) if isinstance(length, Frames) else first + length


# --- which column is which ------------------------------------------------------------------------------------------


def with_header(table: Table, reading: Reading, findings: Findings) -> Table:
    """Return the table, with a header where its first line is a row; a finding says which, if none was given.

    A first line is a row where two of its four or five cells are times and the user gives columns by number, or where
    they stand in an order that people use.
    """
    row = (table.header_line, table.header)
    numbers = {name: int(at) for name, at in reading.columns.items() if re.fullmatch(r"[1-9]\d?", at)}
    if {"start", "end"} <= numbers.keys() and max(numbers.values()) <= len(table.header):
        if None not in [parse_time(table.header[numbers[name] - 1]) for name in ("start", "end")]:
            names = [f"column {at}" for at in range(1, len(table.header) + 1)]
            return replace(table, header=names, rows=[row, *table.rows])
        return table
    for order in (("video", "start", "end", "label", "subset"), ("video", "label", "start", "end", "subset")):
        if reading.columns or len(table.header) not in (4, 5) or set(table.plain) & set(HEADER):
            break
        if None not in [parse_time(table.header[order.index(name)]) for name in ("start", "end")]:
            names = list(order[:len(table.header)])
            findings.add("header line missing", f"the first line is {table.separator.join(table.header)!r}, read as "
                         f"{','.join(names)}; to say so: --columns "
                         + ",".join(f"{name}={at}" for at, name in enumerate(names, 1)))
            return replace(table, header=names, rows=[row, *table.rows])
    return table


def find_columns(path: Path, table: Table, reading: Reading, findings: Findings) -> dict[str, Column]:
    """Return {ours: column of the table} for video, label, start, end or duration, and subset.

    Raises AnnotationError where one of the first four is missing, there twice, or given and not there.
    """
    given = dict(reading.columns) | ({"label": reading.label_column} if reading.label_column else {})
    found = {ours: _given(path, table, ours, name) for ours, name in given.items()}
    taken = {column.key for column in found.values()}
    for ours in ("video", "label", "start", "end", "duration", "subset"):
        named = None if ours in found or (ours == "end" and "duration" in found) else _named(table, ours, taken)
        if named is not None:
            found[ours] = named
            taken.add(named.key)
            if named.key != ours:
                findings.add("columns have another name", f"{named.written!r} is {ours}"
                             + (f", in {named.unit}" if named.unit not in ("", "seconds") else ""))
    if "end" in found and "duration" not in given:
        found.pop("duration", None)
    lacking = [ours for ours in COLUMNS if ours not in found and not (ours == "end" and "duration" in found)]
    lacking = [] if lacking == ["video"] else lacking  # one file a video
    twice = sorted(name for name, times in Counter(table.plain).items() if times > 1 and name in taken)
    if lacking or twice:
        raise AnnotationError(_complaint(path, table, lacking, twice))
    if table.separator != ",":
        findings.add("separators are no commas", f"{table.separator!r} in the first line: "
                     f"{table.separator.join(table.header)}")
    for line in table.above:
        if line:
            findings.add("lines above the header", line)
    return found


def _given(path: Path, table: Table, ours: str, name: str) -> Column:
    """Return the column that the user named, by its name or its number from 1."""
    if ours not in (*COLUMNS, "duration", "subset"):
        raise AnnotationError(f"{path}: --columns {ours}={name}: expected video, label, start, end, duration or subset "
                              f"before the sign")
    for key, written in zip(table.plain, table.header, strict=True):
        if name in (written, key) or plain(name) == key:
            return Column(key, written, _unit_for(ours, written))
    if re.fullmatch(r"[1-9]\d?", name) and int(name) <= len(table.header):
        at = int(name) - 1
        return Column(table.plain[at], table.header[at], _unit_for(ours, table.header[at]))
    raise AnnotationError(f"{path}: there is no column {name!r} (for {ours}); there are "
                          f"{', '.join(map(repr, table.header))}")


def _named(table: Table, ours: str, taken: set[str]) -> Column | None:
    """Return the column that has our name or one of its aliases, in seconds rather than in another unit."""
    choices = []
    for at, (key, written) in enumerate(zip(table.plain, table.header, strict=True)):
        unit = _unit_for(ours, written)
        words = key.replace(",", " ").split()
        base = " ".join(word for word in words if word not in WORDS and (word != "in" or word == words[0]))
        base = base if unit and base else key
        names = (ours, *ALIASES[ours])
        if base in names and key not in taken:
            choices.append((unit not in ("", "seconds"), names.index(base), at, Column(key, written, unit)))
    return min(choices)[-1] if choices else None


def _unit_for(ours: str, written: str) -> str:
    """Return the unit that the name of a column of times states; "" for columns of anything else."""
    return unit_of(written) if ours in ("start", "end", "duration") else ""


def unit_of(written: str) -> str:
    """Return the unit that a column's name states, one of `times.UNITS`; "" where it states none."""
    bracket = re.search(UNIT + r"\s*$", written)
    if bracket:
        return WORDS.get(bracket[1].lower(), "")
    words = plain(written).replace(",", " ").split()
    named = [WORDS[word] for word in (*words[-1:], *words[:1], *words[1:-1]) if word in WORDS]  # "frame start"
    return named[0] if named and len(words) > 1 else ""


def _complaint(path: Path, table: Table, lacking: list[str], twice: list[str]) -> str:
    """Return why a table cannot be read, and which option would help."""
    first = table.separator.join(table.header)[:200]
    if twice:
        return f"{path}: a column is there more than once: {', '.join(twice)}; the first line is {first!r}"
    if set(lacking) == set(COLUMNS):
        return (f"{path}: no column {', '.join(lacking)}; the first line is {first!r}, expected {','.join(COLUMNS)} "
                f"(and subset, if you like)." + (_by_number(table.header) or " Say which are meant: --columns "
                                                 + ",".join(f"{ours}=NAME" for ours in COLUMNS) + ".")
                + " `losa data check --formats` lists the files of tools that are read")
    also = " (without video= where the file is named like its video)" if "video" in lacking else ""
    return (f"{path}: no column {', '.join(lacking)}; the columns are {', '.join(map(repr, table.header))[:300]}. Say "
            f"which are meant: --columns {','.join(f'{ours}=NAME' for ours in lacking)}{also}")


def _by_number(cells: list[str]) -> str:
    """Return how to say which columns are meant where the first line is a row with two times and one or two texts."""
    times = [at for at, cell in enumerate(cells, 1) if parse_time(cell) is not None][:2]
    texts = [at for at, cell in enumerate(cells, 1) if cell and parse_time(cell) is None]
    if len(times) < 2 or not 1 <= len(texts) <= 2:
        return ""
    named = dict(zip(("video", "label") if len(texts) == 2 else ("label",), texts, strict=True))
    named |= {"start": times[0], "end": times[1]}
    return (" If there is no first line with names, say which column is which, such as --columns "
            + ",".join(f"{ours}={at}" for ours, at in named.items())
            + ("" if "video" in named else ", in a file that is named like its video") + ".")


def mention_unread(seen: Mapping[str, Counter], written: Mapping[str, str], findings: Findings,
                   named: bool = True) -> None:
    """Add a finding for each column {name: {cell: times}} that is not read and looks as if it held labels.

    named: a column names the video; else this one may.
    """
    for name, cells in seen.items():
        texts = [cell for cell in cells if seconds(cell) is None and not looks_like_path(cell)]
        total = sum(cells.values())
        if len(texts) > 0.5 * len(cells) and len(cells) <= max(FEW * total, 1) and len(cells) > 1:
            examples = ", ".join(cell for cell, _ in cells.most_common(3))
            findings.add("columns are not read that may be labels", f"{name!r} ({len(cells)} different: {examples}): "
                         f"--label-column {name!r} takes it"
                         + f"; --columns video={name!r}, if it names the videos" * (not named))


def looks_like_path(cell: str) -> bool:
    """Return whether a cell is rather a file or an address than a label."""
    return "/" in cell or "\\" in cell or bool(re.search(r"\.[A-Za-z0-9]{2,4}$", cell))


# --- ranges of files ------------------------------------------------------------------------------------------------


def read_ranges(path: Path) -> list[dict]:
    """Read the rows of a CSV with columns id, file, start, end (seconds; empty: 0 and inf) and perhaps subset.

    Each has the number of its "line" as well. Raises AnnotationError for rows that make no range.
    """
    rows: list[dict] = []
    wrong, findings = [], Findings(KINDS)
    table = find_table(read_text(path, findings))
    lacking = [name for name in ("id", "file", "start", "end") if name not in table.plain]
    if lacking:
        raise AnnotationError(f"{path}: no column {', '.join(lacking)}; the first line is "
                              f"{table.separator.join(table.header)[:200]!r}, expected id,file,start,end (and subset)")
    for line, row in table.records(findings, OPTIONAL):
        row = {"subset": ""} | row
        start, end = seconds(row["start"] or 0), seconds(row["end"]) if row["end"] else np.inf
        safe = is_safe(row["id"], row["id"], findings) and is_safe(row["file"], row["file"], findings)
        if not safe or start is None or end is None or not 0 <= start < end:
            wrong.append(f"line {line}: {','.join(row.values())}")
        rows.append(row | {"start": start, "end": end, "line": line})
    wrong += [example for finding in findings.values() if finding.level == "error" for example in finding.examples]
    if wrong:
        stop(path, wrong, "ranges cannot be understood", "Expected id, file, and 0 <= start < end in seconds.")
    return rows
