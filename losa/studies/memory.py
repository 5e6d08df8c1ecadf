"""Measure what each way of adapting costs: bytes saved for backward, and on a GPU peak memory and step time.

head_only, losa and side_tokens run the backbone without gradient; inside and full send the gradient through it.
"""

import platform
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from losa.backbones.checkpoints import VIDEOMAE
from losa.backbones.clips import extract_taps, extract_with_gradient, tap_layers
from losa.backbones.load import freeze_backbone
from losa.backbones.tuning import tune
from losa.backbones.vit import VideoViT
from losa.config import Config
from losa.model.losa import LoSA, build

MODES = ("head_only", "losa", "side_tokens", "inside", "full")
ROWS = {**{mode: (mode, False) for mode in MODES},
        **{f"{mode}, checkpointing": (mode, True) for mode in ("inside", "full")}}  # name: mode, checkpointing


class Parts(NamedTuple):
    """A backbone and the model beside it, ready for a training step."""

    backbone: nn.Module
    model: LoSA
    layers: tuple[int, ...]
    grid: int
    tuned: nn.Module | None  # what trains in the backbone

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters that are trained."""
        return [*self.model.parameters(), *(self.tuned.parameters() if self.tuned is not None else ())]


def make_parts(mode: str, size: str, input_size: int, device: str, checkpointing: bool = False,
               dtype: torch.dtype = torch.float32) -> Parts:
    """Return a randomly initialised backbone of a VideoMAE size with the model of one mode.

    dtype: of weights that stay frozen.
    """
    torch.manual_seed(0)
    backbone = freeze_backbone(VideoViT(**VIDEOMAE[size], input_size=input_size))
    backbone.to(device, torch.float32 if mode == "full" else dtype)
    config = Config.make(mode=mode, checkpointing=checkpointing, adapter_dim=backbone.dim // 4, head_dim=256,
                         head_levels=4)
    layers = () if config.tapped == "none" else tap_layers(config.tapped, backbone.depth)
    tuned = tune(backbone, config) if mode in ("inside", "full") else None
    model = build(config, dim=backbone.dim, num_taps=len(layers), num_classes=20, clip_snippets=8).to(device)
    return Parts(backbone, model, layers, input_size // backbone.patch if mode == "side_tokens" else 1, tuned)


def forward(parts: Parts, frames: Tensor, chunk: int) -> Tensor:
    """Return a loss on one window of frames (F, 3, H, W); a frozen backbone runs in chunks of clips without a graph."""
    run = extract_taps if parts.tuned is None else extract_with_gradient
    tapped, last = (x[None] for x in run(parts.backbone, frames, parts.layers, grid=parts.grid, chunk=chunk))
    mask = torch.ones(1, last.shape[2], dtype=torch.bool, device=last.device)
    output = parts.model(tapped, last, mask)
    return output.logits.float().square().mean() + output.offsets.float().mean()


def saved_mib(loss_of, weights: set[int]) -> float:
    """Return the MiB that autograd saves for backward while `loss_of()` runs: each storage once, without parameters."""
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
    """Return MiB saved for backward and trainable parameters of every mode on CPU, and the ratio to head_only.

    inside and full are measured with and without checkpointing. Where there is a GPU, the key "gpu" adds peak memory
    and step time for ViT-g.
    """
    frames = torch.randint(0, 256, (16 * num_clips, 3, input_size, input_size), dtype=torch.uint8)
    rows = {}
    for name, (mode, checkpointing) in ROWS.items():
        parts = make_parts(mode, size, input_size, "cpu", checkpointing)
        weights = {p.untyped_storage().data_ptr() for m in (parts.backbone, parts.model) for p in m.parameters()}
        mib = saved_mib(lambda p=parts: forward(p, frames, chunk=1), weights)
        rows[name] = {"saved_mib": round(mib, 2), "trainable_parameters": sum(p.numel() for p in parts.trained())}
    for row in rows.values():
        row["ratio"] = round(row["saved_mib"] / rows["head_only"]["saved_mib"], 2)
    facts = {"backbone": size, "num_clips": num_clips, "input_size": input_size, "device": "cpu", "dtype": "float32",
             "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"}
    return {**facts, "modes": rows} | ({"gpu": gpu_memory()} if torch.cuda.is_available() else {})


def gpu_memory(num_clips: int = 48, size: str = "videomae_g", input_size: int = 224, steps: int = 5) -> dict:
    """Return peak GPU memory and seconds per training step of each mode; {"out_of_memory": True} if it does not fit."""
    rows = {}
    for name, (mode, checkpointing) in ROWS.items():
        try:
            rows[name] = gpu_step(mode, checkpointing, size, input_size, num_clips, steps)
        except torch.cuda.OutOfMemoryError:
            rows[name] = {"out_of_memory": True}
        torch.cuda.empty_cache()
    return {"device": torch.cuda.get_device_name(), "backbone": size, "num_clips": num_clips, "input_size": input_size,
            "dtype": "bfloat16", "modes": rows}


def gpu_step(mode: str, checkpointing: bool, size: str, input_size: int, num_clips: int, steps: int) -> dict:
    """Return peak GiB and seconds per training step of one mode, after one step to warm up."""
    parts = make_parts(mode, size, input_size, "cuda", checkpointing, torch.bfloat16)
    frames = torch.randint(0, 256, (16 * num_clips, 3, input_size, input_size), dtype=torch.uint8)
    optimiser = torch.optim.AdamW(parts.trained(), lr=1e-5)
    torch.cuda.reset_peak_memory_stats()
    for step in range(steps + 1):
        if step == 1:
            torch.cuda.synchronize()
            began = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = forward(parts, frames, chunk=8)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    torch.cuda.synchronize()
    return {"peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "step_seconds": round((time.perf_counter() - began) / steps, 3)}
