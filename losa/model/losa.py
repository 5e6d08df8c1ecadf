"""LoSA: adapters of two ranges -> gated fusion -> head. Never holds the backbone; it is fed taps.

Source: arXiv 2404.01282. What is trained is exactly this module.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from losa.config import Config
from losa.model.adapters import find_adapter, spans
from losa.model.batched import alike, run_together, up_and_add, up_together
from losa.model.fusion import FUSIONS, GatedFusion
from losa.model.head import Head
from losa.model.side_tokens import on_tokens


class Output(NamedTuple):
    """What one forward pass gives: P points over all levels, A classes, K taps, R ranges."""

    logits: Float[Tensor, "B P A"]
    offsets: Float[Tensor, "B P 2"]
    point_mask: Bool[Tensor, "B P"]
    gates: Float[Tensor, "B K R T"] | None


class LoSA(nn.Module):
    """adapters: K lists of R adapters each (empty for the head alone); fusion and head as in their contracts.

    Taps and the last layer are standardised per channel with statistics that `set_statistics` stores.
    """

    def __init__(self, dim: int, adapters: list[list[nn.Module]], fusion: nn.Module, head: nn.Module):
        super().__init__()
        self.adapters = nn.ModuleList(nn.ModuleList(row) for row in adapters)
        self.fusion, self.head = fusion, head
        for name, shape in {"tap": (len(adapters), dim), "last": (dim,)}.items():
            self.register_buffer(f"{name}_mean", torch.zeros(shape))
            self.register_buffer(f"{name}_std", torch.ones(shape))

    def set_statistics(self, tap_mean: Float[Tensor, "K C"], tap_std: Float[Tensor, "K C"],
                       last_mean: Float[Tensor, " C"], last_std: Float[Tensor, " C"]) -> None:
        """Stores the training set's mean and standard deviation per channel."""
        for name, value in dict(tap_mean=tap_mean, tap_std=tap_std, last_mean=last_mean, last_std=last_std).items():
            getattr(self, name).copy_(value.clamp(min=1e-4) if name.endswith("std") else value)

    def standardised(self, taps: Float[Tensor, "*B K C T g h"], last: Float[Tensor, "*B C T"]):
        """Taps and last layer as adapters and fusion get them: each channel by the statistics of the training set."""
        scale = self.tap_std.reciprocal()
        taps = torch.addcmul((-self.tap_mean * scale)[..., None, None, None], taps, scale[..., None, None, None])
        return taps, (last - self.last_mean[:, None]) / self.last_std[:, None]

    def adapted(self, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"],
                mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K R C T"]:
        """What each adapter finds in standardised taps. Raises ValueError where one has not the last layer's shape."""
        rows = [torch.stack([of_shape(last, adapter, adapter(taps[:, k], last, mask)) for adapter in row], dim=1)
                for k, row in enumerate(self.adapters)]
        return torch.stack(rows, dim=1) if rows else last.new_zeros(len(last), 0, 0, *last.shape[1:])

    def features(self, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]):
        """Fused features (B, C, T) for the head and gates (B, K, R, T)."""
        taps, last = self.standardised(taps, last)
        together = [list(row) for row in self.adapters]
        if alike(together):
            return self.fused_together(together, taps, last, mask)
        return self.fusion(last, self.adapted(taps, last, mask), mask)

    def fused_together(self, adapters: list, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"],
                       mask: Bool[Tensor, "B T"]):
        """`features` of standardised taps with all adapters at once; with static gates they are never told apart."""
        hidden = run_together(adapters, taps, last, mask)
        gates = self.fusion.static_gates() if type(self.fusion) is GatedFusion else None
        if gates is None:
            return self.fusion(last, up_together(adapters, hidden, mask), mask)
        shown = gates.mean(2)[None, ..., None].expand(len(mask), -1, -1, mask.shape[1])
        added = up_and_add(adapters, hidden, gates).transpose(1, 2)
        return self.fusion.join(last, added, mask), shown

    def forward(self, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"],
                mask: Bool[Tensor, "B T"]) -> Output:
        features, gates = self.features(taps, last, mask)
        return Output(*self.head(features, mask), gates)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by role: "gate", "no_decay" (biases, norms, scales), "decay"."""
        gates = {self.fusion.gate} if hasattr(self.fusion, "gate") else set()
        rest = [p for p in self.parameters() if p not in gates]
        plain = {p for m in self.modules() for n, p in m.named_parameters(recurse=False)
                 if p.dim() < 2 or isinstance(m, nn.LayerNorm | nn.GroupNorm) or n == "scale"}
        return {"gate": list(gates),
                "no_decay": [p for p in rest if p in plain], "decay": [p for p in rest if p not in plain]}


def of_shape(last: Float[Tensor, "B C T"], adapter: nn.Module, found: Tensor) -> Float[Tensor, "B C T"]:
    """What an adapter found. Raises ValueError where it has not the last layer's shape."""
    if found.shape != last.shape:
        raise ValueError(f"the adapter {type(adapter).__name__} gives {tuple(found.shape)}, (B, C, T) = "
                         f"{tuple(last.shape)} is expected; see what losa.model.contract.check_adapter says of it")
    return found


def build(config: Config, *, dim: int, num_taps: int, num_classes: int, clip_snippets: int) -> LoSA:
    """The model a config describes, for a backbone of width `dim`. Weights come from torch's global seed."""
    names, adapter = spans(config.ranges), find_adapter(config.adapter)
    if config.mode == "side_tokens":
        adapter = on_tokens(adapter)
    adapters = [[adapter(
        dim, span=span, adapter_dim=config.adapter_dim, num_heads=config.adapter_heads, grid=config.grid,
        window=config.short_window, scope=config.short_scope, clip_snippets=clip_snippets,
        long_stride=config.long_stride, long_keys=config.long_keys, query=config.query)
        for span in names] for _ in range(num_taps)]
    gate = config.gate if num_taps else "none"
    fusion = FUSIONS[gate](dim, num_taps, len(names), gate, config.gate_init)
    head = Head(dim, num_classes, dim=config.head_dim, num_levels=config.head_levels, num_heads=config.head_heads,
                num_stem=config.head_stem, window=[w or None for w in config.head_windows], drop_path=config.drop_path)
    return LoSA(dim, adapters, fusion, head)
