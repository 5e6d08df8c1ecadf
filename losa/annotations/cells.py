"""Read single values of annotation files: times, names, and text of any encoding."""

import re
from pathlib import Path

from losa.annotations.sheet import Findings
from losa.errors import AnnotationError
from losa.video.folder import VIDEO_SUFFIXES

MAX_SECONDS = 1e7  # 115 days: a larger time is no time in seconds


def seconds(value: object) -> float | None:
    """Return the seconds of a number or of text like "83.5", "83,5", "1:23.5", "0:01:23.5"; None if it is no time."""
    if isinstance(value, str):
        clock = re.fullmatch(r"(?:(\d+):)?(\d+):(\d\d?(?:[.,]\d*)?)", value.strip(), re.ASCII)
        if clock:
            hours, minutes, rest = (float((part or "0").replace(",", ".")) for part in clock.groups())
            value = hours * 3600 + minutes * 60 + rest if rest < 60 and (minutes < 60 or not clock[1]) else None
        elif re.fullmatch(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", value.strip(), re.ASCII):
            value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MAX_SECONDS <= value <= MAX_SECONDS else None


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
    if b"\0" in content[:4096]:
        raise AnnotationError(f"{path}: is no text file; expected a CSV or JSON (in Excel: save as \"CSV UTF-8\")")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        findings.add("bytes are not UTF-8", f"{path.name} line {line}: {content[error.start : error.start + 20]!r}")
        return content.decode("cp1252", errors="replace")
