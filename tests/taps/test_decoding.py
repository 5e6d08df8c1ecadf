"""Frames in pieces, from this process or from workers."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.clock import ClockReader, clock_live, clock_video, serve
from helpers.made_sources import live_and_cache
from helpers.video_files import OPEN_GOP, write_video
from losa.annotations.dataset import load_annotations
from losa.taps import decoding
from losa.taps.decoding import decode_in_pieces, decode_in_workers
from losa.taps.live import LiveTaps
from losa.video import reader as video_module

pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of fork, as DataLoader does


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos[:4]


def test_signs_are_given_from_the_opening_on(monkeypatch):
    """Before the first message: to open some files is to decode them."""
    reader, signs = serve(monkeypatch, ClockReader(np.arange(100) / 25, 25.0)), []
    monkeypatch.setattr(LiveTaps, "num_snippets", lambda *_: reader.alive() or 8)
    next(decode_in_pieces(clock_live(), clock_video(4.0), lambda: signs.append(1)))
    assert signs == [1]


def test_workers_end_when_nobody_listens(tiny, videos):
    live, _ = live_and_cache(tiny, Path("unused"))
    messages = decode_in_workers(live, videos, 2, 60)
    next(messages)
    processes = [p for p in multiprocessing.active_children()]
    messages.close()
    assert len(processes) == 2 and not any(p.is_alive() for p in processes)


def test_a_long_video_comes_in_small_pieces(monkeypatch):
    """Two hours: no message holds more than a piece and what its clips overlap."""
    serve(monkeypatch, ClockReader(np.arange(2 * 3600 * 8) / 8, 8.0))
    live, video = clock_live(clip_stride=8), clock_video(7200.0)
    messages = list(decode_in_pieces(live, video))
    sizes = [len(m["frames"]) for m in messages[1:-1]]
    assert max(sizes) <= decoding.PIECE_FRAMES + 16 and len(sizes) > 200
    assert sum(m["new"] for m in messages[1:-1]) == live.num_frames(video) == 57600
    assert sum(m["length"] for m in messages[1:-1]) == messages[0]["total"] == 28800


@pytest.mark.parametrize("fields", [dict(clip_stride=4), dict(clip_stride=6), dict(sample_fps=50.0)], ids=str)
def test_a_file_that_is_read_forward_is_read_once(tmp_path, monkeypatch, fields):
    """Pieces share frames where clips overlap or frames repeat; each used to decode from the start again."""
    monkeypatch.setattr(decoding, "PIECE_FRAMES", 32)
    path = write_video(tmp_path / "open.mp4", num_frames=100, options=OPEN_GOP)
    video, live = replace(clock_video(4.0, fps=25.0), path=path), clock_live(**fields)
    assert live.backend(video) == "av"
    begun, decode = [], video_module.decode
    monkeypatch.setattr(video_module, "decode", lambda *args, **more: (begun.append(args), decode(*args, **more))[1])
    got, at = [m for m in decode_in_pieces(live, video) if "frames" in m], 0
    assert len(got) > 3 and len(begun) == 1
    live.close()
    for message in got:
        fresh = clock_live(**fields).fetch(video, at, at + message["length"])
        assert torch.equal(fresh["frames"], message["frames"]) and fresh["lead"] == message["lead"]
        at += message["length"]
