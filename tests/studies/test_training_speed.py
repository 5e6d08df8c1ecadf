"""That the benchmark trains what it says and that its table holds what it found. No time is asserted."""

import json

import pytest
import torch

from losa.annotations.dataset import load_annotations
from losa.studies.training_speed import PHASES, VARIANTS, make_data, train_speed, train_speed_table
from losa.taps.open import open_cache


def test_the_made_up_cache_is_full_and_as_long_as_the_videos(tmp_path):
    config = make_data(tmp_path, 3, (44, 46))
    cache, live = open_cache(config)
    videos = load_annotations(config.annotations).subset("train")
    assert len(videos) == 3 and live is not None and all(cache.has(video) for video in videos)
    for video in videos:
        assert cache.num_snippets(video) == video.duration * 6
        tapped, last = cache.features(cache.fetch(video, 10, 40))
        assert tapped.shape == (6, 96, 30, 1, 1) and last.shape == (96, 30)
        assert cache.time_grid(video).to_seconds(5.5) == pytest.approx(0.958333, abs=0.05)


def test_every_variant_is_trained_and_every_phase_has_a_share():
    before = torch.get_num_threads()
    found = train_speed(num_videos=4, epochs=1, repeats=1, profile_steps=2, seconds=(8, 9))
    assert torch.get_num_threads() == before and json.loads(json.dumps(found)) == found
    assert list(found["variants"]) == list(VARIANTS) and found["variants"]["head_only"]["times_head_only"] == 1
    for one in found["variants"].values():
        assert tuple(one["phases"]) == PHASES and sum(one["phases"].values()) == pytest.approx(1, abs=1e-3)
        assert one["seconds_per_epoch"] > 0
        assert one["seconds_in_all"] == pytest.approx(40 * one["seconds_per_epoch"], abs=0.1)
    lines = train_speed_table(found).splitlines()
    assert len(lines) == 4 + len(PHASES) and lines[0].split() == list(VARIANTS)
