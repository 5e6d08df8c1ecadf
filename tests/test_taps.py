"""The taps cache against taps computed on the fly, its key, and what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from losa import taps as taps_module
from losa.backbone import VideoViT, freeze_backbone, taps
from losa.config import PRESETS
from losa.data import load_annotations
from losa.taps import CachedTaps, CacheError, LiveTaps, TapRecipe, fill, open_taps


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos


def live_and_cache(tiny, folder, **fields):
    config = PRESETS["tiny"](tiny, **fields)
    torch.manual_seed(0)
    backbone = freeze_backbone(VideoViT(dim=24, depth=3, num_heads=2, contrast=True))
    recipe = TapRecipe.make(config, backbone)
    return LiveTaps(backbone, recipe), CachedTaps(folder, recipe)


@pytest.mark.parametrize("fields", [dict(), dict(clip_stride=8), dict(grid=2), dict(sample_fps=9.0),
                                    dict(frame_stride=2), dict(taps="last")])
def test_cached_and_live_windows_agree_wherever_they_start(tiny, videos, tmp_path, fields):
    live, cache = live_and_cache(tiny, tmp_path, **fields)
    video = videos[0]
    fill(cache, live, (video,), quiet=True)
    total = live.num_snippets(video)
    assert cache.num_snippets(video) == total and cache.time_grid(video) == live.time_grid(video)
    for start, stop in [(0, total), (0, 3), (5, 6), (7, 29), (total - 11, total), (total - 1, total)]:
        stored, fresh = (s.features(s.fetch(video, start, stop)) for s in (cache, live))
        for a, b in zip(stored, fresh, strict=True):
            assert a.shape == b.shape and a.shape[-1 if a.dim() == 2 else 2] == stop - start
            torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3)


def test_window_equals_the_backbone_run_over_the_whole_video(tiny, videos, tmp_path):
    live, _ = live_and_cache(tiny, tmp_path, clip_stride=8)
    video, total = videos[1], live.num_snippets(videos[1])
    frames = live.fetch(video, 0, total)["frames"]
    whole, last = taps(live.backbone, frames, live.recipe.layers, clip_stride=8, chunk=100)
    got, got_last = live.features(live.fetch(video, 13, 31))
    torch.testing.assert_close(got, whole[:, :, 13:31], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got_last, last[:, 13:31], rtol=1e-4, atol=1e-5)


def test_a_time_range_of_a_file_is_a_video_of_its_own(tiny, videos, tmp_path):
    live, cache = live_and_cache(tiny, tmp_path)
    part = replace(videos[0], id="part", start=4.0, duration=4.0)
    assert live.num_snippets(part) == 24 and cache.path(part) != cache.path(videos[0])
    whole, cut = live.fetch(videos[0], 24, 40)["frames"], live.fetch(part, 0, 16)["frames"]
    assert torch.equal(whole, cut)  # 4 s are 48 frames: a clip border in both


def test_key_depends_on_content_and_on_every_ingredient(tiny, videos, tmp_path):
    _, cache = live_and_cache(tiny, tmp_path)
    keys = {cache.stored.key(videos[0]), cache.stored.key(videos[1])}
    other = dict(weights="x", layers=(0,), grid=2, clip_stride=8, sample_fps=5.0, frame_stride=2, input_size=32,
                 mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), compute_dtype="bfloat16", format=9)
    keys |= {replace(cache.stored, **{k: v}).key(videos[0]) for k, v in other.items()}
    assert len(keys) == 2 + len(other)
    moved = tmp_path / "elsewhere.mp4"
    shutil.copy(videos[0].path, moved)
    assert cache.stored.key(replace(videos[0], path=moved, id="renamed")) == cache.stored.key(videos[0])


def test_layers_may_be_chosen_from_what_is_stored(tiny, videos, tmp_path):
    live, cache = live_and_cache(tiny, tmp_path)
    fill(cache, live, videos[:1], quiet=True)
    some = CachedTaps(tmp_path, cache.stored, layers=(2, 0))
    tapped, last = some.features(some.fetch(videos[0], 0, 9))
    whole, same = cache.features(cache.fetch(videos[0], 0, 9))
    assert torch.equal(tapped, whole[[2, 0]]) and torch.equal(last, same)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_files_are_noticed(tiny, videos, tmp_path, damage):
    live, cache = live_and_cache(tiny, tmp_path)
    fill(cache, live, videos[:1], quiet=True)
    path = cache.path(videos[0])
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-100])
    with pytest.raises(CacheError, match="are damaged; delete that file"):
        cache.fetch(videos[0], 0, 4)


@pytest.mark.parametrize("bad", [float("nan"), 1e5])
def test_values_fp16_cannot_hold_leave_no_file(tiny, videos, tmp_path, monkeypatch, bad):
    live, cache = live_and_cache(tiny, tmp_path / "c")
    monkeypatch.setattr(taps_module.backbones, "taps", lambda *a, **k: (
        torch.full((3, 24, 500, 1, 1), bad), torch.zeros(24, 500)))
    with pytest.raises(CacheError, match="fp16 ends at 65504"):
        fill(cache, live, videos[:1], quiet=True)
    assert not list((tmp_path / "c").iterdir())


def test_size_is_said_before_and_true_afterwards(tiny, videos, tmp_path, capsys):
    live, cache = live_and_cache(tiny, tmp_path / "c")
    fill(cache, live, videos[:2])
    said = capsys.readouterr().out
    size = sum(p.stat().st_size - 128 for p in (tmp_path / "c").glob("*.npy")) / 2**20
    assert f"2 videos, {sum(map(live.num_snippets, videos[:2])):,} snippets, {size:,.1f} MiB" in said
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}
    fill(cache, live, videos[:2])
    assert capsys.readouterr().out == "" and stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}


def test_open_taps_gives_cache_or_live_with_equal_recipe(tiny, videos, tmp_path):
    config = PRESETS["tiny"](tiny, cache=str(tmp_path), taps="half")
    cached = open_taps(config, videos[:1], quiet=True)
    live = open_taps(config.replace(cache=""), videos[:1], quiet=True)
    assert isinstance(cached, CachedTaps) and isinstance(live, LiveTaps) and cached.recipe == live.recipe
    assert json.loads(cached.path(videos[0]).with_suffix(".json").read_text())["recipe"]["layers"] == [0, 1, 2, 3, 4, 5]
    stored, fresh = (s.features(s.fetch(videos[0], 2, 20))[0] for s in (cached, live))
    assert stored.shape == (3, 96, 18, 1, 1) and np.allclose(stored, fresh, rtol=2e-3, atol=2e-3)
