"""The detection head: a temporal feature pyramid that classifies every point in time and regresses its segment.

ActionFormer (Zhang, Wu & Li, ECCV 2022, arXiv 2202.07925; code `happyharrycn/actionformer_release`,
`libs/modeling/{backbones,blocks,meta_archs,losses}.py`), sized by arguments. Where ours differs, on purpose:

* every conv sees zeros under the mask (there, a LayerNorm's bias leaks in after the first conv) and
  max-pooling ignores masked snippets, so that the amount of padding changes nothing;
* no padding to a multiple of the stride: level l has ceil(T / 2**l) points;
* the residual scale is there also without drop path.

Times here are in grid units (snippets; 0 is the centre of the window's first snippet), see `segments.Grid`.
Inside the modules a sequence is (B, T, C): LayerNorm and Linear want channels last, and so does the fast
depthwise convolution on CPU. Parameters: every bias, norm and scale is 1-D and every weight at least 2-D,
so `p.ndim > 1` is the whole rule for weight decay.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from timm.layers import DropPath
from torch import Tensor, nn

from losa.errors import ConfigError
from losa.model.layers import attend, attend_locally, split_heads, zero_masked


class HeadOutput(NamedTuple):
    """Output of the head at each point of the pyramid; zeros where `mask` is False."""

    logits: Float[Tensor, "B P A"]
    offsets: Float[Tensor, "B P 2"]  # >= 0, to the segment's start and end, in units of the point's stride
    mask: Bool[Tensor, "B P"]


class Conv(nn.Conv1d):
    """A convolution over time, kernel 3, of (B, T, C); T becomes ceil(T / stride). Callers zero the masked first.

    Run as a two-dimensional convolution in channels-last memory: no transposes, and 2 to 10 times faster than
    grouped `conv1d` on CPU.
    """

    def __init__(self, in_dim: int, out_dim: int, stride: int = 1, groups: int = 1, bias: bool = True):
        super().__init__(in_dim, out_dim, 3, stride, padding=1, groups=groups, bias=bias)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B S D"]:
        image, weight = x.transpose(1, 2).unsqueeze(2), self.weight.unsqueeze(2)  # (B, C, 1, T), (D, C, 1, 3)
        image = F.conv2d(image, weight, self.bias, (1, self.stride[0]), (0, 1), groups=self.groups)
        return image.squeeze(2).transpose(1, 2)


class ConvNormRelu(nn.Module):
    """Convolve the valid snippets, then LayerNorm and ReLU."""

    def __init__(self, in_dim: int, out_dim: int):
        super().__init__()
        self.conv = Conv(in_dim, out_dim, bias=False)
        self.norm = nn.LayerNorm(out_dim)

    def forward(self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        return F.relu(self.norm(self.conv(zero_masked(x, mask))))


class Attention(nn.Module):
    """Self-attention whose q, k and v each pass a depthwise convolution and a LayerNorm first.

    The convolutions stand in for position encodings and do the downsampling. window: how many snippets
    (an odd number, the centre included) a query sees; None: all of them.
    """

    def __init__(self, dim: int, num_heads: int, window: int | None, stride: int):
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.convs = nn.ModuleList(Conv(dim, dim, stride, groups=dim, bias=False) for _ in "qkv")
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in "qkv")
        self.projections = nn.ModuleList(nn.Linear(dim, dim) for _ in "qkv")
        self.out = nn.Linear(dim, dim)

    def forward(
        self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"], mask_out: Bool[Tensor, "B S"]
    ) -> Float[Tensor, "B S C"]:
        x = zero_masked(x, mask)
        q, k, v = (
            split_heads(project(norm(conv(x))), self.num_heads)
            for conv, norm, project in zip(self.convs, self.norms, self.projections, strict=True)
        )
        if self.window is None:
            return self.out(attend(q, k, v, mask_out))
        return self.out(attend_locally(q, k, v, mask_out, self.window // 2))


class Residual(nn.Module):
    """Scale each channel of a branch by a learned factor that starts near zero, then drop paths (timm's DropPath).

    The factor is timm's LayerScale under another name: checkpoints call it `scale`, timm `gamma`.
    """

    def __init__(self, dim: int, drop_path: float):
        super().__init__()
        self.scale = nn.Parameter(torch.full((dim,), 1e-4))
        self.drop_path = DropPath(drop_path)

    def forward(self, branch: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        return self.drop_path(branch * self.scale)


class Block(nn.Module):
    """Pre-norm transformer block; with stride 2 its skip connection is a max-pool over three snippets."""

    def __init__(self, dim: int, num_heads: int, window: int | None, stride: int, mlp_ratio: float, drop_path: float):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.stride = stride
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads, window, stride)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.residual_attention, self.residual_mlp = Residual(dim, drop_path), Residual(dim, drop_path)

    def forward(
        self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B S C"], Bool[Tensor, "B S"]]:
        mask_out = mask[:, :: self.stride]
        attended = self.attention(self.norm_attention(x), mask, mask_out)
        if self.stride > 1:
            x = x.masked_fill(~mask[..., None], -torch.inf).transpose(1, 2)
            x = zero_masked(F.max_pool1d(x, 3, self.stride, padding=1).transpose(1, 2), mask_out)
        x = x + self.residual_attention(attended)
        return x + self.residual_mlp(self.mlp(self.norm_mlp(x))), mask_out


class Tower(nn.Module):
    """Convolutions shared by all levels: num_convs x (conv, norm, ReLU), then a conv to `out_dim` numbers."""

    def __init__(self, dim: int, out_dim: int, num_convs: int):
        super().__init__()
        self.hidden = nn.ModuleList(ConvNormRelu(dim, dim) for _ in range(num_convs))
        self.out = Conv(dim, out_dim)

    def forward(self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        for layer in self.hidden:
            x = layer(x, mask)
        return self.out(zero_masked(x, mask))


class Head(nn.Module):
    """Class logits and boundary offsets at every point of a temporal pyramid, from features alone.

    >>> from losa.model.points import decode, points
    >>> features = torch.randn(2, 1408, 300)                     # (B, C, T): what any backbone extracted
    >>> mask = torch.arange(300) < torch.tensor([[300], [250]])  # (B, T): True where there is video
    >>> head = Head(in_dim=1408, num_classes=20, dim=64, num_levels=4).eval()
    >>> logits, offsets, point_mask = head(features, mask)
    >>> tuple(logits.shape), tuple(offsets.shape)                # 300 + 150 + 75 + 38 points
    ((2, 563, 20), (2, 563, 2))
    >>> detections = decode(logits[0], offsets[0], point_mask[0], points(300, num_levels=4))

    num_convs, num_stem, num_tower: embedding convolutions, transformer blocks before the pyramid, hidden
    convolutions of each tower. window: attention window in snippets of the level (odd, centre included),
    None for global, or one of these per level. The defaults with window 19 are ActionFormer's on THUMOS-14.
    """

    def __init__(
        self,
        in_dim: int,
        num_classes: int,
        dim: int = 512,
        num_levels: int = 6,
        num_heads: int = 4,
        num_convs: int = 2,
        num_stem: int = 2,
        num_tower: int = 2,
        window: int | None | Sequence[int | None] = None,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        prior: float = 0.01,
    ):
        super().__init__()
        windows = [window] * num_levels if window is None or isinstance(window, int) else list(window)
        check_sizes(dim, num_heads, num_levels, windows)
        self.in_dim, self.num_levels = in_dim, num_levels
        dims = [in_dim, *[dim] * num_convs]
        self.embedding = nn.ModuleList(map(ConvNormRelu, dims[:-1], dims[1:]))
        self.stem = nn.ModuleList(Block(dim, num_heads, windows[0], 1, mlp_ratio, drop_path) for _ in range(num_stem))
        self.branch = nn.ModuleList(Block(dim, num_heads, level, 2, mlp_ratio, drop_path) for level in windows[1:])
        self.necks = nn.ModuleList(nn.LayerNorm(dim) for _ in range(num_levels))
        self.classify = Tower(dim, num_classes, num_tower)
        self.regress = Tower(dim, 2, num_tower)
        self.offset_scale = nn.Parameter(torch.ones(num_levels))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.classify.out.bias, -math.log((1 - prior) / prior))  # type: ignore[arg-type]

    def pyramid(
        self, features: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]
    ) -> tuple[list[Float[Tensor, "B _ D"]], list[Bool[Tensor, "B _"]]]:
        """Return each level's normalised features (B, ceil(T / 2**level), D) and mask."""
        x = features.transpose(1, 2)
        for layer in self.embedding:
            x = layer(x, mask)
        for block in self.stem:
            x, mask = block(x, mask)
        levels, masks = [x], [mask]
        for block in self.branch:
            x, mask = block(x, mask)
            levels.append(x)
            masks.append(mask)
        return [neck(level) for neck, level in zip(self.necks, levels, strict=True)], masks

    def forward(self, features: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]) -> HeadOutput:
        """Return logits, offsets and mask of the points of `points(T, num_levels)`.

        Snippets where `mask` is False are ignored, NaN included. Raises ValueError for another channel count.
        """
        if features.shape[1] != self.in_dim:
            raise ValueError(
                f"features have {features.shape[1]} channels, shape {tuple(features.shape)}, but this head reads "
                f"{self.in_dim}: give (B, {self.in_dim}, T), or build Head(in_dim={features.shape[1]}, ...)"
            )
        levels, masks = self.pyramid(features, mask)
        # The towers run once over all levels, laid end to end with a masked gap that a kernel of 3 cannot cross.
        sizes = [level.shape[1] for level in levels]
        x = torch.cat([F.pad(level, (0, 0, 0, 1)) for level in levels], 1)
        gapped = torch.cat([F.pad(level_mask, (0, 1)) for level_mask in masks], 1)
        logits, offsets = (
            torch.cat([part[:, :-1] for part in tower(x, gapped).split([size + 1 for size in sizes], 1)], 1)
            for tower in (self.classify, self.regress)
        )
        scale = torch.cat([s.expand(size) for s, size in zip(self.offset_scale, sizes, strict=True)])
        mask = torch.cat(masks, 1)
        return HeadOutput(zero_masked(logits, mask), zero_masked(F.relu(offsets * scale[:, None]), mask), mask)


def check_sizes(dim: int, num_heads: int, num_levels: int, windows: list[int | None]) -> None:
    """Check that the sizes fit together. Raises ConfigError where they do not."""
    if dim % num_heads:
        raise ConfigError(f"dim={dim} is not a multiple of num_heads={num_heads}: change one of them")
    if len(windows) != num_levels:
        raise ConfigError(
            f"window has {len(windows)} entries {windows} for num_levels={num_levels}: "
            "give one number for all levels, or one per level, finest first"
        )
    for window in windows:
        if window is not None and (window < 1 or window % 2 == 0):
            raise ConfigError(f"window={window}: give an odd number of snippets (its centre included), or None")
