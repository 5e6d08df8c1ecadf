import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.slow_overlap import slow_tiou
from losa.inference.postprocess import to_records
from losa.segments import Grid, tiou, write_predictions

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


def test_tiou_against_pairs_one_by_one():
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.integers(0, 8, (n, 2)), axis=1) for n in (40, 30))
    expected = [[slow_tiou(x, y) for y in b] for x in a]
    with np.errstate(all="raise"):
        assert np.array_equal(tiou(a, b), expected)
        assert tiou(a[:0], b).shape == (0, 30)
        assert tiou(np.array([[2.0, 2.0]]), np.array([[2.0, 2.0]])) == 0


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
