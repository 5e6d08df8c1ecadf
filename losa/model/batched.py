"""All adapters of a model in a few batched kernels, equal to running them one by one.

What it folds, and why it may:
* the scale and shift of a LayerNorm into the linear layer after it, W (s * x + b) = (W s) x + W b, so that a tap is
  normalised once for both ranges;
* the bias of the values into `to_out`, since attention weights sum to one;
* the padding mask of short-range attention, which all taps share;
* with static gates, the gates into the up-projections, whose outputs are then summed as they are computed.
tests/model/test_batched.py compares outputs and all gradients with the plain way.

Measured at the demo's size (6 taps, both ranges, dim 96, adapter_dim 32, batch 4, T = 384; torch 2.15, 2 shared x86
cores with other work on them): forward and backward of the adapters as ratios to one by one in the same run (median of
20 on 1 thread, best of 23 on 2), and MiB that adapters and fusion keep for the backward pass. tests/model/speed.py
measures again.

                            1 thread    2 threads    kept
    one by one                  1.00         1.00    60.7
    together, this file         0.86         0.90    46.1
    torch.func.vmap             1.29         1.17    66.6

vmap has no rule for fused attention on CPUs and falls back to a loop over the taps. With unfused attention (73.6 MiB)
it was slower than one by one too, so it was not kept.
"""

from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from losa.model.adapters import TemporalAdapter
from losa.model.layers import zero_masked

Rows = Sequence[Sequence[TemporalAdapter]]  # K taps of R adapters each
Adapters = Sequence[TemporalAdapter]  # all G = R x K, range after range


def can_run_together(rows: Sequence[Sequence[nn.Module]]) -> TypeGuard[Rows]:
    """Whether all adapters are TemporalAdapters that differ in nothing but weights and, within a tap, span."""
    ours = [[adapter for adapter in row if type(adapter) is TemporalAdapter] for row in rows]
    flat = [adapter for row in ours for adapter in row]
    if not flat or len(flat) < sum(map(len, rows)):
        return False
    spans = [adapter.span for adapter in ours[0]]
    return (all(shared_settings(adapter) == shared_settings(flat[0]) for adapter in flat)
            and all([adapter.span for adapter in row] == spans for row in ours))


def shared_settings(a: TemporalAdapter) -> tuple:
    """Return what must be equal for two adapters to run together."""
    return (a.num_heads, a.window, a.scope, a.clip_snippets, a.long_stride, a.long_keys, a.space is None,
            a.ask is None, a.down.weight.shape)


def run_together(rows: Rows, taps: Float[Tensor, "B K C T g h"], last: Float[Tensor, "B C T"],
                 mask: Bool[Tensor, "B T"]) -> Float[Tensor, "G B T d"]:
    """Return what all G = R x K adapters hold before their up-projections: `TemporalAdapter.forward` step by step.

    Needs `can_run_together(rows)`. Overwrites what `taps` hold beyond the mask, unless they ask for a gradient.
    """
    adapters, valid = order_by_range(rows), mask[:, :, None, None].to(last.dtype)
    x = reduce_taps(adapters, taps, mask)  # (B, T, G, d), the layout of convolutions in channels-last memory
    y = source = norm_each(adapters, "attention_norm", x) * valid
    if adapters[0].ask is not None:
        normed = F.layer_norm(zero_masked(last.transpose(1, 2), mask), last.shape[1:2])
        source = project_down(adapters, "ask.0", "ask.1", normed.flatten(0, 1)[None]).view_as(x) * valid
    q, k, v = (convolve(adapters, i, z).flatten(0, 1).transpose(0, 1) for i, z in enumerate((source, y, y)))
    attended = attend_together(rows, project(adapters, plain, q, "to_q.weight", "to_q.bias"),
                               project(adapters, plain, k, "to_k.weight"),
                               project(adapters, plain, v, "to_v.weight"), mask)
    attended = project(adapters, fold_value_bias, attended, "to_out.weight", "to_out.bias", "to_v.bias")
    x = x.flatten(0, 1).transpose(0, 1) + attended  # (G, B * T, d)
    hidden = F.gelu(project(adapters, fold_norm, F.layer_norm(x, x.shape[2:]), *norm_and_layer("mlp.0", "mlp.1")))
    return (x + project(adapters, plain, hidden, "mlp.3.weight", "mlp.3.bias")).unflatten(1, mask.shape)


def attend_together(rows: Rows, q: Float[Tensor, "G N d"], k: Float[Tensor, "G N d"], v: Float[Tensor, "G N d"],
                    mask: Bool[Tensor, "B T"]) -> Float[Tensor, "G N d"]:
    """Attend within each range for all taps at once; N = B x T."""
    by_range = [x.view(-1, *mask.shape[1:], x.shape[2]).split(len(rows) * len(mask)) for x in (q, k, v)]
    attended = []
    for adapter, queries, keys, values in zip(rows[0], *by_range, strict=True):  # (K * B, T, d)
        valid = mask  # attention within a short range repeats it for the taps by itself
        if adapter.span == "long":
            keys, values, valid = adapter.pool_keys(keys, values, mask.repeat(len(rows), 1))
        attended.append(adapter.attend_heads(queries, keys, values, valid))
    return torch.cat(attended).view_as(q)


def project_up(rows: Rows, x: Float[Tensor, "G B T d"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K R C T"]:
    """Return the output of each adapter: the up-projections of what `run_together` gives."""
    y = project(order_by_range(rows), plain, x.flatten(1, 2), "up.weight", "up.bias")
    y = y.unflatten(1, mask.shape).masked_fill(~mask[..., None], 0).unflatten(0, (-1, len(rows)))  # (R, K, B, T, C)
    return y.permute(2, 1, 0, 4, 3)


def project_up_and_add(rows: Rows, x: Float[Tensor, "G B T d"],
                       gates: Float[Tensor, "K R _"]) -> Float[Tensor, "B T C"]:
    """Return the sum over all adapters of gate x output; one gate per adapter, or one per channel of each."""
    adapters, gates = order_by_range(rows), gates.transpose(0, 1).flatten(0, 1)  # (G, 1 or C)

    def add(x: Tensor) -> Tensor:
        bias = (stack_parameter(adapters, "up.bias") * gates).sum(0)
        return torch.addbmm(bias, x, stack_parameter(adapters, "up.weight").mT * gates[:, None])

    return recompute_if_large(adapters, ("up.weight", "up.bias"), add, x.flatten(1, 2)).unflatten(0, x.shape[1:3])


def reduce_taps(adapters: Adapters, taps: Float[Tensor, "B K C T g h"],
                mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T G d"]:
    """`TemporalAdapter.reduce` of all adapters. Overwrites what `taps` hold beyond the mask, see `run_together`."""
    size, num_taps, dim, steps, *grid = taps.shape
    hidden = ~mask[:, :, None, None, None, None]
    x = taps.permute(0, 3, 4, 5, 1, 2)
    x = x.masked_fill(hidden, 0) if x.requires_grad else x.masked_fill_(hidden, 0)
    x = F.layer_norm(x, (dim,)).flatten(0, 3).transpose(0, 1)  # (K, B * T * g * h, C)
    x = project_down(adapters, "norm", "down", x)
    if grid == [1, 1] and adapters[0].space is None:
        return x.unflatten(0, (size, steps))
    x = x.unflatten(0, (size, steps, *grid))
    if spaces := [adapter.space for adapter in adapters if adapter.space is not None]:
        x = torch.stack([space(z) for space, z in zip(spaces, x.unbind(4), strict=True)], 4)
    return x.flatten(2, 3).mean(2)


def project_down(adapters: Adapters, norm: str, layer: str, x: Float[Tensor, "K N C"]) -> Float[Tensor, "N G d"]:
    """LayerNorm and linear layer of rows that are normalised already; K = 1: the same rows for all adapters."""
    taps = len(x)

    def ranges_side_by_side(*parameters: Tensor) -> tuple[Tensor, Tensor]:  # (K, C, R * d), (K, 1, R * d)
        return tuple(y.unflatten(0, (-1, taps)).permute(1, 2, 0, 3).flatten(2) for y in fold_norm(*parameters))

    y = project(adapters, ranges_side_by_side, x, *norm_and_layer(norm, layer))
    y = y.unflatten(2, (len(adapters) // taps, -1)).permute(1, 2, 0, 3)  # (N, R, K, d)
    return y.flatten(1, 2)


def convolve(adapters: Adapters, which: int, x: Float[Tensor, "B T G d"]) -> Float[Tensor, "B T G d"]:
    """Convolution `which` (of q, k, v) of all adapters, as one over G x d channels."""
    weight = stack_parameter(adapters, f"convs.{which}.weight").transpose(1, 2).flatten(0, 1)  # (G * d, 3)
    image = x.flatten(2).transpose(1, 2).unsqueeze(2)
    y = F.conv2d(image, weight[:, None, None], padding=(0, 1), groups=len(weight))
    return y.squeeze(2).transpose(1, 2).view_as(x)


def norm_each(adapters: Adapters, name: str, x: Float[Tensor, "*N G d"]) -> Float[Tensor, "*N G d"]:
    """Apply each adapter's LayerNorm of this name."""
    return torch.addcmul(stack_parameter(adapters, f"{name}.bias"), F.layer_norm(x, x.shape[-1:]),
                         stack_parameter(adapters, f"{name}.weight"))


def project(adapters: Adapters, fold: Callable, x: Float[Tensor, "_ N i"], *names: str) -> Float[Tensor, "_ N o"]:
    """Return x @ weight + bias, where `fold` makes weight and bias of the named parameters, stacked over adapters."""
    def multiply(x: Tensor) -> Tensor:
        weight, bias = fold(*(stack_parameter(adapters, name) for name in names))
        return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)

    return recompute_if_large(adapters, names, multiply, x)


def plain(weight: Float[Tensor, "G o i"], bias: Float[Tensor, "G o"] | None = None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias for `project` of linear layers as they are."""
    return weight.mT, None if bias is None else bias[:, None]


def fold_norm(scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias for `project` of a LayerNorm and the linear layer after it, of rows normalised already."""
    return (weight * scale[:, None]).mT, torch.baddbmm(bias[:, None], shift[:, None], weight.mT)


def fold_value_bias(weight: Tensor, bias: Tensor, value_bias: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias for `project` of `to_out`, of values that were attended without their bias."""
    return weight.mT, torch.baddbmm(bias[:, None], value_bias[:, None], weight.mT)


def norm_and_layer(norm: str, layer: str) -> tuple[str, str, str, str]:
    """Return the names of a LayerNorm's and a linear layer's parameters in the order of `fold_norm`."""
    return f"{norm}.weight", f"{norm}.bias", f"{layer}.weight", f"{layer}.bias"


def recompute_if_large(adapters: Adapters, names: Sequence[str], function: Callable, x: Tensor) -> Tensor:
    """Return function(x), which stacks and folds the named parameters of all adapters.

    Where these outnumber x, as in a large model on a short window, they are stacked again in the backward pass: their
    copies would be most of what is kept for it.
    """
    numbers = len(adapters) * sum(adapters[0].get_parameter(name).numel() for name in names)
    if numbers < x.numel():
        return function(x)
    return checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)


def stack_parameter(adapters: Adapters, name: str) -> Float[Tensor, "G ..."]:
    """Return one parameter of all adapters as one tensor."""
    return torch.stack([adapter.get_parameter(name) for adapter in adapters])


def order_by_range(rows: Rows) -> list[TemporalAdapter]:
    """Return the adapters range after range (G = R x K), the order of every G axis here."""
    return [adapter for column in zip(*rows, strict=True) for adapter in column]
