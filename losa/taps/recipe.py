"""What cached taps depend on: the key that decides whether a file in the cache is still the right one."""

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from torch import nn

from losa.annotations.dataset import Video
from losa.backbones import vit as backbones
from losa.config import Config
from losa.files import content_id
from losa.taps.augment import DRAWN
from losa.taps.cache_files import FORMAT


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
        """Name of the file with the taps of a video, or of a further copy of it (see `losa.taps.augment`)."""
        if video.path is None:
            raise ValueError(f"video {video.id!r} has no file; run `losa data prepare` on the folder of videos")
        content = [content_id(str(video.path)), float(video.start), float(video.duration)]
        if copy:  # what it changes is drawn by the video's id
            content += [copy, zlib.crc32(video.id.encode()), DRAWN]
        return hashlib.sha256(f"{json.dumps(content)} {self.text}".encode()).hexdigest()[:32]

    @cached_property
    def text(self) -> str:
        """What the files depend on, as text."""
        return json.dumps(asdict(replace(self, snippet_frames=None, snippets_per_video=None)), sort_keys=True)
