"""When the snippets of videos are, as far as known before a single one is computed."""

from collections.abc import Sequence

import numpy as np

from losa.annotations.dataset import Video
from losa.segments import Grid, TimeAxis
from losa.taps.cache_key import TapRecipe
from losa.taps.extract import estimate_rates
from losa.taps.source import FeatureSource


def estimate_axes(source: FeatureSource, videos: Sequence[Video]) -> list[TimeAxis]:
    """Return grid and number of snippets of each video: of feature files as they are, else by duration and frame rate.

    No video is decoded and no cache is read; where annotations have no frame rate, a few files are asked for theirs.
    Raises FeatureError for features of a video without a frame rate.
    """
    recipe = source.recipe
    if not isinstance(recipe, TapRecipe):
        return [TimeAxis(source.time_grid(video), source.num_snippets(video)) for video in videos]
    rates, _ = estimate_rates(recipe, videos)
    return [axis_at(recipe, video, rate) for video, rate in zip(videos, rates, strict=True)]


def axis_at(recipe: TapRecipe, video: Video, sampled_fps: int | float) -> TimeAxis:
    """Return the time axis of a video of which so many frames per second are read, interpolated as the recipe says."""
    grid = Grid(sampled_fps, recipe.tubelet)
    axis = TimeAxis(grid, grid.num_snippets(max(1, int(np.ceil(video.duration * sampled_fps - 1e-6)))))
    if recipe.snippets_per_video:
        return axis.resampled(recipe.snippets_per_video / axis.num_snippets)
    return axis.resampled(recipe.tubelet / recipe.snippet_frames) if recipe.snippet_frames else axis
