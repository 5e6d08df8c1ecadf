"""Read what Label Studio exports, as JSON, JSON-MIN and CSV, and write tasks that it imports.

Its frames are counted at the frameRate of the labelling config, 24 unless it is set, whatever the video's
(https://labelstud.io/tags/video). The export states it only beside boxes.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from losa.errors import AnnotationError
from losa.formats.json_items import child, objects, parse_cell, pick, texts
from losa.formats.label_studio_items import (
    HOLDERS,
    LOCAL,
    Region,
    duration_of,
    find_rate,
    find_regions,
    find_video,
    holder_of,
    labels_of,
)
from losa.label_files.rows import Labelled, Row, collect
from losa.label_files.sheet import Findings, Sheet, listing
from losa.label_files.source import Reading, Source
from losa.label_files.times import Frames

CONTROL = "videoLabels"
COLUMNS = {"annotation id", "annotator", "lead time"}  # of CSV, beside those of the task


class Answer(NamedTuple):
    """What one annotator, or one model, said about one task."""

    place: str
    task: str
    data: dict
    items: list[tuple[str, dict]]  # place and result, {"id", "from_name", "to_name", "value"}
    by: str = ""
    kind: Literal["annotation", "skipped", "prediction"] = "annotation"
    best: bool = False  # marked as ground truth
    when: str = ""


# --- recognising ----------------------------------------------------------------------------------------------------


def is_label_studio(source: Source) -> bool:
    """Return whether a file is Label Studio's JSON, JSON-MIN or CSV."""
    if source.content is None:
        stated = bool(source.columns & COLUMNS)
        lines = source.table.rows[:50] if source.columns and (stated or "timelinelabels" in source.text) else []
        return any(_is_cell(parse_cell(cell), stated) for _, line in lines for cell in line)
    rows = source.content if isinstance(source.content, list) else [source.content]
    return any(isinstance(row, dict) and (_is_task(row) or _is_row(row)) for row in rows[:50])


def _is_task(row: dict) -> bool:
    """Return whether an object is a task with its annotations, or an annotation with its task."""
    answers = row.get("annotations", row.get("completions", row.get("predictions")))
    return (isinstance(row.get("data"), dict) and isinstance(answers, list)) or (
        isinstance(row.get("result"), list) and bool(child(row.get("task"), "data")))


def _is_row(row: dict) -> bool:
    return any(_is_cell(cell, "annotator" in row or "annotation_id" in row) for cell in row.values())


def _is_cell(cell: object, stated: bool = True) -> bool:
    """Return whether a cell holds regions; `stated`: the row is known to be of Label Studio."""
    items = [item for item in (cell if isinstance(cell, list) else [cell]) if isinstance(item, dict)]
    return any("timelinelabels" in item or (stated and holder_of(item) and labels_of(item)) for item in items)


# --- reading --------------------------------------------------------------------------------------------------------


def read_label_studio(source: Source, reading: Reading, findings: Findings) -> Sheet:
    """Read Label Studio's tasks: TimelineLabels, Labels with seconds, VideoRectangle.

    Of several annotators `reading.tier` names one, of several controls `reading.label_column` the one that holds the
    labels. Raises AnnotationError where these have to be given, or no item has a start and an end.
    """
    answers = _choose_answers(source.path, list(_read_answers(source, findings)), reading, findings)
    regions = [find_regions(answer.items, findings) for answer in answers]
    if any(answer.items for answer in answers) and not any(regions):
        found = Counter(str(item.get("type", "?")) for answer in answers for _, item in answer.items)
        raise AnnotationError(f"{source.path}: Label Studio's file without any segment; it has "
                              f"{', '.join(f'{count} {name}' for name, count in found.items())}. Label stretches of "
                              f"videos with <TimelineLabels>, and export that as JSON")
    control = _choose_control(source.path, [region for found in regions for region in found], reading, findings)
    rows = (row for answer, found in zip(answers, regions, strict=True)
            for row in _rows(answer, found, control, reading, findings))
    return collect("Label Studio", rows, findings)


def _read_answers(source: Source, findings: Findings) -> Iterator[Answer]:
    """Yield all that is said about the tasks of a file."""
    if source.content is None:
        if source.table.error:
            raise AnnotationError(f"{source.path}: {source.table.error}")
        for line, cells in source.table.records(findings):
            row = {name: parse_cell(cells[key]) for name, key in zip(source.table.header, cells, strict=False)}
            yield _row_answer(f"line {line}", row, findings)
        return
    content = source.content if isinstance(source.content, list) else [source.content]
    for place, row in objects(content, "task", findings):
        if _is_task(row):
            yield from _task_answers(place, row, findings)
        else:
            yield _row_answer(place, row, findings)


def _row_answer(place: str, row: dict, findings: Findings) -> Answer:
    """Return the answer of a row of JSON-MIN or CSV: a column for each control, and for each of the task's data."""
    cells = {key: cell for key, cell in row.items() if isinstance(cell, list | dict)}
    items = [(where, {"from_name": key, "value": item}) for key, cell in cells.items()
             for where, item in objects(cell if isinstance(cell, list) else [cell], f"{place} {key}", findings)]
    data = {key: cell for key, cell in row.items() if key not in cells}
    return Answer(place, str(row.get("id", place)), data, items, _name(row.get("annotator")),
                  when=str(row.get("updated_at", "")))


def _task_answers(place: str, row: dict, findings: Findings) -> Iterator[Answer]:
    """Yield the annotations, drafts and predictions of a task; one without any is a finding."""
    if "result" in row:
        row = child(row, "task") | {"annotations": [{key: row[key] for key in row if key != "task"}]}
    task = f"{place} (id {row['id']})" if isinstance(row.get("id"), int | str) else place
    data, found = child(row, "data") | {"file_upload": row.get("file_upload")}, 0
    for key in ("annotations", "completions", "drafts", "predictions"):
        for where, answer in objects(row.get(key), f"{task} {key}", findings):
            skipped = key == "drafts" or answer.get("was_cancelled")
            yield Answer(where, task, data, list(objects(answer.get("result"), f"{where} result", findings)),
                         _name(answer.get("model_version" if key == "predictions" else "completed_by")),
                         "prediction" if key == "predictions" else "skipped" if skipped else "annotation",
                         answer.get("ground_truth") is True, str(answer.get("updated_at", "")))
            found += 1
    if not found:
        findings.add("videos are not labelled yet", f"{task}: {find_video(data)}")


def _name(by: object) -> str:
    """Return an annotator's name: an e-mail address, or else a number."""
    by = by.get("email", by.get("id", "")) if isinstance(by, dict) else by
    return next(iter(texts(by)), "unknown")


# --- which annotator, which label -----------------------------------------------------------------------------------


def _choose_answers(path: Path, answers: list[Answer], reading: Reading, findings: Findings) -> list[Answer]:
    """Return one answer for each task: the annotator's, or the model's where no annotator gave any."""
    kind = "annotation" if any(answer.kind == "annotation" for answer in answers) else "prediction"
    counting = [answer for answer in answers if answer.kind == kind]
    _set_aside([answer for answer in answers if answer.kind != kind], "items are drafts, skipped or predicted",
               findings)
    if kind == "prediction" and counting:
        findings.add("labels are predictions", f"{len(counting)} of them, and no annotation")
    tasks: dict[str, list[Answer]] = defaultdict(list)
    for answer in counting:
        tasks[answer.task].append(answer)
    for task, data in {answer.task: answer.data for answer in answers if answer.task not in tasks}.items():
        findings.add("videos are not labelled yet", f"{task}: {find_video(data)}")
    best = {task: [answer for answer in group if answer.best] or group for task, group in tasks.items()}
    if reading.tier or any(len({answer.by for answer in group}) > 1 for group in best.values()):
        counts = Counter(answer.by for group in best.values() for answer in group)
        name = pick(path, reading.tier, counts, "--tier", "annotator")
        best = {task: [answer for answer in group if answer.by == name] for task, group in best.items()}
    chosen = [max(reversed(group), key=lambda answer: answer.when) for group in best.values() if group]
    kept = set(map(id, chosen))
    _set_aside([answer for answer in counting if id(answer) not in kept], "items are another annotator's", findings)
    return chosen


def _set_aside(answers: Sequence[Answer], kind: str, findings: Findings) -> None:
    """Count every stretch of answers that are not used, once for each of its labels."""
    for answer in answers:
        for region in find_regions(answer.items, Findings(findings.kinds)):
            for _ in range(len(region.spans) * max(map(len, region.labels.values()), default=1)):
                findings.add(kind, f"{region.place}: by {answer.by}")


def _choose_control(path: Path, regions: Sequence[Region], reading: Reading, findings: Findings) -> str:
    """Return the control of the labelling config that holds the labels.

    Controls of a timeline go before those of boxes, and remarks about regions only count where there are no labels.
    """
    remarks = Counter(control for region in regions for control in region.remarks)
    counts = Counter(control for region in regions for control in region.labels) | remarks
    if reading.label_column:
        return pick(path, reading.label_column, counts, "--label-column", "control")
    likeliest = next((found for holder in HOLDERS if (found := _labels_by_control(regions, holder))), None)
    alike = {repr(given): control for control, given in (likeliest or {}).items()}  # a box and its labels: once
    control = pick(path, "", {name: counts[name] for name in alike.values()} if alike else remarks, "--label-column",
                   "control")
    others = [f"{name!r} ({count})" for name, count in counts.items() if name not in {control, *(likeliest or ())}]
    if others:
        findings.add("several could be the label", f"{control!r} is taken; there are also {', '.join(others)}")
    return control


def _labels_by_control(regions: Sequence[Region], holder: str) -> dict[str, list[tuple[int, list[str]]]]:
    found: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
    for number, region in enumerate(regions):
        for control, labels in region.labels.items() if region.holder == holder else ():
            found[control].append((number, labels))
    return found


# --- rows -----------------------------------------------------------------------------------------------------------


def _rows(answer: Answer, regions: Sequence[Region], control: str, reading: Reading, findings: Findings
          ) -> Iterator[Row]:
    """Yield the rows of an answer: one that only names the video, and one for each label of each stretch."""
    video = find_video(answer.data, [str(item.get("to_name")) for _, item in answer.items])
    values = [child(item, "value") for _, item in answer.items]
    rate = find_rate(answer.data, values) if reading.fps is None else None
    if video or not regions:
        yield Row(answer.place, video, duration=next(filter(None, map(duration_of, values)), None))
    for region in regions:
        labels = region.labels.get(control) or region.remarks.get(control, [])
        for start, end in region.spans:
            for label in labels:
                yield Row(region.place, video, label, _at(start, rate), _at(end, rate))
            if not labels:
                held = [f"{name}: {'; '.join(found)}" for name, found in (region.labels | region.remarks).items()]
                findings.add("instances have no label", f"{region.place}: {', '.join(held) or 'nothing'}")
    if reading.fps is None and any(isinstance(time, Frames) for region in regions for span in region.spans
                                   for time in span):
        stated = f"{rate:g} a second, as the file states" if rate else "not stated, taken as the video's own"
        findings.add("frames are counted at the tool's rate", f"{answer.place}: {stated}")


def _at(time: object, rate: int | float | None) -> object:
    return round(time.number / rate, 6) if rate and isinstance(time, Frames) else time


# --- writing --------------------------------------------------------------------------------------------------------


def write_label_studio(videos: Sequence[Labelled]) -> dict[str, str]:
    """Return {file name: text} of tasks to import and of the labelling config that fits them.

    Where items have scores they all become predictions, which annotators see and correct, else annotations. Times are
    rounded to frames at each video's own rate, which stands in the task as "fps" and is the frameRate of the config.
    Raises AnnotationError where the rate of a video is not known.
    """
    unknown = [video.id for video in videos if not video.fps or video.fps <= 0]
    if unknown:
        raise AnnotationError(f"Label Studio counts frames, and of {len(unknown)} videos the frame rate is not known:"
                              f"{listing(unknown, len(unknown))}\nGive the folder of the videos (--videos), or the "
                              f"rate (--fps 25).")
    labels = sorted({item.label for video in videos for item in video.items})
    predicted = any(item.score is not None for video in videos for item in video.items)
    tasks = [_task(number, video, predicted) for number, video in enumerate(videos, 1)]
    return {"label_studio.json": json.dumps(tasks, indent=1, ensure_ascii=False) + "\n",
            "labeling_config.xml": _config(labels)}


def _config(labels: Sequence[str]) -> str:
    named = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in labels)
    return (f'<View>\n  <TimelineLabels name="{CONTROL}" toName="video">\n{named}  </TimelineLabels>\n'
            f'  <Video name="video" value="$video" frameRate="$fps"/>\n</View>\n')


def _task(number: int, video: Labelled, predicted: bool) -> dict:
    """Return a task of Label Studio with what was predicted or annotated in a video."""
    file, rate = video.file or video.id, video.fps or 0.0
    results = [{"id": f"{number}-{index}", "from_name": CONTROL, "to_name": "video", "type": "timelinelabels",
                "value": {"ranges": [_range(item.start, item.end, rate)], "timelinelabels": [item.label]},
                **({} if item.score is None else {"score": item.score})} for index, item in enumerate(video.items, 1)]
    answer: dict = {"model_version": "losa", "result": results} if predicted else {"result": results}
    return {"data": {"video": LOCAL + quote(file), "file": file, "fps": rate},
            "predictions" if predicted else "annotations": [answer]}


def _range(start: int | float, end: int | float, rate: int | float) -> dict[str, int]:
    """Return the first and the last frame, from 1, of a segment in seconds."""
    first = max(round(start * rate), 0) + 1
    return {"start": first, "end": max(round(end * rate), first)}
