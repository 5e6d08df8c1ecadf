import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from losa.inference.nms import soft_nms, vote
from losa.inference.postprocess import to_records
from losa.segments import Grid, tiou, write_predictions

TORCH = settings(deadline=None, max_examples=60)


# --- Grid -------------------------------------------------------------------------------------------------


@given(
    fps=st.floats(0.5, 120),
    tubelet=st.integers(1, 64),
    points=st.lists(st.floats(-10, 1e5), min_size=1, max_size=5),
)
def test_grid_round_trip(fps, tubelet, points):
    grid = Grid(fps, tubelet)
    for x in (points[0], np.array(points), torch.tensor(points, dtype=torch.float64)):
        assert np.allclose(grid.to_grid(grid.to_seconds(x)), x, rtol=1e-12, atol=1e-9)
        assert np.allclose(grid.to_seconds(grid.to_grid(x)), x, rtol=1e-12, atol=1e-9)


@given(fps=st.floats(0.5, 120), tubelet=st.integers(1, 64), snippet=st.integers(0, 5000))
def test_grid_position_is_the_mean_time_of_the_frames_it_covers(fps, tubelet, snippet):
    frames = np.arange(snippet * tubelet, (snippet + 1) * tubelet)
    grid = Grid(fps, tubelet)
    assert math.isclose(grid.to_seconds(float(snippet)), (frames / fps).mean(), rel_tol=1e-9, abs_tol=1e-12)
    step = grid.to_seconds(snippet + 1.0) - grid.to_seconds(float(snippet))
    assert math.isclose(step, grid.snippet_seconds, rel_tol=1e-6)
    assert grid.num_snippets(len(frames) * snippet) == snippet


def test_grid_num_snippets_counts_the_partial_one():
    assert [Grid(10, 4).num_snippets(n) for n in (0, 1, 4, 5, 8)] == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("fps, tubelet", [(0.0, 2), (-1.0, 2), (math.nan, 2), (math.inf, 2), (10.0, 0)])
def test_grid_refuses(fps, tubelet):
    with pytest.raises(ValueError, match="expected a positive number of frames"):
        Grid(fps, tubelet)


# --- overlap ----------------------------------------------------------------------------------------------


def slow_tiou(a, b):
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - inter
    return inter / union if union > 0 else 0.0


def test_tiou_against_pairs_one_by_one():
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.integers(0, 8, (n, 2)), axis=1) for n in (40, 30))
    expected = [[slow_tiou(x, y) for y in b] for x in a]
    with np.errstate(all="raise"):
        assert np.array_equal(tiou(a, b), expected)
        assert tiou(a[:0], b).shape == (0, 30)
        assert tiou(np.array([[2.0, 2.0]]), np.array([[2.0, 2.0]])) == 0


# --- soft-NMS ---------------------------------------------------------------------------------------------


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


# --- voting -----------------------------------------------------------------------------------------------


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


# --- records ----------------------------------------------------------------------------------------------


def test_records_and_the_file(tmp_path):
    records = to_records(torch.tensor([[0.5, 2.0]]), torch.tensor([0.25]), torch.tensor([1]), ("a", "b"))
    assert records == [{"segment": [0.5, 2.0], "label": "b", "score": 0.25}]
    assert to_records(np.array([[0.5, 2.0]]), np.array([0.25]), np.array([1]), ["a", "b"]) == records
    path = write_predictions(tmp_path / "new" / "p.json", {"v": records, "w": []}, {"run": "x"})
    content = json.loads(path.read_text())
    assert content["results"] == {"v": records, "w": []} and content["external_data"] == {"run": "x"}
    assert set(content) == {"version", "results", "external_data"}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_predictions(tmp_path / "p.json", {"v": []})
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_predictions(path, {"v": [{"segment": [0.0, float("nan")], "label": "a", "score": 1.0}]})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["p.json"]
