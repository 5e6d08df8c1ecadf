"""What every source of features answers, whether they are computed on the fly, cached, or made by others.

K taps of C channels on a g x g grid, T snippets per video, t of them in a window. `losa.taps.open.open_features` opens
the source that a config asks for.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from losa.annotations.dataset import Video
from losa.segments import Grid
from losa.taps.cache_key import TapRecipe
from losa.taps.npy import FeatureRecipe


@runtime_checkable
class FeatureSource(Protocol):
    """Features of videos: LiveTaps, TunedTaps, CachedTaps, NpyFeatures, or one of them Resampled.

    Everything but `features` and `ensure` may run in a worker process: a copy that was pickled or forked opens its
    files itself and has neither backbone nor `tuned`.

    recipe: what the features depend on, their `dim` and `layers`; a checkpoint keeps `recipe.describe()`.
    tuned: the module that holds exactly the parameters trained inside the backbone, None where there are none. It is
        not to be called and stays in eval mode.
    """

    recipe: TapRecipe | FeatureRecipe
    tuned: nn.Module | None

    def has(self, video: Video, copy: int = 0) -> bool:
        """Return whether the video's features can be had without computing anything."""

    def ensure(self, videos: Sequence[Video]) -> None:
        """Compute what can be kept and is missing, or else check that the files can be read. Raises a LosaError."""

    def num_snippets(self, video: Video) -> int:
        """Return T, the number of snippets of the whole video."""

    def time_grid(self, video: Video) -> Grid:
        """Return when each snippet is, in seconds from the video's start."""

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0) -> dict:
        """Read or decode what `features` needs for snippets [start, stop). copy: see `losa.taps.augment`."""

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return taps (K, C, t, g, g) and last layer (C, t), float32. Runs where the backbone lives."""

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        """Return the number of videos per decoder ("decord", "av"); empty where nobody knows."""
