"""What is compared: ground truth and predictions read and checked, and the test sets that papers report on.

Truth and predictions are `{video_id: [{"segment": [start, end], "label": name, ("score": number)}]}`, seconds. An
instance of truth with `"ambiguous": True` belongs to no class: evaluation leaves it out, and the protocol
"thumos14" forgives what touches it. Needs the standard library only.
"""

import json
import math
from collections import Counter
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from losa.annotations.formats import read_layout
from losa.errors import ConfigError

Records = dict[str, list[dict]]

TOO_LONG = 1e10  # seconds; times beyond are no times, and their differences overflow
AMBIGUOUS = "Ambiguous"


# --- files ------------------------------------------------------------------------------------------------


def read_ground_truth(path: str | Path, subset: str) -> Records:
    """Every video of one subset with its instances (perhaps none).

    `path` is a file in ActivityNet's layout, or the folder of THUMOS-14's official text files, where the subset is
    test or val and the instances of Ambiguous_*.txt are marked `"ambiguous": True`.

    Raises FileNotFoundError, and ValueError for a file of another kind, a subset that is not in it letter for
    letter, a malformed instance, or no instance at all.
    """
    if Path(path).is_dir():
        return _read_thumos_folder(Path(path), subset)
    database = _read_section(path, "database", "a ground truth file in ActivityNet's layout")
    sizes: dict[str, int] = {}
    for video_id, video in database.items():
        if not isinstance(video, dict) or "subset" not in video:
            raise ValueError(f'{path}: video "{video_id}" has no "subset"; add the split it belongs to.')
        instances = video.get("annotations") or []
        if not isinstance(instances, list) or not isinstance(video["subset"], str):
            raise ValueError(f'{path}: video "{video_id}": "annotations" must be a list and "subset" a text.')
        sizes[video["subset"]] = sizes.get(video["subset"], 0) + len(instances)
    if not sizes.get(subset):
        raise ValueError(_no_truth_message(path, subset, sizes))
    return {
        video_id: _check_records(path, video_id, video.get("annotations") or [], scored=False)
        for video_id, video in database.items()
        if video["subset"] == subset
    }


def read_predictions(path: str | Path) -> Records:
    """The records of every video in a file of ActivityNet's results format, in the file's order.

    Raises FileNotFoundError, and ValueError for a file of another kind or a malformed record.
    """
    results = _read_section(path, "results", "a predictions file in ActivityNet's results format")
    return {video_id: _check_records(path, video_id, records, scored=True) for video_id, records in results.items()}


def read_json(path: str | Path, kind: str) -> object:
    """The content of a JSON file; `kind` says in errors what was expected.

    Raises FileNotFoundError, and ValueError where it is no JSON or a key is there twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {kind}. Check the path.")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({str(error)[:200]}); expected {kind}. Write the file anew.") from error


def _unique(pairs: list[tuple]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f'the key "{twice[:100]}" is there more than once')
    return found


def _read_section(path: str | Path, key: str, kind: str) -> dict:
    content = read_json(path, kind)
    if not isinstance(content, dict) or not isinstance(content.get(key), dict):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f'{path}: has no "{key}" ({found[:80] or "empty"}); expected {kind}. '
            "Were ground truth and predictions swapped?"
        )
    return content[key]


def _no_truth_message(path: str | Path, subset: str, sizes: dict[str, int]) -> str:
    listed = ", ".join(f'"{name}" ({size} instances)' for name, size in sorted(sizes.items())) or "none"
    if subset in sizes:
        return f'{path}: subset "{subset}" has no ground truth instance. Subsets: {listed}. Choose another.'
    folded = {name.lower(): name for name in sizes}
    close = get_close_matches(subset.lower(), folded, n=1)
    proposal = f' Did you mean "{folded[close[0]]}"?' if close else ""
    return f'{path}: no subset "{subset}".{proposal} Subsets: {listed}.'


def _check_records(path: str | Path, video_id: str, records: object, *, scored: bool) -> list[dict]:
    if not isinstance(records, list):
        raise ValueError(f'{path}: video "{video_id}" holds {str(records)[:60]}; expected a list of records.')
    for i, record in enumerate(records):
        try:
            start, end = record["segment"]
            score = record["score"] if scored else 0.0
            ok = isinstance(record["label"], str) and math.isfinite(score) and abs(score) < 1e300
            ok = ok and -TOO_LONG <= start <= end <= TOO_LONG and bool not in (type(start), type(end), type(score))
        except (TypeError, ValueError, KeyError, OverflowError):
            ok = False
        if not ok:
            wanted = '"label": text, "segment": [start, end] in seconds, start <= end'
            raise ValueError(
                f'{path}: item {i} of video "{video_id}" is {_shown(record)}; '
                f"expected {wanted}{', and a finite score' if scored else ''}. Correct it in the file."
            )
    return records


def _shown(value: object) -> str:
    try:
        return str(value)[:120]
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a {type(value).__name__} too large to print"


def _read_thumos_folder(folder: Path, subset: str) -> Records:
    suffix = {"test": "_test.txt", "val": "_val.txt", "validation": "_val.txt"}.get(subset.lower())
    files = sorted(folder.glob(f"*{suffix}")) if suffix else []
    if not files:
        raise ValueError(
            f'{folder}: no files of subset "{subset}"; expected the official text files, CLASS_test.txt or '
            "CLASS_val.txt with lines of video, start, end. Give subset test or val, or a JSON file."
        )
    records: Records = {}
    for file in files:
        label = file.name.removesuffix(suffix)
        extra = {"ambiguous": True} if label == AMBIGUOUS else {}
        for number, line in enumerate(_lines(file), start=1):
            try:
                video_id, start, end = line.split()
                segment = [float(start), float(end)]
                if not -TOO_LONG <= segment[0] <= segment[1] <= TOO_LONG:
                    raise ValueError
            except ValueError:
                raise ValueError(
                    f'{file}: line {number} is "{line[:80]}"; expected a video, and start <= end in seconds.'
                ) from None
            records.setdefault(video_id, []).append({"segment": segment, "label": label, **extra})
    if not any(count_instances({v: r}) for v, r in records.items()):
        raise ValueError(f'{folder}: the files of subset "{subset}" hold no instance of a class; nothing to measure.')
    return dict(sorted(records.items()))


def _lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text file that are not empty."""
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}). Save it as UTF-8.") from error


# --- test sets --------------------------------------------------------------------------------------------


def count_instances(records: Records) -> int:
    """How many records there are, ambiguous ones left aside."""
    return sum(not record.get("ambiguous") for items in records.values() for record in items)


def unknown_videos(truth: Collection[str], predictions: Records) -> Records:
    """The predictions of videos that the truth does not have."""
    return {video_id: items for video_id, items in predictions.items() if video_id not in truth}


def read_table(path: Path, subset: str) -> dict:
    """Ground truth of one subset of a CSV, as `read_ground_truth` gives that of a JSON."""
    entries = [entry for entry in read_layout(path)[0] if entry.subset == subset]
    if not any(entry.instances for entry in entries):
        raise ConfigError(f"{path} has no instance in a subset {subset!r}; without a column subset it is 'all'")
    return {entry.id: [{"label": label, "segment": [start, end]} for label, start, end in entry.instances]
            for entry in entries}
