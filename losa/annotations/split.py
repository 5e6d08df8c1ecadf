"""Divide videos over train, val and test so that, where that is possible, every part has actions of every class."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from losa.annotations.dataset import Annotations
from losa.errors import AnnotationError

PARTS = ("train", "val", "test")
WEIGHTS = np.array([4, 1, 2])  # how bad it is that a class is not in train, val, test: one that nobody learnt is worst
TRIES, SWAPS = 20, 500  # partitions that are begun, and exchanges of two videos tried in each
MOST_PLACED = 20_000  # videos placed in all tries together: of many videos the first partition is good

Shares = Sequence[int | float]
Score = tuple[float, float, float]


def split_videos(annotations: Annotations, shares: Shares, seed: int = 0) -> Annotations:
    """Return the same videos in subsets train, val and test, chosen so that classes are spread as the shares say.

    The numbers of videos follow the shares. Which ones they are: the best of some partitions, each begun by iterative
    stratification (the video of the rarest class first, to the part that lacks it most: Sechidis et al., "On the
    stratification of multi-label data", ECML PKDD 2011) and improved by exchanging two videos. Best is the one with
    the fewest classes missing in a part, of those with a video for each part first; then the one whose shares of
    instances are nearest to `shares`, on average over classes. The order of the videos does not matter.

    Raises AnnotationError where there are fewer videos than parts.
    """
    order = sorted(annotations.videos, key=lambda video: video.id)
    sizes = count_videos(len(order), shares)
    counts = np.array([np.bincount(video.labels, minlength=len(annotations.classes)) for video in order])
    given, rng = np.asarray(shares, float), np.random.default_rng(seed)
    tries = int(np.clip(MOST_PLACED // len(order), 1, TRIES))
    found = [_exchange(_stratify(counts, given, sizes, rng), counts, given, rng) for _ in range(tries)]
    best = min(found, key=lambda parts: _rate(parts, counts, given))
    subsets = {video.id: PARTS[part] for video, part in zip(order, best, strict=True)}
    return replace(annotations, videos=tuple(replace(v, subset=subsets[v.id]) for v in annotations.videos))


def count_videos(number: int, shares: Shares) -> np.ndarray:
    """Return how many of so many videos train, val and test get: by their shares, and one at least where there is one.

    Raises AnnotationError where there are fewer videos than parts.
    """
    asked = np.asarray(shares) > 0
    if number < asked.sum():
        raise AnnotationError(f"{number} video{'s are' if number != 1 else ' is'} too few for the "
                              f"{asked.sum()} parts of split={tuple(shares)}")
    sizes = np.diff([round(sum(shares[:i]) * number) for i in range(4)])
    while (short := asked & (sizes == 0)).any():
        sizes[np.argmax(sizes)] -= 1
        sizes[np.argmax(short)] += 1
    return sizes


def _stratify(counts: np.ndarray, shares: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the part of each video, by iterative stratification; counts: instances (video, class)."""
    wanted, room = np.outer(counts.sum(0), shares), sizes.copy()  # instances (class, part); videos
    parts, has = np.full(len(counts), -1), counts > 0
    missing = np.tile(WEIGHTS * 1e9, (counts.shape[1], 1))  # a part without any video of the class comes first
    shuffled = rng.permutation(len(counts))
    left = has.sum(0)
    while left.any():
        label = np.argmin(np.where(left, left, len(counts) + 1))
        for video in shuffled[(parts[shuffled] < 0) & has[shuffled, label]]:
            need = np.where(room > 0, wanted[label] + missing[label] + rng.random(3) * 1e-6, -np.inf)
            parts[video] = part = int(np.argmax(need))
            room[part] -= 1
            wanted[:, part] -= counts[video]
            missing[has[video], part] = 0
            left -= has[video]
    idle = shuffled[parts[shuffled] < 0]  # videos without any action
    parts[idle] = np.repeat(np.arange(3), room)
    return parts


def _exchange(parts: np.ndarray, counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the partition after every exchange of two videos, of those tried, that made it better."""
    best = _rate(parts, counts, shares)
    for one, other in rng.integers(len(parts), size=(SWAPS, 2)):
        if parts[one] == parts[other]:
            continue
        parts[[one, other]] = parts[[other, one]]
        if (rated := _rate(parts, counts, shares)) < best:
            best = rated
        else:
            parts[[one, other]] = parts[[other, one]]
    return parts


def _rate(parts: np.ndarray, counts: np.ndarray, shares: np.ndarray) -> Score:
    """Return how bad a partition is: classes missing that need not be, others missing, distance from the shares."""
    asked, totals = shares > 0, counts.sum(0)
    inside = np.stack([counts[parts == part].sum(0) for part in range(3)], axis=1)  # instances (class, part)
    missing = ((inside == 0) & asked) @ WEIGHTS * (totals > 0)
    enough = (counts > 0).sum(0) >= asked.sum()
    distance = np.abs(inside / np.maximum(totals, 1)[:, None] - shares)[totals > 0]
    return float(missing[enough].sum()), float(missing[~enough].sum()), float(distance.mean() if distance.size else 0)


# --- what is said ---------------------------------------------------------------------------------------------------


def describe_left_out(annotations: Annotations) -> str:
    """Return which classes train, val or test have no instance of, how many there are elsewhere, and what to do.

    Empty where every part that there is has every class.
    """
    lines = []
    for part in (part for part in PARTS if part in annotations.subsets):
        there = {label for video in annotations.videos if video.subset == part for label in video.labels.tolist()}
        lacking = [label for label in range(len(annotations.classes)) if label not in there]
        if lacking:
            told = "never learnt" if part == "train" else "not measured"
            lines.append(f"{part}: {told}: " + "; ".join(_where(annotations, label) for label in lacking[:10])
                         + (f"; and {len(lacking) - 10} more" if len(lacking) > 10 else ""))
    return "\n  ".join(["classes are missing in parts of the split:", *lines, "What helps: more videos of these "
                        "classes, other shares (--split), another draw (--seed), or cutting long videos into several "
                        "(--ranges)"]) if lines else ""


def _where(annotations: Annotations, label: int) -> str:
    """Return a class and where its instances are: "'wave' (5 instances in 1 video: train)"."""
    inside = [video for video in annotations.videos if (video.labels == label).any()]
    number = sum(int((video.labels == label).sum()) for video in inside)
    parts = ", ".join(dict.fromkeys(video.subset for video in sorted(inside, key=lambda v: v.subset)))
    return (f"{annotations.classes[label]!r} ({number} instance{'s' * (number != 1)} in {len(inside)} "
            f"video{'s' * (len(inside) != 1)}{f': {parts}' if parts else ''})")
