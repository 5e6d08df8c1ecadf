"""Read what BORIS exports as a table: aggregated events (a row an action) and tabular events (a row a start or stop).

Tabular events of BORIS 7 and before stand below about 15 lines of title, among them the time offset. Where several
files play one after the other, times count from the start of the first; newer exports have the files and their lengths
in "Source" and "Media duration (s)". Facts: boris/export_observation.py.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from losa.errors import AnnotationError
from losa.formats.boris import Event, Playlist, mention_choice, pair_events, playlist
from losa.formats.csv_format import read_csv_sheet
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.table import Table, plain
from losa.label_files.times import parse_time, seconds

BEHAVIOR = ("behavior", "behaviour")
TYPES = ("behavior type", "behaviour type", "status", "type")
MEDIA = ("media file name", "media file path", "media file", "media", "source")
NO_MEDIA = {"", "na", "n/a", "nan", "live", "not found", "live observation", "none"}
NO_VALUE = {"", "na", "nan", "none", "not defined", "no focal subject"}
CHOICES = r"modifiers?( ?#?\d+)?|behaviou?ral category|category|subject"


class Line(NamedTuple):
    """A row of the table: its place, its label, its cells, and where its events are in a video.

    observation: "" where the table has none. files: without files where the table does not have their lengths.
    """

    place: str
    label: str
    cells: Mapping[str, str]
    observation: str
    video: str
    files: Playlist
    length: float | None


def is_boris_aggregated(source: Source) -> bool:
    """Return whether a table has a behaviour, a start and a stop, and another column of BORIS."""
    columns = source.columns
    return (bool(columns & set(BEHAVIOR)) and {"start", "stop"} <= columns
            and bool(columns & {*TYPES[:2], "observation id", "behavioral category", "media file name"}))


def is_boris_tabular(source: Source) -> bool:
    """Return whether a table has a time, a behaviour and whether it starts or stops."""
    columns = source.columns
    return bool(columns & set(BEHAVIOR)) and "time" in columns and bool(columns & set(TYPES[:3]))


def read_boris_aggregated(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read aggregated events; the label is the behaviour, or the column that --label-column names."""
    if reading.columns:
        return read_csv_sheet(source, reading, findings)

    def rows() -> Iterator[Row]:
        for line in lines:
            yield from _aggregated(line, findings)

    lines = _lines(source, _label_column(source, reading), ("start", "stop"), findings)
    return _finished("BORIS aggregated events", source, rows(), findings)


def read_boris_tabular(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read tabular events; starts and stops pair in order for each observation, subject, behaviour and modifier."""
    if reading.columns:
        raise AnnotationError(f"{source.path}: --columns: starts and stops of BORIS are paired by its own columns; "
                              f"--label-column NAME takes another one for the label, --from csv reads a table")
    lines = _lines(source, _label_column(source, reading), ("time",), findings)
    events = sorted(_events(lines, findings), key=lambda numbered: numbered[0])
    return _finished("BORIS tabular events", source, pair_events((event for _, event in events), findings), findings)


def _finished(layout: str, source: Source, rows: Iterator[Row], findings: Findings) -> Sheet:
    sheet = collect(layout, rows, findings)
    if source.table.error:
        raise AnnotationError(f"{source.path}: {source.table.error}")
    return sheet


def _label_column(source: Source, reading: Reading) -> str:
    table = source.table
    if reading.label_column and plain(reading.label_column) not in table.plain:
        raise AnnotationError(f"{source.path}: --label-column {reading.label_column}: there is no such column; there "
                              f"are {', '.join(map(repr, table.header))}")
    return plain(reading.label_column) if reading.label_column else _first(BEHAVIOR, table.plain)


def _first(names: Sequence[str], columns: Sequence[str]) -> str:
    return next((name for name in names if name in columns), "")


# --- rows -----------------------------------------------------------------------------------------------------------


def _lines(source: Source, label: str, needed: Sequence[str], findings: Findings) -> list[Line]:
    """Return the rows with the video and the playlist of each; columns that may be labels are findings."""
    table, lines, seen = source.table, [], defaultdict(dict)
    lacking = [name for name in needed if name not in table.plain]
    if lacking or not label:
        raise AnnotationError(f"{source.path}: no column {', '.join(lacking) or 'behavior'}, as BORIS exports it; "
                              f"there are {', '.join(map(repr, table.header))[:300]}")
    offset, above = _number(_above(table, "time offset")) or 0.0, _above(table, "observation id")
    for number, cells in table.records(findings, ("comment", "comment stop")):
        place, observation = f"line {number}", cells.get("observation id", "") or above
        files = _listed(cells, _number(cells.get("time offset", "")) or offset)
        video = next((name for name in (_media(cells.get(column, "")) for column in MEDIA) if name), "")
        if not video:
            findings.add("observations have no media", f"{place}: {observation!r}")
        if files.offset:
            findings.add("times are shifted", f"{place}: the time offset of {files.offset:g} s is subtracted")
        name = "" if label not in BEHAVIOR and cells[label].lower() in NO_VALUE else cells[label]
        lines.append(Line(place, name, cells, observation, video or observation or source.video, files,
                          _length(cells)))
        for column, cell in cells.items():
            if column != label and re.fullmatch(CHOICES, column) and cell.lower() not in NO_VALUE:
                seen[column][cell] = None
    for column, values in seen.items():
        mention_choice(table.header[table.plain.index(column)], list(values), findings)
    return _on_own_clock(lines, findings)


def _length(cells: Mapping[str, str]) -> float | None:
    """Return the length of the video where a column has it."""
    length = _number(cells.get("media duration") or cells.get("total length", ""))
    return length if length and length > 0 else None


def _above(table: Table, name: str) -> str:
    """Return what stands beside a name in the lines above the header."""
    for line in table.above:
        key, _, value = line.partition(table.separator)
        if plain(key) == name:
            return value.strip(f'{table.separator} "')
    return ""


def _number(cell: str) -> float | None:
    return seconds(cell) if cell else None


def _media(cell: str) -> str:
    """Return the first file of a cell such as "clip.mp4", "1:clip.mp4" or "player #1:a.mp4;b.mp4|player #2:c.mp4"."""
    files = _of_player(cell)
    return files[0] if files and files[0].lower() not in NO_MEDIA else ""


def _of_player(cell: str) -> list[str]:
    first = re.split(r"\|(?=\s*player)|\s+(?=player #\d)", cell.strip(), flags=re.IGNORECASE)[0]
    first = re.sub(r"^\s*(?:player\s*)?#?\d+\s*:\s*", "", first, flags=re.IGNORECASE)
    return [file.strip() for file in first.split(";") if file.strip()]


def _listed(cells: Mapping[str, str], offset: float) -> Playlist:
    """Return the playlist that newer exports have in every row; one without files where there is none."""
    files = _of_player(cells.get("source", ""))
    lengths = [_number(part) for part in cells.get("media duration", "").split("|")[0].split(";")]
    if len(files) > 1 and len(lengths) == len(files) and None not in lengths:
        return playlist(files, lengths, offset)
    return Playlist([], [], offset)


def _on_own_clock(lines: list[Line], findings: Findings) -> list[Line]:
    """Return the lines without those whose times count from a file before their own, of a length not in the table.

    These are rows of an observation with several files where all times of a file come after those of the one before.
    """
    spans: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for line in lines:
        if line.observation and not line.files.files:
            times = [_number(line.cells.get(name, "")) for name in ("time", "start", "stop")]
            spans[line.observation].setdefault(line.video, []).extend(time for time in times if time is not None)
    late = {(key, video) for key, videos in spans.items() for video in _late(videos)}
    kept = []
    for line in lines:
        if (line.observation, line.video) in late:
            findings.add("rows cannot be understood", f"{line.place}: {line.video} seems to play after other files of "
                         f"{line.observation!r}, and its times to count from their start; read the project (.boris), "
                         f"or an export of BORIS 8 or newer")
        else:
            kept.append(line._replace(length=None) if len(spans[line.observation]) > 1 else line)
    return kept


def _late(videos: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the files after the first of {file: times} where the times of each begin after those of the one before."""
    ordered = sorted((min(times), max(times), video) for video, times in videos.items() if times)
    follows = all(before[1] <= after[0] for before, after in zip(ordered, ordered[1:], strict=False))
    return [video for *_, video in ordered[1:]] if follows else []


# --- events ---------------------------------------------------------------------------------------------------------


def _kind(cells: Mapping[str, str]) -> str:
    """Return START, STOP, POINT or STATE; "" where no column says it."""
    cell = cells.get(_first(TYPES, list(cells)), "").upper()
    return next((kind for kind in ("START", "STOP", "POINT", "STATE") if kind in cell), "")


def _aggregated(line: Line, findings: Findings) -> Iterator[Row]:
    start, end, kind = line.cells["start"], line.cells["stop"], _kind(line.cells)
    if kind == "POINT" or (not kind and start and start == end):
        findings.add("events are points in time", f"{line.place}: {line.label!r} at {start}")
    elif not line.label:
        findings.add("instances have no label", f"{line.place}: [{start}, {end}]")
    elif seconds(start) is not None and end.upper() in ("", "NA", "NAN"):
        findings.add("starts or stops have no partner", f"{line.place}: {line.label!r} starts at {start}, no stop")
    else:
        yield _placed(line, findings)


def _placed(line: Line, findings: Findings) -> Row:
    """Return the row with times in its own file: without time offset and the files that play before."""
    row, files = Row(line.place, line.video, line.label, line.cells["start"], line.cells["stop"]), line.files
    start, end = seconds(row.start), seconds(row.end)
    if start is None or end is None or not (files.files or files.offset):
        return row._replace(duration=line.length)
    found = files.find(start) if files.files else None
    if found is None:
        return row._replace(start=round(start - files.offset, 6), end=round(end - files.offset, 6))
    findings.add("times are shifted", f"{line.place}: {found[0]} plays with others, one after the other; times count "
                                      f"from its start")
    return row._replace(video=found[0], start=found[1], end=round(found[1] + end - start, 6))


def _events(lines: list[Line], findings: Findings) -> Iterator[tuple[float, Event]]:
    """Yield the time in the observation and the event of every row with START, STOP or POINT."""
    for line in lines:
        cells, kind, files = line.cells, _kind(line.cells), line.files
        time = parse_time(cells["time"])
        if not isinstance(time, float) or kind not in ("START", "STOP", "POINT"):
            findings.add("rows cannot be understood", f"{line.place}: {cells['time']},{line.label},{kind}; expected a "
                                                      f"time and START, STOP or POINT")
        elif line.label:
            video, own = files.find(time, kind == "STOP") or (line.video, round(time - files.offset, 6))
            modifiers = tuple(cell for key, cell in cells.items() if key.startswith("modifier"))
            series = (line.observation, "" if files.files else line.video, cells.get("subject", ""),
                      cells.get(_first(BEHAVIOR, list(cells)), line.label), modifiers)
            yield time, Event(line.place, series, kind, own, line.label, video)
        elif kind != "STOP":
            findings.add("instances have no label", f"{line.place}: {kind} at {time:g} s")
