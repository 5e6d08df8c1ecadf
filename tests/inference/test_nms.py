"""Soft non-maximum suppression and voting against slow twins."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.slow_overlap import slow_tiou
from losa.inference.nms import soft_nms, vote

TORCH = settings(deadline=None, max_examples=60)


def slow_soft_nms(segments, scores, labels, sigma, min_score, max_segments, class_wise, method, threshold):
    """Indices and scores of what is kept, one candidate at a time in plain Python."""
    kept = []
    for group in sorted(set(labels)) if class_wise else [None]:
        left = {i: s for i, s in enumerate(scores) if s >= min_score and group in (None, labels[i])}
        count = 0
        while left and count < max_segments:
            best = min(left, key=lambda i: (-left[i], i))
            kept.append((-left.pop(best), best))
            count += 1
            for i in list(left):
                overlap = slow_tiou(segments[best], segments[i])
                if method == "gaussian":
                    left[i] *= math.exp(-(overlap**2) / sigma)
                elif overlap >= threshold:
                    left[i] *= 1 - overlap if method == "linear" else 0
                if left[i] < min_score:
                    del left[i]
    kept = sorted(kept)[:max_segments]
    return [i for _, i in kept], [-s for s, _ in kept]


@st.composite
def candidates(draw):
    """Few distinct times and scores, so that ties, copies and zero length are common."""
    num = draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    segments = np.sort(rng.integers(0, draw(st.sampled_from([4, 30])), (num, 2)), axis=1) / 2
    scores = rng.integers(0, draw(st.sampled_from([3, 1000])), num) / 1000
    return segments, scores, rng.integers(0, draw(st.integers(1, 6)), num) * 3


@TORCH
@given(
    data=candidates(),
    sigma=st.sampled_from([0.1, 0.5, 0.9]),
    min_score=st.sampled_from([0.001, 0.0015, 0.3]),
    max_segments=st.sampled_from([0, 1, 5, 200]),
    class_wise=st.booleans(),
    method=st.sampled_from(["gaussian", "linear", "hard"]),
)
def test_soft_nms_equals_the_slow_twin(data, sigma, min_score, max_segments, class_wise, method):
    segments, scores, labels = data
    index, expected = slow_soft_nms(*data, sigma, min_score, max_segments, class_wise, method, 0.4)
    got = soft_nms(
        torch.tensor(segments), torch.tensor(scores), torch.tensor(labels), sigma=sigma, min_score=min_score,
        max_segments=max_segments, class_wise=class_wise, method=method, tiou=0.4,
    )  # fmt: skip
    assert np.array_equal(got[0].numpy(), segments[index])
    assert np.allclose(got[1].numpy(), expected, rtol=1e-12)
    assert np.array_equal(got[2].numpy(), labels[index])


def random_candidates(num, num_classes, seed=0):
    gen = torch.Generator().manual_seed(seed)
    start = torch.rand(num, generator=gen) * 200
    segments = torch.stack([start, start + torch.rand(num, generator=gen) * 20], dim=1)
    return segments, torch.rand(num, generator=gen), torch.randint(0, num_classes, (num,), generator=gen)


def test_soft_nms_hard_equals_torchvision():
    from torchvision.ops import batched_nms

    segments, scores, labels = random_candidates(600, 4)
    boxes = torch.stack([segments[:, 0], torch.zeros(600), segments[:, 1], torch.ones(600)], dim=1)
    keep = batched_nms(boxes, scores, labels, 0.5)
    got = soft_nms(segments, scores, labels, method="hard", tiou=0.5, max_segments=600)
    keep = keep[scores[keep] >= 0.001]
    assert torch.equal(got[0], segments[keep]) and torch.equal(got[1], scores[keep])


def test_soft_nms_changes_no_input_and_stays_float32():
    segments, scores, labels = random_candidates(300, 3)
    before = segments.clone(), scores.clone(), labels.clone()
    got = soft_nms(segments, scores, labels)
    assert all(torch.equal(a, b) for a, b in zip(before, (segments, scores, labels), strict=True))
    assert got[0].dtype == got[1].dtype == torch.float32 and got[2].dtype == torch.int64


@pytest.mark.parametrize("method, span", [("gaussian", 200), ("gaussian", 3000), ("hard", 400)])
def test_soft_nms_equals_the_slow_twin_on_many_that_stay(method, span):
    """So many rounds that what is gone is cleared away several times, by rows of unlike length."""
    segments, scores, labels = random_candidates(500, 3)
    segments[:, 0], labels = segments[:, 0] * span / 200, labels.minimum(torch.tensor(1))
    segments[:, 1] = segments[:, 0] + 1 + labels
    data = [x.double() for x in (segments, scores)]
    index, expected = slow_soft_nms(*(x.tolist() for x in (*data, labels)), 0.5, 0.01, 450, True, method, 0.5)
    got = soft_nms(*data, labels, min_score=0.01, max_segments=450, method=method)
    assert len(index) > 128 and torch.equal(got[0], data[0][index]) and torch.equal(got[2], labels[index])
    assert np.allclose(got[1].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_soft_nms_refuses_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="nan or infinite"):
        soft_nms(torch.tensor([[0.0, 1.0]]), torch.tensor([bad]), torch.tensor([0]))


def test_soft_nms_refuses_an_unknown_method():
    with pytest.raises(Exception, match="method"):
        soft_nms(torch.tensor([[0.0, 1.0]]), torch.tensor([0.5]), torch.tensor([0]), method="median")


@TORCH
@given(data=candidates(), use_tiou=st.booleans(), threshold=st.sampled_from([0.2, 0.5, 0.9]))
def test_vote_equals_the_weighted_mean(data, use_tiou, threshold):
    segments, scores, _ = data
    kept = segments[::2]
    tensors = torch.tensor(kept), torch.tensor(segments), torch.tensor(scores)
    got = vote(*tensors, tiou=threshold, use_tiou=use_tiou)
    for moved, segment in zip(got.numpy(), kept, strict=True):
        overlaps = [slow_tiou(segment, other) for other in segments]
        near = zip(scores, overlaps, strict=True)
        weights = [score * (o if use_tiou else 1) * (o >= threshold) for score, o in near]
        expected = np.average(segments, axis=0, weights=weights) if sum(weights) > 0 else segment
        assert np.allclose(moved, expected, rtol=1e-12)
