"""Augment training videos: further copies with other pixels and shifted clips, but the same snippets.

Copy 0 is the video itself. What copy k > 0 changes depends only on k and the video's id and stays the same throughout
the video: whether it is mirrored, which part of the picture it shows, and its colours. Its clips begin at another frame
than those of copy 0, as if the camera had been switched on a little earlier. Do not use copies where classes differ in
left and right or in colour.
"""

import zlib
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

DRAWN = 1  # version of the random choices below; part of a copy's key in the cache
SMALLEST = 0.85  # at least this share of the picture's sides is kept
GAIN = (0.8, 1.2)  # range of the factor of a colour channel


class Change(NamedTuple):
    """What one copy changes in every picture of its video."""

    mirror: bool
    part: tuple[float, float, float]  # sides as a share of the picture's; where the part lies, 0 to 1: down, right
    gain: tuple[float, float, float]
    channels: tuple[int, int, int]  # which channel comes first, second, third


def draw_change(video_id: str, copy: int) -> Change | None:
    """Return what copy `copy` of a video changes in its pixels; None for copy 0."""
    if copy == 0:
        return None
    rng = np.random.default_rng([copy, zlib.crc32(video_id.encode())])
    mirror = bool(rng.integers(2))
    part = (float(rng.uniform(SMALLEST, 1)), float(rng.uniform()), float(rng.uniform()))
    gain, channels = rng.uniform(*GAIN, 3), rng.permutation(3)
    if rng.integers(2):
        channels = np.arange(3)  # either the gain changes or the order of the channels
    else:
        gain = np.ones(3)
    return Change(mirror, part, tuple(map(float, gain)), tuple(map(int, channels)))


def cut_and_mirror(frames: UInt8[Tensor, "F H W 3"], change: Change) -> UInt8[Tensor, "F h w 3"]:
    """Return the part of the pictures that the copy shows, of the same proportions, mirrored or not."""
    share, down, right = change.part
    height, width = (max(1, round(share * n)) for n in frames.shape[1:3])
    top, left = (round(at * (n - kept)) for at, n, kept in
                 zip((down, right), frames.shape[1:3], (height, width), strict=True))
    frames = frames[:, top:top + height, left:left + width]
    return frames.flip(2) if change.mirror else frames


def recolour(frames: UInt8[Tensor, "F 3 H W"], change: Change) -> UInt8[Tensor, "F 3 H W"]:
    """Return the pictures in the copy's colours."""
    gain = torch.tensor(change.gain).view(3, 1, 1)
    return (frames[:, list(change.channels)] * gain).round().clamp(max=255).to(torch.uint8)


def choose_phase(copy: int, num: int) -> int:
    """Return by how many snippets the copy's clips begin earlier, of `num` possible shifts.

    Copy 0 has no shift, the next ones half of `num`, a quarter, three quarters and so on: the first few differ most.
    """
    order, parts = [0], 1
    while len(order) < num:
        parts *= 2
        odd = sorted(range(1, parts, 2), key=reverse_digits)
        order = list(dict.fromkeys([*order, *(i * num // parts for i in odd)]))
    return order[copy % num]


def reverse_digits(number: int) -> str:
    """Return the binary digits of a number, the last one first."""
    return f"{number:b}"[::-1]
