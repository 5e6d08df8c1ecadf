"""Read features that others computed, as a folder of .npy files."""

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from losa.annotations.dataset import Video
from losa.errors import FeatureError
from losa.segments import Grid

CARD = "card.json"  # beside exported features: what they are
COUNT_TOLERANCE = 0.1  # share by which a file's number of features may differ from what its stride says, unremarked


@dataclass(frozen=True)
class FeatureRecipe:
    """What is known about features that others computed. A model trained on them refuses features of another recipe."""

    source: str  # from the card; "" for a folder without one
    dim: int
    stride: int | float  # native frames between two features
    frames: int | float  # native frames one feature saw
    layers: tuple[int, ...] = ()
    grid: int = 1
    clip_length: int = 1
    tubelet: int = 1
    snippet_frames: int | float | None = None
    snippets_per_video: int | None = None

    def describe(self) -> dict:
        """JSON-ready facts a checkpoint must agree with."""
        return json.loads(json.dumps(asdict(self)))


class NpyFeatures:
    """Features from a folder of <video id>.npy (or v_<id>.npy), as ActionFormer and OpenTAD read them.

    A file holds (T, C), or (C, T): the axis that is equally long in every file is C; where that tells nothing, T is
    the axis whose length fits the video's duration. A file (K + 1, T, C) holds K taps and then the last layer.
    Feature j is centred at native frame j * stride + frames / 2 (ActionFormer's libs/datasets/thumos14.py).

    stride, frames: None takes them from the card.json that `export` writes.
    layers: which of the K taps to hand out; None is all.

    Raises FeatureError where files are missing, hold no features, or differ in width or number of taps.
    """

    tuned = None

    def __init__(self, folder: str | Path, videos: Sequence[Video], stride: int | float | None = None,
                 frames: int | float | None = None, layers: Sequence[int] | None = None):
        self.folder = Path(folder)
        if not videos:
            raise FeatureError(f"features in {self.folder} were asked for of no video; give the videos")
        if not self.folder.is_dir():
            raise FeatureError(f"there is no folder of features {self.folder}; give the folder that holds <id>.npy")
        self.card = self._read_card(stride, frames)
        self.paths = {video.id: find_features(self.folder, video.id) for video in videos}
        self._check_all_there()
        shapes = {video.id: read_shape(self.paths[video.id]) for video in videos}
        self.time_axis = self._find_time_axis(videos, shapes)
        dim = self._only({name: shape[self._dim_axis] for name, shape in shapes.items()}, "width")
        num_taps = self._only({name: shape[0] - 1 if len(shape) == 3 else 0 for name, shape in shapes.items()},
                              "number of taps")
        self.counts = {name: shape[self.time_axis] for name, shape in shapes.items()}
        self._compare_counts(videos)
        self.recipe = FeatureRecipe(self.card.get("source", ""), dim, self.card["stride"], self.card["frames"],
                                    tuple(range(num_taps) if layers is None else layers))

    def _only(self, values: dict[str, int], what: str) -> int:
        """Return the one value that all videos share; FeatureError names those that differ from the most usual one."""
        usual = Counter(values.values()).most_common(1)[0][0]
        odd = [f"{name} ({value})" for name, value in values.items() if value != usual]
        if odd:
            raise FeatureError(f"{self.folder}: {len(odd)} of {len(values)} videos have another {what} than the most "
                               f"usual {usual}: {list_some(odd)}; remove these files or make them again")
        return usual

    def _read_card(self, stride, frames) -> dict:
        """Return stride, frames, fps per video and the rest of the card. FeatureError where given values differ."""
        path, given = self.folder / CARD, {"stride": stride, "frames": frames}
        try:
            card = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            numbers = [card[name] for name in given if name in card] + list(card.get("fps", {}).values())
            if not all(isinstance(number, int | float) and number >= 0 for number in numbers):
                raise TypeError("stride, frames and fps are numbers")
        except (ValueError, TypeError, AttributeError) as error:
            raise FeatureError(f"{path} is no description of features ({error}); remove it, or export anew") from None
        for name, value in given.items():
            if value is None and name not in card:
                raise FeatureError(f"{self.folder} has no {CARD}; say feature_{name}")
            if None not in (value, card.get(name)) and abs(value - card[name]) > 1e-6 * max(1, abs(value)):
                raise FeatureError(f"feature_{name}={value}, but {path} says {card[name]}; write feature_stride="
                                   f"{card.get('stride')} and feature_frames={card.get('frames')}")
        return {"fps": {}, **{k: v for k, v in given.items() if v is not None}, **card}

    def _check_all_there(self) -> None:
        lost = [name for name, path in self.paths.items() if path is None]
        if lost:
            raise FeatureError(f"{len(lost)} of {len(self.paths)} videos have no features in {self.folder}: "
                               f"{list_some(lost)}; looked for <id>.npy and v_<id>.npy. Get these files, or leave the "
                               f"videos out of the annotations")

    @property
    def _dim_axis(self) -> int:
        return -2 if self.time_axis == -1 else -1

    def _find_time_axis(self, videos: Sequence[Video], shapes: dict[str, tuple[int, ...]]) -> int:
        """Return the axis that is time: -2 for files (..., T, C), -1 for (C, T)."""
        if any(len(shape) == 3 for shape in shapes.values()):
            return -2
        sizes = [{shape[axis] for shape in shapes.values()} for axis in (-2, -1)]
        if (len(sizes[0]) == 1) != (len(sizes[1]) == 1):
            return -1 if len(sizes[0]) == 1 else -2
        expected = [self.estimate_count(video) for video in videos]
        off = [np.median([abs(np.log(shapes[v.id][axis] / n)) for v, n in zip(videos, expected, strict=True) if n]
                         or [0.0]) for axis in (-2, -1)]
        return -1 if off[1] < off[0] else -2

    def estimate_count(self, video: Video) -> float:
        """Return about how many features the video should have; 0 where its frame rate is unknown."""
        fps = self.fps(video) or 0.0
        return max(1.0, (video.duration * fps - self.card["frames"]) / self.card["stride"] + 1) if fps else 0.0

    def _compare_counts(self, videos: Sequence[Video]) -> None:
        """Warn where files hold another number of features than duration, frame rate and stride say."""
        odd, ratios = [], []
        for video in videos:
            there, expected = self.counts[video.id], self.estimate_count(video)
            if expected and abs(there - expected) > max(4.0, COUNT_TOLERANCE * expected):
                odd.append(f"{video.id} has {there}, not about {expected:.0f}")
                ratios.append(there / expected)
        if odd:
            warnings.warn(f"{self.folder}: {len(odd)} of {len(videos)} videos have another number of features than "
                          f"stride {self.card['stride']:g} gives, {np.median(ratios):.2f} x in the middle: "
                          f"{list_some(odd)}. Check feature_stride and the videos' fps and durations, or segments "
                          "shift unnoticed",
                          stacklevel=3)

    def fps(self, video: Video) -> float | None:
        """Return native frames per second, from the card or the annotations; None where neither says."""
        return self.card["fps"].get(video.id, video.fps)

    def time_grid(self, video: Video) -> Grid:
        """Return when each feature is. Raises FeatureError for a video without a frame rate."""
        fps = self.fps(video)
        if not fps:
            raise FeatureError(f"video {video.id!r} has no frame rate: features count native frames; give annotations "
                               f"with an fps per video, as `losa data prepare` writes them")
        return Grid(fps, self.card["stride"], self.card["frames"] / 2)

    def has(self, video: Video, copy: int = 0) -> bool:
        return copy == 0 and video.id in self.counts

    def ensure(self, videos: Sequence[Video]) -> None:
        """Check that the features were opened for all these videos. Raises FeatureError that names the others."""
        if missing := [video.id for video in videos if not self.has(video)]:
            raise FeatureError(f"features in {self.folder} were opened without {len(missing)} of {len(videos)} videos: "
                               f"{list_some(missing)}; open them with these videos, too")

    def num_snippets(self, video: Video) -> int:
        return self.counts[video.id]

    def decode_counts(self, videos: Sequence[Video]) -> dict[str, int]:
        """Return nothing, since nobody knows what decoded the videos."""
        return {}

    def fetch(self, video: Video, start: int, stop: int, copy: int = 0) -> dict:
        """Return {"rows": (K + 1, t, C) float32}. FeatureError for a copy, since there are no pixels to change."""
        if copy:
            raise FeatureError(f"copy {copy} of video {video.id!r} was asked for, but features in {self.folder} are "
                               f"of the video as it is; write copies=1")
        stored = load_rows(str(self.paths[video.id]))
        part = stored[..., start:stop].T[None] if self.time_axis == -1 else stored[..., start:stop, :]
        rows = torch.from_numpy(np.array(part, dtype=np.float32))
        if not bool(torch.isfinite(rows).all()):
            raise FeatureError(f"{self.paths[video.id]} holds values that are nan or infinite; remake this file")
        return {"rows": rows if rows.dim() == 3 else rows[None]}

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return taps (K, C, t, 1, 1) and last layer (C, t), float32."""
        rows = fetched["rows"].transpose(1, 2)
        return rows[list(self.recipe.layers)][..., None, None], rows[-1]


def check_name(video_id: str) -> str:
    """Return the id if it can name a file inside a folder, else raise FeatureError."""
    path = Path(video_id)
    if not video_id or path.is_absolute() or ".." in path.parts or "\\" in video_id or "\0" in video_id:
        raise FeatureError(f"video id {video_id!r} is no name for a file; rename it in the annotations")
    return video_id


def find_features(folder: Path, video_id: str) -> Path | None:
    """Return the file of a video's features, None where there is none."""
    names = (f"{check_name(video_id)}.npy", f"v_{video_id}.npy")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of an array file without reading its content. FeatureError where it holds no features."""
    try:
        stored = np.load(path, mmap_mode="r")
        shape, dtype = stored.shape, stored.dtype
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise FeatureError(f"{path} is no .npy array or is cut short ({error}); get or make it again") from None
    if dtype.kind != "f" or len(shape) not in (2, 3) or 0 in shape:
        raise FeatureError(f"{path} holds {dtype} {shape}; expected floats (T, C), (C, T) or (K + 1, T, C)")
    return shape


@lru_cache(maxsize=64)
def load_rows(path: str) -> np.ndarray:
    """Return the array of one file, memory-mapped. Few are kept, since each holds a file open."""
    return np.load(path, mmap_mode="r")


def list_some(names: Sequence[str], show: int = 5) -> str:
    """Return the first few names, and how many more there are."""
    return ", ".join(names[:show]) + (f" and {len(names) - show} more" if len(names) > show else "")
