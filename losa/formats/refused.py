"""Recognise published label files that hold no actions with a start and an end, and say what they are.

Each of KINDS is a name, a test of a `Source`, and why the file is not read and what would be instead.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from losa.errors import AnnotationError
from losa.formats.dataset_json import ego4d_clips, is_ego4d_moments
from losa.label_files.sheet import Findings
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

NO_CLASS = "sentences about stretches of video, without a class"
CLIPS = {"label", "youtube id", "time start", "time end"}  # Kinetics' columns


class Kind(NamedTuple):
    """A kind of file that is not read: its name, how it is recognised, what it holds, what to give instead."""

    name: str
    matches: Callable[[Source], bool]
    holds: str
    instead: str


def is_refused(source: Source) -> bool:
    """Return whether a file is one of KINDS."""
    return any(kind.matches(source) for kind in KINDS)


def read_refused(source: Source, reading: Reading, findings: Findings) -> NoReturn:
    """Raise AnnotationError with what the file is, and what to give instead."""
    kind = next((kind for kind in KINDS if kind.matches(source)), None)
    if kind is None:
        raise AnnotationError(f"{source.path}: is none of {', '.join(kind.name for kind in KINDS)}")
    raise AnnotationError(f"{source.path}: is a file of {kind.name}: {kind.holds}. {kind.instead}")


def _values(source: Source, name: str = "") -> list[dict]:
    """Return the objects in a JSON object, or in the one that it has under a name."""
    content = source.content.get(name) if name and isinstance(source.content, dict) else source.content
    values = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [value for value in values if isinstance(value, dict)]


def _most(items: list[dict], keys: set[str]) -> bool:
    return 2 * sum(keys <= item.keys() for item in items) > len(items)


def _first_line(source: Source) -> str:
    head = source.text[:2000] if source.content is None and source.xml is None else ""
    return next((line.strip() for line in head.splitlines() if line.strip()), "")


def _is_youcook(source: Source) -> bool:
    items = [item for video in _values(source, "database") for item in _list(video.get("annotations"))]
    return _most(items, {"segment", "sentence"}) and not any("label" in item for item in items)


def _list(value: object) -> list[dict]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_tacos(source: Source) -> bool:
    videos = _values(source)
    return _most(videos, {"timestamps", "sentences", "num_frames"}) or bool(
        re.match(r"\S+_\d+_\d+#", _first_line(source)))


def _is_ava(source: Source) -> bool:
    """Return whether the first line is video, second, four corners from 0 to 1, and numbers of an action."""
    if source.columns >= {"timestamp", "x1", "y1", "x2", "y2"}:
        return True
    cells = [cell.strip() for cell in _first_line(source).split(",")]
    if len(cells) not in (7, 8):
        return False
    second, *corners = map(seconds, cells[1:6])
    return second is not None and all(corner is not None and 0 <= corner <= 1 for corner in corners)


def _is_kinetics(source: Source) -> bool:
    clips = [video["annotations"] for video in _values(source) if isinstance(video.get("annotations"), dict)]
    return source.columns >= CLIPS or source.columns >= {*CLIPS, "split"} - {"label"} or (
        bool(clips) and _most(clips, {"label", "segment"}))


def _is_other_ego4d(source: Source) -> bool:
    clips = list(ego4d_clips(source.content))
    intervals = [video for video in _values(source, "videos") if "annotated_intervals" in video]
    actions = [clip for clip in _values(source, "clips") if "clip_uid" in clip and "action_idx" in clip]
    return bool((clips and not is_ego4d_moments(source)) or intervals or actions)


KINDS = (
    Kind("ActivityNet Captions", lambda source: _most(_values(source), {"timestamps", "sentences"})
         and not _is_tacos(source), NO_CLASS,
         "Classes for the same videos are in ActivityNet's own activity_net.v1-3.min.json"),
    Kind("TACoS", _is_tacos, NO_CLASS, "Give a file in which each segment has a class, as MPII Cooking's"),
    Kind("Charades-STA", lambda source: bool(re.match(r"\S+ [\d.]+ [\d.]+ *##", _first_line(source))), NO_CLASS,
         "Classes for the same videos are in Charades' own Charades_v1_train.csv"),
    Kind("QVHighlights", lambda source: _most(_values(source), {"query", "vid"}), NO_CLASS,
         "Give a file in which each segment has a class"),
    Kind("YouCook2", _is_youcook, NO_CLASS, "Give a file in which each segment has a label"),
    Kind("AVA", _is_ava, "boxes of people in key frames a second apart, without a start or end of actions",
         "Give a file of segments"),
    Kind("Kinetics", _is_kinetics, "one class for each clip, cut to it, without a start or end of the action",
         "Give a file of untrimmed videos. If the clips are meant as segments of whole videos: --from csv --columns "
         "video=youtube_id,start=time_start,end=time_end"),
    Kind("Ego4D", _is_other_ego4d, "another benchmark's labels than its moments, such as queries in sentences",
         "Give moments_train.json or moments_val.json"),
    Kind("BMN's list of videos", lambda source: source.columns >= {"video", "num frame", "feature frame"},
         "lengths of videos without labels", "Give anet_anno_action.json"),
)
