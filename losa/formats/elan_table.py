"""Read ELAN's tab-delimited export, with or without its first line, in any language of its menus.

Times stand in up to four columns each for begin, end and duration ("Begin Time - hh:mm:ss.ms", "... - ss.msec", "... -
msec", timecodes). Before them are tier and participant, if wanted, after them the annotation; or, after
them, a column for each tier. Of several files in one, the last columns name the .eaf.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from losa.errors import AnnotationError
from losa.formats.csv_format import unit_of
from losa.formats.elan import UNITS, file_name
from losa.formats.tiers import choose_tiers
from losa.label_files.cells import without_suffix
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.table import HEAD
from losa.label_files.times import Frames, Time, parse_time, seconds

FORMS = {"ss.msec": 1.0, "hh:mm:ss.ms": 1.0, "hh:mm:ss.msec": 1.0, "msec": 1e-3, "ms": 1e-3, "hh:mm:ss:ff": 1.0}
PLAIN = {  # names in tables that were made from such an export
    "begin": ("begin", "begin time", "start", "start time", "onset"), "end": ("end", "end time", "stop", "offset"),
    "text": ("annotation", "annotation value", "value", "label", "text", "transcription"),
    "file": ("file path", "file name", "file", "filename", "media", "video"),
}  # fmt: skip
TIMED = re.compile(r"(.+?)\s+-\s+(hh:mm:ss\.ms|hh:mm:ss\.msec|ss\.msec|msec|ms|hh:mm:ss:ff)\b.*", re.IGNORECASE)
FEW = 200  # lines that are looked at to recognise a table without a first line
CLOSE = 0.0021  # seconds


class Span(NamedTuple):
    """Where begin and end of an annotation stand: a column each, and the seconds of one of their units."""

    begin: int
    end: int
    unit: float


@dataclass(frozen=True)
class Layout:
    """Which column is which; None: there is none. tiers: {name: column} where each tier has its own.

    rate: frames in a second of timecodes, which ELAN counts as PAL or NTSC whatever the video has; None: not stated.
    """

    span: Span
    tier: int | None
    text: int | None
    tiers: dict[str, int]
    file: int | None
    width: int
    rate: float | None = None


class Found(NamedTuple):
    """An annotation as a line of the table has it."""

    place: str
    tier: str
    text: str
    begin: str
    end: str
    file: str


def is_elan_table(source: Source) -> bool:
    """Return whether a table has ELAN's time columns by name, or begin, end and duration that fit each other."""
    return source.xml is None and source.content is None and _layout(source)[0] is not None


def read_elan_table(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the annotations of one tier, or of those that --tier names. `reading.label_column` "tier": as for .eaf.

    Raises AnnotationError where several tiers have annotations and none is chosen.
    """
    layout, has_header = _layout(source)
    if layout is None:
        raise AnnotationError(f"{source.path}: has no columns of begin and end as ELAN names them; export it again "
                              f"with begin, end and duration (File > Export As > Tab-delimited Text), or give the .eaf")
    found = list(_found(source, layout, has_header, findings))
    counts: dict[str, int] = dict.fromkeys(layout.tiers, 0)
    for one in found:
        counts[one.tier] = counts.get(one.tier, 0) + 1
    chosen = choose_tiers(source.path, counts, reading.tier, findings)
    video = _video_above(source, findings)
    if layout.file is None and not video:
        findings.add("videos are named by their files", f"{source.path.name} is of {source.video!r}")

    def rows() -> Iterator[Row]:
        for one in found:
            name = without_ending(one.file) or video or source.video
            label = one.tier if reading.label_column == "tier" else one.text
            if one.tier in chosen and not label:
                findings.add("instances have no label", f"{one.place}: [{one.begin}, {one.end}]")
            elif one.tier in chosen:
                yield Row(one.place, name, label, *(_time(cell, layout.span.unit, None if reading.fps else layout.rate)
                                                   for cell in (one.begin, one.end)))

    return collect("ELAN tab-delimited text", rows(), findings)


def without_ending(name: str) -> str:
    """Return the name of an .eaf or video without folders and ending."""
    name = file_name(name)
    return PurePosixPath(name).stem if name.lower().endswith(".eaf") else without_suffix(name)


def _time(cell: str, unit: float, rate: float | None = None) -> Time | str:
    """Return a time of this unit in seconds; a timecode as it is, where its rate is not known."""
    code = parse_time(cell) if rate else None
    at = code.at(rate) if rate and isinstance(code, Frames) else None
    if at is not None:
        return round(at, 6)
    number = seconds(cell) if unit != 1 else None
    return cell if number is None else round(number * unit, 6)


# --- which column is which ------------------------------------------------------------------------------------------


def _layout(source: Source) -> tuple[Layout | None, bool]:
    """Return which column is which, and whether the first line names them."""
    named = _by_name(source) or _by_plain_name(source)
    return named or _by_content(source), named is not None


def _by_plain_name(source: Source) -> Layout | None:
    """Return the layout of a table with a column Tier and others of plain names; None for others."""
    names, header = source.table.plain, source.table.header
    at = {ours: next((names.index(name) for name in theirs if name in names), None) for ours, theirs in PLAIN.items()}
    begin, end, text = at["begin"], at["end"], at["text"]
    if "tier" not in names or begin is None or end is None or text is None:
        return None
    units = {unit_of(header[column]) for column in (begin, end)}
    if len(units) > 1 or units - {"", "seconds", "ms"}:
        return None
    return Layout(Span(begin, end, 1e-3 if "ms" in units else 1.0), names.index("tier"), text, {}, at["file"],
                  len(header))


def _by_name(source: Source) -> Layout | None:
    """Return the layout of a table whose first line names columns "... - ss.msec"; None for others."""
    header = source.table.header
    timed = [(at, found[1].strip().casefold(), found[2].lower()) for at, name in enumerate(header)
             for found in [TIMED.fullmatch(name.strip())] if found]
    groups = list(dict.fromkeys(group for _, group, _ in timed))
    if len(groups) < 2:
        return None
    units = {(group, form): at for at, group, form in timed}
    forms = [form for form in FORMS if (groups[0], form) in units and (groups[1], form) in units]
    if not forms:
        return None
    span = Span(units[groups[0], forms[0]], units[groups[1], forms[0]], FORMS[forms[0]])
    rate = _rate(header[span.begin]) if forms[0] == "hh:mm:ss:ff" else None
    first, last = timed[0][0], timed[-1][0]
    rest = [at for at in range(last + 1, len(header)) if header[at]]
    files = [at for at in rest if _is_file_column(source, at)]
    texts = [at for at in rest if at not in files]
    if first:  # tier and participant stand before the times
        return Layout(span, 0, texts[0] if texts else None, {}, files[-1] if files else None, len(header),
                      rate)
    return Layout(span, None, None, {header[at]: at for at in texts}, files[-1] if files else None, len(header), rate)


def _rate(name: str) -> float | None:
    """Return the frames in a second that the name of a column of timecodes states: "... - hh:mm:ss:ff (PAL)"."""
    found = re.search(r"PAL[\s\-]*(50)|PAL|NTSC", name, re.IGNORECASE)
    return UNITS[f"{'pal-50' if found[1] else found[0].lower()}-frames"] if found else None


def _is_file_column(source: Source, at: int) -> bool:
    cells = [row[at].strip() for _, row in source.table.rows if len(row) > at]
    return bool(cells) and all(cell.lower().endswith(".eaf") for cell in cells)


def _by_content(source: Source) -> Layout | None:
    """Return the layout of a table without a first line: begin, end and their difference in 1 to 4 columns each."""
    rows = [cells for _, cells in _plain_rows(source.text[:HEAD])][:FEW]
    width = max(map(len, rows), default=0)
    if width < 4 or any(len(cells) < width - 1 for cells in rows):
        return None
    for first in (0, 1, 2):
        timed = next((at for at in range(first, width + 1) if at == width or not _all_times(rows, at)), width) - first
        for each in range(1, 5):
            span = Span(first, first + each, _unit([cells[first] for cells in rows]))
            if timed == 3 * each and all(_fits(cells, span, first + 2 * each) for cells in rows):
                return _without_names(rows, span, timed, width)
    return None


def _without_names(rows: Sequence[Sequence[str]], span: Span, timed: int, width: int) -> Layout | None:
    """Return the layout of columns without names: the tier before the times, the annotation and the .eaf after them."""
    after = span.begin + timed
    files = [at for at in range(after, width)
             if all(len(cells) > at and cells[at].lower().endswith(".eaf") for cells in rows)]
    texts = [at for at in range(after, width) if at not in files]
    file = files[-1] if files else None
    if span.begin:
        return Layout(span, 0, texts[0] if texts else None, {}, file, width)
    return Layout(span, None, None, {"annotation": texts[0]}, file, width) if texts else None


def _plain_rows(text: str) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of each line with tabs, without those that begin with #."""
    return [(number, [cell.strip().strip('"') for cell in line.split("\t")])
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.lstrip('"\ufeff ').startswith("#")]


def _all_times(rows: Sequence[Sequence[str]], at: int) -> bool:
    return all(len(cells) > at and isinstance(parse_time(cells[at]), float) for cells in rows)


def _unit(cells: Sequence[str]) -> float:
    """Return the seconds of one unit: ELAN writes milliseconds as whole numbers, seconds with a point."""
    return 1e-3 if all(cell.isdigit() for cell in cells) else 1.0


def _fits(cells: Sequence[str], span: Span, duration: int) -> bool:
    begin, end, length = (seconds(cells[at]) for at in (span.begin, span.end, duration))
    return None not in (begin, end, length) and abs(end - begin - length) * span.unit < CLOSE  # type: ignore[operator]


# --- reading --------------------------------------------------------------------------------------------------------


def _found(source: Source, layout: Layout, has_header: bool, findings: Findings) -> Iterator[Found]:
    """Yield the annotations; of a table with a column for each tier, one for each cell that is not empty."""
    rows = source.table.rows if has_header else _plain_rows(source.text)
    for number, row in rows:
        cells, place = [cell.strip() for cell in row], f"line {number}"
        if len(cells) <= max(layout.span.begin, layout.span.end):
            findings.add("rows cannot be understood", f"{place}: {' '.join(cells)}")
            continue
        cells += [""] * (layout.width - len(cells))
        begin, end = cells[layout.span.begin], cells[layout.span.end]
        file = cells[layout.file] if layout.file is not None else ""
        if layout.tier is None:
            for name, at in layout.tiers.items():
                if cells[at]:
                    yield Found(place, name, cells[at], begin, end, file)
        else:
            text = cells[layout.text] if layout.text is not None else ""
            yield Found(place, cells[layout.tier], text, begin, end, file)


def _video_above(source: Source, findings: Findings) -> str:
    """Return the name of the first medium that a title line has ("#file:///clip.mp4 -- offset: 0"); "" for none."""
    media = re.findall(r'^\s*"?#(\S.*?)\s+--\s+offset:\s*(-?\d+)', source.text, re.MULTILINE)
    for address, offset in media:
        if int(offset[:12]):
            findings.add("times may be shifted", f"{file_name(address)} has an offset of {offset} ms; whether it is in "
                                                 f"the times depends on how they were exported; the .eaf is clear")
    return file_name(media[0][0]) if media else ""
