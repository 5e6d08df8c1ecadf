"""Temporal adapters: one class, two ranges, run beside the frozen backbone.

Contract: `forward(tap (B,C,T,g,g), last (B,C,T), mask (B,T)) -> (B,C,T)`; values beyond the mask change
nothing. Source: LoSA (arXiv 2404.01282), sections on the short-range and long-range adapter; sliding
windows, strided long-range keys and every size here are our choices.
"""

from pathlib import Path
from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

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
    """Down-projection, a small convolution over the tap's spatial grid, temporal attention, up-projection.

    span: "short" sees `window` snippets each way ("sliding") or its own clip of `clip_snippets` ("clip");
    with the width-3 convolutions on q, k and v its reach is window + 1. "long" sees the whole window through
    keys averaged over `long_stride` snippets, at most `long_keys` of them.
    query: "self" asks from the tap, "last" from the down-projected last layer.
    """

    def __init__(self, dim: int, *, span: Literal["short", "long"], adapter_dim: int = 32, num_heads: int = 2,
                 grid: int = 1, window: int = 4, scope: Literal["sliding", "clip"] = "sliding",
                 clip_snippets: int = 8, long_stride: int = 4, long_keys: int = 256,
                 query: Literal["self", "last"] = "self"):
        super().__init__()
        self.span, self.num_heads, self.window, self.scope = span, num_heads, window, scope
        self.clip_snippets, self.long_stride, self.long_keys = clip_snippets, long_stride, long_keys
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
        asked = y if self.ask is None else self.ask(zero_masked(last.transpose(1, 2), mask))
        q, k, v = (conv(z, mask) for conv, z in zip(self.convs, (asked, y, y), strict=True))
        x = x + self.to_out(self.attend(q, k, v, mask))
        x = x + self.mlp(x)
        return zero_masked(self.up(x), mask).transpose(1, 2)

    def reduce(self, tap: Tensor, mask: Tensor) -> Tensor:
        """Tap (B, C, T, g, g) -> (B, T, d): down-projection, then space is convolved and averaged away."""
        x = tap.permute(0, 2, 3, 4, 1).masked_fill(~mask[:, :, None, None, None], 0)
        x = self.down(self.norm(x))
        return (x if self.space is None else self.space(x)).mean((2, 3))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        k, v, valid = self.pooled(k, v, mask)
        return self.attend_heads(self.to_q(q), self.to_k(k), self.to_v(v), valid)

    def pooled(self, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, values and which are valid: as they are, or averages over stretches for the long range."""
        if self.span == "short":
            return k, v, mask
        stride = max(self.long_stride, -(-mask.shape[1] // self.long_keys))
        (k, valid), (v, _) = mean_pool(k, mask, stride), mean_pool(v, mask, stride)
        return k, v, valid

    def attend_heads(self, q: Tensor, k: Tensor, v: Tensor, valid: Tensor) -> Tensor:
        """Attention of projected queries (B, T, d) to projected keys and values (B, S, d)."""
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


ADAPTERS = {"temporal": TemporalAdapter}  # named here and in `Config.check`; contract tests run over this dict


def find_adapter(name: str) -> type[nn.Module]:
    """The class that a config's `adapter` names: one of ADAPTERS, or FILE.py:NAME, whose file is run anew each time.

    Raises FileNotFoundError where there is no such file, ValueError where it cannot be run or has no such module.
    """
    file, _, own = name.rpartition(":")
    if not file:
        return ADAPTERS[name]
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"adapter={name!r}: there is no {path.absolute()}; give FILE.py:NAME, the file as seen "
                                "from the current folder")
    scope = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), scope)
    except Exception as error:
        raise ValueError(f"adapter={name!r}: {path} does not run: {type(error).__name__}: {error}") from error
    modules = {key: value for key, value in scope.items() if isinstance(value, type) and issubclass(value, nn.Module)}
    if own not in modules:
        written = [key for key, value in modules.items() if value.__module__ == path.stem]
        raise ValueError(f"adapter={name!r}: {path} has no nn.Module called {own}; "
                         f"it has {', '.join(written) or 'none at all'}")
    return modules[own]


def spans(ranges: Literal["short", "long", "both"]) -> tuple[str, ...]:
    """The adapter spans a config's `ranges` asks for, in the order of the gates' R axis."""
    return ("short", "long") if ranges == "both" else (ranges,)


# --- all adapters of a model at once -----------------------------------------------------------------------
