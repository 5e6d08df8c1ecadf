"""Open the features that a config asks for: cached taps, taps on the fly, or features made by others."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from losa.annotations.dataset import Video
from losa.backbones import vit as backbones
from losa.config import Config
from losa.errors import CacheError
from losa.model.checkpoint import load_tuned
from losa.taps.cached import CachedTaps
from losa.taps.extract import extract, listed
from losa.taps.live import LiveTaps
from losa.taps.npy import NpyFeatures
from losa.taps.recipe import TapRecipe
from losa.taps.resampled import Resampled
from losa.taps.tuned import KEPT_BYTES, TunedTaps


def open_source(config: Config, videos: Sequence[Video], *, device: str = "cpu", quiet: bool = False,
                run: str | Path | None = None):
    """The source of features of a config's mode, in the place of `losa.taps.open.open_taps`.

    Its `tuned` is the module that holds exactly the parameters trained inside the backbone, None where there are
    none; it is not to be called and stays in eval mode. Its recipe names the pretrained backbone.
    videos: those that the cache, if there is one, is filled for; without any, frames are not kept in memory either.
    run: a run's folder or model.safetensors that `tuned` is loaded from, as at test time; nothing to the other modes.
    Raises CheckpointError if what was tuned is not in there or does not fit.
    """
    if config.mode in ("inside", "full"):
        live, _ = backbone_taps(config.replace(cache="", grid=1), device)
        source = TunedTaps(live.backbone, live.recipe, config, KEPT_BYTES if videos else 0)
        if run is not None:
            load_tuned(source.tuned, run)
        tuned, source = source.tuned, interpolated(source, config)
    else:
        tuned, source = None, open_taps(config, videos, device=device, quiet=quiet)
    source.tuned = tuned
    return source


def open_taps(config: Config, videos: Sequence[Video], *, device: str = "cpu", quiet: bool = False):
    """The source of features a config asks for: CachedTaps (filled for `videos`), LiveTaps, or NpyFeatures.

    Resampled where the config interpolates. With a cache, "all" layers are stored once whatever `taps` the config
    chooses among them. Further copies, as the config asks for, are of the videos to train on alone.
    """
    if config.features:
        layers = () if config.tapped == "none" else None
        source = NpyFeatures(config.features, videos, config.feature_stride, config.feature_frames, layers)
    else:
        source, live = backbone_taps(config, device)
        if live is not None:
            workers = decode_workers(config, device)
            fill(source, live, videos, quiet, num_workers=workers)
            trained = [video for video in videos if video.subset == config.train_subset]
            for copy in range(1, config.copies):
                fill(source, live, trained, quiet, copy=copy, num_workers=workers)
    return interpolated(source, config)


def interpolated(source, config: Config):
    """The source itself, or Resampled where the config asks for other snippets than its own."""
    if config.snippet_frames or config.snippets_per_video:
        return Resampled(source, config.snippet_frames, config.snippets_per_video)
    return source


def backbone_taps(config: Config, device: str = "cpu") -> tuple:
    """(CachedTaps, the LiveTaps to fill it with) of a config with a cache, (LiveTaps, None) of one without."""
    backbone = backbones.load_backbone(config.backbone, config.weights or None, config.input_size,
                                       clip_length=config.clip_length, pixel_norm=config.pixel_norm).to(device)
    recipe = TapRecipe.make(config, backbone)
    if not config.cache:
        return LiveTaps(backbone, recipe), None
    every = backbones.tap_layers("all", backbone.depth)
    stored = recipe.with_layers(every) if set(recipe.layers) <= set(every) else recipe
    return CachedTaps(config.cache, stored, recipe.layers), LiveTaps(backbone, stored)


def decode_workers(config: Config, device: str) -> int:
    """Decoding processes for an extraction: at least one where starting it costs nothing, so that it can be ended."""
    if sys.platform != "linux":
        return config.num_workers
    cores = len(os.sched_getaffinity(0))
    return max(config.num_workers, 1 if device == "cpu" else min(16, cores))


def fill(cache: CachedTaps, live: LiveTaps, videos: Sequence[Video], quiet: bool = False, *, copy: int = 0,
         num_workers: int = 0, limit_s: int | float = 120) -> None:
    """Computes what the cache lacks, see `extract`. Raises CacheError that lists what failed after all good ones."""
    done = extract(cache, live, videos, copy=copy, num_workers=num_workers, limit_s=limit_s, quiet=quiet)
    if done.failed:
        raise CacheError(f"{len(done.failed)} of {len(videos)} videos have no taps; the others are in {cache.folder}. "
                         "Repair them, or leave them out with `losa data prepare ... --decode`, which reads every file "
                         f"to its end:\n{listed(done.failed)}")
