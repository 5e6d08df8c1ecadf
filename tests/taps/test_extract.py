"""Extraction of many videos: equal files however it runs, and what it does with videos that fail, hang or kill."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.clock import ClockReader, clock_live, clock_video, serve
from losa.annotations.dataset import load_annotations
from losa.backbones.load import freeze_backbone
from losa.backbones.vit import VideoViT
from losa.errors import CacheError
from losa.files import hold
from losa.presets import PRESETS
from losa.taps import decoding
from losa.taps import extract as extract_module
from losa.taps.cache_files import RowFile, remove_left
from losa.taps.cache_key import TapRecipe
from losa.taps.cached import CachedTaps
from losa.taps.extract import estimate_frames, extract, fill
from losa.taps.live import LiveTaps

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of fork, as DataLoader does


class Fragile(LiveTaps):
    """Decodes, but at one video and from one snippet on something happens."""

    def __init__(self, *words, what=None, where="", since=0):
        super().__init__(*words)
        self.what, self.where, self.since = what, where, since

    def fetch(self, video, start, stop, copy=0, alive=None):
        if video.id == self.where and start >= self.since:
            if self.what == "hang":
                time.sleep(60)
            elif self.what == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.what == "slow":
                for _ in range(6):
                    time.sleep(0.5)
                    alive()
            elif self.what is not None:
                raise self.what
        return super().fetch(video, start, stop, copy, alive)


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos[:4]


def setup(tiny, folder, **trouble):
    torch.manual_seed(0)
    backbone = freeze_backbone(VideoViT(dim=24, depth=3, num_heads=2, contrast=True))
    recipe = TapRecipe.make(PRESETS["tiny"](tiny), backbone)
    return CachedTaps(folder, recipe), Fragile(backbone, recipe, **trouble)


def contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).glob("[!.]*")}  # but the lock


def test_files_are_equal_byte_by_byte_whoever_decodes(tiny, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "PIECE_FRAMES", 64)
    found = {}
    for workers in (0, 1, 3):
        cache, live = setup(tiny, tmp_path / str(workers))
        done = extract(cache, live, videos, num_workers=workers, quiet=True)
        assert set(done.done) == {v.id for v in videos} and not done.failed
        assert done.num_frames == sum(map(live.num_frames, videos)) and done.num_bytes > 0
        assert 0 < done.waiting + done.computing <= 1.001 and "frames/s" in str(done)
        found[workers] = contents(tmp_path / str(workers))
    assert found[0] == found[1] == found[3] and len(found[0]) == 2 * len(videos)
    cache, live = setup(tiny, tmp_path / "0")
    assert sum(cache.decode_counts(videos).values()) == 4 and cache.decode_counts(videos) == live.decode_counts(videos)
    whole = live.features(live.fetch(videos[0], 0, live.num_snippets(videos[0])))  # in one piece
    stored = cache.features(cache.fetch(videos[0], 0, cache.num_snippets(videos[0])))
    for a, b in zip(whole, stored, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("what, why", [
    ("hang", "gave no frame for 3 s"), ("die", "died .exit code -9"), (KeyError("x"), "KeyError: 'x'"),
    (ValueError("no such thing"), "no such thing")], ids=["hang", "die", "surprise", "error"])
def test_a_video_that_fails_is_listed_and_the_rest_goes_on(tiny, videos, tmp_path, monkeypatch, what, why):
    monkeypatch.setattr(decoding, "PIECE_FRAMES", 64)
    cache, live = setup(tiny, tmp_path / "c", what=what, where=videos[1].id, since=32)
    with pytest.raises(CacheError, match=f"(?s)1 of 4 videos have no taps.*--decode.*{videos[1].id}: .*{why}"):
        fill(cache, live, videos, quiet=True, num_workers=2, limit_s=3 if what == "hang" else 60)
    assert [cache.has(v) for v in videos] == [True, False, True, True]
    assert len(contents(tmp_path / "c")) == 6  # and nothing half done
    live.what = None
    fill(cache, live, videos, quiet=True, num_workers=1)
    assert cache.has(videos[1])


def test_a_slow_video_that_gives_signs_is_not_ended(tiny, videos, tmp_path):
    cache, live = setup(tiny, tmp_path, what="slow", where=videos[0].id)
    assert not extract(cache, live, videos[:1], num_workers=1, limit_s=2, quiet=True).failed


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_listed_with_their_reasons(tiny, videos, tmp_path, workers):
    broken = []
    for name, keep in (("cut", 0.5), ("noise", 0), ("gone", None), ("empty", 0)):
        path = tmp_path / f"{name}.mp4"
        if keep is not None:
            data = videos[0].path.read_bytes()
            path.write_bytes(data[:int(len(data) * keep)] + (b"" if name != "noise" else os.urandom(5000)))
        broken.append(replace(videos[0], id=name, path=path))
    broken += [replace(videos[0], id="nowhere", path=None), replace(videos[0], id="longer", duration=900.0)]
    cache, live = setup(tiny, tmp_path / "c")
    done = extract(cache, live, (*broken, *videos[:2]), num_workers=workers, quiet=True)
    assert set(done.failed) == {v.id for v in broken} and len(done.done) == 2 and cache.has(videos[1])
    assert "has no file" in done.failed["nowhere"] and "900" in done.failed["longer"]
    assert all(why and "\n" not in why for why in done.failed.values())


def test_values_that_fp16_cannot_hold_fail_that_video_alone(tiny, videos, tmp_path):
    cache, live = setup(tiny, tmp_path)
    own, name = live.features, videos[0].id

    def features(message):
        tapped, last = own(message)
        return (tapped, last * (1e9 if message["frames"].sum() == bad else 1))

    bad = live.fetch(videos[0], 0, live.num_snippets(videos[0]))["frames"].sum()
    live.features = features
    done = extract(cache, live, videos[:3], quiet=True)
    assert list(done.failed) == [name] and "fp16 ends at 65504" in done.failed[name] and len(done.done) == 2


def test_an_interrupted_extraction_continues_where_it_was(tiny, videos, tmp_path):
    cache, live = setup(tiny, tmp_path / "c")
    own, calls = live.features, []

    def features(message):
        calls.append(len(message["frames"]))
        if len(calls) == stop_at:
            raise KeyboardInterrupt
        return own(message)

    live.features, stop_at = features, 3
    with pytest.raises(KeyboardInterrupt):
        extract(cache, live, videos, num_workers=1, quiet=True)
    kept = contents(tmp_path / "c")
    assert not any(name.endswith("tmp") for name in kept) and 0 < len(kept) < 8
    stop_at = -1
    done = extract(cache, live, videos, quiet=True)
    assert len(done.done) == 4 - len(kept) // 2 and kept.items() <= contents(tmp_path / "c").items()
    assert extract(cache, live, videos, quiet=True).done == ()


def test_one_file_under_two_names_is_computed_once(tiny, videos, tmp_path):
    cache, live = setup(tiny, tmp_path)
    other = replace(videos[0], id="other")
    assert len(extract(cache, live, (videos[0], other), quiet=True).done) == 1 and cache.has(other)


def test_what_fails_is_listed_under_all_its_names(tiny, videos, tmp_path):
    cache, live = setup(tiny, tmp_path, what=ValueError("no such thing"), where=videos[0].id)
    other, gone = replace(videos[0], id="other"), replace(videos[0], id="gone", path=tmp_path / "gone.mp4")
    done = extract(cache, live, (videos[0], gone, other, videos[1]), quiet=True)
    assert done.failed.keys() == {videos[0].id, "gone", "other"} and done.done == (videos[1].id,)
    assert done.failed["other"] == done.failed[videos[0].id] == "no such thing"


def test_what_killed_processes_had_begun_is_removed_and_nothing_else(tiny, videos, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    cache, live = setup(tiny, tmp_path)
    begun = [tmp_path / f"{digit * 32}.{pid}.tmp" for digit, pid in
             zip("abcd", (ended.pid, ended.pid, os.getppid(), os.getpid()), strict=True)]
    others = [tmp_path / name for name in (f"notes.{ended.pid}.tmp", "x.tmp", f"{'a' * 32}.npy")]
    for path in (*begun[:3], *others):
        path.write_bytes(b"x")
    ours = RowFile(begun[3].with_name(f"{'d' * 32}.npy"), 1, 1)
    with open(begun[1], "r+b") as elsewhere:  # of a process that only another machine knows
        hold(elsewhere)
        extract(cache, live, (), quiet=True)
        assert sorted(tmp_path.iterdir()) == sorted([*begun[1:], *others])
    remove_left(tmp_path)
    assert not begun[1].exists() and ours.temporary.exists()
    ours.discard()


# --- size and memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [dict(), dict(frame_stride=4), dict(sample_fps=7.0), dict(frames_per_video=160)])
def test_size_is_known_without_opening_a_file(monkeypatch, fields):
    reader = serve(monkeypatch, ClockReader(np.arange(1500) / 25, 25.0))
    live = clock_live(**fields)
    some = [clock_video(d, fps=25.0, name=str(d)) for d in (60.0, 33.34, 8.01)]
    exact = [live.num_frames(video) for video in some]
    serve(monkeypatch, None)
    monkeypatch.setattr(extract_module, "probe", None)
    assert estimate_frames(live.recipe, some) == (exact, 0) and reader is not None


def test_of_many_files_without_a_rate_a_few_are_opened(monkeypatch):
    opened = []

    class Info:
        fps = 25.0

    monkeypatch.setattr(extract_module, "probe", lambda path: opened.append(path) or Info)
    live = clock_live()
    many = [clock_video(10.0, name=str(i)) for i in range(1000)]
    frames, guessed = estimate_frames(live.recipe, many)
    assert frames == [250] * 1000 and len(opened) == extract_module.NUM_PROBED and guessed == 1000 - len(opened)


def test_size_is_printed_before_the_first_byte_and_refused_where_it_does_not_fit(tiny, videos, tmp_path, monkeypatch,
                                                                                 capsys):
    cache, live = setup(tiny, tmp_path / "deep" / "c")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(CacheError, match="MiB free"):
        fill(cache, live, videos)
    assert not (tmp_path / "deep").exists() and capsys.readouterr().out == ""
