"""Compare how many features files hold with how long the videos are, before anything is trained on a wrong time grid.

A video of n native frames has from (n - frames) / stride + 1 features (whole snippets alone) to n / stride + 1 (the
ends padded). Other extractors round in other ways, so that a few percent, or a few features, mean nothing.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from losa.errors import FeatureError
from losa.segments import Number
from losa.taps.feature_names import list_some

TOLERANCE = 0.1  # share by which the number of features may differ from what the stride says
FEW = 4.0  # features it may differ by in any case
NEARLY_ALL = 0.9  # share of videos


@dataclass(frozen=True)
class Length:
    """A video's duration in seconds, its native frames per second (None: unknown), and its number of features."""

    video_id: str
    seconds: Number
    fps: Number | None
    count: int


def expected_counts(seconds: Number, fps: Number, stride: Number, frames: Number) -> tuple[float, float]:
    """Return the least and the largest number of features that a video should have."""
    native = seconds * fps
    return max(1.0, (native - frames) / stride + 1), max(1.0, native / stride + 1)


def compare(length: Length, stride: Number, frames: Number) -> float:
    """Return how many times the video its features cover: 1 within the tolerance, or where its fps is unknown."""
    if not length.fps:
        return 1.0
    low, high = expected_counts(length.seconds, length.fps, stride, frames)
    nearest = min(max(float(length.count), low), high)
    if abs(length.count - nearest) <= max(FEW, TOLERANCE * nearest):
        return 1.0
    return length.count * stride / (length.seconds * length.fps)


def check_lengths(source: str, lengths: Sequence[Length], stride: Number, frames: Number, *, stop: bool = True,
                  card: str = "") -> None:
    """Raise FeatureError where the features of most videos cover another length; warn of single videos.

    stop: False warns in the first case, too. card: the file that says stride and fps, if one does.
    """
    factors = {length.video_id: compare(length, stride, frames) for length in lengths}
    odd = [length for length in lengths if abs(factors[length.video_id] - 1) > 1e-9]
    if not odd:
        return
    most = 2 * len(odd) > len(lengths)
    listed = list_some([_describe(length, stride, frames) for length in odd], 3)
    middle = float(np.median([factors[length.video_id] for length in odd]))
    what = (f"{source}: the features of {len(odd)} of {len(lengths)} videos cover another length than the video at "
            f"feature_stride={stride:g}, {middle:.2f} x in the middle: {listed}. ")
    if most and stop:
        raise FeatureError(what + _advise(odd, [factors[x.video_id] for x in odd], stride, frames, card))
    rest = len(lengths) - len(odd)
    warnings.warn(what + ("Segments shift there: " if most else f"The other {rest} agree; of these ") +
                  "check durations, frame rates and files", stacklevel=4)


def check_same_length(source: str, lengths: Sequence[Length], stride: Number | None, frames: Number | None) -> None:
    """Raise FeatureError where the files of nearly all videos are equally long, but the videos are not.

    Not where stride and frame rates explain it, as those of features that were sampled at a rate for each video.
    """
    usual, times = Counter(length.count for length in lengths).most_common(1)[0]
    same = [length for length in lengths if length.count == usual]
    seconds = [length.seconds for length in same]
    low, middle, high = min(seconds), float(np.median(seconds)), max(seconds)
    if times < 2 or times < NEARLY_ALL * len(lengths) or high - low <= max(2 / usual, 0.05) * middle:
        return
    known = stride is not None and frames is not None and all(length.fps for length in same)
    if known and np.mean([compare(length, stride or 0, frames or 0) == 1.0 for length in same]) > 0.5:
        return
    raise FeatureError(
        f"{source}: {times} of {len(lengths)} videos have exactly {usual} features, while they last from {low:g} to "
        f"{high:g} s. If each was rescaled to {usual} features, as BMN's and TSN's on ActivityNet are, write -s "
        f"feature_grid=duration. If they were cut or padded to {usual} instead, -s feature_grid=stride with "
        "feature_stride and feature_frames")


def fit_fps(lengths: Sequence[Length], stride: Number, frames: Number) -> float:
    """Return the frame rate at which the features would cover their videos: a whole number, if one is near."""
    rate = float(np.median([((x.count - 1) * stride + max(frames, stride)) / x.seconds for x in lengths]))
    return float(round(rate)) if abs(round(rate) / rate - 1) <= 0.02 else float(f"{rate:.3g}")


def fit_stride(lengths: Sequence[Length], frames: Number) -> Number:
    """Return the stride at which the features would cover their videos: a whole number, if one is near."""
    native = [(x.seconds * (x.fps or 0.0), x.count) for x in lengths]
    stride = float(np.median([max(n - frames, n / (2 * t), 1e-3) / max(t - 1, 1) for n, t in native]))
    return round(stride) if abs(round(stride) / stride - 1) <= 0.05 else float(f"{stride:.3g}")


def explain_no_fps(source: str, lost: Sequence[Length], num_videos: int, stride: Number, frames: Number) -> str:
    """Return what to write where annotations have no frame rate, with the one that the features would fit."""
    fit = fit_fps(lost, stride, frames)
    return (f"{source}: {len(lost)} of {num_videos} videos have no frame rate in the annotations, and features count "
            f"native frames: {list_some([x.video_id for x in lost])}. Write the rate that the features were made at, "
            f"-s feature_fps={fit:g} would fit feature_stride={stride:g} and the durations; or -s feature_grid="
            "duration where each video's features are spread evenly over it; or prepare annotations from the videos "
            "with `losa data prepare`")


def _describe(length: Length, stride: Number, frames: Number) -> str:
    low, high = expected_counts(length.seconds, length.fps or 1.0, stride, frames)
    return f"{length.video_id} has {length.count} features, not about {(low + high) / 2:.0f}"


def _advise(odd: Sequence[Length], factors: Sequence[float], stride: Number, frames: Number, card: str) -> str:
    """Return what to write instead: the stride or frame rate by which most of the videos fit, or another grid."""
    wider, rate = fit_stride(odd, frames), fit_fps(odd, stride, frames)
    shares = {f"feature_stride={wider:g}": np.mean([compare(x, wider, frames) == 1.0 for x in odd]),
              f"feature_fps={rate:g}": np.mean([compare(replace(x, fps=rate), stride, frames) == 1.0 for x in odd])}
    fits = [name for name in sorted(shares, key=lambda name: -shares[name]) if shares[name] > 0.5]
    fits = [name for name in fits if "." not in name] or fits  # whole numbers, if any
    given = "-s feature_grid=stride, if the features really cover only a part of each video or more than it"
    if not fits:
        return (f"No stride and no frame rate fit them ({min(factors):.2f} to {max(factors):.2f} x): check that "
                "annotations and features are of the same videos. Write -s feature_grid=duration, if each video's "
                f"features are spread evenly over it; or {given}")
    how = f"correct {card}" if card else "write the one that is so" if len(fits) > 1 else "write it"
    return f"{' or '.join(f'-s {name}' for name in fits)} would fit: {how}. Or {given}"
