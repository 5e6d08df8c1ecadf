"""The point head against independent twins: slow loops written from the protocol, dense attention, formulas."""

import doctest
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.graph import saved_tensors_hooks

from losa.model import head as H
from losa.model import points as pyramid
from losa.model.head import Head
from losa.model.points import assign, assign_batch, decode, losses, points


def small_head(in_dim=12, num_classes=3, dim=16, num_levels=4, window=5, drop_path=0.0, seed=0, **sizes):
    """Returns a head whose residual branches count: scales of 1 instead of 1e-4."""
    torch.manual_seed(seed)
    model = Head(in_dim, num_classes, dim, num_levels, num_heads=2, window=window, drop_path=drop_path, **sizes)
    for module in model.modules():
        if isinstance(module, H.Residual):
            module.scale.data.fill_(1.0)
    return model


# --- points and assignment ---


def test_points_lie_at_multiples_of_the_stride_and_ranges_tile_the_lengths():
    at, strides, ranges = points(11, 3)
    assert at.tolist() == [*range(11), 0, 2, 4, 6, 8, 10, 0, 4, 8]
    assert strides.tolist() == [1.0] * 11 + [2.0] * 6 + [4.0] * 3
    assert ranges[[0, 11, 17]].tolist() == [[0, 4], [4, 8], [8, 1e4]]
    expected = [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 1e4)]
    assert pyramid.regression_ranges(6) == expected
    assert pyramid.regression_ranges(1) == [(0, 1e4)]


def slow_assign(num_snippets, num_levels, segments, labels, num_classes, radius=1.5):
    """Assignment in a double loop: -> list of (set of classes, offsets of every shortest segment or None)."""
    targets = []
    for level in range(num_levels):
        stride = 2**level
        low = 0 if level == 0 else 4 * 2 ** (level - 1)
        high = 1e4 if level == num_levels - 1 else 4 * 2**level
        for i in range(math.ceil(num_snippets / stride)):
            at, candidates = i * stride, []
            for (start, end), label in zip(segments, labels, strict=True):
                centre = (start + end) / 2
                first, last = max(start, centre - radius * stride), min(end, centre + radius * stride)
                if first < at < last and low <= max(at - start, end - at) <= high:
                    candidates.append((end - start, ((at - start) / stride, (end - at) / stride), label))
            shortest = min((length for length, _, _ in candidates), default=None)
            classes = {label for length, _, label in candidates if length <= shortest + 1e-3}
            offsets = [offset for length, offset, _ in candidates if length == shortest]
            targets.append((classes, offsets))
    assert all(0 <= label < num_classes for label in labels)
    return targets


def assert_same_targets(targets, expected):
    assert len(expected) == len(targets.positive)
    for i, (classes, offsets) in enumerate(expected):
        assert set(targets.classes[i].nonzero().flatten().tolist()) == classes
        assert targets.classes[i].max() <= 1
        assert bool(targets.positive[i]) == bool(classes)
        if offsets:
            assert tuple(targets.offsets[i].tolist()) in offsets
        else:
            assert targets.offsets[i].tolist() == [0, 0]


# Boundaries are multiples of 1/4096: float32 is exact, and lengths up to 4 units apart are ties within 1e-3.
unit = 4096
segment = st.tuples(st.integers(-8 * unit, 70 * unit), st.integers(1, 80 * unit), st.integers(0, 3))
near_twin = st.tuples(st.integers(0, 5), st.integers(-6, 6), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(segment, max_size=5), st.lists(near_twin, max_size=3), st.integers(1, 70), st.integers(1, 6))
def test_assignment_equals_a_double_loop_over_points_and_segments(drawn, twins, num_snippets, num_levels):
    for which, longer, label in twins if drawn else []:  # overlapping copies, a hair longer or shorter
        start, length, _ = drawn[which % len(drawn)]
        drawn = [*drawn, (start, max(length + longer, 1), label)]
    segments = [(start / unit, (start + length) / unit) for start, length, _ in drawn]
    labels = [label for _, _, label in drawn]
    targets = assign(
        points(num_snippets, num_levels),
        torch.tensor(segments, dtype=torch.float64).reshape(-1, 2),
        torch.tensor(labels, dtype=torch.long),
        num_classes=4,
    )
    assert_same_targets(targets, slow_assign(num_snippets, num_levels, segments, labels, 4))


def test_assignment_of_hand_made_cases():
    pts = points(32, 4)

    def targets(segments, labels):
        return assign(pts, torch.tensor(segments), torch.tensor(labels), num_classes=3)

    both = targets([[4.0, 9.0], [4.0, 9.0], [2.0, 11.0]], [0, 2, 1])  # one instance with two labels in a longer
    assert both.classes[6].tolist() == [1, 0, 1]
    assert both.offsets[6].tolist() == [2, 3]
    assert not targets([[5.25, 5.75]], [1]).positive.any()  # no point inside a tiny segment
    tiny = targets([[4.75, 5.25]], [1])
    assert tiny.positive.nonzero().flatten().tolist() == [5]
    edge = targets([[4.0, 8.0]], [1])  # farther side 4 at neither end: points on the boundary are not inside
    assert edge.positive.nonzero().flatten().tolist() == [5, 6, 7]


def test_batched_assignment_is_each_window_on_its_own():
    pts = points(20, 3)
    segments = [torch.tensor([[2.0, 7.0], [6.0, 19.0]]), torch.zeros(0, 2), torch.tensor([[1.0, 4.0]])]
    labels = [torch.tensor([1, 0]), torch.zeros(0, dtype=torch.long), torch.tensor([2])]
    batch = assign_batch(pts, segments, labels, num_classes=3)
    for i in range(3):
        alone = assign(pts, segments[i], labels[i], num_classes=3)
        assert all(torch.equal(part[i], own) for part, own in zip(batch, alone, strict=True))
    assert batch.positive.sum(1).tolist()[1] == 0


# --- losses ---


def test_diou_is_the_formula_on_segments():
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.rand(2, 200, 2, generator=generator) * 6
    predicted[0] = 0  # a segment without length
    loss = pyramid.diou_loss_1d(predicted, target)
    for i in range(200):
        (a, b), (c, d) = predicted[i].tolist(), target[i].tolist()
        one, two = (10 - a, 10 + b), (10 - c, 10 + d)
        intersection = max(0.0, min(one[1], two[1]) - max(one[0], two[0]))
        iou = intersection / (one[1] - one[0] + two[1] - two[0] - intersection)
        enclosing = max(one[1], two[1]) - min(one[0], two[0])
        distance = sum(one) / 2 - sum(two) / 2
        assert loss[i].item() == pytest.approx(1 - (iou - distance**2 / enclosing**2), abs=1e-5)
    assert pyramid.diou_loss_1d(target, target).abs().max() < 1e-6


def test_losses_are_focal_over_valid_points_and_diou_over_positive_ones():
    torch.manual_seed(1)
    logits, offsets = torch.randn(2, 9, 4) * 3, torch.rand(2, 9, 2)
    mask = torch.rand(2, 9) < 0.7
    positive = torch.rand(2, 9) < 0.4
    classes = (torch.rand(2, 9, 4) < 0.5) * positive[..., None] * 1.0
    targets = pyramid.Targets(classes, torch.rand(2, 9, 2), positive)
    cls, reg = losses(logits, offsets, mask, targets, normaliser=7.0)
    focal = diou = 0.0
    for b, i in itertools.product(range(2), range(9)):
        if not mask[b, i]:
            continue
        for a in range(4):
            p = 1 / (1 + math.exp(-logits[b, i, a].item()))
            yes = classes[b, i, a].item() == 1
            focal += -0.25 * (1 - p) ** 2 * math.log(p) if yes else -0.75 * p**2 * math.log(1 - p)
        if positive[b, i]:
            diou += pyramid.diou_loss_1d(offsets[b, i], targets.offsets[b, i]).item()
    assert cls.item() == pytest.approx(focal / 7, rel=1e-4)
    assert reg.item() == pytest.approx(diou / 7, rel=1e-4)
    assert pyramid.count_positives(targets, mask) == int((positive & mask).sum())


def test_smoothed_targets_lie_between_yes_and_no():
    """One logit at 0 (p = 1/2): focal terms are (1/4) log 2 each, mixed by the smoothed target and its alpha."""
    targets = pyramid.Targets(torch.tensor([[[1.0]]]), torch.zeros(1, 1, 2), torch.tensor([[True]]))
    yes = 0.9 + 0.1 / 2
    cls, _ = losses(torch.zeros(1, 1, 1), torch.ones(1, 1, 2), torch.tensor([[True]]), targets, 1.0, 0.1)
    assert cls.item() == pytest.approx((0.25 * yes + 0.75 * (1 - yes)) * 0.25 * math.log(2), rel=1e-5)


def test_losses_without_any_segment_are_finite_and_the_normaliser_never_reaches_zero():
    model = small_head()
    mask = torch.ones(1, 17, dtype=torch.bool)
    output = model(torch.randn(1, 12, 17), mask)
    none = assign_batch(points(17, 4), [torch.zeros(0, 2)], [torch.zeros(0, dtype=torch.long)], 3)
    cls, reg = losses(*output, none, normaliser=1.0)
    assert reg.item() == 0 and cls.item() > 0
    (cls + reg).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert pyramid.update_normaliser(100.0, 20) == pytest.approx(92.0)
    assert pyramid.update_normaliser(1.0, 0) == pytest.approx(1.0)


# --- decoding ---


def test_decoding_perfect_outputs_returns_the_assigned_segments():
    segments = torch.tensor([[3.0, 9.5], [12.25, 14.75], [20.0, 52.0], [40.0, 44.0], [12.25, 14.75]])
    labels = torch.tensor([0, 2, 1, 2, 1])
    pts = points(60, 5)
    targets = assign(pts, segments, labels, num_classes=3)
    logits = targets.classes * 20 - 10
    found = decode(logits, targets.offsets, torch.ones(len(pts.strides), dtype=torch.bool), pts, min_score=0.5)
    seen = {(*segment.tolist(), label.item()) for segment, label in zip(found[0], found[2], strict=True)}
    assert seen == {(*segment.tolist(), label.item()) for segment, label in zip(segments, labels, strict=True)}
    assert len(found.scores) == int(targets.classes.sum())


def test_decoding_thresholds_keeps_the_best_of_each_level_or_of_all_and_clips():
    torch.manual_seed(2)
    pts = points(16, 3)
    logits, offsets = torch.randn(len(pts.strides), 4), torch.rand(len(pts.strides), 2) * 3
    mask = torch.rand(len(pts.strides)) < 0.8
    limits = (0.5, 14.0)

    def slow(top_k, per_level):
        candidates = []
        for i, a in itertools.product(range(len(mask)), range(4)):
            score = logits[i, a].sigmoid().item()
            if mask[i] and score > 0.4:
                stride, at = pts.strides[i].item(), pts.positions_grid[i].item()
                start, end = (at - stride * offsets[i, 0].item(), at + stride * offsets[i, 1].item())
                candidates.append((score, max(start, limits[0]), min(end, limits[1]), a, stride))
        groups = [[c for c in candidates if not per_level or c[4] == s] for s in ((1, 2, 4) if per_level else (1,))]
        kept = [c for group in groups for c in sorted(group, reverse=True)[:top_k]]
        return sorted((c[:4] for c in kept if c[2] - c[1] > 0.6), reverse=True)

    for top_k, per_level in itertools.product((3, 1000), (True, False)):
        found = decode(
            logits, offsets, mask, pts,
            min_score=0.4, top_k=top_k, per_level=per_level, min_length_grid=0.6, limits_grid=limits,
        )  # fmt: skip
        expected = slow(top_k, per_level)
        assert len(expected) == len(found.scores) > 0
        rows = torch.cat((found.scores[:, None], found.segments_grid, found.labels[:, None]), 1)
        torch.testing.assert_close(rows, torch.tensor(expected), atol=1e-5, rtol=0)


def test_decoding_nothing_returns_empty_tensors():
    pts = points(8, 2)
    found = decode(torch.full((12, 3), -20.0), torch.rand(12, 2), torch.ones(12, dtype=torch.bool), pts)
    assert found.segments_grid.shape == (0, 2) and len(found.scores) == len(found.labels) == 0


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
