"""Pad windows of different length to one batch with a mask."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from losa.taps.source import FeatureSource

ROUND = 32  # snippets; lengths are rounded up to multiples, since kernels are prepared anew for every length


class Batch(NamedTuple):
    """B windows padded to a common length T; segments are in grid units of their window."""

    taps: Float[Tensor, "B K C T g h"]
    last: Float[Tensor, "B C T"]
    mask: Bool[Tensor, "B T"]
    segments_grid: list[Tensor]
    labels: list[Tensor]
    videos: list[str]


def stack(samples: list[dict], source: FeatureSource, device: torch.device | str) -> Batch:
    """Return the samples of `losa.training.windows` as a batch, with their features from the source.

    Windows are padded with zeros to the length of the longest one, rounded up to a multiple of `ROUND`.
    """
    taps, last, mask = padded([source.features(sample["fetched"]) for sample in samples], device)
    return Batch(taps, last, mask, [s["segments_grid"].to(device) for s in samples],
                 [s["labels"].to(device) for s in samples], [s["video"] for s in samples])


def padded(features: Sequence[tuple[Float[Tensor, "K C _ g h"], Float[Tensor, "C _"]]], device: torch.device | str
           ) -> tuple[Float[Tensor, "B K C T g h"], Float[Tensor, "B C T"], Bool[Tensor, "B T"]]:
    """Return taps, last layers and mask of windows, with zeros beyond their ends.

    In memory the channels come last, as the model reads them.
    """
    longest = rounded(max(last.shape[1] for _, last in features))
    num_taps, dim, _, *grid = features[0][0].shape
    taps = features[0][0].new_zeros(len(features), longest, num_taps, *grid, dim).permute(0, 2, 5, 1, 3, 4)
    lasts = features[0][1].new_zeros(len(features), longest, dim).transpose(1, 2)
    for i, (tapped, last) in enumerate(features):
        taps[i, :, :, :last.shape[1]], lasts[i, :, :last.shape[1]] = tapped, last
    lengths = torch.tensor([last.shape[1] for _, last in features])
    return taps.to(device), lasts.to(device), (torch.arange(longest) < lengths[:, None]).to(device)


def rounded(num_snippets: int) -> int:
    """Return the length of a batch whose longest window has this many snippets."""
    return -(-num_snippets // ROUND) * ROUND
