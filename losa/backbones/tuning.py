"""Train inside the backbone: adapters between its blocks (mode "inside") or all of its weights (mode "full")."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from losa.backbones.clips import tap_layers
from losa.config import Config


def tune(backbone: nn.Module, config: Config) -> nn.Module:
    """Make a frozen backbone train what `config.mode` asks for; return the module of exactly those parameters.

    Adapters' weights come from a generator of their own, seeded by `config.seed`.
    """
    blocks = backbone.blocks if hasattr(backbone, "blocks") else backbone.model.blocks
    layers = tap_layers(config.taps, backbone.depth) if config.mode == "inside" else ()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        adapters = {i: InsideAdapter(backbone.dim, config.adapter_dim, backbone.frames_per_clip // backbone.tubelet)
                    for i in layers}
    for i, block in enumerate(blocks):
        blocks[i] = Tuned(block, adapters.get(i), config.checkpointing)
    backbone.to(next(backbone.parameters()).device).eval()
    if config.mode == "full":
        return backbone.requires_grad_(True)
    return nn.ModuleDict({str(i): adapter for i, adapter in adapters.items()}).eval()


class Tuned(nn.Module):
    """A block of the backbone, then its adapter if it has one.

    again: activation checkpointing, which computes what happens inside again in the backward pass.
    """

    def __init__(self, block: nn.Module, adapter: nn.Module | None = None, again: bool = False):
        super().__init__()
        self.block, self.adapter, self.again = block, adapter, again

    def forward(self, x: Float[Tensor, "N P C"], **given) -> Float[Tensor, "N P C"]:
        """given: what the backbone hands to its blocks beside the tokens, such as rotary positions."""
        if self.again and torch.is_grad_enabled():
            return checkpoint(self.step, x, use_reentrant=False, preserve_rng_state=False, **given)
        return self.step(x, **given)

    def step(self, x: Tensor, **given) -> Tensor:
        x = self.block(x, **given)
        return x if self.adapter is None else x + self.adapter(x)


class InsideAdapter(nn.Module):
    """Added to a block's tokens: down-projection, depthwise convolution over the clip's time, up-projection.

    The up-projection starts at zero, so that the block is at first as it was. The idea of AdaTAD's TIA adapter (arXiv
    2311.17241); width and convolution are ours. Tokens may follow one another as (t, y, x)
    or, with steps = 1 (images), in any way, prefix tokens included: the convolution then sees no neighbour.
    """

    def __init__(self, dim: int, adapter_dim: int, steps: int):
        super().__init__()
        self.steps = steps
        self.down, self.up = nn.Linear(dim, adapter_dim), nn.Linear(adapter_dim, dim)
        self.time = nn.Parameter(torch.randn(3, adapter_dim) * 0.02)
        self.mix = nn.Linear(adapter_dim, adapter_dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Float[Tensor, "N P C"]) -> Float[Tensor, "N P C"]:
        x = F.gelu(self.down(x)).unflatten(1, (self.steps, -1))  # (N, t, tokens of a step, d)
        before, after = F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1], F.pad(x, (0, 0, 0, 0, 0, 1))[:, 1:]
        through = before * self.time[0] + x * (1 + self.time[1]) + after * self.time[2]
        return self.up((x + self.mix(through)).flatten(1, 2))
