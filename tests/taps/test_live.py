"""Taps on the fly: which frames a feature sees, when they are shown, and that windows are pieces of the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from helpers.clock import EVEN, ClockBackbone, ClockReader, clock_source, clock_video, serve
from helpers.made_sources import live_and_cache, whole
from helpers.video_files import copy_packets, write_video
from losa.annotations.dataset import load_annotations
from losa.backbones.clips import extract_taps
from losa.taps import live as taps_module
from losa.training.windows import Windows, loader
from losa.video.probe import Signs


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos


def test_window_equals_the_backbone_run_over_the_whole_video(tiny, videos, tmp_path):
    live, _ = live_and_cache(tiny, tmp_path, clip_stride=8)
    video, total = videos[1], live.num_snippets(videos[1])
    frames = live.fetch(video, 0, total)["frames"]
    whole, last = extract_taps(live.backbone, frames, live.recipe.layers, clip_stride=8, chunk=100)
    got, got_last = live.features(live.fetch(video, 13, 31))
    torch.testing.assert_close(got, whole[:, :, 13:31], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got_last, last[:, 13:31], rtol=1e-4, atol=1e-5)


def test_a_time_range_of_a_file_is_a_video_of_its_own(tiny, videos, tmp_path):
    live, cache = live_and_cache(tiny, tmp_path)
    part = replace(videos[0], id="part", start=4.0, duration=4.0)
    assert live.num_snippets(part) == 24 and cache.path(part) != cache.path(videos[0])
    whole, cut = live.fetch(videos[0], 24, 40)["frames"], live.fetch(part, 0, 16)["frames"]
    assert torch.equal(whole, cut)  # 4 s are 48 frames: a clip border in both


UNEVEN = np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.1], 900)) - 0.02  # a frame is shown for up to 0.1 s


SAMPLINGS = [dict(), dict(frame_stride=4), dict(sample_fps=7.0), dict(frames_per_video=160), dict(clip_stride=8),
             dict(frame_stride=3, clip_stride=4), dict(sample_fps=10.0, snippet_frames=1),
             dict(frame_stride=4, snippet_frames=0.7), dict(frames_per_video=160, snippets_per_video=192),
             dict(frame_stride=2, clip_stride=8, snippets_per_video=50)]


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


def test_workers_of_a_loader_open_files_themselves(tiny, videos, tmp_path):
    live, _ = live_and_cache(tiny, tmp_path)
    windows = Windows(videos[:2], live, 20)
    here = [windows[0, i]["fetched"]["frames"] for i in (0, 1)]  # the parent has both files open now
    there = list(loader(windows, [[(0, 0)], [(0, 1)]], num_workers=2))
    again = list(DataLoader(windows, sampler=[(0, 0)], batch_size=None, num_workers=0))
    assert all(torch.equal(a, b[0]["fetched"]["frames"]) for a, b in zip(here, there, strict=True))
    assert torch.equal(again[0]["fetched"]["frames"], here[0])


def test_pixels_reach_the_backbone_a_few_frames_at_a_time(monkeypatch):
    monkeypatch.setattr(taps_module, "NATIVE_BYTES", 4 * 4 * 3 * 5)
    reader = serve(monkeypatch, ClockReader(EVEN, 30.0))
    live = clock_source(dict())
    assert live.fetch(clock_video(), 3, 200)["frames"].shape[1:] == (3, 4, 4) and reader.most == 5
