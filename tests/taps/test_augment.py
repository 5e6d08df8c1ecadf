"""Further copies of training videos: pixels and clips by brute force, cached against live, and what the cache names."""

from collections import defaultdict

import numpy as np
import pytest
import torch

from helpers.clock import clock_video
from helpers.made_sources import Numbers, live_and_cache
from losa.annotations.dataset import load_annotations
from losa.backbones.clips import resize_frames
from losa.errors import CacheError, ConfigError, FeatureError
from losa.presets import PRESETS
from losa.taps import decoding
from losa.taps import live as taps_module
from losa.taps.augment import GAIN, SMALLEST, Change, choose_phase, cut_and_mirror, draw_change, recolour
from losa.taps.extract import fill
from losa.taps.npy import NpyFeatures
from losa.taps.open import open_features
from losa.taps.resampled import Resampled
from losa.training.windows import Windows
from losa.video.reader import Reader


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos


# --- what is drawn --------------------------------------------------------------------------------------------------


def test_copies_of_many_videos_are_of_every_kind():
    drawn = [draw_change(f"video_{i}", copy) for i in range(200) for copy in (1, 2)]
    assert len(set(drawn)) == 400 and draw_change("video_0", 1) == drawn[0] and draw_change("video_0", 0) is None
    assert 120 < sum(change.mirror for change in drawn) < 280
    assert all(SMALLEST <= change.part[0] <= 1 and 0 <= min(change.part[1:]) <= 1 for change in drawn)
    stronger = [change for change in drawn if change.gain != (1, 1, 1)]
    assert 120 < len(stronger) < 280 and all(change.channels == (0, 1, 2) for change in stronger)
    assert all(GAIN[0] <= min(change.gain) <= max(change.gain) <= GAIN[1] for change in stronger)
    assert len({change.channels for change in drawn}) == 6


@pytest.mark.parametrize("mirror", [False, True])
def test_pixels_one_by_one(mirror):
    change = Change(mirror, (0.75, 1.0, 0.5), (1.5, 0.5, 1.0), (2, 0, 1))
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8))
    part = cut_and_mirror(frames, change)
    got = recolour(part.permute(0, 3, 1, 2).contiguous(), change)
    assert got.shape == (2, 3, 6, 9)
    for n, channel, y, x in np.ndindex(*got.shape):
        left = 2 + (8 - x if mirror else x)  # 9 of 12 columns are kept, the third that is left out is halved: 1.5 -> 2
        value = float(frames[n, 2 + y, left, (2, 0, 1)[channel]]) * (1.5, 0.5, 1.0)[channel]
        assert int(got[n, channel, y, x]) == min(255, round(value))


def test_a_copy_changes_all_pictures_of_its_video_alike(tiny, videos, tmp_path):
    live, _ = live_and_cache(tiny, tmp_path)
    video, total = videos[0], live.num_snippets(videos[0])
    native = Reader(str(video.path)).read(np.arange(40))
    for copy in (1, 2):
        change, shift = draw_change(video.id, copy), 2 * choose_phase(copy, 8)
        seen = resize_frames(cut_and_mirror(native, change), 48)
        frames = live.fetch(video, 0, total, copy)["frames"]
        expected = recolour(seen, change)
        assert all(torch.equal(frames[i], expected[0]) for i in range(shift))
        assert torch.equal(frames[shift:shift + 40], expected)
        assert not torch.equal(expected, live.fetch(video, 0, 20)["frames"][:40])
        assert torch.equal(live.fetch(video, 8, 12, copy)["frames"],  # a stretch that shares frames with the one before
                           frames[(16 + shift) // 16 * 16:-(-(24 + shift) // 16) * 16])


# --- when its clips begin -------------------------------------------------------------------------------------------


def test_the_first_copies_differ_most_in_phase():
    assert [choose_phase(copy, 8) for copy in range(10)] == [0, 4, 2, 6, 1, 5, 3, 7, 0, 4]
    assert [choose_phase(copy, 1) for copy in range(4)] == [0, 0, 0, 0]
    for num in range(1, 13):  # each once before one comes again
        assert sorted(choose_phase(copy, num) for copy in range(num)) == list(range(num))
        assert choose_phase(num, num) == 0


@pytest.mark.parametrize("fields", [dict(), dict(clip_stride=8), dict(clip_stride=6), dict(frame_stride=3)], ids=str)
@pytest.mark.parametrize("copy", [1, 2])
def test_clips_that_begin_before_the_video_by_brute_force(tiny, videos, tmp_path, monkeypatch, fields, copy):
    monkeypatch.setattr(taps_module, "draw_change", lambda *_: None)
    live, _ = live_and_cache(tiny, tmp_path, **fields)
    video, total, stride = videos[1], live.num_snippets(videos[1]), live.recipe.clip_stride
    frames = live.fetch(video, 0, total)["frames"]
    shift, found = 2 * choose_phase(copy, stride // 2), defaultdict(list)
    assert shift > 0 and len(frames) == live.num_frames(video)
    for begin in range(-shift, len(frames), stride):
        if begin + 16 - stride >= len(frames):
            break  # the clips before this one hold all there is
        clip = torch.stack([frames[min(max(at, 0), len(frames) - 1)] for at in range(begin, begin + 16)], 1)
        tapped, last = live.backbone.clip_taps(clip[None], live.recipe.layers, 1)
        for j in range(8):
            found[begin // 2 + j].append(torch.cat([tap[0, :, j].flatten() for tap in tapped] + [last[0, :, j]]))
    expected = torch.stack([torch.stack(found[j]).mean(0) for j in range(total)], 1)
    for start, stop in [(0, total), (0, 2), (5, 6), (3, 29), (total - 7, total)]:
        tapped, last = live.features(live.fetch(video, start, stop, copy))
        got = torch.cat([*tapped.flatten(2), last])
        torch.testing.assert_close(got, expected[:, start:stop], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fields", [dict(), dict(clip_stride=8, grid=2), dict(frame_stride=3, resize="crop")], ids=str)
def test_a_cached_copy_is_the_live_copy_wherever_a_window_starts(tiny, videos, tmp_path, monkeypatch, fields):
    monkeypatch.setattr(decoding, "PIECE_FRAMES", 64)
    live, cache = live_and_cache(tiny, tmp_path, **fields)
    video, total = videos[0], live.num_snippets(videos[0])
    for copy in (0, 1, 3):
        fill(cache, live, (video,), quiet=True, copy=copy, num_workers=copy)
    cards = [cache.card(video, copy) for copy in (0, 1, 3)]
    assert [card["num_snippets"] for card in cards] == [total] * 3 and [c.get("copy") for c in cards] == [None, 1, 3]
    both = [live, cache], [Resampled(source, snippets_per_video=50) for source in (live, cache)]
    for (fresh, stored), end in zip(both, (total, 50), strict=True):
        assert fresh.time_grid(video) == stored.time_grid(video)
        for start, stop in [(0, end), (0, 3), (7, 29), (end - 1, end)]:
            seen = []
            for copy in (0, 1, 3):
                a, b = (source.features(source.fetch(video, start, stop, copy)) for source in (fresh, stored))
                for x, y in zip(a, b, strict=True):
                    torch.testing.assert_close(x, y, rtol=2e-3, atol=2e-3)
                seen.append(b[1])
            assert not torch.allclose(seen[0], seen[1], atol=1e-2) and not torch.allclose(seen[1], seen[2], atol=1e-2)


# --- its place in the cache -----------------------------------------------------------------------------------------


def test_videos_to_train_on_alone_are_copied(tiny, videos, tmp_path):
    config = PRESETS["tiny"](tiny, cache=str(tmp_path), copies=2, frame_stride=8)
    some = [next(v for v in videos if v.subset == subset) for subset in ("train", "val")]
    source = open_features(config, some, quiet=True)
    assert [[source.has(video, copy) for copy in (0, 1, 2)] for video in some] == [[True, True, False],
                                                                                  [True, False, False]]
    with pytest.raises(CacheError, match="no cached taps of copy 2 of video"):
        source.fetch(some[0], 0, 1, 2)


def test_features_of_others_have_no_copies(tmp_path):
    np.save(tmp_path / "clock.npy", np.zeros((20, 3), np.float32))
    video = clock_video(3.0, fps=30.0)
    source = NpyFeatures(tmp_path, [video], 4, 4)
    assert source.fetch(video, 0, 5, 0)["rows"].shape == (1, 5, 3)
    with pytest.raises(FeatureError, match="copy 1 of video 'clock'.*copies=1"):
        source.fetch(video, 0, 5, 1)
    with pytest.raises(ConfigError, match="copies=0 .*write copies=1"):
        PRESETS["tiny"](tmp_path, features=str(tmp_path), feature_stride=4, feature_frames=4, taps="none",
                        mode="head_only", cache="", copies=0)


# --- in training ----------------------------------------------------------------------------------------------------


class Asked(Numbers):
    """A source of nothing that remembers what it was asked for."""

    def __init__(self, live):
        super().__init__(0)
        self.live, self.calls = live, []
        self.num_snippets, self.time_grid = live.num_snippets, live.time_grid

    def fetch(self, *words):
        self.calls.append(words)


@pytest.mark.parametrize("copies", [0, 1, 3])
def test_training_draws_among_the_copies_and_the_same_windows_as_without(tiny, videos, tmp_path, copies):
    live, _ = live_and_cache(tiny, tmp_path)
    plain, source = Asked(live), Asked(live)
    for asked, num in ((plain, 1), (source, copies)):
        windows = Windows(videos[:1], asked, 20, copies=num)
        for epoch in range(20):
            windows[epoch, 0]
    assert [call[:3] for call in source.calls] == plain.calls
    drawn = [call[3] if len(call) > 3 else 0 for call in source.calls]
    assert set(drawn) == set(range(copies)) if copies else drawn == list(range(20))
