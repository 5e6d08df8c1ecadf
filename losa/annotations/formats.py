"""Read label files of any known format, recognised by their content, without looking at videos.

`scan` reads whatever can be read and lists the rest as findings, for `check`; `read_layout` stops at them. A new format
is a function from a `Source` to a `Sheet`, and a line in FORMATS. `resolve` checks what was read against classes and
videos.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from losa.annotations.activitynet import is_activitynet, read_activitynet
from losa.annotations.cells import short
from losa.annotations.csv_format import read_csv_sheet
from losa.annotations.cvat import is_cvat, read_cvat
from losa.annotations.fiftyone import is_fiftyone, read_fiftyone
from losa.annotations.label_studio import is_label_studio, read_label_studio
from losa.annotations.settle import settle
from losa.annotations.sheet import KINDS, NOT_LAYOUT, Entry, Findings, Sheet, announce, listing
from losa.annotations.source import AS_RECOGNISED, Reading, Source, open_source
from losa.annotations.thumos import is_multithumos, is_thumos, read_multithumos, read_thumos
from losa.annotations.via import is_via, read_via
from losa.annotations.x_anylabeling import is_x_anylabeling, read_x_anylabeling
from losa.errors import AnnotationError

AS_PUBLISHED = ("ActivityNet", "MultiTHUMOS", "THUMOS text")  # layouts whose repeated instances are kept


class Format(NamedTuple):
    """A kind of label file: its name for --from, what it is, how it is recognised and how it is read."""

    name: str
    what: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, Reading, Findings], Sheet]


def _is_table(source: Source) -> bool:
    return source.xml is None and not source.path.is_dir() and (source.content is None or bool(source.columns))


FORMATS = (  # the first that matches is taken
    Format("thumos", "THUMOS-14's folder of CLASS_test.txt and CLASS_val.txt", is_thumos, read_thumos),
    Format("activitynet", 'ActivityNet\'s JSON with a "database"; ActionFormer, OpenTAD, HACS, FineAction, G-TAD',
           is_activitynet, read_activitynet),
    Format("multithumos", "MultiTHUMOS' JSON, {video: {subset, duration, actions}}", is_multithumos, read_multithumos),
    Format("label-studio", "Label Studio's JSON, JSON-MIN or CSV of TimelineLabels, audio Labels or VideoRectangle",
           is_label_studio, read_label_studio),
    Format("via", "VIA 3, the VGG video annotator: its project (JSON) or its CSV", is_via, read_via),
    Format("cvat", 'CVAT\'s XML: tracks of "CVAT for video 1.1", tags on the frames of a video', is_cvat, read_cvat),
    Format("fiftyone", "FiftyOne's temporal detections: labels.json, or samples.json of a whole dataset", is_fiftyone,
           read_fiftyone),
    Format("x-anylabeling", "X-AnyLabeling's JSON of a video's segments, a file a video", is_x_anylabeling,
           read_x_anylabeling),
    Format("csv", "a table with columns video, label, start, end or duration, and subset; CSV, TSV, JSON lines",
           _is_table, read_csv_sheet),
)


def read_layout(path: str | Path, classes: str | Path | Sequence[str] | None = None,
                reading: Reading = AS_RECOGNISED, videos: str | Path | None = None
                ) -> tuple[list[Entry], list[str] | None]:
    """Return the videos of a label file in any known format, and its list of classes if it has one.

    classes: names, or a file of them, for class numbers; instead of `reading.classes`. videos: folder in which files
    are looked up whose frame rate is needed. Warns of what is set aside. Raises AnnotationError, with the first
    examples of everything that is wrong.
    """
    sheet = scan(path, classes, reading, videos)
    errors = [finding for finding in sheet.findings.values() if finding.level == "error"]
    if errors:
        lines = [f"{path}: {e.count} {e.kind}:{listing(e.examples, e.count)}\n{e.advice}" for e in errors]
        raise AnnotationError("\n".join([*lines, "`losa data check` lists everything, `--fix` repairs a copy."]))
    aside = [sheet.findings[kind] for kind in sheet.set_aside]
    if aside:
        announce(path, [f"{finding.kind}: {finding.examples[0]}" for finding in aside],
                 f"kinds of instances set aside; {sheet.counts}")
    if sheet.layout not in AS_PUBLISHED:
        repeated = [f"{entry.id}: {item}" for entry in sheet.entries
                    for item, times in Counter(entry.instances).items() if times > 1]
        if repeated:
            announce(path, repeated, "instances are there more than once; one of each is kept")
        for entry in sheet.entries:
            entry.instances[:] = dict.fromkeys(entry.instances)
    return sheet.entries, sheet.classes


def scan(path: str | Path, classes: str | Path | Sequence[str] | None = None,
         reading: Reading = AS_RECOGNISED, videos: str | Path | None = None) -> Sheet:
    """Read all that can be read of a file in any known format, every time in seconds.

    Parameters as of `read_layout`. Raises AnnotationError only where nothing can be read.
    """
    path, findings = Path(path), Findings(KINDS)
    reading = reading if classes is None else replace(reading, classes=classes)
    chosen = _named_format(reading.format) if reading.format else None
    source = open_source(path, findings)
    chosen = chosen or recognise(source)
    if chosen is not None:
        sheet = chosen.read(source, reading, findings)
    elif path.is_dir():
        sheet = _read_files(source, reading, findings)
    else:
        raise AnnotationError(_unknown(source))
    return settle(sheet, reading, path, None if videos is None else Path(videos))


def recognise(source: Source) -> Format | None:
    """Return the first format of FORMATS that a file or folder is; None for none."""
    return next((known for known in FORMATS if known.matches(source)), None)


def describe_formats() -> str:
    """Return the names of all formats and what they are, a line each."""
    width = max(len(known.name) for known in FORMATS)
    return "\n".join(f"{known.name:{width}}  {known.what}" for known in FORMATS)


def _named_format(name: str) -> Format:
    known = {item.name: item for item in FORMATS}
    if name not in known:
        near = get_close_matches(name, known, 1)
        raise AnnotationError(f"--from {name}: no such format" + (f"; did you mean {near[0]}?" if near else "")
                              + f" There are: {', '.join(known)}")
    return known[name]


def _read_files(folder: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read a folder of label files, all of one format: the one that most of its files have."""
    sources, unread = {}, []
    for path in folder.files:
        try:
            sources[path] = open_source(path, findings)
        except AnnotationError as error:
            unread.append(str(error))
    formats = {path: recognise(source) for path, source in sources.items()}
    counts = Counter(known for known in formats.values() if known is not None)
    if not counts:
        raise AnnotationError(f"{folder.path}: a folder with {len(folder.files)} text files, none of a known format; "
                              f"expected label files of one tool, files like BaseballPitch_test.txt (THUMOS-14), or "
                              f"one JSON or CSV file. `losa data check --formats` lists what is read")
    chosen = counts.most_common(1)[0][0]
    sheets = []
    for path, source in sources.items():
        try:
            if formats[path] != chosen:
                raise AnnotationError(f"{path}: is {formats[path].name if formats[path] else 'of no known format'}")
            sheets.append(chosen.read(source, reading, findings))
        except AnnotationError as error:
            unread.append(str(error))
    if not sheets:
        raise AnnotationError("\n".join(unread[:5]))
    for why in unread:
        findings.add("files are not read", why)
    return _joined(sheets, findings)


def _joined(sheets: Sequence[Sheet], findings: Findings) -> Sheet:
    """Return one sheet of several; entries of one id are put together."""
    entries: dict[str, Entry] = {}
    for sheet in sheets:
        for entry in sheet.entries:
            if entry.id in entries:
                entries[entry.id].instances.extend(entry.instances)
            else:
                entries[entry.id] = entry
    listed = [sheet.classes for sheet in sheets]
    classes = list(dict.fromkeys(name for names in listed for name in names or ())) if all(listed) else None
    return Sheet(sheets[0].layout, list(entries.values()), classes, findings,
                 {key: value for sheet in sheets for key, value in sheet.ambiguous.items()},
                 sum((sheet.unread for sheet in sheets), Counter()))


def _unknown(source: Source) -> str:
    """Return what a file is that no reader knows, and what would be read instead."""
    content = source.content
    if isinstance(content, dict) and "results" in content:
        return f"{source.path}: holds predictions, expected annotations: {KINDS[NOT_LAYOUT][1]}"
    if source.xml is not None:
        return (f"{source.path}: is XML with <{source.xml.tag}>, of no known tool; `losa data check --formats` lists "
                f"what is read")
    if source.path.is_dir():
        return f"{source.path}: a folder without label files; `losa data check --formats` lists what is read"
    return (f'{source.path}: has no "database" but {short(content)}. {KINDS[NOT_LAYOUT][1]} `losa data check '
            f"--formats` lists the files of tools that are read")
