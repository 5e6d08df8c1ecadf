"""The taps cache against taps computed on the fly, its key, and what it refuses."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.made_sources import live_and_cache
from losa.annotations.dataset import load_annotations
from losa.errors import CacheError
from losa.taps import live as taps_module
from losa.taps.cache_files import map_rows, verify
from losa.taps.cached import CachedTaps
from losa.taps.extract import fill


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos


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
    monkeypatch.setattr(taps_module, "extract_taps", lambda *a, **k: (
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


# --- files and processes --------------------------------------------------------------------------------------------


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
