"""How quick the parts around the network are, as ratios inside one run: mAP, soft-NMS, decoding, extraction.

Each pair is measured in turns, so that a machine that slows down slows both. The plain loops that serve as
yardsticks are here too; the tests use them as oracles.
"""

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from losa.evaluate import Records, evaluate
from losa.segments import soft_nms

Number = int | float


def interleaved(functions: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Median seconds of each function over so many rounds, in each of which all are called in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


# --- mAP --------------------------------------------------------------------------------------------------


def plain_map(truth: Records, predictions: Records, tiou: Sequence[Number]) -> dict[str, list[float]]:
    """label -> AP per threshold by ActivityNet's rules, one class, one prediction, one ground truth at a time."""
    labels = sorted({r["label"] for items in truth.values() for r in items})
    return {label: [plain_ap(truth, predictions, label, threshold) for threshold in tiou] for label in labels}


def plain_ap(truth: Records, predictions: Records, label: str, threshold: Number) -> float:
    """AP of one class at one threshold; see `plain_map`."""
    wanted = {v: [r["segment"] for r in items if r["label"] == label] for v, items in truth.items()}
    listed = [(r["score"], v, r["segment"]) for v, items in predictions.items() for r in items if r["label"] == label]
    taken, right = set(), []
    for i in np.array([score for score, _, _ in listed], dtype=float).argsort()[::-1]:
        _, video, (start, end) = listed[i]
        best, best_tiou = None, threshold
        for j, (s, e) in enumerate(wanted.get(video, [])):
            inter = max(0.0, min(e, end) - max(s, start))
            union = (e - s) + (end - start) - inter
            value = inter / union if union > 0 else float("inf")
            if (video, j) not in taken and value >= best_tiou and (best is None or value > best_tiou):
                best, best_tiou = (video, j), value
        taken.add(best)
        right.append(best is not None)
    area, found, best_precision = 0.0, sum(right), 0.0
    for seen in range(len(right), 0, -1):
        best_precision = max(best_precision, found / seen)
        if right[seen - 1]:
            area, found = area + best_precision, found - 1
    return area / sum(map(len, wanted.values()))


def map_speed(truth: Records | None = None, predictions: Records | None = None,
              tiou: Sequence[Number] = (0.3, 0.4, 0.5, 0.6, 0.7), repeats: int = 3) -> dict:
    """Seconds of `evaluate` and of `plain_map`, their ratio, and how far their numbers are apart."""
    if truth is None or predictions is None:
        truth, predictions = random_detections(200, 16, 150)
    found = {}
    seconds = interleaved({
        "evaluate": lambda: found.update(ours=evaluate(truth, predictions, tiou).per_class),
        "plain": lambda: found.update(plain=plain_map(truth, predictions, tiou)),
    }, repeats)  # fmt: skip
    apart = max(abs(a - b) for label, aps in found["plain"].items()
                for a, b in zip(aps, found["ours"][label], strict=True))  # fmt: skip
    return {"num_predictions": sum(map(len, predictions.values())), "num_thresholds": len(tiou),
            "seconds": round(seconds["evaluate"], 4), "plain_seconds": round(seconds["plain"], 3),
            "times_faster": round(seconds["plain"] / seconds["evaluate"], 1), "largest_difference": apart}  # fmt: skip


def random_detections(num_videos: int, num_truth: int, num_predictions: int, num_classes: int = 20,
                      seed: int = 0) -> tuple[Records, Records]:
    """Truth and predictions of so many videos, each mostly of one class, made up."""
    rng, truth, predictions = np.random.default_rng(seed), {}, {}
    for v in range(num_videos):
        labels = rng.choice(num_classes, 2)
        for records, num, scored in ((truth, num_truth, False), (predictions, num_predictions, True)):
            start, length = rng.uniform(0, 200, num), rng.uniform(0.5, 12, num)
            label, score = labels[(rng.random(num) > 0.9).astype(int)], rng.random(num)
            records[f"video_{v:05d}"] = [
                {"segment": [s, s + n], "label": f"class_{a:02d}"} | ({"score": x} if scored else {})
                for s, n, a, x in zip(*(x.tolist() for x in (start, length, label, score)), strict=True)
            ]  # fmt: skip
    return truth, predictions


# --- soft-NMS ---------------------------------------------------------------------------------------------


def nms_speed(num_classes: int = 20, num_candidates: int = 2000, repeats: int = 3) -> dict:
    """Seconds of soft-NMS on one thread, keeping 200 and all candidates of each class.

    Candidates lie far apart, the slowest case: nothing is suppressed away early.
    """
    threads, generator = torch.get_num_threads(), torch.Generator().manual_seed(0)
    start = torch.rand(num_classes * num_candidates, generator=generator) * 1e5
    candidates = (torch.stack([start, start + 0.1 + torch.rand(len(start), generator=generator) * 10], dim=1),
                  torch.rand(len(start), generator=generator) * 0.99 + 0.01,
                  torch.arange(len(start)) % num_classes)  # fmt: skip
    kept = {str(n): n * num_classes for n in (min(200, num_candidates), num_candidates)}
    torch.set_num_threads(1)
    try:
        seconds = interleaved({n: lambda k=k: soft_nms(*candidates, max_segments=k) for n, k in kept.items()}, repeats)
    finally:
        torch.set_num_threads(threads)
    return {"num_classes": num_classes, "num_candidates": num_candidates,
            "seconds_by_kept_per_class": {n: round(s, 4) for n, s in seconds.items()}}  # fmt: skip
