"""Contract of every adapter, spelled out against independent arithmetic."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from losa.model.adapters import ADAPTERS, spans

B, C, T = 2, 24, 40
VARIANTS = [dict(span="short", window=3), dict(span="short", window=1), dict(span="short", query="last"),
            dict(span="short", scope="clip", clip_snippets=8), dict(span="short", grid=2), dict(span="long", grid=2),
            dict(span="long", long_stride=4), dict(span="long", long_keys=5), dict(span="long", query="last")]
every_adapter = pytest.mark.parametrize("make", [
    pytest.param(lambda v=variant, a=adapter: a(C, adapter_dim=16, **v), id=f"{name}-{variant}")
    for name, adapter in ADAPTERS.items() for variant in VARIANTS])


def inputs(grid=1, length=T, batch=B):
    torch.manual_seed(1)
    return torch.randn(batch, C, length, grid, grid), torch.randn(batch, C, length), torch.ones(batch, length).bool()


def grid_of(adapter):
    return 2 if adapter.space is not None else 1


@every_adapter
def test_values_beyond_the_mask_change_nothing(make):
    adapter = make().eval()
    tap, last, mask = inputs(grid_of(adapter))
    mask[0, 29:] = False
    expected = adapter(tap, last, mask)
    tap[0, :, 29:], last[0, :, 29:] = float("nan"), float("inf")
    assert torch.equal(adapter(tap, last, mask), expected)
    assert expected.shape == (B, C, T) and (expected[0, :, 29:] == 0).all() and expected[0, :, :29].abs().max() > 0


@every_adapter
def test_a_padded_batch_gives_what_the_video_alone_gives(make):
    adapter = make().eval()
    if adapter.span == "long" and adapter.long_keys < 10:
        pytest.skip("with few long_keys the stride follows the padded length, by design")
    tap, last, mask = inputs(grid_of(adapter))
    mask[0, 29:] = False
    alone = adapter(tap[:1, :, :29], last[:1, :, :29], mask[:1, :29])
    torch.testing.assert_close(adapter(tap, last, mask)[:1, :, :29], alone, rtol=1e-4, atol=1e-5)


@every_adapter
def test_a_fully_masked_row_gives_zeros_and_finite_gradients(make):
    adapter = make()
    tap, last, mask = inputs(grid_of(adapter))
    mask[1] = False
    out = adapter(tap, last, mask)
    assert (out[1] == 0).all()
    out.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in adapter.parameters())


@every_adapter
def test_gradient_reaches_every_parameter_at_step_one(make):
    adapter = make()
    tap, last, mask = inputs(grid_of(adapter))
    (adapter(tap, last, mask) - torch.randn(B, C, T)).square().mean().backward()
    norms = {name: p.grad.norm() for name, p in adapter.named_parameters()}
    middle = torch.stack(list(norms.values())).median()
    assert not {name: float(n) for name, n in norms.items() if n < 1e-4 * middle}


@every_adapter
def test_state_dict_round_trip(make):
    adapter, other = make().eval(), make().eval()
    tap, last, mask = inputs(grid_of(adapter))
    assert not torch.equal(adapter(tap, last, mask), other(tap, last, mask))
    other.load_state_dict(adapter.state_dict())
    assert torch.equal(adapter(tap, last, mask), other(tap, last, mask))


def influence(adapter, at=20):
    """How much each output snippet answers to input snippet `at`: |d out_t / d tap_at|, shape (T,)."""
    tap, last, mask = inputs(batch=1)
    tap.requires_grad_(True)
    out = adapter(tap, last, mask)
    return torch.tensor([float(torch.autograd.grad(out[0, :, t].square().sum(), tap, retain_graph=True)[0][0, :, at]
                               .abs().max()) for t in range(T)])


@pytest.mark.parametrize("window", [1, 2, 5])
def test_short_range_reaches_window_plus_one_and_no_further(window):
    reach = influence(ADAPTERS["temporal"](C, span="short", window=window, adapter_dim=16))
    inside = (torch.arange(T) - 20).abs() <= window + 1
    assert (reach[inside] > 1e-9).all() and (reach[~inside] == 0).all()


def test_clip_scope_stays_inside_the_clip_and_its_convolutions_margin():
    reach = influence(ADAPTERS["temporal"](C, span="short", scope="clip", clip_snippets=8, adapter_dim=16))
    assert (reach[16:24] > 0).all() and (reach[:15] == 0).all() and (reach[26:] == 0).all()


def test_long_range_reaches_everywhere():
    assert (influence(ADAPTERS["temporal"](C, span="long", adapter_dim=16)) > 0).all()


@pytest.mark.parametrize("span", ["short", "long"])
def test_memory_is_linear_in_time_at_2304_snippets(span):
    def saved(length):
        total = 0

        def count(x):
            nonlocal total
            total += x.numel() * x.element_size()
            return x

        adapter = ADAPTERS["temporal"](C, span=span, adapter_dim=16, window=8)
        with saved_tensors_hooks(count, lambda x: x):
            adapter(*inputs(length=length, batch=1))
        return total

    assert saved(2304) / saved(1152) < 2.2


def test_spans_in_gate_order():
    assert spans("both") == ("short", "long") and spans("long") == ("long",)
