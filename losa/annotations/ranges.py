"""Propose ranges that cut long videos into several, at places where no action is: for `prepare`, to have a split."""

import csv
from collections.abc import Sequence
from pathlib import Path

from losa.annotations.dataset import Annotations, Video
from losa.files import replacing

Number = int | float

MOST_PIECES = 10  # of one file
ACTIONS = 2  # at least so many for each piece, on average
MARGIN = 0.5  # seconds that a cut keeps from an action, where there is room


def propose_ranges(annotations: Annotations, folder: str | Path, least: int = 3) -> list[dict]:
    """Return rows {"id", "file", "start", "end"} (seconds) that cut every whole video where no action is.

    Pieces are about equally long, one for every ACTIONS actions, MOST_PIECES of a file at most, and `least` where
    there are as many places to cut. folder: of the videos; "file" is the path inside it.
    """
    return [row for video in annotations.videos if video.path is not None and not video.start
            for row in _cut_video(video, _inside(video.path, Path(folder)), least)]


def find_cuts(video: Video, pieces: int) -> list[float]:
    """Return the times (s) at which to cut a video into so many pieces, or fewer where actions leave no place.

    A place between two actions that touch is taken where there is no other nearby.
    """
    length, chosen, duration = float(video.duration) / pieces, [], float(video.duration)
    gaps, edges = find_gaps(video), set(video.segments.ravel().tolist())
    for border in (length * number for number in range(1, pieces)):
        places = [min(max(border, low), high) for low, high in gaps]
        places = [at for at in places if 0 < at < duration and at - max(chosen, default=0.0) >= 0.5 * length
                  and duration - at >= 0.5 * length]
        near = [at for at in places if abs(at - border) <= length]
        if near:
            chosen.append(round(min(near, key=lambda at: (at in edges, abs(at - border))), 3))
    return chosen


def find_gaps(video: Video) -> list[tuple[float, float]]:
    """Return (from, to) in seconds of every stretch without an action, less MARGIN at both ends where there is room.

    Where one action begins as another ends, the stretch lasts no time.
    """
    gaps, end = [], 0.0
    for start, stop in sorted(video.segments.tolist()):
        if start >= end:
            gaps.append((end, start))
        end = max(end, stop)
    gaps.append((end, max(float(video.duration), end)))
    narrow = [min(MARGIN, (high - low) / 2) for low, high in gaps]
    return [(low + less, high - less) for (low, high), less in zip(gaps, narrow, strict=True)]


def write_ranges(rows: Sequence[dict], path: str | Path) -> Path:
    """Write rows of `propose_ranges` as a CSV that `prepare` takes as `ranges`, and return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ("id", "file", "start", "end"))
        table.writeheader()
        table.writerows(rows)
    return path


def _cut_video(video: Video, file: str, least: int) -> list[dict]:
    pieces = max(least, min(MOST_PIECES, len(video.labels) // ACTIONS))
    edges = [0.0, *find_cuts(video, pieces), round(float(video.duration), 3)]
    return [{"id": f"{video.id}_{number:02d}", "file": file, "start": low, "end": high}
            for number, (low, high) in enumerate(zip(edges, edges[1:], strict=False), start=1)]


def _inside(path: Path, folder: Path) -> str:
    """Return a video's path inside the folder; only its name where it lies elsewhere."""
    path, folder = path.resolve(), folder.resolve()
    return (path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)).as_posix()
