"""The points of the feature pyramid: assign ground truth to them, compute losses, decode them into segments.

As in ActionFormer (`libs/modeling/meta_archs.py`, `losses.py`, `loc_generators.py`), in grid units: snippets, 0 is the
centre of the window's first one.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss


class Points(NamedTuple):
    """All points of a pyramid, level after level; P = sum over l of ceil(T / 2**l)."""

    positions_grid: Float[Tensor, " P"]
    strides: Float[Tensor, " P"]
    ranges_grid: Float[Tensor, "P 2"]  # the point owns segments whose longer side lies in here


class Targets(NamedTuple):
    """Training targets of each point: (P, ...) for one window, (B, P, ...) for a batch."""

    classes: Float[Tensor, "*batch P A"]  # multi-hot
    offsets: Float[Tensor, "*batch P 2"]  # in units of the point's stride; 0 where not positive
    positive: Bool[Tensor, "*batch P"]


class Detections(NamedTuple):
    """Scored segments in grid units, best first, before non-maximum suppression."""

    segments_grid: Float[Tensor, "M 2"]
    scores: Float[Tensor, " M"]
    labels: Int[Tensor, " M"]


def regression_ranges(num_levels: int) -> list[tuple[float, float]]:
    """Return each level's (shortest, longest) longer side in grid units: (0, 4), (4, 8), ..., (last, 1e4)."""
    edges = [0.0, *(4.0 * 2**level for level in range(num_levels - 1)), 1e4]
    return list(zip(edges[:-1], edges[1:], strict=True))


def points(num_snippets: int, num_levels: int, device: torch.device | str | None = None) -> Points:
    """Return the points of a window: at i x stride, without a half offset, strides 1, 2, 4, ...

    The tensors are kept for the next call and shared: change none of them.
    """
    return cached_points(num_snippets, num_levels, device)


@lru_cache(maxsize=64)
def cached_points(num_snippets: int, num_levels: int, device: torch.device | str | None) -> Points:
    """Compute what `points` returns, once for each window length."""
    positions, strides, ranges = [], [], []
    for level, level_range in enumerate(regression_ranges(num_levels)):
        at = torch.arange(0, num_snippets, 2**level, dtype=torch.float32, device=device)
        positions.append(at)
        strides.append(torch.full_like(at, 2**level))
        ranges.append(at.new_tensor(level_range).expand(len(at), 2))
    return Points(torch.cat(positions), torch.cat(strides), torch.cat(ranges))


def assign(
    points: Points,
    segments_grid: Float[Tensor, "M 2"],
    labels: Int[Tensor, " M"],
    num_classes: int,
    radius: float = 1.5,
) -> Targets:
    """Return the targets of one window's points, see `assign_batch`."""
    return Targets(*(part[0] for part in assign_batch(points, [segments_grid], [labels], num_classes, radius)))


@torch.no_grad()
def assign_batch(
    points: Points,
    segments_grid: Sequence[Float[Tensor, "_ 2"]],
    labels: Sequence[Int[Tensor, " _"]],
    num_classes: int,
    radius: float = 1.5,
) -> Targets:
    """Return the targets of a batch, of each window's segments (`meta_archs.py`, `label_points_single_video`).

    A point takes a segment if it lies strictly inside it and strictly within `radius` strides of its centre,
    and if the farther of the two boundaries is within the point's range (both ends included). Of several the
    shortest wins; segments at most 1e-3 longer add their class.
    """
    at, strides, ranges = points
    most = max(1, *map(len, labels))  # windows are padded with segments of length 0, which no point takes
    segments = at.new_zeros(len(labels), most, 2)
    classes_of_segments = at.new_zeros(len(labels), most, num_classes)
    for i, (window_segments, window_labels) in enumerate(zip(segments_grid, labels, strict=True)):
        segments[i, :len(window_labels)] = window_segments.to(at)
        classes_of_segments[i, :len(window_labels)] = F.one_hot(window_labels.long(), num_classes).to(at)
    starts, ends = segments[:, None].unbind(-1)  # (B, 1, M)
    left, right = at[:, None] - starts, ends - at[:, None]  # (B, P, M)
    from_centre = (at[:, None] - (starts + ends) / 2).abs()
    inside = (torch.minimum(left, right) > 0) & (from_centre < radius * strides[:, None])
    farther = torch.maximum(left, right)
    in_range = (farther >= ranges[:, :1]) & (farther <= ranges[:, 1:])
    lengths = (ends - starts).expand_as(left).masked_fill(~(inside & in_range), math.inf)
    shortest, winner = lengths.min(dim=2)
    positive = shortest < math.inf
    shared = (lengths <= shortest[..., None] + 1e-3) & positive[..., None]
    classes = (shared.to(at.dtype) @ classes_of_segments).clamp(max=1)
    offsets = torch.stack((left, right), -1).gather(2, winner[..., None, None].expand(-1, -1, -1, 2)).squeeze(2)
    return Targets(classes, (offsets / strides[:, None]).where(positive[..., None], 0.0), positive)


def diou_loss_1d(offsets: Float[Tensor, "*batch 2"], target: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    """Return 1 - (IoU - squared centre distance / squared enclosing length) of segments around one point.

    DIoU (Zheng et al., AAAI 2020) in one dimension: both segments are (point - left, point + right) with
    `offsets` = (left, right) >= 0, so both contain the point and their union is their enclosing segment.
    """
    intersection = torch.minimum(offsets, target).sum(-1)
    enclosing = torch.maximum(offsets, target).sum(-1).clamp(min=1e-8)
    difference = offsets - target
    centre_distance = (difference[..., 1] - difference[..., 0]) / 2
    return 1 - intersection / enclosing + (centre_distance / enclosing).square()


def losses(
    logits: Float[Tensor, "*batch P A"],
    offsets: Float[Tensor, "*batch P 2"],
    mask: Bool[Tensor, "*batch P"],
    targets: Targets,
    normaliser: float | Float[Tensor, ""],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return (classification, regression) losses, each a sum divided by `normaliser`; both in float32.

    Sigmoid focal loss (alpha 0.25, gamma 2) over the valid points, DIoU over the valid positive ones. The
    total is their plain sum. `normaliser` is the training loop's average of `count_positives`. Smoothed targets
    are (1 - s) t + s / (A + 1), for A classes (ActionFormer: libs/modeling/meta_archs.py).
    """
    smoothed = targets.classes * (1 - label_smoothing) + label_smoothing / (logits.shape[-1] + 1)
    focal = sigmoid_focal_loss(logits.float(), smoothed, alpha=0.25, gamma=2.0, reduction="none")
    diou = diou_loss_1d(offsets.float(), targets.offsets)
    cls = (focal.sum(-1) * mask).sum() / normaliser
    reg = (diou * (mask & targets.positive)).sum() / normaliser
    return cls, reg


def count_positives(targets: Targets, mask: Bool[Tensor, "*batch P"]) -> int:
    """Return how many valid points of the batch have a segment assigned."""
    return int((targets.positive & mask).sum())


def update_normaliser(normaliser: float, num_positives: int | float, momentum: float = 0.9) -> float:
    """Return the next loss normaliser: an average of positives per batch (start: 100, ActivityNet 200)."""
    return momentum * normaliser + (1 - momentum) * max(num_positives, 1)


@torch.no_grad()
def decode(
    logits: Float[Tensor, "P A"],
    offsets: Float[Tensor, "P 2"],
    mask: Bool[Tensor, " P"],
    points: Points,
    *,
    min_score: float = 0.001,
    top_k: int = 2000,
    per_level: bool = True,
    min_length_grid: float = 0.05,
    limits_grid: tuple[float, float] = (0.0, math.inf),
) -> Detections:
    """Return one window's detections: scores > `min_score`, the best `top_k`, in grid units.

    top_k: of each level (ActionFormer), or of all together with `per_level=False` (OpenTAD).
    limits_grid: segments are clipped to this range; those not longer than `min_length_grid` are dropped.
    """
    num_classes = logits.shape[1]
    scores = (logits.float().sigmoid() * mask[:, None]).flatten()
    level_sizes = torch.unique_consecutive(points.strides, return_counts=True)[1].tolist()
    best_by_level, start = [], 0
    for size in level_sizes if per_level else [len(mask)]:
        stop = start + size * num_classes
        best = scores[start:stop].topk(min(top_k, stop - start)).indices + start
        best_by_level.append(best[scores[best] > min_score])
        start = stop
    kept = torch.cat(best_by_level)
    kept = kept[scores[kept].argsort(descending=True, stable=True)]
    point = kept // num_classes
    reach = offsets[point].float() * points.strides[point, None]
    at = points.positions_grid[point]
    segments_grid = torch.stack((at - reach[:, 0], at + reach[:, 1]), -1).clamp(*limits_grid)
    long_enough = segments_grid[:, 1] - segments_grid[:, 0] > min_length_grid
    return Detections(segments_grid[long_enough], scores[kept][long_enough], (kept % num_classes)[long_enough])
