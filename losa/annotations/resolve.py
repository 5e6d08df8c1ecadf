"""Match the rows of annotation files with classes and video files: labels exist, files are there, times fit."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from losa.errors import AnnotationError
from losa.label_files.cells import is_safe, without_suffix
from losa.label_files.sheet import Entry, announce, listing, stop
from losa.label_files.times import AS_LONG, Placed, fitting_units, misread, unit_advice
from losa.video.folder import VIDEO_SUFFIXES
from losa.video.probe import VideoInfo
from losa.video.probe_pool import probe_many
from losa.video.reader import read_through

IS_DURATION = ("More than a fifth of all segments end before they start: is `end` a duration? Then type `--columns "
               "duration=end` (in JSON write [start, start + duration]). If start and end are interchanged, exchange "
               "their names.")
ROUNDING = 1e-3  # seconds by which a segment may pass the end of its video without a warning: digits cut off


def ends_are_durations(entries: Sequence[Entry]) -> int:
    """Return how many segments end before they start, where these are more than a fifth and at least 3; else 0."""
    backwards = [end < start for entry in entries for _, start, end in entry.instances]
    return sum(backwards) if sum(backwards) > max(2, len(backwards) / 5) else 0


def check_instances(entries: list[Entry], classes: Sequence[str] | None, source: Path,
                    need_labels: bool = True) -> tuple[str, ...]:
    """Return the names of the classes.

    Raises AnnotationError for labels that are not among them, segments that end before they start, or, unless there
    need not be any, no instance.
    """
    labels = Counter(label for entry in entries for label, _, _ in entry.instances)
    if not labels and need_labels:
        raise AnnotationError(f"{source}: no ground truth: {len(entries)} videos, and no instance in any of them")
    names = tuple(sorted(labels) if classes is None else classes)
    if len(set(names)) < len(names):
        twice = [name for name, times in Counter(names).items() if times > 1]
        raise AnnotationError(f"{source}: a class is there more than once: {shortened(twice)}")
    allowed = set(names)
    odd = sorted(label for label in labels if label not in allowed or not label or label != label.strip())
    why = {label: "the label is empty or has spaces around it" if label in allowed else "unknown label"
           for label in odd}
    for label in [label for label in odd if label not in allowed][:20]:  # more are not shown, and take long
        why[label] += nearest(label, names[:5000])
    wrong = []
    for entry in entries:
        for label, start, end in entry.instances:
            if label in why:
                wrong.append(f"{where(entry, label, start, end)}: {why[label]}")
            if end < start:
                wrong.append(f"{where(entry, label, start, end)}: ends before it starts")
    if wrong:
        advice = (IS_DURATION if ends_are_durations(entries) else
                  "Correct them, or let `losa data check --fix` do it on a copy.")
        stop(source, wrong, "instances are wrong", f"{advice} The {len(names)} classes: {shortened(names)}")
    return names


def locate(entries: list[Entry], source: Path, folder: Path | None) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries with the path of their file, and {id: why} of those whose file is not there."""
    if folder is None:
        located = [replace(e, path=source.parent / e.name if e.name else None) for e in entries]
        return located, {e.id: f"no file {e.path}" for e in located if e.path and not e.path.is_file()}
    find, located, lost = index_folder(folder), [], {}
    for entry in entries:
        candidates = find_entry(entry, source, folder, find)
        if len(candidates) > 1:
            stop(folder, [str(path) for path in candidates], f"files could be the video {entry.id!r}", "Keep one.")
        if not candidates:
            other = entry.name and is_safe(entry.name) and (folder / entry.name).is_file()
            lost[entry.id] = (f"no file {entry.name or entry.id} in {folder}"
                              + " has the ending of a video file, such as .mp4" * bool(other))
        located.append(replace(entry, path=candidates[0] if candidates else None))
    return located, lost


def find_entry(entry: Entry, source: Path, folder: Path, find: Callable[[str], list[Path]]) -> list[Path]:
    """Find the files in the folder that a video may be: by name, path from the JSON's folder, id, or v_id and back."""
    named = find(entry.name) if entry.name else []
    if entry.name and not named:
        stated = (source.parent / entry.name).resolve()
        if stated.is_relative_to(folder.resolve()) and stated.is_file():
            return [folder / stated.relative_to(folder.resolve())]
    same = entry.name and without_suffix(entry.name) == entry.id  # then the name says which ending, and is wrong
    other = entry.id.removeprefix("v_") if entry.id.startswith("v_") else f"v_{entry.id}"
    return named or ([] if same else find(entry.id)) or find(other)


def index_folder(folder: Path) -> Callable[[str], list[Path]]:
    """Return a function from a name to the files it may mean: a path in the folder, or a name with or without ending.

    Raises AnnotationError where there is no such folder.
    """
    if not folder.is_dir():
        raise AnnotationError(f"{folder}: there is no such folder of videos")
    files = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            for key in {path.name, path.stem, inside.as_posix(), inside.with_suffix("").as_posix()}:
                files[unicodedata.normalize("NFC", key)].append(path)  # a Mac writes letters and accents apart

    def find(name: str) -> list[Path]:
        if not is_safe(name):
            return []
        exact = folder / name
        is_file = exact.suffix.lower() in VIDEO_SUFFIXES and exact.is_file()
        return [exact] if is_file else files.get(unicodedata.normalize("NFC", name), [])

    return find


def open_all(paths: Iterable[Path], decode: bool = False) -> tuple[dict[Path, VideoInfo], dict[Path, str]]:
    """Return {path: info} of the usable files, {path: why} of the others; with `decode` every frame has to decode."""
    if decode:
        return probe_many(paths, desc="reading videos to their end", work=read_through)
    return probe_many(paths)


def probe_all(entries: list[Entry], broken: dict[str, str], decode: bool = False) -> dict[Path, VideoInfo]:
    """Return {path: info} of the usable files; adds the ids of the others to `broken`, with the reason."""
    infos, whys = open_all((entry.path for entry in entries), decode)
    broken.update({entry.id: whys[entry.path] for entry in entries if entry.path in whys})
    return infos


def with_durations(entries: list[Entry], source: Path) -> list[Entry]:
    """Return the entries with a duration: the stated one, else the file's. AnnotationError where there is neither."""
    unknown = [entry for entry in entries if entry.duration is None]
    nowhere = [entry.id for entry in unknown if entry.path is None]
    if nowhere:
        raise AnnotationError(f'{source}: {shortened(nowhere, 5)} has neither "duration" nor a video file; add one of '
                              f"them, or give the folder of videos: losa data prepare OUT --videos FOLDER "
                              f"--annotations {source}, and use OUT/annotations.json")
    broken: dict[str, str] = {}
    infos = probe_all(unknown, broken) if unknown else {}
    if broken:
        stop(source, [f"{key}: {why}" for key, why in broken.items()], "video files cannot be used",
             "`losa data prepare` leaves them out.")
    measured = {entry.id: entry for entry in measure(unknown, infos, source)}
    return [measured.get(entry.id, entry) for entry in entries]


def measure(entries: list[Entry], infos: dict[Path, VideoInfo], source: Path) -> list[Entry]:
    """Return the entries with the duration and frame rate of their file; warns where others are stated."""
    measured, durations, rates, wrong = [], [], [], []
    for entry in entries:
        info = infos[entry.path]
        real = info.duration - entry.start
        stated = real if entry.duration is None else entry.duration
        duration = real if entry.whole else min(real, stated)
        if duration <= 0:
            wrong.append(f"{entry.id}: starts at {entry.start} s, its file ends at {info.duration:.2f} s")
        if durations_differ(stated, duration):
            durations.append(f"{entry.id}: {stated:.2f} s stated, {duration:.2f} s in the file")
        if rates_differ(entry.fps, info.fps):
            rates.append(f"{entry.id}: {entry.fps:g} fps stated, {info.fps:g} in the file")
        measured.append(replace(entry, duration=duration, fps=float(info.fps)))
    if wrong:
        stop(source, wrong, "videos start after the end of their file", "Correct them.")
    if durations:
        announce(source, durations, "durations differ from the file's, which is taken; is it the same video?")
    if rates:
        announce(source, rates, "frame rates differ from the file's, which is taken; is it the same video?")
    return measured


def durations_differ(stated: float, real: float) -> bool:
    """Return whether a stated duration is another than the file's, beyond rounding."""
    return abs(stated - real) > max(0.5, 0.01 * real)


def rates_differ(stated: float | None, real: float) -> bool:
    """Return whether a stated frame rate is another than the file's: 30 and 29.97 are, 29.97 and 29.970030 are not."""
    return stated is not None and abs(stated - real) > 5e-4 * real


def find_other_unit(entries: Sequence[Entry]) -> tuple[str, str, list[str]]:
    """Return why times cannot be seconds, what to type, and the segments that say so; "" and nothing where they can."""
    known = [(entry, item) for entry in entries if entry.duration is not None for item in entry.instances]
    placed = [Placed(min(item[1:]), max(item[1:]), entry.duration, entry.fps) for entry, item in known
              if entry.duration is not None]
    why = misread(placed)
    every = "frame" in why or why.startswith(AS_LONG)
    shown = [f"{where(entry, *item)} of {entry.duration:.2f} s" for (entry, item), segment in zip(known, placed,
             strict=True) if segment.start >= segment.duration or every] if why else []
    return why, unit_advice(placed) if why else "", shown


def mixed_units(entries: Sequence[Entry]) -> str:
    """Return that the segments wholly outside their videos fit in another unit; "" where they do not, or are few.

    Few are less than a tenth of all.
    """
    known = [(item, entry) for entry in entries if entry.duration for item in entry.instances]
    outside = [Placed(start, end, entry.duration, entry.fps) for (_, start, end), entry in known
               if entry.duration and start >= entry.duration and end > start]
    units = [unit for unit in fitting_units(outside) if unit in ("ms", "frames")] if outside else []
    if not units or 10 * len(outside) < len(known):
        return ""
    return (f"{len(outside)} of {len(known)} instances lie wholly outside their videos, and all of these would lie "
            f"inside as {' or '.join(units)}: are units mixed in this file? Write all times in seconds")


def check_units(entries: list[Entry], source: Path) -> None:
    """Raise AnnotationError where times cannot be seconds: most segments lie outside their videos, or within a frame.

    The error names the units in which all of them fit, and the option that takes them.
    """
    why, advice, examples = find_other_unit(entries)
    if why:
        raise AnnotationError(f"{source}: {why}; read as seconds, for example:{listing(examples[:3], 3)}\n{advice}")


def clip(entries: list[Entry], source: Path) -> list[Entry]:
    """Return the entries with their segments clipped to the video, and dropped where nothing is left; warns of both."""
    clipped, zero, beyond, outside = [], [], [], 0
    for entry in entries:
        kept = []
        for label, start, end in entry.instances:
            low, high = max(start, 0.0), min(end, entry.duration)
            if start == end:
                zero.append(where(entry, label, start, end))
            elif start < 0 or end > entry.duration + ROUNDING or low >= high:
                beyond.append(f"{where(entry, label, start, end)} of {entry.duration:.2f} s")
                outside += low >= high
            if low < high:
                kept.append((label, low, high))
        clipped.append(replace(entry, instances=kept))
    given = sum(len(entry.instances) for entry in entries)
    if given and not any(entry.instances for entry in clipped):
        raise AnnotationError(f"{source}: no instance is left of {given}: {len(zero)} have zero length (start = end: a "
                              f"point in time, not an action) and {given - len(zero)} lie outside their videos. "
                              f"Expected a start and a later end for each, inside its video")
    if zero:
        announce(source, zero, "instances have zero length; dropped")
    if beyond:
        mixed = mixed_units(entries)
        announce(source, beyond, "segments pass an end of their video; clipped"
                 + (f" ({outside} of them lie wholly outside and are dropped)" if outside else "")
                 + (f"; {mixed}" if mixed else ""))
    return clipped


# --- saying it ------------------------------------------------------------------------------------------------------


def where(entry: Entry, label: str, start: float, end: float) -> str:
    """Return an instance in words: video, label and segment."""
    return f"{entry.id}: {label!r} [{start}, {end}]"


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: "; did you mean ...?", or a full stop."""
    lowered = {choice.lower(): choice for choice in choices}
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.4)
    return f"; did you mean {lowered[near[0]]!r}?" if near else "."


def shortened(names: Sequence[str], show: int = 30) -> str:
    """Return the first names with commas between them, and how many more there are."""
    return ", ".join(names[:show]) + (f" and {len(names) - show} more" if len(names) > show else "")
