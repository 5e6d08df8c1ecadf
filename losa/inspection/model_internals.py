"""Look inside a trained model on one video: its gates, and its features before and after fusion."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from losa.annotations.dataset import Video
from losa.evaluation.ap_by_score import counted
from losa.evaluation.average_precision import LENGTHS
from losa.inference.predict import Window, read_windows, video_gates
from losa.inspection.run_data import RunData
from losa.machine import best_device
from losa.model.adapt_and_fuse import run_adapters
from losa.model.adapters import spans
from losa.model.fusion import GatedFusion
from losa.taps.batch import padded
from losa.taps.source import FeatureSource


def look_inside(run: RunData, video: Video, source: FeatureSource | None = None) -> Iterator[dict]:
    """Yield what the model computes in each window of a video, at the n snippets that are predicted from this window.

    times (n,) in seconds; taps (K, C, n), averaged over space, and last (C, n), both standardised; adapted
    (K, R, C, n), the output of the adapters; gates (K, R, n) or None; fused (C, n). Tensors without gradient.
    source: of the features, by default the run's, which computes what it lacks.
    """
    source = source or run.source(video)
    for window in read_windows(source, video, run.config):
        at = window.start + torch.arange(window.features[1].shape[1])
        inner = ((at >= window.first) & (at < window.last)).nonzero()[:, 0]
        yield {"times": window.grid.to_seconds(at[inner].double())} | {
            name: None if x is None else x[0].cpu()[..., inner] for name, x in _inside(run, window).items()}


@torch.no_grad()
def _inside(run: RunData, window: Window) -> dict[str, Tensor | None]:
    """Return what the model computes in one window, with a batch dimension and padding."""
    model, (taps, last, mask) = run.model, padded([window.features], best_device())
    taps, last = model.standardise(taps, last)
    adapted = run_adapters(model.adapters, taps, last, mask)
    fused, gates = model.fusion(last, adapted, mask)
    if not len(model.adapters):  # no taps, but the config's ranges all the same
        adapted, gates = last.new_zeros(1, 0, len(spans(run.config.ranges)), *last.shape[1:]), None
    return {"taps": taps.mean((4, 5)), "last": last, "adapted": adapted, "gates": gates, "fused": fused}


def gates_view(run: RunData, video_id: str, profile: dict | None = None) -> dict:
    """Return the keywords of the Gates widget for one video: gates and norms, both (K, R, T).

    norms: the norm of an adapter's output divided by that of the standardised last layer, at each snippet. gates is
    None where the model has none. profile: `gate_profile` of the run, to be shown beside them.
    """
    video, windows = run.video(video_id), []
    for window in look_inside(run, video):
        norms = window["adapted"].norm(dim=2) / window["last"].norm(dim=0).clamp(min=1e-6)
        windows.append((window["times"], norms, window["gates"]))
    times, norms = (torch.cat([row[i] for row in windows], -1).numpy() for i in (0, 1))
    gates = None if windows[0][2] is None else torch.cat([row[2] for row in windows], -1).numpy()
    fusion = run.model.fusion
    return {"gates": gates, "norms": norms, "times": times, "layers": tapped_layers(run, video),
            "ranges": list(spans(run.config.ranges)), "duration": float(video.duration),
            "static": isinstance(fusion, GatedFusion) and fusion.kind != "sigmoid", "title": f"{run.name}: {video_id}",
            "profile": profile, "classes": list(run.classes), "lengths": list(LENGTHS)}


def tapped_layers(run: RunData, video: Video) -> list[int]:
    """Return the indices of the backbone's blocks that the model taps."""
    return list(getattr(run.source(video).recipe, "layers", ()))


def mean_gates(run: RunData, video_id: str) -> Float[np.ndarray, "K R"] | None:
    """Return how far each adapter's gate is open, averaged over a test video; None for a fusion without gates."""
    video = run.video(video_id)
    gates = video_gates(run.model, run.source(video), video)
    return None if gates is None or not len(run.model.adapters) else gates.mean(2).numpy()


def gate_profile(run: RunData, videos: Sequence[str] | None = None, progress: Callable | None = None) -> dict | None:
    """Return the mean gates and contributions by class and by length of the action; None for a model without gates.

    {"classes" (A), "lengths" (names of `LENGTHS`), "layers" (K), "ranges" (R), "by_class": {"gate" (A, K, R),
    "contribution" (A, K, R)}, "by_length": the same with lengths, "background": {"gate" (K, R), "contribution"},
    "snippets": {"by_class": [A], "by_length": [...], "background": [number]}}, as lists: means over the snippets
    inside such instances, None where there are none; contribution is |gate| x norm, see `gates_view`. videos: ids, by
    default all test videos. progress(done, total) is called after each.
    """
    names = {"by_class": list(run.classes), "by_length": list(LENGTHS), "background": [""]}
    sums, counts = {name: 0.0 for name in names}, {name: np.zeros(len(rows)) for name, rows in names.items()}
    chosen = list(videos or run.videos)
    for done, video_id in enumerate(chosen, start=1):
        view = gates_view(run, video_id)
        if view["gates"] is None:
            return None
        inside = _snippets_inside(run, video_id, view["times"])  # name -> (rows, T)
        values = np.stack([view["gates"], np.abs(view["gates"]) * view["norms"]]).astype(np.float64)
        for name, rows in inside.items():
            sums[name] = sums[name] + np.einsum("vkrt,at->vakr", values, rows)
            counts[name] += rows.sum(1)
        if progress is not None:
            progress(done, len(chosen))
    profile = {"classes": names["by_class"], "lengths": names["by_length"]} | {k: view[k] for k in ("layers", "ranges")}
    for name in names:
        gate, contribution = ([(row / count).tolist() if count else None for row, count in zip(rows, counts[name],
                              strict=True)] for rows in sums[name])
        profile[name] = {"gate": gate, "contribution": contribution}
    profile["background"] = {kind: rows[0] for kind, rows in profile["background"].items()}
    return profile | {"snippets": {name: count.astype(int).tolist() for name, count in counts.items()}}


def _snippets_inside(run: RunData, video_id: str, times: np.ndarray) -> dict[str, np.ndarray]:
    """Count the instances of each class and of each length at every snippet's centre, (rows, T); and background."""
    by_class, by_length = np.zeros((len(run.classes), len(times))), np.zeros((len(LENGTHS), len(times)))
    for record in counted(run.truth.get(video_id, []), run.config.protocol):
        start, end = record["segment"]
        inside, length = (times >= start) & (times < end), end - start
        if record["label"] in run.classes:
            by_class[run.classes.index(record["label"])] += inside
        by_length[sum(length > up_to for _, up_to in LENGTHS.values())] += inside
    return {"by_class": by_class, "by_length": by_length, "background": (by_length.sum(0) == 0)[None].astype(float)}


def features_view(run: RunData, video_id: str, num: int = 100) -> dict:
    """Return the keywords of the Features widget for one video, at `num` evenly spaced snippets at most.

    taps: for each tap, the last layer and the fused features, all standardised as in the model: {"name",
    "similarity" (N, N): (1 + cosine) / 2, "xy" (N, 2): the first two principal components, "explained": their shares
    of the variance}. labels (N): the ground truth's class at each snippet, "" for background.
    """
    video, parts = run.video(video_id), []
    total = run.source(video).num_snippets(video)
    chosen, begin = np.unique(np.linspace(0, total - 1, min(num, total)).round().astype(int)), 0
    for window in look_inside(run, video):
        count = len(window["times"])
        inner = chosen[(chosen >= begin) & (chosen < begin + count)] - begin
        begin += count
        features = torch.cat([window["taps"], window["last"][None], window["fused"][None]])
        parts.append((window["times"][inner], features[..., inner]))
    times, features = (torch.cat([part[i] for part in parts], -1).numpy() for i in (0, 1))  # (N,), (K + 2, C, N)
    names = [*(f"block {layer}" for layer in tapped_layers(run, video)), "last layer", "fused"]
    labels = [""] * len(times)
    instances = counted(run.truth.get(video_id, []), run.config.protocol)
    for record in sorted(instances, key=lambda r: r["segment"][0] - r["segment"][1]):
        for i in ((times >= record["segment"][0]) & (times < record["segment"][1])).nonzero()[0]:
            labels[i] = record["label"]
    return {"taps": [{"name": name, **_compare_rows(x.T)} for name, x in zip(names, features, strict=True)],
            "times": times, "labels": labels, "duration": float(video.duration), "classes": list(run.classes),
            "title": f"{run.name}: {video_id}"}


def _compare_rows(x: np.ndarray) -> dict:
    """Return the similarity of all rows of x (N, C), their first two principal components, and the explained shares."""
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
    u, s, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    xy = (u * s)[:, :2]
    xy = np.pad(xy, ((0, 0), (0, 2 - xy.shape[1])))  # of a single snippet
    xy = xy * np.where(xy[np.abs(xy).argmax(0), [0, 1]] < 0, -1, 1)  # the sign is free: the farthest is positive
    return {"similarity": (0.5 + 0.5 * (unit @ unit.T)).clip(0, 1), "xy": xy,
            "explained": (s[:2] ** 2 / max((s ** 2).sum(), 1e-12)).tolist()}
