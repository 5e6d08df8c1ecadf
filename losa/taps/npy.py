"""Read features that others computed, as a folder with a file for every video."""

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from losa.annotations.dataset import Video
from losa.errors import FeatureError
from losa.segments import Grid
from losa.taps.feature_axes import find_time_axis, find_unit_axes, squeeze
from losa.taps.feature_files import load_rows, read_shape
from losa.taps.feature_lengths import Length, check_lengths, check_same_length, expected_counts, explain_no_fps
from losa.taps.feature_names import find_files, list_some

CARD = "card.json"  # beside exported features: what they are


@dataclass(frozen=True)
class FeatureRecipe:
    """What is known about features that others computed. A model trained on them refuses features of another recipe."""

    source: str  # from the card; "" for a folder without one
    dim: int
    stride: int | float | None  # native frames between two features; None: spread evenly over each video
    frames: int | float | None  # native frames one feature saw
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
    """Features from a folder with a file for every video, as ActionFormer, OpenTAD and others host them.

    Files are <video id>.npy, or what `losa.taps.feature_names.find_files` recognises or `pattern` says, of the kinds
    that `losa.taps.feature_files` reads. One holds (T, C) or (C, T), see `losa.taps.feature_axes.find_time_axis`, with
    any axes of length 1, as (T, 1, C); or (K + 1, T, C): K taps and then the last layer. What was recognised is
    announced by a warning.

    Feature j is centred at native frame j * stride + frames / 2 (ActionFormer's libs/datasets/thumos14.py); where the
    features of a video are spread evenly over it (`spacing` "duration"), at (j + 0.5) / T of its duration (BMN's
    rescaled features, ActionFormer's libs/datasets/anet.py).

    stride, frames: None takes them from the card.json that `export` writes.
    layers: which of the K taps to hand out; None is all.
    pattern, key, axes, fps, spacing: the config's feature_pattern, _key, _axes, _fps and _grid. `spacing` "stride"
        takes stride and frame rate as given, even where they fit few videos.
    stop: False warns of features that cover another length than the videos, also where that is most of them.
    width: C of the features that a model was trained on, which tells the axes of few files apart.

    Raises FeatureError where files are missing, hold no features, differ in width or number of taps, have no times, or
    cover another length than the videos.
    """

    tuned = None

    def __init__(self, folder: str | Path, videos: Sequence[Video], stride: int | float | None = None,
                 frames: int | float | None = None, layers: Sequence[int] | None = None, *,
                 pattern: str | None = None, key: str | None = None, axes: Literal["TC", "CT"] | None = None,
                 fps: int | float | None = None, spacing: Literal["stride", "duration"] | None = None,
                 stop: bool = True, width: int | None = None):
        self.folder, self.key, self.spacing, self.given_fps = Path(folder), key, spacing, fps
        self._check_folder(videos)
        self.card = self._read_card(stride, frames)
        self.paths, self.pattern = find_files(self.folder, [video.id for video in videos], pattern)
        stored = {video.id: read_shape(self.paths[video.id], key) for video in videos}
        self.unit_axes = find_unit_axes(stored)
        shapes = {name: squeeze(shape, self.unit_axes) for name, shape in stored.items()}
        self.time_axis = self._find_time_axis(videos, shapes, axes, width)
        dim = self._only({name: shape[self._dim_axis] for name, shape in shapes.items()}, "width")
        num_taps = self._only({name: shape[0] - 1 if len(shape) == 3 else 0 for name, shape in shapes.items()},
                              "number of taps")
        self.counts = {name: shape[self.time_axis] for name, shape in shapes.items()}
        self._check_times(videos, stop)
        self._announce(pattern, axes, num_taps if layers is not None and not len(layers) else 0, stored)
        even = spacing == "duration"
        self.recipe = FeatureRecipe(self.card.get("source", ""), dim, None if even else self.card["stride"],
                                    None if even else self.card["frames"],
                                    tuple(range(num_taps) if layers is None else layers))

    def _check_folder(self, videos: Sequence[Video]) -> None:
        if not videos:
            raise FeatureError(f"features in {self.folder} were asked for of no video; give the videos")
        if self.folder.is_file():
            raise FeatureError(f"features={self.folder} is a file; give a folder that holds a file for every video, "
                               "VIDEO.npy with an array (T, C)")
        if not self.folder.is_dir():
            raise FeatureError(f"there is no folder of features {self.folder}; give the folder that holds <id>.npy")

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
        if self.spacing != "duration":
            self._compare_with_card(card, given)
        return {"fps": {}, **{k: v for k, v in given.items() if v is not None}, **card}

    def _compare_with_card(self, card: dict, given: dict) -> None:
        """Raise FeatureError where the card contradicts what was given."""
        path, fps = self.folder / CARD, self.given_fps
        for name, value in given.items():
            if None not in (value, card.get(name)) and abs(value - card[name]) > 1e-6 * max(1, abs(value)):
                raise FeatureError(f"feature_{name}={value}, but {path} says {card[name]}; write feature_stride="
                                   f"{card.get('stride')} and feature_frames={card.get('frames')}")
        other = [name for name, rate in card.get("fps", {}).items() if fps and abs(rate - fps) > 1e-3 * fps]
        if other:
            raise FeatureError(f"feature_fps={fps:g}, but {path} says {card['fps'][other[0]]:g} for {other[0]}, and "
                               f"not {fps:g} for {len(other)} videos; leave feature_fps out")

    @property
    def _dim_axis(self) -> int:
        return -2 if self.time_axis == -1 else -1

    def _find_time_axis(self, videos: Sequence[Video], shapes: dict, axes: Literal["TC", "CT"] | None,
                        width: int | None) -> int:
        own: Literal["TC"] | None = "TC" if self.card.get("layout") == "(T, C)" else None
        expected = {video.id: self.estimate_count(video) for video in videos}
        return find_time_axis(str(self.folder), shapes, expected, axes or own, width)

    def estimate_count(self, video: Video) -> float:
        """Return about how many features the video should have; 0 where its frame rate, or the stride, is unknown."""
        fps, stride, frames = self.fps(video), self.card.get("stride"), self.card.get("frames")
        if not fps or not stride or frames is None or self.spacing == "duration":
            return 0.0
        return expected_counts(video.duration, fps, stride, frames)[0]

    def _check_times(self, videos: Sequence[Video], stop: bool) -> None:
        """Check that every feature has a time, and that the features are as long as the videos."""
        if self.spacing == "duration":
            return
        source, stride, frames = str(self.folder), self.card.get("stride"), self.card.get("frames")
        lengths = [Length(v.id, float(v.duration), self.fps(v), self.counts[v.id]) for v in videos]
        if self.spacing is None and stop:
            check_same_length(source, lengths, stride, frames)
        if not stride or frames is None:
            lacks = "feature_frames" if stride else "feature_stride"
            raise FeatureError(f"{source} has no {CARD}; say {lacks}, in native frames, or -s feature_grid=duration "
                               "where each video's features are spread evenly over it")
        if lost := [length for length in lengths if not length.fps]:
            raise FeatureError(explain_no_fps(source, lost, len(lengths), stride, frames))
        card = str(self.folder / CARD) if (self.folder / CARD).is_file() else ""
        check_lengths(source, lengths, stride, frames, stop=stop and self.spacing is None, card=card)

    def _announce(self, pattern: str | None, axes: str | None, unused_taps: int, stored: dict) -> None:
        """Warn of what was recognised and not said, and of what is not used."""
        shape = next((shape for shape in stored.values() if self.unit_axes[len(shape)]), None)
        notes = [
            (pattern is None and self.pattern, f"files are {self.pattern} (feature_pattern)"),
            (axes is None and self.time_axis == -1, "time is the last axis, (C, T) (feature_axes=CT)"),
            (shape, f"axes of length 1, as in {shape}, are left out"),
            (unused_taps, f"of {unused_taps + 1} arrays in each file, taken as taps and then the last layer, only the "
             "last is used"),
            (self.spacing == "duration" and self.card.get("stride"),
             f"feature_stride={self.card.get('stride')} is not used, for feature_grid=duration"),
        ]
        if said := "; ".join(str(note) for holds, note in notes if holds):
            warnings.warn(f"{self.folder}: {said}", stacklevel=3)

    def fps(self, video: Video) -> int | float | None:
        """Return native frames per second, from the card, `fps` or the annotations; None where none says."""
        return self.card["fps"].get(video.id, self.given_fps or video.fps)

    def time_grid(self, video: Video) -> Grid:
        """Return when each feature is. Raises FeatureError for a video without a frame rate."""
        if self.spacing == "duration":
            return Grid(self.counts[video.id] / video.duration, 1, 0.5)
        fps = self.fps(video)
        if not fps:
            raise FeatureError(f"video {video.id!r} has no frame rate: features count native frames; write the rate "
                               "they were made at, -s feature_fps=, or give annotations with an fps per video, as "
                               "`losa data prepare` writes them")
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
        stored = load_rows(str(self.paths[video.id]), self.key)
        stored = stored.squeeze(self.unit_axes.get(stored.ndim, ()))
        part = stored[..., start:stop].swapaxes(-1, -2) if self.time_axis == -1 else stored[..., start:stop, :]
        rows = torch.from_numpy(np.array(part, dtype=np.float32))
        if not bool(torch.isfinite(rows).all()):
            raise FeatureError(f"{self.paths[video.id]} holds values that are nan or infinite; remake this file")
        return {"rows": rows if rows.dim() == 3 else rows[None]}

    def features(self, fetched: dict) -> tuple[Tensor, Tensor]:
        """Return taps (K, C, t, 1, 1) and last layer (C, t), float32."""
        rows = fetched["rows"].transpose(1, 2)
        return rows[list(self.recipe.layers)][..., None, None], rows[-1]
