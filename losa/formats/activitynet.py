"""Parse ActivityNet's JSON: {"database": {id: {"subset", "annotations": [{"label", "segment": [start, end]}]}}}.

ActionFormer's, OpenTAD's, HACS', FineAction's and EPIC's files in that shape are read the same way, and those of BMN
and mmaction2, which have the videos at their top. A results file has the same items, with a score, under
{"results": {id: [...]}}.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from losa.errors import AnnotationError
from losa.label_files.cells import is_safe, is_text, short
from losa.label_files.nothing import means_nothing
from losa.label_files.sheet import NOT_LAYOUT, Entry, Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.subsets import subset_of_file
from losa.label_files.times import parse_time, seconds
from losa.video.folder import VIDEO_SUFFIXES

DURATIONS = ("duration_second", "duration_seconds", "duration_sec", "duration_s", "video_duration")  # BMN's and others'
VIDEO_KEYS = {"subset", "duration", "fps", "path", "start", "end", "annotations", *DURATIONS}  # that are read
MOST_CLASSES = 10**6  # a larger number of a class is none


# --- parsing ----------------------------------------------------------------------------------------------------------


def parse_instance(item: object, to_seconds: Callable[[object], Any]) -> tuple[str, Any, Any] | None:
    """Return label, start and end of an item; None where it is not {"label": text, "segment": [start, end]}.

    to_seconds returns the time that a value holds, None for none.
    """
    label, segment = (item.get("label"), item.get("segment")) if isinstance(item, dict) else (None, None)
    times = [to_seconds(time) for time in segment] if isinstance(segment, list) and len(segment) == 2 else [None]
    return None if not isinstance(label, str) or None in times else (label, *times)


def json_object(source: Source, expected: str, key: str = "") -> dict:
    """Return the object that a file is, or that it has under a key. Raises AnnotationError where it has none."""
    content = source.content.get(key) if key and isinstance(source.content, dict) else source.content
    if not isinstance(content, dict):
        raise AnnotationError(f"{source.path}: expected {expected}, got {short(source.content)}")
    return content


# --- the sheet of a file --------------------------------------------------------------------------------------------


def is_activitynet(source: Source) -> bool:
    """Return whether a file is JSON with a "database"."""
    return isinstance(source.content, dict) and isinstance(source.content.get("database"), dict)


def read_activitynet(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read {"database": {id: {"subset", "duration", "annotations"}}}, with ActionFormer's "label_id", and ours."""
    database, content = json_object(source, 'JSON with a "database"', "database"), cast(dict, source.content)
    unread = Counter[str](content.keys() - {"database", "classes", "version"})
    return read_videos(database, content, "database.", "", unread, findings)


def is_bmn(source: Source) -> bool:
    """Return whether a file is JSON of {id: {"annotations": [...]}}, most of them with a duration or a subset."""
    videos = list(source.content.values()) if isinstance(source.content, dict) else []
    lists = [video for video in videos if isinstance(video, dict) and isinstance(video.get("annotations"), list)]
    known = [video for video in lists if video.keys() & {"duration", *DURATIONS, "duration_frame", "subset", "fps"}
             or (video["annotations"] and all(parse_instance(item, seconds) for item in video["annotations"]))]
    return bool(known) and 2 * len(known) >= len(videos)


def read_bmn(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read BMN's and mmaction2's anet_anno_*.json, {id: {"duration_second", "annotations"}}: one file, one subset."""
    content, subset = json_object(source, 'JSON of {id: {"annotations": [...]}}'), subset_of_file(source.path)
    if subset and not any(isinstance(video, dict) and "subset" in video for video in content.values()):
        findings.add("the subset is named by the file", f"{source.path.name}: all videos are in {subset!r}")
    return read_videos(content, {}, "", subset, Counter(), findings)


def read_videos(videos: dict, content: dict, place: str, subset: str, unread: Counter[str],
                findings: Findings) -> Sheet:
    """Read the videos {id: {"subset", "duration", "annotations"}} of a file.

    content: what has its lists "classes" or "taxonomy", for labels that are numbers. place: for messages, what stands
    before an id. subset: of all videos, where none has one.
    """
    subsetless = not any(isinstance(video, dict) and "subset" in video for video in videos.values())
    if subsetless and videos and not subset:
        findings.add("videos have no subset", "all are in 'all'")
    numbers: dict[str, set] = defaultdict(set)  # of each label, as ActionFormer's files give them
    entries, own = [], str(content.get("version")) == "losa"  # ours may lie outside the folder of its videos
    listed, names = _class_list(content, findings), _class_names(content)
    for key, video in videos.items():
        if not isinstance(video, dict):
            findings.add(NOT_LAYOUT, f"{place}{_written(key)}: expected an object, got {short(video)}")
        elif is_safe(key, f"{key!r}", findings):
            video = _as_ours({"subset": subset or "all"} | video if subsetless else video)
            entries.append(_json_video(key, place + key, _named(video, names), numbers, own, findings))
            unread.update(video.keys() - VIDEO_KEYS)
            items = video.get("annotations")
            for item in items if isinstance(items, list) else []:
                unread.update(item.keys() - {"label", "segment", "ambiguous"} if isinstance(item, dict) else ())
    classes = _by_number(numbers, findings) if listed is None else listed
    return Sheet("ActivityNet", entries, classes, findings, unread=unread)


def _written(key: str) -> str:
    return key.encode("utf-8", "backslashreplace").decode()


def _class_list(content: dict, findings: Findings) -> list[str] | None:
    listed = content.get("classes")
    if listed is not None and not (isinstance(listed, list) and all(map(is_text, listed))):
        findings.add(NOT_LAYOUT, f"classes: expected a list of names, got {short(listed)}")
        return None
    return listed


def _class_names(content: dict) -> dict[int, str]:
    """Return {number: name} of a file's classes, from 0, or of ActivityNet's taxonomy; for labels that are numbers."""
    for key in ("classes", "taxonomy"):
        listed = content.get(key) if isinstance(content.get(key), list) else []
        if listed and all(map(is_text, listed)):
            return dict(enumerate(listed))
        nodes = [node for node in listed if isinstance(node, dict) and is_text(node.get("nodeName"))]
        if nodes:
            return {node["nodeId"]: node["nodeName"] for node in nodes if isinstance(node.get("nodeId"), int)}
    return {}


def _as_ours(video: dict) -> dict:
    """Return a video of COIN, {"annotation", "start", "end"}, without its stretch: times are those of the file."""
    if "annotation" not in video or "annotations" in video:
        return video
    rest = {name: value for name, value in video.items() if name not in ("annotation", "start", "end")}
    return rest | {"annotations": video["annotation"]}


def _named(video: dict, names: dict[int, str]) -> dict:
    """Return the video with the name of every class that is only a number, "class_3" where the file names none."""
    items = video.get("annotations")
    if not isinstance(items, list):
        return video
    return video | {"annotations": [_with_label(item, names) for item in items]}


def _with_label(item: object, names: dict[int, str]) -> object:
    if not isinstance(item, dict) or isinstance(item.get("label"), str):
        return item
    number = item.get("label_id") if item.get("label") is None else item["label"]
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) > MOST_CLASSES:
        return item
    return item | {"label": names.get(number, f"class_{number}" if number >= 0 else str(number))}


def _by_number(numbers: dict[str, set], findings: Findings) -> list[str] | None:
    """Return the classes in order of their "label_id"; None where not every instance has one, or a label has two.

    Names that mean that nothing happens are no classes.
    """
    numbers = {label: ids for label, ids in numbers.items() if not means_nothing(label)}
    if not numbers or not all(isinstance(n, int) for ids in numbers.values() for n in ids):
        return None
    unclear = [label for label, ids in numbers.items() if len(ids) > 1]
    for label in unclear:
        findings.add("labels have two numbers", f"{label!r}: label_id {sorted(numbers[label])}")
    if unclear or len(set.union(*numbers.values())) != len(numbers):
        return None
    return sorted(numbers, key=lambda label: max(numbers[label]))


def _json_video(key: str, place: str, video: dict, numbers: dict[str, set], own: bool, findings: Findings) -> Entry:
    subset, name = video.get("subset"), video.get("path")
    if not is_text(subset):
        findings.add(NOT_LAYOUT, f"{place}.subset: expected a text, got {short(subset)}")
        subset = ""
    if name is not None and not is_text(name):
        findings.add(NOT_LAYOUT, f"{place}.path: expected a text, got {short(name)}")
        name = None
    elif name is not None:
        above = own and Path(name).suffix.lower() in VIDEO_SUFFIXES
        inside = re.sub(r"^(\.\./)+", "", name) if above else name
        name = name if is_safe(inside, f"{key}: path {name!r}", findings) else None
    stated = next((name for name in ("duration", *DURATIONS) if video.get(name) is not None), "duration")
    duration, fps, start, end = (_number(place, video, name, findings) for name in (stated, "fps", "start", "end"))
    start = start or 0.0
    stretch = duration if end is None else end - start
    if end is not None and (stretch <= 0 or abs((duration or stretch) - stretch) > 0.01):
        findings.add("videos contradict themselves", f"{key}: start {start}, end {end}, duration {duration}")
    instances = _json_instances(place, video.get("annotations"), numbers, findings)
    return Entry(key, subset, instances, name, None, start, duration or (stretch if stretch and stretch > 0 else None),
                 not start and end is None, fps)


def _number(place: str, video: dict, name: str, findings: Findings) -> float | None:
    given = video.get(name)
    number = seconds(given)
    if given is not None and (number is None or number < 0 or (number == 0 and name != "start")):
        findings.add(NOT_LAYOUT, f"{place}.{name}: expected a number above 0, got {short(given)}")
        return None
    return number


def _json_instances(place: str, items: object, numbers: dict[str, set], findings: Findings) -> list:
    if items is not None and not isinstance(items, list):
        findings.add(NOT_LAYOUT, f"{place}.annotations: expected a list, got {short(items)}")
    instances = []
    for index, item in enumerate(items if isinstance(items, list) else []):
        instance = parse_instance(item, parse_time)
        if instance is None or not is_text(instance[0]):
            findings.add(NOT_LAYOUT, f"{place}.annotations.{index}: expected a label and a segment of two times "
                         f"in seconds, got {short(item)}")
            continue
        if item.get("ambiguous") is True:  # as records of ground truth mark them
            instances.append(("Ambiguous", *instance[1:]))
            continue
        number = item.get("label_id")
        numbers[instance[0]].add(number if isinstance(number, int) else None)
        instances.append(instance)
    return instances
