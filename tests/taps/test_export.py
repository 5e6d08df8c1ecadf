"""Features written for others read back the same."""

import json

import numpy as np
import pytest
import torch

from helpers.clock import ClockBackbone, ClockReader, clock_video, serve
from helpers.made_sources import whole
from losa.annotations.dataset import load_annotations
from losa.backbones.load import freeze_backbone
from losa.backbones.vit import VideoViT
from losa.config import Config
from losa.errors import FeatureError
from losa.presets import PRESETS
from losa.taps.cache_key import TapRecipe
from losa.taps.cached import CachedTaps
from losa.taps.export import export
from losa.taps.extract import fill
from losa.taps.live import LiveTaps
from losa.taps.npy import NpyFeatures
from losa.taps.resampled import Resampled


@pytest.mark.parametrize("fields", [dict(), dict(frame_stride=2), dict(sample_fps=7.0), dict(frames_per_video=90),
                                    dict(frame_stride=2, snippet_frames=1.0)], ids=str)
def test_what_we_export_reads_back_the_same(tiny, tmp_path, fields):
    videos = load_annotations(tiny / "world" / "annotations.json").videos[:2]
    torch.manual_seed(0)
    backbone = freeze_backbone(VideoViT(dim=24, depth=3, num_heads=2))
    config = PRESETS["tiny"](tiny, taps="none", **fields)
    recipe = TapRecipe.make(config, backbone)
    cache = CachedTaps(tmp_path / "c", recipe)
    fill(cache, LiveTaps(backbone, recipe), videos, quiet=True)
    source = Resampled(cache, config.snippet_frames) if config.snippet_frames else cache
    out = export(source, videos, tmp_path / "out", quiet=True)
    assert sorted(p.name for p in out.iterdir()) == sorted(["card.json", *(f"{v.id}.npy" for v in videos)])
    again = NpyFeatures(out, videos)
    for video in videos:
        stored = np.load(out / f"{video.id}.npy")
        assert stored.dtype == np.float32 and stored.shape == (source.num_snippets(video), 24)
        assert torch.equal(whole(source, video)[1], whole(again, video)[1])
        at = np.arange(source.num_snippets(video))
        np.testing.assert_allclose(again.time_grid(video).to_seconds(at), source.time_grid(video).to_seconds(at),
                                   rtol=1e-9, atol=1e-9)
    card = json.loads((out / "card.json").read_text())
    if fields == dict(frame_stride=2):  # of 12 fps videos: two sampled frames a snippet
        assert (card["stride"], card["offset"], card["fps"][videos[0].id]) == (4, 1, pytest.approx(12.0))
    if not fields:
        with pytest.raises(FeatureError, match="card.json says 1.0; write feature_stride=2 and feature_frames=1.0"):
            NpyFeatures(out, videos, 2, 16)


def test_strides_that_differ_by_video_cannot_be_exported(monkeypatch, tmp_path):
    serve(monkeypatch, ClockReader(np.arange(1200) / 30, 30.0))
    backbone = ClockBackbone()
    live = LiveTaps(backbone, TapRecipe.make(Config(), backbone))
    videos = [clock_video(40.0, name="a"), clock_video(30.0, name="b")]
    with pytest.raises(FeatureError, match="export without snippets_per_video"):
        export(Resampled(live, None, 192), videos, tmp_path / "out", quiet=True)
