"""Read the label tracks of sound editors: Audacity's, and Praat's TextGrid in its long and short text form.

Both are one file a video, named as the video is.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from losa.errors import AnnotationError
from losa.formats.tiers import choose_tiers
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(?:(<\w+>)|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)%?(?!\S)|![^\n]*)')
MOST_ITEMS = 1e6


class Tier(NamedTuple):
    """A tier of a TextGrid and its texts; of points, start and end are the same."""

    name: str
    is_points: bool
    items: list[tuple[float, float, str]]


# --- Audacity -------------------------------------------------------------------------------------------------------


def is_audacity(source: Source) -> bool:
    """Return whether every line is start, end and a label that is no number, with tabs between them."""
    first = source.text[:1000].lstrip().partition("\n")[0]
    if source.content is not None or not (first.startswith("\\") or first.count("\t") in (1, 2)):
        return False
    rows = [cells for _, cells in _label_lines(source)]
    if not rows or not all(len(cells) in (2, 3) and _is_span(cells) for cells in rows):
        return False
    labels = [cells[2].strip() for cells in rows if len(cells) == 3 and cells[2].strip()]
    return any(seconds(label) is None for label in labels)


def _label_lines(source: Source) -> list[tuple[int, list[str]]]:
    """Return the number and the cells of each line, without those of frequencies, which begin with a backslash."""
    text = "" if source.xml is not None or source.content is not None else source.text
    return [(number, line.split("\t")) for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.startswith("\\")]


def _is_span(cells: list[str]) -> bool:
    start, end = seconds(cells[0]), seconds(cells[1])
    return start is not None and end is not None and start <= end


def read_audacity(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read an exported label track: lines of start, end and label in seconds; labels at a point are set aside."""
    video = _named_by_file(source, findings)

    def rows() -> Iterator[Row]:
        yield Row(source.path.name, video)
        for number, cells in _label_lines(source):
            label = cells[2].strip() if len(cells) > 2 else ""
            start, end = (seconds(cell) for cell in (*cells, "", "")[:2])
            if start is not None and start == end:
                findings.add("events are points in time", f"line {number}: {label!r} at {start:g} s")
            elif start is not None and end is not None and not label:
                findings.add("instances have no label", f"line {number}: [{start:g}, {end:g}]")
            else:
                yield Row(f"line {number}", video, label, *(*cells, "", "")[:2])

    return collect("Audacity", rows(), findings)


def _named_by_file(source: Source, findings: Findings) -> str:
    video = source.video
    findings.add("videos are named by their files", f"{source.path.name} is of {video!r}")
    return video


# --- Praat ----------------------------------------------------------------------------------------------------------


def is_textgrid(source: Source) -> bool:
    """Return whether a text is one of Praat's objects."""
    return source.content is None and bool(re.match(r'\s*(File type\s*=\s*)?"ooTextFile', source.text, re.IGNORECASE))


def read_textgrid(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the interval tiers of a TextGrid; intervals without text are nothing, points are set aside.

    Raises AnnotationError where it is another object or damaged, and where several tiers have text and none is chosen.
    """
    tiers = _parse(source)
    counts = _counts(tier for tier in tiers if not tier.is_points)
    if reading.tier or not any(counts.values()):
        counts = _counts(tiers)
    chosen = choose_tiers(source.path, counts, reading.tier, findings)
    video = _named_by_file(source, findings)

    def rows() -> Iterator[Row]:
        yield Row(source.path.name, video)
        for tier in tiers:
            for start, end, text in tier.items:
                label = " ".join(text.split())
                if tier.is_points and (tier.name in chosen or not reading.tier):
                    findings.add("events are points in time", f"{tier.name}: {label!r} at {start:g} s")
                elif label and tier.name in chosen and not tier.is_points:
                    place = f"tier {tier.name!r} at {start:g} s"
                    yield Row(place, video, tier.name if reading.label_column == "tier" else label, start, end)

    return collect("Praat TextGrid", rows(), findings)


def _counts(tiers: Iterator[Tier] | list[Tier]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for tier in tiers:
        counts[tier.name] = counts.get(tier.name, 0) + sum(bool(text.strip()) for *_, text in tier.items)
    return counts


def _parse(source: Source) -> list[Tier]:
    """Return all tiers. Whatever is neither in quotes nor a number between spaces is a comment, as in Praat."""
    tokens = _tokens(source.text)
    try:
        next(tokens)
        kind = next(tokens)
        if kind != "TextGrid":
            raise AnnotationError(f"{source.path}: is a {str(kind)[:50]!r} of Praat; expected a TextGrid: select one, "
                                  f"then Save > Save as text file")
        _number(tokens), _number(tokens)
        if next(tokens) != "<exists>":
            return []
        return [_tier(tokens) for _ in range(_size(tokens))]
    except (StopIteration, TypeError) as error:
        raise AnnotationError(f"{source.path}: is a TextGrid that ends too early, or is damaged; save it again with "
                              f"Praat, Save > Save as text file") from error


def _tier(tokens: Iterator[str | float]) -> Tier:
    is_points, name = next(tokens) == "TextTier", str(next(tokens))
    _number(tokens), _number(tokens)
    items = []
    for _ in range(_size(tokens)):
        start = _number(tokens)
        end = start if is_points else _number(tokens)
        text = next(tokens)
        if not isinstance(text, str):
            raise TypeError
        items.append((start, end, text))
    return Tier(name, is_points, items)


def _tokens(text: str) -> Iterator[str | float]:
    for found in TOKEN.finditer(text):
        quoted, flag, number = found.groups()
        if number is not None:
            yield float(number)
        elif quoted is not None or flag:
            yield flag or quoted.replace('""', '"')


def _number(tokens: Iterator[str | float]) -> float:
    value = next(tokens)
    if not isinstance(value, float):
        raise TypeError
    return value


def _size(tokens: Iterator[str | float]) -> int:
    value = _number(tokens)
    if not 0 <= value < MOST_ITEMS:
        raise TypeError
    return int(value)
