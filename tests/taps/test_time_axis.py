"""Time axes before anything is computed equal those of the sources themselves."""

import numpy as np
import pytest

from losa.annotations.dataset import Video, load_annotations
from losa.presets import PRESETS, on_features
from losa.segments import Grid, TimeAxis
from losa.taps.cached import CachedTaps
from losa.taps.live import LiveTaps
from losa.taps.open import open_features
from losa.taps.time_axis import estimate_axes


def test_of_videos_and_rates_as_when_they_are_read(tiny, monkeypatch):
    """Rates of all kinds, cached and live; without a frame rate in the annotations files are asked."""
    annotations = load_annotations(tiny / "world" / "annotations.json")
    for number, fields in enumerate((dict(cache=""), dict(cache="", sample_fps=5), dict(cache="", frame_stride=3),
                                     dict(cache="", frames_per_video=50), dict(cache="", snippet_frames=5),
                                     dict(snippets_per_video=48))):
        config = PRESETS["tiny"](tiny, mode="head_only", **fields)
        videos = annotations.videos[:3]
        if number == 0:
            videos = tuple(Video(**{**video.__dict__, "fps": None}) for video in videos)
        source = open_features(config, videos if config.cache else (), quiet=True)
        with monkeypatch.context() as patched:
            for kind in (LiveTaps, CachedTaps):
                patched.setattr(kind, "time_grid", lambda *_: pytest.fail("a file was opened, or the cache read"))
            axes = estimate_axes(source, videos)
        for video, axis in zip(videos, axes, strict=True):
            assert axis.num_snippets == source.num_snippets(video), fields
            grid = source.time_grid(video)
            assert (axis.grid.snippet_seconds, axis.grid.to_seconds(0.0)) == pytest.approx(
                (grid.snippet_seconds, grid.to_seconds(0.0))), fields


def test_of_feature_files_as_long_as_these_are(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((70, 8), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((31, 8), np.float32))
    videos = [Video(name, "train", None, 0.0, duration, np.zeros((0, 2)), np.zeros(0, np.int64), 25.0)
              for name, duration in (("a", 11.2), ("b", 5.0))]
    config = on_features(PRESETS["tiny"](tmp_path), features=str(tmp_path), feature_stride=4)
    axes = estimate_axes(open_features(config, videos), videos)
    assert [axis.num_snippets for axis in axes] == [70, 31] and axes[0].grid == Grid(25.0, 4, 8)
    axes = estimate_axes(open_features(config.replace(snippet_frames=2), videos), videos)
    assert [axis.num_snippets for axis in axes] == [140, 62]


def test_a_resampled_axis_keeps_its_outer_edges():
    axis = TimeAxis(Grid(10, 2), 25).resampled(2.5)
    assert axis.num_snippets == 63 and axis.grid.to_seconds(-0.5) == pytest.approx(Grid(10, 2).to_seconds(-0.5))

