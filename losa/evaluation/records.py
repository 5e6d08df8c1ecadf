"""Read and check what is compared: ground truth and predictions.

Both are `{video_id: [{"segment": [start, end], "label": name, ("score": number)}]}`, in seconds. Ground truth is taken
as it was published: nothing is clipped, dropped or merged. An instance with `"ambiguous": True` belongs to no class:
evaluation leaves it out, and the protocol "thumos14" forgives the predictions that touch it.
"""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from losa.annotations.activitynet import parse_instance, parse_json
from losa.annotations.formats import read_layout
from losa.annotations.thumos import AMBIGUOUS, find_thumos_files, parse_thumos_text
from losa.errors import EvaluationError, NoTruthError

Records = dict[str, list[dict]]

TOO_LONG = 1e10  # seconds; times beyond are no times, and their differences overflow
THUMOS_SUBSETS = {"test": "test", "val": "val", "validation": "val"}


# --- ground truth -----------------------------------------------------------------------------------------


def read_ground_truth(path: str | Path, subset: str) -> Records:
    """Read every video of one subset with its instances, perhaps none.

    `path` is a file in ActivityNet's layout, or the folder of THUMOS-14's official text files, where the subset is
    test or val and the instances of Ambiguous_*.txt are marked `"ambiguous": True`.

    Raises FileNotFoundError, and EvaluationError for a file of another kind or a malformed instance; NoTruthError for a
    subset that is not in it letter for letter, or has no instance.
    """
    if Path(path).is_dir():
        return _read_thumos_folder(Path(path), subset)
    database = _read_section(path, "database", "a ground truth file in ActivityNet's layout")
    sizes: dict[str, int] = {}
    for video_id, video in database.items():
        if not isinstance(video, dict) or "subset" not in video:
            raise EvaluationError(f'{path}: video "{video_id}" has no "subset"; add the split it belongs to.')
        instances = video.get("annotations") or []
        if not isinstance(instances, list) or not isinstance(video["subset"], str):
            raise EvaluationError(f'{path}: video "{video_id}": "annotations" must be a list and "subset" a text.')
        sizes[video["subset"]] = sizes.get(video["subset"], 0) + len(instances)
    if not sizes.get(subset):
        raise NoTruthError(_no_truth_message(path, subset, sizes))
    return {
        video_id: _check_records(path, video_id, video.get("annotations") or [], scored=False)
        for video_id, video in database.items()
        if video["subset"] == subset
    }


def read_ground_truth_csv(path: str | Path, subset: str) -> Records:
    """Read every video of one subset of a CSV with columns video, label, start, end and, if it has one, subset.

    Raises AnnotationError where rows are wrong, and EvaluationError where the subset has no instance.
    """
    entries = [entry for entry in read_layout(path)[0] if entry.subset == subset]
    if not any(entry.instances for entry in entries):
        raise EvaluationError(f"{path} has no instance in a subset {subset!r}; without a column subset it is 'all'")
    return {entry.id: [{"label": label, "segment": [start, end]} for label, start, end in entry.instances]
            for entry in entries}  # fmt: skip


def _no_truth_message(path: str | Path, subset: str, sizes: dict[str, int]) -> str:
    listed = ", ".join(f'"{name}" ({size} instances)' for name, size in sorted(sizes.items())) or "none"
    if subset in sizes:
        return f'{path}: subset "{subset}" has no ground truth instance. Subsets: {listed}. Choose another.'
    folded = {name.lower(): name for name in sizes}
    close = get_close_matches(subset.lower(), folded, n=1)
    proposal = f' Did you mean "{folded[close[0]]}"?' if close else ""
    return f'{path}: no subset "{subset}".{proposal} Subsets: {listed}.'


def _read_thumos_folder(folder: Path, subset: str) -> Records:
    wanted = THUMOS_SUBSETS.get(subset.lower())
    files = [file for file in find_thumos_files(folder) if file.subset == wanted]
    if not files:
        raise EvaluationError(
            f'{folder}: no files of subset "{subset}"; expected the official text files, CLASS_test.txt or '
            "CLASS_val.txt with lines of video, start, end. Give subset test or val, or a JSON file."
        )
    records: Records = {}
    for path, label, _ in files:
        extra = {"ambiguous": True} if label == AMBIGUOUS else {}
        for number, line, video_id, start, end in parse_thumos_text(read_utf8(path), _parse_number):
            if video_id is None or start > end:
                raise EvaluationError(
                    f'{path}: line {number} is "{line[:80]}"; expected a video, and start <= end in seconds.'
                )
            records.setdefault(video_id, []).append({"segment": [start, end], "label": label, **extra})
    if not count_instances(records):
        raise EvaluationError(
            f'{folder}: the files of subset "{subset}" hold no instance of a class; nothing to measure.'
        )
    return dict(sorted(records.items()))


# --- predictions ------------------------------------------------------------------------------------------


def read_predictions(path: str | Path) -> Records:
    """Read the records of every video in a file of ActivityNet's results format, in the file's order.

    Raises FileNotFoundError, and EvaluationError for a file of another kind or a malformed record.
    """
    results = _read_section(path, "results", "a predictions file in ActivityNet's results format")
    return {video_id: _check_records(path, video_id, records, scored=True) for video_id, records in results.items()}


# --- files and records ------------------------------------------------------------------------------------


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
    path, repeated = Path(path), []
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {kind}. Check the path.")
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"), repeated)
    except (ValueError, RecursionError) as error:
        message = f"{path}: not JSON ({str(error)[:200]}); expected {kind}. Write the file anew."
        raise EvaluationError(message) from error
    if repeated:
        raise EvaluationError(f'{path}: the key "{repeated[0][:100]}" is there more than once; expected {kind}, with '
                              "every video once. Write the file anew.")  # fmt: skip
    return content


def _read_section(path: str | Path, key: str, kind: str) -> dict:
    content = read_json(path, kind)
    if not isinstance(content, dict) or not isinstance(content.get(key), dict):
        keys = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise EvaluationError(
            f'{path}: has no "{key}" ({keys[:80] or "empty"}); expected {kind}. '
            "Were ground truth and predictions swapped?"
        )
    return content[key]


def _check_records(path: str | Path, video_id: str, records: object, *, scored: bool) -> list[dict]:
    """Return the records of one video as they are. Raises EvaluationError where one is malformed."""
    if not isinstance(records, list):
        raise EvaluationError(f'{path}: video "{video_id}" holds {str(records)[:60]}; expected a list of records.')
    for i, record in enumerate(records):
        instance = parse_instance(record, _check_number)
        if instance is None or instance[1] > instance[2] or (scored and not _is_score(record.get("score"))):
            wanted = '"label": text, "segment": [start, end] in seconds, start <= end'
            raise EvaluationError(
                f'{path}: item {i} of video "{video_id}" is {_shown(record)}; '
                f"expected {wanted}{', and a finite score' if scored else ''}. Correct it in the file."
            )
    return records


def _check_number(time: object) -> int | float | None:
    """Return the time where it is a number of seconds, else None; as published, so no "1:23" as in annotations."""
    return time if type(time) in (int, float) and -TOO_LONG <= time <= TOO_LONG else None


def _parse_number(text: str) -> float | None:
    try:
        return _check_number(float(text))
    except ValueError:
        return None


def _is_score(score: object) -> bool:
    return type(score) in (int, float) and abs(score) < 1e300


def _shown(value: object) -> str:
    try:
        return str(value)[:120]
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a {type(value).__name__} too large to print"


# --- counting ---------------------------------------------------------------------------------------------


def count_instances(records: Records) -> int:
    """Count the records, ambiguous ones left aside."""
    return sum(not record.get("ambiguous") for items in records.values() for record in items)


def unknown_videos(truth: Collection[str], predictions: Records) -> Records:
    """Return the predictions of videos that the truth does not have."""
    return {video_id: items for video_id, items in predictions.items() if video_id not in truth}
