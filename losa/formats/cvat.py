"""Read CVAT's XML: tracks of "CVAT for video 1.1", and tags on the frames of a video in "CVAT for images 1.1".

A track is visible from a shape with outside="0" up to, not including, the next one with outside="1". Frames count from
0 in the video itself: a task that begins at `start_frame` or takes every Nth frame (`frame_filter` step=N) still has
the video's own numbers (https://docs.cvat.ai/docs/manual/advanced/xml_format/). Files that count the task's frames, as
other programs write them, are known by numbers that are none of the task's. There is no frame rate in the file.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from losa.errors import AnnotationError
from losa.formats.json_items import UNCLEAR, pick
from losa.label_files.cells import short
from losa.label_files.rows import Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import Frames, seconds

TRACKED = {"box", "polygon", "polyline", "points", "cuboid", "mask", "ellipse", "skeleton"}


class Task(NamedTuple):
    """A task or job of CVAT: its video, the frames that it has, and whether it was made of a video."""

    id: str
    video: str
    subset: str = ""
    start: int = 0
    stop: int | None = None
    step: int = 1
    size: int = 0
    is_video: bool = True


class Shape(NamedTuple):
    """A shape of a track in one frame of the video."""

    frame: int
    visible: bool
    attributes: dict[str, str]


class Span(NamedTuple):
    """Frames from `first` up to, not including, `end`, and the attributes that a track has there."""

    first: int
    end: int
    attributes: dict[str, str]


def is_cvat(source: Source) -> bool:
    """Return whether a file is CVAT's XML."""
    xml = source.xml
    return xml is not None and xml.tag == "annotations" and (
        xml.find("meta") is not None or any(xml.find(name) is not None for name in ("track", "image")))


def read_cvat(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read tracks, each a segment for every time that it is visible, or tags of frames, a segment for each run.

    The label of a track is its class, or the value of the attribute that `reading.label_column` names; a segment then
    ends where the value changes. Raises AnnotationError for images without tags.
    """
    xml = source.xml
    if xml is None:
        raise AnnotationError(f"{source.path}: is no XML; expected CVAT's, as \"CVAT for video 1.1\" exports it")
    tasks = {task.id: task for task in _read_tasks(xml, source.path.stem)}
    tracks, images = xml.findall("track"), xml.findall("image")
    tagged = [image for image in images if image.find("tag") is not None]
    if images and not tracks and (not tagged or not all(task.is_video for task in tasks.values())):
        raise AnnotationError(f'{source.path}: is "CVAT for images", which has no segments; export the task as "CVAT '
                              f'for video 1.1" (Actions, Export task dataset)')
    attribute = _choose_attribute(source, tracks, reading, findings)
    read = [_read_shapes(f"track {track.get('id', number)}", track, findings) for number, track in enumerate(tracks)]
    shapes = _in_video_frames(tracks, read, tasks, findings)
    rows = [Row(f"task {task.id}", task.video, subset=task.subset) for task in tasks.values()]
    for number, (track, found) in enumerate(zip(tracks, shapes, strict=True)):
        place, task = f"track {track.get('id', number)}", _task_of(track, tasks)
        rows += _track_rows(place, track, found, task, attribute, findings)
    for image in images:
        for shape in image:
            if shape.tag in TRACKED:
                findings.add("items are no segments", f"image {image.get('id')}: {shape.tag} {shape.get('label')}")
    return collect("CVAT", [*rows, *_tag_rows(tagged, tasks)], findings)


# --- tasks ----------------------------------------------------------------------------------------------------------


def _read_tasks(xml: Element, stem: str) -> Iterator[Task]:
    """Yield the tasks of a file's <meta>: one, or those of a project; one named as the file where there is none."""
    found = [node for node in xml.iter() if node.tag in ("task", "job") and node.find("size") is not None]
    if not found:
        yield Task("", stem)
    for number, node in enumerate(found):
        name = _text(node, "source") or _text(node, "name") or _text(xml, "meta/source")
        step = re.search(r"step\s*=\s*(\d{1,6})", _text(node, "frame_filter"))
        stop = _whole(_text(node, "stop_frame"))
        yield Task(_text(node, "id") or str(number), name or stem, _text(node, "subset"),
                   _whole(_text(node, "start_frame")) or 0, stop, max(int(step[1]), 1) if step else 1,
                   _whole(_text(node, "size")) or 0, _text(node, "mode") != "annotation")


def _text(node: Element, path: str) -> str:
    found = node.find(path)
    return (found.text or "").strip() if found is not None else ""


def _whole(text: str | None) -> int | None:
    number = seconds(text) if text and ":" not in text else None
    return int(number) if number is not None and number >= 0 and number == int(number) else None


def _task_of(element: Element, tasks: dict[str, Task]) -> Task:
    """Return the task of a track or image of a project, the only one of a task."""
    return tasks.get(element.get("task_id", ""), next(iter(tasks.values())))


# --- tracks ---------------------------------------------------------------------------------------------------------


def _track_rows(place: str, track: Element, shapes: Sequence[Shape], task: Task, attribute: str, findings: Findings
                ) -> Iterator[Row]:
    """Yield the rows of a track."""
    label = track.get("label", "").strip()
    if shapes and shapes[-1].visible and task.stop is not None and shapes[-1].frame + task.step <= task.stop:
        findings.add("tracks do not end", f"{place} ({label}): last in frame {shapes[-1].frame} of {task.stop}")
    if not any(shape.visible for shape in shapes):
        findings.add("items are no segments", f"{place} ({label}): is never visible")
    for span in _visible(shapes, attribute, task.step):
        labels = [label] if not attribute else _attribute_labels(attribute, span.attributes.get(attribute, ""))
        for name in labels:
            yield Row(place, task.video, name, Frames(float(span.first)), Frames(float(span.end)), task.subset)
        if not labels:
            findings.add("instances have no label", f"{place} ({label}), frames {span.first} to {span.end}: no "
                         f"{attribute}")


def _read_shapes(place: str, track: Element, findings: Findings) -> list[Shape]:
    """Return the shapes of a track in the order of their frames; without a frame they are findings."""
    shapes = []
    for element in track:
        frame = _whole(element.get("frame"))
        if element.tag in TRACKED and frame is None:
            findings.add(UNCLEAR, f"{place}: <{element.tag}> in frame {short(element.get('frame'))}")
        elif element.tag in TRACKED and frame is not None:
            given = {each.get("name", "").strip(): (each.text or "").strip() for each in element.iter("attribute")}
            hidden = [part.get("outside", "0").strip().lower() in ("1", "true") for part in
                      ([element] if element.get("outside") or not len(element) else element.findall("points"))]
            shapes.append(Shape(frame, not hidden or not all(hidden), given))
    return sorted(shapes, key=lambda shape: shape.frame)


def _in_video_frames(tracks: Sequence[Element], shapes: list[list[Shape]], tasks: dict[str, Task], findings: Findings
                     ) -> list[list[Shape]]:
    """Return the shapes of all tracks with the video's numbers of frames, where a file has the task's."""
    of_task: dict[str, list[int]] = {}
    for track, found in zip(tracks, shapes, strict=True):
        of_task.setdefault(_task_of(track, tasks).id, []).extend(shape.frame for shape in found)
    own = {key for key, numbers in of_task.items() if _count_the_task(tasks[key], numbers)}
    for key in sorted(own):
        findings.add("frames are counted in steps", f"{tasks[key].video}: every {tasks[key].step}, from frame "
                     f"{tasks[key].start}")
    return [[shape._replace(frame=task.start + shape.frame * task.step) for shape in found] if task.id in own else found
            for track, found in zip(tracks, shapes, strict=True) for task in [_task_of(track, tasks)]]


def _count_the_task(task: Task, numbers: Sequence[int]) -> bool:
    """Return whether numbers of frames count those of the task: some are none of the video's frames in it."""
    strange = any(number < task.start or (number - task.start) % task.step for number in numbers)
    return strange and (not task.size or max(numbers) <= task.size)


def _visible(shapes: Sequence[Shape], attribute: str, step: int) -> Iterator[Span]:
    """Yield where a track is visible, and anew where the value of `attribute` changes, if one is given."""
    begun: Shape | None = None
    for shape in shapes:
        changed = begun is not None and attribute and (
            shape.attributes.get(attribute) != begun.attributes.get(attribute))
        if begun is not None and (not shape.visible or changed):
            yield Span(begun.frame, shape.frame, begun.attributes)
            begun = None
        if shape.visible and begun is None:
            begun = shape
    if begun is not None:
        yield Span(begun.frame, shapes[-1].frame + step, begun.attributes)


def _attribute_labels(attribute: str, value: str) -> list[str]:
    """Return the label of an attribute's value: the attribute's own name where it is a box that is ticked."""
    if value.lower() in ("", "false", "__undefined__"):
        return []
    return [attribute if value.lower() == "true" else value]


def _choose_attribute(source: Source, tracks: Sequence[Element], reading: Reading, findings: Findings) -> str:
    """Return the attribute that `reading.label_column` names; "" for the tracks' own labels."""
    values: dict[str, set[str]] = {}
    counts = Counter[str]()
    for track in tracks:
        for each in track.iter("attribute"):
            values.setdefault(each.get("name", "").strip(), set()).add((each.text or "").strip())
        counts.update(dict.fromkeys((each.get("name", "").strip() for each in track.iter("attribute")), 1))
    if reading.label_column in ("", "label"):
        for name, found in values.items():
            if len(found) > 1 and not all(seconds(value) is not None for value in found):
                findings.add("several could be the label", f"the tracks' own labels are taken; --label-column {name!r} "
                             f"takes the attribute ({', '.join(sorted(found)[:3])})")
        return ""
    return pick(source.path, reading.label_column, counts, "--label-column", "attribute")


# --- tags -----------------------------------------------------------------------------------------------------------


def _tag_rows(images: Sequence[Element], tasks: dict[str, Task]) -> Iterator[Row]:
    """Yield a row for each run of frames that have the same tag."""
    tagged: dict[tuple[str, str], set[int]] = {}
    for image in images:
        number = _whole(image.get("id"))
        for tag in image.findall("tag"):
            key = (_task_of(image, tasks).id, tag.get("label", "").strip())
            if number is None:
                yield Row(f"image {image.get('id')}", _task_of(image, tasks).video, key[1])
            else:
                tagged.setdefault(key, set()).add(number)
    for (task_id, label), frames in tagged.items():
        task = tasks[task_id]
        for first, last in _runs(sorted(frames), task.step):
            yield Row(f"tag {label}, frame {first}", task.video, label, Frames(float(first)),
                      Frames(float(last + task.step)), task.subset)


def _runs(numbers: Sequence[int], step: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of numbers that are at most `step` apart."""
    first = numbers[0]
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        if following is None or following - number > step:
            yield first, number
            first = following or 0
