"""Overlap of two segments in plain Python, to compare fast code with."""


def slow_tiou(a, b):
    """tIoU of two (start, end); 0 where both have no length."""
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0
