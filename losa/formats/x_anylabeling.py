"""Read the JSON that X-AnyLabeling's video classifier keeps beside each video.

{"type": "video_classification", "video", "fps", "duration_ms", "segments": [{"label", "start_ms", "end_ms"}]}; see
anylabeling/views/labeling/video_classifier/sidecar.py of github.com/CVHub520/X-AnyLabeling.
"""

from collections.abc import Iterator

from losa.errors import AnnotationError
from losa.formats.json_items import frame, objects, texts
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import convert, seconds


def is_x_anylabeling(source: Source) -> bool:
    """Return whether a file is X-AnyLabeling's JSON of a video."""
    content = source.content
    return isinstance(content, dict) and content.get("type") == "video_classification" and "segments" in content


def read_x_anylabeling(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the segments of a video, in milliseconds, else in frames. Raises AnnotationError for other content."""
    content = source.content
    if not isinstance(content, dict):
        raise AnnotationError(f"{source.path}: expected X-AnyLabeling's {{\"type\": \"video_classification\", ...}}")
    return collect("X-AnyLabeling", _rows(content, source.video, findings), findings)


def _rows(content: dict, stem: str, findings: Findings) -> Iterator[Row]:
    video = next(iter(texts(content.get("video"))), stem)
    length, rate = seconds(content.get("duration_ms")), seconds(content.get("fps"))
    yield Row("video", video, duration=length / 1000 if length and length > 0 else None,
              fps=rate if rate and 0 < rate <= 1000 else None)
    for place, item in objects(content.get("segments"), "segment", findings):
        label = next(iter(texts(item.get("label"))), "")
        if label:
            yield Row(place, video, label, _time(item, "start"), _time(item, "end"))
        else:
            findings.add("instances have no label", f"{place}: {item.get('start_ms')} to {item.get('end_ms')} ms")


def _time(item: dict, end: str) -> object:
    """Return the start or the end of a segment: of milliseconds, else of frames, which count from 0."""
    if (value := item.get(f"{end}_ms")) is None:
        return frame(item.get(f"{end}_frame"))
    number = None if isinstance(value, str) and ":" in value else seconds(value)
    return repr(value)[:80] if number is None else convert(number, "ms")
