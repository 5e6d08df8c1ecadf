"""All adapters of a model in few batched kernels against the same adapters one by one."""

import copy

import pytest
import torch

from losa.config import Config
from losa.model.adapters import ADAPTERS, TemporalAdapter
from losa.model.batched import can_run_together
from losa.model.losa import build

B, K, C, T = 2, 3, 24, 53
VARIANTS = [
    {}, {"ranges": "short", "short_window": 1}, {"ranges": "long", "long_stride": 1}, {"grid": 2}, {"query": "last"},
    {"short_scope": "clip"}, {"long_keys": 5, "gate": "channel"}, {"gate": "sigmoid", "grid": 2}, {"gate": "none"},
    {"gate": "concat"}, {"short_window": 30, "gate_init": 0.0}]


class Foreign(TemporalAdapter):
    """Does what ours does, but is another class, so it is called by itself."""


def model_and_inputs(fields, steps=T):
    config = Config.make(head_dim=16, head_levels=3, adapter_dim=8, drop_path=0.0, **fields)
    model = build(config, dim=C, num_taps=K, num_classes=4, clip_snippets=8)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    model.set_statistics(torch.randn(K, C), torch.rand(K, C) + 0.5, torch.randn(C), torch.rand(C) + 0.5)
    taps = torch.randn(B, K, C, steps, config.grid, config.grid)
    return model, taps, torch.randn(B, C, steps), torch.arange(steps) < torch.tensor([[steps], [steps * 2 // 3]])


def as_foreign(model):
    """A copy of the model whose adapters are run one by one."""
    alone = copy.deepcopy(model)
    for adapter in (a for row in alone.adapters for a in row):
        adapter.__class__ = Foreign
    return alone


def gradients(model, taps, last, mask):
    """(fused features, gates, gradient of every adapter and fusion parameter by name)."""
    features, gates = model.features(taps, last, mask)
    torch.manual_seed(3)
    (features * torch.randn_like(features)).sum().backward()
    return features, gates, {n: p.grad for n, p in model.named_parameters() if not n.startswith("head.")}


@pytest.mark.parametrize("fields", VARIANTS)
@pytest.mark.parametrize("steps", [T, 5])  # with few steps weights are stacked again in the backward pass
def test_in_double_precision_together_equals_one_by_one_to_a_millionth(fields, steps):
    model, taps, last, mask = model_and_inputs(fields, steps)
    model, taps, last = model.double(), taps.double(), last.double()
    together, one_by_one = (gradients(m, taps, last, mask) for m in (model, as_foreign(model)))
    for a, b in zip(together[:2], one_by_one[:2], strict=True):
        assert (a is None and b is None) or bool((a - b).abs().max() <= 1e-6 * b.abs().max())
    largest = max(float(g.abs().max()) for g in one_by_one[2].values())
    for name, expected in one_by_one[2].items():
        error = float((together[2][name] - expected).abs().max())
        assert error <= 1e-6 * max(float(expected.abs().max()), 1e-6 * largest), name


@pytest.mark.parametrize("fields", VARIANTS)
@pytest.mark.parametrize("steps", [T, 5])
def test_together_equals_one_by_one_and_so_do_all_gradients(fields, steps):
    model, taps, last, mask = model_and_inputs(fields, steps)
    alone = as_foreign(model)
    assert can_run_together([list(row) for row in model.adapters])
    assert not can_run_together([list(row) for row in alone.adapters])
    together, expected = (gradients(m, taps, last, mask) for m in (model, alone))
    torch.testing.assert_close(together[0], expected[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(together[1], expected[1], rtol=0, atol=1e-5)
    for name, value in expected[2].items():
        torch.testing.assert_close(together[2][name], value, rtol=1e-4, atol=1e-5 * max(1, float(value.abs().max())),
                                   msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("fields", [{}, {"gate": "sigmoid"}, {"query": "last", "grid": 2}])
def test_values_beyond_the_mask_change_nothing_and_a_masked_row_is_finite(fields):
    model, taps, last, mask = model_and_inputs(fields)
    mask[1] = False
    expected, _, grads = gradients(model, taps, last, mask)
    taps[1], last[1] = float("nan"), float("inf")
    assert torch.equal(model.features(taps, last, mask)[0], expected) and (expected[1] == 0).all()
    assert all(g.isfinite().all() for g in grads.values())


def test_adapters_that_differ_in_more_than_weights_and_span_are_called_one_by_one():
    make = ADAPTERS["temporal"]
    same = [[make(C, span="short"), make(C, span="long")] for _ in range(2)]
    assert can_run_together(same) and not can_run_together([])
    assert not can_run_together([*same, [make(C, span="long"), make(C, span="short")]])
    assert not can_run_together([*same, [make(C, span="short", window=2), make(C, span="long")]])
    assert not can_run_together([*same, [make(C, span="short", adapter_dim=16), make(C, span="long")]])


def test_standardised_taps_keep_nothing_for_the_backward_pass_per_range():
    """The normalised tap is saved once, not once per range."""
    def kept(ranges):
        model, taps, last, mask = model_and_inputs({"ranges": ranges})
        saved = {}
        with torch.autograd.graph.saved_tensors_hooks(
                lambda x: saved.__setitem__(x.untyped_storage().data_ptr(), x.untyped_storage().nbytes()) or x,
                lambda x: x):
            model.features(taps, last, mask)[0].sum().backward()
        return sum(size == taps.numel() * 4 for size in saved.values())

    assert kept("both") == kept("short") >= 1


def test_copies_of_weights_are_not_kept_where_they_outweigh_the_window():
    model, taps, last, mask = model_and_inputs({}, steps=5)
    weights, kept = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}
    count = lambda x: kept.__setitem__(x.untyped_storage().data_ptr(), x) or x  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        model.features(taps, last, mask)
    sizes = [x.untyped_storage().nbytes() for at, x in kept.items() if at not in weights]
    assert max(sizes) == 2 * K * B * 5 * 2 * 8 * 4  # the widest rows: hidden in the MLPs
