"""Taps that were computed once and are read from files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from losa.annotations.dataset import Video
from losa.errors import CacheError
from losa.segments import Grid
from losa.taps.cache_files import map_rows, read_card, verify
from losa.taps.cache_key import TapRecipe


class CachedTaps:
    """Taps that were computed once (see `losa.taps.extract`) and are read from a folder, a file per video.

    recipe: what was stored; it and the video's content give a file its name, so a file is never out of date (see
        `losa.taps.cache_key`).
    layers: which of the stored layers to hand out, in this order; None is all.
    complete: called as complete(self, videos) to compute what is missing; None for a cache that is only read.
    """

    tuned = None

    def __init__(self, folder: str | Path, recipe: TapRecipe, layers: tuple[int, ...] | None = None,
                 complete: Callable | None = None):
        self.folder, self.stored, self.complete = Path(folder), recipe, complete
        self.recipe = recipe if layers is None else recipe.with_layers(layers)

    def path(self, video: Video, copy: int = 0) -> Path:
        """Return the file that holds the video's taps, or is to hold them; its card has the ending .json."""
        return self.folder / f"{self.stored.key(video, copy)}.npy"

    def has(self, video: Video, copy: int = 0) -> bool:
        """Return whether the taps are there: their card, which is written last, is."""
        return self.path(video, copy).with_suffix(".json").is_file()

    def ensure(self, videos: Sequence[Video]) -> None:
        """Compute the taps that are missing. Raises CacheError that lists the videos which have none in the end."""
        if self.complete is not None:
            self.complete(self, videos)
        elif missing := [video.id for video in videos if not self.has(video)]:
            raise CacheError(f"{len(missing)} of {len(videos)} videos have no taps in {self.folder}: "
                             f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}; compute them with "
                             "`losa data extract`")

    def card(self, video: Video, copy: int = 0) -> dict:
        """Return what is known of the stored taps: num_snippets, sampled_fps, decode, recipe, crc32."""
        return read_card(str(self.path(video, copy).with_suffix(".json")), video.id, copy)

    def time_grid(self, video: Video) -> Grid:
        return Grid(self.card(video)["sampled_fps"], self.stored.tubelet)

    def num_snippets(self, video: Video) -> int:
        return self.card(video)["num_snippets"]

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0) -> dict:
        """Read the rows of snippets [start, stop). Raises CacheError where the file is damaged or of another version.
        """
        card = self.card(video, copy)
        path = str(self.path(video, copy))
        verify(path, card["crc32"], card["num_snippets"], self.row_size())
        return {"rows": torch.from_numpy(np.array(map_rows(path)[start:stop]))}

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return taps (K, C, t, g, g) and last layer (C, t), float32."""
        r = self.stored
        rows = fetched["rows"].float().T
        tapped = rows[:-r.dim].reshape(len(r.layers), r.grid, r.grid, r.dim, rows.shape[1]).permute(0, 3, 4, 1, 2)
        return tapped[[r.layers.index(i) for i in self.recipe.layers]], rows[-r.dim:]

    def row_size(self) -> int:
        """Return how many numbers are stored per snippet."""
        return self.stored.dim * (len(self.stored.layers) * self.stored.grid ** 2 + 1)

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        """Return the number of videos per decoder that read their frames."""
        return dict(Counter(self.card(video)["decode"] for video in videos))

    def pack(self, tapped: Tensor, last: Tensor) -> Tensor:
        """Return the rows (t, row_size) that are stored for taps (K, C, t, g, g) and last layer (C, t)."""
        return torch.cat([tapped.permute(0, 3, 4, 1, 2).flatten(0, 3), last]).T
