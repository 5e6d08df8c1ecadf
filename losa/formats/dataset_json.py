"""Read the JSON files of published data sets with a layout of their own: Ego4D's moments, FineGym.

Sources: Ego4D's documentation of moments_train.json, and FineGym's of finegym_annotation_info_v1.1.json.
"""

from collections import Counter
from collections.abc import Iterator

from losa.errors import AnnotationError
from losa.formats.activitynet import json_object
from losa.label_files.cells import is_text, read_classes, short
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

WRONG = "rows cannot be understood"


# --- Ego4D ------------------------------------------------------------------------------------------------------------


def is_ego4d_moments(source: Source) -> bool:
    """Return whether a file is JSON of videos > clips > annotations > labels; of a test set, without annotations."""
    clips = list(ego4d_clips(source.content))
    kinds = {key for clip in clips for item in _items(clip.get("annotations")) if isinstance(item, dict)
             for key in item}
    return bool(clips) and ("labels" in kinds or not kinds)


def ego4d_clips(content: object) -> Iterator[dict]:
    """Yield all clips of an Ego4D file, for what it may be; nothing where it is none."""
    videos = _items(content.get("videos")) if isinstance(content, dict) else []
    for video in videos:
        if isinstance(video, dict) and "video_uid" in video:
            yield from (clip for clip in _items(video.get("clips")) if isinstance(clip, dict))


def read_ego4d_moments(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read Ego4D's moments: by whole videos and their times, or with `reading.tier` "clips" by clips and theirs.

    Where labels say whether they are primary, only those that are count, as in the benchmark.
    """
    by_clip = _tier(source, reading, ("videos", "clips")) == "clips"
    content = json_object(source, 'JSON of {"videos": [{"video_uid", "clips": [...]}]}')
    clips = list(ego4d_clips(content))
    if not by_clip and not reading.tier:
        findings.add("the file has other labels as well", f"times are those of whole videos; --tier clips takes the "
                     f"{len(clips)} clips by their own names and times")
    told = any(isinstance(label, dict) and "primary" in label for clip in clips for label in _labels(clip))
    unread = Counter[str](content.keys() - {"videos", "version", "date", "description", "manifest"})

    def rows() -> Iterator[Row]:
        for at, video in enumerate(_items(content.get("videos"))):
            if not isinstance(video, dict) or not isinstance(video.get("clips"), list):
                findings.add(WRONG, f"videos.{at}: expected a video_uid and clips, got {short(video)}")
                continue
            for number, clip in enumerate(video["clips"]):
                yield from _clip_rows(f"videos.{at}.clips.{number}", video, clip, by_clip, told, findings)

    return collect("Ego4D moments", rows(), findings, unread=unread)


def _clip_rows(place: str, video: dict, clip: object, by_clip: bool, told: bool, findings: Findings) -> Iterator[Row]:
    """Yield the video, or the clip, and its labels."""
    if not isinstance(clip, dict):
        findings.add(WRONG, f"{place}: expected an object, got {short(clip)}")
        return
    name = clip.get("clip_uid") if by_clip else video.get("video_uid")
    subset = video["split"] if is_text(video.get("split")) else ""
    start, end = seconds(clip.get("video_start_sec")), seconds(clip.get("video_end_sec"))
    length = end - start if by_clip and start is not None and end is not None and end > start else None
    yield Row(place, name, subset=subset, duration=length)
    for label in _labels(clip):
        if not isinstance(label, dict) or not is_text(label.get("label")):
            findings.add(WRONG, f"{place}: expected a label with its times, got {short(label)}")
            continue
        times = [label.get("start_time"), label.get("end_time")] if by_clip else _video_times(label, start)
        if told and label.get("primary") is not True:
            findings.add("labels are not primary", f"{name}: {label['label']!r} [{short(times[0])}, {short(times[1])}]")
        else:
            yield Row(place, name, label["label"], *times, subset=subset)


def _video_times(label: dict, clip_start: float | None) -> list:
    """Return start and end in the whole video; from those in the clip where the label has no others."""
    times = [label.get("video_start_time"), label.get("video_end_time")]
    if times == [None, None] and clip_start is not None:
        inside = [seconds(label.get("start_time")), seconds(label.get("end_time"))]
        return [None if time is None else clip_start + time for time in inside]
    return times


def _labels(clip: dict) -> Iterator[object]:
    """Yield the labels of all annotators of a clip."""
    for item in _items(clip.get("annotations")):
        yield from _items(item.get("labels")) if isinstance(item, dict) else [item]


# --- FineGym ----------------------------------------------------------------------------------------------------------


def is_finegym(source: Source) -> bool:
    """Return whether a file is JSON of {video: {event id: {"event", "timestamps", "segments"}}}."""
    videos = source.content.values() if isinstance(source.content, dict) else []
    events = [event for video in videos if isinstance(video, dict) for event in video.values()]
    known = [event for event in events if isinstance(event, dict) and {"event", "timestamps"} <= event.keys()]
    return bool(known) and 2 * len(known) >= len(events)


def read_finegym(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read FineGym's events, "event_1" where `reading.classes` does not name them.

    With `reading.tier` "segments" the elements inside of events, their times being counted from the event's start; the
    file does not say their own class, so they have the event's.
    """
    content = json_object(source, 'JSON of {video: {event id: {"event", "timestamps"}}}')
    names, inner = read_classes(reading.classes), _tier(source, reading, ("events", "segments")) == "segments"
    elements = sum(len(event["segments"]) for video in content.values() if isinstance(video, dict)
                   for event in video.values() if isinstance(event, dict) and isinstance(event.get("segments"), dict))
    if elements and not reading.tier:
        findings.add("the file has other labels as well", f"events are taken; --tier segments takes the {elements} "
                     f"elements inside of them, with the event as class: this file does not name theirs")

    def rows() -> Iterator[Row]:
        for video, events in content.items():
            if not isinstance(events, dict):
                findings.add(WRONG, f"{short(video)}: expected events, got {short(events)}")
                continue
            yield Row(short(video), video)
            for key, event in events.items():
                yield from _event_rows(f"{short(video)} {short(key)}", video, event, names, inner, findings)

    return collect("FineGym", rows(), findings)


def _event_rows(place: str, video: str, event: object, names: dict[int, str], inner: bool,
                findings: Findings) -> Iterator[Row]:
    """Yield an event, or the elements in it."""
    number, times = (event.get("event"), _pairs(event.get("timestamps"))) if isinstance(event, dict) else (None, [])
    if not isinstance(event, dict) or not isinstance(number, int) or isinstance(number, bool) or not times:
        findings.add(WRONG, f"{place}: expected an event's number and timestamps, got {short(event)}")
        return
    label = names.get(number, f"event_{number}") if abs(number) < 10**9 else ""
    if not inner:
        yield from (Row(place, video, label, start, end) for start, end in times)
        return
    segments = event.get("segments")
    for key, segment in segments.items() if isinstance(segments, dict) else ():
        stages = _pairs(segment.get("timestamps")) if isinstance(segment, dict) else []
        if not stages:
            findings.add(WRONG, f"{place} {short(key)}: expected timestamps, got {short(segment)}")
            continue
        yield Row(f"{place} {short(key)}", video, label, times[0][0] + stages[0][0], times[0][0] + stages[-1][1])


def _pairs(value: object) -> list[tuple[float, float]]:
    """Return the pairs of times in [[start, end], ...]; none where one of them is no time."""
    pairs = [(seconds(pair[0]), seconds(pair[1])) if isinstance(pair, list) and len(pair) == 2 else (None, None)
             for pair in _items(value)]
    found = [(start, end) for start, end in pairs if start is not None and end is not None]
    return found if len(found) == len(pairs) else []


# --- what they share --------------------------------------------------------------------------------------------------


def _items(value: object) -> list:
    return value if isinstance(value, list) else []


def _tier(source: Source, reading: Reading, choices: tuple[str, str]) -> str:
    """Return the tier that is asked for, the first one where none is. Raises AnnotationError for others."""
    if reading.tier and reading.tier not in choices:
        raise AnnotationError(f"{source.path}: --tier {reading.tier}: expected {' or '.join(choices)}")
    return reading.tier or choices[0]
