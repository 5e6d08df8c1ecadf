"""Read annotation files in any of the field's layouts, without looking at videos.

`scan` reads whatever can be read and lists the rest as findings, for `check`; `read_layout` stops at them. A new
layout is one more function from a file to a `Sheet`. `resolve` checks what was read against classes and videos.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from losa.annotations.activitynet import parse_instance, parse_json
from losa.annotations.cells import is_safe, is_text, read_text, seconds, short
from losa.annotations.csv_format import read_csv_sheet
from losa.annotations.sheet import KINDS, NOT_LAYOUT, Entry, Findings, Sheet, announce, check_one_subset, listing
from losa.annotations.thumos import AMBIGUOUS, find_thumos_files, parse_thumos_text
from losa.errors import AnnotationError
from losa.video.folder import VIDEO_SUFFIXES

VIDEO_KEYS = {"subset", "duration", "fps", "path", "start", "end", "annotations"}  # that are read


def read_layout(path: str | Path, classes: str | Path | Sequence[str] | None = None
                ) -> tuple[list[Entry], list[str] | None]:
    """Return the videos of a file in any known layout, and its list of classes if it has one.

    ActivityNet's JSON, which ActionFormer's, HACS', FineAction's and EPIC's in that shape are too; MultiTHUMOS' JSON;
    a folder of THUMOS-14's official text files; a CSV with columns video, label, start, end and, if it has one, subset
    (else "all"). classes: names, or a file of them, for the class numbers of MultiTHUMOS (without: "class_12").
    Raises AnnotationError, with the first examples of everything that is wrong.
    """
    sheet = scan(path, classes)
    errors = [finding for finding in sheet.findings.values() if finding.level == "error"]
    if errors:
        lines = [f"{path}: {e.count} {e.kind}:{listing(e.examples, e.count)}\n{e.advice}" for e in errors]
        raise AnnotationError("\n".join([*lines, "`losa data check` lists everything, `--fix` repairs a copy."]))
    if sheet.layout == "CSV":
        repeated = [f"{entry.id}: {item}" for entry in sheet.entries
                    for item, times in Counter(entry.instances).items() if times > 1]
        if repeated:
            announce(path, repeated, "instances are there more than once; one of each is kept")
        for entry in sheet.entries:
            entry.instances[:] = dict.fromkeys(entry.instances)
    return sheet.entries, sheet.classes


def scan(path: str | Path, classes: str | Path | Sequence[str] | None = None) -> Sheet:
    """Read all that can be read of a file in any known layout. Raises AnnotationError only where that is nothing."""
    path, findings = Path(path), Findings(KINDS)
    if path.is_dir():
        return _thumos_texts(path, findings)
    text = read_text(path, findings)
    if path.suffix.lower() != ".json" and (path.suffix.lower() in (".csv", ".tsv") or text.lstrip()[:1] not in "{["):
        return read_csv_sheet(path, text, findings)
    repeated: list[str] = []
    try:
        content = parse_json(text, repeated)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: cannot be read as JSON: {error}") from error
    for key in repeated:
        findings.add("ids are there more than once", repr(key))
    videos = list(content.values()) if isinstance(content, dict) and "database" not in content else []
    if videos and all(isinstance(video, dict) and "actions" in video for video in videos):
        return _multithumos(content, read_classes(classes), findings)
    if isinstance(content, dict) and "results" in content and "database" not in content:
        raise AnnotationError(f"{path}: holds predictions, expected annotations: {KINDS[NOT_LAYOUT][1]}")
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        raise AnnotationError(f'{path}: has no "database" but {short(content)}. {KINDS[NOT_LAYOUT][1]}')
    return _activitynet(content, findings)


# --- JSON -----------------------------------------------------------------------------------------------------------


def _activitynet(content: dict, findings: Findings) -> Sheet:
    numbers: dict[str, set] = defaultdict(set)  # of each label, as ActionFormer's files give them
    entries, own = [], str(content.get("version")) == "losa"  # ours may lie outside the folder of its videos
    unread = Counter(content.keys() - {"database", "classes", "version"})
    for key, video in content["database"].items():
        if not isinstance(video, dict):
            findings.add(NOT_LAYOUT, f"database.{key}: expected an object, got {short(video)}")
        elif is_safe(key, f"{key!r}", findings):
            entries.append(_json_video(key, video, numbers, own, findings))
            unread.update(video.keys() - VIDEO_KEYS)
            items = video.get("annotations")
            for item in items if isinstance(items, list) else []:
                unread.update(item.keys() - {"label", "segment"} if isinstance(item, dict) else ())
    listed = content.get("classes")
    if listed is not None and not (isinstance(listed, list) and all(map(is_text, listed))):
        findings.add(NOT_LAYOUT, f"classes: expected a list of names, got {short(listed)}")
        listed = None
    if listed is None and numbers and all(isinstance(n, int) for ids in numbers.values() for n in ids):
        unclear = [label for label, ids in numbers.items() if len(ids) > 1]
        for label in unclear:
            findings.add("labels have two numbers", f"{label!r}: label_id {sorted(numbers[label])}")
        if not unclear and len(set.union(*numbers.values())) == len(numbers):
            listed = sorted(numbers, key=lambda label: max(numbers[label]))
    return Sheet("ActivityNet", entries, listed, findings, unread=unread)


def _json_video(key: str, video: dict, numbers: dict[str, set], own: bool, findings: Findings) -> Entry:
    subset, name = video.get("subset"), video.get("path")
    if not is_text(subset):
        findings.add(NOT_LAYOUT, f"database.{key}.subset: expected a text, got {short(subset)}")
        subset = ""
    if name is not None and not is_text(name):
        findings.add(NOT_LAYOUT, f"database.{key}.path: expected a text, got {short(name)}")
        name = None
    elif name is not None:
        above = own and Path(name).suffix.lower() in VIDEO_SUFFIXES
        inside = re.sub(r"^(\.\./)+", "", name) if above else name
        name = name if is_safe(inside, f"{key}: path {name!r}", findings) else None
    duration, fps, start, end = (_number(key, video, name, findings) for name in ("duration", "fps", "start", "end"))
    start = start or 0.0
    stretch = duration if end is None else end - start
    if end is not None and (stretch <= 0 or abs((duration or stretch) - stretch) > 0.01):
        findings.add("videos contradict themselves", f"{key}: start {start}, end {end}, duration {duration}")
    instances = _json_instances(key, video.get("annotations"), numbers, findings)
    return Entry(key, subset, instances, name, None, start, duration or (stretch if stretch and stretch > 0 else None),
                 not start and end is None, fps)


def _number(key: str, video: dict, name: str, findings: Findings) -> float | None:
    given = video.get(name)
    number = seconds(given)
    if given is not None and (number is None or number < 0 or (number == 0 and name != "start")):
        findings.add(NOT_LAYOUT, f"database.{key}.{name}: expected a number above 0, got {short(given)}")
        return None
    return number


def _json_instances(key: str, items: object, numbers: dict[str, set], findings: Findings) -> list:
    if items is not None and not isinstance(items, list):
        findings.add(NOT_LAYOUT, f"database.{key}.annotations: expected a list, got {short(items)}")
    instances = []
    for index, item in enumerate(items if isinstance(items, list) else []):
        instance = parse_instance(item, seconds)
        if instance is None or not is_text(instance[0]):
            findings.add(NOT_LAYOUT, f"database.{key}.annotations.{index}: expected a label and a segment of two times "
                         f"in seconds, got {short(item)}")
            continue
        number = item.get("label_id")
        numbers[instance[0]].add(number if isinstance(number, int) else None)
        instances.append(instance)
    return instances


def _multithumos(content: dict, names: dict[int, str], findings: Findings) -> Sheet:
    entries, used, unread = [], set(), Counter()
    for key, video in content.items():
        unread.update(video.keys() - {"subset", "duration", "actions"})
        if not is_safe(key, f"{key!r}", findings):
            continue
        instances = []
        for item in video["actions"] if isinstance(video["actions"], list) else [video["actions"]]:
            number, *times = [*item, None] if isinstance(item, list) and len(item) == 3 else [None, None, None, None]
            start, end = map(seconds, times[:2])
            if not isinstance(number, int) or number < 0 or (names and number not in names) or None in (start, end):
                choices = f", one of {min(names)} to {max(names)}" if names else ""
                findings.add(NOT_LAYOUT, f"{key}.actions: expected [class number{choices}, start, end] in seconds, "
                             f"got {short(item)}")
                continue
            used.add(number)
            instances.append((names.get(number, f"class_{number}"), start, end))
        duration, subset = seconds(video.get("duration")), video.get("subset")
        if not is_text(subset) or (video.get("duration") is not None and not (duration or 0) > 0):
            findings.add(NOT_LAYOUT, f"{key}: expected a subset and a duration above 0, got {short(subset)}, "
                         f"{short(video.get('duration'))}")
        entries.append(Entry(key, subset if is_text(subset) else "", instances, duration=duration or None))
    listed = list(names.values()) or [f"class_{number}" for number in sorted(used)]
    return Sheet("MultiTHUMOS", entries, listed, findings, unread=unread)


# --- THUMOS-14 ------------------------------------------------------------------------------------------------------


def _thumos_texts(folder: Path, findings: Findings) -> Sheet:
    """Read the official text files; ambiguous stretches go apart, as they belong to no class."""
    instances, subsets, ambiguous = defaultdict(list), defaultdict(set), defaultdict(list)
    files = find_thumos_files(folder)
    if not files:
        raise AnnotationError(f"{folder}: a folder without files like BaseballPitch_test.txt; expected THUMOS-14's "
                              f"official text files, or one JSON or CSV file")
    for path, label, subset in files:
        for number, line, video, start, end in parse_thumos_text(read_text(path, findings), seconds):
            if video is None:
                findings.add("rows cannot be understood", f"{path.name} line {number}: {line}")
            elif is_safe(video, f"{path.name} line {number}: {video!r}", findings):
                if label == AMBIGUOUS:
                    ambiguous[video].append((start, end))
                else:
                    instances[video].append((label, start, end))
                    subsets[video].add(subset)
    check_one_subset(subsets, findings)
    classes = {file.label for file in files} - {AMBIGUOUS}
    numbered = read_classes(folder / "detclasslist.txt") if (folder / "detclasslist.txt").is_file() else {}
    listed = [numbered[n] for n in sorted(numbered)] if classes <= set(numbered.values()) else sorted(classes)
    return Sheet("THUMOS text", [Entry(key, min(subsets[key]), rows) for key, rows in sorted(instances.items())],
                 listed, findings, dict(ambiguous))


def read_classes(classes: str | Path | Sequence[str] | None) -> dict[int, str]:
    """Return {number: name} of a list of names, or of a file with one name a line, from 1; "7 Diving" gives its number.

    Raises AnnotationError where the file is not UTF-8 text of that kind.
    """
    if classes is None:
        return {}
    if not isinstance(classes, str | Path):
        return dict(enumerate(classes, 1))
    findings = Findings(KINDS)
    lines = [line.strip() for line in read_text(Path(classes), findings).splitlines() if line.strip()]
    rows = [re.fullmatch(r"(\d{1,9})[\s,;:]+(.+)", line, re.ASCII) for line in lines]
    if findings or not lines or lines[0][0] in "[{":
        raise AnnotationError(f'{classes}: expected UTF-8 text with one class a line, "Jump" or "7 Jump"')
    return {int(row[1]): row[2] for row in rows} if all(rows) else dict(enumerate(lines, 1))
