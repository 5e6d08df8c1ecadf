"""Read and check what is compared: ground truth and predictions.

Both are `{video_id: [{"segment": [start, end], "label": name, ("score": number)}]}`, in seconds. Ground truth is taken
as it was published: nothing is clipped, dropped or merged. An instance with `"ambiguous": True` belongs to no class:
evaluation leaves it out, and the protocol "thumos14" forgives the predictions that touch it.
"""

import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from losa.annotations.scan import scan
from losa.errors import EvaluationError, Note, NoTruthError
from losa.evaluation.prediction_rows import list_rows, list_table_rows, read_records
from losa.formats.thumos import AMBIGUOUS, find_thumos_files, parse_thumos_text
from losa.label_files.cells import read_classes
from losa.label_files.sheet import Entry, Sheet, listing
from losa.label_files.source import AS_RECOGNISED, Reading, parse_json
from losa.label_files.subsets import SPELLINGS

Records = dict[str, list[dict]]

THUMOS_SUBSETS = {"test": "test", "val": "val", "validation": "val"}
TEST_NAMES = SPELLINGS["test"] + SPELLINGS["val"]  # what is tested on, the likeliest first
ONE_SUBSET = ("", "all")  # the subset of videos where a file has none
HARMLESS = {"videos contradict themselves"}  # errors that mAP does not depend on
PLAIN = {"separators are no commas", "cells have spaces around them", "labels have two numbers",
         "videos have no subset"}  # not worth a word, or said otherwise


# --- ground truth -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """The ground truth of one subset, and what its file says beside it.

    records: of every video of the subset, perhaps none. durations (seconds) and fps: of the videos where known.
    classes: all labels of the file, of any subset, in the order of its class numbers where it has them. subsets: of
    every video of the file.
    """

    records: Records
    subset: str
    durations: dict[str, float] = field(default_factory=dict)
    fps: dict[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    subsets: dict[str, str] = field(default_factory=dict)


def read_ground_truth(path: str | Path, subset: str = "", classes: str | Path | Sequence[str] | None = None) -> Records:
    """Read every video of one subset with its instances, perhaps none. Arguments and errors: see `read_truth`."""
    return read_truth(path, subset, classes).records


def read_truth(path: str | Path, subset: str = "", classes: str | Path | Sequence[str] | None = None,
               reading: Reading = AS_RECOGNISED) -> Truth:  # fmt: skip
    """Read the ground truth of one subset from a file in any layout that `losa.annotations.scan.scan` knows.

    subset: as spelt in the file (of THUMOS-14's text files: test or val); "" takes the only one with instances, else
    the one that its name says is for testing, and warns which. A file without subsets is one subset, under any name.
    classes: names, or a file of them, where the file has class numbers only. reading: how to read it where that is a
    choice. "Ambiguous" instances are marked; what else is set aside is counted in a warning.

    Raises AnnotationError for a file that cannot be read, EvaluationError for what is wrong inside or an instance that
    ends before it starts, and NoTruthError for a subset that is not in it letter for letter, or has no instance.
    """
    sheet = scan(path, classes, reading)
    _check_findings(path, sheet)
    entries = _with_ambiguous(Path(path), sheet)
    sizes = _count_by_subset(entries)
    chosen = choose_subset(path, subset, sizes, sheet.layout)
    kept = entries if sizes.keys() <= {*ONE_SUBSET} else [entry for entry in entries if entry.subset == chosen]
    _check_order(path, kept)
    named = {label for entry in entries for label, _, _ in entry.instances}
    listed = sheet.classes or sorted(named)
    return Truth(
        records={entry.id: _to_records(entry, sheet) for entry in kept},
        subset=chosen,
        durations={entry.id: entry.duration for entry in kept if entry.duration},
        fps={entry.id: entry.fps for entry in kept if entry.fps},
        classes=tuple(listed) + tuple(sorted(named - {*listed})),
        subsets={entry.id: entry.subset for entry in entries},
    )  # fmt: skip


def _to_records(entry: Entry, sheet: Sheet) -> list[dict]:
    """Return the instances of a video as records, in the order of the file; ambiguous ones are marked."""
    vague = [{"segment": [start, end], "label": AMBIGUOUS, "ambiguous": True}
             for start, end in sheet.ambiguous.get(entry.id, [])]  # fmt: skip
    return vague + [{"segment": [start, end], "label": label} for label, start, end in entry.instances]


def _with_ambiguous(path: Path, sheet: Sheet) -> list[Entry]:
    """Return the entries, with those videos of THUMOS' text files that hold nothing but ambiguous stretches."""
    entries = list(sheet.entries)
    known = {entry.id for entry in entries}
    if sheet.layout == "THUMOS text":
        for file, label, subset in find_thumos_files(path):
            rows = parse_thumos_text(read_utf8(file), lambda _: 0.0) if label == AMBIGUOUS else ()
            ids = {row.video for row in rows if row.video} - known
            entries += [Entry(video_id, subset) for video_id in sorted(ids & sheet.ambiguous.keys())]
            known |= ids
        entries.sort(key=lambda entry: entry.id)
    return entries


def _check_findings(path: str | Path, sheet: Sheet) -> None:
    """Raise EvaluationError for what cannot be read, and warn of what is read otherwise than written."""
    errors = [f for f in sheet.findings.values() if f.level == "error" and f.kind not in HARMLESS]
    if errors:
        raise EvaluationError("\n".join([*(finding.describe(path) for finding in errors),
                                         "`losa data check` lists everything, `--fix` repairs a copy."]))  # fmt: skip
    aside = sheet.set_aside if sheet.layout != "THUMOS text" else {}
    if aside:
        examples = [sheet.findings[kind].examples[0] for kind in aside]
        warnings.warn(f"{path}: {sheet.counts}{listing(examples, len(examples))}", stacklevel=4)
    for finding in sheet.findings.values():
        if finding.kind not in PLAIN and finding.kind not in sheet.set_aside:
            kind = UserWarning if finding.level == "warning" else Note
            warnings.warn(finding.describe(path), kind, stacklevel=4)


def _check_order(path: str | Path, entries: Sequence[Entry]) -> None:
    wrong = [f'item {i} of video "{entry.id}": {label} from {start:g} to {end:g} s' for entry in entries
             for i, (label, start, end) in enumerate(entry.instances) if start > end]  # fmt: skip
    if wrong:
        raise EvaluationError(f"{path}: {len(wrong)} instances end before they start; expected start <= end in seconds:"
                              f"{listing(wrong, len(wrong))}\nCorrect them in the file.")  # fmt: skip


# --- its subset -------------------------------------------------------------------------------------------


def _count_by_subset(entries: Sequence[Entry]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for entry in entries:
        sizes[entry.subset] += len(entry.instances)
    return dict(sizes)


def choose_subset(path: str | Path, asked: str, sizes: dict[str, int], layout: str = "") -> str:
    """Return the name of the subset that is meant, "" being the one for testing, of {subset: instances}.

    Warns which one was chosen. Raises NoTruthError where it is not there, or has no instance.
    """
    if layout == "THUMOS text" and asked:
        asked_for, asked = asked, THUMOS_SUBSETS.get(asked.lower(), asked)
        if asked not in sizes:
            raise EvaluationError(f'{path}: no files of subset "{asked_for}"; expected the official text files, '
                                  "CLASS_test.txt or CLASS_val.txt with lines of video, start, end. Give --subset test "
                                  "or val, or a file.")  # fmt: skip
    if not any(sizes.values()):
        raise NoTruthError(f"{path}: {'no video' if not sizes else 'not one instance of a class'} in it; nothing to "
                           "measure. Give the file with the ground truth.")  # fmt: skip
    if sizes.keys() <= {*ONE_SUBSET}:
        if asked != "all":
            warnings.warn(f"{path}: names no subsets; all of it, {sum(sizes.values())} instances, is taken"
                          + (f' as subset "{asked}"' if asked else ""), Note, stacklevel=4)  # fmt: skip
        return asked or "all"
    if asked:
        if not sizes.get(asked):
            raise NoTruthError(_no_truth_message(path, asked, sizes))
        return asked
    return _propose_subset(path, sizes)


def _propose_subset(path: str | Path, sizes: dict[str, int]) -> str:
    """Return the only subset with instances, else the one for testing, and warn which it is."""
    full = [name for name, size in sizes.items() if size]
    folded = {name.lower(): name for name in full}
    chosen = full[0] if len(full) == 1 else next((folded[name] for name in TEST_NAMES if name in folded), None)
    if chosen is None:
        raise EvaluationError(f"{path}: several subsets: {_listed_subsets(sizes)}. Choose one: --subset NAME.")
    warnings.warn(f'{path}: subset "{chosen}" is taken, with {sizes[chosen]} instances; all subsets: '
                  f"{_listed_subsets(sizes)}. Another one: --subset NAME", Note, stacklevel=5)  # fmt: skip
    return chosen


def _listed_subsets(sizes: dict[str, int]) -> str:
    return ", ".join(f'"{name}" ({size} instances)' for name, size in sorted(sizes.items())) or "none"


def _no_truth_message(path: str | Path, subset: str, sizes: dict[str, int]) -> str:
    if subset in sizes:
        return (f'{path}: subset "{subset}" has no ground truth instance. Subsets: {_listed_subsets(sizes)}. Choose '
                "another: --subset NAME.")  # fmt: skip
    folded = {name.lower(): name for name in sizes}
    close = get_close_matches(subset.lower(), folded, n=1) or [
        name for name in folded if min(len(name), len(subset)) > 2 and (
            name.startswith(subset.lower()) or subset.lower().startswith(name))]  # fmt: skip
    proposal = f' Did you mean "{folded[close[0]]}"?' if close else ""
    return f'{path}: no subset "{subset}".{proposal} Subsets: {_listed_subsets(sizes)}. Choose one: --subset NAME.'


# --- predictions ------------------------------------------------------------------------------------------


def read_predictions(path: str | Path, *, classes: str | Path | Sequence[str] | None = None,
                     label_key: str = "", need_label: bool = True) -> Records:  # fmt: skip
    """Read the records of every video in a predictions file, in the file's order.

    ActivityNet's results format comes back as it is. What is written otherwise and leaves no doubt is read and said in
    a warning: see `losa.evaluation.prediction_rows`. classes: names of class numbers, or a file of them; without them
    a number is taken as text. label_key: the key or column that holds the class, where that is a choice. need_label:
    without, predictions that have none get "action".

    Raises FileNotFoundError, and EvaluationError for a file of another kind or a malformed record.
    """
    path = Path(path)
    notes: list[str] = []
    try:
        names = read_classes(classes)
        videos, rows = _list_predictions(path, notes)
        records: Records = {video_id: [] for video_id in videos}
        for video_id, record in read_records(rows, label_key, names, notes, need_label):
            records[video_id].append(record)
    except EvaluationError as error:
        raise EvaluationError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    for note in notes:
        warnings.warn(f"{path}: {note}", Note, stacklevel=2)
    return records


def looks_like_predictions(path: str | Path) -> bool:
    """Return whether a file holds predictions rather than annotations: JSON with "results", or rows with scores."""
    path = Path(path)
    try:
        if read_utf8(path).lstrip()[:1] == "{" and isinstance(content := read_json(path, KIND), dict):
            return "results" in content
        _, rows = _list_predictions(path, [])
        return bool(list(read_records(rows[:1], "", {}, [])))
    except (EvaluationError, OSError):
        return False


KIND = 'a predictions file: ActivityNet\'s results format, {"results": {video: [record]}}, or a table'


def _list_predictions(path: Path, notes: list[str]) -> tuple[list[str], list]:
    """Return the ids of the videos, and the rows of the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {KIND}. Check the path.")
    with path.open("rb") as file:
        head = file.read(2)
    if path.suffix.lower() in (".pkl", ".pickle") or (head[:1] == b"\x80" and head[1:] in b"\2\3\4\5"):
        raise EvaluationError(_pickle_message(path))
    text = read_utf8(path)
    if path.suffix.lower() != ".json" and text.lstrip()[:1] not in ("{", "["):
        return list_table_rows(text, notes)
    if path.suffix.lower() in (".jsonl", ".ndjson"):  # an object a line
        text = f"[{','.join(line for line in text.splitlines() if line.strip())}]"
    content = parse_content(text, KIND)
    found = list_rows(content, notes)
    if found is None:
        keys = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise EvaluationError(f'has no "results" ({keys[:80] or "empty"}); expected {KIND}. '
                              "Were ground truth and predictions swapped?")  # fmt: skip
    return found


def _pickle_message(path: Path) -> str:
    """Return how to convert a pickle; it is never loaded, as that could run anything."""
    made = path.with_suffix(".json").name
    code = f"pandas.DataFrame(pickle.load(open('{path.name}', 'rb'))).to_json('{made}', orient='records')"
    return (f"a pickle, which is never loaded, as loading can run any code; expected {KIND}. If it is your own (e.g. "
            f"ActionFormer's eval_results.pkl), convert it: python -c \"import pickle, pandas; {code}\"")


# --- files ------------------------------------------------------------------------------------------------


def read_utf8(path: Path) -> str:
    """Read a text file. Raises EvaluationError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error


def read_json(path: str | Path, kind: str) -> object:
    """Read the content of a JSON file; `kind` says in errors what was expected.

    Raises FileNotFoundError, and EvaluationError where it is not JSON or an object has a key twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {kind}. Check the path.")
    try:
        return parse_content(read_utf8(path), kind)
    except EvaluationError as error:
        why = str(error).removeprefix(f"{path}: ").rstrip(".")
        raise EvaluationError(f"{path}: {why}. Write the file anew.") from error


def parse_content(text: str, kind: str) -> object:
    """Return the content of a JSON text. Raises EvaluationError where it is not JSON or an object has a key twice."""
    repeated: list[str] = []
    try:
        content = parse_json(text, repeated)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"not JSON ({str(error)[:200]}); expected {kind}") from error
    if repeated:
        raise EvaluationError(f'the key "{repeated[0][:100]}" is there more than once; expected {kind}, with every '
                              "video once")  # fmt: skip
    return content


# --- counting ---------------------------------------------------------------------------------------------


def count_instances(records: Records) -> int:
    """Count the records, ambiguous ones left aside."""
    return sum(not record.get("ambiguous") for items in records.values() for record in items)


def unknown_videos(truth: Collection[str], predictions: Records) -> Records:
    """Return the predictions of videos that the truth does not have."""
    return {video_id: items for video_id, items in predictions.items() if video_id not in truth}
