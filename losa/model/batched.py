"""All adapters of a model in a few batched kernels: equal to running them one by one, in fewer launches."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from losa.model.adapters import TemporalAdapter
from losa.model.layers import zero_masked


def alike(rows: Sequence[Sequence[nn.Module]]) -> bool:
    """Whether these K rows of R adapters can be run by `run_together`: ours, the same but for weights and span."""
    flat = [adapter for row in rows for adapter in row]
    if not flat or any(type(adapter) is not TemporalAdapter for adapter in flat):
        return False
    return all(settings(a) == settings(flat[0]) and [a.span for a in row] == [a.span for a in rows[0]]
               for row in rows for a in row)


def settings(a: TemporalAdapter) -> tuple:
    return (a.num_heads, a.window, a.scope, a.clip_snippets, a.long_stride, a.long_keys, a.space is None,
            a.ask is None, a.down.weight.shape)


def run_together(rows: Sequence[Sequence[TemporalAdapter]], taps: Float[Tensor, "B K C T g h"],
                 last: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "G B T d"]:
    """All adapters of a model, G = R x K, up to their up-projections: `forward` in few batched kernels.

    Needs `alike(rows)`, overwrites what `taps` hold beyond the mask. What is linear in a row is folded: a LayerNorm's
    scale and shift into the layer after it, the values' bias into `to_out` (attention weights sum to one). So the
    normalised tap is computed once for both ranges.
    """
    every, shape, valid = by_range(rows), mask.shape, mask[:, :, None, None].to(last.dtype)
    x = reduce_together(every, taps, mask)  # (B, T, G, d), the layout of convolutions in channels-last memory
    y = asked = normed(every, "attention_norm", x) * valid
    if every[0].ask is not None:
        plain = F.layer_norm(zero_masked(last.transpose(1, 2), mask), last.shape[1:2])
        asked = down_together(every, "ask.0", "ask.1", plain.flatten(0, 1)[None]).view_as(x) * valid
    q, k, v = (conv_together(every, i, z).flatten(0, 1).transpose(0, 1) for i, z in enumerate((asked, y, y)))
    q, k, v = (product(every, linear, q, "to_q.weight", "to_q.bias"), product(every, linear, k, "to_k.weight"),
               product(every, linear, v, "to_v.weight"))
    parts = [z.view(-1, *shape[1:], z.shape[2]).split(len(rows) * shape[0]) for z in (q, k, v)]  # (K * B, T, d)
    attended = []
    for adapter, mine, keys, values in zip(rows[0], *parts, strict=True):
        seen = mask  # which short-range attention shares among the taps
        if adapter.span == "long":
            keys, values, seen = adapter.pool_keys(keys, values, mask.repeat(len(rows), 1))
        attended.append(adapter.attend_heads(mine, keys, values, seen))
    found = product(every, after_values, torch.cat(attended).view_as(q), "to_out.weight", "to_out.bias", "to_v.bias")
    x = x.flatten(0, 1).transpose(0, 1) + found  # (G, B * T, d)
    hidden = F.gelu(product(every, after_norm, F.layer_norm(x, x.shape[2:]), *names("mlp.0", "mlp.1")))
    return (x + product(every, linear, hidden, "mlp.3.weight", "mlp.3.bias")).unflatten(1, shape)


def up_together(rows: Sequence[Sequence[TemporalAdapter]], x: Float[Tensor, "G B T d"],
                mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K R C T"]:
    """What each adapter gives: the up-projections of what `run_together` found."""
    y = product(by_range(rows), linear, x.flatten(1, 2), "up.weight", "up.bias")
    y = y.unflatten(1, mask.shape).masked_fill(~mask[..., None], 0).unflatten(0, (-1, len(rows)))  # (R, K, B, T, C)
    return y.permute(2, 1, 0, 4, 3)


def up_and_add(rows: Sequence[Sequence[TemporalAdapter]], x: Float[Tensor, "G B T d"],
               gates: Float[Tensor, "K R _"]) -> Float[Tensor, "B T C"]:
    """The sum over all adapters of gate x what it gives; gates per adapter, or also per channel."""
    every, gates = by_range(rows), gates.transpose(0, 1).flatten(0, 1)  # (G, 1 or C)

    def add(x: Tensor) -> Tensor:
        weight, bias = stacked(every, "up.weight").mT * gates[:, None], (stacked(every, "up.bias") * gates).sum(0)
        return torch.addbmm(bias, x, weight)

    return sparing(every, ("up.weight", "up.bias"), add, x.flatten(1, 2)).unflatten(0, x.shape[1:3])


def by_range(rows: Sequence[Sequence[nn.Module]]) -> list[nn.Module]:
    """The adapters range after range (R x K): the order of `run_together`."""
    return [adapter for column in zip(*rows, strict=True) for adapter in column]


def stacked(adapters: Sequence[nn.Module], name: str) -> Float[Tensor, "G ..."]:
    """One parameter of all adapters."""
    return torch.stack([adapter.get_parameter(name) for adapter in adapters])


def normed(adapters: Sequence[nn.Module], name: str, x: Float[Tensor, "*N G d"]) -> Float[Tensor, "*N G d"]:
    """Each adapter's LayerNorm."""
    return torch.addcmul(stacked(adapters, f"{name}.bias"), F.layer_norm(x, x.shape[-1:]),
                         stacked(adapters, f"{name}.weight"))


def names(norm: str, layer: str) -> tuple[str, str, str, str]:
    """The parameters of a LayerNorm and of the linear layer after it, as `after_norm` takes them."""
    return f"{norm}.weight", f"{norm}.bias", f"{layer}.weight", f"{layer}.bias"


def linear(weight: Float[Tensor, "G o i"], bias: Float[Tensor, "G o"] | None = None) -> tuple[Tensor, Tensor | None]:
    """What `product` multiplies with and adds, for linear layers."""
    return weight.mT, None if bias is None else bias[:, None]


def after_norm(scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The same for each adapter's LayerNorm and the linear layer after it, for rows normalised already."""
    return (weight * scale[:, None]).mT, torch.baddbmm(bias[:, None], shift[:, None], weight.mT)


def after_values(weight: Tensor, bias: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The same for linear layers that are given rows without the `shift` that belongs to them."""
    return weight.mT, torch.baddbmm(bias[:, None], shift[:, None], weight.mT)


def product(adapters: Sequence[nn.Module], make: Callable, x: Float[Tensor, "_ N i"],
            *names: str) -> Float[Tensor, "_ N o"]:
    """x @ weight + bias, with what `make` makes of these parameters, each stacked over all adapters."""
    def multiply(x: Tensor) -> Tensor:
        weight, bias = make(*(stacked(adapters, name) for name in names))
        return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)

    return sparing(adapters, names, multiply, x)


def sparing(adapters: Sequence[nn.Module], names: Sequence[str], function: Callable, x: Tensor) -> Tensor:
    """function(x), which uses these parameters of all adapters, stacked and folded.

    Where they outnumber x, as in a large model on a short window, they are stacked and folded again in the backward
    pass: kept for it, these copies would be most of what is kept.
    """
    few = len(adapters) * sum(adapters[0].get_parameter(name).numel() for name in names) < x.numel()
    return function(x) if few else checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)


def down_together(adapters: Sequence[nn.Module], norm: str, layer: str,
                  x: Float[Tensor, "K N C"]) -> Float[Tensor, "N G d"]:
    """LayerNorm and linear layer of rows that are normalised already; K = 1: the same rows for all."""
    taps = len(x)

    def side_by_side(*parameters: Tensor) -> tuple[Tensor, Tensor]:  # (K, C, R * d), (K, 1, R * d)
        return tuple(y.unflatten(0, (-1, taps)).permute(1, 2, 0, 3).flatten(2) for y in after_norm(*parameters))

    y = product(adapters, side_by_side, x, *names(norm, layer))
    y = y.unflatten(2, (len(adapters) // taps, -1)).permute(1, 2, 0, 3)  # (N, R, K, d)
    return y.flatten(1, 2)


def reduce_together(adapters: Sequence[TemporalAdapter], taps: Tensor, mask: Tensor) -> Float[Tensor, "B T G d"]:
    """`TemporalAdapter.reduce` of all. Overwrites what `taps` hold beyond the mask."""
    size, num_taps, dim, steps, *grid = taps.shape
    hidden = ~mask[:, :, None, None, None, None]
    x = taps.permute(0, 3, 4, 5, 1, 2)
    x = x.masked_fill(hidden, 0) if x.requires_grad else x.masked_fill_(hidden, 0)
    x = F.layer_norm(x, (dim,)).flatten(0, 3).transpose(0, 1)  # (K, B * T * g * h, C)
    x = down_together(adapters, "norm", "down", x)
    if grid == [1, 1] and adapters[0].space is None:
        return x.unflatten(0, (size, steps))
    x = x.unflatten(0, (size, steps, *grid))
    if adapters[0].space is not None:
        x = torch.stack([adapter.space(z) for adapter, z in zip(adapters, x.unbind(4), strict=True)], 4)
    return x.flatten(2, 3).mean(2)


def conv_together(adapters: Sequence[TemporalAdapter], which: int,
                  x: Float[Tensor, "B T G d"]) -> Float[Tensor, "B T G d"]:
    """Convolution `which` (of q, k, v) of all adapters, as one over G x d channels."""
    weight = stacked(adapters, f"convs.{which}.weight").transpose(1, 2).flatten(0, 1)  # (G * d, 3)
    image = x.flatten(2).transpose(1, 2).unsqueeze(2)
    y = F.conv2d(image, weight[:, None, None], padding=(0, 1), groups=len(weight))
    return y.squeeze(2).transpose(1, 2).view_as(x)
