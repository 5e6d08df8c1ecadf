"""Understand single results and tasks of Label Studio: stretches of time, labels, frame rates, names of videos.

TimelineLabels count frames from 1, the last one included (https://labelstud.io/tags/timelinelabels). Boxes on video
are there from a key frame that is enabled to the next one that is not (https://labelstud.io/tags/videorectangle).
Labels on audio have seconds (https://labelstud.io/tags/labels).
"""

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from losa.formats.json_items import child, frame, texts
from losa.label_files.sheet import Findings
from losa.label_files.table import plain
from losa.label_files.times import seconds
from losa.video.folder import VIDEO_SUFFIXES

LOCAL = "/data/local-files/?d="  # address of a file below the folder that Label Studio serves
RATES = {"fps", "frame rate", "framerate", "video fps"}  # of task data, as `plain` has them
HOLDERS = ("ranges", "start", "sequence")  # keys of a value that hold times, the likeliest first
REMARKS = ("choices", "text")  # keys of a value that hold answers to a question about a region
Span = tuple[object, object]


class Region(NamedTuple):
    """A stretch of a video; labels and remarks are those of each control of the labelling config."""

    place: str
    spans: list[Span]
    labels: dict[str, list[str]]
    remarks: dict[str, list[str]]
    holder: str  # one of HOLDERS


def find_regions(items: Sequence[tuple[str, dict]], findings: Findings) -> list[Region]:
    """Return the stretches among results {"id", "from_name", "value"} with their places; those of one id are one.

    What has no times is a finding: an answer about the whole video, a transcript, a shape on an image.
    """
    grouped: dict[object, list[tuple[str, dict]]] = defaultdict(list)
    for place, item in items:
        known = item.get("id")
        grouped[(known,) if isinstance(known, str | int) else place].append((place, item))
    regions = []
    for group in grouped.values():
        timed = next(((place, child(item, "value")) for place, item in group if holder_of(child(item, "value"))), None)
        if timed is not None:
            regions.append(Region(timed[0], _spans(timed[1]), _held(group, False), _held(group, True),
                                  holder_of(timed[1])))
            continue
        for place, item in group:
            findings.add("items are no segments", f"{place}: {item.get('type') or item.get('from_name') or '?'}")
    return regions


def _held(group: Sequence[tuple[str, dict]], remarks: bool) -> dict[str, list[str]]:
    """Return the labels, or the remarks, of a region's results, by control."""
    read = remarks_of if remarks else labels_of
    return {str(item.get("from_name") or "unnamed"): found for _, item in group
            if (found := read(child(item, "value")))}


def holder_of(value: dict) -> str:
    """Return which key of a value holds times, one of HOLDERS; "" for what is no stretch of time, as text is."""
    if isinstance(value.get("text"), str) or {"timeserieslabels", "paragraphlabels", "startOffset"} & value.keys():
        return ""
    holder = next((key for key in HOLDERS if key in value), "")
    return "" if holder == "start" and "end" not in value else holder


def labels_of(value: dict) -> list[str]:
    """Return the labels of a value, as "timelinelabels" or "labels" hold them."""
    return next((found for key in value if key.endswith("labels") and (found := texts(value[key]))), [])


def remarks_of(value: dict) -> list[str]:
    """Return the choices or the text that answer a question about a region."""
    return next((found for key in REMARKS if (found := texts(value.get(key)))), [])


def _spans(value: dict) -> list[Span]:
    """Return the starts and ends of a value: frames, or seconds; values that are no times as text."""
    holder = holder_of(value)
    if holder == "ranges":
        items = value["ranges"] if isinstance(value["ranges"], list) else [value["ranges"]]
        return [_frames(item.get("start"), item.get("end")) if isinstance(item, dict) else _frames(item, None)
                for item in items]
    return _lifespans(value) if holder == "sequence" else [(value["start"], value["end"])]


def _frames(first: object, last: object) -> Span:
    """Return frames that count from 1, the last one included; 0 is the first one as well."""
    return frame(1 if first == 0 else first, 1), frame(last)


def _lifespans(value: dict) -> list[Span]:
    """Return where a box is there: from a key frame to the next one that is not enabled, else to the last frame."""
    keys = [key for key in value["sequence"] if isinstance(key, dict)] if isinstance(value["sequence"], list) else []
    numbers = [(seconds(key.get("frame")), key.get("enabled", True)) for key in keys]
    if not keys or any(number is None for number, _ in numbers):
        return [_frames(value["sequence"], None)]
    spans: list[Span] = []
    first, last = None, 0.0
    for number, enabled in sorted(numbers, key=lambda each: each[0] or 0):
        last = number or 0.0
        first = last if first is None else first
        if not enabled:
            spans.append(_frames(first, last))
            first = None
    return spans if first is None else [*spans, _frames(first, max(seconds(value.get("framesCount")) or 0, last))]


# --- the task -------------------------------------------------------------------------------------------------------


def duration_of(value: dict) -> float | None:
    """Return the length of the video in seconds that a value of a box states."""
    return duration if (duration := seconds(value.get("duration"))) and duration > 0 else None


def find_rate(data: dict, values: Sequence[dict]) -> float | None:
    """Return the frame rate that a task states: frames of the timeline by its length, else one of its data."""
    for value in values:
        frames, duration = seconds(value.get("framesCount")), duration_of(value)
        if frames and duration and 1 <= frames / duration <= 1000:
            rate = frames / duration
            return float(round(rate)) if abs(rate - round(rate)) * duration <= 1 else rate
    given = (seconds(cell) for key, cell in data.items() if plain(str(key)) in RATES)
    return next((rate for rate in given if rate and 1 <= rate <= 1000), None)


def find_video(data: dict, controls: Sequence[str] = ()) -> str:
    """Return the name of a task's video: what looks like a file or address of one, "" for nothing.

    controls: names of the players that the results belong to, which often are those of the data.
    """
    found = {str(key): _address(cell) for key, cell in data.items() if isinstance(cell, str) and cell.strip()}
    order = [*controls, *(key for key, cell in found.items() if _is_video(cell)),
             *(key for key in found if "video" in key.lower()), "audio", "url", "file_upload"]
    name = next((found[key] for key in order if key in found), "")
    if name.startswith(LOCAL):  # the folder of the file is known where the task names it, as ours do
        inside = unquote(name.removeprefix(LOCAL))
        return inside if inside in list(found.values()) else name
    uploaded = name == found.get("file_upload") or "/" not in name
    return re.sub(r"^[0-9a-f]{8}-(?=.)", "", name) if uploaded else name


def _is_video(address: str) -> bool:
    return PurePosixPath(unquote(address.removeprefix(LOCAL)).split("?")[0]).suffix.lower() in VIDEO_SUFFIXES


def _address(cell: str) -> str:
    """Return the address in a cell: of a player's HTML, or of a file in cloud storage that Label Studio hands on.

    Addresses of files that Label Studio serves itself lose its own.
    """
    if served := re.match(r"(?:https?://[^/]+)?/?(?:data/)?(upload/\d+/.+|local-files/\?d=.+)", cell.strip()):
        return "/data/" + served[1]
    if source := re.search(r"<[^>]+\ssrc=[\"']([^\"']+)", cell):
        return source[1]
    if coded := re.search(r"/(?:resolve|presign)/?\?fileuri=([A-Za-z0-9_=-]+)$", cell):
        try:
            return b64decode(coded[1], altchars=b"-_").decode()
        except ValueError:
            return cell
    return cell.strip()
