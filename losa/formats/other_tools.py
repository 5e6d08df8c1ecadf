"""Name the tools and data sets whose files are not read, and say what to give instead.

Looked at only where no format fits, so that nothing here can keep a file from being read.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from losa.label_files.source import Source
from losa.label_files.unreadable import DATAVYU, OBSERVER

TABLE = "Give a table with the columns video,label,start,end"
IN_FRAMES = f"{TABLE}; with frames in it: --times frames"
PICTURES = "boxes or classes of single pictures, without a start and an end of actions"


class Tool(NamedTuple):
    """A tool: its name, what its file holds, and what to give instead."""

    name: str
    holds: str
    instead: str


XML = {  # the name of the outermost element
    "KinoveaVideoAnalysis": Tool("Kinovea", "key frames and drawings, moments without an end", TABLE),
    "basic-transcription": Tool("EXMARaLDA", "tiers of events", "Export it as ELAN (.eaf) or Praat TextGrid"),
    "Trans": Tool("Transcriber", "turns of speakers", "Import it into ELAN, and give its .eaf"),
    "tt": Tool("TTML", "subtitles", "Convert them to SRT or WebVTT, which are read"),
    "fcpxml": Tool("Final Cut Pro", "a cut of clips", TABLE),
    "xmeml": Tool("Final Cut Pro", "a cut of clips", TABLE),
    "preferences": Tool("ELAN", "settings of its windows", "Give the .eaf of the same name"),
}
JSON: tuple[tuple[set[str], Tool], ...] = (  # keys of the object, or of the first one in a list
    ({"shapes", "imagePath"}, Tool("labelme, or X-AnyLabeling", PICTURES, "In X-AnyLabeling, label stretches of "
                                   "videos with the video classifier, and give the JSON that this writes")),
    ({"dm_format_version"}, Tool("Datumaro, as CVAT exports it", "labels of single frames",
                                 'Export the task as "CVAT for video 1.1"')),
    ({"tracks", "shapes", "tags"}, Tool("CVAT", "a task's own backup", 'Export the task as "CVAT for video 1.1"')),
    ({"videos", "annotations", "categories"}, Tool("COCO for videos, or YouTube-VIS", "boxes and masks of objects in "
                                                   "frames", TABLE)),
    ({"images", "annotations", "categories"}, Tool("COCO", PICTURES, TABLE)),
    ({"image", "annotations"}, Tool("Create ML", PICTURES, "Of its action classifier, give [{video, label, start, "
                                    "end}]")),
    ({"assets", "videoSettings"}, Tool("VoTT", "boxes in single frames of videos", TABLE)),
    ({"framesCount", "frames"}, Tool("Supervisely", "tags with a frameRange, and objects in frames",
                                     f"{IN_FRAMES} (of a frameRange the last frame is included)")),
    ({"label_hash", "data_units"}, Tool("Encord", "labels of single frames", IN_FRAMES)),
    ({"item", "annotations"}, Tool("V7 Darwin", "tags with ranges of frames", IN_FRAMES)),
    ({"externalId", "labels"}, Tool("Kili", "answers for single frames", IN_FRAMES)),
    ({"data_row", "projects"}, Tool("Labelbox", "answers for single frames", IN_FRAMES)),
    ({"videoName", "frameIndex"}, Tool("Scalabel, or BDD100K", "boxes in single frames", IN_FRAMES)),
    ({"metadata", "instances"}, Tool("SuperAnnotate", "events in microseconds", TABLE)),
    ({"audio_spans"}, Tool("Prodigy", "spans in seconds", TABLE)),
    ({"timeSegmentAnnotations"}, Tool("Vertex AI", "segments of videos in a bucket", f"{TABLE}, as its CSV has them")),
    ({"export_info", "label_map"}, Tool("Diffgram", "labels of single frames", IN_FRAMES)),
    ({"UrlLocal", "annotations"}, Tool("SoccerNet", "events at points in time, without an end", TABLE)),
)
TABLES: tuple[tuple[set[str], Tool], ...] = (  # columns, as `table.plain` has them
    ({"behavior", "total duration"}, Tool("BORIS", "a time budget: totals, without the start and end of actions",
                                          "Export the events instead: aggregated or tabular events, or give the "
                                          ".boris project")),
    ({"behavior", "event type", "time relative sf"}, Tool(
        "The Observer XT", "a row for each start and stop", "Keep the rows with State start, and say --columns "
        "video=Observation,label=Behavior,start=Time_Relative_sf,duration=Duration_sf")),
    ({"document name", "code", "beginning", "end"}, Tool(
        "MAXQDA", "coded segments", 'Say --columns video="Document name",label=Code,start=Beginning,end=End')),
    ({"marker name", "in", "out"}, Tool(
        "Premiere Pro", "markers of one video", 'Say --columns label="Marker Name",start=In,end=Out, in a file that is '
        "named like its video")),
    ({"name", "position", "duration"}, Tool(
        "Dartfish", "events of one video", "Say --columns label=Name,start=Position,duration=Duration, in a file that "
        "is named like its video")),
)
TEXTS = {  # words among the first of a text
    "Solomon Coder": Tool("Solomon Coder", "the state at every moment of a time grid", TABLE),
    "% SDIS": Tool("SDIS, as BORIS and GSEQ write it", "events of an observation",
                   "From BORIS, export aggregated or tabular events, or give the .boris project"),
    "# observation id:": Tool("BORIS", "behavioural strings, without times",
                              "Export aggregated or tabular events, or give the .boris project"),
    "Bento annotation file": Tool("Bento", "starts and stops in frames below the name of each class", IN_FRAMES),
    "(MATRIX,": Tool("Datavyu", "its spreadsheet, with cells of several columns", DATAVYU),
}


def name_tool(source: Source) -> str:
    """Return a sentence that says which tool's file this is and what to give instead; "" where that is not known."""
    tool = _of_xml(source) if source.xml is not None else _of_json(source) or _of_table(source) or _of_text(source.text)
    return f"is a file of {tool.name}: {tool.holds}. {tool.instead}" if tool else ""


def _of_xml(source: Source) -> Tool | None:
    root = source.xml
    if root is None:
        return None
    tag = root.tag.rsplit("}", 1)[-1]
    if source.path.suffix.lower() == ".odx":
        return Tool("The Observer XT", "its project", OBSERVER)
    if tag == "file" and root.find("ALL_INSTANCES") is not None:
        return Tool("Sportscode, or a tool that exports for it", "instances with start, end and code", TABLE)
    if tag == "annotation" and root.find("body/track") is not None:
        return Tool("Anvil", "tracks of elements with start and end", f"Export the track as a table. {TABLE}")
    if tag == "annotation" and root.get("ssi-v"):
        return Tool("NOVA", "the scheme; its segments are in the file with ~ after this name, as from;to;label;"
                    "confidence", f"{TABLE} (a discrete scheme has numbers for labels)")
    if tag == "annotation" and root.find("object") is not None:
        return Tool("Pascal VOC, as LabelImg writes it", PICTURES, TABLE)
    return XML.get(tag)


def _of_json(source: Source) -> Tool | None:
    content = source.content[0] if isinstance(source.content, list) and source.content else source.content
    return _having(JSON, content.keys()) if isinstance(content, Mapping) else None


def _having(known: tuple[tuple[set[str], Tool], ...], names: Iterable[str]) -> Tool | None:
    given = set(names)
    return next((tool for needed, tool in known if needed <= given), None)


def _of_table(source: Source) -> Tool | None:
    """Return the tool of a table, by its columns."""
    if source.content is not None and not source.columns:
        return None
    found = _having(TABLES, source.columns)
    return found or _of_datavyu(source.table.header) or (_of_flags(source) if source.content is None else None)


def _of_datavyu(header: list[str]) -> Tool | None:
    """Return Datavyu where columns are "action.onset", "action.offset" and "action.CODE"."""
    names = {name.strip() for name in header}
    for start in header:
        group = start.strip().removesuffix(".onset")
        codes = [name for name in header if name.startswith(f"{group}.") and name.rpartition(".")[2] not in
                 ("ordinal", "onset", "offset")]
        if f"{group}.onset" in names and f"{group}.offset" in names and codes:
            return Tool("Datavyu", f"cells of {group!r}", "Say --columns "
                        f'label="{codes[0]}",start="{group}.onset",end="{group}.offset" --times ms, in a file that is '
                        "named like its video")
    return None


def _of_flags(source: Source) -> Tool | None:
    """Return a tool where at least two columns have nothing but 0 and 1: one for each class, a row for each frame."""
    rows = [cells for _, cells in source.table.rows[:200]]
    flags = [name for at, name in enumerate(source.table.header) if name
             and all(len(cells) > at and cells[at].strip() in ("0", "1", "0.0", "1.0") for cells in rows)]
    if len(rows) < 10 or len(flags) < 2:
        return None
    return Tool("DeepEthogram, SimBA or another", f"a column of 0 and 1 for each class ({', '.join(flags[:3])}) and a "
                "row for each frame", f"{TABLE}, or text files with the name of a class in each line, a line a frame "
                "(as MS-TCN's: --from ms-tcn --fps 25)")


def _of_text(text: str) -> Tool | None:
    return next((tool for words, tool in TEXTS.items() if words in text[:2000]), None)
