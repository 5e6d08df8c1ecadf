"""Predict with a trained model: windows of a video -> head -> candidates in seconds (`postprocess` goes on from there).

Videos may have any length: overlapping windows are run, and each point is taken from the window in whose middle it
lies, so no candidate is counted twice and none is cut by a window's edge.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from losa.annotations.dataset import Video
from losa.config import Config
from losa.inference.candidates import Raw
from losa.model.losa import LoSA
from losa.model.points import decode, points
from losa.segments import Grid
from losa.taps.batch import padded, rounded
from losa.taps.source import FeatureSource

BATCH_WINDOWS = 8  # run together, at most
BATCH_NUMBERS = 2**24  # of features in them, at most, where more than one window runs


def window_spans(total: int, window: int, overlap: float, align: int = 1) -> list[tuple[int, int, float, float]]:
    """Return (start, stop, first, last) per window: its snippets and the range of positions it is responsible for.

    align: windows start at multiples of this many snippets.
    """
    if total <= window:
        return [(0, total, -np.inf, np.inf)]
    step = max(align, round(window * (1 - overlap)) // align * align)
    starts = [*range(0, total - window, step), -(-(total - window) // align) * align]
    borders = [(a + window + b) / 2 for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return [(s, min(s + window, total), low, high)
            for s, low, high in zip(starts, [-np.inf, *borders], [*borders, np.inf], strict=True)]


class Window(NamedTuple):
    """One window of a video: its first snippet, the range of positions it is responsible for, and its features."""

    video: Video
    grid: Grid
    start: int
    first: float
    last: float
    features: tuple[Tensor, Tensor]


def predict_video(model: LoSA, source: FeatureSource, video: Video, config: Config) -> Raw:
    """Return one video's candidates: the best `config.pre_nms_topk`, per level and window with `topk_per_level`.

    The model must be in eval mode. Segments are clipped to the video.
    """
    return predict(model, source, [video], config, quiet=True)[video.id]


def predict(model: LoSA, source: FeatureSource, videos: Sequence[Video], config: Config,
            quiet: bool = False) -> dict[str, Raw]:
    """Return the candidates of every video as `predict_video` does, with a progress bar.

    Windows that get the same padded length run together, so that each is computed as it would be alone.
    """
    candidates, waiting = {video.id: [] for video in videos}, {}  # waiting: windows by padded length
    for video in tqdm(videos, desc="predict", unit="video", leave=False, disable=quiet):
        for window in read_windows(source, video, config):
            batch = waiting.setdefault(rounded(window.features[1].shape[1]), [])
            batch.append(window)
            size = max(1, BATCH_NUMBERS // sum(x.numel() for x in window.features))
            if len(batch) >= min(size, BATCH_WINDOWS):
                predict_windows(model, waiting.pop(rounded(window.features[1].shape[1])), config, candidates)
    for batch in waiting.values():
        predict_windows(model, batch, config, candidates)
    return {video.id: join_windows(candidates[video.id], video, config) for video in videos}


@torch.no_grad()
def read_windows(source: FeatureSource, video: Video, config: Config) -> Iterator[Window]:
    """Yield the windows of a video with their features, one after the other."""
    align = source.recipe.clip_length // source.recipe.tubelet if config.short_scope == "clip" else 1
    for start, stop, first, last in window_spans(source.num_snippets(video), config.window, config.window_overlap,
                                                 align):
        features = source.features(source.fetch(video, start, stop))
        yield Window(video, source.time_grid(video), start, first, last, features)


@torch.no_grad()
def predict_windows(model: LoSA, windows: Sequence[Window], config: Config, candidates: dict[str, list]) -> None:
    """Run windows together; append each one's (start, segments in seconds, scores, labels) to its video's list."""
    device = next(model.parameters()).device
    taps, last, mask = padded([window.features for window in windows], device)
    output = model(taps, last, mask)
    pyramid = points(mask.shape[1], config.head_levels, device)
    for i, window in enumerate(windows):
        at, grid = pyramid.positions_grid + window.start, window.grid
        own = output.point_mask[i] & (at >= window.first) & (at < window.last)
        decoded = decode(output.logits[i], output.offsets[i], own, pyramid, min_score=config.pre_nms_score,
                         top_k=config.pre_nms_topk, per_level=config.topk_per_level, min_length_grid=config.min_length,
                         limits_grid=tuple(grid.to_grid(edge) - window.start
                                           for edge in (0.0, float(window.video.duration))))
        seconds = grid.to_seconds(decoded.segments_grid + window.start)
        candidates[window.video.id].append((window.start, seconds.cpu(), decoded.scores.cpu(), decoded.labels.cpu()))


def join_windows(parts_of_windows: list[tuple], video: Video, config: Config) -> Raw:
    """Return the candidates of all windows of a video, best first."""
    segments, scores, labels = (torch.cat(parts) for parts in zip(*(
        window[1:] for window in sorted(parts_of_windows, key=lambda window: window[0])), strict=True))
    segments = segments.clamp(0, video.duration)
    best = scores.argsort(descending=True, stable=True)
    best = best[segments[best, 1] > segments[best, 0]][:None if config.topk_per_level else config.pre_nms_topk]
    return Raw(segments[best], scores[best], labels[best])


@torch.no_grad()
def video_gates(model: LoSA, source: FeatureSource, video: Video) -> Float[Tensor, "K R T"] | None:
    """Return the gates of each tap and range at each snippet of a whole video; None for a fusion without gates."""
    tapped, last = (x[None].to(next(model.parameters()).device)
                    for x in source.features(source.fetch(video, 0, source.num_snippets(video))))
    gates = model.features(tapped, last, torch.ones(1, last.shape[2], dtype=torch.bool, device=last.device))[1]
    return None if gates is None else gates[0].cpu()
