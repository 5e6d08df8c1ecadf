"""Run a backbone over a stretch of video clip by clip, and put what its blocks say together again in time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from losa.errors import ConfigError


@torch.no_grad()
def extract_taps(backbone: nn.Module, frames: UInt8[Tensor, "F 3 H W"], layers: Sequence[int], *, grid: int = 1,
                 clip_stride: int | None = None, chunk: int = 8) -> tuple[Float[Tensor, "K C T g h"],
                                                                          Float[Tensor, "C T"]]:
    """Return taps and last-layer features of a stretch of video that starts where a clip starts, T = ceil(F / u).

    Clips of L frames, `clip_stride` apart (default L), run `chunk` at a time so that peak memory does not
    grow with the video; where clips overlap their outputs are averaged; the last clip repeats its last
    frame. Runs on the backbone's device and dtype; results are float32 there.
    """
    return extract_with_gradient(backbone, frames, layers, grid=grid, clip_stride=clip_stride, chunk=chunk)


def extract_with_gradient(backbone: nn.Module, frames: UInt8[Tensor, "F 3 H W"], layers: Sequence[int], *,
                          grid: int = 1, clip_stride: int | None = None,
                          chunk: int = 8) -> tuple[Float[Tensor, "K C T g h"], Float[Tensor, "C T"]]:
    """Do the same as `extract_taps`, with gradient for those of the backbone's parameters that ask for it."""
    length, tubelet = backbone.frames_per_clip, backbone.tubelet
    starts = clip_starts(len(frames), length, clip_stride or length)
    device = next(backbone.parameters()).device
    num_snippets, per_clip = -(-len(frames) // tubelet), length // tubelet
    total = starts[-1] // tubelet + per_clip
    summed = torch.zeros(len(layers), backbone.dim, total, grid, grid, device=device)
    last, count = torch.zeros(backbone.dim, total, device=device), torch.zeros(total, device=device)
    for first in range(0, len(starts), chunk):
        part = starts[first:first + chunk]
        index = torch.tensor(part)[:, None] + torch.arange(length)
        clips = frames[index.clamp(max=len(frames) - 1)].transpose(1, 2).to(device)
        tapped, clip_last = backbone.clip_taps(clips, layers, grid)
        for n, start in enumerate(part):
            span = slice(start // tubelet, start // tubelet + per_clip)
            for k, tap in enumerate(tapped):
                summed[k, :, span] += tap[n].float()
            last[:, span] += clip_last[n].float()
            count[span] += 1
    return ((summed / count[:, None, None])[:, :, :num_snippets], (last / count)[:, :num_snippets])


def clip_starts(num_frames: int, length: int, stride: int) -> list[int]:
    """Return the first frames of the clips that cover `num_frames` sampled frames; the last clip may need padding."""
    return [i * stride for i in range(1 + max(0, -(-(num_frames - length) // stride)))]


def tap_layers(taps: str | Sequence[int], depth: int) -> tuple[int, ...]:
    """Return 0-based block indices for "all" (at most 12, evenly spaced, up to the last), "half", "last" or a list.

    Raises ConfigError for other blocks than the backbone has.
    """
    if taps == "last":
        return (depth - 1,)
    if taps in ("all", "half"):
        count = min(depth, 12) if taps == "all" else max(1, min(depth, 12) // 2)
        return tuple(round((i + 1) * depth / count) - 1 for i in range(count))
    layers = tuple(range(depth)[i] if -depth <= i < depth else i for i in taps) if not isinstance(taps, str) else ()
    if not layers or any(i >= depth or i < 0 for i in layers) or len(set(layers)) != len(layers):
        raise ConfigError(f"taps must be 'all', 'half', 'last' or different block indices 0..{depth - 1}, got {taps!r}")
    return layers


def resize_frames(frames: UInt8[Tensor, "F H W 3"], size: int, how: str = "squeeze") -> UInt8[Tensor, "F 3 S S"]:
    """Resize frames to size x size, antialiased.

    how: "squeeze" keeps the whole frame (actions happen at its edges too); "crop" brings the shorter side to `size`
    and keeps the centre square, as the peers do.
    """
    if how not in ("squeeze", "crop"):
        raise ValueError(f"resize must be 'squeeze' or 'crop', got {how!r}")
    x = frames.permute(0, 3, 1, 2)
    short = min(x.shape[-2:])
    new = (size, size) if how == "squeeze" else tuple(max(size, round(n * size / short)) for n in x.shape[-2:])
    if x.shape[-2:] != new:
        x = F.interpolate(x, new, mode="bilinear", antialias=True, align_corners=False)
    top, left = ((n - size) // 2 for n in new)
    return x[..., top:top + size, left:left + size].contiguous()


def pool_space(x: Float[Tensor, "N C T h w"], grid: int) -> Float[Tensor, "N C T g q"]:
    """Average space to a grid x grid map. Raises ConfigError for a grid finer than the map."""
    n, c, t, h, w = x.shape
    if grid > min(h, w):
        raise ConfigError(f"grid {grid} is finer than the backbone's {h} x {w} token map; use at most {min(h, w)}")
    if grid == 1:
        return x.mean((3, 4), keepdim=True)
    return F.adaptive_avg_pool2d(x.transpose(1, 2).flatten(0, 1), grid).unflatten(0, (n, t)).transpose(1, 2)
