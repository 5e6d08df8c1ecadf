"""Write segments as subtitles (SRT, WebVTT): to be looked at over the video, or to be corrected.

Players draw overlapping cues on top of each other, or not at all. So `srt` and `vtt` cut time wherever a segment begins
or ends, and a cue lists all actions between two cuts. `write_subtitles` writes a cue for each segment, as editors of
subtitles want it. `subtitles` reads both back.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from losa.errors import AnnotationError
from losa.label_files.rows import Item, Labelled

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
    """Return the text of an .srt file; empty if there is no segment."""
    return _as_srt(make_cues(records, min_score=min_score))


def vtt(records: Sequence[Mapping], *, min_score: Number = 0.0) -> str:
    """Return the text of a .vtt file, for players and for the <track> of a web page."""
    return _as_vtt(make_cues(records, min_score=min_score))


def write_subtitles(videos: Sequence[Labelled], ending: str = ".srt") -> dict[str, str]:
    """Return {relative file name: text} of a file for each video, with a cue for each segment; they may overlap.

    ending: ".srt" or ".vtt". A cue's text is the label, and its score with two decimals where there is one.
    """
    formats = {".srt": _as_srt, ".vtt": _as_vtt}
    if ending not in formats:
        raise AnnotationError(f"subtitles with the ending {ending!r}: expected .srt or .vtt")
    return {video.id + ending: formats[ending]([_cue(item) for item in sorted(video.items, key=lambda item: item[1:3])])
            for video in videos}


def _cue(item: Item) -> Cue:
    start = round(1000 * max(item.start, 0))
    score = "" if item.score is None else f" {item.score:.2f}"
    return start, max(round(1000 * item.end), start + 1), (item.label + score,)


def _as_srt(cues: Sequence[Cue]) -> str:
    """Return an .srt's text. It has no escapes; players take <...> and {...} for markup, so others stand for these."""
    plain = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
    return "\n".join(f"{number}\n{_span(cue, ',')}\n{_text(cue, lambda line: line.translate(plain))}\n"
                     for number, cue in enumerate(cues, start=1))


def _as_vtt(cues: Sequence[Cue]) -> str:
    escape = lambda line: line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # noqa: E731
    return "WEBVTT\n" + "".join(f"\n{_span(cue, '.')}\n{_text(cue, escape)}\n" for cue in cues)


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
