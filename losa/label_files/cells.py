"""Read single values of label files: names of videos, and text of any encoding. Times are in `times`."""

import re
from collections.abc import Sequence
from pathlib import Path

from losa.errors import AnnotationError
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.unreadable import describe_binary
from losa.video.folder import VIDEO_SUFFIXES


def without_suffix(name: str) -> str:
    """Return the name of a video without the ending of a video file."""
    suffix = Path(name).suffix
    return name[: -len(suffix)] if suffix.lower() in VIDEO_SUFFIXES else name


def is_safe(name: str, where: str = "", findings: Findings | None = None) -> bool:
    """Return whether a name may become part of a path; adds a finding where it may not."""
    parts = name.replace("\\", "/").split("/")
    safe = (name and not re.match(r"[/\\]|[A-Za-z]:[/\\]", name) and not re.search(r"[\x00-\x1f\ud800-\udfff]", name)
            and not {"..", "."} & set(parts) and max(map(len, parts)) <= 200 and len(name) <= 1000)
    if not safe and findings is not None:
        findings.add("ids or paths lead out of the folder", where.encode("utf-8", "backslashreplace").decode())
    return bool(safe)


def is_text(value: object) -> bool:
    """Return whether the value is text that can be written as UTF-8."""
    return isinstance(value, str) and not re.search(r"[\ud800-\udfff]", value)


def short(value: object) -> str:
    """Return the value as text of at most 100 characters, for messages."""
    text = repr(list(value)[:5] if isinstance(value, dict) and len(value) > 8 else value)
    return (text if len(text) <= 100 else text[:97] + "...").encode("utf-8", "backslashreplace").decode()


def read_text(path: Path, findings: Findings) -> str:
    """Read a text file in UTF-8 or UTF-16; adds a finding and reads Windows-1252 where it is neither.

    Raises AnnotationError where it cannot be read or is no text.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise AnnotationError(f"{path}: there is no such file (seen from {Path.cwd()})") from None
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error})") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what Excel calls Unicode text
        return content.decode("utf-16", errors="replace")
    binary = describe_binary(path, content)
    if binary:
        raise AnnotationError(f"{path}: is {binary}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        findings.add("bytes are not UTF-8", f"{path.name} line {line}: {content[error.start : error.start + 20]!r}")
        return content.decode("cp1252", errors="replace")


def read_classes(classes: str | Path | Sequence[str] | None) -> dict[int, str]:
    """Return {number: name} of a list of names, or of a file with one name a line, from 1; "7 Diving" gives its number.

    Charades' "c007 Diving" does as well, and a table "7,Diving" or "Diving,7" with or without a header.

    Raises AnnotationError where the file is not UTF-8 text of that kind, or gives one number two names.
    """
    return {} if classes is None else _named(classes)[0]


def counts_itself(classes: str | Path | Sequence[str] | None) -> bool:
    """Return whether `read_classes` counts the names of a list or file itself, from 1."""
    return classes is not None and _named(classes)[1]


def class_number(label: str) -> int | None:
    """Return the number that a label is: of "7", "7.0" or "class_7"; None for a name."""
    found = re.fullmatch(r"(?:class_)?(\d{1,9})(?:\.0+)?", label, re.ASCII)
    return int(found[1]) if found else None


def _named(classes: str | Path | Sequence[str]) -> tuple[dict[int, str], bool]:
    """Return {number: name}, and whether the names are counted here."""
    if not isinstance(classes, str | Path):
        return dict(enumerate(classes, 1)), True
    findings = Findings(KINDS)
    lines = [line.strip() for line in read_text(Path(classes), findings).splitlines() if line.strip()]
    if findings or not lines or lines[0][0] in "[{":
        raise AnnotationError(f'{classes}: expected UTF-8 text with one class a line, "Jump" or "7 Jump"')
    for pattern in (r"c?(?P<number>\d{1,9})[\s,;:]+(?P<name>.+)", r"(?P<name>.+?)\s*[,;\t]\s*(?P<number>\d{1,9})"):
        rows = [re.fullmatch(pattern, line, re.ASCII) for line in lines]
        rows = rows[1:] if len(rows) > 2 and rows[0] is None and re.search("[,;\t]", lines[0]) else rows
        if all(rows):
            return _numbered(classes, [(int(row["number"]), row["name"].strip('"')) for row in rows if row]), False
    return dict(enumerate(lines, 1)), True


def _numbered(classes: str | Path, rows: Sequence[tuple[int, str]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for number, name in rows:
        if names.setdefault(number, name) != name:
            raise AnnotationError(f"{classes}: number {number} is {names[number]!r} and {name!r}; expected one name "
                                  f"for each number")
    return names
