"""Open the features that a config asks for: cached taps, taps on the fly, or features that others computed."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from losa.annotations.dataset import Video
from losa.backbones.clips import tap_layers
from losa.backbones.load import load_backbone
from losa.config import Config
from losa.model.checkpoint import load_tuned, model_file, read_metadata
from losa.taps.cache_key import TapRecipe
from losa.taps.cached import CachedTaps
from losa.taps.extract import fill
from losa.taps.live import LiveTaps
from losa.taps.npy import NpyFeatures
from losa.taps.resampled import Resampled
from losa.taps.source import FeatureSource
from losa.taps.tuned import KEPT_BYTES, TunedTaps


def open_features(config: Config, videos: Sequence[Video], *, device: str = "cpu", quiet: bool = False,
                  run: str | Path | None = None,
                  before: Callable[[FeatureSource], None] | None = None) -> FeatureSource:
    """Return the source of features that a config asks for, ready for these videos.

    TunedTaps in the modes inside and full, else NpyFeatures with `features`, CachedTaps with `cache`, LiveTaps without;
    Resampled where the config interpolates. Its recipe names the pretrained backbone.

    videos: a cache is completed with what it lacks of them, and of those to train on also with as many copies as the
        config asks for. It holds the taps of "all" layers, whatever `taps` the config chooses among them. Without any
        videos, frames are not kept in memory either.
    run: the folder or model.safetensors of a run, from which `tuned` is loaded, as at test time. Features of others
        that cover another length than their videos then only get a warning. Other modes ignore it.
    before: called with the source before anything is computed.

    Raises CacheError that lists the videos which cannot be computed, after all the good ones; FeatureError for features
    that do not fit; VideoError for a missing file; CheckpointError if what was tuned is not in the run or does not fit.
    """
    if config.mode in ("inside", "full") or not (config.features or config.cache):
        source = open_live(config, device=device, run=run, keep_frames=bool(videos))
    elif config.features:
        source = _open_others(config, videos, run)
    else:
        source, live = open_cache(config, device)
    opened = resample(source, config)
    if before is not None:
        before(opened)
    if not isinstance(source, CachedTaps):
        source.ensure(videos)
        return opened
    _complete(config, device, quiet, live, source, videos)
    source.complete = partial(_complete, config, device, quiet, None)  # lets go of the backbone until it is needed
    return opened


def open_live(config: Config, *, device: str = "cpu", run: str | Path | None = None,
              keep_frames: bool = False) -> LiveTaps:
    """Return the config's backbone at work on the videos themselves, whatever cache there is; not resampled.

    keep_frames: keep decoded frames in memory where the backbone trains (see `TunedTaps`).
    """
    if config.mode not in ("inside", "full"):
        return LiveTaps(*_load(config, device))
    source = TunedTaps(*_load(config.replace(cache="", grid=1), device), config, KEPT_BYTES if keep_frames else 0)
    if run is not None:
        load_tuned(source.tuned, run)
    return source


def open_cache(config: Config, device: str = "cpu") -> tuple[CachedTaps, LiveTaps]:
    """Return the cache that the config names, and the live taps that fill it; nothing is computed yet."""
    backbone, recipe = _load(config, device)
    every = tap_layers("all", backbone.depth)
    stored = recipe.with_layers(every) if set(recipe.layers) <= set(every) else recipe
    return CachedTaps(config.cache, stored, recipe.layers), LiveTaps(backbone, stored)


def resample(source: FeatureSource, config: Config) -> FeatureSource:
    """Return the source itself, or Resampled where the config asks for other snippets than its own."""
    if config.snippet_frames or config.snippets_per_video:
        return Resampled(source, config.snippet_frames, config.snippets_per_video)
    return source


def count_decoders(config: Config, device: str) -> int:
    """Return how many decoding processes an extraction gets: where they cost nothing, at least one that can be killed.
    """
    if sys.platform != "linux":
        return config.num_workers
    cores = len(os.sched_getaffinity(0))
    return max(config.num_workers, 1 if device == "cpu" else min(16, cores))


def _open_others(config: Config, videos: Sequence[Video], run: str | Path | None) -> NpyFeatures:
    """Return the features that others computed, as a run knows them, if one is given."""
    layers = () if config.tapped == "none" else None
    model = None if run is None else model_file(run)
    width = read_metadata(model)["backbone"]["dim"] if model and model.is_file() else None
    return NpyFeatures(config.features, videos, config.feature_stride, config.feature_frames, layers,
                       pattern=config.feature_pattern, key=config.feature_key, axes=config.feature_axes,
                       fps=config.feature_fps, spacing=config.feature_grid, stop=run is None, width=width)


def _load(config: Config, device: str) -> tuple:
    """Return the config's backbone on the device and the recipe of its taps."""
    backbone = load_backbone(config.backbone, config.weights or None, config.input_size,
                                       clip_length=config.clip_length, pixel_norm=config.pixel_norm).to(device)
    return backbone, TapRecipe.make(config, backbone)


def _complete(config: Config, device: str, quiet: bool, live: LiveTaps | None, cache: CachedTaps,
              videos: Sequence[Video]) -> None:
    """Compute what the cache lacks of the videos, and the copies of those to train on. live: None loads the backbone.
    """
    live, num_workers = live or open_cache(config, device)[1], count_decoders(config, device)
    fill(cache, live, videos, quiet, num_workers=num_workers)
    trained = [video for video in videos if video.subset == config.train_subset]
    for copy in range(1, config.copies):
        fill(cache, live, trained, quiet, copy=copy, num_workers=num_workers)
