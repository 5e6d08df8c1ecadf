"""Vision transformers, frozen unless `tuning` trains them, that hand out the outputs of their intermediate blocks.

There are two: a VideoMAE-shaped ViT over clips (`VideoViT`) and any timm image ViT run frame by frame (`ImageViT`).
They keep the contract of `load`.
"""

from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path

import timm
import torch
from jaxtyping import Float, UInt8
from timm.layers import trunc_normal_
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from losa.backbones.checkpoints import ACCEPTED, load_strictly, read_tensors
from losa.backbones.clips import pool_space
from losa.errors import CheckpointError, ConfigError


class TubeletStem(nn.Module):
    """Linear embedding of tubelet x patch x patch cubes, VideoMAE's patch embedding."""

    def __init__(self, dim: int, patch: int, tubelet: int, in_chans: int = 3):
        super().__init__()
        size = (tubelet, patch, patch)
        self.proj = nn.Conv3d(in_chans, dim, kernel_size=size, stride=size)

    def forward(self, clips: Tensor) -> Tensor:
        return self.proj(clips)


class ConvStem(nn.Module):
    """Three strided convolutions with batch norm: learns motion from few clips where a linear stem does not."""

    def __init__(self, dim: int, patch: int, tubelet: int, in_chans: int = 3):
        super().__init__()
        if patch % 4 or tubelet != 2:
            raise ValueError(f"the conv stem strides space by 2, 2 and patch / 4 and time by 2, got patch {patch}, "
                             f"tubelet {tubelet}; use a patch divisible by 4 and tubelet 2, or stem='tubelet'")
        widths = (in_chans, dim // 4, dim // 2, dim)
        layers = []
        for i, stride in enumerate([(1, 2, 2), (2, 2, 2), (1, patch // 4, patch // 4)]):
            kernel = (3, 3, 3) if stride[0] == 2 else (1, 3, 3)
            padding = tuple(k // 2 for k in kernel)
            layers += [nn.Conv3d(widths[i], widths[i + 1], kernel, stride, padding, bias=False),
                       nn.BatchNorm3d(widths[i + 1]), nn.GELU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, clips: Tensor) -> Tensor:
        return self.layers(clips)


class VideoViT(nn.Module):
    """A ViT over clips of L frames, shaped like VideoMAE's encoder (fixed positions).

    pos_grid: tokens in time, height and width that positions are made for, interpolated to this model's where they
    differ; None = its own. final_norm: "after" the mean over tokens (`fc_norm`, fine-tuned encoders), "before" it
    (`norm`, pretrained ones) or "none"; pool_eps is that norm's eps, None = norm_eps.
    contrast: feed [0.5 x, 2 (x - clip mean)] instead of x, which lifts motion out of a still background.
    num_classes: 0 for features; > 0 adds the classifier that pretraining uses.
    """

    def __init__(self, *, dim: int = 96, depth: int = 6, num_heads: int = 3, mlp_ratio: float = 4.0,
                 patch: int = 8, input_size: int = 48, frames_per_clip: int = 16, tubelet: int = 2,
                 stem: str = "tubelet", contrast: bool = False, num_classes: int = 0, drop_path: float = 0.0,
                 mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5),
                 pos_grid: Sequence[int] | None = None, final_norm: str = "after", norm_eps: float = 1e-6,
                 pool_eps: float | None = None, source: str = "random weights"):
        super().__init__()
        stems = {"tubelet": TubeletStem, "conv": ConvStem}
        if stem not in stems:
            raise ValueError(f"stem must be one of {sorted(stems)}, got {stem!r}")
        if frames_per_clip < tubelet or frames_per_clip % tubelet or input_size < patch:
            raise ConfigError(f"clips of {frames_per_clip} frames at {input_size} px do not fit: clip_length must be a "
                              f"multiple of {tubelet} and input_size at least {patch}")
        self.dim, self.depth, self.patch, self.input_size = dim, depth, patch, input_size
        self.frames_per_clip, self.tubelet, self.contrast = frames_per_clip, tubelet, contrast
        self.mean, self.std, self.source, self.norm_eps = tuple(mean), tuple(std), source, norm_eps
        self.patch_embed = stems[stem](dim, patch, tubelet, in_chans=6 if contrast else 3)
        self.num_tokens = (frames_per_clip // tubelet, input_size // patch, input_size // patch)
        pos_grid, pool_eps = tuple(pos_grid or self.num_tokens), norm_eps if pool_eps is None else pool_eps
        self.facts = (pos_grid, final_norm, norm_eps, pool_eps)  # what weights alone do not say; part of weights_id
        positions = interpolate_positions(sinusoid_positions(prod(pos_grid), dim), pos_grid, self.num_tokens)
        self.register_buffer("pos_embed", positions, persistent=False)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, qkv_bias=True, drop_path=drop_path * i / max(depth - 1, 1),
                  norm_layer=partial(nn.LayerNorm, eps=norm_eps)) for i in range(depth))
        self.norm, self.fc_norm = (nn.LayerNorm(dim, eps=pool_eps) if final_norm == place else nn.Identity()
                                   for place in ("before", "after"))
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.apply(init_linear)

    def normalise(self, clips: Tensor) -> Tensor:
        """uint8 (N, 3, L, H, W) -> the stem's float input at this model's dtype."""
        dtype = next(self.blocks.parameters()).dtype
        mean, std = (torch.tensor(v, device=clips.device, dtype=torch.float32).view(1, 3, 1, 1, 1)
                     for v in (self.mean, self.std))
        x = (clips.float() / 255 - mean) / std
        if self.contrast:
            x = torch.cat([0.5 * x, 2 * (x - x.mean(2, keepdim=True))], dim=1)
        return x.to(dtype)

    def embed(self, clips: UInt8[Tensor, "N 3 L H W"]) -> Float[Tensor, "N P C"]:
        """Tokens that enter the first block."""
        tokens = self.patch_embed(self.normalise(clips)).flatten(2).transpose(1, 2)
        return tokens + self.pos_embed.to(tokens.dtype)

    def forward(self, clips: UInt8[Tensor, "N 3 L H W"]) -> Float[Tensor, "N A"]:
        """Clip logits (or pooled features when built without classes)."""
        tokens = self.embed(clips)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.fc_norm(self.norm(tokens).mean(1)))

    def clip_taps(self, clips: UInt8[Tensor, "N 3 L H W"], layers: Sequence[int], grid: int):
        """K taps (N, C, L/u, g, g) in the order of `layers`, and the spatial mean of the last block, normed."""
        tokens, taps = self.embed(clips), {}
        for i, block in enumerate(self.blocks):
            tokens = block(tokens)
            if i in layers:
                taps[i] = pool_space(self.as_map(tokens), grid)
        last = self.as_map(self.norm(tokens)).mean((3, 4))
        last = self.fc_norm(last.transpose(1, 2)).transpose(1, 2)
        return [taps[i] for i in layers], last

    def as_map(self, tokens: Tensor) -> Tensor:
        """(N, P, C) -> (N, C, L/u, h, w)."""
        return tokens.transpose(1, 2).unflatten(2, self.num_tokens)


class ImageViT(nn.Module):
    """Any timm image ViT applied to each frame by itself; blocks are read with `forward_intermediates`."""

    def __init__(self, name: str, weights: str | Path | None = None, input_size: int = 224):
        super().__init__()
        check_timm_name(name)
        self.model = create_timm(name, input_size, pretrained=weights is None)
        self.source = f"{name} from timm's hub" if weights is None else "random weights"
        if weights not in (None, "random"):
            self.source = Path(weights).name
            state = {k: v.float() for k, v in read_tensors(Path(weights)).items()}
            own = self.model.state_dict()
            state = {k: v for k, v in state.items() if k in own or not k.startswith(("head.", "head_dist."))}
            load_strictly(self.model, fit_positions(self.model, state), f"{name} from {weights}")
        if not hasattr(self.model, "forward_intermediates") or not hasattr(self.model, "blocks"):
            raise ConfigError(f"timm model {name!r} has no transformer blocks to tap; choose a ViT, "
                              f"for example 'timm/vit_small_patch16_224'")
        data = self.model.pretrained_cfg
        self.mean, self.std = tuple(data["mean"]), tuple(data["std"])
        self.dim, self.depth = self.model.num_features, len(self.model.blocks)
        self.patch, self.input_size = self.model.patch_embed.patch_size[0], input_size
        self.frames_per_clip = self.tubelet = 1
        self.norm_eps = next((m.eps for m in self.model.modules() if isinstance(m, nn.LayerNorm)), 0.0)

    def clip_taps(self, clips: UInt8[Tensor, "N 3 1 H W"], layers: Sequence[int], grid: int):
        """K taps (N, C, 1, g, g) and the spatial mean of the normed last block (N, C, 1)."""
        dtype = next(self.model.parameters()).dtype
        mean, std = (torch.tensor(v, device=clips.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        images = ((clips[:, :, 0].float() / 255 - mean) / std).to(dtype)
        wanted = sorted({*layers, self.depth - 1})
        maps = self.model.forward_intermediates(images, indices=wanted, output_fmt="NCHW",
                                                intermediates_only=True)
        by_layer = dict(zip(wanted, maps, strict=True))
        last = self.model.norm(by_layer[self.depth - 1].flatten(2).transpose(1, 2)).mean(1)
        last = self.model.fc_norm(last) if hasattr(self.model, "fc_norm") else last
        return [pool_space(by_layer[i].unsqueeze(2), grid) for i in layers], last.unsqueeze(2)


def sinusoid_positions(num: int, dim: int) -> Float[Tensor, "1 P C"]:
    """Return VideoMAE's fixed 1-D sinusoid over all tokens in (t, y, x) order: sine in even, cosine in odd channels."""
    channel = torch.arange(dim, dtype=torch.float64, device="cpu")
    angle = torch.arange(num, device="cpu")[:, None] / 10000 ** (2 * (channel // 2) / dim)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos())[None].float()


def interpolate_positions(table: Float[Tensor, "1 P C"], old: Sequence[int],
                          new: Sequence[int]) -> Float[Tensor, "1 Q C"]:
    """Resample positions from an old (t, h, w) grid to a new one: bicubic in space, linear in time, as VideoMAEv2."""
    x = table[0].unflatten(0, tuple(old)).permute(0, 3, 1, 2)
    if tuple(old[1:]) != tuple(new[1:]):
        x = F.interpolate(x, tuple(new[1:]), mode="bicubic", align_corners=False)
    x = x.permute(2, 3, 1, 0)
    if old[0] != new[0]:
        x = F.interpolate(x.flatten(0, 1), new[0], mode="linear", align_corners=False).unflatten(0, tuple(new[1:]))
    return x.permute(3, 0, 1, 2).flatten(0, 2)[None].contiguous()


def fit_positions(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with `pos_embed` resampled to the model's grid where they differ."""
    given, own = state.get("pos_embed"), getattr(model, "pos_embed", None)
    if given is None or own is None or given.shape == own.shape:
        return state
    grid = [model.patch_embed.grid_size[0], model.patch_embed.grid_size[1]]
    prefix = 0 if getattr(model, "no_embed_class", False) else model.num_prefix_tokens
    resampled = timm.layers.resample_abs_pos_embed(given, new_size=grid, num_prefix_tokens=prefix)
    return {**state, "pos_embed": resampled}


def init_linear(module: nn.Module) -> None:
    """Initialise linear layers as ViTs do: truncated normal 0.02, zero bias."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def create_timm(name: str, input_size: int, pretrained: bool) -> nn.Module:
    """Return a timm model without classifier, with its hub's weights or the same random ones every time."""
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=input_size)
    except TypeError:
        raise ConfigError(f"timm model {name!r} takes no img_size; choose a ViT, for example "
                          f"'timm/vit_small_patch16_224'") from None
    except Exception as error:  # of whichever network library timm's hub stands on
        if not pretrained:
            raise
        raise CheckpointError(f"weights of timm model {name!r} did not come from timm's hub ({type(error).__name__}: "
                              f"{str(error).splitlines()[:1]}); without internet give the path of {ACCEPTED}, "
                              f"or 'random'") from None


def check_timm_name(name: str) -> None:
    """Check the name. Raises ConfigError with the nearest names if timm has no such model."""
    if not timm.is_model(name.split(".")[0]):
        near = timm.list_models(f"*{name.split('.')[0][:10]}*")[:5]
        raise ConfigError(f"timm has no model {name!r}; near: {near}")
