"""Pretrain the embedded world's backbones: a tiny VideoViT learns to name the motion of a trimmed clip.

The two presets differ only in the motions they see: "covered" sees all, "gap" misses the six of
`motions.UNSEEN`, so that the labelled classes among them are new to the backbone, as they are in practice.
"""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from losa.backbones.load import WEIGHTS
from losa.backbones.vit import VideoViT
from losa.errors import ConfigError
from losa.files import replacing, write_text
from losa.world import render as world
from losa.world.motions import MOTIONS, PRESETS

MODEL = dict(dim=96, depth=6, num_heads=3, mlp_ratio=4.0, input_size=48, frames_per_clip=16, tubelet=2,
             contrast=True)
WHY = ("conv stem: a schedule of 450 steps on 4,096 clips named .91 of the held-out clips (16 motions, one seed), a "
       "linear tubelet embedding .76 after a schedule of 600; started from low-frequency cosines, which the code "
       "does not offer, the linear one named .82 after 300 steps and may be worth more work")
HELD_OUT_SEED = 1_000_003  # held-out clips come from another seed than any training clips


def augment(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Return uint8 clips, (N, 3, L, H, W), each mirrored, shifted, scaled and with colours exchanged at random.

    Mirroring keeps every label: the world's directions are relative to where the performer faces.
    """
    n, size = len(clips), clips.shape[-1]
    draw = lambda low, high: torch.rand(n, generator=generator) * (high - low) + low  # noqa: E731
    zoom, mirror = draw(0.85, 1.1), torch.randint(2, (n,), generator=generator) * 2 - 1
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * mirror, zoom
    theta[:, 0, 2], theta[:, 1, 2] = draw(-0.12, 0.12), draw(-0.12, 0.12)
    colours = torch.stack([torch.randperm(3, generator=generator) for _ in range(n)])
    clips = clips[torch.arange(n)[:, None], colours]
    warped = F.grid_sample(clips.flatten(1, 2).float(), F.affine_grid(theta, (n, 1, size, size), align_corners=False),
                           padding_mode="border", align_corners=False)
    return warped.round().byte().view_as(clips)


@torch.no_grad()
def accuracy(model: nn.Module, clips: Tensor, labels: Tensor, batch: int = 64) -> tuple[float, list[float]]:
    """Return the accuracy on the clips, and that of each class; leaves the model in training mode."""
    model.eval()
    right = torch.cat([model(c).argmax(1) == y for c, y in zip(clips.split(batch), labels.split(batch), strict=True)])
    model.train()
    per_class = [right[labels == y].float().mean().item() for y in range(int(labels.max()) + 1)]
    return right.float().mean().item(), per_class


class Muon(torch.optim.Optimizer):
    """Momentum with an orthogonalised step, for weights of two and more dimensions.

    Newton-Schulz coefficients of Keller Jordan's Muon (kellerjordan.github.io/posts/muon). Exploratory, one seed,
    16 motions, conv stem: .71 clip accuracy after a schedule of 150 steps; AdamW at 1.2e-3 (patch 8, step 100 of 300)
    stood at .28.
    """

    def __init__(self, params, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.mul_(group["momentum"]).add_(p.grad)
                x = (p.grad + group["momentum"] * mean).flatten(1)
                if tall := x.shape[0] > x.shape[1]:
                    x = x.T
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (2.0315 * a @ a - 4.775 * a) @ x
                x = x.T if tall else x
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(x.reshape(p.shape), alpha=-group["lr"] * max(1, x.shape[0] / x.shape[1]) ** 0.5)


def optimizers(model: VideoViT, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the weights of stem and blocks, and AdamW for biases, norms and the classifier."""
    matrices = {n: p for n, p in model.named_parameters() if p.ndim > 1 and not n.startswith("head.")}
    rest = [p for n, p in model.named_parameters() if n not in matrices]
    return [Muon(matrices.values(), lr), torch.optim.AdamW(rest, lr=lr / 16, betas=(0.9, 0.98), weight_decay=0.0)]


def pretrain(preset: str, out: Path | str = WEIGHTS, seed: int = 0, steps: int = 900, *, batch_size: int = 32,
             lr: float = 0.02, num_clips: int = 8192, num_held_out: int = 640, stem: str = "conv", patch: int = 12,
             num_workers: int | None = None) -> dict:
    """Train a backbone on the motions of `preset` and return its card.

    Writes `out`/world_<preset>.safetensors (VideoViT without its classifier, fp32; the metadata field "model" holds
    its arguments) and the card as .json. Warm-up over a twentieth of the steps, then a cosine to zero; label smoothing
    0.1; bf16 where the CPU multiplies it in hardware. Raises ConfigError for an unknown preset.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown; give one of {', '.join(PRESETS)}")
    begun, motions = time.time(), PRESETS[preset]
    clips, labels = render_tensors(motions, num_clips, seed, num_workers)
    held, held_labels = render_tensors(motions, num_held_out, HELD_OUT_SEED + seed, num_workers)
    describe = {**MODEL, "stem": stem, "patch": patch}
    model = fresh_model(describe, len(motions), seed)
    generator = torch.Generator().manual_seed(seed)
    both, warm, bf16 = optimizers(model, lr), max(1, steps // 20), has_fast_bf16()
    decay = lambda s: min((s + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * max(0, s - warm) / (steps - warm)))  # noqa: E731
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, decay) for o in both]
    losses, order = [], []
    bar = tqdm(range(steps), desc=f"pretrain {preset}")
    for step in bar:
        if len(order) < batch_size:
            order = torch.randperm(num_clips, generator=generator)
        batch, order = order[:batch_size], order[batch_size:]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(augment(clips[batch], generator))
        loss = F.cross_entropy(logits.float(), labels[batch], label_smoothing=0.1)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in (*both, *schedules):
            stepper.step()
        losses.append(loss.item())
        if (step + 1) % max(1, steps // 12) == 0:
            now = accuracy(model, held[:192], held_labels[:192])[0]
            bar.set_postfix(loss=f"{np.mean(losses[-30:]):.3f}", held_out_accuracy=f"{now:.3f}")
    total, per_class = accuracy(model, held, held_labels)
    card = {
        "what": "VideoViT pretrained by losa.world.pretrain on trimmed clips of losa.world", "preset": preset,
        "classes_seen": list(motions), "classes_unseen": [m for m in MOTIONS if m not in motions],
        "model": describe, "held_out_accuracy": round(total, 4), "held_out_clips": num_held_out,
        "held_out_accuracy_per_class": {m: round(a, 4) for m, a in zip(motions, per_class, strict=True)},
        "seed": seed, "steps": steps, "batch_size": batch_size, "lr": lr, "num_clips": num_clips,
        "loss_first": float(np.mean(losses[: max(1, steps // 10)])),
        "loss_last": float(np.mean(losses[-max(1, steps // 10):])),
        "input": "uint8 clips (N, 3, 16, 48, 48) at 12 fps; x / 255 normalised by mean 0.5 and std 0.5, then "
                 "[0.5 x, 2 (x - clip mean)]",
        "why": WHY, "world_version": world.VERSION, "torch": torch.__version__, "bf16": bf16,
        "seconds": round(time.time() - begun, 1),
    }
    return write(model, card, Path(out))


def render_tensors(motions: Sequence[str], num: int, seed: int, num_workers: int | None) -> tuple[Tensor, Tensor]:
    """Return `render_clips` as tensors."""
    clips, labels = world.render_clips(motions, num, seed, MODEL["input_size"], num_workers, show=True)
    return torch.from_numpy(clips), torch.from_numpy(labels)


def fresh_model(describe: dict, num_classes: int, seed: int) -> VideoViT:
    """Return a new VideoViT with a classifier, in training mode; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VideoViT(**describe, num_classes=num_classes)
    for block in model.blocks:
        block.attn.fused_attn = False  # on CPU the backward pass of plain attention is twice as fast at this size
    return model.train()


def has_fast_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 matrices in hardware."""
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(check and check())


def write(model: VideoViT, card: dict, out: Path) -> dict:
    """Write weights and card to `out`, and return the card with the weights' sha256."""
    out.mkdir(parents=True, exist_ok=True)
    state = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("head.")}
    weights = out / f"world_{card['preset']}.safetensors"
    with replacing(weights) as part:
        save_file(state, part, {"model": json.dumps(card["model"]), "card": json.dumps(card)})
        part.chmod(0o644)  # safetensors writes files that only their owner may read
    card = {**card, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    write_text(weights.with_suffix(".json"), json.dumps(card, indent=1) + "\n")
    return card
