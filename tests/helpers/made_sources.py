"""Sources of features that are made up, so that a test knows what a window of them holds."""

from pathlib import Path

import numpy as np
import torch

from losa.annotations.dataset import Video
from losa.backbones.load import freeze_backbone
from losa.backbones.vit import VideoViT
from losa.presets import PRESETS
from losa.segments import Grid
from losa.taps.cache_key import TapRecipe
from losa.taps.cached import CachedTaps
from losa.taps.live import LiveTaps
from losa.taps.npy import FeatureRecipe


class Numbers:
    """A source whose feature at snippet j of a video is j, so that a window can be read back."""

    tuned = None
    recipe = FeatureRecipe("made up", dim=3, stride=2, frames=2, layers=(0, 1))

    def __init__(self, total):
        self.total = total

    def has(self, video, copy=0):
        return True

    def ensure(self, videos):
        pass

    def decode_counts(self, videos):
        return {}

    def num_snippets(self, video):
        return self.total

    def time_grid(self, video):
        return Grid(8.0, 2)

    def fetch(self, video, start, stop, copy=0):
        return {"at": torch.arange(start, stop).float()}

    def features(self, fetched):
        at = fetched["at"]
        return at.expand(2, 3, -1)[..., None, None], at.expand(3, -1)


def a_video(name="a", segments=((4.0, 9.0), (30.0, 31.0))):
    return Video(id=name, subset="train", path=Path("none.mp4"), start=0.0, duration=100.0,
                 segments=np.array(segments, dtype=np.float64).reshape(-1, 2),
                 labels=np.arange(len(segments), dtype=np.int64))


class Waves(Numbers):
    """Features that differ from snippet to snippet."""

    recipe = FeatureRecipe("made up", dim=8, stride=2, frames=2, layers=(0, 1))

    def features(self, fetched):
        x = torch.sin(fetched["at"] * torch.arange(1, 9)[:, None] * 0.37)
        return x.expand(2, 8, -1)[..., None, None], x


def whole(source, video):
    """The features of a whole video."""
    return source.features(source.fetch(video, 0, source.num_snippets(video)))


def live_and_cache(tiny, folder, **fields):
    """A small random backbone on the fly, and an empty cache for its taps in `folder`."""
    torch.manual_seed(0)
    backbone = freeze_backbone(VideoViT(dim=24, depth=3, num_heads=2, contrast=True))
    recipe = TapRecipe.make(PRESETS["tiny"](tiny, **fields), backbone)
    return LiveTaps(backbone, recipe), CachedTaps(folder, recipe)
