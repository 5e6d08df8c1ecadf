"""Settle what a reader left open: the unit of times, frames in seconds, class numbers, names that are no action."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from losa.errors import AnnotationError
from losa.label_files.cells import class_number, counts_itself, read_classes
from losa.label_files.nothing import is_ambiguous, means_nothing
from losa.label_files.sheet import Entry, Findings, Sheet
from losa.label_files.source import Reading
from losa.label_files.times import Frames, Time, check_unit, convert

SEPARATORS = "|;"
COMMON_RATES = (24, 25, 30, 50, 60)  # frames per second that tools count with
MARGIN = 0.5  # seconds by which a frame may lie behind the end of its video


def settle(sheet: Sheet, reading: Reading, path: Path, videos: Path | None) -> Sheet:
    """Return the sheet with every time in seconds, classes by name, and what is no action set aside.

    Frames are divided by `reading.fps`, else by the rate of the video file in `videos`, else by the one that the file
    states. Where there is none, the instances are left out, with a finding of level error.
    """
    check_unit(reading.times)
    entries, findings = sheet.entries, sheet.findings
    if reading.times not in ("", "seconds"):
        entries = [_in_unit(entry, reading.times, findings) for entry in entries]
    if reading.label_separator:
        entries = [_split_labels(entry, reading.label_separator) for entry in entries]
    rates, durations = find_rates([entry for entry in entries if _has_frames(entry)], reading, path, videos)
    if reading.fps is None:
        report_other_rate(entries, rates, durations, findings)
    entries = [_at_rate(entry, rates, findings) if _has_frames(entry) else entry for entry in entries]
    names = read_classes(reading.classes)
    if names:
        _check_first_number(entries, reading, names, path)
        entries = [_with_names(entry, names) for entry in entries]
    if not reading.label_separator and not names:
        note_several(entries, findings)
    ambiguous = {key: list(stretches) for key, stretches in sheet.ambiguous.items()}
    wanted = set(names.values()) | set(sheet.classes or () if sheet.layout == "ActivityNet" else ())
    entries = [_without_nothing(entry, wanted, ambiguous, findings) for entry in entries]
    classes = [name for name in sheet.classes if not means_nothing(name) or name in wanted] if sheet.classes else None
    listed = [names[number] for number in sorted(names)]
    return replace(sheet, entries=entries, ambiguous=ambiguous, classes=listed or classes)


def _has_frames(entry: Entry) -> bool:
    return any(isinstance(time, Frames) for _, *times in entry.instances for time in times)


def _in_unit(entry: Entry, unit: str, findings: Findings) -> Entry:
    kept = []
    for label, *times in entry.instances:
        first, last = (time if isinstance(time, Frames) else convert(time, unit) for time in times)
        if first is None or last is None:
            findings.add("rows cannot be understood", f"{entry.id}: {label!r} {times} as --times {unit}")
        else:
            kept.append((label, first, last))
    return replace(entry, instances=kept)


def _split_labels(entry: Entry, separator: str) -> Entry:
    """Return the entry with an instance for each of the labels that a cell holds."""
    return replace(entry, instances=[(name.strip(), start, end) for label, start, end in entry.instances
                                     for name in label.split(separator) if name.strip()])


def note_several(entries: list[Entry], findings: Findings) -> None:
    """Add a finding where half of the labels hold a sign that separates several labels in a cell."""
    labels = Counter(label for entry in entries for label, _, _ in entry.instances)
    for sign in SEPARATORS:
        several = [label for label in labels if sign in label.strip(sign)]
        if several and 2 * sum(labels[label] for label in several) >= labels.total():
            for label in several:
                findings.add("labels look like several in one", f"{label!r} ({labels[label]} instances); to make one "
                             f"of each: --label-separator {sign!r}")


def find_rates(entries: list[Entry], reading: Reading, path: Path,
               videos: Path | None) -> tuple[dict[str, int | float], dict[str, float]]:
    """Return the frame rate of every video of which one is known, {id: frames per second}, and lengths, {id: seconds}.

    Lengths are known of the files in `videos`.
    """
    if reading.fps is not None and not 0 < reading.fps < 1e4:
        raise AnnotationError(f"--fps {reading.fps}: expected the frames per second of the videos, such as 25")
    if reading.fps is not None:
        return {entry.id: reading.fps for entry in entries}, {}
    durations: dict[str, float] = {}
    rates = {entry.id: entry.fps for entry in entries if entry.fps}
    if videos is not None and entries:
        from losa.annotations.resolve import find_entry, index_folder  # which load the decoder
        from losa.video.probe_pool import probe_many

        find = index_folder(videos)
        files = {entry.id: found[0] for entry in entries for found in [find_entry(entry, path, videos, find)]
                 if len(found) == 1}
        infos, _ = probe_many(files.values())
        rates |= {key: float(infos[file].fps) for key, file in files.items() if file in infos}
        durations = {key: float(infos[file].duration) for key, file in files.items() if file in infos}
    return rates, durations


def report_other_rate(entries: list[Entry], rates: Mapping[str, int | float], durations: Mapping[str, float],
                      findings: Findings) -> None:
    """Add an error where frames lie outside their videos, but would lie inside at a rate that tools count with.

    Label Studio counts at the rate of its own settings, 24 unless changed, whatever that of the video.
    """
    known = [(entry, item, item[2].number) for entry in entries if entry.id in durations for item in entry.instances
             if isinstance(item[2], Frames) and not item[2].seconds]
    outside = [(entry, item, last) for entry, item, last in known
               if last / rates[entry.id] > durations[entry.id] + MARGIN]
    fitting = [rate for rate in COMMON_RATES if all(last / rate <= durations[entry.id] + MARGIN
                                                    for entry, _, last in known)] if outside else []
    for entry, (label, *times), _ in outside if fitting else ():
        findings.add("frames are counted at another rate", f"{entry.id}: {label!r} {_shown(times)} of "
                     f"{durations[entry.id] * rates[entry.id]:.0f}; at --fps "
                     f"{' or '.join(f'{rate}' for rate in fitting)} all lie inside")


def _at_rate(entry: Entry, rates: Mapping[str, int | float], findings: Findings) -> Entry:
    """Return the entry with its frames in seconds."""
    fps, kept = rates.get(entry.id), []
    for label, *times in entry.instances:
        first, last = (_second(time, fps) for time in times)
        if fps is None:
            findings.add("times are frames, and the frame rate is not known", f"{entry.id}: {label!r} {_shown(times)}")
        elif first is None or last is None:
            findings.add("timecodes do not fit the frame rate", f"{entry.id}: {label!r} {_shown(times)} at {fps:g} "
                         f"frames per second")
        else:
            kept.append((label, first, last))
    if fps is not None:
        findings.add("times are frames", f"{entry.id}: {len(entry.instances)} instances, {fps:g} frames per second")
    return replace(entry, instances=kept)


def _second(time: Time, fps: int | float | None) -> int | float | None:
    if not isinstance(time, Frames):
        return time
    found = time.at(fps) if fps else None
    return None if found is None else round(found, 6)


def _shown(times: list[Time]) -> list[str]:
    return [f"{time.seconds} s + {time.number:g} frames" if isinstance(time, Frames) and time.seconds
            else f"frame {time.number:g}" if isinstance(time, Frames) else f"{time:g} s" for time in times]


def _check_first_number(entries: list[Entry], reading: Reading, names: Mapping[int, str], path: Path) -> None:
    """Raise AnnotationError where labels are numbers from 0 on, and the list of names is counted from 1."""
    zeros = sum(class_number(label) == 0 for entry in entries for label, _, _ in entry.instances)
    if zeros and 0 not in names and "0" not in names.values() and counts_itself(reading.classes):
        raise AnnotationError(f"{path}: {zeros} instances are of class number 0, and the {len(names)} names of "
                              f"--classes are counted from 1. Write the number of each before it in that file, "
                              f"'0 {names[1]}' where they count from 0")


def _with_names(entry: Entry, names: dict[int, str]) -> Entry:
    """Return the entry with names in place of class numbers that are no names themselves."""
    known = set(names.values())

    def named(label: str) -> str:
        number = None if label in known else class_number(label)
        return label if number is None else names.get(number, label)

    return replace(entry, instances=[(named(label), start, end) for label, start, end in entry.instances])


def _without_nothing(entry: Entry, wanted: set[str], ambiguous: dict, findings: Findings) -> Entry:
    """Return the entry without what is no action; ambiguous stretches are added to `ambiguous`."""
    kept = []
    for label, start, end in entry.instances:
        if label in wanted or not means_nothing(label):
            kept.append((label, start, end))
        elif is_ambiguous(label):
            ambiguous.setdefault(entry.id, []).append((start, end))
            findings.add("stretches are ambiguous", f"{entry.id} [{start:g}, {end:g}]")
        else:
            findings.add("labels mean that nothing happens", f"{entry.id}: {label!r} [{start:g}, {end:g}]")
    return replace(entry, instances=kept)
