"""Edit labelled segments: pure operations with undo, the same as `edits.js` does in the browser, case by case.

A state is {"records", "changes", "undone", "made"}. records: {"id", "label", "segment": [start, end] in seconds} and
what else each had, by id. changes: {"what", "before", "after": records} and who did it when, the latest last; undone:
what a redo brings back, the next last. made: the highest id so far; none is given twice.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

NOTED = ("at", "by", "presses", "from")  # what an operation may tell of itself, kept in its change
SHORTEST = 0.01  # seconds of a segment where no frame rate is known; else a frame


def start(records: Iterable[Mapping]) -> dict:
    """Return the state before any change, the records with ids from 1."""
    numbered = [{**record, "id": i} for i, record in enumerate(records, start=1)]
    return {"records": numbered, "changes": [], "undone": [], "made": len(numbered)}


def apply(state: Mapping, op: Mapping, video: Mapping) -> dict:
    """Return the state after an operation, the one given where it changes nothing. Raises ValueError where it cannot.

    video: {"duration" in seconds, "fps" or None}. op: {"what": one of these, its values, and what `NOTED` names}.
    create: label, segment. accept: the same of a prediction, kept as it is. move_edge: id, edge (0 start, 1 end), time.
    move: id, time of its start. split: id, time. merge: id, with the next of its label. delete: id. relabel: id, label.
    undo, redo: nothing. Times become borders of frames; of those within `within` seconds of `playhead` or of a border
    of another segment, that; with `free` they stay as they are.
    """
    if op["what"] in ("undo", "redo"):
        return _go_back(state, *(("changes", "undone") if op["what"] == "undo" else ("undone", "changes")))
    before, after = _changed(state, op, video)
    if before == after:
        return dict(state)
    change = {"what": op["what"], "before": before, "after": after} | {key: op[key] for key in NOTED if key in op}
    return {"records": _replaced(state["records"], before, after), "changes": [*state["changes"], change],
            "undone": [], "made": max([state["made"], *(record["id"] for record in after)])}


def count_unsaved(records: Sequence[Mapping], saved: Sequence[Mapping]) -> int:
    """Return how many records were added, changed or removed since they were saved."""
    now, then = ({record["id"]: record for record in given} for given in (records, saved))
    return sum(now.get(key) != then.get(key) for key in {*now, *then})


def filled(document: Mapping, video_id: str, records: Iterable[Mapping], classes: Sequence[str]) -> dict:
    """Return an annotation file in ActivityNet's layout with these records of a video; all else stays as it is.

    A record's further fields are kept, but for a number of its class, `label_id`, which follows the label.
    """
    database = document["database"]
    numbers = {item["label"]: item["label_id"] for video in database.values() for item in video.get("annotations", [])
               if "label_id" in item}
    items = [{key: value for key, value in record.items() if key != "id"} for record in records]
    for item in items if numbers else ():
        item["label_id"] = numbers.setdefault(item["label"], max(numbers.values()) + 1)
    listed = document.get("classes")
    more = {} if listed is None else {"classes": [*listed, *(name for name in classes if name not in listed)]}
    return {**document, **more, "database": {**database, video_id: {**database[video_id], "annotations": items}}}


def snap(time: float, op: Mapping, video: Mapping, borders: Iterable[float] = ()) -> float:
    """Return the time inside of the video, moved to what is near or to a border of frames, unless `op` is free."""
    time = min(max(time, 0.0), video["duration"])
    near, fps = _near(time, op, borders), video.get("fps")
    if near is not None or op.get("free") or not fps:
        return time if near is None else near
    return min(math.floor(time * fps + 0.5) / fps, video["duration"])


def _near(time: float, op: Mapping, borders: Iterable[float]) -> float | None:
    marks = [*([op["playhead"]] if op.get("playhead") is not None else []), *borders]
    nearest = min(marks, key=lambda mark: abs(mark - time), default=math.inf)
    return nearest if abs(nearest - time) <= op.get("within", 0) and not op.get("free") else None


def _go_back(state: Mapping, source: str, target: str) -> dict:
    *rest, change = state[source] or [None]
    if change is None:
        return dict(state)
    old, new = (change[end] for end in (("after", "before") if source == "changes" else ("before", "after")))
    return {**state, "records": _replaced(state["records"], old, new), source: rest, target: [*state[target], change]}


def _replaced(records: Sequence[Mapping], old: Sequence[Mapping], new: Sequence[Mapping]) -> list:
    gone = {record["id"] for record in old}
    return sorted([*(r for r in records if r["id"] not in gone), *new], key=lambda record: record["id"])


def _changed(state: Mapping, op: Mapping, video: Mapping) -> tuple[list, list]:
    """Return the records that an operation takes away, and those that it puts in their place."""
    what, records, fresh = op["what"], state["records"], state["made"] + 1
    old = next((record for record in records if record["id"] == op.get("id")), None)
    borders = [time for record in records if record is not old for time in record["segment"]]
    if "label" in op and not op["label"].strip():
        raise ValueError("the label is empty: choose a class, or type a new one")
    if what in ("create", "accept"):
        exact = {**op, "free": True} if what == "accept" else op
        begin, end = sorted(snap(time, exact, video, borders) for time in op["segment"])
        return [], [_checked({"label": op["label"], "segment": [begin, end], "id": fresh}, op, video)]
    if old is None:
        raise ValueError(f"there is no segment with the id {op['id']}: select one")
    begin, end = old["segment"]
    if what in ("delete", "relabel"):
        return [old], [] if what == "delete" else [{**old, "label": op["label"]}]
    if what == "merge":
        later = [(r["segment"][0], r["id"], r) for r in records if r["label"] == old["label"]
                 and (r["segment"][0], r["id"]) > (begin, old["id"])]
        if not later:
            raise ValueError(f"there is no later segment of {old['label']} to merge with")
        *_, other = min(later, key=lambda row: row[:2])
        return [old, other], [{**old, "segment": [begin, max(end, other["segment"][1])]}]
    if what == "split":
        time = snap(op["time"], op, video)
        halves = {**old, "segment": [begin, time]}, {**old, "segment": [time, end], "id": fresh}
        return [old], [_checked(half, op, video) for half in halves]
    if what not in ("move", "move_edge"):
        raise ValueError(f"there is no edit {what!r}: expected one that `apply` lists")
    if what == "move":
        return [old], [_checked({**old, "segment": _moved(begin, end, op, video, borders)}, op, video)]
    time, least = snap(op["time"], op, video, borders), _least(video)
    place = ([begin, min(max(time, begin + least), video["duration"])] if op["edge"]
             else [max(min(time, end - least), 0.0), end])
    return [old], [_checked({**old, "segment": place}, op, video)]


def _least(video: Mapping) -> float:
    return 1 / video["fps"] if video.get("fps") else SHORTEST


def _checked(record: Mapping, op: Mapping, video: Mapping) -> Mapping:
    begin, end = record["segment"]
    if not (end > begin if op["what"] == "accept" else end - begin > 0.5 * _least(video)):
        advice = "put the playhead inside of it" if op["what"] == "split" else "give it more time"
        raise ValueError(f"the segment would be shorter than a frame: {advice}")
    return record


def _moved(start: float, end: float, op: Mapping, video: Mapping, borders: Sequence[float]) -> list[float]:
    length = end - start
    last = max(video["duration"] - length, 0.0)
    begin = min(max(op["time"], 0.0), last)
    near = [mark - shift - begin for shift in (0.0, length)
            if (mark := _near(begin + shift, op, borders)) is not None]
    begin = begin + min(near, key=abs) if near else snap(begin, {"free": op.get("free")}, video)
    begin = min(max(begin, 0.0), last)
    return [begin, min(begin + length, video["duration"])]
