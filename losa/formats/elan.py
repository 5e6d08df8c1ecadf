"""Read and write ELAN's own files, .eaf, XML of one or several videos that play together.

A time slot has its time in milliseconds, or none; an alignable annotation lasts from one slot to another, and a
referring one (REF_ANNOTATION) as long as what it refers to. Format: mpi.nl/tools/elan, EAF 3.0.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote, unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from losa.errors import AnnotationError
from losa.formats.tiers import OURS, choose_tiers, split_overlaps
from losa.label_files.cells import is_safe, without_suffix
from losa.label_files.rows import Item, Labelled, Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source

UNITS = {"milliseconds": 1000.0, "ntsc-frames": 30000 / 1001, "pal-frames": 25.0, "pal-50-frames": 50.0}  # in a second
SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed within this "
                        "interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are "
                            "ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}  # fmt: skip
TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".mpg": "video/mpeg",
         ".mpeg": "video/mpeg"}


class Annotation(NamedTuple):
    """An annotation: its slots, which are empty in one that refers to another, and its text."""

    id: str
    tier: str
    slots: tuple[str, str] | None
    parent: str
    text: str


class Media(NamedTuple):
    """A file that plays with the annotations; it is `origin` seconds in when these are at 0."""

    name: str
    is_video: bool
    origin: float


def is_elan(source: Source) -> bool:
    """Return whether a file is XML whose root is ANNOTATION_DOCUMENT."""
    return source.xml is not None and _tag(source.xml) == "ANNOTATION_DOCUMENT"


def read_elan(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read an .eaf: the annotations of one tier, or of those that --tier names, over its first video.

    `reading.label_column` "tier" takes the names of the tiers as labels. Raises AnnotationError where several tiers
    have annotations and none is chosen, and for times in an unknown unit.
    """
    root = source.xml
    if root is None:
        raise AnnotationError(f"{source.path}: is no .eaf, which is XML; expected a file that ELAN saved, or its "
                              f"export as tab-delimited text (--from elan-text)")
    annotations = list(_annotations(root))
    counts = {_attribute(tier, "TIER_ID"): 0 for tier in _all(root, "TIER")} | Counter(a.tier for a in annotations)
    chosen = choose_tiers(source.path, counts, reading.tier, findings)
    video, origin = _video(source, root, findings)
    slots, known = _slots(source.path, root), {annotation.id: annotation for annotation in annotations}

    def rows() -> Iterator[Row]:
        yield Row(source.path.name, video)
        for annotation in annotations:
            if annotation.tier not in chosen:
                continue
            place = f"{source.path.name}: {annotation.id} of tier {annotation.tier!r}"
            label = annotation.tier if reading.label_column == "tier" else annotation.text
            start, end = _times(annotation, known, slots)
            if not label:
                findings.add("instances have no label", f"{place}: [{start}, {end}]")
            elif start is None or end is None:
                findings.add("instances have no time", f"{place}: {label!r} [{start}, {end}]")
            else:
                yield Row(place, video, label, round(start + origin, 6), round(end + origin, 6))

    return collect("ELAN", rows(), findings)


def _tag(element: Element) -> str:
    """Return the tag without a namespace."""
    return str(element.tag).rpartition("}")[2]


def _all(element: Element, tag: str) -> list[Element]:
    return [found for found in element.iter() if _tag(found) == tag]


def _attribute(element: Element, name: str) -> str:
    return element.get(name, "").strip()


def _annotations(root: Element) -> Iterator[Annotation]:
    vocabulary = {_attribute(entry, "CVE_ID"): " ".join("".join(value.itertext()).split())
                  for entry in _all(root, "CV_ENTRY_ML") for value in _all(entry, "CVE_VALUE")[:1]}
    for tier in _all(root, "TIER"):
        for element in tier.iter():
            if _tag(element) not in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"):
                continue
            texts = [" ".join("".join(value.itertext()).split()) for value in _all(element, "ANNOTATION_VALUE")[:1]]
            text = (texts or [""])[0] or vocabulary.get(_attribute(element, "CVE_REF"), "")
            aligned = _tag(element) == "ALIGNABLE_ANNOTATION"
            pair = (_attribute(element, "TIME_SLOT_REF1"), _attribute(element, "TIME_SLOT_REF2"))
            yield Annotation(_attribute(element, "ANNOTATION_ID"), _attribute(tier, "TIER_ID"),
                             pair if aligned else None, _attribute(element, "ANNOTATION_REF"), text)


def _slots(path: Path, root: Element) -> dict[str, float]:
    """Return {time slot: seconds} of those that have a time."""
    headers = _all(root, "HEADER")
    unit = _attribute(headers[0], "TIME_UNITS") if headers else ""
    if unit and unit.lower() not in UNITS:
        raise AnnotationError(f"{path}: TIME_UNITS is {unit[:50]!r}, expected one of milliseconds, NTSC-frames, "
                              f"PAL-frames, PAL-50-frames; save it again with ELAN")
    times = {_attribute(slot, "TIME_SLOT_ID"): _whole(_attribute(slot, "TIME_VALUE"))
             for slot in _all(root, "TIME_SLOT")}
    return {key: value / UNITS[unit.lower() or "milliseconds"] for key, value in times.items() if value is not None}


def _whole(text: str) -> float | None:
    """Return a number of milliseconds or frames; None where it is none."""
    return float(text) if re.fullmatch(r"-?\d{1,12}(\.\d{1,12})?", text, re.ASCII) else None


def _times(annotation: Annotation, known: dict[str, Annotation], slots: dict[str, float]
           ) -> tuple[float | None, float | None]:
    """Return start and end of an annotation, or of the one that it refers to, directly or over others."""
    seen: set[str] = set()
    while annotation.slots is None and annotation.parent in known and annotation.parent not in seen:
        seen.add(annotation.parent)
        annotation = known[annotation.parent]
    first, last = annotation.slots or ("", "")
    return slots.get(first), slots.get(last)


def _video(source: Source, root: Element, findings: Findings) -> tuple[str, float]:
    """Return the name of the video, that of the .eaf where it names none, and the video's time when ELAN's is 0."""
    path, media = source.path, [_media(element) for element in _all(root, "MEDIA_DESCRIPTOR")]
    header = (_all(root, "HEADER") or [root])[0]
    media += [Media(file_name(_attribute(header, "MEDIA_FILE")), True, 0.0)]
    media = [one for one in media if one.name and is_safe(one.name)]
    if not media:
        findings.add("videos are named by their files", f"{path.name} is of {source.video!r}")
        return source.video, 0.0
    taken = next((one for one in media if one.is_video), media[0])
    for one in media:
        if one.is_video and one.name != taken.name:
            findings.add("media are not read", f"{path.name}: {one.name}, beside {taken.name}")
    if taken.origin:
        findings.add("times are shifted", f"{path.name}: {taken.name} begins {taken.origin:g} s before ELAN's 0")
    return taken.name if taken.is_video else PurePosixPath(taken.name).stem, taken.origin


def _media(element: Element) -> Media:
    address = _attribute(element, "MEDIA_URL") or _attribute(element, "RELATIVE_MEDIA_URL")
    kind = _attribute(element, "MIME_TYPE").lower()
    name = file_name(address) or file_name(_attribute(element, "RELATIVE_MEDIA_URL"))
    is_video = without_suffix(name) != name or kind.startswith("video")
    return Media(name, is_video, (_whole(_attribute(element, "TIME_ORIGIN")) or 0.0) / 1000)


def file_name(address: str) -> str:
    """Return the last part of a path or address."""
    return re.split(r"[\\/]", unquote(address))[-1].strip()


# --- writing --------------------------------------------------------------------------------------------------------


def write_elan(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {relative file name: text} of an .eaf for each video, with its segments in a tier "losa".

    ELAN allows no overlap within a tier: what overlaps is in "losa 2" and so on. Scores are left out, as ELAN has no
    place for them. Times are rounded to milliseconds; the video is looked for beside the file.
    """
    return {f"{video.id}.eaf": _document(video) for video in videos}


def _document(video: Labelled) -> str:
    root = Element("ANNOTATION_DOCUMENT", {
        "AUTHOR": "losa", "DATE": datetime.now(UTC).isoformat(timespec="seconds"), "FORMAT": "3.0", "VERSION": "3.0",
        "xmlns:xsi": XSI, "xsi:noNamespaceSchemaLocation": SCHEMA})  # fmt: skip
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    name = PurePosixPath(_clean(video.file or video.id)).name
    kind = TYPES.get(PurePosixPath(name).suffix.lower(), "video/*")
    SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=f"file:///{quote(name)}", MIME_TYPE=kind,
               RELATIVE_MEDIA_URL=f"./{quote(name)}")
    SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(video.items))
    lanes = split_overlaps([(item.label, *_milliseconds(item)) for item in video.items])
    moments = sorted((time, lane, at, side) for lane, segments in enumerate(lanes)
                     for at, (_, *pair) in enumerate(segments) for side, time in enumerate(pair))
    slots = {tuple(key): f"ts{number}" for number, (_, *key) in enumerate(moments, 1)}
    order = SubElement(root, "TIME_ORDER")
    for number, (time, *_) in enumerate(moments, 1):
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(time))
    _add_tiers(root, lanes, slots)
    SubElement(root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="default-lt",
               TIME_ALIGNABLE="true")
    for stereotype, what in CONSTRAINTS.items():
        SubElement(root, "CONSTRAINT", DESCRIPTION=what, STEREOTYPE=stereotype)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _milliseconds(item: Item) -> tuple[int, int]:
    start = round(1000 * max(item.start, 0))
    return start, max(round(1000 * item.end), start + 1)  # ELAN takes no annotation without a length


def _add_tiers(root: Element, lanes: Sequence[Sequence[tuple[str, int, int]]], slots: Mapping[tuple, str]) -> None:
    number = 0
    for lane, segments in enumerate(lanes or [[]]):
        name = f"{OURS} {lane + 1}" if lane else OURS
        tier = SubElement(root, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=name)
        for at, (label, *_) in enumerate(segments):
            number += 1
            aligned = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}",
                                 TIME_SLOT_REF1=slots[lane, at, 0], TIME_SLOT_REF2=slots[lane, at, 1])
            SubElement(aligned, "ANNOTATION_VALUE").text = _clean(label)


def _clean(text: str) -> str:
    """Return the text with spaces for characters that XML cannot hold."""
    return re.sub("[^\\t\\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
