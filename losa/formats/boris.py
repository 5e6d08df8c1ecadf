"""Read and write BORIS projects, .boris, JSON of observations of one or several videos each.

An observation has events [seconds, subject, code, modifiers, comment, frame]; of a behaviour that is a state event,
every second one ends what the one before has begun. Times count through the files of a player one after the other, and
from the observation's time offset. Facts: BORIS 7 to 9, boris/project_functions.py and boris/export_observation.py.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from losa.errors import AnnotationError
from losa.formats.tiers import split_overlaps
from losa.label_files.cells import is_text, short
from losa.label_files.rows import Labelled, Row, collect
from losa.label_files.sheet import Findings, Sheet
from losa.label_files.source import Reading, Source
from losa.label_files.times import seconds

VERSION = "7.0"  # of the format, which BORIS 7, 8 and 9 read
KEYS = "abcdefghijklmnopqrstuvwxyz0123456789"
LABELS = {"behavior": 2, "subject": 1, "modifier": 3, "modifiers": 3, "comment": 4}  # of --label-column, in an event


class Event(NamedTuple):
    """A START, STOP or POINT; `series` is what a start and its stop have in common."""

    place: str
    series: tuple
    kind: str
    time: float
    label: str
    video: str


class Playlist(NamedTuple):
    """The files of an observation, one after the other, with the second at which each begins; None: not known."""

    files: list[str]
    starts: list[float | None]
    offset: float = 0.0

    def find(self, time: float, is_end: bool = False) -> tuple[str, float] | None:
        """Return the file that plays at a time of the observation, or just before it, and the time in that file.

        None where the lengths of the files before it are not known.
        """
        time -= self.offset
        known = [start for start in self.starts if start is not None]
        if not self.files or len(known) < len(self.files):
            return None
        at = max(i for i, start in enumerate(known) if i == 0 or start < time or (start == time and not is_end))
        return self.files[at], round(time - known[at], 6)


def playlist(files: Sequence[str], lengths: Sequence[float | None], offset: float = 0.0) -> Playlist:
    """Return the playlist of files with these lengths in seconds."""
    starts: list[float | None] = [0.0]
    for length in lengths[:len(files) - 1]:
        starts.append(None if starts[-1] is None or length is None else starts[-1] + length)
    return Playlist(list(files), (starts + [None] * len(files))[:len(files)], offset)


def pair_events(events: Iterable[Event], findings: Findings) -> Iterator[Row]:
    """Yield a row for each start and the stop that follows it in its series; events are in order of time.

    Points are set aside; so are a start that another start or nothing follows, and a stop without a start.
    """
    running: dict[tuple, Event] = {}

    def alone(event: Event) -> None:
        findings.add("starts or stops have no partner", f"{event.place}: {event.kind} of {event.label!r} at "
                                                        f"{event.time:g} s")

    for event in events:
        begun = running.pop(event.series, None) if event.kind in ("START", "STOP") else None
        if event.kind == "POINT":
            findings.add("events are points in time", f"{event.place}: {event.label!r} at {event.time:g} s")
        elif event.kind == "START":
            if begun is not None:
                alone(begun)
            running[event.series] = event
        elif begun is None:
            alone(event)
        elif begun.video != event.video:
            findings.add("starts or stops have no partner", f"{begun.place}: {begun.label!r} starts in {begun.video} "
                                                            f"and stops in {event.video}")
        else:
            yield Row(begun.place, begun.video, begun.label, begun.time, event.time)
    for event in running.values():
        alone(event)


# --- projects -------------------------------------------------------------------------------------------------------


def is_boris(source: Source) -> bool:
    """Return whether a file is JSON with observations and an ethogram."""
    content = source.content
    return (isinstance(content, dict) and isinstance(content.get("observations"), dict)
            and bool({"behaviors_conf", "project_format_version"} & content.keys()))


def read_boris(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read the observations of a project; the label is the behaviour's code, or what --label-column names.

    Raises AnnotationError for a --label-column that events do not have.
    """
    content = source.content
    if not isinstance(content, dict) or not isinstance(content.get("observations"), dict):
        raise AnnotationError(f"{source.path}: is no BORIS project, which is JSON with observations; expected a .boris "
                              f"file, or exported events (--from boris-aggregated, boris-tabular)")
    column = reading.label_column.strip().lower() or "behavior"
    if column not in LABELS:
        raise AnnotationError(f"{source.path}: --label-column {reading.label_column}: events of a BORIS project have "
                              f"behavior, subject, modifier and comment")
    kinds = _ethogram(content)

    def rows() -> Iterator[Row]:
        for name, observation in content["observations"].items():
            if not isinstance(observation, dict):
                findings.add("rows cannot be understood", f"observation {name!r}: {short(observation)}")
                continue
            files = _files(name, observation, findings)
            lengths = _section(observation, "media_info", "length")
            for file in files.files:
                length = seconds(lengths.get(file))
                yield Row(f"observation {name!r}", file, duration=length if length and length > 0 else None)
            yield from pair_events(_events(name, observation, files, kinds, LABELS[column], findings), findings)

    sheet = collect("BORIS", rows(), findings)
    if column == "behavior":
        _mention(content, findings)
    return sheet


def _section(content: object, *names: str) -> dict:
    """Return the object below these keys; an empty one where there is none."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _ethogram(content: dict) -> dict[str, bool]:
    """Return {code: whether it is a state event}."""
    behaviours = [value for value in _section(content, "behaviors_conf").values() if isinstance(value, dict)]
    return {str(value.get("code")): "state" in str(value.get("type")).lower() for value in behaviours}


def _files(name: str, observation: dict, findings: Findings) -> Playlist:
    """Return the files of the first player; a live observation has none and is its own."""
    players = _section(observation, "file")
    listed = {key: [file for file in files if isinstance(file, str) and file]
              for key, files in sorted(players.items()) if isinstance(files, list)}
    first = next((files for files in listed.values() if files), [])
    for key, files in listed.items():
        if files and files is not first:
            findings.add("media are not read", f"observation {name!r}: player {key}: {', '.join(files)}")
    offset = seconds(observation.get("time offset")) or 0.0
    if offset:
        findings.add("times are shifted", f"observation {name!r}: its time offset of {offset:g} s is subtracted")
    if not first:
        findings.add("observations have no media", f"observation {name!r}")
        return Playlist([name], [0.0], offset)
    if len(first) > 1:
        findings.add("times are shifted", f"observation {name!r}: {len(first)} files play one after the other; times "
                                          f"count from the start of each")
    lengths = _section(observation, "media_info", "length")
    return playlist(first, [seconds(lengths.get(file)) for file in first], offset)


def _events(name: str, observation: dict, files: Playlist, kinds: Mapping[str, bool], column: int, findings: Findings
            ) -> Iterator[Event]:
    """Yield the events with START, STOP or POINT; what cannot be placed is a finding."""
    events = observation.get("events")
    counts: dict[tuple, int] = defaultdict(int)
    for index, event in sorted(enumerate(events if isinstance(events, list) else []), key=_time_of):
        place = f"observation {name!r}, event {index + 1}"
        cells = [*event, "", "", ""][:6] if isinstance(event, list) else []
        if str(observation.get("type")).upper() == "IMAGES":
            findings.add("items are no segments", f"{place}: is of pictures, not of a video")
            continue
        time = seconds(cells[0]) if len(cells) > 4 else None
        code = cells[2] if len(cells) > 4 and is_text(cells[2]) and is_text(cells[1]) else ""
        series = (name, *map(str, cells[1:4]))
        counts[series] += kinds.get(code, False)
        kind = ("START" if counts[series] % 2 else "STOP") if kinds.get(code) else "POINT"
        found = None if time is None else files.find(time, kind == "STOP")
        if time is None or found is None or code not in kinds:
            findings.add("rows cannot be understood", f"{place}: {short(event)}{_why(time, found, code, kinds)}")
            continue
        label = str(cells[column] or "").strip()
        if label:
            yield Event(place, series, kind, found[1], label, found[0])
        elif kind != "STOP":
            findings.add("instances have no label", f"{place}: {short(event)}")
    for series, number in counts.items():
        if number > 1 and number % 2:
            findings.add("pairs may be shifted", f"observation {name!r}: {number} starts and stops of {series[2]!r}"
                         + (f" by {series[1]!r}" if series[1] else ""))


def _time_of(numbered: tuple[int, object]) -> float:
    event = numbered[1]
    time = seconds(event[0]) if isinstance(event, list) and event else None
    return -1e9 if time is None else time


def _why(time: object, found: object, code: str, kinds: Mapping[str, bool]) -> str:
    if time is not None and found is None:
        return ": the lengths of the files before it are not in the project; open it with BORIS and save it"
    return f": {code!r} is not in the ethogram" if code and code not in kinds else ""


def _mention(content: dict, findings: Findings) -> None:
    """Add a finding for modifiers and subjects, which may be labels."""
    events = [event for observation in content["observations"].values()
              for event in _as_list(_section(observation).get("events")) if isinstance(event, list)]
    for column, at in (("modifier", 3), ("subject", 1)):
        values = dict.fromkeys(event[at] for event in events if len(event) > at and is_text(event[at]) and event[at])
        values.pop("None", None)
        mention_choice(column, list(values), findings)


def mention_choice(column: str, values: Sequence[str], findings: Findings) -> None:
    """Add a finding where a column that is not read has values."""
    if values:
        findings.add("columns are not read that may be labels", f"{column!r} ({len(values)} different: "
                     f"{', '.join(values[:3])}): --label-column {column!r} takes it")


def _as_list(value: object) -> list:
    return value if isinstance(value, list) else []


# --- writing --------------------------------------------------------------------------------------------------------


def write_boris(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {"losa.boris": text} of a project with an observation for each video and a state event for each class.

    Segments of one class that overlap are of the subjects "2", "3", ..., as BORIS cannot tell their ends apart. Scores
    are left out. Times are rounded to milliseconds.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00")
    labels = sorted({item.label for video in videos for item in video.items})
    observations = {video.id: _observation(video, now) for video in videos}
    subjects = sorted({event[1] for one in observations.values() for event in one["events"]} - {""}, key=int)
    project = {
        "time_format": "hh:mm:ss", "project_date": now, "project_name": "losa", "project_description": "",
        "project_format_version": VERSION, "behavioral_categories": [], "independent_variables": {}, "coding_map": {},
        "behaviors_coding_map": [], "converters": {},
        "subjects_conf": {str(i): {"key": "", "name": name, "description": ""} for i, name in enumerate(subjects)},
        "behaviors_conf": {str(i): {"type": "State event", "key": KEYS[i % len(KEYS)], "code": label, "color": "",
                                    "description": "", "category": "", "modifiers": {}, "excluded": "",
                                    "coding map": ""} for i, label in enumerate(labels)},
        "observations": observations}  # fmt: skip
    return {"losa.boris": json.dumps(project, indent=1, ensure_ascii=False) + "\n"}


def _observation(video: Labelled, now: str) -> dict:
    file = video.file or video.id
    media: dict[str, dict] = {"length": {}, "fps": {}, "hasVideo": {file: True}, "hasAudio": {file: False},
                              "offset": {"1": 0.0}}
    if video.duration:
        media["length"][file] = round(video.duration, 3)
    if video.fps:
        media["fps"][file] = video.fps
    return {"file": {"1": [file], **{str(player): [] for player in range(2, 9)}}, "type": "MEDIA", "date": now,
            "description": "", "time offset": 0.0, "events": _written_events(video),
            "observation time interval": [0, 0], "independent_variables": {}, "visualize_spectrogram": False,
            "visualize_waveform": False, "close_behaviors_between_videos": False, "media_info": media}


def _written_events(video: Labelled) -> list[list]:
    """Return [seconds, subject, code, modifiers, comment, frame] of every start and stop, in order of time."""
    by_label: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for item in video.items:
        by_label[item.label].append((item.label, round(1000 * item.start), round(1000 * item.end)))
    events = []
    for label, segments in by_label.items():
        for number, lane in enumerate(split_overlaps(segments), 1):
            for _, *pair in lane:
                for time in pair:
                    frame = "NA" if not video.fps else round(time / 1000 * video.fps)
                    events.append([time / 1000, str(number) if number > 1 else "", label, "", "", frame])
    return sorted(events, key=lambda event: event[0])
