"""The temporal adapter of LoSA (arXiv 2404.01282): one class, two ranges, run beside the frozen backbone.

A tap is the pooled output of one block of the backbone. B training windows, C backbone width, T snippets, g x g
positions of a tap in space, d adapter width. Contract of every adapter:

    forward(tap (B, C, T, g, g), last (B, C, T), mask (B, T)) -> (B, C, T)

where mask is True for real snippets, and what lies beyond it changes nothing. From the paper: a short-range and a
long-range adapter at each tapped layer, space reduced by a convolution, then attention over time. Ours: the sliding
window, averaged long-range keys, the convolutions on q, k and v, and all widths and numbers. A new adapter is a class
here and an entry of ADAPTERS, or the user's own FILE.py:NAME; `losa.model.contract.check_adapter` tries it out.

Read `TemporalAdapter.forward` to understand the model. When a model runs, `batched.py` computes the same for all of its
adapters at once, calling `pool_keys` and `attend_heads` of this class; tests show that both are equal.
"""

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from losa.adapter_file import load_adapter_class
from losa.errors import ConfigError
from losa.model.layers import (
    DepthwiseConv3,
    attend,
    attend_in_blocks,
    attend_locally,
    mean_pool,
    split_heads,
    zero_masked,
)


class TemporalAdapter(nn.Module):
    """Down-projection, a small convolution over the tap's spatial grid, attention over time, up-projection.

    span: "short" attends to `window` snippets on either side (scope "sliding") or to its own clip of `clip_snippets`
    (scope "clip"); the width-3 convolutions on q, k and v reach one snippet further. "long" attends to everything in
    the training window, through keys and values averaged over `long_stride` snippets, or over more where there would
    be more than `long_keys` of them.
    query: "self" takes the queries from the tap, "last" from the down-projected last layer (cross-attention).
    """

    def __init__(self, dim: int, *, span: Literal["short", "long"], adapter_dim: int = 32, num_heads: int = 2,
                 grid: int = 1, window: int = 4, scope: Literal["sliding", "clip"] = "sliding",
                 clip_snippets: int = 8, long_stride: int = 4, long_keys: int = 256,
                 query: Literal["self", "last"] = "self"):
        super().__init__()
        self.span, self.num_heads, self.window, self.scope = span, num_heads, window, scope
        self.clip_snippets, self.long_stride, self.long_keys = clip_snippets, long_stride, long_keys
        # Do not rename the layers: saved checkpoints hold their parameters by these names.
        self.norm, self.down = nn.LayerNorm(dim), nn.Linear(dim, adapter_dim)
        self.space = SpaceConv(adapter_dim) if grid > 1 else None
        self.ask = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, adapter_dim)) if query == "last" else None
        self.attention_norm = nn.LayerNorm(adapter_dim)
        self.convs = nn.ModuleList(DepthwiseConv3(adapter_dim) for _ in range(3))
        self.to_q, self.to_v = nn.Linear(adapter_dim, adapter_dim), nn.Linear(adapter_dim, adapter_dim)
        self.to_k = nn.Linear(adapter_dim, adapter_dim, bias=False)  # softmax cancels a bias of the keys
        self.to_out = nn.Linear(adapter_dim, adapter_dim)
        self.mlp = nn.Sequential(nn.LayerNorm(adapter_dim), nn.Linear(adapter_dim, 2 * adapter_dim), nn.GELU(),
                                 nn.Linear(2 * adapter_dim, adapter_dim))
        self.up = nn.Linear(adapter_dim, dim)
        nn.init.normal_(self.up.weight, std=0.02)  # small, not zero: gradient reaches everything at step 1
        nn.init.zeros_(self.up.bias)

    def forward(self, tap: Float[Tensor, "B C T g h"], last: Float[Tensor, "B C T"],
                mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B C T"]:
        x = self.reduce(tap, mask)
        y = self.attention_norm(x)
        asking = y if self.ask is None else self.ask(zero_masked(last.transpose(1, 2), mask))
        q, k, v = (conv(z, mask) for conv, z in zip(self.convs, (asking, y, y), strict=True))
        x = x + self.to_out(self.attend(q, k, v, mask))
        x = x + self.mlp(x)
        return zero_masked(self.up(x), mask).transpose(1, 2)

    def reduce(self, tap: Tensor, mask: Tensor) -> Tensor:
        """Project the tap (B, C, T, g, g) down and reduce its space to one vector per snippet: (B, T, d)."""
        x = tap.permute(0, 2, 3, 4, 1).masked_fill(~mask[:, :, None, None, None], 0)
        x = self.down(self.norm(x))
        return (x if self.space is None else self.space(x)).mean((2, 3))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Project queries, keys and values (B, T, d) and attend within the range of this adapter."""
        k, v, valid = self.pool_keys(k, v, mask)
        return self.attend_heads(self.to_q(q), self.to_k(k), self.to_v(v), valid)

    def pool_keys(self, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return keys, values and which of them are valid; for the long range averages over `long_stride` snippets."""
        if self.span == "short":
            return k, v, mask
        stride = max(self.long_stride, -(-mask.shape[1] // self.long_keys))
        (k, valid), (v, _) = mean_pool(k, mask, stride), mean_pool(v, mask, stride)
        return k, v, valid

    def attend_heads(self, q: Tensor, k: Tensor, v: Tensor, valid: Tensor) -> Tensor:
        """Attend from projected queries (B, T, d) to projected keys and values (B, S, d): (B, T, d)."""
        q, k, v = (split_heads(x, self.num_heads) for x in (q, k, v))
        if self.span == "long":
            return attend(q, k, v, valid)
        if self.scope == "clip":
            return attend_in_blocks(q, k, v, valid, self.clip_snippets)
        return attend_locally(q, k, v, valid, self.window)


class SpaceConv(nn.Module):
    """Residual depthwise 3 x 3 + pointwise convolution over the tap's grid, one snippet at a time."""

    def __init__(self, dim: int):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.pointwise = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Float[Tensor, "B T g h C"]) -> Float[Tensor, "B T g h C"]:
        y = x.flatten(0, 1).permute(0, 3, 1, 2)
        y = self.pointwise(nn.functional.gelu(self.depthwise(y)))
        return x + y.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])


ADAPTERS = {"temporal": TemporalAdapter}  # named here and in `Config.check`; contract tests run over it


def find_adapter(name: str) -> type[nn.Module]:
    """Return the class that a config's `adapter` names: one of ADAPTERS, or a class of the user's FILE.py:NAME.

    Raises FileNotFoundError where there is no such file, ConfigError where it does not run or has no such module, and
    for an unknown name.
    """
    if ":" in name:
        return load_adapter_class(name, nn.Module)
    if name not in ADAPTERS:
        raise ConfigError(f"adapter={name!r} must be {' or '.join(map(repr, ADAPTERS))}, or FILE.py:NAME")
    return ADAPTERS[name]


def spans(ranges: Literal["short", "long", "both"]) -> tuple[str, ...]:
    """Return the spans that a config's `ranges` asks for, in the order of the gates' R axis."""
    return ("short", "long") if ranges == "both" else (ranges,)
