"""Who fills a cache when several want to, what a killed process leaves, and which version wrote a folder."""

import json
import multiprocessing
import os
import signal
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import torch

from losa.annotations.dataset import load_annotations
from losa.backbones.load import freeze_backbone
from losa.backbones.vit import VideoViT
from losa.errors import CacheError
from losa.presets import PRESETS
from losa.taps import cache_files
from losa.taps.cache_files import FORMAT, check_cache, filling, verify
from losa.taps.cache_key import TapRecipe
from losa.taps.cached import CachedTaps
from losa.taps.extract import extract
from losa.taps.live import LiveTaps

forks = pytest.mark.skipif(sys.platform != "linux", reason="the processes of this test are forked")
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos[:4]


class Stuck(LiveTaps):
    """Tells its process id, then nothing more."""

    def fetch(self, video, start, stop, copy=0, alive=None):
        self.told.write_text(str(os.getpid()))
        time.sleep(60)


def live_and_cache(tiny, folder, kind=LiveTaps):
    torch.manual_seed(0)
    backbone = freeze_backbone(VideoViT(dim=24, depth=3, num_heads=2, contrast=True))
    recipe = TapRecipe.make(PRESETS["tiny"](tiny), backbone)
    return CachedTaps(folder, recipe), kind(backbone, recipe)


@forks
def test_what_several_processes_want_is_computed_once(tiny, videos, tmp_path):
    context = multiprocessing.get_context("fork")
    start, said = context.Barrier(3), context.Queue()

    def one(some):
        cache, live = live_and_cache(tiny, tmp_path)
        start.wait(60)
        done = extract(cache, live, some, num_workers=1, quiet=True)
        said.put((done.done, done.failed, [cache.has(video) for video in some]))

    wants = (videos, videos[::-1], videos[:2])
    processes = [context.Process(target=one, args=(some,)) for some in wants]
    for process in processes:
        process.start()
    found = [said.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert sorted(name for done, _, _ in found for name in done) == sorted(video.id for video in videos)
    assert all(not failed and all(there) for _, failed, there in found)
    assert len(list(tmp_path.glob("*.npy"))) == len(list(tmp_path.glob("*.json"))) == 4
    assert not list(tmp_path.glob("*.tmp"))


@forks
def test_a_process_that_is_killed_lets_go_even_if_its_decoder_lives_on(tiny, videos, tmp_path):
    told, folder = tmp_path / "pid", tmp_path / "c"

    def holder():
        cache, live = live_and_cache(tiny, folder, Stuck)
        live.told = told
        extract(cache, live, videos[:1], num_workers=1, quiet=True)

    process = multiprocessing.get_context("fork").Process(target=holder)
    process.start()
    try:
        deadline = time.monotonic() + 60
        while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        while process.exitcode is None:  # `join` would wait for the decoder, too
            time.sleep(0.02)
        os.kill(int(told.read_text()), 0)  # the decoder is there still
        cache, live = live_and_cache(tiny, folder)
        began = time.monotonic()
        assert extract(cache, live, videos[:1], quiet=True).done == (videos[0].id,)
        assert time.monotonic() - began < 50
    finally:
        with suppress(OSError, ValueError):
            os.kill(int(told.read_text()), signal.SIGKILL)
        process.kill()


def test_who_waits_goes_on_as_soon_as_nothing_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cache_files, "LOOK_S", 0.02)
    answers = iter([True, True, False])
    with filling(tmp_path, "recipe", lambda: True) as first:
        with filling(tmp_path, "another recipe", lambda: True) as other:
            assert first and other
        with filling(tmp_path, "recipe", lambda: next(answers)) as second:
            assert second is False and next(answers, None) is None
    assert capsys.readouterr().out.count("another process fills") == 1
    with filling(tmp_path, "recipe", lambda: True) as again:
        assert again


def test_taps_of_another_version_are_told_by_their_cards(tiny, videos, tmp_path):
    folder = tmp_path / "c"
    check_cache(folder)  # none yet
    cache, live = live_and_cache(tiny, folder)
    extract(cache, live, videos[:2], quiet=True)
    (folder / "notes.json").write_text("{}")
    check_cache(folder)
    card = json.loads(cache.path(videos[0]).with_suffix(".json").read_text())
    card["recipe"]["format"] = FORMAT - 1
    (folder / f"{'a' * 32}.json").write_text(json.dumps(card))
    with pytest.raises(CacheError, match=rf"of 3 files looked at, 1 of format 1; this .* format {FORMAT}.*another fol"):
        check_cache(str(folder))
    (folder / f"{'a' * 32}.json").write_text("{}")
    with pytest.raises(CacheError, match="1 of format unknown"):
        check_cache(folder)
    with pytest.raises(CacheError, match="is a file; give the folder"):
        check_cache(folder / "notes.json")
    with pytest.raises(CacheError, match="would lie in .*notes.json, which is a file; give the folder"):
        check_cache(folder / "notes.json" / "taps")


@pytest.mark.parametrize("content, why", [
    (lambda card: json.dumps({**card, "recipe": {**card["recipe"], "format": 1}}),
     f"were written in format 1, this version reads format {FORMAT}"),
    (lambda card: json.dumps({"frames": 7}), f"were written in format unknown, this version reads format {FORMAT}"),
    (lambda card: json.dumps([card]), "were written in format unknown"),
    (lambda card: json.dumps({"recipe": card["recipe"]}), f"of format {FORMAT}, lacks crc32, decode, num_snippets"),
    (lambda card: json.dumps(card)[:-9], "cannot be read .*delimiter")], ids=["old", "foreign", "list", "poor", "cut"])
def test_a_card_that_cannot_be_used_says_who_wrote_it_and_what_to_do(tiny, videos, tmp_path, content, why):
    cache, live = live_and_cache(tiny, tmp_path)
    extract(cache, live, videos[:1], quiet=True)
    path = cache.path(videos[0]).with_suffix(".json")
    path.write_text(content(json.loads(path.read_text())))
    for use in (lambda: cache.fetch(videos[0], 0, 4), lambda: cache.num_snippets(videos[0])):
        with pytest.raises(CacheError, match=rf"video '{videos[0].id}'.*{path}.*{why}.*; delete {path.stem}.npy "
                                             rf"and {path.name} there, .* `losa data extract` computes them anew"):
            use()
    path.unlink()
    with pytest.raises(CacheError, match=f"no cached taps of video .*{path}; compute them with `losa data extract`"):
        cache.num_snippets(videos[0])


@pytest.mark.parametrize("content, why", [(b"old bytes", "pickle|format"), (b"", "EOF|No data"),
                                          (np.zeros((3, 4), np.float16), r"holds float16 \(3, 4\), its card says"),
                                          (np.zeros((3, 4), np.float64), r"holds float64 \(3, 4\)")], ids=str)
def test_rows_that_another_program_wrote_are_told_apart(tmp_path, content, why):
    path = tmp_path / f"{'a' * 32}.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(CacheError, match=rf"{path} are damaged \(.*({why}).*\); delete {path.name}"):
        verify(str(path), 0, 3, 5)


def test_a_cache_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, how: path != tmp_path)
    check_cache(tmp_path)  # all may be there
    with pytest.raises(CacheError, match=rf"cannot be made: nothing may be written into {tmp_path}; give another"):
        check_cache(tmp_path / "new" / "taps")
