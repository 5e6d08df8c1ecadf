"""Pooled intermediate features of a frozen backbone: computed on the fly, or once and kept on disk.

Because the backbone never changes, its taps are a function of the video and the recipe alone. `LiveTaps` and
`CachedTaps` answer the same calls with equal results (up to fp16 rounding): `fetch` may run in a worker
process, `features` runs where the model lives.
"""

import hashlib
import json
import os
import shutil
import zlib
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from losa import backbone as backbones
from losa.config import Config
from losa.data import Video
from losa.files import write_text
from losa.segments import Grid
from losa.video import Reader, sample_indices

FORMAT = 1  # version of the files below; part of the key
CHUNK_SNIPPETS = 2048  # computed and written at a time, so that memory does not grow with the video


class CacheError(RuntimeError):
    """A cached file is damaged, or values cannot be kept in fp16."""


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
    sample_fps: float | None
    frame_stride: int
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    compute_dtype: str
    format: int = FORMAT

    @classmethod
    def make(cls, config: Config, backbone: nn.Module) -> "TapRecipe":
        length, tubelet = backbone.frames_per_clip, backbone.tubelet
        stride = config.clip_stride or length
        if stride > length or stride % tubelet:
            raise ValueError(f"clip_stride={stride} must be a multiple of the tubelet {tubelet} and at most the clip's "
                             f"{length} frames")
        layers = () if config.taps == "none" else backbones.tap_layers(config.taps, backbone.depth)
        return cls(backbones.weights_id(backbone), backbone.dim, layers, config.grid, length, tubelet, stride,
                   config.sample_fps, config.frame_stride, backbone.input_size, backbone.mean, backbone.std,
                   config.compute_dtype)

    def describe(self) -> dict:
        """JSON-ready facts a checkpoint must agree with."""
        return json.loads(json.dumps(asdict(self)))

    def sampled_fps(self, native_fps: float) -> float:
        return self.sample_fps or native_fps / self.frame_stride

    def with_layers(self, layers: tuple[int, ...]) -> "TapRecipe":
        return TapRecipe(**{**asdict(self), "layers": layers})

    def key(self, video: Video) -> str:
        if video.path is None:
            raise ValueError(f"video {video.id!r} has no file; run `losa prepare` on the folder of videos")
        content = [file_id(str(video.path)), video.start, video.duration]
        return hashlib.sha256(json.dumps([content, asdict(self)], sort_keys=True).encode()).hexdigest()[:32]


class LiveTaps:
    """Taps straight from the video: `fetch` decodes frames, `features` runs the frozen backbone clip by clip."""

    def __init__(self, backbone: nn.Module, recipe: TapRecipe, chunk: int = 8):
        self.backbone, self.recipe, self.chunk = backbone, recipe, chunk

    def __getstate__(self) -> dict:
        return {**self.__dict__, "backbone": None}  # a worker decodes only

    def time_grid(self, video: Video) -> Grid:
        return Grid(self.recipe.sampled_fps(opened(str(video.path)).fps), self.recipe.tubelet)

    def num_snippets(self, video: Video) -> int:
        return self.time_grid(video).num_snippets(len(self.frame_indices(video)))

    def frame_indices(self, video: Video) -> np.ndarray:
        """Native frame of every sampled frame of the video (or of its time range)."""
        reader = opened(str(video.path))
        try:
            return sample_indices(reader.timestamps, self.recipe.sampled_fps(reader.fps), video.start,
                                  video.start + video.duration)
        except ValueError as error:
            raise ValueError(f"video {video.id!r} ({video.path}): {error}; run `losa prepare` again") from None

    def fetch(self, video: Video, start: int, stop: int) -> dict:
        """Frames (n, 3, S, S) uint8 of the clips that touch snippets [start, stop), with where to crop."""
        r = self.recipe
        indices = self.frame_indices(video)
        first = max(0, (start * r.tubelet - r.clip_length) // r.clip_stride + 1)
        last = min(-(-stop * r.tubelet // r.clip_stride), len(backbones.clip_starts(len(indices), r.clip_length,
                                                                                    r.clip_stride))) - 1
        part = indices[first * r.clip_stride:last * r.clip_stride + r.clip_length]
        reader, few = opened(str(video.path)), 64  # frames at native size in memory at a time
        frames = torch.cat([backbones.resize_frames(reader.read(part[i:i + few]), r.input_size)
                            for i in range(0, len(part), few)])
        lead = start - first * r.clip_stride // r.tubelet
        return {"frames": frames, "lead": lead, "length": stop - start}

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

    def path(self, video: Video) -> Path:
        return self.folder / f"{self.stored.key(video)}.npy"

    def has(self, video: Video) -> bool:
        """True once the description, which is written last, is there."""
        return self.path(video).with_suffix(".json").is_file()

    def card(self, video: Video) -> dict:
        return read_card(str(self.path(video).with_suffix(".json")), video.id)

    def time_grid(self, video: Video) -> Grid:
        return Grid(self.card(video)["sampled_fps"], self.stored.tubelet)

    def num_snippets(self, video: Video) -> int:
        return self.card(video)["num_snippets"]

    def fetch(self, video: Video, start: int, stop: int) -> dict:
        card = self.card(video)
        rows = verified(str(self.path(video)), card["crc32"], card["num_snippets"], self.row_size())
        return {"rows": torch.from_numpy(np.array(rows[start:stop]))}

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Taps (K, C, t, g, g) and last layer (C, t), float32."""
        r = self.stored
        rows = fetched["rows"].float().T
        tapped = rows[:-r.dim].reshape(len(r.layers), r.grid, r.grid, r.dim, -1).permute(0, 3, 4, 1, 2)
        return tapped[[r.layers.index(i) for i in self.recipe.layers]], rows[-r.dim:]

    def row_size(self) -> int:
        return self.stored.dim * (len(self.stored.layers) * self.stored.grid ** 2 + 1)

    def write(self, live: LiveTaps, video: Video) -> int:
        """Computes one video's taps and keeps them; returns bytes written. Raises CacheError, leaving no file."""
        path, total, rows = self.path(video), live.num_snippets(video), None
        temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
        try:
            rows = np.lib.format.open_memmap(temporary, "w+", np.float16, (total, self.row_size()))
            for start in range(0, total, CHUNK_SNIPPETS):
                stop = min(total, start + CHUNK_SNIPPETS)
                tapped, last = live.features(live.fetch(video, start, stop))
                rows[start:stop] = as_fp16(torch.cat([tapped.permute(0, 3, 4, 1, 2).flatten(0, 3), last]).T, video.id)
            card = {"video": video.id, "num_snippets": total, "sampled_fps": live.time_grid(video).sampled_fps,
                    "crc32": zlib.crc32(rows), "recipe": asdict(self.stored)}
            rows.flush()
            rows = None  # a mapped file cannot be renamed or removed everywhere
            os.replace(temporary, path)
        finally:
            rows = None
            temporary.unlink(missing_ok=True)
        write_text(path.with_suffix(".json"), json.dumps(card, indent=1))
        return path.stat().st_size


def fill(cache: CachedTaps, live: LiveTaps, videos: tuple[Video, ...], quiet: bool = False) -> None:
    """Computes what the cache lacks. Says how large it will be before the first byte is written."""
    missing = [video for video in videos if not cache.has(video)]
    if not missing:
        return
    cache.folder.mkdir(parents=True, exist_ok=True)
    snippets = sum(live.num_snippets(video) for video in missing)
    size = snippets * cache.row_size() * 2 / 2**20
    free = shutil.disk_usage(cache.folder).free / 2**20
    if size > free:
        raise CacheError(f"taps of {len(missing)} videos need {size:,.0f} MiB, {cache.folder} has {free:,.0f} MiB "
                         f"free; tap fewer layers, lower `grid`, or set cache='' to compute them on the fly")
    if not quiet:
        print(f"taps cache: {len(missing)} videos, {snippets:,} snippets, {size:,.1f} MiB in {cache.folder}")
    for video in tqdm(missing, desc="taps", unit="video", disable=quiet):
        cache.write(live, video)


def open_taps(config: Config, videos: tuple[Video, ...], *, device: str = "cpu", quiet: bool = False):
    """The source of taps a config asks for: CachedTaps (filled for `videos`) or LiveTaps.

    With a cache, "all" layers are stored once whatever `taps` the config chooses among them.
    """
    backbone = backbones.load_backbone(config.backbone, config.weights or None, config.input_size).to(device)
    recipe = TapRecipe.make(config, backbone)
    live = LiveTaps(backbone, recipe)
    if not config.cache:
        return live
    every = backbones.tap_layers("all", backbone.depth)
    stored = recipe.with_layers(every) if set(recipe.layers) <= set(every) else recipe
    cache = CachedTaps(config.cache, stored, recipe.layers)
    fill(cache, LiveTaps(backbone, stored), videos, quiet)
    return cache


def as_fp16(rows: Tensor, video_id: str) -> np.ndarray:
    """Rows as float16. Raises CacheError where a value is not finite or too large for fp16."""
    if not bool(torch.isfinite(rows).all()) or float(rows.abs().max()) > 65504:
        worst = float(rows.nan_to_num(nan=float("inf")).abs().max())
        raise CacheError(f"taps of video {video_id!r} reach {worst:g}, fp16 ends at 65504; check weights and input, "
                         f"or set cache='' to compute on the fly in float32")
    return rows.half().cpu().numpy()


@lru_cache(maxsize=32)
def opened(path: str) -> Reader:
    """One lazily opened reader per file and process."""
    return Reader(path)


def file_id(path: str) -> str:
    """sha256 of the file's content, computed again only if its size or time of change differ."""
    state = os.stat(path)
    return digest(path, state.st_size, state.st_mtime_ns)


@cache
def digest(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def best_device() -> str:
    """"cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@lru_cache(maxsize=4096)
def read_card(path: str, video_id: str) -> dict:
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise CacheError(f"no cached taps of video {video_id!r} at {path}; `open_taps` computes them") from None


@cache
def verified(path: str, crc32: int, num_snippets: int, row_size: int) -> np.ndarray:
    """The memory-mapped rows of one file, checked once per process. Raises CacheError if they are not as written."""
    try:
        rows = np.load(path, mmap_mode="r")
        good = rows.shape == (num_snippets, row_size) and zlib.crc32(np.ascontiguousarray(rows)) == crc32
    except (OSError, ValueError):
        good = False
    if not good:
        raise CacheError(f"cached taps {path} are damaged; delete that file and its .json, they are computed anew")
    return rows
