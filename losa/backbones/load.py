"""Load a frozen backbone by name, and what a backbone must offer.

A new backbone is an `nn.Module` in a file of its own in this folder and a branch of `load_backbone`. Its contract, for
N clips of L = `frames_per_clip` frames, u = `tubelet`, C = `dim`:

    clip_taps(clips uint8 (N, 3, L, H, W), layers, grid) -> K taps (N, C, L/u, g, g), last layer (N, C, L/u)

    .dim               channels of a tap
    .depth             number of blocks; `layers` are indices below it
    .patch             px of a token's side
    .input_size        px of the square input
    .frames_per_clip   frames that one pass sees, a multiple of .tubelet; 1 for images
    .tubelet           frames in one snippet; 1 for images
    .mean, .std        of pixels divided by 255, three numbers each, which clip_taps applies itself
    .norm_eps          of the LayerNorms, shown beside the source
    .source            one line that says where the weights come from
    .facts             optional: what the weights alone do not tell, part of the taps cache's key
    .blocks            the blocks, or .model.blocks, where `tuning` puts what it trains

`load_backbone` sets .mean, .std and .source itself. `clips.extract_taps` runs any of them over a stretch of video, clip
by clip.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from timm.utils import freeze
from torch import nn

from losa.backbones.checkpoints import (
    ACCEPTED,
    PIXEL_NORMS,
    VIDEOMAE,
    check_size,
    load_strictly,
    read_checkpoint,
    read_tensors,
)
from losa.backbones.vit import ImageViT, VideoViT, interpolate_positions, sinusoid_positions
from losa.errors import CheckpointError, ConfigError

WEIGHTS = Path(__file__).parent / "weights"


def load_backbone(name: str, weights: str | Path | None = None, input_size: int | None = None, *,
                  clip_length: int | None = None, pixel_norm: str = "weights") -> nn.Module:
    """Return a frozen backbone in eval mode.

    name: "gap" or "covered" (the embedded world's, shipped with the package); "timm/<model>" (weights None: timm's
    hub); "videomae_s|b|l|h|g" (ImageNet mean and std) or "videomaev2_..." (pixels / 255 only, as its feature script).
    weights: a file or Hugging Face folder; "random" asks for random weights by name (timm and VideoMAE).
    input_size, clip_length: px and frames of a clip, None = the backbone's own. pixel_norm: "weights" (what the
    weights' description or the name says), "imagenet" or "unit".
    Raises ConfigError for an unknown name or setting, CheckpointError for weights that cannot be read or do not fit,
    FileNotFoundError for a missing file.
    """
    if pixel_norm not in ("weights", *PIXEL_NORMS):
        raise ConfigError(f"pixel_norm must be 'weights', 'imagenet' or 'unit', got {pixel_norm!r}")
    if name.startswith("timm/"):
        if clip_length not in (None, 1):
            raise ConfigError(f"backbone {name!r} sees one frame at a time, clip_length is {clip_length}; "
                              f"leave it at None")
        model = ImageViT(name.removeprefix("timm/"), weights, input_size or 224)
    elif name.replace("videomaev2_", "videomae_") in VIDEOMAE:
        model = load_videomae(name, weights, input_size, clip_length)
    else:
        path = Path(weights) if weights else WEIGHTS / f"world_{name}.safetensors"
        if not path.exists() and not weights:
            shipped = sorted(p.stem.removeprefix("world_") for p in WEIGHTS.glob("world_*.safetensors"))
            raise ConfigError(f"no backbone is called {name!r}; known are {shipped}, 'timm/<model name>', "
                              f"{sorted(VIDEOMAE)} and the same with 'videomaev2_'")
        model = load_video_vit(path, clip_length)
        if input_size not in (None, model.input_size):
            raise ConfigError(f"backbone {name!r} reads {model.input_size} px, input_size is {input_size}; "
                              f"leave input_size at None")
    if pixel_norm != "weights":
        model.mean, model.std = PIXEL_NORMS[pixel_norm]
    descriptions = {PIXEL_NORMS["imagenet"]: "ImageNet mean and std", PIXEL_NORMS["unit"]: "/ 255 only"}
    pixels = descriptions.get((model.mean, model.std), f"mean {list(model.mean)}, std {list(model.std)}")
    model.source = f"{model.source}; pixels: {pixels}"
    return freeze_backbone(model)


def load_videomae(name: str, weights: str | Path | None, input_size: int | None, clip_length: int | None) -> VideoViT:
    """Return the encoder of a VideoMAE or VideoMAEv2 checkpoint, at another resolution or clip length if asked."""
    size = VIDEOMAE[name.replace("videomaev2_", "videomae_")]
    pixels = PIXEL_NORMS["unit" if name.startswith("videomaev2_") else "imagenet"]
    if weights is None:
        raise ConfigError(f"backbone {name!r} needs weights: give the path of {ACCEPTED}, or 'random'")
    if weights == "random":
        grid = (8, 224 // size["patch"], 224 // size["patch"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return VideoViT(**size, input_size=input_size or 224, frames_per_clip=clip_length or 16, pos_grid=grid,
                            mean=pixels[0], std=pixels[1])
    state, positions, about = read_checkpoint(weights)
    check_size(name, about, weights)
    mean, std = about.pixels or pixels
    with torch.device("meta"):  # nothing is initialised that is overwritten anyway
        model = VideoViT(**size, input_size=input_size or about.image_size, tubelet=about.tubelet, mean=mean, std=std,
                         frames_per_clip=clip_length or about.num_frames, pos_grid=about.pos_grid, source=about.source,
                         final_norm=about.final_norm, norm_eps=about.norm_eps, pool_eps=about.pool_eps)
    load_strictly(model, state, f"{name} from {weights}", assign=True)
    if positions is not None and not torch.allclose(positions, sinusoid_positions(*positions.shape[1:]), atol=1e-3):
        learnt = interpolate_positions(positions, about.pos_grid, model.num_tokens)
        model.register_buffer("pos_embed", learnt)  # kept in the state: no formula gives them
    return model


def load_video_vit(path: Path, clip_length: int | None = None) -> VideoViT:
    """Load the VideoViT that a safetensors file describes: its metadata "model" holds the constructor's arguments.

    Raises CheckpointError for a file without such a description, or one that this version does not know.
    """
    state, described = read_tensors(path), None
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            described = (file.metadata() or {}).get("model")
    if described is None:
        raise CheckpointError(f"{path} does not say which model it holds (metadata 'model' is missing); make it with "
                              f"`losa world pretrain`, or name its kind: backbone='videomae_b' or 'timm/<model name>'")
    try:
        model = VideoViT(**json.loads(described), source=path.name)
    except TypeError as error:
        raise CheckpointError(f"{path} describes a model this version does not know ({error}); make it again with "
                              f"`losa world pretrain`") from None
    if clip_length not in (None, model.frames_per_clip):
        model = VideoViT(**{**json.loads(described), "frames_per_clip": clip_length}, pos_grid=model.num_tokens,
                         source=path.name)
    load_strictly(model, {k: v.float() for k, v in state.items()}, str(path))
    return model


def freeze_backbone(model: nn.Module) -> nn.Module:
    """Put the model into eval mode and let no parameter ask for a gradient; return it."""
    freeze(model)
    return model.eval().requires_grad_(False)


def weights_id(backbone: nn.Module) -> str:
    """Return a sha256 over names and values of all weights and `.facts`, the backbone's name in the taps cache."""
    digest = hashlib.sha256(repr(getattr(backbone, "facts", "")).encode())
    for name, value in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
