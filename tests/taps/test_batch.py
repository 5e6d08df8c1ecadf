"""Windows of different length in one batch."""

import torch

from helpers.made_sources import Numbers
from losa.taps.batch import stack


def test_stack_pads_with_a_mask():
    source = Numbers(300)
    samples = [{"fetched": source.fetch(None, 0, n), "segments_grid": torch.zeros(0, 2),
                "labels": torch.zeros(0, dtype=torch.long), "video": str(n)} for n in (5, 9)]
    batch = stack(samples, source, "cpu")
    assert batch.taps.shape == (2, 2, 3, 32, 1, 1) and batch.mask.sum(1).tolist() == [5, 9]
    assert (batch.last[0, :, 5:] == 0).all() and batch.last[1, 0, :9].tolist() == list(range(9))
    assert (batch.taps[1, ..., 9:, :, :] == 0).all() and not batch.mask[:, 9:].any()
