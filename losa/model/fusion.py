"""Gated fusion: add the adapters' outputs, each times its gate, to the last layer's features.

Contract of every fusion, for K taps and R ranges:

    forward(last (B, C, T), adapted (B, K, R, C, T), mask (B, T)) -> (features (B, C, T), gates (B, K, R, T) or None)

Source: LoSA (arXiv 2404.01282), Long-Short-range Gated Fusion; the kinds of gate and their open
initialisation are our choices (zero-initialised tanh gates learnt slowest on the embedded world).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class GatedFusion(nn.Module):
    """y = LayerNorm(last + sum over taps and ranges of gate * adapted).

    kind: "tanh" one scalar per tap and range, "channel" one per channel, "sigmoid" one per snippet computed
    from the last layer and the adapted features, "none" all gates one.
    """

    def __init__(self, dim: int, num_taps: int, num_ranges: int, kind: str = "tanh", init: float = 0.5):
        super().__init__()
        self.kind = kind
        shape = {"tanh": (num_taps, num_ranges, 1), "channel": (num_taps, num_ranges, dim)}.get(kind)
        if shape:
            self.gate = nn.Parameter(torch.full(shape, init))
        elif kind == "sigmoid":
            self.gate = nn.Parameter(torch.full((num_taps, num_ranges), init))
            self.from_last = nn.Linear(dim, num_taps * num_ranges, bias=False)
            self.from_adapted = nn.Parameter(torch.randn(num_taps, num_ranges, dim) * dim**-0.5)
            nn.init.normal_(self.from_last.weight, std=dim**-0.5)
        elif kind != "none":
            raise ValueError(f"gate must be tanh, channel, sigmoid or none, got {kind!r}")
        self.norm = nn.LayerNorm(dim)

    def forward(self, last: Float[Tensor, "B C T"], adapted: Float[Tensor, "B K R C T"],
                mask: Bool[Tensor, "B T"]) -> tuple[Float[Tensor, "B C T"], Float[Tensor, "B K R T"]]:
        last, adapted = hide(last, mask), hide(adapted, mask)
        gates = self.gates(last, adapted)
        per_snippet = gates.mean(3).expand(*adapted.shape[:3], last.shape[2])
        return self.join(last, (gates * adapted).sum((1, 2)), mask), per_snippet

    def join(self, last: Float[Tensor, "B C T"], added: Float[Tensor, "B C T"],
             mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B C T"]:
        """Return the fused features, given the sum over all adapters of gate x output."""
        return hide(self.norm((hide(last, mask) + added).transpose(1, 2)).transpose(1, 2), mask)

    def static_gates(self) -> Float[Tensor, "K R _"] | None:
        """Return gates that do not depend on the features: per tap and range, or also per channel; else None."""
        return self.gate.tanh() if self.kind in ("tanh", "channel") else None

    def gates(self, last: Tensor, adapted: Tensor) -> Tensor:
        """Return the gates in a shape that broadcasts to (B, K, R, C, T)."""
        if self.kind == "none":
            return adapted.new_ones(1, *adapted.shape[1:3], 1, 1)
        if self.kind == "sigmoid":
            from_last = self.from_last(last.transpose(1, 2)).transpose(1, 2).unflatten(1, self.gate.shape)
            from_adapted = torch.einsum("bkrct,krc->bkrt", adapted, self.from_adapted)
            return (from_last + from_adapted + self.gate.unsqueeze(2)).sigmoid().unsqueeze(3)
        return self.gate.tanh()[None, ..., None]


class ConcatFusion(nn.Module):
    """Baseline without gates: one linear layer over the last layer and all adapted features side by side."""

    def __init__(self, dim: int, num_taps: int, num_ranges: int, kind: str = "concat", init: float = 0.0):
        super().__init__()
        self.mix = nn.Linear((1 + num_taps * num_ranges) * dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, last: Float[Tensor, "B C T"], adapted: Float[Tensor, "B K R C T"],
                mask: Bool[Tensor, "B T"]) -> tuple[Float[Tensor, "B C T"], None]:
        last, adapted = hide(last, mask), hide(adapted, mask)
        stacked = torch.cat([last, adapted.flatten(1, 3)], dim=1).transpose(1, 2)
        return hide(self.norm(self.mix(stacked)).transpose(1, 2), mask), None


def hide(x: Tensor, mask: Bool[Tensor, "B T"]) -> Tensor:
    """Return x (B, ..., T) with zeros beyond the mask."""
    return x.masked_fill(~mask.view(mask.shape[0], *[1] * (x.dim() - 2), mask.shape[1]), 0)


FUSIONS = {"tanh": GatedFusion, "channel": GatedFusion, "sigmoid": GatedFusion, "none": GatedFusion,
           "concat": ConcatFusion}  # by Config.gate; contract tests run over this dict
