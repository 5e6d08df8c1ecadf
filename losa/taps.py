"""Pooled intermediate features of a frozen backbone: computed on the fly, or once and kept on disk.

Because the backbone never changes, its taps are a function of the video and the recipe alone. `LiveTaps` and
`CachedTaps` answer the same calls with equal results (up to fp16 rounding): `fetch` may run in a worker
process, `features` runs where the model lives.
"""

import hashlib
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from losa.annotations.dataset import Video
from losa.backbones import vit as backbones
from losa.cache_files import FORMAT, mapped, read_card, verify
from losa.config import Config
from losa.copies import DRAWN, cut_and_mirror, draw_change, phase, recolour
from losa.errors import CacheError
from losa.extract import extract, listed
from losa.features import NpyFeatures, Resampled
from losa.files import content_id
from losa.segments import Grid
from losa.video.reader import _leave_readers, _readers, opened
from losa.video.sampling import sample_indices

FEW_FRAMES = 16  # read at a time: with more, decord decodes ahead without bound (3 GB for a long video)
NATIVE_BYTES = 2**27  # of frames at the video's own size in memory at a time


@dataclass(frozen=True)
class TapRecipe:
    """All that taps depend on beside the video itself; together with the file's content it is the cache's key."""

    weights: str  # sha256 of the backbone's weights
    dim: int
    layers: tuple[int, ...]
    grid: int
    clip_length: int
    tubelet: int
    clip_stride: int
    sample_fps: int | float | None
    frame_stride: int
    frames_per_video: int | None
    input_size: int
    resize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    compute_dtype: str
    format: int = FORMAT
    snippet_frames: int | float | None = None  # these two are `Resampled`'s: not part of the key
    snippets_per_video: int | None = None

    @classmethod
    def make(cls, config: Config, backbone: nn.Module) -> "TapRecipe":
        length, tubelet = backbone.frames_per_clip, backbone.tubelet
        stride = config.clip_stride or length
        if stride > length or stride % tubelet:
            raise ValueError(f"clip_stride={stride} must be a multiple of the tubelet {tubelet} and at most the clip's "
                             f"{length} frames")
        layers = () if config.tapped == "none" else backbones.tap_layers(config.tapped, backbone.depth)
        grid = backbone.input_size // backbone.patch if config.mode == "side_tokens" else config.grid
        return cls(backbones.weights_id(backbone), backbone.dim, layers, grid, length, tubelet, stride,
                   config.sample_fps, config.frame_stride, config.frames_per_video, backbone.input_size,
                   config.resize, backbone.mean, backbone.std, config.compute_dtype)

    def describe(self) -> dict:
        """JSON-ready facts a checkpoint must agree with."""
        return json.loads(json.dumps(asdict(self)))

    def sampled_fps(self, video: Video, native_fps: int | float) -> int | float:
        """Frames per second that are read; with `frames_per_video` every video has its own rate."""
        if self.frames_per_video:
            return self.frames_per_video / video.duration
        return self.sample_fps or native_fps / self.frame_stride

    def with_layers(self, layers: tuple[int, ...]) -> "TapRecipe":
        return replace(self, layers=layers)

    def key(self, video: Video, copy: int = 0) -> str:
        """Name of the file with the taps of a video, or of a further copy of it (see `losa.copies`)."""
        if video.path is None:
            raise ValueError(f"video {video.id!r} has no file; run `losa prepare` on the folder of videos")
        content = [content_id(str(video.path)), float(video.start), float(video.duration)]
        if copy:  # what it changes is drawn by the video's id
            content += [copy, zlib.crc32(video.id.encode()), DRAWN]
        return hashlib.sha256(f"{json.dumps(content)} {self.text}".encode()).hexdigest()[:32]

    @cached_property
    def text(self) -> str:
        """What the files depend on, as text."""
        return json.dumps(asdict(replace(self, snippet_frames=None, snippets_per_video=None)), sort_keys=True)


class LiveTaps:
    """Taps straight from the video: `fetch` decodes frames, `features` runs the frozen backbone clip by clip."""

    def __init__(self, backbone: nn.Module, recipe: TapRecipe, chunk: int | None = None):
        self.backbone, self.recipe, self.threads = backbone, recipe, 1
        self.chunk = chunk or max(8, 64 // recipe.clip_length)  # clips in one pass of the backbone
        self._chosen = (None, np.empty(0, np.int64))  # frame indices of the video read last
        self._read = None  # source, indices and pictures of the frames read last, which the next stretch may share

    def __getstate__(self) -> dict:
        return {**self.__dict__, "backbone": None, "_read": None}  # a worker decodes only

    def reader(self, video: Video, alive=None):
        """The open file (`losa.video.reader.Reader`), of this process alone.

        alive: called now and then from here on, while the file is opened and read; None leaves that as it is.
        """
        reader = opened(str(video.path), self.threads)
        if alive is not None:
            reader.alive = alive
        return reader

    def close(self) -> None:
        """Closes every file this process has open."""
        self._read = None
        _readers.clear()

    def backend(self, video: Video) -> str:
        """What decodes the video: "decord", or "av" where decord is not to be trusted."""
        return self.reader(video).backend

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        """Number of videos per decoder."""
        return dict(Counter(self.backend(video) for video in videos))

    def time_grid(self, video: Video) -> Grid:
        return Grid(self.recipe.sampled_fps(video, self.reader(video).fps), self.recipe.tubelet)

    def num_snippets(self, video: Video) -> int:
        return self.time_grid(video).num_snippets(self.num_frames(video))

    def num_frames(self, video: Video) -> int:
        """Sampled frames of the video."""
        return len(self.frame_indices(video))

    def frame_indices(self, video: Video) -> np.ndarray:
        """Native frame of every sampled frame of the video (or of its time range)."""
        which = (video.path, video.start, video.duration)
        if self._chosen[0] == which:
            return self._chosen[1]
        reader = self.reader(video)
        try:
            indices = sample_indices(reader.timestamps, self.recipe.sampled_fps(video, reader.fps), video.start,
                                     video.start + video.duration)
            self._chosen = (which, indices)
            return indices
        except ValueError as error:
            raise ValueError(f"video {video.id!r} ({video.path}): {error}; run `losa prepare` again") from None

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0, alive=None) -> dict:
        """Frames (n, 3, S, S) uint8 of the clips that touch snippets [start, stop), with where to crop.

        copy: which copy of the video, see `losa.copies`. One whose clips begin before the video does repeats its first
        frame there, and `lead` leaves those snippets out.
        alive: called now and then, while frames are read.
        """
        r = self.recipe
        self.reader(video, alive)
        indices, shift = self.frame_indices(video), phase(copy, r.clip_stride // r.tubelet)
        indices = np.concatenate([indices[:1].repeat(shift * r.tubelet), indices])
        start, stop = start + shift, stop + shift
        first = max(0, (start * r.tubelet - r.clip_length) // r.clip_stride + 1)
        last = min(-(-stop * r.tubelet // r.clip_stride), len(backbones.clip_starts(len(indices), r.clip_length,
                                                                                    r.clip_stride))) - 1
        part = indices[first * r.clip_stride:last * r.clip_stride + r.clip_length]
        lead = start - first * r.clip_stride // r.tubelet
        return {"frames": self.read(video, part, alive or (lambda: None), copy), "lead": lead, "length": stop - start}

    def read(self, video: Video, indices: np.ndarray, alive, copy: int = 0) -> Tensor:
        """The frames at these indices (in order) at the backbone's size, few of them at their own size at a time.

        What the stretch before ended with is not decoded again: some files can only be read forward, from the start.
        """
        unique, place = np.unique(indices, return_inverse=True)
        change = draw_change(video.id, copy)
        frames = self._shared((video.path, change), unique)
        reader, at, few = self.reader(video), sum(map(len, frames)), 1
        while at < len(unique):
            alive()
            native = reader.read(unique[at:at + few])
            seen = cut_and_mirror(native, change) if change else native
            small = backbones.resize_frames(seen, self.recipe.input_size, self.recipe.resize)
            frames.append(recolour(small, change) if change else small)
            at, few = at + few, min(FEW_FRAMES, max(1, NATIVE_BYTES // native[0].numel()))
        found, length, stride = torch.cat(frames), self.recipe.clip_length, self.recipe.clip_stride
        most = length + (-(-length // stride) - 2) * stride + 1  # shared by clips of two stretches, and a repeated one
        self._read = ((video.path, change), unique[-most:], found[-most:].clone())
        return found if len(unique) == len(indices) else found[torch.from_numpy(place)]

    def _shared(self, source: tuple, indices: np.ndarray) -> list[Tensor]:
        """Frames of the stretch read last that this one begins with, if any; source: file and change of pixels."""
        before, known, frames = self._read or (None, indices, None)
        first = int(np.searchsorted(known, indices[0]))
        count = min(len(known) - first, len(indices))
        if before != source or count < 1 or not np.array_equal(known[first:first + count], indices[:count]):
            return []
        return [frames[first:first + count]]

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Taps (K, C, t, g, g) and last layer (C, t), float32 on the backbone's device."""
        r = self.recipe
        device = next(self.backbone.parameters()).device
        lower = torch.autocast(device.type, torch.bfloat16, enabled=r.compute_dtype == "bfloat16")
        with lower:
            tapped, last = backbones.taps(self.backbone, fetched["frames"], r.layers, grid=r.grid,
                                          clip_stride=r.clip_stride, chunk=self.chunk)
        span = slice(fetched["lead"], fetched["lead"] + fetched["length"])
        return tapped[:, :, span], last[:, span]


class CachedTaps:
    """Taps from files written once by `fill`. `layers` may be any subset of the layers that were stored."""

    def __init__(self, folder: str | Path, recipe: TapRecipe, layers: tuple[int, ...] | None = None):
        self.folder, self.stored = Path(folder), recipe
        self.recipe = recipe if layers is None else recipe.with_layers(layers)

    def path(self, video: Video, copy: int = 0) -> Path:
        return self.folder / f"{self.stored.key(video, copy)}.npy"

    def has(self, video: Video, copy: int = 0) -> bool:
        """True once the description, which is written last, is there."""
        return self.path(video, copy).with_suffix(".json").is_file()

    def card(self, video: Video, copy: int = 0) -> dict:
        return read_card(str(self.path(video, copy).with_suffix(".json")), video.id, copy)

    def time_grid(self, video: Video) -> Grid:
        return Grid(self.card(video)["sampled_fps"], self.stored.tubelet)

    def num_snippets(self, video: Video) -> int:
        return self.card(video)["num_snippets"]

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0) -> dict:
        card = self.card(video, copy)
        path = str(self.path(video, copy))
        verify(path, card["crc32"], card["num_snippets"], self.row_size())
        return {"rows": torch.from_numpy(np.array(mapped(path)[start:stop]))}

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Taps (K, C, t, g, g) and last layer (C, t), float32."""
        r = self.stored
        rows = fetched["rows"].float().T
        tapped = rows[:-r.dim].reshape(len(r.layers), r.grid, r.grid, r.dim, rows.shape[1]).permute(0, 3, 4, 1, 2)
        return tapped[[r.layers.index(i) for i in self.recipe.layers]], rows[-r.dim:]

    def row_size(self) -> int:
        return self.stored.dim * (len(self.stored.layers) * self.stored.grid ** 2 + 1)

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        """Number of videos per decoder that made them."""
        return dict(Counter(self.card(video)["decode"] for video in videos))

    def pack(self, tapped: Tensor, last: Tensor) -> Tensor:
        """The rows (t, row_size) that are stored of taps (K, C, t, g, g) and last layer (C, t)."""
        return torch.cat([tapped.permute(0, 3, 4, 1, 2).flatten(0, 3), last]).T


def fill(cache: CachedTaps, live: LiveTaps, videos: Sequence[Video], quiet: bool = False, *, copy: int = 0,
         num_workers: int = 0, limit_s: int | float = 120) -> None:
    """Computes what the cache lacks, see `extract`. Raises CacheError that lists what failed after all good ones."""
    done = extract(cache, live, videos, copy=copy, num_workers=num_workers, limit_s=limit_s, quiet=quiet)
    if done.failed:
        raise CacheError(f"{len(done.failed)} of {len(videos)} videos have no taps; the others are in {cache.folder}. "
                         f"Repair them, or leave them out with `losa prepare ... --decode`, which reads every file to "
                         f"its end:\n{listed(done.failed)}")


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_readers)
