"""A video whose pixels say when they are shown and a backbone that reads it: what a feature knows is its own time."""
from pathlib import Path

import numpy as np
import torch
from torch import nn

from losa.annotations.dataset import Video
from losa.config import Config
from losa.taps.cache_key import TapRecipe
from losa.taps.live import LiveTaps
from losa.taps.resampled import Resampled

EVEN = np.arange(1200) / 30  # timestamps of 40 s at 30 fps


class ClockReader:
    """Stands for `losa.video.reader.Reader`: 4 x 4 pictures whose three channels hold their timestamp in 1/1000 s."""

    def __init__(self, timestamps, fps):
        self.timestamps, self.fps, self.num_frames = np.asarray(timestamps), fps, len(timestamps)
        self.backend, self.most = "decord", 0

    def read(self, indices):
        self.most = max(self.most, len(indices))
        ms = np.round(self.timestamps[np.asarray(indices)] * 1000).astype(np.int64)
        pixels = np.stack([ms >> 16, ms >> 8 & 255, ms & 255], -1).astype(np.uint8)
        return torch.from_numpy(np.broadcast_to(pixels[:, None, None], (len(ms), 4, 4, 3)).copy())


class ClockBackbone(nn.Module):
    """Its only feature, tapped or last, is the mean time in seconds of the frames of a snippet."""

    dim, depth, patch, input_size = 1, 1, 4, 4
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, frames_per_clip=16, tubelet=2):
        super().__init__()
        self.frames_per_clip, self.tubelet = frames_per_clip, tubelet
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)

    def clip_taps(self, clips, layers, grid):
        high, middle, low = clips.double().mean((3, 4)).unbind(1)
        times = ((high * 65536 + middle * 256 + low) / 1000).unflatten(1, (-1, self.tubelet)).mean(2)[:, None]
        return [times[..., None, None].float() for _ in layers], times.float()


def clock_video(duration=40.0, fps=None, name="clock"):
    return Video(id=name, subset="train", path=Path(f"{name}.mp4"), start=0.0, duration=duration,
                 segments=np.zeros((0, 2)), labels=np.zeros(0, dtype=np.int64), fps=fps)


def serve(monkeypatch, reader):
    """Every file is this reader."""
    from losa.taps import live as taps

    monkeypatch.setattr(taps, "get_reader", lambda path, threads=1: reader)
    return reader


def clock_live(backbone=None, **fields):
    """The clock's features on the fly, without a change of rate."""
    backbone = backbone or ClockBackbone()
    return LiveTaps(backbone, TapRecipe.make(Config(**fields), backbone))


def clock_source(fields, backbone=None):
    """The clock's features at the rate of a config with these fields."""
    config, live = Config(**fields), clock_live(backbone, **fields)
    if config.snippet_frames or config.snippets_per_video:
        return Resampled(live, config.snippet_frames, config.snippets_per_video)
    return live
