"""Compute features with a backbone that trains, for the modes inside and full.

All five modes, and what each trains in the backbone: losa and head_only nothing, they read the taps of the frozen
backbone (`losa.taps.live`). side_tokens nothing either, but it keeps every token and adapts them one by one
(`losa.model.side_tokens`; the idea of AdaTAD's frozen variant, arXiv 2311.17241). inside trains small adapters after
the tapped blocks, with gradient through the whole frozen backbone (AdaTAD's idea; the width, the place of the
convolution and that it stays within a clip are ours). full trains every weight.

`inside` and `full` cannot be cached: `features` runs the backbone each time, with gradient where torch's grad mode is
on. The backbone stays in eval mode even then, so batch norm keeps its pretrained statistics and nothing is dropped: the
features of a video do not depend on what else is in its batch.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from losa.annotations.dataset import Video
from losa.backbones.clips import extract_with_gradient
from losa.backbones.tuning import tune
from losa.config import Config
from losa.taps.cache_key import TapRecipe
from losa.taps.live import LiveTaps

KEPT_BYTES = 2 * 2**30  # of decoded frames, at most, that stay in memory from one epoch to the next


class TunedTaps(LiveTaps):
    """Features of a backbone that trains with the model: no taps, the last layer with its graph.

    Decoded frames stay in memory, since every epoch reads them again, until `keep_bytes` are full. Further videos are
    decoded anew each time, and so are copies that differ in every epoch. The processes of a data loader keep no frames,
    since they end with the epoch.
    """

    def __init__(self, backbone: nn.Module, recipe: TapRecipe, config: Config, keep_bytes: int = KEPT_BYTES):
        super().__init__(backbone, recipe)
        self.tuned = tune(backbone, config)
        self.keep_bytes, self.keep_copies = keep_bytes, config.copies != 0
        self._kept, self._native = {}, {}

    def __getstate__(self) -> dict:
        return {**super().__getstate__(), "tuned": None, "_kept": {}}

    def frame_indices(self, video: Video) -> np.ndarray:
        """Return the index in the file of every sampled frame, looked up once per video."""
        which = (video.path, video.start, video.duration)
        if which not in self._native:
            self._native[which] = super().frame_indices(video)
        return self._native[which]

    def read(self, video: Video, indices: np.ndarray, alive: Callable, copy: int = 0) -> Tensor:
        """Return the frames at these indices of the file, from memory where they are kept."""
        native = np.unique(self.frame_indices(video))
        which = (video.path, video.start, video.duration, copy, video.id if copy else "")
        if which not in self._kept and self._keeps(native, copy):
            self._kept[which] = super().read(video, native, alive, copy)
        if which not in self._kept:
            return super().read(video, indices, alive, copy)
        return self._kept[which][torch.from_numpy(np.searchsorted(native, indices))]

    def _keeps(self, native: np.ndarray, copy: int) -> bool:
        """Return whether all sampled frames of one more video may stay in memory."""
        if torch.utils.data.get_worker_info() is not None or (copy and not self.keep_copies):
            return False
        used, new = sum(frames.nbytes for frames in self._kept.values()), len(native) * 3 * self.recipe.input_size ** 2
        return used + new <= self.keep_bytes

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return no taps (0, C, t, 1, 1) and the last layer (C, t), float32, with gradient where grad mode is on."""
        r, device = self.recipe, next(self.backbone.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=r.compute_dtype == "bfloat16"):
            tapped, last = extract_with_gradient(self.backbone, fetched["frames"], (), clip_stride=r.clip_stride,
                                                        chunk=self.chunk)
        span = slice(fetched["lead"], fetched["lead"] + fetched["length"])
        return tapped[:, :, span], last[:, span]
