"""Read label files of any known format, recognised by their content, without looking at videos.

`scan` reads whatever can be read and lists the rest as findings, for `check`; `read_layout` stops at them. A new format
is a function from a `Source` to a `Sheet`, and a line in FORMATS. `resolve` checks what was read against classes and
videos.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from losa.annotations.settle import settle
from losa.errors import AnnotationError, Note
from losa.formats.activitynet import is_activitynet, is_bmn, read_activitynet, read_bmn
from losa.formats.boris import is_boris, read_boris
from losa.formats.boris_tables import (
    is_boris_aggregated,
    is_boris_tabular,
    read_boris_aggregated,
    read_boris_tabular,
)
from losa.formats.csv_format import read_csv_sheet
from losa.formats.cvat import is_cvat, read_cvat
from losa.formats.dataset_json import is_ego4d_moments, is_finegym, read_ego4d_moments, read_finegym
from losa.formats.dataset_tables import (
    is_c2,
    is_charades,
    is_epic,
    is_hacs_clips,
    is_trace,
    read_c2,
    read_charades,
    read_epic,
    read_hacs_clips,
    read_trace,
)
from losa.formats.elan import is_elan, read_elan
from losa.formats.elan_table import is_elan_table, read_elan_table
from losa.formats.fiftyone import is_fiftyone, read_fiftyone
from losa.formats.framewise import is_framewise, read_framewise
from losa.formats.label_studio import is_label_studio, read_label_studio
from losa.formats.label_tracks import is_audacity, is_textgrid, read_audacity, read_textgrid
from losa.formats.other_tools import name_tool
from losa.formats.refused import is_refused, read_refused
from losa.formats.subtitles import is_ass, is_srt, is_vtt, read_ass, read_srt, read_vtt
from losa.formats.thumos import (
    is_class_files,
    is_multithumos,
    is_thumos,
    read_class_files,
    read_multithumos,
    read_thumos,
)
from losa.formats.via import is_via, read_via
from losa.formats.x_anylabeling import is_x_anylabeling, read_x_anylabeling
from losa.label_files.cells import short
from losa.label_files.sheet import KINDS, NOT_LAYOUT, Entry, Findings, Sheet, announce, listing
from losa.label_files.source import AS_RECOGNISED, Reading, Source, open_source

AS_PUBLISHED = ("ActivityNet", "MultiTHUMOS", "THUMOS text", "EPIC-KITCHENS", "C2-Action-Detection", "HACS Clips",
                "Charades", "Ego4D moments", "FineGym", "MS-TCN")  # layouts whose repeated instances are kept

CHOICES = {"columns have another name", "columns are not read that may be labels", "the file has other labels as well",
           "several could be the label", "tiers are not read", "frames may be counted at another rate",
           "the subset is named by the file", "files are not read", "media are not read", "times are shifted",
           "videos are named by their files"}  # notes that loading repeats


class Format(NamedTuple):
    """A kind of label file: its name for --from, what it is, how it is recognised and how it is read."""

    name: str
    what: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, Reading, Findings], Sheet]


def _is_table(source: Source) -> bool:
    return source.xml is None and not source.path.is_dir() and (source.content is None or bool(source.columns))


FORMATS = (  # the first that matches is taken
    Format("no-segments", "recognised and not read, for want of segments with a class: ActivityNet Captions, "
           "Charades-STA, TACoS, QVHighlights, YouCook2, AVA, Kinetics, Ego4D but its moments", is_refused,
           read_refused),
    Format("ms-tcn", "labels of each frame: MS-TCN's folder of Breakfast, 50Salads or GTEA, its groundTruth, or a file "
           "of that", is_framewise, read_framewise),
    Format("thumos", "THUMOS-14's folder of CLASS_test.txt and CLASS_val.txt", is_thumos, read_thumos),
    Format("activitynet", 'ActivityNet\'s JSON with a "database"; ActionFormer, OpenTAD, HACS, FineAction, G-TAD',
           is_activitynet, read_activitynet),
    Format("multithumos", "MultiTHUMOS' JSON, {video: {subset, duration, actions}}", is_multithumos, read_multithumos),
    Format("multithumos-text", "MultiTHUMOS' folder of CLASS.txt with lines: video start end", is_class_files,
           read_class_files),
    Format("bmn", "BMN's and mmaction2's anet_anno_*.json, {id: {duration_second, annotations}}", is_bmn, read_bmn),
    Format("ego4d-moments", "Ego4D's moments_train.json and moments_val.json", is_ego4d_moments, read_ego4d_moments),
    Format("finegym", "FineGym's JSON, {video: {event id: {event, timestamps, segments}}}", is_finegym, read_finegym),
    Format("epic-kitchens", "EPIC-KITCHENS' CSV with start_timestamp, stop_timestamp, verb, noun; EPIC-SOUNDS'",
           is_epic, read_epic),
    Format("c2-action-detection", "C2-Action-Detection's CSV with start and stop in frames, verb, noun, action",
           is_c2, read_c2),
    Format("hacs-clips", "HACS Clips' CSV with classname and label 1 or -1", is_hacs_clips, read_hacs_clips),
    Format("charades", 'Charades\' CSV with actions "c092 11.90 21.20;c147 0.00 12.60"', is_charades, read_charades),
    Format("trace", "TRACE's CSV of one video with labelId, timestamp, endTimestamp", is_trace, read_trace),
    Format("boris", "BORIS project, .boris", is_boris, read_boris),
    Format("boris-tabular", "BORIS tabular events, a row for each START, STOP or POINT", is_boris_tabular,
           read_boris_tabular),
    Format("boris-aggregated", "BORIS aggregated events, a row for each action", is_boris_aggregated,
           read_boris_aggregated),
    Format("elan", "ELAN's own file, .eaf", is_elan, read_elan),
    Format("elan-text", "ELAN tab-delimited text, of one or several files", is_elan_table, read_elan_table),
    Format("srt", "subtitles, SRT or SBV: a file for each video, a line for each label", is_srt, read_srt),
    Format("webvtt", "subtitles, WebVTT: likewise", is_vtt, read_vtt),
    Format("ass", "subtitles, ASS or SSA: likewise", is_ass, read_ass),
    Format("audacity", "Audacity's label track: a file for each video", is_audacity, read_audacity),
    Format("textgrid", "Praat's TextGrid, as text: a file for each video", is_textgrid, read_textgrid),
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
        lines = [error.describe(path) for error in errors]
        raise AnnotationError("\n".join([*lines, "`losa data check` lists everything, `--fix` repairs a copy; "
                                         "options are those of check and prepare."]))
    aside = [sheet.findings[kind] for kind in sheet.set_aside]
    if aside:
        warnings.warn(f"{path}: {sheet.counts}" + listing([finding.examples[0] for finding in aside], len(aside)),
                      stacklevel=3)
    for finding in sheet.findings.values():
        if finding.kind in CHOICES or (finding.level == "warning" and finding.kind not in sheet.set_aside):
            warnings.warn(finding.describe(path), Note if finding.level == "note" else UserWarning, stacklevel=3)
    if sheet.layout not in AS_PUBLISHED:
        repeated = [f"{entry.id}: {item}" for entry in sheet.entries
                    for item, times in Counter(entry.instances).items() if times > 1]
        if repeated:
            announce(path, repeated, "instances are there more than once; one of each is kept")
        for entry in sheet.entries:
            entry.instances[:] = dict.fromkeys(entry.instances)
    return sheet.entries, sheet.classes


def scan(path: str | Path, classes: str | Path | Sequence[str] | None = None,
         reading: Reading = AS_RECOGNISED, videos: str | Path | None = None, show: int = 5) -> Sheet:
    """Read all that can be read of a file in any known format, every time in seconds.

    Parameters as of `read_layout`; show: so many examples of each finding are kept. Raises AnnotationError only where
    nothing can be read.
    """
    path, findings = Path(path), Findings(KINDS, show)
    reading = reading if classes is None else replace(reading, classes=classes)
    chosen = _named_format(reading.format) if reading.format else None
    source = open_source(path, findings)
    chosen = chosen or recognise(source)
    if chosen is not None and (not path.is_dir() or chosen.matches(source)):
        sheet = chosen.read(source, reading, findings)
    elif path.is_dir():
        sheet = _read_files(source, reading, findings, chosen)
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


def _read_files(folder: Source, reading: Reading, findings: Findings, asked: Format | None = None) -> Sheet:
    """Read a folder of label files, all of one format: `asked`, else the one that most of its files have."""
    sources, unread = {}, []
    for path in folder.files:
        try:
            sources[path] = open_source(path, findings)
        except AnnotationError as error:
            unread.append(str(error))
    sources = _told_apart(folder.path, sources)
    formats = {path: recognise(source) for path, source in sources.items()}
    counts = Counter(known for known in formats.values() if known is not None)
    if not counts and (asked is None or not sources):
        named = next((f"{path}: {tool}" for path, source in sources.items() if (tool := name_tool(source))), "")
        if named:
            raise AnnotationError(named)
        others = sorted(path.name for path in folder.path.iterdir() if path.is_file() and path not in sources)
        also = f" (and {', '.join(others[:3])}: give such a file by itself)" if others and not sources else ""
        raise AnnotationError(f"{folder.path}: a folder with {len(folder.files)} text files{also}, none of a known "
                              f"format; expected label files of one tool, files like BaseballPitch_test.txt "
                              f"(THUMOS-14), or one JSON or CSV file. `losa data check --formats` lists what is read")
    chosen = asked or counts.most_common(1)[0][0]
    sheets = []
    for path, source in sources.items():
        try:
            if formats[path] != chosen and (asked is None or formats[path] is not None):
                raise AnnotationError(f"{path}: is {formats[path].name if formats[path] else 'of no known format'}")
            sheets.append(chosen.read(source, reading, findings))
        except AnnotationError as error:
            unread.append(str(error))
    if not sheets:
        raise AnnotationError("\n".join(unread[:5]))
    for why in unread:
        findings.add("files are not read", why)
    return _joined(sheets, findings)


def _told_apart(folder: Path, sources: dict[Path, Source]) -> dict[Path, Source]:
    """Return the files with their paths in the folder where files of one name lie in several folders below it."""
    inside = {path: path.relative_to(folder).with_suffix("").as_posix() for path in sources}
    names = Counter(Path(name).name for name in set(inside.values()))
    return {path: replace(source, inside=inside[path]) if names[path.stem] > 1 else source
            for path, source in sources.items()}


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
    content, tool = source.content, name_tool(source)
    if tool:
        return f"{source.path}: {tool}"
    if isinstance(content, dict) and "results" in content:
        return f"{source.path}: holds predictions, expected annotations: {KINDS[NOT_LAYOUT][1]}"
    if source.xml is not None:
        return (f"{source.path}: is XML with <{source.xml.tag}>, of no known tool; `losa data check --formats` lists "
                f"what is read")
    if source.path.is_dir():
        return f"{source.path}: a folder without label files; `losa data check --formats` lists what is read"
    return (f'{source.path}: has no "database" but {short(content)}. {KINDS[NOT_LAYOUT][1]} `losa data check '
            f"--formats` lists the files of tools that are read")
