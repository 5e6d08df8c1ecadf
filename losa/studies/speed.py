"""Measure the speed of the parts around the network: mAP, soft-NMS, decoding, extraction (`losa bench speed`).

Each is compared with a plain loop in turns, so that a machine that slows down slows both. The tests use the plain loops
as oracles.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from losa.errors import CacheError, EvaluationError
from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import Records, read_ground_truth, read_predictions
from losa.inference.nms import soft_nms

Number = int | float


def interleaved(functions: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Return the median seconds of each function over `repeats` rounds; each round calls all of them in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


# --- mAP --------------------------------------------------------------------------------------------------


def plain_map(truth: Records, predictions: Records, tiou: Sequence[Number]) -> dict[str, list[float]]:
    """Return {label: AP per threshold} by ActivityNet's rules, computed in plain loops."""
    labels = sorted({r["label"] for items in truth.values() for r in items})
    return {label: [plain_ap(truth, predictions, label, threshold) for threshold in tiou] for label in labels}


def plain_ap(truth: Records, predictions: Records, label: str, threshold: Number) -> float:
    """Return the AP of one class at one tIoU threshold; see `plain_map`."""
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
    area, num_right, best_precision = 0.0, sum(right), 0.0
    for seen in range(len(right), 0, -1):
        best_precision = max(best_precision, num_right / seen)
        if right[seen - 1]:
            area, num_right = area + best_precision, num_right - 1
    return area / sum(map(len, wanted.values()))


def map_speed(truth: Records | None = None, predictions: Records | None = None,
              tiou: Sequence[Number] = (0.3, 0.4, 0.5, 0.6, 0.7), repeats: int = 3) -> dict:
    """Return the seconds of `evaluate` and `plain_map`, their ratio, and the largest difference of their APs."""
    if truth is None or predictions is None:
        truth, predictions = random_detections(200, 16, 150)
    aps = {}
    seconds = interleaved({
        "evaluate": lambda: aps.update(evaluate=evaluate(truth, predictions, tiou).per_class),
        "plain": lambda: aps.update(plain=plain_map(truth, predictions, tiou)),
    }, repeats)  # fmt: skip
    apart = max(abs(a - b) for label, plain in aps["plain"].items()
                for a, b in zip(plain, aps["evaluate"][label], strict=True))  # fmt: skip
    return {"num_predictions": sum(map(len, predictions.values())), "num_thresholds": len(tiou),
            "seconds": round(seconds["evaluate"], 4), "plain_seconds": round(seconds["plain"], 3),
            "times_faster": round(seconds["plain"] / seconds["evaluate"], 1), "largest_difference": apart}  # fmt: skip


def random_detections(num_videos: int, num_truth: int, num_predictions: int, num_classes: int = 20,
                      seed: int = 0) -> tuple[Records, Records]:
    """Return made-up ground truth and predictions; most actions of a video are of one class."""
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
    """Return the seconds of soft-NMS on one thread, keeping 200 and all candidates of each class.

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


# --- decoding and extraction ------------------------------------------------------------------------------


def decode_speed(path: str | Path, num_windows: int = 8, window_frames: int = 64, repeats: int = 5) -> dict:
    """Compare reading random windows of a video with `losa.video.reader.Reader` and with plain decord.

    Both open the file once a round and read the same frames on one thread.
    """
    from losa.video.reader import Reader

    first = Reader(path)
    num, backend = min(window_frames, first.num_frames), first.backend
    import decord  # after ours, which sets how long it may wait

    starts = np.random.default_rng(0).integers(0, first.num_frames - num + 1, num_windows)
    windows = [np.arange(start, start + num) for start in starts.tolist()]

    def ours() -> None:
        reader = Reader(path)
        for window in windows:
            reader.read(window)

    def plain() -> None:
        reader = decord.VideoReader(str(path), num_threads=1)
        for window in windows:
            reader.get_batch(window).asnumpy()

    seconds = interleaved({"ours": ours, "plain": plain}, repeats)
    return {"file": Path(path).name, "backend": backend, "num_frames": num * num_windows,
            "frames_per_second": round(num * num_windows / seconds["ours"]),
            "plain_frames_per_second": round(num * num_windows / seconds["plain"]),
            "times_slower": round(seconds["ours"] / seconds["plain"], 3)}  # fmt: skip


def extraction_share(path: str | Path, backbone: str = "gap", weights: str = "", input_size: int | None = None,
                     num_workers: int = 1) -> dict:
    """Return the shares of an extraction's time in the backbone and waiting for decoded frames, on one video.

    Raises CacheError where nothing could be extracted.
    """
    from losa.annotations.dataset import Video
    from losa.backbones.load import load_backbone
    from losa.config import Config
    from losa.machine import best_device
    from losa.taps.cache_key import TapRecipe
    from losa.taps.cached import CachedTaps
    from losa.taps.extract import extract
    from losa.taps.live import LiveTaps
    from losa.video.probe import probe

    info = probe(path)
    video = Video(Path(path).stem, "all", Path(path), 0.0, info.duration, np.zeros((0, 2)), np.zeros(0, np.int64))
    config = Config.make(backbone=backbone, weights=weights, input_size=input_size)
    network = load_backbone(backbone, weights or None, input_size).to(best_device())
    recipe = TapRecipe.make(config, network)
    with tempfile.TemporaryDirectory() as folder:
        cache = CachedTaps(folder, recipe)
        done = extract(cache, LiveTaps(network, recipe), [video], num_workers=num_workers, quiet=True)
    if done.failed:
        raise CacheError(f"{path}: nothing could be extracted ({'; '.join(done.failed.values())})")
    return {"file": Path(path).name, "backbone": backbone, "device": best_device(), "num_workers": num_workers,
            "num_frames": done.num_frames, "frames_per_second": round(done.num_frames / done.seconds, 1),
            "share_in_backbone": round(done.computing, 3),
            "share_waiting_for_frames": round(done.waiting, 3)}  # fmt: skip


# --- all of it --------------------------------------------------------------------------------------------


def speed(predictions: str | Path | None = None, ground_truth: str | Path | None = None, subset: str = "Test",
          video: str | Path | None = None) -> dict:
    """Return all measurements of this file, on made-up detections and a rendered video where none are given.

    Raises EvaluationError where only one of predictions and ground truth is given.
    """
    if (predictions is None) != (ground_truth is None):
        raise EvaluationError("give both predictions and their ground truth, or neither")
    records = (read_ground_truth(ground_truth, subset), read_predictions(predictions)) if predictions else (None, None)
    with tempfile.TemporaryDirectory() as folder:
        if video is None:
            from losa.world.render import make_world

            make_world(folder, (0, 0, 1), num_workers=1)
            video = next((Path(folder) / "videos").glob("*.mp4"))
        decoding, extraction = decode_speed(video), extraction_share(video)
    return {"map": map_speed(*records), "nms": nms_speed(), "decode": decoding, "extraction": extraction}


def speed_table(measured: dict) -> str:
    """Return what `speed` measured as text, a line each."""
    m, n, d, e = (measured[name] for name in ("map", "nms", "decode", "extraction"))
    kept = ", ".join(f"{s:.3f} s keeping {k}" for k, s in n["seconds_by_kept_per_class"].items())
    return (
        f"mAP         {m['seconds']:.3f} s, plain loop {m['plain_seconds']:.2f} s: {m['times_faster']} times faster "
        f"({m['num_predictions']:,} predictions, {m['num_thresholds']} thresholds)\n"
        f"soft-NMS    {n['num_classes']} classes x {n['num_candidates']:,}: {kept} per class, one thread\n"
        f"decode      {d['frames_per_second']:,} frames/s ({d['backend']}), plain decord "
        f"{d['plain_frames_per_second']:,}: {d['times_slower']:.2f} times its time ({d['file']})\n"
        f"extraction  {e['frames_per_second']:,} frames/s, {e['share_in_backbone']:.0%} of the time in the backbone, "
        f"{e['share_waiting_for_frames']:.0%} waiting for frames ({e['backbone']} on {e['device']})"
    )
