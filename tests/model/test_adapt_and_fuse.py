"""Adapters run and fused: one by one, or all together where that is possible, with the same result."""

import pytest
import torch
from torch import nn

from helpers.small_models import losa_inputs, shaken, small_losa
from losa.errors import ConfigError
from losa.model import adapt_and_fuse as module
from losa.model.adapt_and_fuse import adapt_and_fuse, check_shape, run_adapters


class Scaled(nn.Module):
    """The mean over space of its tap times a number, plus the last layer."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, tap, last, mask):
        return self.factor * tap.mean((3, 4)) + last * mask[:, None]


class Halves(nn.Module):
    def forward(self, tap, last, mask):
        return last[..., ::2]


def test_each_adapter_gets_the_tap_of_its_row():
    taps, last, mask = torch.randn(2, 3, 4, 5, 2, 2), torch.randn(2, 4, 5), torch.ones(2, 5).bool()
    mask[1, 3:] = False
    rows = [[Scaled(10.0 * k + r) for r in range(2)] for k in range(3)]
    found = run_adapters((iter(row) for row in rows), taps, last, mask)
    assert found.shape == (2, 3, 2, 4, 5)
    for b, k, r, c, t in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
        expected = (10 * k + r) * taps[b, k, c, t].mean() + last[b, c, t] * mask[b, t]
        assert found[b, k, r, c, t] == pytest.approx(expected.item(), rel=1e-4, abs=1e-4)
    assert run_adapters([], taps[:, :0], last, mask).shape == (2, 0, 0, 4, 5)


@pytest.mark.parametrize("fields", [{}, {"gate": "channel"}, {"gate": "sigmoid"}, {"gate": "concat"}, {"gate": "none"},
                                    {"ranges": "long"}])
def test_together_or_one_by_one_gives_the_same(fields, monkeypatch):
    model = shaken(small_losa(**fields)[0]).eval()
    taps, last, mask = losa_inputs()
    mask[1, 20:] = False
    expected, gates = model.fusion(last, run_adapters(model.adapters, taps, last, mask), mask)
    together = adapt_and_fuse(model.adapters, model.fusion, taps.clone(), last, mask)
    monkeypatch.setattr(module, "can_run_together", lambda rows: False)
    one_by_one = adapt_and_fuse(model.adapters, model.fusion, taps.clone(), last, mask)
    for found in (together, one_by_one):
        torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)
        assert (found[1] is None) == (gates is None)
        if gates is not None:
            torch.testing.assert_close(found[1], gates, rtol=1e-4, atol=1e-5)


def test_a_shape_that_is_not_the_last_layer_s_is_refused_with_the_name():
    taps, last, mask = torch.randn(2, 1, 4, 6, 1, 1), torch.randn(2, 4, 6), torch.ones(2, 6).bool()
    with pytest.raises(ConfigError, match=r"adapter Halves gives \(2, 4, 3\), \(B, C, T\) = \(2, 4, 6\) is expected"):
        run_adapters([[Scaled(1.0), Halves()]], taps, last, mask)
    assert check_shape(Scaled(1.0), last, last) is last
