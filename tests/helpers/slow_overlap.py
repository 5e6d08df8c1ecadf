"""Overlap and matching of segments in plain Python, to compare fast code with."""


def slow_tiou(a, b):
    """tIoU of two (start, end); 0 where both have no length."""
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


def match_greedily(truth, predictions, tiou=0.5):
    """For each prediction the index of the ground truth that it finds, None if it is wrong.

    In order of falling score, each takes the ground truth of its label with the highest tIoU among those not yet
    taken, if that is >= `tiou`.
    """
    matches, free = [None] * len(predictions), set(range(len(truth)))
    for i in sorted(range(len(predictions)), key=lambda i: -predictions[i].get("score", 1.0)):
        near = [(slow_tiou(predictions[i]["segment"], truth[j]["segment"]), -j) for j in free
                if truth[j]["label"] == predictions[i]["label"]]
        best, j = max(near, default=(0.0, 0))
        if near and best >= tiou:
            matches[i] = -j
            free.discard(-j)
    return matches
