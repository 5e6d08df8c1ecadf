"""What training cannot learn, told before it starts, with the settings that would fit.

An action is learnt from the points of the pyramid that must find it (`losa.model.points.assign_batch`) in the windows
that keep at least half of it (`losa.training.windows`). So it is never learnt where it is longer than two windows, or
where no snippet's centre lies in it. A level of the pyramid learns nothing where no action is as long as its points ask
for. All of that follows from annotations, frame rates and the config. Works without torch.
"""

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.segments import Grid, TimeAxis

SLACK = 1.25  # a window that is proposed is so much longer than the longest action
LARGEST = 2304  # snippets; larger windows than ActionFormer's are proposed for nearly all actions, not for the last few
FASTER = 4  # times as many snippets; more are proposed for nearly all actions, not for the last few
STEP = 32  # windows are proposed in multiples of it
FINE, COARSE = 64, 32  # snippets; where the shortest action has more, a rate is proposed at which it has so many
MOST, MOST_OF_CLASS = 0.99, 0.9  # nearly all actions: such shares of all, and of each class
NAMES = 5  # shown of each kind

# Why an action is not learnt, or not as a whole: what is said of it, and whether its longest or shortest is.
KINDS = {
    "long": ("longer than two windows ({twice:.1f} s), never learnt", max),
    "clipped": ("longer than a window ({window:.1f} s), never seen whole", max),
    "short": ("between the centres of two snippets ({snippet:.3g} s), never learnt", min),
    "outside": ("beyond the snippets of the video, never learnt (do durations, fps and feature_stride fit?)", max),
    "cut": ("less than half inside every window that is drawn, never learnt", max),
}


@dataclass(frozen=True)
class Actions:
    """The M actions of some videos, in seconds and in snippets of their video, which has `totals` snippets."""

    ids: Shaped[np.ndarray, " M"]  # of their videos
    labels: Int64[np.ndarray, " M"]
    segments: Float64[np.ndarray, "M 2"]
    segments_grid: Float64[np.ndarray, "M 2"]
    totals: Int64[np.ndarray, " M"]

    def resampled(self, rate: float) -> "Actions":
        """Return the same actions in `rate` times as many snippets."""
        totals = np.maximum(np.ceil(self.totals * rate - 1e-9), 1).astype(np.int64)
        return replace(self, segments_grid=(self.segments_grid + 0.5) * rate - 0.5, totals=totals)

    @property
    def seconds(self) -> Float64[np.ndarray, " M"]:
        return self.segments[:, 1] - self.segments[:, 0]

    @property
    def snippets(self) -> Float64[np.ndarray, " M"]:
        return self.segments_grid[:, 1] - self.segments_grid[:, 0]


@dataclass(frozen=True)
class Reach:
    """How windows, snippets and levels of a config reach M actions.

    windows: snippets in the longest window of the action's video. kinds: one of KINDS, "" where all is well. levels:
    whether the level's points may have to find the action, as it is or clipped.
    """

    windows: Int64[np.ndarray, " M"]
    kinds: Shaped[np.ndarray, " M"]
    levels: Bool[np.ndarray, "M L"]

    @property
    def empty_levels(self) -> list[int]:
        """Return the levels that no action falls into, none where there is no action."""
        return [] if not len(self.kinds) else np.flatnonzero(~self.levels.any(0)).tolist()


class Proposal(NamedTuple):
    """Fields of the config to replace, {} for none, and the actions as they are then."""

    fields: dict
    actions: Actions


# --- what is reached ------------------------------------------------------------------------------------------------


def list_actions(videos: Sequence[Video], axes: Sequence[TimeAxis]) -> Actions:
    """Return the actions of videos with these time axes."""
    counts = [len(video.labels) for video in videos]
    none = [np.zeros((0, 2))]
    return Actions(
        np.repeat(np.array([video.id for video in videos], dtype=str), counts),
        np.concatenate([np.zeros(0, dtype=np.int64), *(video.labels for video in videos)]),
        np.concatenate(none + [video.segments for video in videos]),
        np.concatenate(none + [axis.grid.to_grid(video.segments) for video, axis in zip(videos, axes, strict=True)]),
        np.repeat(np.array([axis.num_snippets for axis in axes], dtype=np.int64), counts))  # fmt: skip


def measure_reach(config: Config, actions: Actions, align: int = 1) -> Reach:
    """Return how the windows and the pyramid of a config reach actions.

    align: windows start at multiples of so many snippets.
    """
    first, last = actions.segments_grid.T
    length, totals, whole = actions.snippets, actions.totals, actions.totals <= config.window
    cropped = np.clip(np.round(config.crop_ratio[1] * totals), 1, totals).astype(np.int64)
    windows = np.where(whole, cropped, config.window)
    inside, kept = _find_best_window(actions, windows, align)
    empty = np.maximum(np.floor(first) + 1, 0) > np.minimum(np.ceil(last) - 1, totals - 1)  # no snippet's centre inside
    beyond = (first >= totals - 0.5) | (last <= -0.5) | (length > 1)
    cases = [empty & beyond, ~kept & ~whole & (length > 2 * windows), ~kept, empty, ~whole & (inside < length - 1)]
    kinds = np.select(cases, ["outside", "long", "cut", "short", "clipped"], "")
    longest = np.minimum(length, windows) / 2
    shortest = np.where(whole, longest, np.maximum(length / 2, np.minimum(length, 1)) / 2)
    learnt = np.isin(kinds, ("", "clipped"))
    return Reach(windows, kinds, learnt[:, None] & reached_levels(shortest, longest, config.head_levels))


def reached_levels(shortest: np.ndarray, longest: np.ndarray, num_levels: int) -> np.ndarray:
    """Return which levels may take an action whose half length (snippets) lies between these: (M, num_levels) bool.

    A point of level l, at most 1.5 strides from the centre, takes an action with its farther end 2**(l + 1) to
    2**(l + 2) away (`losa.model.points.regression_ranges`), so its half length is above 2**l: its nearer end lies
    beyond the point.
    """
    level = np.arange(num_levels)
    above = np.where(level == 0, 0.0, 2.0**level)
    up_to = np.where(level == num_levels - 1, np.inf, 2.0 ** (level + 2))
    return (longest[:, None] > above) & (shortest[:, None] <= up_to)


def _find_best_window(actions: Actions, windows: np.ndarray, align: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each action (snippets) the window that shows most of it holds, and whether that keeps it.

    As `losa.training.windows.clip_segments`: what lies beyond the video's outer edges is not cut off.
    """
    first, last = actions.segments_grid.T
    latest = (actions.totals - windows) // align * align
    middle = np.floor((first + last - windows + 1) / 2 / align) * align
    found = np.zeros(len(first))
    for start in (middle, middle + align):
        start = start.clip(0, latest)
        low = np.where(start == 0, -np.inf, start - 0.5)
        high = np.where(start + windows == actions.totals, np.inf, start + windows - 0.5)
        found = np.maximum(found, np.minimum(last, high) - np.maximum(first, low))
    return found, (found > 0) & (found >= 0.5 * (last - first))


# --- what would fit -------------------------------------------------------------------------------------------------


def propose(config: Config, actions: Actions, tubelet: int | float = 1, native: int | float = math.inf,
            align: int = 1) -> Proposal:
    """Return the fields of the config to replace so that all actions are learnt as a whole.

    Where a few of them would ask for very large windows or very many snippets, they fit MOST of the actions instead.
    First frames per second, for the shortest action, then the window, for the longest one, then levels of the pyramid.

    tubelet: frames from one snippet to the next. native: the least frame rate of the videos.
    """
    if not len(actions.labels):
        return Proposal({}, actions)
    for shortest, longest in (_find_extremes(actions, 1.0, 1.0), _find_extremes(actions, MOST, MOST_OF_CLASS)):
        fields, there = _fit(config, actions, shortest, longest, tubelet, native, align)
        faster = there.snippets.max() / actions.snippets.max()
        if faster <= FASTER and fields.get("window", 0) <= max(LARGEST, config.window) + STEP:
            break
    missed = [int((measure_reach(each, there_then, align).kinds != "").sum())
              for each, there_then in ((config, actions), (config.replace(**fields), there))]
    return Proposal({}, actions) if missed[1] > missed[0] / 2 else Proposal(fields, there)


def _find_extremes(actions: Actions, share: float, of_class: float) -> tuple[float, float]:
    """Return the shortest and longest action (snippets) among a share of all actions and of each class."""
    parts = [(actions.snippets, share), *((actions.snippets[actions.labels == label], of_class)
                                          for label in np.unique(actions.labels))]
    return (min(float(np.quantile(part, 1 - q, method="lower")) for part, q in parts),
            max(float(np.quantile(part, q, method="higher")) for part, q in parts))


def _fit(config: Config, actions: Actions, shortest: float, longest: float, tubelet: int | float, native: int | float,
         align: int) -> Proposal:
    """Return what fits actions of shortest to longest (snippets); see `propose`."""
    kinds = measure_reach(config, actions, align).kinds
    wanted = _choose_rate(config, shortest, longest, "short" in kinds)
    fields, rate = ({}, 1.0) if wanted == 1 else _set_rate(config, wanted, tubelet, native)
    actions = actions if rate == 1 else actions.resampled(rate)
    if "cut" in kinds:
        fields |= {"crop_ratio": [0.9, 1.0]} if config.crop_ratio[1] < 0.9 else {"short_scope": "sliding"}
    reach = measure_reach(config.replace(**fields), actions, align)
    if np.isin(reach.kinds, ("long", "clipped")).any() and longest * rate > config.window - 1:
        most, step = int(actions.totals.max()), math.lcm(STEP, align)
        fields["window"] = max(8, -(-min(most, math.ceil(SLACK * longest * rate)) // step) * step)
        reach = measure_reach(config.replace(**fields), actions, align)
    longer = fields.get("window", config.window) / config.window
    return Proposal(fields | _set_levels(config, longer, float(np.minimum(actions.snippets, reach.windows).max())),
                    actions)


def _choose_rate(config: Config, shortest: float, longest: float, missed: bool) -> float:
    """Return how many times as many snippets per second fit actions of shortest to longest (snippets).

    missed: whether actions lie between snippets.
    """
    if shortest <= 1:
        return 1.02 / shortest if missed else 1.0
    slower = LARGEST / (SLACK * longest) if SLACK * longest > max(LARGEST, config.window) else 1.0
    slower = min(slower, COARSE / shortest) if shortest > FINE else slower
    return min(1.0, max(slower, 1.02 / shortest))


def _set_rate(config: Config, wanted: float, tubelet: int | float, native: int | float) -> tuple[dict, float]:
    """Return the fields that give about `wanted` times as many snippets per second, and how many times they give.

    tubelet: frames from one snippet to the next. native: the least frame rate of the videos.
    """
    if config.snippets_per_video:
        return _changed("snippets_per_video", config.snippets_per_video, math.ceil(config.snippets_per_video * wanted))
    if config.snippet_frames is None and not config.features:
        if config.frames_per_video:
            return _changed("frames_per_video", config.frames_per_video, math.ceil(config.frames_per_video * wanted))
        if config.sample_fps and (rate := _round_up(config.sample_fps * wanted)) <= max(native, config.sample_fps):
            return _changed("sample_fps", config.sample_fps, rate)
        if not config.sample_fps and (stride := int(config.frame_stride / wanted)):
            return {"frame_stride": stride}, config.frame_stride / stride
    if config.short_scope == "clip":
        return {}, 1.0
    frames = max(math.floor(1000 * tubelet / wanted) / 1000, 0.001)  # of those there are: snippets are interpolated
    return {"snippet_frames": frames}, tubelet / frames


def _changed(name: str, before: int | float, after: int | float) -> tuple[dict, float]:
    return {name: after}, after / before


def _round_up(number: float) -> int | float:
    """Return the number with two digits that is not below it, above 10 a whole one."""
    step = 1 if number >= 10 else 0.1 if number >= 1 else 0.01
    whole = math.ceil(number / step - 1e-9)
    return whole if step == 1 else round(whole * step, 2)


def _set_levels(config: Config, longer: float, longest: float) -> dict:
    """Return as many levels as actions of up to `longest` snippets fall into, {} where there are so many.

    longer: how many times as long windows became; each doubling asks for a level more.
    """
    most = max(1, math.ceil(math.log2(longest / 2))) if longest > 0 else 1
    levels = min(config.head_levels + max(0, int(math.log2(longer))), most, 12)
    if levels == config.head_levels:
        return {}
    if isinstance(config.head_window, int):
        return {"head_levels": levels}
    windows = [*config.head_window, *config.head_window[-1:] * levels][:levels]
    return {"head_levels": levels, "head_window": windows}


def write_settings(fields: dict) -> str:
    """Return fields as the options of a command: "-s window=512 -s 'crop_ratio=[0.9, 1.0]'"."""
    pairs = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in fields.items()]
    return " ".join(f"-s {shlex.quote(pair)}" for pair in pairs)


def fit_own_videos(config: Config, annotations: Annotations, train: str) -> tuple[dict, list[str]]:
    """Return fields that fit the actions of a subset, sample_fps among them, and what is not reached all the same.

    config: with sample_fps, and a backbone that makes a snippet of every frame; slower videos lower the rate.
    """
    videos = [video for video in annotations.videos if video.subset == train]
    native = find_native(videos)
    config = config.replace(sample_fps=min(config.sample_fps or math.inf, native))
    rate = config.sample_fps
    axes = [TimeAxis(Grid(rate, 1), max(1, math.ceil(video.duration * rate))) for video in videos]
    fields, actions = propose(config, list_actions(videos, axes), native=native)
    notes = describe_kinds(actions, measure_reach(config.replace(**fields), actions), annotations.classes)
    return {"sample_fps": int(rate) if rate == int(rate) else rate, **fields}, notes


# --- what is said ---------------------------------------------------------------------------------------------------


def describe_reach(config: Config, annotations: Annotations, axes: Sequence[TimeAxis], align: int = 1) -> str:
    """Return what training on `config.train_subset` cannot learn, and what would fit, a line each; "": nothing to say.

    axes: of the videos of that subset, in their order. annotations: as the model learns them.
    """
    videos = [video for video in annotations.videos if video.subset == config.train_subset]
    actions = list_actions(videos, axes)
    reach = measure_reach(config, actions, align)
    tubelet = axes[0].grid.tubelet if axes else 1
    proposal = propose(config, actions, tubelet, find_native(videos), align)
    lines = describe_kinds(actions, reach, annotations.classes)
    if proposal.fields or config.head_levels - 1 in reach.empty_levels:
        lines += describe_levels(actions, reach)
    lines += describe_proposal(config, proposal, reach, align)
    window = f", windows of {config.window} snippets" if lines else ""
    lines += describe_absent(annotations, config.train_subset, config.val_subset, config.test_subset)
    return "\n  ".join([f"before training on {config.train_subset!r} ({len(videos)} videos, {len(actions.labels)} "
                        f"actions{window}):", *lines]) if lines else ""


def find_native(videos: Iterable[Video]) -> int | float:
    """Return the least frame rate of videos, infinity where none is known."""
    return min((video.fps for video in videos if video.fps), default=math.inf)


def describe_kinds(actions: Actions, reach: Reach, classes: Sequence[str]) -> list[str]:
    """Return a line for each of KINDS that actions are of: how many, by class, with length and an example."""
    lines = []
    for kind, (text, extreme) in KINDS.items():
        here = reach.kinds == kind
        if not here.any():
            continue
        snippet = float(np.median(actions.seconds[here] / actions.snippets[here]))
        window = snippet * float(np.median(reach.windows[here]))
        all_of, of_kind = Counter(actions.labels.tolist()), Counter(actions.labels[here].tolist())
        parts = [f"{count} of {all_of[label]} {classes[label]!r}" for label, count in of_kind.most_common()]
        at = np.flatnonzero(here)[(np.argmax if extreme is max else np.argmin)(actions.seconds[here])]
        start, end = actions.segments[at]
        what = text.format(window=window, twice=2 * window, snippet=snippet)
        lines.append(f"{int(here.sum())} of {len(here)} actions {what}: {shorten(parts)}; the "
                     f"{'longest' if extreme is max else 'shortest'} lasts {end - start:.4g} s, "
                     f"in {str(actions.ids[at])!r} from {start:.2f} s")
    return lines


def describe_levels(actions: Actions, reach: Reach) -> list[str]:
    """Return a line on the levels of the pyramid that no action falls into, where there are any."""
    empty, snippets = reach.empty_levels, actions.snippets
    if not empty:
        return []
    return [f"no action falls into level{'s' * (len(empty) > 1)} {', '.join(str(level + 1) for level in empty)} of "
            f"head_levels={reach.levels.shape[1]} (1 is the finest): they last {actions.seconds.min():.3g} to "
            f"{actions.seconds.max():.3g} s, {snippets.min():.3g} to {snippets.max():.3g} snippets"]


def describe_proposal(config: Config, proposal: Proposal, reach: Reach, align: int = 1) -> list[str]:
    """Return a line with what would fit, and how many actions it leaves out of reach."""
    left = int((measure_reach(config.replace(**proposal.fields), proposal.actions, align).kinds != "").sum())
    if proposal.fields:
        what = f"all but {left}" if left else "all"
        return [f"what fits {what} of the {len(reach.kinds)} actions: {write_settings(proposal.fields)}"]
    return [f"the settings fit the other {len(reach.kinds) - left}; are the labels of these right?"] if left else []


def describe_absent(annotations: Annotations, train: str, *measured: str) -> list[str]:
    """Return a line for each subset that lacks classes: in training they are not learnt, in the others not measured."""
    counts = {name: Counter(label for video in annotations.videos if video.subset == name
                            for label in video.labels.tolist()) for name in dict.fromkeys((train, *measured))}
    lines = []
    for name, there in counts.items():
        lacking = [label for label in range(len(annotations.classes)) if not there[label]]
        if not lacking or not there:  # a subset without any labels is another matter
            continue
        text = "not measured there"
        asked = [f"{annotations.classes[label]!r} {counts[other][label]} times in {other!r}" for label in lacking
                 for other in counts if counts[other][label]] if name == train else []
        if name == train:
            text = "never learnt, and AP 0 where it occurs" + (f" ({shorten(asked)})" if asked else "")
        lines.append(f"no instance of {shorten(annotations.classes[label] for label in lacking)} in {name!r}: {text}")
    return lines


def shorten(parts: Iterable[str]) -> str:
    """Return the first parts with commas between them, and how many more there are."""
    parts = [*parts]
    return ", ".join(parts[:NAMES]) + (f" and {len(parts) - NAMES} more" if len(parts) > NAMES else "")
