"""Adapters on every token against the same adapters on pooled taps."""

import pytest
import torch

from helpers.small_models import shaken
from losa.model.adapters import TemporalAdapter
from losa.model.side_tokens import on_tokens


@pytest.mark.parametrize("query", ["self", "last"])
@pytest.mark.parametrize("span", ["short", "long"])
def test_on_constant_taps_every_token_gives_what_the_pooled_one_does(span, query):
    pooled = TemporalAdapter(12, span=span, adapter_dim=8, query=query)
    tokens = on_tokens(TemporalAdapter)(12, span=span, adapter_dim=8, query=query)
    tokens.load_state_dict(shaken(pooled).state_dict())
    tap, last = torch.randn(2, 12, 20, 1, 1), torch.randn(2, 12, 20)
    mask = torch.arange(20) < torch.tensor([[20], [13]])
    constant = tap.expand(-1, -1, -1, 3, 3)
    torch.testing.assert_close(tokens(constant, last, mask), pooled(tap, last, mask), rtol=1e-4, atol=1e-5)
    other = constant + torch.randn(2, 12, 20, 3, 3)
    alone = [pooled(other[..., y:y + 1, x:x + 1], last, mask) for y in range(3) for x in range(3)]
    torch.testing.assert_close(tokens(other, last, mask), torch.stack(alone).mean(0), rtol=1e-4, atol=1e-5)
    mean = other.mean((3, 4), keepdim=True)
    assert (tokens(other, last, mask) - pooled(mean, last, mask)).abs().max() > 0.01
    nan, zero = (other.masked_fill(~mask[:, None, :, None, None], value) for value in (torch.nan, 0))
    assert torch.equal(tokens(nan, last, mask), tokens(zero, last, mask))
    assert on_tokens(TemporalAdapter) is on_tokens(TemporalAdapter)
