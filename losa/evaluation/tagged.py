"""Read what people said of segments of a run (its tags.json), and evaluate without the segments they call ambiguous."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from losa.errors import EvaluationError
from losa.evaluation.average_precision import FORGIVEN, Evaluation, evaluate, match_classes
from losa.evaluation.protocols import find_protocol
from losa.evaluation.records import Records, count_instances, read_json

Number = int | float
TAGS = ("label wrong", "ambiguous", "model wrong")
KINDS = ("truth", "prediction")
FILE = "tags.json"  # in a run's folder
NEAR_S = 0.05  # a tag's segment may have moved so far at either end, as it does when predicted on another machine
SAME_S = 1e-3  # two instances so near are one written twice


def read_tags(run: str | Path) -> list[dict]:
    """Return the tags in a run's folder: dicts of "video", "kind", "label", "segment" (s), "tag", "note"; [] without.

    kind: "truth" or "prediction". tag: one of `TAGS`. Raises EvaluationError for a file of another kind.
    """
    path = Path(run) / FILE
    if not path.is_file():
        return []
    expected = 'the tags of a run: {"tags": [{"video", "kind", "label", "segment", "tag", "note"}]}'
    content = read_json(path, expected)
    tags = content.get("tags") if isinstance(content, dict) else None
    if not isinstance(tags, list) or not all(map(is_tag, tags)):
        raise EvaluationError(f"{path}: expected {expected}, kind one of {', '.join(KINDS)}, tag one of "
                              f"{', '.join(TAGS)}. Correct the file, or move it away to begin anew.")  # fmt: skip
    return [{**tag, "note": str(tag.get("note", ""))} for tag in tags]


def is_tag(value: object) -> bool:
    """Return whether a value of a JSON file says all that a tag has to."""
    if not isinstance(value, dict) or value.get("kind") not in KINDS or value.get("tag") not in TAGS:
        return False
    segment = value.get("segment")
    return (all(isinstance(value.get(key), str) for key in ("video", "label")) and isinstance(segment, list)
            and len(segment) == 2 and all(isinstance(time, Number) for time in segment))  # fmt: skip


def find_tagged(tags: Sequence[dict], truth: Records, predictions: Records) -> list[int | None]:
    """Return the place of each tag's segment in its video's list of truth or predictions; None where it is gone.

    It is the nearest one with the tag's label, both ends within `NEAR_S` seconds; no segment is that of two tags.
    """
    records, asked = {"truth": truth, "prediction": predictions}, defaultdict(list)
    for number, tag in enumerate(tags):
        asked[tag["kind"], tag["video"]].append(number)
    found: list[int | None] = [None] * len(tags)
    for (kind, video), numbers in asked.items():
        rows = records[kind].get(video, [])
        pairs = [(distance, number, i) for i, row in enumerate(rows) for number in numbers
                 if row["label"] == tags[number]["label"]
                 and (distance := _distance_s(row["segment"], tags[number]["segment"])) <= NEAR_S]  # fmt: skip
        taken: set[int] = set()
        for _, number, i in sorted(pairs):
            if found[number] is None and i not in taken:
                found[number] = i
                taken.add(i)
    return found


def _distance_s(segment: Sequence[Number], other: Sequence[Number]) -> float:
    """Return how far the farther of the two ends lies, in seconds."""
    return float(max(abs(a - b) for a, b in zip(segment, other, strict=True)))


def evaluate_without(
    truth: Records, predictions: Records, tags: Sequence[dict], tiou: Sequence[Number] = (0.3, 0.4, 0.5, 0.6, 0.7),
    protocol: str = "activitynet", which: Sequence[str] = ("ambiguous",),
) -> dict:  # fmt: skip
    """Return two evaluations: of everything, and without the segments that have one of the tags `which`.

    Tagged ground truth is not to be found, and wrong predictions that touch it are forgiven, as THUMOS-14's toolkit
    does with "Ambiguous" ones, whatever the protocol; tagged predictions are taken out. {"all", "without": as
    `Evaluation.to_dict`; "tags": `which`; "num_truth", "num_predictions": segments taken out; "num_forgiven":
    predictions that are forgiven at one threshold at least, because of the tags; "classes": those left without an
    instance; "num_gone": such tags whose segment is not there}.

    Raises EvaluationError for an unknown tag, and where no instance would be left.
    """
    if strange := {*which} - {*TAGS}:
        raise EvaluationError(f"tags {', '.join(map(repr, sorted(strange)))}: expected some of {', '.join(TAGS)}")
    chosen = [tag for tag in tags if tag["tag"] in which]
    found = find_tagged(chosen, truth, predictions)
    out = {kind: {(tag["video"], i) for tag, i in zip(chosen, found, strict=True) if tag["kind"] == kind
                  and i is not None} for kind in KINDS}  # fmt: skip
    kept_truth = _mark(truth, out["truth"], protocol)
    kept = {v: [row for i, row in enumerate(rows) if (v, i) not in out["prediction"]]
            for v, rows in predictions.items()}
    if not count_instances(kept_truth):
        raise EvaluationError(f"all {count_instances(truth)} instances are tagged {' or '.join(which)}: nothing is "
                              "left to measure. Take the tag from some of them.")  # fmt: skip
    every = evaluate(truth, predictions, tiou, protocol)
    without = evaluate(kept_truth, kept, tiou, protocol, forgive=True)
    forgiven = _count_forgiven(kept_truth, kept, every, True) - _count_forgiven(truth, kept, every, False)
    return {
        "all": every.to_dict(),
        "without": without.to_dict(),
        "tags": list(which),
        "num_truth": len(out["truth"]),
        "num_predictions": len(out["prediction"]),
        "num_forgiven": forgiven,
        "classes": sorted(every.per_class.keys() - without.per_class.keys()),
        "num_gone": found.count(None),
    }


def _mark(truth: Records, tagged: set[tuple[str, int]], protocol: str) -> Records:
    """Return the truth with the tagged instances marked as ambiguous, and what repeats them left out.

    Instances that were ambiguous before are left out where the protocol does not forgive what touches them.
    """
    forgives, marked = find_protocol(protocol).forgive, {}
    for video, rows in truth.items():
        of_tag = [rows[i] for v, i in tagged if v == video]
        marked[video] = [{**row, "ambiguous": True} if (video, i) in tagged else row for i, row in enumerate(rows)
                         if (video, i) in tagged or not (row.get("ambiguous") and not forgives) and not any(
                             row["label"] == r["label"] and _distance_s(row["segment"], r["segment"]) <= SAME_S
                             for r in of_tag)]  # fmt: skip
    return marked


def _count_forgiven(truth: Records, predictions: Records, found: Evaluation, forgive: bool) -> int:
    """Count the predictions that are forgiven at one threshold at least."""
    classes = match_classes(truth, predictions, found.tiou, found.protocol, forgive=forgive)
    return sum(int(np.any(matches.matched == FORGIVEN, axis=0).sum()) for matches in classes.values())
