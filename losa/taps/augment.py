"""Further copies of a training video: other pixels and another phase of the clip grid, the same snippets.

Copy 0 is the video itself. What copy k > 0 changes depends on k and the video's id alone and is constant over the
video: a mirror image or not, a part of the picture, its colours. Its clips begin at another frame than those of copy
0, so that its features differ as those of a camera switched on a little earlier would. Mirror images and exchanged
colours are not for classes that differ in left and right, or in colour.
"""

import zlib
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

DRAWN = 1  # version of what is drawn below; part of a copy's key
SMALLEST = 0.85  # share of the picture's sides that is kept at least
GAIN = (0.8, 1.2)  # a colour channel is multiplied by


class Change(NamedTuple):
    """What one copy does to every picture of its video."""

    mirror: bool
    part: tuple[float, float, float]  # side as share of the picture's, and where in the room left: down, right
    gain: tuple[float, float, float]
    channels: tuple[int, int, int]  # which channel comes first, second, third


def draw_change(video_id: str, copy: int) -> Change | None:
    """What copy `copy` of a video does to its pixels; None for copy 0."""
    if copy == 0:
        return None
    rng = np.random.default_rng([copy, zlib.crc32(video_id.encode())])
    mirror = bool(rng.integers(2))
    part = (float(rng.uniform(SMALLEST, 1)), float(rng.uniform()), float(rng.uniform()))
    gain, channels = rng.uniform(*GAIN, 3), rng.permutation(3)
    if rng.integers(2):
        channels = np.arange(3)  # colours are made stronger or weaker, or change places
    else:
        gain = np.ones(3)
    return Change(mirror, part, tuple(map(float, gain)), tuple(map(int, channels)))


def cut_and_mirror(frames: UInt8[Tensor, "F H W 3"], change: Change) -> UInt8[Tensor, "F h w 3"]:
    """The part of the pictures the copy sees, of the same proportions, mirrored or not."""
    share, down, right = change.part
    height, width = (max(1, round(share * n)) for n in frames.shape[1:3])
    top, left = (round(at * (n - kept)) for at, n, kept in
                 zip((down, right), frames.shape[1:3], (height, width), strict=True))
    frames = frames[:, top:top + height, left:left + width]
    return frames.flip(2) if change.mirror else frames


def recolour(frames: UInt8[Tensor, "F 3 H W"], change: Change) -> UInt8[Tensor, "F 3 H W"]:
    """The pictures in the copy's colours."""
    gain = torch.tensor(change.gain).view(3, 1, 1)
    return (frames[:, list(change.channels)] * gain).round().clamp(max=255).to(torch.uint8)


def phase(copy: int, num: int) -> int:
    """Snippets by which the copy's clips begin earlier: of the `num` that differ 0, then half of it, a quarter, ..."""
    order, parts = [0], 1
    while len(order) < num:
        parts *= 2
        order = list(dict.fromkeys([*order, *(i * num // parts for i in sorted(range(1, parts, 2), key=mirrored))]))
    return order[copy % num]


def mirrored(number: int) -> str:
    """Its binary digits, the last one first."""
    return f"{number:b}"[::-1]
