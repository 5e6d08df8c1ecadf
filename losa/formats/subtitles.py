"""Read subtitles as labels: SRT (and YouTube's SBV), WebVTT, ASS and SSA; one file is one video, a line is a label.

`cues` writes them. It cuts overlapping actions into touching cues with a line for each action; so a line that touching
cues share, while other lines come or go, is one instance.
"""

import html
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

CLOCK = r"(?:\d+:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,6})?"
SPAN = re.compile(rf"\s*({CLOCK})\s*-->\s*({CLOCK})(?:\s.*)?|\s*(\d+:\d\d:\d\d\.\d+),(\d+:\d\d:\d\d\.\d+)\s*", re.ASCII)
TAG = re.compile(r"</?[A-Za-z][^<>]*>|</?\d[\d:.]*>|\{\\[^{}]*\}")
SCORED = re.compile(r"(.*\S) ([01]\.\d\d)")
MORE = re.compile(r"\+ \d+ more")
TOUCH = 5e-4  # seconds


class Cue(NamedTuple):
    """A stretch of time and the lines that are shown in it."""

    place: str
    start: float
    end: float
    lines: list[str]


def is_srt(source: Source) -> bool:
    """Return whether a text begins with a cue: a number, if any, and "00:00:01,500 --> 00:00:02,000".

    An empty .srt is one as well: of a video in which nothing was found.
    """
    lines = [line for line in _text(source)[:2000].splitlines() if line.strip()][:2]
    if not lines:
        return source.path.suffix.lower() == ".srt" and not source.path.is_dir()
    return _span(lines[0]) or (len(lines) > 1 and lines[0].strip().isdigit() and _span(lines[1]))


def is_vtt(source: Source) -> bool:
    """Return whether a text begins with WEBVTT."""
    return bool(re.match(r"\s*WEBVTT(\s|$)", _text(source)))


def is_ass(source: Source) -> bool:
    """Return whether a text is Advanced SubStation Alpha, or SubStation Alpha."""
    text = _text(source)
    return bool(re.match(r"\s*\[Script Info\]", text, re.IGNORECASE)) or "\nDialogue:" in text[:100_000]


def read_srt(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read SRT or SBV; times are hours:minutes:seconds,milliseconds."""
    return _read("SRT", source, reading, list(_cues(source, findings)), findings)


def read_vtt(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read WebVTT without its notes and styles; tags and entities in a cue's text are resolved."""
    cues = [cue._replace(lines=[html.unescape(line) for line in cue.lines]) for cue in _cues(source, findings)]
    return _read("WebVTT", source, reading, cues, findings)


def read_ass(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the dialogue lines of ASS or SSA, with the columns that their Format line names."""
    return _read("ASS", source, reading, list(_dialogue(source, findings)), findings)


def _text(source: Source) -> str:
    return "" if source.xml is not None or source.content is not None else source.text


def _span(line: str) -> bool:
    return ("-->" in line or line[:1].isdigit()) and SPAN.fullmatch(line) is not None


def _cues(source: Source, findings: Findings) -> Iterator[Cue]:
    """Yield the cues of SRT, SBV or WebVTT; lines that belong to none are findings."""
    lines = source.text.splitlines()
    starts = [at for at, line in enumerate(lines) if _span(line)]
    for at, line in enumerate(lines):
        if "-->" in line and not _span(line):
            findings.add("rows cannot be understood", f"line {at + 1}: {line.strip()}")
    head = lines[:starts[0]] if starts else lines
    _check_between(head[:-1] if starts and _is_name(head) else head, 1, findings)
    for at, following in zip(starts, [*starts[1:], len(lines)][:len(starts)], strict=True):
        body = lines[at + 1:following]
        if following < len(lines) and _is_name(body):
            body = body[:-1]
        end = next((i for i, line in enumerate(body) if not line.strip()), len(body))
        _check_between(body[end:], at + 2 + end, findings)
        spans = [group for group in SPAN.fullmatch(lines[at]).groups() if group]  # type: ignore[union-attr]
        yield _cue(f"line {at + 1}", spans, body[:end])


def _is_name(body: Sequence[str]) -> bool:
    """Return whether the last of the lines before a cue's times is that cue's number or name."""
    last = body[-1].strip() if body else ""
    return last.isdigit() or bool(last and len(body) > 1 and not body[-2].strip())


def _cue(place: str, span: Sequence[str], lines: Sequence[str]) -> Cue:
    start, end = (seconds(time) for time in span)
    texts = [" ".join(TAG.sub("", line).split()) for line in lines]
    return Cue(place, float("nan") if start is None else start, float("nan") if end is None else end,
               [text for text in texts if text])


def _check_between(lines: Sequence[str], number: int, findings: Findings) -> None:
    """Add a finding for text between the cues that is no header, note, style or region of WebVTT."""
    block = ""
    for line in lines:
        text = line.strip().lstrip("\ufeff")
        block = "" if not text else block or text
        known = re.match(r"(WEBVTT|NOTE|STYLE|REGION|X-TIMESTAMP-MAP|Kind:|Language:)", block)
        if text and not known and "-->" not in text:
            findings.add("rows cannot be understood", f"line {number}: {text} belongs to no cue")
        number += 1


def _dialogue(source: Source, findings: Findings) -> Iterator[Cue]:
    columns = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text"]
    in_events = False
    for number, line in enumerate(source.text.splitlines(), 1):
        key, _, rest = line.strip().partition(":")
        in_events = in_events or key.strip().lower() == "[events]"
        if key == "Format" and in_events:
            columns = [name.strip().lower() for name in rest.split(",")]
        if key != "Dialogue":
            continue
        cells = dict(zip(columns, rest.split(",", len(columns) - 1), strict=False))
        span = [cells.get(name, "").strip() for name in ("start", "end")]
        text = re.sub(r"\{[^{}]*\}", "", cells.get("text", ""))
        if None in [seconds(time) for time in span]:
            findings.add("rows cannot be understood", f"line {number}: {line.strip()}")
        else:
            yield _cue(f"line {number}", span, re.split(r"\\[Nn]", text))


# --- from cues to instances -----------------------------------------------------------------------------------------


def _read(layout: str, source: Source, reading: Reading, cues: list[Cue], findings: Findings) -> Sheet:
    video = source.video
    findings.add("videos are named by their files", f"{source.path.name} is of {video!r}")
    rows = [Row(source.path.name, video), *_instances(video, _without_scores(cues, findings), reading, findings)]
    return collect(layout, rows, findings)


def _without_scores(cues: list[Cue], findings: Findings) -> list[tuple[Cue, dict[str, str]]]:
    """Return each cue with {line as written: label}; scores are cut off where every line of the file has one."""
    lines = [line for cue in cues for line in cue.lines if not MORE.fullmatch(line)]
    scores = [SCORED.fullmatch(line) for line in lines]
    scored = bool(lines) and all(found is not None and float(found[2]) <= 1 for found in scores)
    if scored:
        for line in lines:
            findings.add("texts end in scores", line)
    return [(cue, {line: SCORED.sub(r"\1", line) if scored else line for line in cue.lines
                   if not (scored and _stands_for_more(cue, line, findings))}) for cue in cues]


def _stands_for_more(cue: Cue, line: str, findings: Findings) -> bool:
    if MORE.fullmatch(line):
        findings.add("items are no segments", f"{cue.place}: {line!r} stands for labels that are in predictions.json")
        return True
    return False


def _instances(video: str, cues: Sequence[tuple[Cue, dict[str, str]]], reading: Reading, findings: Findings
               ) -> list[Row]:
    """Return a row for each line; for a line that goes on, one from its first cue to its last."""
    rows: list[Row] = []
    running: dict[str, int] = {}  # line: its row, of the cue before
    before: tuple[float, set[str]] = (-1.0, set())
    for cue, labels in cues:
        if not cue.lines:
            findings.add("instances have no label", f"{cue.place}: [{cue.start:g}, {cue.end:g}]")
        if len(labels) > 1:
            findings.add("cues have several lines", f"{cue.place}: {' / '.join(labels)}")
        goes_on = abs(cue.start - before[0]) < TOUCH and set(cue.lines) != before[1]
        now: dict[str, int] = {}
        for line, label in labels.items():
            if goes_on and line in running:
                now[line] = running[line]
                rows[now[line]] = rows[now[line]]._replace(end=cue.end)
                findings.add("cues go on", f"{cue.place}: {line}")
            else:
                now[line] = len(rows)
                rows.append(Row(cue.place, video, label, cue.start, cue.end))
        running, before = now, (cue.end, set(cue.lines))
    return [row._replace(label=part) for row in rows for part in _parts(str(row.label), reading.label_separator)]


def _parts(label: str, separator: str) -> list[str]:
    parts = [part.strip() for part in label.split(separator)] if separator else [label]
    return [part for part in parts if part] or [label]
