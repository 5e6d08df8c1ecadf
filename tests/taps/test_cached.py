"""The taps cache against taps computed on the fly, its key, and what it refuses."""

import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from helpers.clock import ClockBackbone, ClockReader, clock_video, serve
from helpers.video_files import copy_packets, write_video
from losa.annotations.dataset import load_annotations
from losa.backbones.vit import VideoViT, freeze_backbone, taps
from losa.config import Config
from losa.errors import CacheError
from losa.files import content_id
from losa.presets import PRESETS
from losa.taps import live as taps_module
from losa.taps.cache_files import map_rows, verify
from losa.taps.cached import CachedTaps
from losa.taps.extract import fill
from losa.taps.live import LiveTaps
from losa.taps.recipe import TapRecipe
from losa.taps.resampled import Resampled
from losa.training.windows import Windows, loader
from losa.video.probe import Signs


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
                                    dict(frame_stride=2), dict(taps="last"), dict(frames_per_video=100),
                                    dict(resize="crop")])
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
                 frames_per_video=64, resize="crop", clip_length=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
                 compute_dtype="bfloat16", format=9)
    keys |= {replace(cache.stored, **{k: v}).key(videos[0]) for k, v in other.items()}
    assert len(keys) == 2 + len(other)
    interpolated = replace(cache.stored, snippet_frames=1.0, snippets_per_video=None)
    assert interpolated.key(videos[0]) == cache.stored.key(videos[0])  # the files hold what lies before that
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
    with pytest.raises(CacheError, match=rf"{path} are damaged \(.+\); delete {path.name} and {path.stem}.json there"):
        cache.fetch(videos[0], 0, 4)


@pytest.mark.parametrize("bad", [float("nan"), 1e5])
def test_values_fp16_cannot_hold_leave_no_file(tiny, videos, tmp_path, monkeypatch, bad):
    live, cache = live_and_cache(tiny, tmp_path / "c")
    monkeypatch.setattr(taps_module.backbones, "taps", lambda *a, **k: (
        torch.full((3, 24, 500, 1, 1), bad), torch.zeros(24, 500)))
    with pytest.raises(CacheError, match="fp16 ends at 65504"):
        fill(cache, live, videos[:1], quiet=True)
    assert not list((tmp_path / "c").glob("[!.]*"))


def test_size_is_said_before_and_true_afterwards(tiny, videos, tmp_path, capsys):
    live, cache = live_and_cache(tiny, tmp_path / "c")
    fill(cache, live, videos[:2])
    said = capsys.readouterr().out
    size = sum(p.stat().st_size - 128 for p in (tmp_path / "c").glob("*.npy")) / 2**20
    assert f"2 videos, {sum(map(live.num_snippets, videos[:2])):,} snippets, {size:,.1f} MiB" in said
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}
    fill(cache, live, videos[:2])
    assert capsys.readouterr().out == "" and stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "c").iterdir()}


# --- time -----------------------------------------------------------------------------------------------------------

EVEN = np.arange(1200) / 30
UNEVEN = np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.1], 900)) - 0.02  # a frame is shown for up to 0.1 s
SAMPLINGS = [dict(), dict(frame_stride=4), dict(sample_fps=7.0), dict(frames_per_video=160), dict(clip_stride=8),
             dict(frame_stride=3, clip_stride=4), dict(sample_fps=10.0, snippet_frames=1),
             dict(frame_stride=4, snippet_frames=0.7), dict(frames_per_video=160, snippets_per_video=192),
             dict(frame_stride=2, clip_stride=8, snippets_per_video=50)]


def clock_source(fields, backbone=None):
    config = Config(**fields)
    backbone = backbone or ClockBackbone()
    live = LiveTaps(backbone, TapRecipe.make(config, backbone))
    if config.snippet_frames or config.snippets_per_video:
        return Resampled(live, config.snippet_frames, config.snippets_per_video)
    return live


def whole(source, video):
    return source.features(source.fetch(video, 0, source.num_snippets(video)))


@pytest.mark.parametrize("timestamps", [EVEN, UNEVEN - UNEVEN[0]], ids=["even", "uneven"])
@pytest.mark.parametrize("fields", SAMPLINGS, ids=str)
@pytest.mark.parametrize("shape", [(16, 2), (1, 1)], ids=["clips", "images"])
def test_the_grid_says_when_the_frames_behind_a_feature_are_shown(monkeypatch, timestamps, fields, shape):
    """The oracle is the picture itself: it carries its time."""
    if shape == (1, 1) and "clip_stride" in fields:
        return
    fps = 1 / np.diff(timestamps).mean()
    serve(monkeypatch, ClockReader(timestamps, fps))
    source, video = clock_source(fields, ClockBackbone(*shape)), clock_video(float(timestamps[-1]))
    grid, total = source.time_grid(video), source.num_snippets(video)
    seen = whole(source, video)[1][0].numpy()
    inside = np.arange(int(np.ceil(2 * shape[1])), total - int(np.ceil(2 * shape[1])))
    off = seen[inside] - grid.to_seconds(inside)
    every_nth = not fields.keys() & {"sample_fps", "frames_per_video"}
    most, middle = (0.1, 0.04) if timestamps is not EVEN else (0, 0) if every_nth else (1 / 60, 2e-3)
    assert len(inside) > 20 and np.abs(off).max() < most + 1e-3 and abs(off.mean()) < middle + 1e-3
    assert grid.to_seconds(total - 1) < video.duration + grid.snippet_seconds


@settings(max_examples=40)
@given(st.sampled_from(SAMPLINGS), st.floats(0, 1), st.floats(0, 1))
def test_a_window_is_a_piece_of_the_whole_wherever_it_starts(fields, first, length):
    with pytest.MonkeyPatch.context() as patch:
        serve(patch, ClockReader(EVEN, 30.0))
        source, video = clock_source(fields), clock_video()
        total = source.num_snippets(video)
        start = min(int(first * total), total - 1)
        stop = start + max(1, round(length * (total - start)))
        parts = source.features(source.fetch(video, start, stop))
        for part, every, dim in zip(parts, whole(source, video), (2, 1), strict=True):
            assert torch.equal(part, every.narrow(dim, start, stop - start))


def test_whoever_waits_hears_of_a_file_that_is_decoded_to_be_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(Signs, "EVERY_S", 0.0)
    write_video(tmp_path / "long.mp4", 100)
    signs, video = [], replace(clock_video(4.0), path=copy_packets(tmp_path / "long.mp4", tmp_path / "long.ts"))
    live = clock_source(dict(frames_per_video=4), ClockBackbone(1, 1))
    live.reader(video, lambda: signs.append(1))
    assert live.num_snippets(video) == 4 and len(signs) >= 100
    del signs[:]
    live.fetch(video, 0, 4)
    assert len(signs) > 60
    live.close()


def test_frames_per_video_reads_so_many_over_the_whole_video(monkeypatch):
    serve(monkeypatch, ClockReader(EVEN, 30.0))
    source = clock_source(dict(frames_per_video=160))
    for duration in (40.0, 33.3, 8.0):
        video = clock_video(duration)
        assert source.num_frames(video) == 160 and source.num_snippets(video) == 80
        assert source.time_grid(video).sampled_fps == 160 / duration
        assert abs(source.frame_indices(video)[-1] / 30 - duration * 159 / 160) <= 1 / 60 + 1e-9


# --- files and processes --------------------------------------------------------------------------------------------


def test_workers_of_a_loader_open_files_themselves(tiny, videos, tmp_path):
    live, _ = live_and_cache(tiny, tmp_path)
    windows = Windows(videos[:2], live, 20)
    here = [windows[0, i]["fetched"]["frames"] for i in (0, 1)]  # the parent has both files open now
    there = list(loader(windows, [[(0, 0)], [(0, 1)]], num_workers=2))
    again = list(DataLoader(windows, sampler=[(0, 0)], batch_size=None, num_workers=0))
    assert all(torch.equal(a, b[0]["fetched"]["frames"]) for a, b in zip(here, there, strict=True))
    assert torch.equal(again[0]["fetched"]["frames"], here[0])


def test_few_files_are_open_however_many_are_cached(tmp_path):
    for i in range(100):
        np.save(tmp_path / f"{i}.npy", np.full((3, 2), i, np.float16))
    before = len(list(open_files()))
    for i in range(100):
        path = str(tmp_path / f"{i}.npy")
        verify(path, zlib.crc32(np.full((3, 2), i, np.float16)), 3, 2)
        assert map_rows(path)[0, 0] == i
    assert len(list(open_files())) - before <= 64


def open_files():
    folder = Path("/proc/self/fd")
    return folder.iterdir() if folder.is_dir() else ()


def test_content_of_large_files_is_told_by_pieces(tmp_path):
    data = bytearray(np.random.default_rng(0).bytes(3_000_000))
    names = []
    for i, change in enumerate([None, 0, 1_499_000, len(data) - 1]):
        if change is not None:
            data[change] ^= 1
        (tmp_path / f"{i}").write_bytes(data)
        names.append(content_id(str(tmp_path / f"{i}")))
    (tmp_path / "longer").write_bytes(data + b"x")
    small = [tmp_path / "small", tmp_path / "empty"]
    small[0].write_bytes(b"abc"), small[1].write_bytes(b"")
    names += [content_id(str(p)) for p in (tmp_path / "longer", *small)]
    assert names[0] != names[1] and names[2] != names[3] and len(set(names)) >= 6
    (tmp_path / "copy").write_bytes((tmp_path / "2").read_bytes())
    assert content_id(str(tmp_path / "copy")) == names[2]


def test_pixels_reach_the_backbone_a_few_frames_at_a_time(monkeypatch):
    monkeypatch.setattr(taps_module, "NATIVE_BYTES", 4 * 4 * 3 * 5)
    reader = serve(monkeypatch, ClockReader(EVEN, 30.0))
    live = clock_source(dict())
    assert live.fetch(clock_video(), 3, 200)["frames"].shape[1:] == (3, 4, 4) and reader.most == 5
