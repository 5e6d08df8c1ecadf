"""Which source a config gets, and that a cache completes itself while it is open."""

import json

import numpy as np
import pytest

from losa.annotations.dataset import load_annotations
from losa.errors import CacheError
from losa.presets import PRESETS
from losa.taps import open as open_module
from losa.taps.cached import CachedTaps
from losa.taps.live import LiveTaps
from losa.taps.open import count_decoders, open_cache, open_features, open_live
from losa.taps.tuned import TunedTaps


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos


def test_a_config_gets_a_cache_or_live_taps_with_equal_recipe(tiny, videos, tmp_path):
    config = PRESETS["tiny"](tiny, cache=str(tmp_path), taps="half")
    cached = open_features(config, videos[:1], quiet=True)
    live = open_features(config.replace(cache=""), videos[:1], quiet=True)
    assert isinstance(cached, CachedTaps) and isinstance(live, LiveTaps) and cached.recipe == live.recipe
    assert json.loads(cached.path(videos[0]).with_suffix(".json").read_text())["recipe"]["layers"] == [0, 1, 2, 3, 4, 5]
    stored, fresh = (s.features(s.fetch(videos[0], 2, 20))[0] for s in (cached, live))
    assert stored.shape == (3, 96, 18, 1, 1) and np.allclose(stored, fresh, rtol=2e-3, atol=2e-3)


def test_an_open_cache_completes_itself_and_loads_the_backbone_only_for_that(tiny, videos, tmp_path, monkeypatch):
    config = PRESETS["tiny"](tiny, cache=str(tmp_path), frame_stride=8)
    source = open_features(config, videos[:1], quiet=True)
    loads, load = [], open_module.load_backbone
    monkeypatch.setattr(open_module, "load_backbone", lambda *a, **k: loads.append(a) or load(*a, **k))
    assert [source.has(video) for video in videos[:2]] == [True, False] and not loads
    source.ensure(videos[:2])
    assert source.has(videos[1]) and len(loads) == 1
    assert source.features(source.fetch(videos[1], 0, 3))[1].shape == (96, 3)


def test_a_cache_that_is_only_read_says_what_it_lacks(tiny, videos, tmp_path):
    cache, live = open_cache(PRESETS["tiny"](tiny, cache=str(tmp_path), frame_stride=8))
    assert cache.stored == live.recipe and not any(tmp_path.iterdir())
    with pytest.raises(CacheError, match=f"2 of 2 videos have no taps in {tmp_path}: {videos[0].id}.*extract"):
        cache.ensure(videos[:2])


def test_the_backbone_on_the_fly_whatever_cache_there_is(tiny, tmp_path):
    config = PRESETS["tiny"](tiny, cache=str(tmp_path))
    live, tuned = open_live(config), open_live(config.replace(mode="full", cache=""))
    assert type(live) is LiveTaps and live.recipe == open_features(config, (), quiet=True).recipe
    assert type(tuned) is TunedTaps and tuned.keep_bytes == 0 and tuned.tuned is not None


def test_at_least_one_decoder_can_be_killed(tiny, monkeypatch):
    config = PRESETS["tiny"](tiny, num_workers=0)
    monkeypatch.setattr(open_module.sys, "platform", "linux")
    monkeypatch.setattr(open_module.os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert count_decoders(config, "cpu") == 1 and count_decoders(config, "cuda") == 16
    assert count_decoders(config.replace(num_workers=20), "cuda") == 20
    monkeypatch.setattr(open_module.sys, "platform", "darwin")
    assert count_decoders(config, "cpu") == 0


def test_what_is_asked_before_comes_before_anything_is_computed(tiny, videos, tmp_path, monkeypatch):
    """With a cache, on the fly, interpolated and from feature files: the source is there, and nothing computed."""
    length = round(videos[0].duration * videos[0].fps / 4)
    np.save(tmp_path / f"{videos[0].id}.npy", np.zeros((length, 8), np.float32))
    ways = (dict(cache=str(tmp_path / "taps")), dict(cache=""), dict(cache=str(tmp_path / "taps"), snippet_frames=3),
            dict(cache="", taps="none", mode="head_only", features=str(tmp_path), feature_stride=4, feature_frames=4))
    monkeypatch.setattr(open_module, "_complete", lambda *_: asked.append("computed"))
    for fields in ways:
        config, asked = PRESETS["tiny"](tiny, **fields), []
        source = open_features(config, videos[:1], before=asked.append, quiet=True)
        assert asked[0] is source and asked[1:] == ["computed"] * (bool(config.cache))
