"""LoSA (arXiv 2404.01282): adapters of two ranges -> gated fusion -> head. `build` makes one from a config.

What is trained is exactly this module. It never holds the backbone: it is given taps, the pooled outputs of the
backbone's blocks, from a cache or from a backbone that runs without gradient. Read on in the order of the data:
adapters.py, fusion.py, head.py, points.py.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from losa.config import Config
from losa.model.adapt_and_fuse import adapt_and_fuse
from losa.model.adapters import find_adapter, spans
from losa.model.fusion import FUSIONS
from losa.model.head import Head
from losa.model.side_tokens import on_tokens


class Output(NamedTuple):
    """Output of one forward pass: P points over all levels of the pyramid, A classes, K taps, R ranges."""

    logits: Float[Tensor, "B P A"]
    offsets: Float[Tensor, "B P 2"]  # >= 0, to the segment's start and end, in units of the point's stride
    point_mask: Bool[Tensor, "B P"]
    gates: Float[Tensor, "B K R T"] | None  # None for a fusion without gates


class LoSA(nn.Module):
    """The trainable model: K lists of R adapters each (no list for the head alone), a fusion and a head.

    Taps and last layer are standardised per channel with the training set's statistics, see `set_statistics`.
    """

    tap_mean: Float[Tensor, "K C"]
    tap_std: Float[Tensor, "K C"]
    last_mean: Float[Tensor, " C"]
    last_std: Float[Tensor, " C"]

    def __init__(self, dim: int, adapters: list[list[nn.Module]], fusion: nn.Module, head: nn.Module):
        super().__init__()
        self.adapters = nn.ModuleList(nn.ModuleList(row) for row in adapters)
        self.fusion, self.head = fusion, head
        for name, shape in {"tap": (len(adapters), dim), "last": (dim,)}.items():
            self.register_buffer(f"{name}_mean", torch.zeros(shape))
            self.register_buffer(f"{name}_std", torch.ones(shape))

    def set_statistics(self, tap_mean: Float[Tensor, "K C"], tap_std: Float[Tensor, "K C"],
                       last_mean: Float[Tensor, " C"], last_std: Float[Tensor, " C"]) -> None:
        """Store the training set's mean and standard deviation per channel."""
        for name, value in dict(tap_mean=tap_mean, tap_std=tap_std, last_mean=last_mean, last_std=last_std).items():
            getattr(self, name).copy_(value.clamp(min=1e-4) if name.endswith("std") else value)

    def standardise(self, taps: Float[Tensor, "*B K C T g h"], last: Float[Tensor, "*B C T"]):
        """Return taps and last layer with each channel shifted and scaled by the statistics of the training set."""
        scale = self.tap_std.reciprocal()
        taps = torch.addcmul((-self.tap_mean * scale)[..., None, None, None], taps, scale[..., None, None, None])
        return taps, (last - self.last_mean[:, None]) / self.last_std[:, None]

    def features(self, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]):
        """Return the fused features (B, C, T) that the head reads, and the gates (B, K, R, T)."""
        taps, last = self.standardise(taps, last)
        return adapt_and_fuse(self.adapters, self.fusion, taps, last, mask)  # type: ignore[arg-type]

    def forward(self, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"],
                mask: Bool[Tensor, "B T"]) -> Output:
        """Taps and last layer of the frozen backbone, as it gave them -> class logits and offsets at each point."""
        features, gates = self.features(taps, last, mask)
        logits, offsets, point_mask = self.head(features, mask)
        return Output(logits, offsets, point_mask, gates)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the trainable parameters by role: "gate", "no_decay" (biases, norms, scales) and "decay"."""
        gates = {p for n, p in self.fusion.named_parameters(recurse=False) if n == "gate"}
        rest = [p for p in self.parameters() if p not in gates]
        plain = {p for m in self.modules() for n, p in m.named_parameters(recurse=False)
                 if p.dim() < 2 or isinstance(m, nn.LayerNorm | nn.GroupNorm) or n == "scale"}
        return {"gate": list(gates),
                "no_decay": [p for p in rest if p in plain], "decay": [p for p in rest if p not in plain]}


def build(config: Config, *, dim: int, num_taps: int, num_classes: int, clip_snippets: int) -> LoSA:
    """Return the model that a config describes, with initial weights from torch's global seed.

    dim: width of the backbone. num_taps: tapped blocks, 0 for the head alone. clip_snippets: snippets in one clip,
    which short-range attention with short_scope="clip" stays within. Raises FileNotFoundError or ConfigError for an
    adapter file that cannot be used.
    """
    names, adapter = spans(config.ranges), find_adapter(config.adapter)
    if config.mode == "side_tokens":
        adapter = on_tokens(adapter)  # type: ignore[arg-type]
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
