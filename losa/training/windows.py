"""Training samples: which window of a video, which segments in it, and in which order they are loaded.

The randomness of a sample depends only on (seed, epoch, video id), so that a resumed run, or one with another
number of workers, sees exactly the same samples.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from losa.annotations.dataset import Video
from losa.taps.source import FeatureSource


class Windows(Dataset):
    """One random window per (epoch, video index): ActionFormer's cropping (`libs/datasets/data_utils.py`).

    A video longer than `window` snippets gives a random window of that length, a shorter one a random crop of
    `crop_ratio` of itself. Either keeps at least one action with half of it inside, where there is any;
    segments with less than half inside are dropped, others clipped.
    align: windows start at multiples of this many snippets.
    copies: number of augmented copies of each video, of which a sample shows one (copy 0 is not augmented); 0: a new
    copy in every epoch.
    """

    def __init__(self, videos: Sequence[Video], source: FeatureSource, window: int, *, seed: int = 0,
                 crop_ratio: tuple[float, float] = (0.9, 1.0), align: int = 1, copies: int = 1):
        self.videos, self.source, self.window = list(videos), source, window
        self.seed, self.crop_ratio, self.align, self.copies = seed, crop_ratio, align, copies

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, where: tuple[int, int]) -> dict:
        epoch, index = where
        video = self.videos[index]
        rng = np.random.default_rng([self.seed, epoch, zlib.crc32(video.id.encode())])
        total = self.source.num_snippets(video)
        segments_grid = self.source.time_grid(video).to_grid(video.segments)
        start, length = choose_window(rng, total, segments_grid, self.window, self.crop_ratio, self.align)
        inside, kept = clip_segments(segments_grid, start, start + length, total)
        copy = () if self.copies == 1 else (int(rng.integers(self.copies)) if self.copies else epoch,)
        return {"video": video.id, "length": length, "fetched": self.source.fetch(video, start, start + length, *copy),
                "segments_grid": torch.from_numpy(inside - start).float(),
                "labels": torch.from_numpy(video.labels[kept])}


def choose_window(rng: np.random.Generator, total: int, segments_grid: np.ndarray, window: int,
                  crop_ratio: tuple[float, float], align: int = 1) -> tuple[int, int]:
    """Draw a window, all that keep an action being equally likely; return its (start, length) in snippets."""
    length = window
    if total <= window:
        low, high = max(round(crop_ratio[0] * total), 1), min(round(crop_ratio[1] * total), total)
        length = int(rng.integers(low, high, endpoint=True))
    starts = np.arange(0, total - length + 1, align)
    first, last = segments_grid[:, 0], segments_grid[:, 1]
    inside = np.minimum(last, starts[:, None] + length - 0.5) - np.maximum(first, starts[:, None] - 0.5)
    good = starts[((inside > 0) & (inside >= 0.5 * (last - first))).any(1)]
    return int(rng.choice(good if len(good) else starts)), length


def clip_segments(segments_grid: np.ndarray, start: int, stop: int,
                  total: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Clip segments to snippets [start, stop); return those with at least half inside, and which these were.

    total: snippets of the video, whose outer edges then cut nothing: features made elsewhere may begin after it does.
    """
    edges = (-np.inf if start == 0 and total else start - 0.5, np.inf if stop == total else stop - 0.5)
    clipped = segments_grid.clip(*edges)
    kept = (clipped[:, 1] - clipped[:, 0]) >= 0.5 * (segments_grid[:, 1] - segments_grid[:, 0])
    kept &= clipped[:, 1] > clipped[:, 0]
    return clipped[kept], kept


def batch_indices(num: int, batch_size: int, seed: int, epoch: int, skip: int = 0) -> list[list[tuple[int, int]]]:
    """Return the epoch's batches of (epoch, video index) in their random order, without the first `skip`."""
    order = np.random.default_rng([seed, epoch]).permutation(num).tolist()
    return [[(epoch, i) for i in order[at:at + batch_size]] for at in range(0, num, batch_size)][skip:]


def loader(windows: Windows, batches: list[list[tuple[int, int]]], num_workers: int) -> Iterator[list[dict]]:
    """Load the samples of each batch, as lists. A generator of its own leaves torch's global random state alone."""
    return iter(DataLoader(windows, batch_sampler=batches, num_workers=num_workers, collate_fn=list,
                           generator=torch.Generator().manual_seed(0)))
