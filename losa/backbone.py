"""Frozen vision transformers that hand out what their intermediate blocks saw.

Two kinds share one contract: a VideoMAE-shaped ViT over clips (`VideoViT`) and any timm image ViT run
frame by frame (`ImageViT`). Both have `.dim .depth .patch .input_size .frames_per_clip .tubelet` and

    clip_taps(clips, layers, grid) -> K taps (N, C, L/u, g, g) and the last layer (N, C, L/u)

`taps()` below runs either over a stretch of video, clip by clip.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import timm
import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from timm.layers import trunc_normal_
from timm.models.vision_transformer import Block
from timm.utils import freeze
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = Path(__file__).parent / "weights"

# Sizes of VideoMAE (arXiv 2203.12602) and VideoMAEv2 (arXiv 2303.16727) as keyword arguments of VideoViT.
VIDEOMAE = {
    "videomae_s": dict(dim=384, depth=12, num_heads=6, mlp_ratio=4.0, patch=16),
    "videomae_b": dict(dim=768, depth=12, num_heads=12, mlp_ratio=4.0, patch=16),
    "videomae_l": dict(dim=1024, depth=24, num_heads=16, mlp_ratio=4.0, patch=16),
    "videomae_h": dict(dim=1280, depth=32, num_heads=16, mlp_ratio=4.0, patch=16),
    "videomae_g": dict(dim=1408, depth=40, num_heads=16, mlp_ratio=48 / 11, patch=14),
}


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
    """A ViT over clips of L frames, shaped like VideoMAE's fine-tuned encoder (fixed positions, `fc_norm`).

    contrast: feed [0.5 x, 2 (x - clip mean)] instead of x, which lifts motion out of a still background.
    num_classes: 0 for features; > 0 adds the classifier that pretraining uses.
    """

    def __init__(self, *, dim: int = 96, depth: int = 6, num_heads: int = 3, mlp_ratio: float = 4.0,
                 patch: int = 8, input_size: int = 48, frames_per_clip: int = 16, tubelet: int = 2,
                 stem: str = "tubelet", contrast: bool = False, num_classes: int = 0, drop_path: float = 0.0,
                 mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)):
        super().__init__()
        stems = {"tubelet": TubeletStem, "conv": ConvStem}
        if stem not in stems:
            raise ValueError(f"stem must be one of {sorted(stems)}, got {stem!r}")
        self.dim, self.depth, self.patch, self.input_size = dim, depth, patch, input_size
        self.frames_per_clip, self.tubelet, self.contrast = frames_per_clip, tubelet, contrast
        self.mean, self.std = tuple(mean), tuple(std)
        self.patch_embed = stems[stem](dim, patch, tubelet, in_chans=6 if contrast else 3)
        self.num_tokens = (frames_per_clip // tubelet, input_size // patch, input_size // patch)
        positions = sinusoid_positions(self.num_tokens[0] * self.num_tokens[1] ** 2, dim)
        self.register_buffer("pos_embed", positions, persistent=False)
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, mlp_ratio, qkv_bias=True, drop_path=drop_path * i / max(depth - 1, 1),
                  norm_layer=partial(nn.LayerNorm, eps=1e-6)) for i in range(depth))
        self.fc_norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.apply(init_linear)

    def normalise(self, clips: Tensor) -> Tensor:
        """uint8 (N, 3, L, H, W) -> the stem's float input at this model's dtype."""
        dtype = self.fc_norm.weight.dtype
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
        return self.head(self.fc_norm(tokens.mean(1)))

    def clip_taps(self, clips: UInt8[Tensor, "N 3 L H W"], layers: Sequence[int], grid: int):
        """K taps (N, C, L/u, g, g) in the order of `layers`, and the normed spatial mean of the last block."""
        tokens, taps = self.embed(clips), {}
        for i, block in enumerate(self.blocks):
            tokens = block(tokens)
            if i in layers:
                taps[i] = pool_space(self.as_map(tokens), grid)
        last = self.fc_norm(self.as_map(tokens).mean((3, 4)).transpose(1, 2)).transpose(1, 2)
        return [taps[i] for i in layers], last

    def as_map(self, tokens: Tensor) -> Tensor:
        """(N, P, C) -> (N, C, L/u, h, w)."""
        return tokens.transpose(1, 2).unflatten(2, self.num_tokens)


class ImageViT(nn.Module):
    """Any timm image ViT applied to each frame by itself; blocks are read with `forward_intermediates`."""

    def __init__(self, name: str, weights: Path | None = None, input_size: int = 224):
        super().__init__()
        check_timm_name(name)
        try:
            self.model = timm.create_model(name, pretrained=False, num_classes=0, img_size=input_size)
        except TypeError:
            raise ValueError(f"timm model {name!r} takes no img_size; choose a ViT, for example "
                             f"'timm/vit_small_patch16_224'") from None
        if weights is not None:
            state = {k: v.float() for k, v in read_weights(weights).items()}
            state = fit_positions(self.model, state)
            load_strictly(self.model, state, f"{name} from {weights}")
        if not hasattr(self.model, "forward_intermediates") or not hasattr(self.model, "blocks"):
            raise ValueError(f"timm model {name!r} has no transformer blocks to tap; choose a ViT, "
                             f"for example 'timm/vit_small_patch16_224'")
        data = self.model.pretrained_cfg
        self.mean, self.std = tuple(data["mean"]), tuple(data["std"])
        self.dim, self.depth = self.model.num_features, len(self.model.blocks)
        self.patch, self.input_size = self.model.patch_embed.patch_size[0], input_size
        self.frames_per_clip = self.tubelet = 1

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
        return [pool_space(by_layer[i].unsqueeze(2), grid) for i in layers], last.unsqueeze(2)


def load_backbone(name: str, weights: str | Path | None = None, input_size: int | None = None) -> nn.Module:
    """A frozen backbone in eval mode.

    name: "gap" or "covered" (the embedded world's, shipped with the package), or "timm/<model>".
    weights: a safetensors file; required for timm models, "random" asks for random weights by name.
    Raises ValueError for an unknown name or weights that do not fit, FileNotFoundError for a missing file.
    """
    if name.startswith("timm/"):
        if weights is None:
            raise ValueError(f"backbone {name!r} needs weights: give the path of a safetensors file "
                             f"or 'random' for random weights")
        path = None if weights == "random" else existing(Path(weights))
        model = ImageViT(name.removeprefix("timm/"), path, input_size or 224)
    else:
        path = Path(weights) if weights else WEIGHTS / f"world_{name}.safetensors"
        if not path.exists() and not weights:
            shipped = sorted(p.stem.removeprefix("world_") for p in WEIGHTS.glob("world_*.safetensors"))
            raise ValueError(f"no backbone is called {name!r}; known are {shipped} and 'timm/<model name>'")
        model = load_video_vit(existing(path))
        if input_size not in (None, model.input_size):
            raise ValueError(f"backbone {name!r} reads {model.input_size} px, input_size is {input_size}; "
                             f"leave input_size at None")
    return freeze_backbone(model)


def load_video_vit(path: Path) -> VideoViT:
    """The VideoViT a safetensors file describes: its metadata "model" holds the constructor's arguments."""
    state = read_weights(path)
    with safe_open(path, framework="pt") as file:
        described = (file.metadata() or {}).get("model")
    if described is None:
        raise ValueError(f"{path} does not say which model it holds (metadata 'model' is missing); "
                         f"make it with `losa pretrain`")
    model = VideoViT(**json.loads(described))
    load_strictly(model, {k: v.float() for k, v in state.items()}, str(path))
    return model


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises ValueError where it is none."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file or is cut short ({error}); fetch or make it again") from None


def freeze_backbone(model: nn.Module) -> nn.Module:
    """The same model in eval mode with no parameter that asks for a gradient."""
    freeze(model)
    return model.eval().requires_grad_(False)


def weights_id(backbone: nn.Module) -> str:
    """sha256 over names and values of all weights: what the taps cache calls the backbone by."""
    digest = hashlib.sha256()
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def taps(backbone: nn.Module, frames: UInt8[Tensor, "F 3 H W"], layers: Sequence[int], *, grid: int = 1,
         clip_stride: int | None = None, chunk: int = 8) -> tuple[Float[Tensor, "K C T g h"],
                                                                  Float[Tensor, "C T"]]:
    """Taps and last-layer features of a stretch of video that starts where a clip starts, T = ceil(F / u).

    Clips of L frames, `clip_stride` apart (default L), run `chunk` at a time so that peak memory does not
    grow with the video; where clips overlap their outputs are averaged; the last clip repeats its last
    frame. Runs on the backbone's device and dtype; results are float32 there.
    """
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
    """First frames of the clips that cover `num_frames` sampled frames, the last one possibly padded."""
    return [i * stride for i in range(1 + max(0, -(-(num_frames - length) // stride)))]


def tap_layers(taps: str | Sequence[int], depth: int) -> tuple[int, ...]:
    """0-based block indices for "all" (at most 12, evenly spaced, ending at the last), "half", "last" or a list."""
    if taps == "last":
        return (depth - 1,)
    if taps in ("all", "half"):
        count = min(depth, 12) if taps == "all" else max(1, min(depth, 12) // 2)
        return tuple(round((i + 1) * depth / count) - 1 for i in range(count))
    layers = tuple(range(depth)[i] if -depth <= i < depth else i for i in taps) if not isinstance(taps, str) else ()
    if not layers or any(i >= depth or i < 0 for i in layers) or len(set(layers)) != len(layers):
        raise ValueError(f"taps must be 'all', 'half', 'last' or different block indices 0..{depth - 1}, got {taps!r}")
    return layers


def resize_frames(frames: UInt8[Tensor, "F H W 3"], size: int) -> UInt8[Tensor, "F 3 S S"]:
    """Frames squeezed to size x size, antialiased. The whole frame is kept: actions happen at its edges too."""
    x = frames.permute(0, 3, 1, 2)
    if x.shape[-2:] == (size, size):
        return x.contiguous()
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)


def pool_space(x: Float[Tensor, "N C T h w"], grid: int) -> Float[Tensor, "N C T g q"]:
    """Spatial average to a grid x grid map; the identity when the map already has that size."""
    n, c, t, h, w = x.shape
    if grid > min(h, w):
        raise ValueError(f"grid {grid} is finer than the backbone's {h} x {w} token map; use at most {min(h, w)}")
    if grid == 1:
        return x.mean((3, 4), keepdim=True)
    return F.adaptive_avg_pool2d(x.transpose(1, 2).flatten(0, 1), grid).unflatten(0, (n, t)).transpose(1, 2)


def sinusoid_positions(num: int, dim: int) -> Float[Tensor, "1 P C"]:
    """VideoMAE's fixed 1-D sinusoid over all tokens in (t, y, x) order: sine in even, cosine in odd channels."""
    channel = torch.arange(dim)
    angle = torch.arange(num)[:, None] / 10000 ** (2 * (channel // 2) / dim)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos())[None].float()


def fit_positions(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with `pos_embed` resampled to the model's grid where they differ."""
    given, own = state.get("pos_embed"), getattr(model, "pos_embed", None)
    if given is None or own is None or given.shape == own.shape:
        return state
    grid = [model.patch_embed.grid_size[0], model.patch_embed.grid_size[1]]
    prefix = 0 if getattr(model, "no_embed_class", False) else model.num_prefix_tokens
    resampled = timm.layers.resample_abs_pos_embed(given, new_size=grid, num_prefix_tokens=prefix)
    return {**state, "pos_embed": resampled}


def check_timm_name(name: str) -> None:
    """Nothing; raises ValueError with the nearest names if timm has no such model."""
    if not timm.is_model(name.split(".")[0]):
        near = timm.list_models(f"*{name.split('.')[0][:10]}*")[:5]
        raise ValueError(f"timm has no model {name!r}; near: {near}")


def load_strictly(model: nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Loads every weight or raises ValueError naming the first that do not fit."""
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [f"{k} {tuple(state[k].shape)} != {tuple(own[k].shape)}" for k in own.keys() & state.keys()
             if own[k].shape != state[k].shape]
    if missing or extra or wrong:
        raise ValueError(f"weights of {what} do not fit: missing {missing[:3]}, unexpected {extra[:3]}, "
                         f"wrong shape {wrong[:3]}; check that the file belongs to this model")
    model.load_state_dict(state)


def existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; give the path of a safetensors file")
    return path


def init_linear(module: nn.Module) -> None:
    """ViT initialisation: truncated normal 0.02 for linear layers, zero bias."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
