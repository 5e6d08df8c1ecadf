"""Ground truth and predictions that agree, twelve instances in three videos, and ways to write them otherwise."""

import json

from losa.evaluation.mismatches import find_mismatches
from losa.evaluation.records import Truth

ROWS = [
    ("clip_0000", "throw", 1.1667, 2.3333), ("clip_0000", "jump", 8.75, 9.5),
    ("clip_0000", "throw", 16.8333, 18.0), ("clip_0000", "catch", 22.4167, 23.6667),
    ("clip_0001", "jump", 4.9167, 6.0), ("clip_0001", "jump", 11.3333, 12.6667),
    ("clip_0001", "bounce", 15.25, 20.25), ("clip_0001", "bounce", 25.25, 29.4167),
    ("clip_0002", "wave", 5.1667, 8.1667), ("clip_0002", "jump", 10.25, 11.3333),
    ("clip_0002", "throw", 14.5, 15.4167), ("clip_0002", "bounce", 16.75, 20.9167),
]  # fmt: skip
DURATIONS = {"clip_0000": 45.0833, "clip_0001": 54.75, "clip_0002": 45.3333}
CLASSES = ("bounce", "catch", "jump", "throw", "wave")


def truth_content(**video):
    """ActivityNet's layout; further keys of every video, None leaves one out."""
    facts = {"subset": "test", "fps": 12, **video}
    return {"database": {v: {**{k: value for k, value in facts.items() if value is not None}, "duration": duration,
                             "annotations": [{"label": label, "segment": [start, end]}
                                             for name, label, start, end in ROWS if name == v]}
                         for v, duration in DURATIONS.items()}}


def results(change=lambda video, record: (video, record)):
    """{video: [record]} with one score higher than the next, each changed by `change(video, record)`."""
    found = {}
    for i, (name, label, start, end) in enumerate(ROWS):
        video, record = change(name, {"label": label, "segment": [start, end], "score": 0.95 - 0.01 * i})
        found.setdefault(video, []).append(record)
    return found


def write(path, content):
    """Write text, or JSON, and return the path."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


RECORDS = {v: [{"label": label, "segment": [start, end]} for name, label, start, end in ROWS if name == v]
           for v in DURATIONS}  # fmt: skip
TRUTH = Truth(RECORDS, "test", DURATIONS, dict.fromkeys(DURATIONS, 12.0), CLASSES, dict.fromkeys(DURATIONS, "test"))


def found(predictions, truth=TRUTH):
    """{kind: mismatch} of predictions."""
    return {m.kind: m for m in find_mismatches(truth, predictions)}


def relabelled(names):
    """Predictions that fit, with `names(label)` as label."""
    return results(lambda v, r: (v, {**r, "label": names(r["label"])}))


def scaled(scale, duration=None):
    """Predictions that fit, with times multiplied; as shares of the video with `duration`."""
    return results(lambda v, r: (v, {**r, "segment": [t * scale / (DURATIONS[v] if duration else 1)
                                                      for t in r["segment"]]}))
