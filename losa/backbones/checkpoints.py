"""VideoMAE and VideoMAEv2 weights in the formats people have, read strictly into VideoViT's names.

Understood are the .pth files of MCG-NJU/VideoMAE and OpenGVLab/VideoMAEv2, the names that mmaction2 and OpenTAD
convert them to, and Hugging Face folders (VideoMAEModel, ...ForPreTraining, ...ForVideoClassification). Nothing in a
file is executed: safetensors, or torch.load with weights_only and argparse.Namespace as the one class allowed.
"""

import argparse
import json
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from losa.errors import CheckpointError

ACCEPTED = "a .safetensors, .pth or .pt file or a Hugging Face folder"
# Sizes of VideoMAE (arXiv 2203.12602) and VideoMAEv2 (arXiv 2303.16727) as keyword arguments of VideoViT.
VIDEOMAE = {
    "videomae_s": dict(dim=384, depth=12, num_heads=6, mlp_ratio=4.0, patch=16),
    "videomae_b": dict(dim=768, depth=12, num_heads=12, mlp_ratio=4.0, patch=16),
    "videomae_l": dict(dim=1024, depth=24, num_heads=16, mlp_ratio=4.0, patch=16),
    "videomae_h": dict(dim=1280, depth=32, num_heads=16, mlp_ratio=4.0, patch=16),
    "videomae_g": dict(dim=1408, depth=40, num_heads=16, mlp_ratio=48 / 11, patch=14),
}
PIXEL_NORMS = {  # mean and std of pixels divided by 255; "unit" is what VideoMAEv2's feature script feeds
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

CONTAINERS = ("state_dict", "model", "module")  # where a .pth keeps its weights
WRAPPERS = {"module", "model", "backbone", "encoder", "videomae", "_orig_mod"}  # what may stand before a name
STEMS = ("patch_embed.proj.weight", "patch_embed.projection.weight", "embeddings.patch_embeddings.projection.weight")
LEFT_OUT = re.compile(r"(decoder|encoder_to_decoder|mask_token|head|cls_head|classifier|neck)(\.|$)")
RENAMES = [(re.compile(pattern), ours) for pattern, ours in [
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.mlp\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.mlp\.layers\.1\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"^layernorm\.", "norm."),
    (r"\.attn\.query\.bias$", ".attn.q_bias"),
    (r"\.attn\.value\.bias$", ".attn.v_bias"),
]]


@dataclass(frozen=True)
class About:
    """Facts about a checkpoint's model: read from its description, or from names and shapes of its weights."""

    source: str  # file name, format, kind
    dim: int
    depth: int
    patch: int
    tubelet: int
    hidden: int  # width inside the MLP
    num_heads: int | None  # only a config.json tells
    final_norm: str  # "after" the mean (fc_norm), "before" it (norm of pretraining), "none"
    norm_eps: float
    pool_eps: float  # of the final norm
    pos_grid: tuple[int, int, int]  # tokens in time, height and width that positions are made for
    image_size: int
    num_frames: int
    pixels: tuple[tuple[float, ...], tuple[float, ...]] | None  # mean and std, where the weights state them


class Checkpoint(NamedTuple):
    state: dict[str, Tensor]  # float32 copies under VideoViT's names; what fits nowhere keeps its own
    positions: Tensor | None  # (1, P, C) where the file holds a table
    about: About


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a VideoMAE checkpoint into VideoViT's names. Decoder, mask token and classifiers are left out.

    Raises CheckpointError for a file that is damaged, holds other objects than tensors and a Namespace, or is no
    VideoMAE; FileNotFoundError where there is none.
    """
    path = Path(path)
    tensors = read_tensors(path)
    folder = path if path.is_dir() else path.parent
    inside = path.is_dir() or re.fullmatch(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)", path.name)
    config = read_json(folder / "config.json") if inside else {}
    state, family = rename(tensors, path)
    join_qkv(state, with_bias=config.get("qv_bias", config.get("qkv_bias")) is not False)
    positions = state.pop("pos_embed", None)
    about = describe(state, positions, config, family, path)
    if inside and (pixels := read_pixels(folder)):
        about = About(**{**vars(about), "pixels": pixels})
    return Checkpoint({k: v.to(torch.float32, copy=True) for k, v in state.items()},
                      None if positions is None else positions.float(), about)


def rename(tensors: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the encoder's tensors under our names, and the family that the file's names belong to."""
    embeddings = {(name.removesuffix(stem), stem) for name in tensors for stem in STEMS
             if name == stem or name.endswith(f".{stem}")}
    if len(embeddings) != 1:
        raise CheckpointError(
            f"{path} holds {len(embeddings)} patch embeddings ({sorted(p + s for p, s in embeddings)[:3]}), "
            f"expected one VideoMAE encoder; it begins with {sorted(tensors)[:3]}; give "
            f"{ACCEPTED} of VideoMAE")
    prefix, stem = embeddings.pop()
    if strange := set(prefix.split(".")[:-1]) - WRAPPERS:
        raise CheckpointError(
            f"{path} names its weights {prefix + stem!r}; the prefix {sorted(strange)[0]!r} is unknown, "
            f"known are {sorted(WRAPPERS)}; save the encoder alone under its own names")
    family = {STEMS[0]: "VideoMAE names", STEMS[1]: "mmaction2 names", STEMS[2]: "Hugging Face"}[stem]
    state = {}
    for name, value in tensors.items():
        core = name.removeprefix(prefix) if name.startswith(prefix) else unwrapped(name)
        if LEFT_OUT.match(core):
            continue
        outside = not name.startswith(prefix) and not (stem == STEMS[2] and core.startswith("fc_norm."))
        ours = name if outside else renamed(core)
        state[name if ours in state else ours] = value
    return state, family


def unwrapped(name: str) -> str:
    while "." in name and name.split(".", 1)[0] in WRAPPERS:
        name = name.split(".", 1)[1]
    return name


def renamed(name: str) -> str:
    for pattern, ours in RENAMES:
        name = pattern.sub(ours, name)
    return name


def join_qkv(state: dict[str, Tensor], with_bias: bool = True) -> None:
    """Join separate query, key and value weights and biases; the key's bias is zero where it has none.

    Incomplete sets stay as they are and are reported as unexpected by `load_strictly`.
    """
    for start in sorted({k[:k.index(".attn.")] + ".attn." for k in state if ".attn." in k}):
        weights = [f"{start}{part}.weight" for part in ("query", "key", "value")]
        if len({state[k].shape if k in state else None for k in weights} - {()}) == 1 and weights[0] in state:
            state[f"{start}qkv.weight"] = torch.cat([state.pop(k) for k in weights])
        q, v = f"{start}q_bias", f"{start}v_bias"
        if q in state and v in state and state[q].shape == state[v].shape != ():
            parts = state.pop(q), state.pop(f"{start}key.bias", None), state.pop(v)
            zero = torch.zeros_like(parts[0])
            state[f"{start}qkv.bias"] = torch.cat([zero if part is None else part for part in parts])
        elif not with_bias and f"{start}qkv.weight" in state:
            state[f"{start}qkv.bias"] = torch.zeros(len(state[f"{start}qkv.weight"]))


def describe(state: dict[str, Tensor], positions: Tensor | None, config: dict, family: str, path: Path) -> About:
    """Read sizes from the tensors; eps, heads and grid of positions from config.json or what the family usually has."""
    stem = state["patch_embed.proj.weight"]
    if stem.ndim != 5 or stem.shape[1] != 3 or stem.shape[3] != stem.shape[4]:
        raise CheckpointError(f"{path} embeds patches with a kernel of shape {tuple(stem.shape)}, expected (width, 3, "
                              f"frames, size, size); an image ViT is loaded with backbone='timm/<model name>'")
    if (act := config.get("hidden_act", "gelu")) != "gelu":
        raise CheckpointError(f"{path} uses the activation {act!r}, expected 'gelu'; it is no VideoMAE of known kind")
    hugging = family == "Hugging Face"
    tubelet, patch = stem.shape[2], stem.shape[3]
    image_size, num_frames, num_heads, norm_eps = facts_of(config, path, 1e-12 if hugging else 1e-6)
    if not 1 <= num_frames // tubelet * (image_size // patch) ** 2 <= 2**17:
        raise CheckpointError(
            f"{path} describes clips of {num_frames} frames at {image_size} px for patches of {tubelet} "
            f"frames and {patch} px, expected 1 to {2**17} patches; its config.json is another's")
    final_norm = "after" if "fc_norm.weight" in state else "before" if "norm.weight" in state else "none"
    grid = (num_frames // tubelet, image_size // patch, image_size // patch)
    if positions is not None and (positions.ndim != 3 or positions.shape[::2] != (1, stem.shape[0])):
        raise CheckpointError(f"{path} holds positions of shape {tuple(positions.shape)}, expected (1, tokens, "
                              f"{stem.shape[0]}); it is no VideoMAE of known kind")
    if positions is not None:
        side = round((positions.shape[1] / grid[0]) ** 0.5)
        grid = (grid[0], side, side)
        if positions.shape[1] != grid[0] * side**2:
            raise CheckpointError(f"{path} holds {positions.shape[1]} positions, expected {grid[0]} times a square; "
                                  f"the clip's length it was trained with is not {num_frames} frames")
    kind = {"after": "fine-tuned", "before": "pretrained", "none": "no final norm"}[final_norm]
    blocks = [int(m[1]) for k in state if (m := re.match(r"blocks\.(\d+)\.", k))]
    hidden = len(state.get("blocks.0.mlp.fc1.bias", stem[:0]).flatten())
    pool_eps = 1e-5 if hugging and final_norm == "after" else norm_eps  # transformers' fc_norm has torch's own
    return About(f"{path.name} ({family}, {kind})", stem.shape[0], 1 + max(blocks, default=-1), patch, tubelet, hidden,
                 num_heads, final_norm, norm_eps, pool_eps, grid, image_size, num_frames, None)


def facts_of(config: dict, path: Path, norm_eps: float) -> tuple[int, int, int | None, float]:
    """Return image size, frames, heads and eps from a config.json, or the usual ones where it says nothing.

    VideoMAEv2's own folders keep theirs under "model_config", by other names.
    """
    inner = config.get("model_config") if isinstance(config.get("model_config"), dict) else {}
    given = {"image_size": config.get("image_size", inner.get("img_size", 224)),
             "num_frames": config.get("num_frames", inner.get("all_frames", 16)),
             "num_attention_heads": config.get("num_attention_heads", inner.get("num_heads", 1)),
             "layer_norm_eps": config.get("layer_norm_eps", inner.get("layer_norm_eps", norm_eps))}
    if isinstance(size := given["image_size"], list) and len(size) == 2 and size[0] == size[1]:
        given["image_size"] = size[0]
    for name, value in given.items():
        if name == "layer_norm_eps":
            good, expected = type(value) in (int, float) and 0 < value < 1, "a number between 0 and 1"
        else:
            good, expected = type(value) is int and 1 <= value <= 2048, "a whole number from 1 to 2048 (square frames)"
        if not good:
            raise CheckpointError(
                f"the config.json of {path} says {name}={value!r}, expected {expected}; fetch it again")
    heads = given["num_attention_heads"] if "num_attention_heads" in config or "num_heads" in inner else None
    return given["image_size"], given["num_frames"], heads, float(given["layer_norm_eps"])


def read_pixels(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return mean and std of pixels divided by 255, from a Hugging Face folder's description of its input."""
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        if facts := read_json(folder / name):
            break
    else:
        return None
    if not facts.get("do_normalize", True):
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if "image_mean" not in facts and "image_std" not in facts:
        return None
    mean, std, factor = facts.get("image_mean"), facts.get("image_std"), facts.get("rescale_factor", 1 / 255)
    numbers = [*mean, *std, factor] if isinstance(mean, list) and isinstance(std, list) else []
    if len(numbers) != 7 or not all(type(v) in (int, float) and abs(v) < 1e3 for v in numbers) or 0 in numbers[3:]:
        raise CheckpointError(
            f"{folder / name} says image_mean={mean!r}, image_std={std!r}, rescale_factor={factor!r}, "
            f"expected three numbers, three and one; fetch it again")
    scale = 255 * factor if facts.get("do_rescale", True) else 255
    scale = 1.0 if abs(scale - 1) < 1e-6 else scale
    return tuple(v / scale for v in mean), tuple(v / scale for v in std)


def check_size(name: str, about: About, weights: str | Path) -> None:
    """Check the size. Raises CheckpointError that says both in words if the checkpoint has another than asked for."""
    facts = {known: (s["dim"], s["depth"], s["patch"], int(s["dim"] * s["mlp_ratio"]), s["num_heads"])
             for known, s in VIDEOMAE.items()}
    asked = facts[name.replace("videomaev2_", "videomae_")]
    held = (about.dim, about.depth, about.patch, about.hidden, about.num_heads or asked[4])
    if held != asked:
        words = "{} wide, {} blocks, patch {}, {} wide inside the MLP, {} heads".format
        like = next((known for known, fact in facts.items() if fact[:4] == held[:4]), "a VideoMAE of no known size")
        raise CheckpointError(
            f"{weights} holds {like}: {words(*held[:4], about.num_heads or 'unknown')}; asked for {name}: "
            f"{words(*asked)}; choose the backbone that the file holds")


def read_json(path: Path) -> dict:
    """Return the object in a JSON file; {} where there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON ({error}); fetch it again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}, expected an object; fetch it again")
    return value


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return tensors by name of a file, or of all files of a Hugging Face folder."""
    if path.is_dir():
        return {name: value for file in weight_files(path) for name, value in read_tensors(file).items()}
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; give the path of {ACCEPTED}")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path} is no safetensors file or is cut short ({error}); fetch or make it "
                                  f"again") from None
    return tensors_inside(read_pickle(path), path)


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a Hugging Face folder that hold its weights: one, or the shards its index names."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
        if index := read_json(folder / f"{name}.index.json"):
            mapped = index.get("weight_map")
            shards = sorted({str(v) for v in mapped.values()}) if isinstance(mapped, dict) else []
            missing = [s for s in shards if Path(s).name != s or not (folder / s).is_file()]
            if missing or not shards:
                raise CheckpointError(f"{folder} lacks {len(missing)} of the {len(shards)} files its index names, for "
                                      f"example {missing[:3]}; fetch the folder again")
            return [folder / s for s in shards]
    raise FileNotFoundError(f"no weights in {folder}: no model.safetensors, pytorch_model.bin or index of them; give "
                            f"the path of {ACCEPTED}")


def read_pickle(path: Path) -> object:
    """Read what torch.save wrote without running anything in it."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if other := re.search(r"(?:GLOBAL|global:?|class) `?([\w.]+\.[\w.]+)`?", str(error)):
            raise CheckpointError(
                f"{path} carries Python objects beside its weights ({other[1]}), which could run code: "
                f"only tensors and argparse.Namespace are read; save its weights alone where you trust "
                f"it") from None
        raise CheckpointError(
            f"{path} is no torch checkpoint or is damaged; fetch it again, or give {ACCEPTED}") from None
    except Exception as error:  # a damaged pickle fails in every way there is
        raise CheckpointError(
            f"{path} is no torch checkpoint or is cut short ({str(error).splitlines()[:1]}); fetch it "
            f"again, or give {ACCEPTED}") from None


def tensors_inside(loaded: object, path: Path) -> dict[str, Tensor]:
    """Return the dict of tensors in a loaded .pth, under `model`, `module` or `state_dict` where it has one."""
    while isinstance(loaded, dict) and (key := next((k for k in CONTAINERS if isinstance(loaded.get(k), dict)), None)):
        loaded = loaded[key]
    given = loaded if isinstance(loaded, dict) else {}
    strange = [k for k, v in given.items() if not isinstance(v, Tensor)]
    if not given or strange:
        raise CheckpointError(
            f"{path} holds no dict of weights (a {type(loaded).__name__} with {strange[:5]}), expected "
            f"tensors by name, plain or under {', '.join(CONTAINERS)}")
    return given


def load_strictly(model: nn.Module, state: dict[str, Tensor], what: str, assign: bool = False) -> None:
    """Load every weight. Raises CheckpointError that names the first that do not fit."""
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [f"{k} {tuple(state[k].shape)} != {tuple(own[k].shape)}" for k in sorted(own.keys() & state.keys())
             if own[k].shape != state[k].shape]
    if missing or extra or wrong:
        raise CheckpointError(f"weights of {what} do not fit: missing {missing[:3]} ({len(missing)}), unexpected "
                              f"{extra[:3]} ({len(extra)}), wrong shape {wrong[:3]} ({len(wrong)}); check that the "
                              f"file belongs to this model")
    model.load_state_dict(state, assign=assign)
