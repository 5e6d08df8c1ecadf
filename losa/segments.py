"""Segments in time: the one conversion between seconds and the grid, their overlap, and the predictions file.

A segment is (start, end) in seconds unless the name ends in `_grid`. Works without torch, so that evaluation does.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Num

from losa.files import write_text

Number = int | float
Times = TypeVar("Times")  # a number, a numpy array or a tensor; what comes back is of the same kind


@dataclass(frozen=True)
class Grid:
    """The time axis of a snippet sequence; the only place where seconds and snippet indices meet.

    Frames are sampled at times k / sampled_fps (seconds, k = 0, 1, ...) and snippet j covers the `tubelet`
    frames [j * tubelet, (j + 1) * tubelet). Grid position j is the mean time of those frames, so 0 is the
    centre of snippet 0 and -0.5 its leading edge.

    tubelet: frames from one snippet to the next; after interpolation perhaps no whole number.
    offset: frame at the centre of snippet 0; None is (tubelet - 1) / 2, the mean of the frames it covers.
    Features that others extracted have an offset of their own: ActionFormer's first is centred num_frames / 2 frames
    after the start of the video.
    """

    sampled_fps: Number
    tubelet: Number
    offset: Number | None = None

    def __post_init__(self) -> None:
        numbers = (self.sampled_fps, self.tubelet, self.offset or 0)
        if not (np.isfinite(numbers).all() and self.sampled_fps > 0 and self.tubelet > 0):
            raise ValueError(
                f"Grid(sampled_fps={self.sampled_fps}, tubelet={self.tubelet}, offset={self.offset}): expected a "
                "positive number of frames per second and of frames per snippet; check this video's sampling rate."
            )

    @property
    def centre(self) -> Number:
        """Sampled frame, perhaps between two, at the centre of snippet 0."""
        return (self.tubelet - 1) / 2 if self.offset is None else self.offset

    @property
    def snippet_seconds(self) -> float:
        """Seconds from one snippet to the next."""
        return self.tubelet / self.sampled_fps

    def to_seconds(self, points_grid: Times) -> Times:
        """Convert grid positions to seconds."""
        return (points_grid * self.tubelet + self.centre) / self.sampled_fps

    def to_grid(self, seconds: Times) -> Times:
        """Convert seconds to grid positions, the inverse of `to_seconds`."""
        return (seconds * self.sampled_fps - self.centre) / self.tubelet

    def num_snippets(self, num_sampled_frames: int) -> int:
        """Return how many snippets cover so many sampled frames; the last may be covered in part."""
        return math.ceil(num_sampled_frames / self.tubelet - 1e-9)

    def resampled(self, factor: Number) -> "Grid":
        """Return the grid of `factor` times as many snippets over the same stretch of time; its outer edges stay."""
        first = (0.5 / factor - 0.5) * self.tubelet + self.centre
        return Grid(self.sampled_fps, self.tubelet / factor, first)


class TimeAxis(NamedTuple):
    """When the snippets of a video are, and how many it has."""

    grid: Grid
    num_snippets: int

    def resampled(self, factor: Number) -> "TimeAxis":
        """Return the axis of `factor` times as many snippets."""
        return TimeAxis(self.grid.resampled(factor), max(1, math.ceil(self.num_snippets * factor - 1e-9)))


def tiou(a: Num[np.ndarray, "N 2"], b: Num[np.ndarray, "M 2"]) -> Float[np.ndarray, "N M"]:
    """Temporal intersection over union of every pair, float64; 0 (never nan) where both have no length."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    inter = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    inter = inter.clip(min=0.0)
    union = (a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None, :] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def write_predictions(
    path: str | Path, results: dict[str, list[dict]], external_data: dict | None = None
) -> Path:
    """Write a predictions file in ActivityNet's results format, as a whole or not at all, and return its path.

    `results` maps each video id to its records, {"segment": [start, end], "label", "score"}, in seconds from the start
    of the video. `external_data` says how they were made. Raises ValueError where a number is nan or infinite.
    """
    content = {"version": "losa", "results": results, "external_data": external_data or {}}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, json.dumps(content, allow_nan=False))
