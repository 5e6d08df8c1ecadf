"""Walk through what tools write as JSON, whatever the types in it turn out to be; used by the readers of tools."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from losa.errors import AnnotationError
from losa.label_files.cells import short
from losa.label_files.sheet import Findings
from losa.label_files.times import Frames, seconds

UNCLEAR = "rows cannot be understood"


def objects(value: object, place: str, findings: Findings) -> Iterator[tuple[str, dict]]:
    """Yield the place and the item of each object in a JSON list or object; None holds none.

    What is no object becomes a finding, as nothing in a file is lost without a word.
    """
    if isinstance(value, dict):
        items = [(f"{place} {key}".strip(), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(f"{place} {number}".strip(), item) for number, item in enumerate(value, 1)]
    else:
        items = [] if value is None else [(place, value)]
    for where, item in items:
        if isinstance(item, dict):
            yield where, item
        else:
            findings.add(UNCLEAR, f"{where}: expected an object, got {short(item)}")


def child(value: object, key: str) -> dict:
    """Return the object below a key of an object; an empty one where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def texts(value: object) -> list[str]:
    """Return the texts of a text or of a list of them, numbers as text; without empty ones."""
    items = value if isinstance(value, list) else [value]
    found = [str(item).strip() for item in items if isinstance(item, str | int) and not isinstance(item, bool)]
    return [text for text in found if text]


def parse_cell(cell: object) -> object:
    """Return the content of a text that is JSON, as tables of tools have it in their cells; anything else as it is."""
    if not isinstance(cell, str) or cell.strip()[:1] not in ("[", "{"):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def frame(value: object, before: int = 0) -> Frames | str:
    """Return a number of a frame, less `before`, as a time; where it is none the value as text that is no time."""
    number = None if isinstance(value, str) and ":" in value else seconds(value)
    return repr(short(value)) if number is None else Frames(number - before)


def pick(path: Path, wanted: str, counts: Mapping[str, int], option: str, what: str) -> str:
    """Return the name that an option gives among {name: how many instances have it}.

    Raises AnnotationError that lists them with their counts where it is none of them, or where none is given although
    there are several.
    """
    listed = ", ".join(f"{name!r} ({count})" for name, count in counts.items())
    if wanted:
        if wanted not in counts:
            raise AnnotationError(f"{path}: {option} {wanted}: there is no such {what}; there are {listed or 'none'}")
        return wanted
    if len(counts) > 1:
        first = next(iter(counts))
        first = f"'{first}'" if " " in first else first
        raise AnnotationError(f"{path}: has several {what}s with labels: {listed}. Say which is meant, such as "
                              f"{option} {first}")
    return next(iter(counts), "")
