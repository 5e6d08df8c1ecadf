"""Read and write files of VIA 3, the VGG annotator of video: its project (JSON) and its CSV.

A segment is a metadata item with two times, "z": [start, end] in seconds; one time is a frame, for boxes in "xy". "av"
holds {id of an attribute: key of an option, or text}; what both mean is in "attribute" of the project, or in the line
"# ATTRIBUTE = ..." of the CSV (https://gitlab.com/vgg/via/-/blob/master/via-3.x.y/CodeDoc.md).
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from losa.errors import AnnotationError
from losa.formats.json_items import UNCLEAR, child, objects, parse_cell, pick, texts
from losa.label_files.cells import short
from losa.label_files.rows import Labelled, Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

HEADER = ("metadata_id", "file_list", "flags", "temporal_coordinates", "spatial_coordinates", "metadata")
NOT_CHOSEN = ("_DEFAULT", "default")  # the group that VIA puts segments into where there is no other


class Marked(NamedTuple):
    """What a file says about a stretch, a frame or a region: times, coordinates, {id of an attribute: its value}."""

    place: str
    video: str
    times: list
    region: object
    values: dict


class Attribute(NamedTuple):
    """An attribute's name, and the texts of its options by their keys; empty where it is free text."""

    name: str
    options: dict[str, str]
    several: bool = False  # several options may be ticked


def is_via(source: Source) -> bool:
    """Return whether a file is VIA's: a project or CSV of VIA 3, or a project of VIA 2, which has no times."""
    content = source.content
    if isinstance(content, dict):
        return "_via_img_metadata" in content or (
            all(isinstance(content.get(key), dict) for key in ("metadata", "file"))
            and any(key in content for key in ("attribute", "view", "project")))
    return content is None and bool(re.search(r"CSV_HEADER\s*=\s*\W*metadata_id|^\W*metadata_id\W+file_list\b",
                                              source.text[:100_000]))


def read_via(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the segments of a VIA 3 file; of several attributes `reading.label_column` names the one with the labels.

    Raises AnnotationError for VIA 2 and where the attribute has to be given.
    """
    content = source.content
    if isinstance(content, dict) and "_via_img_metadata" in content:
        raise AnnotationError(f"{source.path}: is of VIA 2, which has regions of images and no times; label stretches "
                              f"of videos with VIA 3 (video annotator) and save its project")
    if isinstance(content, dict):
        attributes, marked = _read_attributes(content.get("attribute")), list(_read_project(content, findings))
    else:
        comments, rows = _split_csv(source)
        attributes, marked = _read_attributes(_csv_attributes(comments)), list(_read_csv(comments, rows, findings))
    key = _choose_attribute(source.path, [item for item in marked if len(item.times) == 2], attributes, reading,
                            findings)
    return collect("VIA", (row for item in marked for row in _rows(item, key, attributes, findings)), findings)


def _rows(item: Marked, key: str, attributes: dict[str, Attribute], findings: Findings) -> Iterator[Row]:
    """Yield a row that only names the video, and one for each label of a segment."""
    if item.video or len(item.times) != 2:
        yield Row(item.place, item.video)
    if len(item.times) != 2:
        spatial = bool(item.region) or len(item.times) != 1
        findings.add("items are no segments" if spatial else "events are points in time",
                     f"{item.place}: {item.video} at {short(item.times)}")
        return
    attribute = attributes.get(key, Attribute(key, {}))
    labels = _labels(item.values.get(key), attribute)
    for label in labels:
        if attribute.options and label not in attribute.options.values() and label.isdigit():
            findings.add(UNCLEAR, f"{item.place}: {attribute.name!r} has no option {label}, only "
                         f"{', '.join(attribute.options)[:80]}")
        else:
            yield Row(item.place, item.video, label, *item.times)
    if not labels:
        findings.add("instances have no label", f"{item.place}: {item.video} {short(item.times)}, no "
                     f"{attribute.name or 'attribute'}")


# --- attributes -----------------------------------------------------------------------------------------------------


def _read_attributes(held: object) -> dict[str, Attribute]:
    """Return {id: attribute} of a project; old CSV files only have {id: name}."""
    found = {}
    for key, value in held.items() if isinstance(held, dict) else ():
        name = next(iter(texts(value.get("aname") if isinstance(value, dict) else value)), str(key))
        options = {str(k): text for k, v in child(value, "options").items() for text in texts(v)}
        found[str(key)] = Attribute(name, options, isinstance(value, dict) and value.get("type") == 2)
    return found


def _labels(value: object, attribute: Attribute) -> list[str]:
    """Return the labels that a value stands for: of options those of their keys, else the text itself."""
    if isinstance(value, dict):
        value = [key for key, ticked in value.items() if ticked]
    found = texts(value)
    if attribute.several:
        found = [part.strip() for text in found for part in text.split(",") if part.strip()]
    return [attribute.options.get(text, text) for text in found if text not in NOT_CHOSEN]


def _choose_attribute(path: Path, segments: Sequence[Marked], attributes: dict[str, Attribute], reading: Reading,
                      findings: Findings) -> str:
    """Return the id of the attribute that holds the labels of segments; numbers, as scores, are none."""
    labels: dict[str, list[str]] = {}
    for item in segments:
        for key, value in item.values.items():
            labels.setdefault(str(key), []).extend(_labels(value, attributes.get(str(key), Attribute(str(key), {}))))
    ids = {attributes[key].name if key in attributes else key: key for key, found in labels.items() if found}
    counts = {name: len(labels[key]) for name, key in ids.items()}
    numbers = [name for name, key in ids.items() if all(seconds(label) is not None for label in labels[key])]
    likely = {name: count for name, count in counts.items() if name not in numbers} or counts
    name = pick(path, reading.label_column, counts if reading.label_column else likely, "--label-column", "attribute")
    others = [f"{other!r} ({count})" for other, count in counts.items() if other != name]
    if others and not reading.label_column:
        findings.add("several could be the label", f"{name!r} is taken; there are also {', '.join(others)}")
    return ids.get(name, "")


# --- the project ----------------------------------------------------------------------------------------------------


def _read_project(content: dict, findings: Findings) -> Iterator[Marked]:
    """Yield the metadata of a project, with the file of each item's view."""
    views, files = child(content, "view"), child(content, "file")
    named, seen = {key: _file_name(value) for key, value in files.items()}, set()
    for place, item in objects(content.get("metadata"), "metadata", findings):
        view = next(iter(texts(item.get("vid"))), "")
        of_view = [named.get(key, "") for key in texts(child(views, view).get("fid_list"))] or [named.get(view, "")]
        seen.update(of_view)
        yield Marked(place, _first(of_view, place, findings), item["z"] if isinstance(item.get("z"), list) else [],
                     item.get("xy"), child(item, "av"))
    for name in named.values():
        if name and name not in seen:
            findings.add("videos are not labelled yet", name)


def _file_name(value: object) -> str:
    held = [next(iter(texts(value.get(key))), "") for key in ("fname", "src")] if isinstance(value, dict) else []
    return next(filter(None, held), "")


def _first(names: Sequence[str], place: str, findings: Findings) -> str:
    if len(names) > 1:
        findings.add("items name several videos", f"{place}: {', '.join(names)}")
    return names[0] if names else ""


# --- CSV ------------------------------------------------------------------------------------------------------------


def _split_csv(source: Source) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the lines of comments above the table and the rows below, each with its line."""
    lines = source.text.lstrip("\ufeff").splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if line.strip() and line.lstrip(' "')[:1] != "#"), len(lines))
    comments = [_unquoted(line) for line in lines[:start] if line.strip()]
    head = next((line for line in [*comments, *lines[start:start + 1]] if "metadata_id" in line), "")
    separator = re.search(r"metadata_id\W*?([,;\t])", head)
    tabs = start < len(lines) and "\t" in lines[start]
    between = "\t" if tabs else separator[1] if separator else ","
    reader = csv.reader(io.StringIO("".join(lines[start:])), delimiter=between)
    try:
        return comments, [(start + reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise AnnotationError(f"{source.path}: line {start + reader.line_num} is no CSV ({error})") from error


def _unquoted(line: str) -> str:
    """Return a line of comment without the quotes and empty cells that a spreadsheet has put around it."""
    line = line.strip().rstrip(",;\t")
    return line[1:-1].replace('""', '"') if re.fullmatch(r'"\s*#.*"', line) else line


def _csv_attributes(comments: Sequence[str]) -> object:
    found = next((line for line in comments if re.match(r"#\s*ATTRIBUTES?\s*=", line)), "")
    return parse_cell(found.partition("=")[2].strip())


def _read_csv(comments: Sequence[str], rows: Sequence[tuple[int, list[str]]], findings: Findings) -> Iterator[Marked]:
    """Yield the rows of a CSV; old ones have a column for each of the two times."""
    head = next((line.partition("=")[2] for line in comments if re.match(r"#\s*CSV_HEADER\s*=", line)), "")
    columns = re.findall(r"\w+", head) or list(HEADER)
    for line, cells in rows:
        if cells[0].strip() == "metadata_id":
            columns = [cell.strip() for cell in cells if cell.strip()]
            continue
        if len(cells) < len(columns):
            findings.add("rows do not have as many cells as the first line",
                         f"line {line}: {len(cells)} instead of {len(columns)}: {','.join(cells)}")
            continue
        row = {name: parse_cell(cell.strip()) for name, cell in zip(columns, cells, strict=False)}
        times = row.get("temporal_coordinates", [time for name in ("temporal_segment_start", "temporal_segment_end")
                                                 if (time := row.get(name)) not in (None, "")])
        values = row.get("metadata")
        if not isinstance(times, list) or not isinstance(values, dict):
            findings.add(UNCLEAR, f"line {line}: expected times and metadata as JSON, got {short(times)} and "
                         f"{short(values)}")
            continue
        yield Marked(f"line {line}", _first(texts(row.get("file_list")), f"line {line}", findings), times,
                     row.get("spatial_coordinates"), values)


# --- writing --------------------------------------------------------------------------------------------------------


def write_via(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {"via.json": text} of a VIA 3 project; VIA asks for the files themselves when it is opened.

    Labels are the options of the attribute "action"; scores, if there are any, the text of an attribute "score".
    """
    labels = sorted({item.label for video in videos for item in video.items})
    options = {str(number): label for number, label in enumerate(labels, 1)}
    keys = {label: key for key, label in options.items()}
    attributes = {"1": _attribute("action", 4, options)}
    if any(item.score is not None for video in videos for item in video.items):
        attributes["2"] = _attribute("score", 1, {})
    numbers = [str(number) for number in range(1, len(videos) + 1)]
    metadata = {f"{number}_{index:08d}": {
        "vid": number, "flg": 0, "z": [item.start, item.end], "xy": [],
        "av": {"1": keys[item.label], **({} if item.score is None else {"2": f"{item.score:.6g}"})}}
        for number, video in zip(numbers, videos, strict=True) for index, item in enumerate(video.items, 1)}
    project = {
        "project": {"pid": "__VIA_PROJECT_ID__", "rev": "__VIA_PROJECT_REV_ID__",
                    "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__", "pname": "losa", "creator": "losa", "created": 0,
                    "data_format_version": "3.1.1", "vid_list": numbers},
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
                   "ui": {"file_content_align": "center", "file_metadata_editor_visible": True,
                          "spatial_metadata_editor_visible": True, "spatial_region_label_attribute_id": ""}},
        "attribute": attributes,
        "file": {number: {"fid": number, "fname": video.file or video.id, "type": 4, "loc": 1, "src": ""}
                 for number, video in zip(numbers, videos, strict=True)},
        "metadata": metadata,
        "view": {number: {"fid_list": [number]} for number in numbers},
    }  # fmt: skip
    return {"via.json": json.dumps(project, indent=1, ensure_ascii=False) + "\n"}


def _attribute(name: str, kind: int, options: dict[str, str]) -> dict:
    return {"aname": name, "anchor_id": "FILE1_Z2_XY0", "type": kind, "desc": "", "options": options,
            "default_option_id": ""}
