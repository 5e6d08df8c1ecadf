"""Features at another rate than their source has, by linear interpolation in time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from losa.annotations.dataset import Video
from losa.segments import Grid
from losa.taps.source import FeatureSource


class Resampled:
    """A source at another rate: its features interpolated linearly in time (align_corners=False), its grid with them.

    A feature depends only on its two neighbours in the source, so it is the same whatever window is read. Beyond the
    outermost centres the first and the last one repeat. A lower rate picks features and does not average them, as
    ActionFormer and OpenTAD do.

    snippet_frames: sampled frames from one snippet to the next. snippets_per_video: the same number for every video.
    Give one of them.
    """

    def __init__(self, source: FeatureSource, snippet_frames: int | float | None = None,
                 snippets_per_video: int | None = None):
        if (snippet_frames is None) == (snippets_per_video is None):
            raise ValueError(f"snippet_frames={snippet_frames}, snippets_per_video={snippets_per_video}: give one")
        self.source, self.snippet_frames, self.snippets_per_video = source, snippet_frames, snippets_per_video
        self.recipe = replace(source.recipe, snippet_frames=snippet_frames, snippets_per_video=snippets_per_video)

    @property
    def tuned(self) -> nn.Module | None:
        return self.source.tuned

    def has(self, video: Video, copy: int = 0) -> bool:
        return self.source.has(video, copy)

    def ensure(self, videos: Sequence[Video]) -> None:
        self.source.ensure(videos)

    def factor(self, video: Video) -> float:
        """Return the number of snippets per snippet of the source."""
        if self.snippets_per_video:
            return self.snippets_per_video / self.source.num_snippets(video)
        return self.source.time_grid(video).tubelet / self.snippet_frames

    def time_grid(self, video: Video) -> Grid:
        return self.source.time_grid(video).resampled(self.factor(video))

    def num_snippets(self, video: Video) -> int:
        if self.snippets_per_video:
            return self.snippets_per_video
        return max(1, int(np.ceil(self.source.num_snippets(video) * self.factor(video) - 1e-9)))

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        return self.source.decode_counts(videos)

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0) -> dict:
        """Return what the source fetches around the window, and where in it each snippet lies."""
        total = self.source.num_snippets(video)
        at = ((np.arange(start, stop) + 0.5) / self.factor(video) - 0.5).clip(0, total - 1)
        left = np.floor(at).astype(np.int64)
        right = np.minimum(left + 1, total - 1)
        share = torch.from_numpy((at - left).astype(np.float32))
        left, right = (torch.from_numpy(index) for index in (left, right))
        first = int(left[0])
        inner = self.source.fetch(video, first, int(right[-1]) + 1, copy)
        return {"inner": inner, "left": left - first, "right": right - first, "share": share}

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return taps (K, C, t, g, g) and last layer (C, t), float32."""
        tapped, last = self.source.features(fetched["inner"])
        left, right, share = (fetched[name].to(last.device) for name in ("left", "right", "share"))
        return interpolate(tapped, left, right, share, 2), interpolate(last, left, right, share, 1)


def interpolate(x: Tensor, left: Tensor, right: Tensor, share: Tensor, dim: int) -> Tensor:
    """Return the values of x between its places `left` (share 0) and `right` (share 1) along `dim`."""
    share = share.view([-1 if axis == dim else 1 for axis in range(x.dim())])
    return x.index_select(dim, left) * (1 - share) + x.index_select(dim, right) * share
