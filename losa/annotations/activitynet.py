"""Parse ActivityNet's JSON: {"database": {id: {"subset", "annotations": [{"label", "segment": [start, end]}]}}}.

ActionFormer's, OpenTAD's, HACS', FineAction's and EPIC's files in that shape are read the same way; a results file has
the same items, with a score, under {"results": {id: [...]}}.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from losa.annotations.cells import is_safe, is_text, short
from losa.annotations.sheet import NOT_LAYOUT, Entry, Findings, Sheet
from losa.annotations.times import parse_time, seconds
from losa.video.folder import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from losa.annotations.source import Reading, Source

VIDEO_KEYS = {"subset", "duration", "fps", "path", "start", "end", "annotations"}  # that are read


# --- parsing ----------------------------------------------------------------------------------------------------------


def parse_json(text: str, repeated: list[str]) -> object:
    """Return the content of a JSON text. Keys that an object has more than once are added to `repeated`.

    Of such a key the last value counts, with the "annotations" (or "actions") of all. Raises ValueError where the text
    is not JSON, RecursionError where it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=lambda pairs: _merge(pairs, repeated))


def _merge(pairs: list[tuple], repeated: list[str]) -> dict:
    merged = dict(pairs)
    if len(merged) < len(pairs):
        earlier: dict = {}
        for key, value in pairs:
            if key in earlier:
                repeated.append(key)
                for name in ("annotations", "actions"):
                    old, new = (v.get(name) if isinstance(v, dict) else None for v in (earlier[key], value))
                    if isinstance(old, list) and isinstance(new, list):
                        value[name] = old + new
            earlier[key] = value
    return merged


def parse_instance(item: object, to_seconds: Callable[[object], Any]) -> tuple[str, Any, Any] | None:
    """Return label, start and end of an item; None where it is not {"label": text, "segment": [start, end]}.

    to_seconds returns the time that a value holds, None for none.
    """
    label, segment = (item.get("label"), item.get("segment")) if isinstance(item, dict) else (None, None)
    times = [to_seconds(time) for time in segment] if isinstance(segment, list) and len(segment) == 2 else [None]
    return None if not isinstance(label, str) or None in times else (label, *times)


# --- the sheet of a file --------------------------------------------------------------------------------------------


def is_activitynet(source: "Source") -> bool:
    """Return whether a file is JSON with a "database"."""
    return isinstance(source.content, dict) and isinstance(source.content.get("database"), dict)


def read_activitynet(source: "Source", reading: "Reading", findings: Findings) -> Sheet:
    """Read {"database": {id: {"subset", "duration", "annotations"}}}, with ActionFormer's "label_id", and ours."""
    content = cast(dict, source.content)

    subsetless = not any(isinstance(video, dict) and "subset" in video for video in content["database"].values())
    if subsetless and content["database"]:
        findings.add("videos have no subset", "all are in 'all'")
    numbers: dict[str, set] = defaultdict(set)  # of each label, as ActionFormer's files give them
    entries, own = [], str(content.get("version")) == "losa"  # ours may lie outside the folder of its videos
    unread = Counter(content.keys() - {"database", "classes", "version"})
    for key, video in content["database"].items():
        if not isinstance(video, dict):
            findings.add(NOT_LAYOUT, f"database.{key}: expected an object, got {short(video)}")
        elif is_safe(key, f"{key!r}", findings):
            entries.append(_json_video(key, {"subset": "all"} | video if subsetless else video, numbers, own,
                                       findings))
            unread.update(video.keys() - VIDEO_KEYS)
            items = video.get("annotations")
            for item in items if isinstance(items, list) else []:
                unread.update(item.keys() - {"label", "segment"} if isinstance(item, dict) else ())
    listed = content.get("classes")
    if listed is not None and not (isinstance(listed, list) and all(map(is_text, listed))):
        findings.add(NOT_LAYOUT, f"classes: expected a list of names, got {short(listed)}")
        listed = None
    if listed is None and numbers and all(isinstance(n, int) for ids in numbers.values() for n in ids):
        unclear = [label for label, ids in numbers.items() if len(ids) > 1]
        for label in unclear:
            findings.add("labels have two numbers", f"{label!r}: label_id {sorted(numbers[label])}")
        if not unclear and len(set.union(*numbers.values())) == len(numbers):
            listed = sorted(numbers, key=lambda label: max(numbers[label]))
    return Sheet("ActivityNet", entries, listed, findings, unread=unread)


def _json_video(key: str, video: dict, numbers: dict[str, set], own: bool, findings: Findings) -> Entry:
    subset, name = video.get("subset"), video.get("path")
    if not is_text(subset):
        findings.add(NOT_LAYOUT, f"database.{key}.subset: expected a text, got {short(subset)}")
        subset = ""
    if name is not None and not is_text(name):
        findings.add(NOT_LAYOUT, f"database.{key}.path: expected a text, got {short(name)}")
        name = None
    elif name is not None:
        above = own and Path(name).suffix.lower() in VIDEO_SUFFIXES
        inside = re.sub(r"^(\.\./)+", "", name) if above else name
        name = name if is_safe(inside, f"{key}: path {name!r}", findings) else None
    duration, fps, start, end = (_number(key, video, name, findings) for name in ("duration", "fps", "start", "end"))
    start = start or 0.0
    stretch = duration if end is None else end - start
    if end is not None and (stretch <= 0 or abs((duration or stretch) - stretch) > 0.01):
        findings.add("videos contradict themselves", f"{key}: start {start}, end {end}, duration {duration}")
    instances = _json_instances(key, video.get("annotations"), numbers, findings)
    return Entry(key, subset, instances, name, None, start, duration or (stretch if stretch and stretch > 0 else None),
                 not start and end is None, fps)


def _number(key: str, video: dict, name: str, findings: Findings) -> float | None:
    given = video.get(name)
    number = seconds(given)
    if given is not None and (number is None or number < 0 or (number == 0 and name != "start")):
        findings.add(NOT_LAYOUT, f"database.{key}.{name}: expected a number above 0, got {short(given)}")
        return None
    return number


def _json_instances(key: str, items: object, numbers: dict[str, set], findings: Findings) -> list:
    if items is not None and not isinstance(items, list):
        findings.add(NOT_LAYOUT, f"database.{key}.annotations: expected a list, got {short(items)}")
    instances = []
    for index, item in enumerate(items if isinstance(items, list) else []):
        instance = parse_instance(item, parse_time)
        if instance is None or not is_text(instance[0]):
            findings.add(NOT_LAYOUT, f"database.{key}.annotations.{index}: expected a label and a segment of two times "
                         f"in seconds, got {short(item)}")
            continue
        number = item.get("label_id")
        numbers[instance[0]].add(number if isinstance(number, int) else None)
        instances.append(instance)
    return instances
