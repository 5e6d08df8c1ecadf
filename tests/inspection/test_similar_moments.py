"""Similar moments by hand-made features: neighbours, doubtful labels, and what is said where features are missing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.made_runs import made_run, made_world
from losa.inspection import similar_moments
from losa.inspection.run_folder import open_run
from losa.inspection.similar_moments import FOUND, collect_moments, find_doubts, find_similar
from losa.segments import Grid


class Made:
    """Features of 2 channels at every second: what happens is written in them; test_3's jump looks like a kick."""

    recipe, tuned = SimpleNamespace(layers=(3,)), None

    def __init__(self, run):
        self.run = run

    def time_grid(self, video):
        return Grid(1.0, 1)

    def num_snippets(self, video):
        return 40

    def has(self, video, copy=0):
        return True

    def ensure(self, videos):
        raise AssertionError("nothing is to be computed")

    def decode_counts(self, videos):
        return {}

    def fetch(self, video, start, stop, copy=0):
        return {"video": video.id}

    def features(self, fetched):
        last = 0.1 * torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
        for row in self.run.truth[fetched["video"]]:
            kick = row["label"] == "kick" or fetched["video"] == "test_3"
            start, end = (round(t) for t in row["segment"])
            last[int(kick), start:end + 1] += 5.0
        return last[None, :, :, None, None].expand(1, 2, 40, 2, 2), last


@pytest.fixture
def run(tmp_path, monkeypatch):
    made_run(tmp_path / "run", made_world(tmp_path / "world", 0, num_videos=6), 0.1)
    run = open_run(tmp_path / "run")
    monkeypatch.setattr(similar_moments, "_open_source", lambda run, videos: Made(run))
    return run


@pytest.mark.parametrize("tap", ["last layer", "block 3"])
def test_a_jump_is_most_like_other_jumps_and_itself_is_not_among_them(run, tap):
    found = find_similar(run, "test_0", "truth", 0, k=4, tap=tap)
    assert list(found.columns) == FOUND and len(found) == 4
    assert set(found.really + found.predicted) == {"jump"} and found.value.is_monotonic_decreasing
    assert "test_0" not in found.video.tolist() and "test_3" not in found.video.tolist()
    every = find_similar(run, "test_0", "truth", 0, k=1000, tap=tap)
    overlapping = every[(every.video == "test_0") & (every.start < 7) & (every.end > 5)]
    assert len(overlapping) == 0 and every.value.between(-1.001, 1.001).all()


def test_the_cosine_is_that_of_plain_numpy(run):
    moments = collect_moments(run)
    x = moments.features["last layer"].astype(float)
    x = (x - x.mean(0)) / x.std(0)
    i, j = 0, len(x) - 1
    expected = x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j])
    assert moments.compare({"last layer": moments.features["last layer"][[i]]}, "last layer")[0, j] == pytest.approx(
        expected, abs=1e-4)
    assert collect_moments(run) is moments


def test_a_low_prediction_is_looked_up_although_it_is_no_neighbour_of_others(run):
    run.predictions["test_1"].append({"segment": [20.0, 25.0], "label": "jump", "score": 0.01})
    index = len(run.predictions["test_1"]) - 1
    found = find_similar(run, "test_1", "prediction", index, k=3)
    assert set(found.really + found.predicted) <= {"kick", "jump"} and found.value.iloc[0] > 0.9


def test_the_mislabelled_one_is_the_doubt(run):
    found = find_doubts(run, k=4)
    assert found[["video", "really", "predicted", "value"]].values.tolist() == [["test_3", "jump", "kick", 1.0]]


def test_what_cannot_be_looked_up_says_why(run):
    with pytest.raises(ValueError, match="'block 7': expected one of last layer, block 3"):
        find_similar(run, "test_0", "truth", 0, tap="block 7")
    with pytest.raises(ValueError, match="no truth 5 in 'test_0', which has 2"):
        find_similar(run, "test_0", "truth", 5)
    with pytest.raises(ValueError, match="no truth 0 in 'lost', which has 0"):
        find_similar(run, "lost", "truth", 0)


def test_nothing_is_computed_where_the_cache_lacks_features(tmp_path, monkeypatch):
    made_run(tmp_path / "run", made_world(tmp_path / "world", 0, num_videos=2), 0.1)
    run = open_run(tmp_path / "run")
    empty = SimpleNamespace(has=lambda video: video.id == "test_1")
    monkeypatch.setattr(similar_moments, "open_features", lambda *words, **named: empty)
    cached = replace(run, config=run.config.replace(cache="taps"))
    with pytest.raises(RuntimeError, match="1 of 2 videos of run have no taps in taps: test_0; compute them with "
                                           "`losa data extract --config .*config.json`"):
        find_similar(cached, "test_0", "truth", 0)
    with pytest.raises(RuntimeError, match="keeps no taps.*cache=FOLDER"):
        find_doubts(replace(run, config=run.config.replace(cache="")))
