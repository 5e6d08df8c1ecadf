"""What each way of adapting costs, measured: bytes saved for backward, and on a GPU peak memory and step time.

head_only and losa run the backbone without gradient; full is the same backbone trained in one piece.
"""

import platform
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from losa import backbone as backbones
from losa.config import Config
from losa.model import LoSA, build

MODES = ("head_only", "losa", "full")


class Parts(NamedTuple):
    backbone: nn.Module
    model: LoSA
    layers: tuple[int, ...]


def make_parts(mode: str, size: str, input_size: int, device: str) -> Parts:
    """A randomly initialised backbone of a VideoMAE size and the model of one mode for it."""
    torch.manual_seed(0)
    backbone = backbones.VideoViT(**backbones.VIDEOMAE[size], input_size=input_size).to(device)
    if mode != "full":
        backbones.freeze_backbone(backbone)
    layers = backbones.tap_layers("all", backbone.depth) if mode == "losa" else ()
    config = Config.make(taps="all" if mode == "losa" else "none", adapter_dim=backbone.dim // 4, head_dim=256,
                         head_levels=4)
    model = build(config, dim=backbone.dim, num_taps=len(layers), num_classes=20, clip_snippets=8).to(device)
    return Parts(backbone, model, layers)


def forward(parts: Parts, mode: str, frames: Tensor, chunk: int) -> Tensor:
    """A loss on one window; `full` keeps the backbone's graph, the others run it chunk by chunk without one."""
    if mode == "full":
        clips = frames.unflatten(0, (-1, 16)).transpose(1, 2)
        _, last = parts.backbone.clip_taps(clips, (), 1)
        last = last.transpose(0, 1).flatten(1)[None]
        tapped = last.new_zeros(1, 0, last.shape[1], last.shape[2], 1, 1)
    else:
        tapped, last = (x[None] for x in backbones.taps(parts.backbone, frames, parts.layers, chunk=chunk))
    mask = torch.ones(1, last.shape[2], dtype=torch.bool, device=last.device)
    output = parts.model(tapped, last, mask)
    return output.logits.float().square().mean() + output.offsets.float().mean()


def saved_mib(loss_of, weights: set[int]) -> float:
    """MiB that autograd keeps for backward: each storage once, parameters not counted."""
    kept = {}

    def count(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), x)  # held, so that no address is used twice
        return x

    with saved_tensors_hooks(count, lambda x: x):
        loss_of()
    return sum(size for size, _ in kept.values()) / 2**20


def memory(num_clips: int = 4, size: str = "videomae_b", input_size: int = 224) -> dict:
    """Saved-for-backward MiB and trainable parameters of head_only, losa and full on CPU; ratios to head_only.

    Where there is a GPU, the key "gpu" adds peak memory and step time for ViT-g.
    """
    frames = torch.randint(0, 256, (16 * num_clips, 3, input_size, input_size), dtype=torch.uint8)
    rows = {}
    for mode in MODES:
        parts = make_parts(mode, size, input_size, "cpu")
        weights = {p.untyped_storage().data_ptr() for m in (parts.backbone, parts.model) for p in m.parameters()}
        mib = saved_mib(lambda p=parts, m=mode: forward(p, m, frames, chunk=1), weights)
        trained = [p for m in (parts.backbone, parts.model) for p in m.parameters() if p.requires_grad]
        rows[mode] = {"saved_mib": round(mib, 2), "trainable_parameters": sum(p.numel() for p in trained)}
    for row in rows.values():
        row["ratio"] = round(row["saved_mib"] / rows["head_only"]["saved_mib"], 2)
    facts = {"backbone": size, "num_clips": num_clips, "input_size": input_size, "device": "cpu", "dtype": "float32",
             "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"}
    return {**facts, "modes": rows} | ({"gpu": gpu_memory()} if torch.cuda.is_available() else {})


def gpu_memory(num_clips: int = 48, size: str = "videomae_g", input_size: int = 224, steps: int = 5) -> dict:
    """Peak GPU memory and seconds per training step of each mode; a mode that does not fit says so."""
    rows = {}
    for mode in MODES:
        try:
            rows[mode] = gpu_step(mode, size, input_size, num_clips, steps)
        except torch.cuda.OutOfMemoryError:
            rows[mode] = {"out_of_memory": True}
        torch.cuda.empty_cache()
    return {"device": torch.cuda.get_device_name(), "backbone": size, "num_clips": num_clips, "input_size": input_size,
            "dtype": "bfloat16", "modes": rows}


def gpu_step(mode: str, size: str, input_size: int, num_clips: int, steps: int) -> dict:
    parts = make_parts(mode, size, input_size, "cuda")
    if mode != "full":
        parts.backbone.to(torch.bfloat16)
    frames = torch.randint(0, 256, (16 * num_clips, 3, input_size, input_size), dtype=torch.uint8)
    trained = [p for m in (parts.backbone, parts.model) for p in m.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-5)
    torch.cuda.reset_peak_memory_stats()
    for step in range(steps + 1):
        if step == 1:
            torch.cuda.synchronize()
            began = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = forward(parts, mode, frames.cuda(), chunk=8)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    torch.cuda.synchronize()
    return {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "step_seconds": round((time.perf_counter() - began) / steps, 3)}
