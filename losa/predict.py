"""From a trained model to segments in seconds: windows -> head -> candidates -> soft-NMS -> records.

Videos of any length: overlapping windows are run, and each point is answered by the window in whose middle it
lies, so no candidate is counted twice and none is cut by a window's edge.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from losa.annotations.dataset import Annotations, Video
from losa.classifier import fuse, read_scores
from losa.config import Config
from losa.model.losa import LoSA
from losa.model.points import decode, points
from losa.segments import Grid, soft_nms, to_records, vote
from losa.taps.batch import padded, rounded

BATCH_WINDOWS = 8  # run together, at most
BATCH_NUMBERS = 2**24  # of features in them, at most, where more than one window runs


class Raw(NamedTuple):
    """Candidates of one video before suppression, best first; segments in seconds."""

    segments: Float[Tensor, "M 2"]
    scores: Float[Tensor, " M"]
    labels: Int[Tensor, " M"]


def window_spans(total: int, window: int, overlap: float, align: int = 1) -> list[tuple[int, int, float, float]]:
    """(start, stop, first, last) per window: its snippets and the range of positions it answers for.

    align: windows start at multiples of so many snippets.
    """
    if total <= window:
        return [(0, total, -np.inf, np.inf)]
    step = max(align, round(window * (1 - overlap)) // align * align)
    starts = [*range(0, total - window, step), -(-(total - window) // align) * align]
    borders = [(a + window + b) / 2 for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return [(s, min(s + window, total), low, high)
            for s, low, high in zip(starts, [-np.inf, *borders], [*borders, np.inf], strict=True)]


class Window(NamedTuple):
    """One window of a video: its first snippet, the positions it answers for, and its features."""

    video: Video
    grid: Grid
    start: int
    first: float
    last: float
    features: tuple[Tensor, Tensor]


def predict_video(model: LoSA, source, video: Video, config: Config) -> Raw:
    """Candidates of one video: the best `config.pre_nms_topk` (per level and window with `config.topk_per_level`).

    The model must be in eval mode. Segments are clipped to the video.
    """
    return predict(model, source, [video], config, quiet=True)[video.id]


def predict(model: LoSA, source, videos: Sequence[Video], config: Config, quiet: bool = False) -> dict[str, Raw]:
    """Candidates of every video as in `predict_video`, with a progress bar.

    Windows that get the same padded length run together, so that each is computed as it would be alone.
    """
    found, waiting = {video.id: [] for video in videos}, {}
    for video in tqdm(videos, desc="predict", unit="video", leave=False, disable=quiet):
        for window in windows_of(source, video, config):
            batch = waiting.setdefault(rounded(window.features[1].shape[1]), [])
            batch.append(window)
            size = max(1, BATCH_NUMBERS // sum(x.numel() for x in window.features))
            if len(batch) >= min(size, BATCH_WINDOWS):
                answer(model, waiting.pop(rounded(window.features[1].shape[1])), config, found)
    for batch in waiting.values():
        answer(model, batch, config, found)
    return {video.id: best_of(found[video.id], video, config) for video in videos}


@torch.no_grad()
def windows_of(source, video: Video, config: Config) -> Iterator[Window]:
    """The windows of a video with their features, one after the other."""
    align = source.recipe.clip_length // source.recipe.tubelet if config.short_scope == "clip" else 1
    for start, stop, first, last in window_spans(source.num_snippets(video), config.window, config.window_overlap,
                                                 align):
        features = source.features(source.fetch(video, start, stop))
        yield Window(video, source.time_grid(video), start, first, last, features)


@torch.no_grad()
def answer(model: LoSA, windows: Sequence[Window], config: Config, found: dict[str, list]) -> None:
    """Appends to its video's list in `found` each window's (start, segments in seconds, scores, labels)."""
    device = next(model.parameters()).device
    taps, last, mask = padded([window.features for window in windows], device)
    output = model(taps, last, mask)
    where = points(mask.shape[1], config.head_levels, device)
    for i, window in enumerate(windows):
        at, grid = where.positions_grid + window.start, window.grid
        here = output.point_mask[i] & (at >= window.first) & (at < window.last)
        hits = decode(output.logits[i], output.offsets[i], here, where, min_score=config.pre_nms_score,
                      top_k=config.pre_nms_topk, per_level=config.topk_per_level, min_length_grid=config.min_length,
                      limits_grid=tuple(grid.to_grid(e) - window.start for e in (0.0, float(window.video.duration))))
        seconds = grid.to_seconds(hits.segments_grid + window.start)
        found[window.video.id].append((window.start, seconds.cpu(), hits.scores.cpu(), hits.labels.cpu()))


def best_of(answers: list[tuple], video: Video, config: Config) -> Raw:
    """The candidates of all windows of a video, best first."""
    segments, scores, labels = (torch.cat(parts) for parts in zip(*(
        answer[1:] for answer in sorted(answers, key=lambda answer: answer[0])), strict=True))
    segments = segments.clamp(0, video.duration)
    best = scores.argsort(descending=True, stable=True)
    best = best[segments[best, 1] > segments[best, 0]][:None if config.topk_per_level else config.pre_nms_topk]
    return Raw(segments[best], scores[best], labels[best])


@torch.no_grad()
def video_gates(model: LoSA, source, video: Video) -> Float[Tensor, "K R T"] | None:
    """How far each gate is open (taps x ranges x snippets) over a whole video; None for a fusion without gates."""
    tapped, last = (x[None].to(next(model.parameters()).device)
                    for x in source.features(source.fetch(video, 0, source.num_snippets(video))))
    gates = model.features(tapped, last, torch.ones(1, last.shape[2], dtype=torch.bool, device=last.device))[1]
    return None if gates is None else gates[0].cpu()


def suppress(raw: dict[str, Raw], config: Config, classes: Sequence[str],
             named: Sequence[str] = ()) -> dict[str, list[dict]]:
    """Records per video after soft-NMS, voting and fusion with an external classifier, best first.

    named: the classes of the data, which are all that the classifier may name.
    """
    records = {}
    for video_id, candidates in raw.items():
        kept = Raw(*soft_nms(*candidates, sigma=config.nms_sigma, min_score=config.min_score,
                             max_segments=config.max_segments, class_wise=config.class_wise_nms))
        if config.voting:
            kept = kept._replace(segments=voted(kept, candidates, config))
        records[video_id] = to_records(*kept, classes)
    if not config.classifier:
        return records
    return fuse(records, read_scores(config.classifier, named), config.classifier_topk, config.classifier_fusion)


def voted(kept: Raw, candidates: Raw, config: Config) -> Float[Tensor, "K 2"]:
    """The kept segments moved by the votes of all candidates, of their own class with `config.class_wise_nms`."""
    segments = kept.segments.clone()
    for label in kept.labels.unique() if config.class_wise_nms else [None]:
        mine, theirs = (slice(None) if label is None else r.labels == label for r in (kept, candidates))
        segments[mine] = vote(kept.segments[mine], candidates.segments[theirs], candidates.scores[theirs],
                              tiou=config.voting, use_tiou=config.voting_weight == "score_tiou")
    return segments


def seen_by(config: Config, annotations: Annotations) -> Annotations:
    """The annotations as the model learns them: with `config.class_agnostic` every label is "action"."""
    if not config.class_agnostic:
        return annotations
    return Annotations(("action",), tuple(replace(v, labels=np.zeros_like(v.labels)) for v in annotations.videos))


def judged_by(config: Config, annotations: Annotations) -> Annotations:
    """The annotations that predictions are compared with: all classes as soon as a classifier names them."""
    return annotations if config.classifier else seen_by(config, annotations)


def truth_of(videos: Sequence[Video], classes: Sequence[str]) -> dict[str, list[dict]]:
    """The videos' ground truth as the records that `evaluate` compares with."""
    return {v.id: [{"segment": s, "label": classes[a]} for s, a in zip(v.segments.tolist(), v.labels, strict=True)]
            for v in videos}


def save_raw(path: str | Path, raw: dict[str, Raw], classes: Sequence[str]) -> Path:
    """Writes all candidates as arrays (`video` indexes `videos`, `label` indexes `classes`), atomically."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    counts = [len(r.scores) for r in raw.values()]
    np.savez_compressed(
        temporary, videos=np.array(list(raw), dtype=str), classes=np.array(classes, dtype=str),
        video=np.repeat(np.arange(len(raw)), counts).astype(np.int32),
        segments=np.concatenate([r.segments.numpy() for r in raw.values()]).astype(np.float32),
        scores=np.concatenate([r.scores.numpy() for r in raw.values()]).astype(np.float32),
        labels=np.concatenate([r.labels.numpy() for r in raw.values()]).astype(np.int32))
    os.replace(temporary, path)
    return path


def load_raw(path: str | Path) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """(candidates per video, classes) as `save_raw` wrote them."""
    with np.load(path) as stored:
        data = {name: stored[name] for name in stored.files}
    chosen = {str(name): data["video"] == i for i, name in enumerate(data["videos"])}
    raw = {name: Raw(torch.from_numpy(data["segments"][rows]), torch.from_numpy(data["scores"][rows]),
                     torch.from_numpy(data["labels"][rows]).long()) for name, rows in chosen.items()}
    return raw, tuple(map(str, data["classes"]))
