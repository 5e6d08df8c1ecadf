"""Points of the pyramid: assignment, losses and decoding against slow loops and formulas."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.small_models import small_head
from losa.model import points as pyramid
from losa.model.points import assign, assign_batch, decode, losses, points


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
