"""Read the tables of published data sets: EPIC-KITCHENS, C2-Action-Detection, HACS Clips, Charades; and TRACE's.

Sources: the README files of epic-kitchens-100-annotations and C2-Action-Detection, HACS' and Charades' own.
"""

from collections import Counter
from collections.abc import Iterator

from losa.errors import AnnotationError
from losa.formats.csv_format import in_unit, read_csv_sheet, unit_of
from losa.label_files.cells import read_classes
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.subsets import subset_of_file
from losa.label_files.table import ALIASES, plain
from losa.label_files.times import Frames, parse_time, seconds

EPIC = {"video id", "start timestamp", "stop timestamp"}  # columns
EPIC_OWN = {"narration id", "participant id", "narration", "verb", "noun"}
EPIC_LABELS = ("verb", "class", "noun", "narration", "verb class", "noun class", "description", "class id")
C2 = {"narration id", "video", "start", "stop"}
C2_LABELS = ("action", "verb", "noun")
SIGNS = {"1", "-1", "1.0", "-1.0", "+1"}  # HACS Clips: the sample is one of its class, or not
TRACE = {"label id", "timestamp", "end timestamp"}
LOOKED_AT = 200  # rows, to recognise a table by its cells


# --- EPIC-KITCHENS --------------------------------------------------------------------------------------------------


def is_epic(source: Source) -> bool:
    """Return whether a table has EPIC-KITCHENS' columns; EPIC-SOUNDS has them as well."""
    return source.columns >= EPIC and bool(source.columns & EPIC_OWN)


def read_epic(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read EPIC-KITCHENS' table, the verb being the class where no --label-column says another.

    Raises AnnotationError where it has no labels, as the one of the test set.
    """
    if reading.columns.keys() - {"label"}:
        return read_csv_sheet(source, reading, findings)
    _require(source, EPIC)
    labels = _label_columns(source, reading, EPIC_LABELS, findings)
    if not labels:
        raise AnnotationError(f"{source.path}: is a table of EPIC-KITCHENS without labels (its test set has none); "
                              f"expected a column verb, noun or class, as in EPIC_100_train.csv")
    subset, unread = _subset(source, findings), Counter[str]()

    def rows() -> Iterator[Row]:
        for line, cells in _records(source, findings):
            _count(cells, {*EPIC, *labels, "start frame", "stop frame"}, unread)
            times = [_clock(cells[name]) for name in ("start timestamp", "stop timestamp")]
            yield Row(f"line {line}", cells["video id"], _label(cells, labels), *times, subset=subset)

    return collect("EPIC-KITCHENS", rows(), findings, unread=unread)


def _clock(cell: str) -> object:
    """Return the seconds of a time of day; the cell where it is none."""
    time = parse_time(cell)
    return cell if time is None else time


# --- C2-Action-Detection ----------------------------------------------------------------------------------------------


def is_c2(source: Source) -> bool:
    """Return whether a table has C2-Action-Detection's columns, and whole numbers as times."""
    return source.columns >= C2 and all(_whole(cell) for cells in _first(source, "start", "stop") for cell in cells)


def read_c2(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the table of EPIC-KITCHENS' detection baseline: start and stop in frames, "action" being the class."""
    _require(source, C2)
    labels = _label_columns(source, reading, C2_LABELS, findings)
    if not labels:
        raise AnnotationError(f"{source.path}: is a table of C2-Action-Detection without labels; expected a column "
                              f"action, verb or noun")
    subset, unread = _subset(source, findings), Counter[str]()
    if reading.fps is None:
        findings.add("frames may be counted at another rate", "C2-Action-Detection's own files count 30 a second, "
                     "whatever the videos have: with these, give --fps 30")

    def rows() -> Iterator[Row]:
        for line, cells in _records(source, findings):
            _count(cells, {*C2, *labels}, unread)
            times = [_frame(cells[name]) for name in ("start", "stop")]
            yield Row(f"line {line}", cells["video"], _label(cells, labels), *times, subset=subset)

    return collect("C2-Action-Detection", rows(), findings, unread=unread)


def _frame(cell: str) -> object:
    """Return the number of a frame; text that is no time where the cell is none."""
    return Frames(seconds(cell) or 0.0) if _whole(cell) else f"frame {cell}" if cell else ""


def _whole(cell: str) -> bool:
    number = seconds(cell) if ":" not in cell else None
    return number is not None and number == int(number) and number >= 0


# --- HACS Clips -------------------------------------------------------------------------------------------------------


def is_hacs_clips(source: Source) -> bool:
    """Return whether the column "label" of a table holds only 1 and -1, another one the names of classes."""
    if not {"label", "start", "end"} <= source.columns or not _class_column(source):
        return False
    cells = [cell for cell, in _first(source, "label")]
    return bool(cells) and set(cells) <= SIGNS


def read_hacs_clips(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read HACS Clips' table, {"classname", "youtube_id", "subset", "start", "end", "label"}; negatives go apart."""
    chosen = _label_columns(source, reading, (_class_column(source),), findings)
    if chosen == ["label"] or reading.columns.keys() - {"label"}:
        return read_csv_sheet(source, reading, findings)
    _require(source, {"label", "start", "end", *(chosen or ["classname"])})
    video = _column(source, ("youtube id", "video", *ALIASES["video"]))
    subset, unread = _column(source, ("subset", *ALIASES["subset"])), Counter[str]()
    units = {name: unit_of(source.table.header[source.table.plain.index(name)]) for name in ("start", "end")}
    findings.add("columns have another name", f"{' and '.join(map(repr, chosen))} is label; 'label' is 1 or -1, for "
                 f"samples with and without their action")

    def rows() -> Iterator[Row]:
        for line, cells in _records(source, findings):
            _count(cells, {*chosen, video, subset, "start", "end", "label"}, unread)
            name, label, part = cells.get(video, source.video), _label(cells, chosen), cells.get(subset, "")
            times = [in_unit(cells[name], unit) for name, unit in units.items()]
            if not cells["label"]:
                label = ""  # neither 1 nor -1: a finding
            if cells["label"].startswith("-"):
                findings.add("samples are negative", f"line {line}: {name}, no {label!r} in [{cells['start']}, "
                             f"{cells['end']}]")
            yield Row(f"line {line}", name, *([] if cells["label"].startswith("-") else [label, *times]), subset=part)

    return collect("HACS Clips", rows(), findings, unread=unread)


def _class_column(source: Source) -> str:
    """Return the column that names classes beside "label"; "" for none."""
    for name in ("class", "classname", "class name", "action", "activity", "category", "label name"):
        if name in source.columns:
            return name
    return ""


# --- Charades ---------------------------------------------------------------------------------------------------------


def is_charades(source: Source) -> bool:
    """Return whether a table has a column "actions" of cells like "c092 11.90 21.20;c147 0.00 12.60"."""
    if "actions" not in source.columns or not _column(source, ("id", *ALIASES["video"])):
        return False
    parts = [part for cell, in _first(source, "actions") for part in cell.split(";") if part.strip()]
    return any(map(_packed, parts)) or source.columns >= {"id", "script", "actions", "length"}


def read_charades(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read Charades' table; `reading.classes` may be Charades_v1_classes.txt, whose lines are "c092 NAME"."""
    video, subset = _column(source, ("id", *ALIASES["video"])), _subset(source, findings)
    names, unread = read_classes(reading.classes), Counter[str]()
    _require(source, {video or "id", "actions"})

    def rows() -> Iterator[Row]:
        for line, cells in _records(source, findings):
            _count(cells, {video, "actions", "length"}, unread)
            duration = seconds(cells.get("length"))
            if cells.get("length") and not (duration or 0) > 0:
                findings.add("rows cannot be understood", f"line {line}: length {cells['length']}")
            yield Row(f"line {line}", cells[video], subset=subset, duration=duration or None)
            for part in cells["actions"].split(";"):
                label, *times = _packed(part) or ("",)
                if label:
                    yield Row(f"line {line}", cells[video], _charades_name(label, names), *times, subset=subset)
                elif part.strip():
                    findings.add("rows cannot be understood", f"line {line}: {cells[video]}: {part.strip()!r} is no "
                                 f"label with a start and an end")

    return collect("Charades", rows(), findings, unread=unread)


def _packed(part: str) -> tuple[str, str, str] | None:
    """Return label, start and end of "c092 11.90 21.20"; None where it is not that."""
    cells = part.strip().rsplit(None, 2)
    if len(cells) != 3 or None in (seconds(cells[1]), seconds(cells[2])):
        return None
    return cells[0], cells[1], cells[2]


def _charades_name(label: str, names: dict[int, str]) -> str:
    number = label.removeprefix("c")
    return names.get(int(number), label) if number.isascii() and number.isdigit() and len(number) < 10 else label


# --- TRACE ------------------------------------------------------------------------------------------------------------


def is_trace(source: Source) -> bool:
    """Return whether a table has TRACE's columns: labelId, timestamp, endTimestamp."""
    return source.columns >= TRACE


def read_trace(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read a table of TRACE, which is of the video that has its name; times in seconds."""
    if reading.columns.keys() - {"label"}:
        return read_csv_sheet(source, reading, findings)
    _require(source, TRACE)
    labels = _label_columns(source, reading, ("label id",), findings)
    video = _column(source, ("video", *ALIASES["video"]))
    if not video:
        findings.add("videos are named by their files", f"{source.path.name} is of {source.video!r}")
    unread = Counter[str]()

    def rows() -> Iterator[Row]:
        yield from [] if video else [Row("file", source.video)]
        for line, cells in _records(source, findings):
            _count(cells, {video, *labels, *TRACE}, unread)
            yield Row(f"line {line}", cells.get(video, source.video), _label(cells, labels), cells["timestamp"],
                      cells["end timestamp"])

    return collect("TRACE", rows(), findings, unread=unread)


# --- what they share --------------------------------------------------------------------------------------------------


def _records(source: Source, findings: Findings) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells of every row. Raises AnnotationError where a column or a quote is wrong."""
    table = source.table
    twice = sorted(name for name, times in Counter(table.plain).items() if times > 1 and name)
    if twice:
        raise AnnotationError(f"{source.path}: a column is there more than once: {', '.join(twice)}; the first line is "
                              f"{table.separator.join(table.header)[:200]!r}")
    yield from table.records(findings)
    if table.error:
        raise AnnotationError(f"{source.path}: {table.error}")


def _require(source: Source, columns: set[str]) -> None:
    """Raise AnnotationError where the table lacks some of the columns."""
    lacking = sorted(columns - source.columns)
    if lacking:
        raise AnnotationError(f"{source.path}: no column {', '.join(lacking)}; the columns are "
                              f"{', '.join(map(repr, source.table.header))[:300]}")


def _first(source: Source, *columns: str) -> Iterator[list[str]]:
    """Yield the cells of some columns of the first rows, of rows that have them."""
    at = [source.table.plain.index(name) for name in columns]
    for _, row in source.table.rows[:LOOKED_AT]:
        if len(row) > max(at):
            yield [row[i].strip() for i in at]


def _column(source: Source, names: tuple[str, ...]) -> str:
    """Return the first of the names that is a column; "" for none."""
    return next((name for name in names if name in source.columns), "")


def _label_columns(source: Source, reading: Reading, usual: tuple[str, ...], findings: Findings) -> list[str]:
    """Return the columns that make the label: the one that the user names, or several ("verb,noun"), or the usual one.

    Adds a note of the others. Raises AnnotationError where a named one is not there.
    """
    given = reading.label_column or reading.columns.get("label", "")
    if given:
        if given.isascii() and given.isdigit() and 1 <= int(given[:4]) <= len(source.table.header):  # its number
            return [source.table.plain[int(given[:4]) - 1]]
        columns = [plain(given)] if plain(given) in source.columns else [plain(name) for name in given.split(",")]
        if not source.columns.issuperset(columns):
            raise AnnotationError(f"{source.path}: --label-column {given}: there is no such column; there are "
                                  f"{', '.join(source.table.header)[:300]}")
        return columns
    there = [name for name in usual if name in source.columns]
    if len(there) > 1:
        written = dict(zip(source.table.plain, source.table.header, strict=True))
        others = " or ".join(f"--label-column {written[name]}" for name in there[1:])
        pair = "; --label-column verb,noun makes pairs" if {"verb", "noun"} <= {*there} else ""
        findings.add("the file has other labels as well", f"{written[there[0]]!r} is the class; {others} takes another"
                     f"{pair}")
    return there[:1]


def _label(cells: dict[str, str], columns: list[str]) -> str:
    """Return the label of a row; "verb:noun" of two columns, "" where one of them is empty."""
    parts = [cells[name] for name in columns]
    return ":".join(parts) if all(parts) else ""


def _subset(source: Source, findings: Findings) -> str:
    subset = subset_of_file(source.path)
    if subset:
        findings.add("the subset is named by the file", f"{source.path.name}: all videos are in {subset!r}")
    return subset


def _count(cells: dict[str, str], used: set[str], unread: Counter[str]) -> None:
    """Count the cells with content of columns that are not read."""
    unread.update(name for name, cell in cells.items() if cell and name not in used)
