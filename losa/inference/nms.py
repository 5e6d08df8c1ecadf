"""Soft non-maximum suppression of segments, and voting on their ends."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from losa.errors import EvaluationError
from losa.segments import Number


def soft_nms(
    segments: Float[Tensor, "M 2"],
    scores: Float[Tensor, " M"],
    labels: Int[Tensor, " M"],
    *,
    sigma: Number = 0.5,
    min_score: Number = 0.001,
    max_segments: int = 200,
    class_wise: bool = True,
    method: Literal["gaussian", "linear", "hard"] = "gaussian",
    tiou: Number = 0.5,
) -> tuple[Float[Tensor, "K 2"], Float[Tensor, " K"], Int[Tensor, " K"]]:
    """Return the at most `max_segments` segments kept, their decayed scores and labels, by falling score.

    Again and again the best remaining segment is kept and the scores of those it overlaps are multiplied by
    exp(-tIoU^2 / sigma) ("gaussian"), by 1 - tIoU if tIoU >= `tiou` ("linear"), or by 0 if tIoU >= `tiou`
    ("hard", which is plain NMS); what falls below `min_score`, or to 0, is gone. `class_wise`: segments of
    different labels leave each other alone. Equal scores go by the order of the input. The unit of time is
    free.

    Source: Bodla et al., Soft-NMS, 2017; as in ActionFormer's libs/utils/nms.py. All classes are worked on
    together: padded to a common length, one pass per kept segment, over what is left only.

    Raises EvaluationError where a score or a time is not finite.
    """
    _check_candidates(segments, scores, sigma, max_segments)
    groups = labels if class_wise else torch.zeros_like(labels)
    index_AL = _rows_by_class(groups, (scores >= min_score) & (scores > 0))
    if index_AL.numel() == 0 or max_segments == 0:
        return segments[:0], scores[:0], labels[:0]
    left_AL, segments_AL2 = scores[index_AL].masked_fill(index_AL < 0, -1.0), segments[index_AL]
    rows, floor = torch.arange(index_AL.shape[0], device=scores.device), max(min_score, torch.finfo(scores.dtype).tiny)
    kept_index, kept_scores = [], []
    for step in range(min(max_segments, index_AL.shape[1])):
        if step % 64 == 63:
            left_AL, index_AL, segments_AL2 = _without_gone(left_AL, index_AL, segments_AL2)
        best_scores, best = left_AL.max(dim=1)
        kept_index.append(torch.where(best_scores > 0, index_AL[rows, best], -1))
        kept_scores.append(best_scores)
        if _is_complete(best_scores, kept_scores, max_segments):
            break
        overlap_AL = _tiou_aligned(segments_AL2[rows, best].unsqueeze(1), segments_AL2)
        left_AL = left_AL.mul_(_decay(overlap_AL, method, sigma, tiou))
        left_AL.masked_fill_(left_AL < floor, -1.0)
        left_AL[rows, best] = -1.0
    index, decayed = torch.stack(kept_index).flatten(), torch.stack(kept_scores).flatten()
    decayed, index = decayed[index >= 0], index[index >= 0]
    decayed, index = decayed[index.argsort()], index.sort().values
    order = decayed.argsort(descending=True, stable=True)[:max_segments]
    return segments[index[order]], decayed[order], labels[index[order]]


def _check_candidates(segments: Tensor, scores: Tensor, sigma: float, max_segments: int) -> None:
    if sigma <= 0 or max_segments < 0:
        raise ValueError(
            f"soft_nms(sigma={sigma}, max_segments={max_segments}): expected sigma > 0 and max_segments >= 0."
        )
    if not (torch.isfinite(scores).all() and torch.isfinite(segments).all()):
        raise EvaluationError(
            "soft_nms was given scores or segments that are nan or infinite; expected finite numbers. "
            "Look at the model's output: this is what a diverged training run gives."
        )


def _rows_by_class(labels: Tensor, valid: Tensor) -> Tensor:
    """Return indices into the input, a row per label in use, in input order, padded with -1: (A, L) int64."""
    index = valid.nonzero().squeeze(1)
    _, rows, counts = labels[index].unique(return_inverse=True, return_counts=True)
    order = rows.argsort(stable=True)
    starts = counts.cumsum(0) - counts
    columns = torch.arange(len(index), device=index.device) - starts.repeat_interleave(counts)
    padded = index.new_full((len(counts), int(counts.max()) if len(counts) else 0), -1)
    padded[rows[order], columns] = index[order]
    return padded


def _without_gone(left: Tensor, index: Tensor, segments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows without columns that no row needs any more, in order; as given where there are few of these."""
    needed = (left > 0).sum(dim=1).max().clamp(min=1)
    if needed > 0.9 * left.shape[1]:
        return left, index, segments
    order = (left <= 0).int().argsort(dim=1, stable=True)[:, :needed]
    return left.gather(1, order), index.gather(1, order), segments.gather(1, order.unsqueeze(2).expand(-1, -1, 2))


def _decay(overlap: Tensor, method: str, sigma: float, threshold: float) -> Tensor:
    if method == "gaussian":
        return torch.exp(-overlap.square() / sigma)
    if method == "linear":
        return torch.where(overlap >= threshold, 1 - overlap, torch.ones_like(overlap))
    if method == "hard":
        return (overlap < threshold).to(overlap.dtype)
    raise ValueError(f'soft_nms(method="{method}"): expected "gaussian", "linear" or "hard".')


def _is_complete(best_scores: Tensor, kept_scores: list[Tensor], max_segments: int) -> bool:
    """Return whether the last step left nothing, or `max_segments` are kept that all beat anything still to come."""
    best = best_scores.max()
    if best < 0:
        return True
    if len(kept_scores) * len(best_scores) < max_segments:
        return False
    kept = torch.stack(kept_scores).flatten()
    return bool((kept > best).sum() >= max_segments)


def vote(
    kept: Float[Tensor, "K 2"],
    segments: Float[Tensor, "M 2"],
    scores: Float[Tensor, " M"],
    *,
    tiou: Number = 0.9,
    use_tiou: bool = True,
) -> Float[Tensor, "K 2"]:
    """Return the kept segments, each moved to the weighted mean of all candidates with tIoU >= `tiou` to it.

    The weight is the candidate's score before suppression, times its tIoU with `use_tiou` (ActionFormer) or
    alone without (OpenTAD). A segment no candidate is near enough to stays where it is.
    """
    overlap_KM = _tiou_aligned(kept.unsqueeze(1), segments.unsqueeze(0))
    weights_KM = torch.where(overlap_KM >= tiou, scores, torch.zeros_like(overlap_KM))
    if use_tiou:
        weights_KM = weights_KM * overlap_KM
    total_K1 = weights_KM.sum(dim=1, keepdim=True)
    return torch.where(total_K1 > 0, (weights_KM @ segments) / total_K1, kept)


def _tiou_aligned(a: Tensor, b: Tensor) -> Tensor:
    """Return tIoU of broadcast tensors of segments (..., 2); 0 where both have no length."""
    inter = (torch.minimum(a[..., 1], b[..., 1]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    union = (a[..., 1] - a[..., 0]) + (b[..., 1] - b[..., 0]) - inter
    return torch.where(union > 0, inter / union, torch.zeros_like(inter))
