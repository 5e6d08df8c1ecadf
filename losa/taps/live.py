"""Compute taps, the pooled intermediate features of a frozen backbone, on the fly from the video.

Because the backbone never changes, taps depend on the video and the recipe alone. `CachedTaps` gives the same values
(up to fp16 rounding) from files.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from losa.annotations.dataset import Video
from losa.backbones.clips import clip_starts, extract_taps, resize_frames
from losa.errors import AnnotationError
from losa.segments import Grid
from losa.taps.augment import choose_phase, cut_and_mirror, draw_change, recolour
from losa.taps.cache_key import TapRecipe, find_file
from losa.video.probe import check_file
from losa.video.reader import close_readers, get_reader
from losa.video.sampling import sample_indices

FEW_FRAMES = 16  # read at a time: with more, decord decodes ahead without bound (3 GB for a long video)
NATIVE_BYTES = 2**27  # of frames at the video's own size in memory at a time


class LiveTaps:
    """Taps straight from the video: `fetch` decodes frames, `features` runs the frozen backbone clip by clip.

    chunk: clips in one pass of the backbone.
    """

    tuned = None

    def __init__(self, backbone: nn.Module, recipe: TapRecipe, chunk: int | None = None):
        self.backbone, self.recipe, self.threads = backbone, recipe, 1
        self.chunk = chunk or max(8, 64 // recipe.clip_length)
        self._chosen = (None, np.empty(0, np.int64))  # frame indices of the video read last
        self._read = None  # origin, indices and pictures of the frames read last, which the next call may share

    def __getstate__(self) -> dict:
        return {**self.__dict__, "backbone": None, "_read": None}  # a worker decodes only

    def has(self, video: Video, copy: int = 0) -> bool:
        """Return False: the backbone computes everything anew."""
        return False

    def ensure(self, videos: Sequence[Video]) -> None:
        """Check that the files of the videos are there. Raises AnnotationError or VideoError."""
        for video in videos:
            check_file(find_file(video))

    def reader(self, video: Video, alive: Callable | None = None):
        """Return the open file (`losa.video.reader.Reader`), which belongs to this process alone.

        alive: called now and then from here on, while the file is opened and read; None leaves that as it is.
        """
        reader = get_reader(str(find_file(video)), self.threads)
        if alive is not None:
            reader.alive = alive
        return reader

    def close(self) -> None:
        """Close every file that this process has open."""
        self._read = None
        close_readers()

    def backend(self, video: Video) -> str:
        """Return what decodes the video: "decord", or "av" where decord cannot be trusted."""
        return self.reader(video).backend

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        """Return the number of videos per decoder."""
        return dict(Counter(self.backend(video) for video in videos))

    def time_grid(self, video: Video) -> Grid:
        return Grid(self.recipe.sampled_fps(video, self.reader(video).fps), self.recipe.tubelet)

    def num_snippets(self, video: Video) -> int:
        return self.time_grid(video).num_snippets(self.num_frames(video))

    def num_frames(self, video: Video) -> int:
        """Return the number of sampled frames of the video."""
        return len(self.frame_indices(video))

    def frame_indices(self, video: Video) -> np.ndarray:
        """Return the index in the file of every sampled frame of the video (or of its time range).

        Raises AnnotationError where the annotated range does not fit the file.
        """
        which = (video.path, video.start, video.duration)
        if self._chosen[0] == which:
            return self._chosen[1]
        reader = self.reader(video)
        try:
            indices = sample_indices(reader.timestamps, self.recipe.sampled_fps(video, reader.fps), video.start,
                                     video.start + video.duration)
            self._chosen = (which, indices)
            return indices
        except ValueError as error:
            raise AnnotationError(f"video {video.id!r} ({video.path}): {error}; run `losa data prepare` "
                                  "again") from None

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0, alive: Callable | None = None) -> dict:
        """Decode the clips that touch snippets [start, stop): {"frames" (n, 3, S, S) uint8, "lead", "length"}.

        The clips give more snippets than were asked for: `lead` of them come before `start`.

        copy: which copy of the video, see `losa.taps.augment`. Where its clips begin before the video does, the first
            frame is repeated, and `lead` counts those snippets too.
        alive: called now and then, while frames are read.
        """
        r = self.recipe
        self.reader(video, alive)
        indices, shift = self.frame_indices(video), choose_phase(copy, r.clip_stride // r.tubelet)
        indices = np.concatenate([indices[:1].repeat(shift * r.tubelet), indices])
        start, stop = start + shift, stop + shift
        first = max(0, (start * r.tubelet - r.clip_length) // r.clip_stride + 1)
        last = min(-(-stop * r.tubelet // r.clip_stride), len(clip_starts(len(indices), r.clip_length,
                                                                                    r.clip_stride))) - 1
        part = indices[first * r.clip_stride:last * r.clip_stride + r.clip_length]
        lead = start - first * r.clip_stride // r.tubelet
        return {"frames": self.read(video, part, alive or (lambda: None), copy), "lead": lead, "length": stop - start}

    def read(self, video: Video, indices: np.ndarray, alive: Callable, copy: int = 0) -> Tensor:
        """Return the frames at these indices (in order), resized for the backbone, few at their own size at a time.

        Frames that the last call ended with are not decoded again: some files can only be read forward from the start.
        """
        unique, place = np.unique(indices, return_inverse=True)
        change = draw_change(video.id, copy)
        frames = self._shared((video.path, change), unique)
        reader, at, few = self.reader(video), sum(map(len, frames)), 1
        while at < len(unique):
            alive()
            native = reader.read(unique[at:at + few])
            seen = cut_and_mirror(native, change) if change else native
            small = resize_frames(seen, self.recipe.input_size, self.recipe.resize)
            frames.append(recolour(small, change) if change else small)
            at, few = at + few, min(FEW_FRAMES, max(1, NATIVE_BYTES // native[0].numel()))
        pictures, length, stride = torch.cat(frames), self.recipe.clip_length, self.recipe.clip_stride
        most = length + (-(-length // stride) - 2) * stride + 1  # frames that two stretches share, and a repeated one
        self._read = ((video.path, change), unique[-most:], pictures[-most:].clone())
        return pictures if len(unique) == len(indices) else pictures[torch.from_numpy(place)]

    def _shared(self, origin: tuple, indices: np.ndarray) -> list[Tensor]:
        """Return the frames of the last call that this one begins with, if any; origin: file and change of pixels."""
        last_origin, last_indices, frames = self._read or (None, indices, None)
        first = int(np.searchsorted(last_indices, indices[0]))
        count = min(len(last_indices) - first, len(indices))
        if last_origin != origin or count < 1 or not np.array_equal(last_indices[first:first + count], indices[:count]):
            return []
        return [frames[first:first + count]]

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return taps (K, C, t, g, g) and last layer (C, t), float32 on the backbone's device."""
        r = self.recipe
        device = next(self.backbone.parameters()).device
        lower = torch.autocast(device.type, torch.bfloat16, enabled=r.compute_dtype == "bfloat16")
        with lower:
            tapped, last = extract_taps(self.backbone, fetched["frames"], r.layers, grid=r.grid,
                                          clip_stride=r.clip_stride, chunk=self.chunk)
        span = slice(fetched["lead"], fetched["lead"] + fetched["length"])
        return tapped[:, :, span], last[:, span]
