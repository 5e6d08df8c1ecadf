"""Parse predictions as people have them into records: {"segment": [start, end], "label": text, "score": number}.

ActivityNet's results are taken as they are. Understood as well, and said: a bare {video: [...]}, a list of rows or
columns as ActionFormer writes them, a table (CSV, TSV), other names of a key that leave no doubt, numbers written as
text. Everything else is refused with one sentence.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from losa.errors import EvaluationError

Number = int | float
Row = tuple[str, str, object]  # where it stands, the video, the record

TOO_LONG = 1e10  # seconds; times beyond are no times, and their differences overflow
VIDEO = ("video", "video-id", "video_id", "videoid", "video_name", "video-name", "videoname", "filename", "file", "vid")
START = ("start", "t-start", "t_start", "start_time", "starttime", "begin", "start_s", "start (s)")
END = ("end", "t-end", "t_end", "end_time", "endtime", "stop", "end_s", "stop (s)", "end (s)")
SEGMENT = ("segment", "segments", "interval", "timestamps")
LABEL = ("label", "class", "category", "class_name", "label_name", "action", "activity", "verb", "noun", "behavior")
SCORE = ("score", "confidence", "conf", "prob", "probability")
NOT_SECONDS = re.compile(r"frame|_ms$|\(ms\)|support|f-(init|end)")
WANTED = '"label": text, "segment": [start, end] in seconds, start <= end, and a finite score'
CSV_WANTED = "a first line video,start,end,label,score"


class Keys(NamedTuple):
    """The keys that hold what is read; `end` is "" where `start` holds both times."""

    label: str
    start: str
    end: str
    score: str


# --- rows of a file ---------------------------------------------------------------------------------------


def list_rows(content: object, notes: list[str]) -> tuple[list[str], list[Row]] | None:
    """Return the ids of the videos and a row per prediction of a JSON file's content; None where it is another thing.

    What is not ActivityNet's results, {"results": {video: [record]}}, is said in `notes`.
    Raises EvaluationError where a video holds no list of records, or a row names no video.
    """
    content = _as_lists(content)
    if isinstance(content, dict) and "results" in content:
        content = content["results"]
    elif isinstance(content, dict) and content and _are_columns(content):
        notes.append(f"columns {', '.join(content)} are read as one prediction a row")
        content = [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]
    elif isinstance(content, dict) and content and all(_are_records(items) for items in content.values()):
        notes.append(f'there is no "results"; all {len(content)} keys are read as videos')
    elif not isinstance(content, list):
        return None
    if isinstance(content, dict):
        return list(content), [row for video, items in content.items() for row in _of_video(video, items)]
    if not isinstance(content, list):
        return None
    rows: list[Row] = [(f"item {i}", *_split_video(record, f"item {i}")) for i, record in enumerate(content)]
    videos = list(dict.fromkeys(video for _, video, _ in rows))
    notes.append(f"a list of {len(rows)} rows is read as the predictions of {len(videos)} videos")
    return videos, rows


def _as_lists(content: object) -> object:
    """Return columns of {row: value}, as pandas writes a table without asking, as columns of lists."""
    if isinstance(content, dict) and {*content} & {*VIDEO} and all(isinstance(c, dict) for c in content.values()):
        rows = [*next(iter(content.values()))]
        if all([*column] == rows for column in content.values()):
            return {name: [*column.values()] for name, column in content.items()}
    return content


def _of_video(video: str, items: object) -> Iterator[Row]:
    if not isinstance(items, list):
        raise EvaluationError(f'video "{video}" holds {shown(items, 60)}; expected a list of records')
    return ((f'item {i} of video "{video}"', video, record) for i, record in enumerate(items))


def _are_records(items: object) -> bool:
    return isinstance(items, list) and all(isinstance(item, dict) for item in items)


def _are_columns(content: dict) -> bool:
    lists = [values for values in content.values() if isinstance(values, list)]
    same = len(lists) == len(content) and len({len(values) for values in lists}) == 1
    return same and bool({*content} & {*VIDEO}) and bool({*content} & {*START, *SEGMENT})


def _split_video(record: object, where: str) -> tuple[str, dict]:
    """Return the video of a row, and the rest of it."""
    named = [name for name in VIDEO if isinstance(record, dict) and name in record]
    if not isinstance(record, dict) or not named:
        raise EvaluationError(f'{where} is {shown(record)}; expected a row with "video", {WANTED}')
    if not isinstance(record[named[0]], str) or not record[named[0]]:
        raise EvaluationError(f'{where}: "{named[0]}" is {shown(record[named[0]], 60)}; expected the id of a video')
    return record[named[0]], {key: value for key, value in record.items() if key != named[0]}


def list_table_rows(text: str, notes: list[str]) -> tuple[list[str], list[Row]]:
    """Return the ids of the videos and a row per prediction of a table (CSV, TSV) with a header line.

    A row with nothing but its video is a video without predictions. Raises EvaluationError for other tables.
    """
    lines = [line for line in enumerate(text.splitlines(), 1) if line[1].strip()]
    first = lines[0][1] if lines else ""
    separator = max(",;\t|", key=first.count)
    header = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=separator), [])]
    lacking = [name for name, known in (("video", VIDEO), ("start", (*START, *SEGMENT)), ("score", SCORE))
               if not {*known} & {*header}]  # fmt: skip
    if lacking or len({*header}) < len(header):
        what = f"has no column {', '.join(lacking)}" if lacking else "has a column more than once"
        raise EvaluationError(f'{what}: the first line is "{first[:120]}"; expected {CSV_WANTED}')
    rows: list[Row] = []
    videos: dict[str, None] = {}
    decimal = re.compile(r"[+-]?\d+,\d+") if separator != "," else None
    for number, cells in _cells(text, separator):
        if len(cells) != len(header):
            raise EvaluationError(f'line {number} has {len(cells)} cells instead of {len(header)}: '
                                  f'"{separator.join(cells)[:120]}"; expected {CSV_WANTED}')  # fmt: skip
        video, record = _split_video(dict(zip(header, cells, strict=True)), f"line {number}")
        videos[video] = None
        if any(record.values()):
            record = {key: value.replace(",", ".") if decimal and decimal.fullmatch(value) else value
                      for key, value in record.items()}  # fmt: skip
            numbers = {key: _read_number(value)[0] if key in (*START, *END, *SCORE) else value
                       for key, value in record.items()}  # fmt: skip
            read = {key: record[key] if value is None else value for key, value in numbers.items()}
            rows.append((f"line {number}", video, read))
    if not {*VIDEO[:1]} & {*header}:
        notes.append(f'column "{next(name for name in VIDEO if name in header)}" is read as the video')
    return list(videos), rows


def _cells(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of every row below the first that is not empty."""
    lines = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        rows = ((lines.line_num, [cell.strip() for cell in row]) for row in lines)
        filled = (row for row in rows if any(row[1]))
        next(filled, None)
        yield from filled
    except csv.Error as error:
        raise EvaluationError(f"line {lines.line_num} cannot be read as CSV ({error}); expected {CSV_WANTED}") from None


# --- one record -------------------------------------------------------------------------------------------


def read_records(rows: Iterable[Row], label_key: str, names: Mapping[int, str], notes: list[str],
                 need_label: bool = True) -> Iterator[tuple[str, dict]]:  # fmt: skip
    """Yield video and record of each row. A record that is in ActivityNet's form comes back as it is.

    label_key: the key that holds the class, where that is a choice. names: of class numbers; without them a number is
    taken as text. need_label: without, a record that has none gets "action". Raises EvaluationError where a row is no
    prediction; adds to `notes` what is read otherwise.
    """
    counts: Counter[str] = Counter()
    for where, video, record in rows:
        try:
            if not need_label and isinstance(record, dict) and not _has_label(record, label_key):
                record = {**record, "label": "action"}
            yield video, read_record(record, label_key, names, counts)
        except EvaluationError as error:
            advice = "" if "--" in str(error) else ". Correct it in the file."
            raise EvaluationError(f"{where} is {shown(record)}; {error}{advice}") from None
    notes.extend(f"{text} ({count} predictions)" for text, count in counts.items())


def _has_label(record: dict, label_key: str) -> bool:
    return label_key in record if label_key else any(key.lower() in LABEL for key in record)


def read_record(record: object, label_key: str, names: Mapping[int, str], counts: Counter[str]) -> dict:
    """Return one prediction in ActivityNet's form, and count what is read otherwise than it is written.

    Raises EvaluationError with what is wrong with it.
    """
    if not isinstance(record, dict):
        raise EvaluationError(f"expected {WANTED}")
    keys = find_keys(tuple(record), label_key)
    given = [record[keys.start], record[keys.end]] if keys.end else record[keys.start]
    times = [_read_number(time) for time in given] if isinstance(given, list) else []
    label, score = _read_label(record[keys.label], names), _read_number(record[keys.score])
    if len(times) != 2 or any(time is None or abs(time) > TOO_LONG for time, _ in times):
        raise EvaluationError(f"its times are {shown(given, 60)}, expected {WANTED}")
    if times[0][0] > times[1][0]:  # type: ignore[operator]
        raise EvaluationError(f"it ends before it starts, expected {WANTED}")
    if score[0] is None or abs(score[0]) >= 1e300:
        raise EvaluationError(f"its {keys.score} is {shown(record[keys.score], 60)}, expected {WANTED}")
    if any(as_text for _, as_text in (*times, score)):
        counts["numbers written as text are read as numbers"] += 1
    for text in explain_keys(keys):
        counts[text] += 1
    segment = [time for time, _ in times]
    if record.get("segment") == segment and record.get("label") == label and record.get("score") is score[0]:
        return record
    return {**record, "segment": segment, "label": label, "score": score[0]}


@lru_cache(maxsize=64)
def find_keys(found: tuple[str, ...], label_key: str = "") -> Keys:
    """Return the keys of a record that hold what is read. Raises EvaluationError where one lacks or is a choice."""
    label = label_key or _only("label", LABEL, found)
    if label not in found:
        raise EvaluationError(f'it has no "{label}" but {_listed(found)}: --label-key names the key with the class')
    start = next((key for key in SEGMENT if key in found), "")
    end = ""
    if not start:
        start, end = _only("start", START, found), _only("end", END, found)
    return Keys(label, start, end, _only("score", SCORE, found))


@lru_cache(maxsize=64)
def explain_keys(keys: Keys) -> tuple[str, ...]:
    """Return how keys are read that are neither ActivityNet's nor those of our tables."""
    times = keys.end and (keys.start, keys.end) != ("start", "end")
    read = {f'"{keys.label}" is read as the label': keys.label != "label",
            f'"{keys.score}" is read as the score': keys.score != "score",
            f'"{keys.start}" is read as the segment': not keys.end and keys.start != "segment",
            f'"{keys.start}" and "{keys.end}" are read as start and end in seconds': times}  # fmt: skip
    return tuple(text for text, said in read.items() if said)


def _only(wanted: str, known: Sequence[str], found: tuple[str, ...]) -> str:
    """Return the key of what is wanted: its own name, or the only other one that means it."""
    if wanted in found:
        return wanted
    others = [key for key in found if key.lower() in known]
    if len(others) == 1:
        return others[0]
    if others:
        choice = f": choose one, e.g. --label-key {others[0]}" if wanted == "label" else ""
        raise EvaluationError(f'it has {_listed(others)}, expected one "{wanted}"{choice}')
    units = [key for key in found if NOT_SECONDS.search(key.lower())]
    if wanted == "start" and units:
        raise EvaluationError(f'it has {_listed(units)}, expected "segment": [start, end] in seconds: divide frames '
                              "by the frame rate of the video, milliseconds by 1000")  # fmt: skip
    if wanted == "label":
        numbers = [key for key in found if re.search(r"(id|idx|index)$", key.lower()) and key.lower() not in VIDEO]
        how = (f"--label-key {numbers[0]} --classes FILE reads class numbers, with a file of their names"
               if numbers else "--label-key names the key with the class; "
               "--class-agnostic evaluates segments without one")
        raise EvaluationError(f'it has no "label" but {_listed(found)}: {how}')
    lacking = '"segment"' if wanted in ("start", "end") else f'"{wanted}"'
    raise EvaluationError(f"it has no {lacking} but {_listed(found)}; expected {WANTED}")


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys[:8]) + (", ..." if len(keys) > 8 else "") if keys else "nothing"


def _read_label(label: object, names: Mapping[int, str]) -> str:
    """Return the class: a text, or a number as its name, where names are given, else as text."""
    number = label if type(label) is int else int(label) if type(label) is float and label.is_integer() else None
    if number is None and not isinstance(label, str):
        raise EvaluationError(f"its label is {shown(label, 60)}, expected {WANTED}")
    text = str(label) if number is None else str(number)
    if not names or text in names.values() or not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        return text
    if int(text) not in names:
        raise EvaluationError(f"class number {text} is not in the list of classes, which has {min(names)} to "
                              f'{max(names)}: write each number before its name there, "{text} NAME"')  # fmt: skip
    return names[int(text)]


def _read_number(value: object) -> tuple[Number | None, bool]:
    """Return the finite number of a value, None where it holds none, and whether it is written as text."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", value, re.ASCII):
        number = float(value)
        return (number if abs(number) < 1e300 else None), True
    if type(value) in (int, float) and -1e300 < value < 1e300:  # type: ignore[operator]
        return value, False  # type: ignore[return-value]
    return None, False


def shown(value: object, most: int = 120) -> str:
    """Return a value as text that is short enough for a message."""
    try:
        return str(value)[:most]
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a {type(value).__name__} too large to print"
