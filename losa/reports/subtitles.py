"""Write segments as subtitles (SRT, WebVTT), which any player shows over the video.

Players draw overlapping cues on top of each other, or not at all. So time is cut wherever a segment begins or ends,
and a cue lists all actions between two cuts.
"""

import math
from collections.abc import Callable, Mapping, Sequence

Number = int | float
Cue = tuple[int, int, tuple[str, ...]]  # begin and end in milliseconds, lines

MOST_LINES = 3  # of a cue; a last line says how many more there are
FLICKER_MS = 100  # a stretch shorter than this belongs to the cue before it


def make_cues(records: Sequence[Mapping], *, min_score: Number = 0.0) -> list[Cue]:
    """Return cues in order of time, none overlapping, each with its labels and scores, strongest first."""
    spans = [(round(1000 * max(start, 0)), round(1000 * end), str(r["label"]), float(r.get("score", 1.0)))
             for r in records for start, end in [r["segment"]] if math.isfinite(start) and math.isfinite(end)]
    spans = sorted(span for span in spans if span[1] > span[0] and span[3] >= min_score)
    edges, active, cues, at = sorted({t for span in spans for t in span[:2]}), [], [], 0
    for begin, end in zip(edges, edges[1:], strict=False):
        active = [span for span in active if span[1] > begin]
        while at < len(spans) and spans[at][0] <= begin:
            active.append(spans[at])
            at += 1
        if not active:
            continue
        lines, touches = _list_labels(active), bool(cues) and cues[-1][1] == begin
        if touches and (lines == cues[-1][2] or end - begin < FLICKER_MS):
            cues[-1] = (cues[-1][0], end, cues[-1][2])
        elif touches and cues[-1][1] - cues[-1][0] < FLICKER_MS:
            cues[-1] = (cues[-1][0], end, lines)
        else:
            cues.append((begin, end, lines))
    return cues


def srt(records: Sequence[Mapping], *, min_score: Number = 0.0) -> str:
    """Return the text of an .srt file; empty if there is no segment.

    The format has no escapes and players take <...> and {...} for markup, so other characters stand for these.
    """
    plain = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
    blocks = (f"{number}\n{_span(cue, ',')}\n{_text(cue, lambda line: line.translate(plain))}\n"
              for number, cue in enumerate(make_cues(records, min_score=min_score), start=1))
    return "\n".join(blocks)


def vtt(records: Sequence[Mapping], *, min_score: Number = 0.0) -> str:
    """Return the text of a .vtt file, for players and for the <track> of a web page."""
    escape = lambda line: line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # noqa: E731
    blocks = (f"\n{_span(cue, '.')}\n{_text(cue, escape)}\n" for cue in make_cues(records, min_score=min_score))
    return "WEBVTT\n" + "".join(blocks)


def _list_labels(active: Sequence[tuple]) -> tuple[str, ...]:
    """Return one line per label with its best score, at most MOST_LINES of them."""
    best: dict[str, float] = {}
    for _, _, label, score in active:
        best[label] = max(score, best.get(label, 0.0))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{label} {score:.2f}" for label, score in ranked[:MOST_LINES]]
    return (*lines, f"+ {len(ranked) - MOST_LINES} more") if len(ranked) > MOST_LINES else tuple(lines)


def _text(cue: Cue, escape: Callable[[str], str]) -> str:
    """Return the cue's lines without control characters and line breaks: an empty line would end the cue."""
    clean = ("".join(c if c.isprintable() else " " for c in line) for line in cue[2])
    return "\n".join(escape(" ".join(line.split())) for line in clean)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue[0], point)} --> {_clock(cue[1], point)}"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
