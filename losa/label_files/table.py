"""Split the text of a table into cells: any separator, titles and comments above the header, cells with quotes.

Which column means what is not known here: see `csv_format` for ours, and the modules of the tools for theirs.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from losa.label_files.sheet import Findings

ALIASES = {  # our columns and what others call them, the likeliest first
    "video": ("filename", "file name", "file", "video id", "videoid", "video name", "videoname", "video file",
              "video path", "media file", "media file name", "media", "clip", "clip id", "path",
              "datei", "videodatei", "vidéo", "vídeo", "fichier", "archivo", "id"),
    "label": ("class", "action", "activity", "category", "event", "name", "labels", "type", "behavior", "behaviour",
              "class name", "classname", "label name", "action label", "annotation", "klasse", "aktion", "verhalten",
              "étiquette", "etiquette", "classe", "etiqueta", "clase"),
    "start": ("begin", "from", "t start", "start time", "starttime", "onset", "start timestamp", "begin time",
              "time start", "timestamp start", "segment start", "tstart", "t0", "in", "beginn", "anfang",
              "startzeit", "début", "debut", "inicio"),
    "end": ("stop", "to", "t end", "end time", "endtime", "offset", "stop timestamp", "end timestamp", "stop time",
            "time end", "timestamp end", "finish", "segment end", "tend", "t1", "out", "ende", "endzeit", "fin"),
    "duration": ("length", "dur", "duration sec", "dauer", "durée", "duree", "duración"),
    "subset": ("split", "set", "fold", "partition"),
}  # fmt: skip
OTHERS = {  # columns of tools, which make a line a header as well
    "behavior type", "status", "time", "subject", "observation id", "media file path", "total length", "narration id",
    "start frame", "stop frame", "end frame", "verb", "noun", "narration", "actions", "script", "score",
    "video labels", "videolabels", "timelinelabels", "label id", "timestamp", "temporal coordinates", "metadata",
    "file list", "youtube id", "tier", "transcription", "annotation id", "type idx", "confidence", "caption",
}  # fmt: skip
HEADER = {name for ours, names in ALIASES.items() for name in (ours, *names)} | OTHERS
UNIT = r"[(\[]\s*([A-Za-z]+)\.?\s*[)\]]"
WHOLE_FILE = 50  # rows of which one may be the header
HEAD = 100_000  # characters in which the header is looked for
LONGEST = 131_072, 10_000_000  # characters in a cell: of a table, and of one with JSON in its cells


def plain(name: str) -> str:
    """Return a column's name in small letters, words apart, without a unit in brackets: "Start (s)" is "start"."""
    name = re.sub(UNIT + r"\s*$", "", name.strip().lstrip("\ufeff#").strip())
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.split(r"[\s_\-]+", name)).strip().casefold()


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of cells below a header, each with its line; cells without the spaces around them."""

    separator: str
    header: list[str]  # as written
    rows: list[tuple[int, list[str]]]  # with the number of the line, of lines that are not empty
    above: list[str]  # lines above the header: titles and comments
    error: str = ""  # why the rest could not be split
    header_line: int = 1

    @cached_property
    def plain(self) -> list[str]:
        """The names of the columns as `plain` has them."""
        return [plain(name) for name in self.header]

    def records(self, findings: Findings, optional: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the number and the cells {column as `plain` has it: text} of every row; adds findings for odd rows."""
        for line, row in self.rows:
            if any(cell != cell.strip() for cell in row):
                findings.add("cells have spaces around them", f"line {line}: {self.separator.join(row)}")
            cells = self._evened([cell.strip() for cell in row], optional)
            if len(cells) != len(self.header):
                findings.add("rows do not have as many cells as the first line",
                             f"line {line}: {len(cells)} instead of {len(self.header)}: {self.separator.join(cells)}")
                continue
            yield line, dict(zip(self.plain, cells, strict=True))

    def _evened(self, row: list[str], optional: Sequence[str]) -> list[str]:
        """Return the row without empty cells beyond the header's, and with those that may be left out."""
        while len(row) > len(self.header) and not row[-1]:
            row = row[:-1]
        only_name = len(row) == 1 and not set(row[0]) & set(",;\t\n")
        short = only_name or (len(row) == len(self.header) - 1 and self.plain[-1] in optional)
        return row + [""] * (len(self.header) - len(row)) if short else row


def find_table(text: str) -> Table:
    """Split a text into a table, its header being the line that names most columns known to this package.

    Where no line names two, it is the first that is no comment.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    if line := re.match(r"\s*sep=(.)\n", text):  # Excel's own way to name its separator
        return _split(text[:line.start(1) - 4] + text[line.end(1):], line[1])
    head = text[:HEAD]
    known = [max((_known(row) for _, row in _rows(head, separator)[0][:WHOLE_FILE]), default=0)
             for separator in ",;\t|"]
    if max(known) >= 2:
        return _split(text, ",;\t|"[known.index(max(known))])
    first = next((line for line in head.split("\n") if line.strip() and not line.startswith("#")), "")
    if not any(first.count(separator) for separator in ",;\t|") and len(first.split()) > 2:
        return _split("\n".join(" ".join(line.split()) for line in text.split("\n")), " ")
    return _split(text, max(",;\t|", key=first.count))


def _known(row: list[str]) -> int:
    """Count the cells that are names of columns."""
    return len({name for name in map(plain, row) if name in HEADER or name.rpartition(" ")[0] in HEADER})


def _rows(text: str, separator: str) -> tuple[list[tuple[int, list[str]]], str]:
    """Return the rows that are not empty, each with its line, and why the rest could not be split."""
    csv.field_size_limit(LONGEST['"[{""' in text])  # Label Studio writes all labels of a video into one cell
    lines, rows = csv.reader(io.StringIO(text), delimiter=separator), []
    try:
        for row in lines:
            if any(cell.strip() for cell in row):
                rows.append((lines.line_num, row))
    except csv.Error as error:
        return rows, f"line {lines.line_num} cannot be read as CSV ({error}); is a quote opened and never closed?"
    return rows, ""


def _split(text: str, separator: str) -> Table:
    rows, error = _rows(text, separator)
    known = [_known(row) for _, row in rows[:WHOLE_FILE]]
    best = max(known, default=0)
    start = next((i for i, (_, row) in enumerate(rows) if not row[0].startswith("#")), 0)
    at = known.index(best) if best >= 2 else start
    header = [cell.strip() for cell in rows[at][1]] if rows else []
    while header and not header[-1]:  # empty columns of a table's edge
        header.pop()
    return Table(separator, header, rows[at + 1:], [separator.join(row).strip() for _, row in rows[:at]], error,
                 rows[at][0] if rows else 1)
