"""Features at another rate than their source has, by linear interpolation in time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from losa.annotations.dataset import Video
from losa.segments import Grid


class Resampled:
    """A source at another rate: its features interpolated linearly in time (align_corners=False), its grid with them.

    A feature depends on the source's neighbours alone, so it is the same whatever window is read. The first and last
    stay beyond the outermost centres. Fewer than before are picked, not averaged, as the peers do.

    snippet_frames: sampled frames from one snippet to the next. snippets_per_video: so many for every video.
    """

    def __init__(self, source, snippet_frames: int | float | None = None, snippets_per_video: int | None = None):
        if (snippet_frames is None) == (snippets_per_video is None):
            raise ValueError(f"snippet_frames={snippet_frames}, snippets_per_video={snippets_per_video}: give one")
        self.source, self.snippet_frames, self.snippets_per_video = source, snippet_frames, snippets_per_video
        self.recipe = replace(source.recipe, snippet_frames=snippet_frames, snippets_per_video=snippets_per_video)

    def factor(self, video: Video) -> float:
        """Snippets per snippet of the source."""
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
        """What the source fetches around the window, and where in it each snippet lies."""
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
        """Taps (K, C, t, g, g) and last layer (C, t), float32."""
        tapped, last = self.source.features(fetched["inner"])
        left, right, share = (fetched[name].to(last.device) for name in ("left", "right", "share"))
        return between(tapped, left, right, share, 2), between(last, left, right, share, 1)


def between(x: Tensor, left: Tensor, right: Tensor, share: Tensor, dim: int) -> Tensor:
    """Values of x along `dim` from `left` (share 0) to `right` (share 1)."""
    share = share.view([-1 if axis == dim else 1 for axis in range(x.dim())])
    return x.index_select(dim, left) * (1 - share) + x.index_select(dim, right) * share
