"""The point head against independent twins: slow loops written from the protocol, dense attention, formulas."""

import doctest
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

from helpers.small_models import small_head
from losa.model import head as H
from losa.model import points as pyramid
from losa.model.head import Head
from losa.model.points import assign_batch, decode, losses, points

# --- losses ---


# --- modules ---


def test_the_example_in_the_docstring_holds():
    assert doctest.testmod(H) == doctest.TestResults(failed=0, attempted=7)


@pytest.mark.parametrize(("in_dim", "millions"), [(1408, 28.27), (2048, 29.25)])
def test_size_is_that_of_actionformer_on_thumos(in_dim, millions):
    with torch.device("meta"):
        model = Head(in_dim, num_classes=20, window=19)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_convolution_equals_the_one_of_torch():
    for stride, groups in itertools.product((1, 2), (1, 6)):
        conv = H.Conv(6, 6, stride, groups)
        x = torch.randn(2, 13, 6)
        same = F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, stride, 1, groups=groups).transpose(1, 2)
        torch.testing.assert_close(conv(x), same)


@pytest.mark.parametrize("window", [1, 7, 19, 41, None])
@pytest.mark.parametrize(("length", "stride"), [(1, 1), (33, 1), (40, 2), (77, 2), (200, 1), (600, 1)])
def test_attention_equals_dense_attention_with_a_band_mask(window, length, stride):
    module = H.Attention(16, num_heads=2, window=window, stride=stride).double()
    x = torch.randn(2, length, 16, dtype=torch.float64)
    mask = torch.rand(2, length) < 0.8
    mask[0, length // 2 :] = False
    mask[:, 0] = True
    mask_out = mask[:, ::stride]
    q, k, v = (
        linear(norm(conv(x * mask[..., None]))).unflatten(-1, (2, 8))
        for conv, norm, linear in zip(module.convs, module.norms, module.projections, strict=True)
    )
    scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(8)
    at = torch.arange(mask_out.shape[1])
    near = (at[:, None] - at[None]).abs() <= (math.inf if window is None else window // 2)
    weights = scores.masked_fill(~(near & mask_out[:, None, None]), -math.inf).softmax(-1)
    dense = module.out(torch.einsum("bhij,bjhd->bihd", weights, v).flatten(2))
    ours = module(x, mask, mask_out)
    torch.testing.assert_close(ours[mask_out], dense[mask_out])
    assert torch.isfinite(ours).all()


def test_towers_over_all_levels_at_once_equal_towers_level_by_level():
    model = small_head().eval()
    features, mask = torch.randn(2, 12, 37), torch.arange(37) < torch.tensor([[37], [20]])
    logits, offsets, point_mask = model(features, mask)
    levels, masks = model.pyramid(features, mask)
    apart = torch.cat([model.classify(x, m) * m[..., None] for x, m in zip(levels, masks, strict=True)], 1)
    torch.testing.assert_close(logits, apart, atol=1e-5, rtol=1e-5)
    assert [m.shape[1] for m in masks] == [37, 19, 10, 5]
    assert logits.shape[1] == len(points(37, 4).strides)
    assert (offsets >= 0).all() and not logits[~point_mask].any() and not offsets[~point_mask].any()


@pytest.mark.parametrize("window", [None, 5, [5, 3, None, None]])
def test_what_lies_beyond_the_mask_and_how_much_of_it_changes_nothing(window):
    model = small_head(window=window).eval()
    features = torch.randn(2, 12, 90)
    mask = torch.arange(90) < torch.tensor([[90], [45]])
    reference = model(features, mask)
    other = features.clone()
    other[1, :, 45:] = 1e6
    other[1, 0, 45:] = math.nan
    for a, b in zip(model(other, mask), reference, strict=True):
        assert torch.equal(a, b)
    shorter = model(features[1:, :, :45], mask[1:, :45])
    longer = [part[1][reference.mask[1]] for part in reference]
    for a, b in zip(shorter, longer, strict=True):
        torch.testing.assert_close(a[0], b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [None, 5])
def test_a_row_without_any_valid_snippet_gives_zeros_and_finite_gradients(window):
    model = small_head(window=window)
    features = torch.randn(2, 12, 70, requires_grad=True)
    mask = torch.ones(2, 70, dtype=torch.bool)
    mask[1] = False
    logits, offsets, point_mask = model(features, mask)
    assert not logits[1].any() and not offsets[1].any() and not point_mask[1].any()
    (logits.square().sum() + offsets.square().sum()).backward()
    assert torch.isfinite(features.grad).all() and not features.grad[1].any()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("window", [None, 7])
def test_gradient_reaches_every_parameter_and_only_matrices_decay(window):
    model = small_head(window=window)
    features, mask = torch.randn(2, 12, 64), torch.ones(2, 64, dtype=torch.bool)
    logits, offsets, _ = model(features, mask)
    (logits.square().sum() + offsets.sum()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    flat = {id(p) for p in model.parameters() if p.ndim == 1}
    small = {id(m.bias) for m in model.modules() if getattr(m, "bias", None) is not None}
    small |= {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.LayerNorm)}
    small |= {id(m.scale) for m in model.modules() if isinstance(m, H.Residual)} | {id(model.offset_scale)}
    assert flat == small


def test_starts_at_the_prior_and_with_small_residuals():
    model = Head(8, 5, dim=16, num_levels=3, num_heads=2).eval()
    logits, _, _ = model(torch.zeros(1, 8, 16), torch.ones(1, 16, dtype=torch.bool))
    assert model.classify.out.bias.sigmoid().tolist() == pytest.approx([0.01] * 5)
    assert logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.5)
    assert {m.scale.unique().item() for m in model.modules() if isinstance(m, H.Residual)} == {
        torch.tensor(1e-4).item()
    }
    assert model.offset_scale.tolist() == [1.0] * 3


def test_drop_path_acts_in_training_only():
    model = small_head(drop_path=0.5)
    features, mask = torch.randn(4, 12, 32), torch.ones(4, 32, dtype=torch.bool)
    assert not torch.equal(model(features, mask).logits, model(features, mask).logits)
    model.eval()
    assert torch.equal(model(features, mask).logits, model(features, mask).logits)


def saved_bytes(model, num_snippets):
    seen = {}

    def keep(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    features, mask = torch.randn(1, 12, num_snippets), torch.ones(1, num_snippets, dtype=torch.bool)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(features, mask)
    assert torch.isfinite(output.logits).all()
    return sum(seen.values())


def test_memory_of_local_attention_grows_with_length_not_its_square():
    model = small_head(window=19, num_levels=6)
    once, twice = saved_bytes(model, 2304), saved_bytes(model, 4608)
    assert twice / once == pytest.approx(2.0, abs=0.05)
    assert once < 16 * 2304 * 1024 * 2  # some kilobytes a snippet at dim 16, nowhere near 2304 x 2304 scores


def test_learns_the_segments_of_one_random_sequence():
    torch.manual_seed(3)
    segments = torch.tensor([[6.0, 13.0], [20.0, 23.5], [30.0, 58.0]])
    labels = torch.tensor([0, 1, 2])
    features, mask, pts = torch.randn(1, 12, 64), torch.ones(1, 64, dtype=torch.bool), points(64, 4)
    model = Head(12, 3, dim=32, num_levels=4, num_heads=2, window=9, num_stem=1, drop_path=0.0)
    targets = assign_batch(pts, [segments], [labels], 3)
    normaliser = pyramid.count_positives(targets, mask.new_ones(1, len(pts.strides)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        cls, reg = losses(*model(features, mask), targets, float(normaliser))
        optimiser.zero_grad()
        (cls + reg).backward()
        optimiser.step()
    found = decode(*(part[0] for part in model.eval()(features, mask)), pts)
    for segment, label in zip(segments, labels, strict=True):
        best = found.segments_grid[found.labels == label][0]
        overlap = torch.minimum(best, segment)[1] - torch.maximum(best, segment)[0]
        union = torch.maximum(best, segment)[1] - torch.minimum(best, segment)[0]
        assert overlap / union > 0.8


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"dim": 30}, "dim=30 is not a multiple of num_heads=4"),
        ({"window": 8}, "window=8: give an odd number"),
        ({"window": [7, 7]}, "window has 2 entries"),
    ],
)
def test_sizes_that_do_not_fit_say_so(sizes, words):
    with pytest.raises(ValueError, match=words):
        Head(8, 2, **{"dim": 32, "num_levels": 3, **sizes})


def test_wrong_number_of_channels_says_what_the_head_reads():
    with pytest.raises(ValueError, match=r"features have 9 channels.*reads 12"):
        small_head()(torch.randn(1, 9, 20), torch.ones(1, 20, dtype=torch.bool))
