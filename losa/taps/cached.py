"""Taps that were computed once and are read from files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from losa.annotations.dataset import Video
from losa.segments import Grid
from losa.taps.cache_files import mapped, read_card, verify
from losa.taps.recipe import TapRecipe


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
