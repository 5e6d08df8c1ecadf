"""The optimiser with its parameter groups, and the learning rate of each step."""

import math

import torch
from torch import nn

from losa.config import Config
from losa.model.losa import LoSA


def make_optimiser(model: LoSA, config: Config, tuned: nn.Module | None = None) -> torch.optim.Optimizer:
    """Return AdamW with parameter groups by role: gates learn faster; they, biases, norms and scales are not decayed.

    tuned: what trains inside the backbone, at a learning rate of its own; its vectors are not decayed. Each group has
    a "scale", by which the loop multiplies the learning rate.
    """
    inside = [p for p in tuned.parameters() if p.requires_grad] if tuned is not None else []
    by_role = {**model.groups(), "tuned": [p for p in inside if p.ndim > 1],
             "tuned_no_decay": [p for p in inside if p.ndim <= 1]}
    roles = {"gate": (config.gate_lr_scale, 0.0), "no_decay": (1.0, 0.0), "decay": (1.0, config.weight_decay),
             "tuned": (config.backbone_lr_scale, config.weight_decay),
             "tuned_no_decay": (config.backbone_lr_scale, 0.0)}
    groups = [{"params": params, "scale": roles[role][0], "weight_decay": roles[role][1]}
              for role, params in by_role.items() if params]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def learning_rate(config: Config, step: int, per_epoch: int) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine to 1e-8."""
    warmup, total = config.warmup_epochs * per_epoch, (config.warmup_epochs + config.epochs) * per_epoch
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(total - warmup - 1, 1)
    return 1e-8 + (config.learning_rate - 1e-8) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
