"""Segments as subtitles (SRT, WebVTT): what happens now, written over the video in any player.

Players draw cues that overlap over each other, or not at all. So time is cut wherever a segment begins or ends, and
a cue lists everything that goes on in its stretch.
"""

import math
from collections.abc import Callable, Mapping, Sequence

Number = int | float
Cue = tuple[int, int, tuple[str, ...]]  # begin and end in milliseconds, lines

MOST_LINES = 3  # of a cue; how many there are beside is said
FLICKER_MS = 100  # a stretch shorter than this belongs to the cue before it


def cues(records: Sequence[Mapping], *, min_score: Number = 0.0) -> list[Cue]:
    """Cues in order, none overlapping: per stretch of time its labels with their scores, strongest first."""
    spans = [(round(1000 * max(start, 0)), round(1000 * end), str(r["label"]), float(r.get("score", 1.0)))
             for r in records for start, end in [r["segment"]] if math.isfinite(start) and math.isfinite(end)]
    spans = sorted(span for span in spans if span[1] > span[0] and span[3] >= min_score)
    edges, active, found, at = sorted({t for span in spans for t in span[:2]}), [], [], 0
    for begin, end in zip(edges, edges[1:], strict=False):
        active = [span for span in active if span[1] > begin]
        while at < len(spans) and spans[at][0] <= begin:
            active.append(spans[at])
            at += 1
        if not active:
            continue
        lines, touches = _lines(active), bool(found) and found[-1][1] == begin
        if touches and (lines == found[-1][2] or end - begin < FLICKER_MS):
            found[-1] = (found[-1][0], end, found[-1][2])
        elif touches and found[-1][1] - found[-1][0] < FLICKER_MS:
            found[-1] = (found[-1][0], end, lines)
        else:
            found.append((begin, end, lines))
    return found


def srt(records: Sequence[Mapping], *, min_score: Number = 0.0) -> str:
    """The text of an .srt file; empty where there is nothing to say.

    The format knows no escapes and players take <...> and {...} for markup, so labels lose these characters.
    """
    plain = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
    blocks = (f"{number}\n{_span(cue, ',')}\n{_text(cue, lambda line: line.translate(plain))}\n"
              for number, cue in enumerate(cues(records, min_score=min_score), start=1))
    return "\n".join(blocks)


def vtt(records: Sequence[Mapping], *, min_score: Number = 0.0) -> str:
    """The text of a .vtt file, for the <track> of a web page and for players."""
    escape = lambda line: line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # noqa: E731
    blocks = (f"\n{_span(cue, '.')}\n{_text(cue, escape)}\n" for cue in cues(records, min_score=min_score))
    return "WEBVTT\n" + "".join(blocks)


def _lines(active: Sequence[tuple]) -> tuple[str, ...]:
    """One line per label with its best score, at most MOST_LINES."""
    best: dict[str, float] = {}
    for _, _, label, score in active:
        best[label] = max(score, best.get(label, 0.0))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{label} {score:.2f}" for label, score in ranked[:MOST_LINES]]
    return (*lines, f"+ {len(ranked) - MOST_LINES} more") if len(ranked) > MOST_LINES else tuple(lines)


def _text(cue: Cue, escape: Callable[[str], str]) -> str:
    """Its lines without control characters and line breaks: an empty line would end the cue."""
    clean = ("".join(c if c.isprintable() else " " for c in line) for line in cue[2])
    return "\n".join(escape(" ".join(line.split())) for line in clean)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue[0], point)} --> {_clock(cue[1], point)}"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
