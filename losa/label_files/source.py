"""A label file before anything in it is understood, and what the user said about how to read it.

Recognising a format is looking at a `Source`: at its JSON, its XML, its table, or the files of its folder.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

from losa.errors import AnnotationError
from losa.label_files.cells import read_text, without_suffix
from losa.label_files.sheet import Findings
from losa.label_files.table import Table, find_table
from losa.label_files.unreadable import describe_no_json

LABEL_SUFFIXES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".boris", ".eaf", ".xml", ".srt", ".vtt", ".ass", ".ssa",
                  ".textgrid"}
CHANGES = ".changes.jsonl"  # ending of a list of edits beside the labels that were saved: no labels


@dataclass(frozen=True)
class Reading:
    """How to read a label file where it leaves a choice. All empty: as recognised.

    format: one of `losa data check --formats`, instead of the one recognised by content (--from).
    times: unit of the numbers, one of `times.UNITS` (--times); fps: frame rate where neither the videos nor the file
    say it. columns: {ours: theirs} for tables, ours being video, label, start, end, duration and subset; theirs the
    name, or the number from 1, of a column (--columns). tier: of a file with several, the one that holds the labels
    (--tier). label_column: of several columns or attributes, the one that holds the labels (--label-column).
    label_separator: between several labels in one cell (--label-separator). classes: names, or a file of them; numbers
    in the place of labels are theirs, and a class that is named there is never set aside (--classes).
    """

    format: str = ""
    times: str = ""
    fps: int | float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    tier: str = ""
    label_column: str = ""
    label_separator: str = ""
    classes: str | Path | Sequence[str] | None = None


AS_RECOGNISED = Reading()


@dataclass(frozen=True, eq=False)
class Source:
    """A file, its text, and the text as JSON, XML or a table where it is one; or a folder and the label files in it."""

    path: Path
    text: str
    content: object  # of JSON, and of JSON lines as a list; None: it is no JSON
    repeated: tuple[str, ...] = ()  # keys that a JSON object has more than once
    xml: ElementTree.Element | None = None
    files: tuple[Path, ...] = ()  # of a folder: files with the ending of a label file
    inside: str = ""  # its path without ending in the folder that is read, where the name alone is there twice

    @property
    def video(self) -> str:
        """The name of the video that a file is of whose name says so: "day/clip" where two folders have a clip."""
        return without_suffix(self.inside or self.path.stem)

    @cached_property
    def table(self) -> Table:
        """The text as a table, whatever its separator and the lines above its header; also JSON rows {column: cell}."""
        return _rows_as_table(self.content) or find_table("" if self.content is not None else self.text)

    @property
    def columns(self) -> set[str]:
        """The names of the table's columns, in small letters; empty for what is no table."""
        return set() if self.xml is not None or self.path.is_dir() else set(self.table.plain)


def _rows_as_table(content: object) -> Table | None:
    """Return a JSON list of flat objects as a table; None for any other content."""
    if not isinstance(content, list) or not content or not all(isinstance(row, dict) for row in content):
        return None
    if any(isinstance(cell, dict | list) for row in content for cell in row.values()):
        return None
    header = list(dict.fromkeys(key for row in content for key in row))
    rows = [(number, ["" if row.get(key) is None else str(row[key]) for key in header])
            for number, row in enumerate(content, 1)]
    return Table(",", header, rows, [])


def open_source(path: str | Path, findings: Findings) -> Source:
    """Open a label file or a folder of them. Raises AnnotationError for what is neither text, JSON nor XML."""
    path = Path(path)
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in LABEL_SUFFIXES and file.is_file()
                 and not file.name.endswith(CHANGES))
        return Source(path, "", None, files=tuple(files))
    text = read_text(path, findings)
    first, suffix = text.lstrip()[:1], path.suffix.lower()
    if first == "<":
        return Source(path, text, None, xml=_parse_xml(path, text))
    ini = text.lstrip()[:100].lower().startswith("[script info]")  # of ASS subtitles
    if suffix in (".json", ".boris") or (first and first in "{[" and not ini and suffix not in (".csv", ".tsv")):
        repeated: list[str] = []
        content = _parse_json(path, text, repeated)
        for key in repeated:
            findings.add("ids are there more than once", repr(key))
        return Source(path, text, content, tuple(repeated))
    return Source(path, text, None)


def _parse_json(path: Path, text: str, repeated: list[str]) -> object:
    try:
        return parse_json(text, repeated)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            if len(lines) > 1 and lines[0].lstrip()[:1] == "{":
                return [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            pass
        known = describe_no_json(text)
        raise AnnotationError(f"{path}: {f'is {known}' if known else f'cannot be read as JSON: {error}'}") from error


def _parse_xml(path: Path, text: str) -> ElementTree.Element:
    if "<!ENTITY" in text:
        raise AnnotationError(f"{path}: defines XML entities, which are not read; export it without them")
    try:
        return ElementTree.fromstring(text.encode())  # noqa: S314 - no entities, and expat opens nothing else
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        try:
            return ElementTree.fromstring(text[text.index("?>") + 2:] if text.lstrip().startswith("<?xml") else text)  # noqa: S314
        except (ElementTree.ParseError, ValueError):
            raise AnnotationError(f"{path}: cannot be read as XML: {error}") from error


def parse_json(text: str, repeated: list[str]) -> object:
    """Return the content of a JSON text. Keys that an object has more than once are added to `repeated`.

    Of such a key the last value counts, with the "annotations" (or "actions") of all. Raises ValueError where the text
    is not JSON, RecursionError where it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: _merge(pairs, repeated))


def _merge(pairs: list[tuple], repeated: list[str]) -> dict:
    merged = dict(pairs)
    if len(merged) < len(pairs):
        earlier: dict = {}
        for key, value in pairs:
            if key in earlier:
                repeated.append(key)
                for name in ("annotations", "actions"):
                    old, new = (v.get(name) if isinstance(v, dict) else None for v in (earlier[key], value))
                    if isinstance(old, list) and isinstance(new, list):
                        value[name] = old + new
            earlier[key] = value
    return merged
