"""Check an annotation file, alone or beside its videos: all that is wrong at once, counted, with advice.

`check` reads on where `dataset.load_annotations` would stop. `repair.fix` writes a clean copy.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from losa.annotations.resolve import (
    IS_DURATION,
    ROUNDING,
    durations_differ,
    ends_are_durations,
    find_entry,
    find_other_unit,
    index_folder,
    mixed_units,
    open_all,
    rates_differ,
    where,
)
from losa.annotations.scan import scan
from losa.annotations.spelling import counted_as, plain_name, report_labels, report_signs, report_variants, unify
from losa.errors import AnnotationError
from losa.label_files.cells import read_classes, without_suffix
from losa.label_files.sheet import KINDS, Entry, Finding, Findings, Sheet
from losa.label_files.source import AS_RECOGNISED, Reading
from losa.label_files.subsets import subsets_named_twice
from losa.video.folder import VIDEO_SUFFIXES
from losa.video.probe import VideoInfo

LONG = 0.1  # seconds; two times to the millisecond are the same where instances last longer than this
CHECKS = KINDS | {
    "file cannot be read": ("error", "Nothing else can be checked before this is repaired."),
    "files hold no instance": ("error", "Expected at least one row, or annotation, with a label and a segment."),
    "ends are durations": ("error", f"{IS_DURATION} --fix turns none round and writes no copy."),
    "segments end before they start": ("error", "Swap start and end; --fix does where both lie inside the video, and "
                                       "leaves the others out."),
    "times are no seconds": ("error", "--fix writes no copy: nothing is repaired by deleting most of the file."),
    "labels are empty": ("error", "Name the action; --fix leaves them out."),
    "labels are not in the list of classes": ("error", "Use names of the list: --fix COPY with a --rename OLD=NEW for "
                                              "each; or add them to the list. --fix alone leaves them as they are."),
    "labels are written unlike the list of classes": ("error", "Case and spaces count; --fix writes them as the list."),
    "video files are missing": ("error", "Copy them into the folder, or correct their names; --fix leaves them out."),
    "video files have another name": ("error", "Write the name as it is in the folder; --fix does."),
    "videos could be several files": ("error", "Keep one of the files, or give its path inside the folder."),
    "video files cannot be used": ("error", "Copy or download them again; --fix leaves them out."),
    "segments pass the end of their video": ("warning", "Are the times those of this file? Loading clips them, and "
                                             "drops those wholly outside; --fix too."),
    "segments start before 0": ("warning", "Loading clips them; --fix too."),
    "instances have zero length": ("warning", "Loading drops them; --fix too."),
    "instances are there more than once": ("warning", "They weigh twice in training and evaluation; --fix keeps one."),
    "labels differ only in case or spaces": ("warning", "They would be two classes; --fix takes the commoner."),
    "labels differ only in signs": ("warning", "Classes of their own? --fix leaves them so. If one is meant, type the "
                                    "--rename with --fix COPY; if not, name all classes in a file: --classes FILE."),
    "labels look misspelt": ("warning", "Classes of their own? --fix leaves them so. If one is meant, type the "
                             "--rename with --fix COPY; if not, name all classes in a file: --classes FILE."),
    "subsets differ only in case or spaces": ("warning", "They would be two subsets; --fix takes the commoner."),
    "subsets have two names": ("warning", "They are two subsets, and what training does not name is not used; write "
                               "them alike if one is meant."),
    "subsets differ only in signs": ("warning", "They are two subsets; write them alike if one is meant."),
    "classes have no instance in the training subset": ("warning", "They cannot be learnt: move videos, or leave the "
                                                        "class out."),
    "durations differ from the file's": ("warning", "Is it the same video? The file's counts; --fix writes it."),
    "videos start later than their sound": ("warning", "Times here count from the first frame, those of players from "
                                            "the sound: were they noted down in a player, subtract the difference."),
    "frame rates differ from the file's": ("warning", "Is it the same video, or a converted one? The file's counts; "
                                           "--fix writes it."),
    "videos are in two subsets under two names": ("warning", "What is trained on cannot be tested on: keep one."),
    "files are two videos": ("warning", "Each is trained without the other's instances; give both rows one name. --fix "
                             "puts them together."),
    "videos of two subsets have the same instances": ("warning", "Is it the same video twice? Then keep one."),
    "instances of one class overlap": ("note", "Is it one action that was marked twice?"),
    "videos have no instance": ("note", "They count as background; is that meant?"),
    "classes of the list have no instance": ("note", "They are never learnt."),
    "labels are numbers": ("note", "Each number is a class. --classes FILE names them, one a line: '7 Jump'."),
    "lengths are not known": ("note", "Give the folder of videos (--videos) to check times against the files."),
    "subsets are all there is": ("note", "Name train, val and test in a column subset, or let `losa data prepare "
                                 "--split 0.6,0.2,0.2` choose."),
    "files in the folder have no annotations": ("note", "They are not used."),
    "video files are read in sequence": ("note", "Seeking in them would give wrong frames; `losa data prepare "
                                         "--normalise` encodes them anew, which is faster later."),
    "video files have a variable frame rate": ("note", "Frames are taken by their time."),
    "labels are too many to compare their spelling": ("note", "Are these descriptions instead of classes?"),
}


@dataclass
class Report:
    """The result of `check`; `print(report.table())` shows it, `exit_code` is 1 where something should be done."""

    source: Path
    summary: str
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        return int(any(finding.level != "note" for finding in self.findings))

    def table(self) -> str:
        """Return the findings as text, errors first, each with its count, its first examples and advice."""
        lines = [f"{self.source}: {self.summary}"]
        for finding in self.findings:
            lines += [f"{finding.level:8}{finding.count:>8}  {finding.kind}"]
            lines += [f"{'':18}{example}" for example in finding.examples]
            more = finding.count - len(finding.examples)
            lines += [f"{'':18}... and {more} more"] * (more > 0)
            lines.append(f"{'':16}> {finding.advice}")
        levels = Counter(finding.level for finding in self.findings)
        total = ", ".join(counted(levels[name], f"kind of {name}", f"kinds of {name}")
                          for name in ("error", "warning", "note") if levels[name])
        return "\n".join([*lines, total or "nothing to complain about"])

    def to_frame(self):
        """Return a pandas.DataFrame with a row for each kind of finding."""
        import pandas

        columns = ["level", "count", "kind", "examples", "advice"]
        rows = [[getattr(finding, name) for name in columns] for finding in self.findings]
        return pandas.DataFrame(rows, columns=columns)


def check(annotations: str | Path, videos: str | Path | None = None, decode: bool = False,
          classes: str | Path | Sequence[str] | None = None, reading: Reading = AS_RECOGNISED) -> Report:
    """Return a report of all that is odd about an annotation file in any known layout, and about its videos.

    videos: folder of the files; without it nothing is opened. decode: read them to their end, which finds those damaged
    in their middle and takes as long as decoding does. classes: the names that labels may have, or a file with one a
    line. reading: how to read the file, where it leaves a choice. A file of annotations that cannot be read is a
    finding, not an error.
    """
    source, folder = Path(annotations), None if videos is None else Path(videos)
    findings = Findings(CHECKS)
    reading = reading if classes is None else replace(reading, classes=classes)
    read_classes(reading.classes)  # whose mistakes are no findings about the annotations
    try:
        sheet = scan_listed(source, reading, folder)
    except AnnotationError as error:
        findings.add("file cannot be read", str(error).removeprefix(f"{source}: ").replace("\n", f"\n{'':18}"), 5000)
        return Report(source, "cannot be read", list(findings.values()))
    findings.update(sheet.findings)
    entries = sheet.entries
    if folder is not None:
        entries, infos = find_videos(entries, source, folder, findings, decode)
        entries = [with_file_facts(entry, infos.get(entry.path), findings) for entry in entries]
    elif sheet.layout == "ActivityNet":
        for entry in entries:
            if entry.name and not (source.parent / entry.name).is_file():
                findings.add("video files are missing", f"{entry.id}: no file {source.parent / entry.name}")
    report_labels(sheet, findings)
    for entry in entries:
        _check_segments(entry, findings)
    _check_units(entries, findings)
    for entry in [entry for entry in entries if folder is None and entry.duration is None and entry.instances]:
        findings.add("lengths are not known", entry.id)
    _check_subsets(entries, findings)
    order = ("error", "warning", "note")
    instances = sum(len(entry.instances) for entry in entries)
    labels = {label for entry in entries for label, _, _ in entry.instances}
    subsets = Counter(entry.subset for entry in entries)
    summary = (f"{sheet.layout}, {counted(len(entries), 'video')}, {counted(instances, 'instance')}, "
               f"{counted(len(labels), 'label')}; "
               + ", ".join(f"{name or '(none)'}: {counted(n, 'video')}" for name, n in subsets.most_common(8))
               + (f"\n{sheet.counts}" if sheet.counts else ""))
    return Report(source, summary, sorted(findings.values(), key=lambda finding: order.index(finding.level)))


def scan_listed(source: Path, reading: Reading, videos: Path | None, show: int = 5) -> Sheet:
    """Read what can be read of a file; the names of `reading.classes`, if there are any, take the place of its list."""
    sheet, listed = scan(source, reading=reading, videos=videos, show=show), read_classes(reading.classes)
    return replace(sheet, classes=list(dict.fromkeys(listed.values()))) if listed else sheet


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 video" or "2 videos"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


# --- videos ---------------------------------------------------------------------------------------------------------


def find_videos(entries: Sequence[Entry], source: Path, folder: Path, findings: Findings,
                decode: bool = False) -> tuple[list[Entry], dict[Path, VideoInfo]]:
    """Return the entries with the path of their file (None: no usable one) and its name in the folder; {path: info}."""
    find, located = index_folder(folder), []
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    loose: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        for key in {path.stem, without_suffix(path.relative_to(folder).as_posix())}:
            loose[plain_name(key)].append(path)
    exact = [find_entry(entry, source, folder, find) for entry in entries]
    taken = {path for candidates in exact for path in candidates}
    for entry, candidates in zip(entries, exact, strict=True):
        if not candidates:
            stem = without_suffix(entry.name or entry.id)
            candidates = find(stem) or find(stem.split("/")[-1]) or [
                path for path in loose.get(plain_name(stem), []) if path not in taken]  # which are other videos'
            if len(candidates) == 1:
                findings.add("video files have another name", f"{entry.id}: {entry.name or entry.id} is "
                             f"{candidates[0].relative_to(folder).as_posix()} in the folder")
        if len(candidates) > 1:
            findings.add("videos could be several files", f"{entry.id}: {', '.join(map(str, candidates[:3]))}")
        elif not candidates:
            few = "video files are missing" not in findings or findings["video files are missing"].count < 5
            free = {key: paths[0] for key, paths in loose.items() if not taken.intersection(paths)} if few else {}
            near = get_close_matches(plain_name(entry.id), free, 1)
            hint = f"; did you mean {free[near[0]].relative_to(folder).as_posix()}?" if near else ""
            findings.add("video files are missing", f"{entry.id}: no file {entry.name or entry.id} in {folder}{hint}")
        path = candidates[0] if len(candidates) == 1 else None
        located.append(replace(entry, path=path, name=path.relative_to(folder).as_posix() if path else entry.name))
    infos, whys = open_all((entry.path for entry in located if entry.path), decode)
    for path, why in whys.items():
        findings.add("video files cannot be used", f"{path}: {why}")
    for path in files:
        if path not in infos and path not in whys:
            findings.add("files in the folder have no annotations", str(path))
    for path, info in infos.items():
        if info.risks:
            findings.add("video files are read in sequence", f"{path}: {', '.join(info.risks)}")
        if info.starts_at > 0.1:
            findings.add("videos start later than their sound", f"{path}: {info.starts_at:.2f} s later")
        if info.variable_rate:
            findings.add("video files have a variable frame rate", f"{path}: {info.fps:.2f} fps on average")
    _check_content(located, infos, findings)
    return [replace(e, path=None) if e.path in whys else e for e in located], infos


def with_file_facts(entry: Entry, info: VideoInfo | None, findings: Findings) -> Entry:
    """Return the entry with its file's duration and frame rate; adds findings where others are stated."""
    if info is None:
        return entry
    real = info.duration - entry.start
    duration = real if entry.whole or entry.duration is None else min(real, entry.duration)
    if entry.duration is not None and durations_differ(entry.duration, duration):
        findings.add("durations differ from the file's", f"{entry.id}: {entry.duration:.2f} s stated, {duration:.2f} s "
                     f"in the file")
    if rates_differ(entry.fps, info.fps):
        findings.add("frame rates differ from the file's", f"{entry.id}: {entry.fps:g} fps stated, {info.fps:.6g} in "
                     f"the file")
    return replace(entry, duration=duration, fps=float(info.fps))


def _check_content(entries: list[Entry], infos: dict[Path, VideoInfo], findings: Findings) -> None:
    """Look for one file under two names: equal sizes first, then equal bytes."""
    sizes = defaultdict(set)
    for path in infos:
        sizes[path.stat().st_size].add(path)
    digests = {path: _digest(path) for paths in sizes.values() if len(paths) > 1 for path in paths}
    by_content = defaultdict(list)
    for entry in entries:
        if entry.path in infos:
            by_content[digests.get(entry.path, entry.path)].append(entry)
    for same in by_content.values():
        same.sort(key=lambda entry: entry.start)
        for first, second in zip(same, same[1:], strict=False):
            if first.whole and second.whole and first.path == second.path and first.subset == second.subset:
                findings.add("files are two videos", f"{first.id} and {second.id} are both {first.path}")
            apart = not second.whole and first.duration and first.start + first.duration <= second.start + ROUNDING
            if first.subset != second.subset and not apart:
                findings.add("videos are in two subsets under two names",
                             f"{first.id} in {first.subset!r} and {second.id} in {second.subset!r} are the same file")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- times and subsets ----------------------------------------------------------------------------------------------


def _check_segments(entry: Entry, findings: Findings) -> None:
    end_of_video, seen, reached = entry.duration, set(), {}
    if not entry.instances:
        findings.add("videos have no instance", f"{entry.id} in {entry.subset!r}")
    for label, start, end in sorted(entry.instances):
        place = where(entry, label, start, end)
        if end < start:
            findings.add("segments end before they start", place)
            continue
        if start == end:
            findings.add("instances have zero length", place)
        if start < 0:
            findings.add("segments start before 0", place)
        outside = is_outside(start, end, end_of_video)
        if end_of_video is not None and (end > end_of_video + ROUNDING or (outside and end > 0)):
            findings.add("segments pass the end of their video",
                         f"{place} of {end_of_video:.2f} s" + ", wholly outside" * outside)
        key = identity(label, start, end, end_of_video)
        if key in seen:
            findings.add("instances are there more than once", place)
        elif start < reached.get(label, start) - ROUNDING:
            findings.add("instances of one class overlap", f"{place} starts before {reached[label]:g} s, where an "
                         f"earlier one ends")
        seen.add(key)
        reached[label] = max(end, reached.get(label, end))


def identity(label: str, start: float, end: float, duration: float | None = None) -> tuple[str, float, float]:
    """Return what two instances that are the same have in common: label, and times inside the video in seconds.

    Times count to the millisecond where the instance is much longer than that, else to their last digit: fractions of
    a day or hour may all be shorter.
    """
    low, high = max(start, 0.0), end if duration is None else min(end, duration)
    return (label, round(low, 3), round(high, 3)) if high - low > LONG else (label, start, end)


def is_outside(start: float, end: float, duration: float | None) -> bool:
    """Return whether nothing of a segment with a length lies inside its video, which may have no known end."""
    return start < end and (end <= 0 or (duration is not None and start >= duration))


def _check_units(entries: Sequence[Entry], findings: Findings) -> None:
    """Find what is wrong with most segments at once: a column that holds another thing, or another unit."""
    if ends_are_durations(entries):
        some, kind = findings.pop("segments end before they start"), "ends are durations"
        findings[kind] = replace(some, kind=kind, advice=CHECKS[kind][1])
    why, advice, examples = find_other_unit(entries)
    kind, past = "times are no seconds", findings.get("segments pass the end of their video")
    for place in examples:
        findings.add(kind, place)
    if why:
        findings[kind].advice = f"{why[0].upper()}{why[1:]}. {advice} {CHECKS[kind][1]}"
    if past and not why and 2 * past.count > sum(len(entry.instances) for entry in entries if entry.duration):
        past.advice = ("More than half do: are these frames or milliseconds instead of seconds? Then --times frames or "
                       "--times ms. " + past.advice)
    mixed = "" if why else mixed_units(entries)
    if past and mixed:
        past.advice = f"{mixed}. {past.advice}"
    if past and past.count <= len(examples):
        del findings["segments pass the end of their video"]  # the same ones


def _check_subsets(entries: Sequence[Entry], findings: Findings) -> None:
    names = Counter(entry.subset for entry in entries)
    report_variants(names, "subsets differ only in case or spaces", findings)
    report_signs(counted_as(names, unify(names)), "subsets differ only in signs", findings, option=False)
    for same in subsets_named_twice(unify(names).get(name, name) for name in names):
        findings.add("subsets have two names", same)
    subsets, twins = defaultdict(Counter), defaultdict(list)
    for entry in entries:
        subsets[entry.subset].update(label for label, _, _ in entry.instances)
        name = without_suffix((entry.name or entry.id).split("/")[-1]).casefold().removeprefix("v_")
        if entry.whole:
            twins["videos are in two subsets under two names", name].append(entry)
        if len(entry.instances) > 1 and entry.duration:
            key = (round(entry.duration, 2), *sorted(entry.instances))
            twins["videos of two subsets have the same instances", key].append(entry)
    for (kind, _), same in twins.items():
        for second in same[1:]:
            text = f"{same[0].id} in {same[0].subset!r} and {second.id} in {second.subset!r}"
            if second.subset != same[0].subset and f"{text} are the same file" not in findings.get(
                    "videos are in two subsets under two names", Finding("", "note", 0, [], "")).examples:
                findings.add(kind, text)
    training = training_subset(list(subsets))
    if len(subsets) == 1 and entries:
        findings.add("subsets are all there is", f"{next(iter(subsets))!r}")
    for label in sorted(set().union(*subsets.values()) - set(subsets[training])) if training is not None else []:
        places = ", ".join(f"{counts[label]} in {name!r}" for name, counts in subsets.items() if counts[label])
        findings.add("classes have no instance in the training subset", f"{label!r}: none in {training!r}, {places}")


def training_subset(names: Sequence[str]) -> str | None:
    """Return the subset that is trained on: train or training; THUMOS-14 trains on validation and tests on test."""
    lowered = {name.strip().lower(): name for name in names}
    tested = any(name.startswith("test") for name in lowered)
    wanted = ["train", "training", *(["validation", "val"] if tested else [])]
    return next((lowered[name] for name in wanted if name in lowered), None) if len(lowered) > 1 else None
