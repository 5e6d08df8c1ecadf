"""Decide whether cached taps are stale: name all that taps depend on, and make each file's name from that.

No file is ever checked for its age. `TapRecipe.key` is a hash of the video's content and of every setting that changes
its taps, and the name of the file. Change one of them, and the cache looks for another name, finds nothing and computes
the taps anew; the old file stays, and serves again when the setting is put back.
"""

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import nn

from losa.annotations.dataset import Video
from losa.backbones.clips import tap_layers
from losa.backbones.load import weights_id
from losa.config import Config
from losa.errors import AnnotationError, ConfigError
from losa.files import content_id
from losa.taps.augment import DRAWN
from losa.taps.cache_files import FORMAT


@dataclass(frozen=True)
class TapRecipe:
    """Everything that taps depend on beside the video itself: a field more here is a reason more to compute anew."""

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
    snippet_frames: int | float | None = None  # this and the next belong to `Resampled`: not part of the key
    snippets_per_video: int | None = None

    @classmethod
    def make(cls, config: Config, backbone: nn.Module) -> "TapRecipe":
        """Return the recipe of a config's taps. Raises ConfigError for a stride of clips that leaves gaps."""
        length, tubelet = backbone.frames_per_clip, backbone.tubelet
        stride = config.clip_stride or length
        if stride > length or stride % tubelet:
            raise ConfigError(f"clip_stride={stride} must be a multiple of the tubelet {tubelet} and at most the "
                              f"clip's {length} frames")
        layers = () if config.tapped == "none" else tap_layers(config.tapped, backbone.depth)
        grid = backbone.input_size // backbone.patch if config.mode == "side_tokens" else config.grid
        return cls(weights_id(backbone), backbone.dim, layers, grid, length, tubelet, stride,
                   config.sample_fps, config.frame_stride, config.frames_per_video, backbone.input_size,
                   config.resize, backbone.mean, backbone.std, config.compute_dtype)

    def describe(self) -> dict:
        """Return what a checkpoint keeps, ready for JSON, and must agree with when it is loaded."""
        return json.loads(json.dumps(asdict(self)))

    def sampled_fps(self, video: Video, native_fps: int | float) -> int | float:
        """Return how many frames per second are read; with `frames_per_video` every video has its own rate."""
        if self.frames_per_video:
            return self.frames_per_video / video.duration
        return self.sample_fps or native_fps / self.frame_stride

    def with_layers(self, layers: tuple[int, ...]) -> "TapRecipe":
        return replace(self, layers=layers)

    def key(self, video: Video, copy: int = 0) -> str:
        """Return the name of the file with a video's taps, or those of a further copy of it (see `losa.taps.augment`).

        It depends on the content of the video's file, not on its path or the video's id.
        """
        content = [content_id(str(find_file(video))), float(video.start), float(video.duration)]
        if copy:  # what it changes is drawn by the video's id
            content += [copy, zlib.crc32(video.id.encode()), DRAWN]
        return hashlib.sha256(f"{json.dumps(content)} {self.key_text}".encode()).hexdigest()[:32]

    @cached_property
    def key_text(self) -> str:
        """The part of the key that all videos share, as text."""
        return json.dumps(asdict(replace(self, snippet_frames=None, snippets_per_video=None)), sort_keys=True)


def find_file(video: Video) -> Path:
    """Return the video's file. Raises AnnotationError where the annotations name none."""
    if video.path is None:
        raise AnnotationError(f"video {video.id!r} has no file; run `losa data prepare` on the folder of videos")
    return video.path
