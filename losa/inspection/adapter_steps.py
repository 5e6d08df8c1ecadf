"""Inside one adapter, step by step: whom a snippet attends to, the shapes on the way, and what the fusion adds up.

The steps are those of `TemporalAdapter.forward`, with the attention weights written out. In the mode side_tokens an
adapter runs on every token; weights and sizes are means over the tokens then.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from losa.annotations.dataset import Video
from losa.errors import RunError
from losa.inference.predict import read_windows
from losa.inspection.model_internals import tapped_layers
from losa.inspection.run_data import RunData
from losa.machine import best_device
from losa.model.adapt_and_fuse import run_adapters
from losa.model.adapters import TemporalAdapter, spans
from losa.model.fusion import ConcatFusion
from losa.model.layers import split_heads, zero_masked
from losa.model.side_tokens import OnTokens
from losa.taps.batch import padded


class Moment(NamedTuple):
    """A snippet of a video in the window that is responsible for it: its place there, and the window's features."""

    at: int
    times: np.ndarray  # (T,) seconds, of the snippets of the window
    taps: Tensor  # (1, K, C, T, g, g), standardised
    last: Tensor  # (1, C, T), standardised
    mask: Tensor  # (1, T)


@torch.no_grad()
def find_moment(run: RunData, video: Video, time: int | float) -> Moment:
    """Return the snippet of a video that is nearest to a time in seconds, with all that the model sees around it."""
    source = run.source(video)
    snippet = min(max(round(float(source.time_grid(video).to_grid(float(time)))), 0), source.num_snippets(video) - 1)
    for window in read_windows(source, video, run.config):
        if window.first <= snippet < window.last:
            break
    taps, last, mask = padded([window.features], best_device())
    times = window.grid.to_seconds(window.start + np.arange(window.features[1].shape[1], dtype=float))
    return Moment(snippet - window.start, times, *run.model.standardise(taps, last), mask)


@torch.no_grad()
def trace_adapter(adapter: torch.nn.Module, moment: Moment, tap: int) -> dict:
    """Return what an adapter does: weights (T, S) of attention, keys (S, 2), output (C, T), and its steps.

    keys: the first and the last snippet that each of the S keys is made of. steps: {"step", "shape", "size"}; size is
    the norm at the moment, where keys are means of several snippets that of the moment's key. Raises RunError for an
    adapter of another kind than `TemporalAdapter`.
    """
    if not isinstance(adapter, TemporalAdapter):
        raise RunError(f"{type(adapter).__name__} is no TemporalAdapter; its attention cannot be written out")
    x, last, mask, at = moment.taps[:, tap], moment.last, moment.mask, moment.at
    steps = [_step("tap of the block", x, at)]
    if isinstance(adapter, OnTokens):
        x = x.permute(0, 3, 4, 1, 2).flatten(0, 2)[..., None, None]
        last, mask = (y.repeat_interleave(len(x), 0) for y in (last, mask))
        steps.append(_step("each token by itself", x, at))
    z = adapter.reduce(x, mask)
    y = adapter.attention_norm(z)
    asking = y if adapter.ask is None else adapter.ask(zero_masked(last.transpose(1, 2), mask))
    q, k, v = (conv(one, mask) for conv, one in zip(adapter.convs, (asking, y, y), strict=True))
    keys, values, valid = adapter.pool_keys(k, v, mask)
    stride = -(-mask.shape[1] // keys.shape[1]) if adapter.span == "long" else 1
    weights = attention_weights(adapter, q, keys, valid)
    added = adapter.to_out((weights @ split_heads(adapter.to_v(values), adapter.num_heads)).transpose(1, 2).flatten(2))
    attended = z + added
    mixed = attended + adapter.mlp(attended)
    up = zero_masked(adapter.up(mixed), mask).transpose(1, 2)
    sizes = {"norm and down, mean over the picture": z, "norm": y, "keys" + (f": means of {stride}" if stride > 1 else
             ""): keys, "attention": added, "+ what came down": attended, "+ multilayer perceptron": mixed}
    steps += [_step(name, value.transpose(1, 2), at // stride if value is keys else at)
              for name, value in sizes.items()]
    steps.append(_step("up, the adapter's output", output := up.mean(0, keepdim=True), at))
    real = int(moment.mask.sum())
    first = np.arange(valid.shape[1])[:, None] * stride + [0, stride - 1]
    seen = first[:, 0] < real
    return {"weights": weights.mean((0, 1))[:real, torch.from_numpy(seen).to(weights.device)].cpu().numpy(),
            "keys": np.minimum(first[seen], real - 1), "output": output[0, :, :real].cpu(), "steps": steps}


def attention_weights(adapter: TemporalAdapter, q: Float[Tensor, "B T d"], keys: Float[Tensor, "B S d"],
                      valid: Bool[Tensor, "B S"]) -> Float[Tensor, "B h T S"]:
    """Return how much each query attends to each key, head by head; the weights of a query add up to 1."""
    asks, offers = (split_heads(x, adapter.num_heads) for x in (adapter.to_q(q), adapter.to_k(keys)))
    allowed = valid[:, None, None].expand(-1, 1, q.shape[1], -1)
    if adapter.span == "short":
        at = torch.arange(q.shape[1], device=q.device)
        near = (at[:, None] - at).abs() <= adapter.window
        same = at[:, None] // adapter.clip_snippets == at // adapter.clip_snippets
        allowed = allowed & (same if adapter.scope == "clip" else near)
    logits = asks @ offers.transpose(2, 3) / asks.shape[3] ** 0.5
    return logits.masked_fill(~allowed, -1e4).softmax(3)


def _step(name: str, x: Tensor, at: int) -> dict:
    """Return a row of the way through an adapter; x (B, C, T, ...), of which place `at` in time is measured."""
    return {"step": name, "shape": " x ".join(map(str, x.shape[1:] if len(x) == 1 else x.shape)),
            "size": float(x.norm(dim=1)[:, at].mean())}


@torch.no_grad()
def add_up(run: RunData, video: Video, moment: Moment, num_channels: int = 4) -> pd.DataFrame:
    """Return a row for each part of the fused features at one moment: last layer, every adapter x gate, their sum.

    norm; cosine, with the sum; share, how much of the sum's length it is: shares add up to 1; and the channels in which
    the sum is largest, which add up too. The last row is LayerNorm(sum), what the head reads. Raises RunError for a
    fusion of another kind.
    """
    model, fusion, at = run.model, run.model.fusion, moment.at
    adapted = run_adapters(model.adapters, moment.taps, moment.last, moment.mask)
    fused, gates = fusion(moment.last, adapted, moment.mask)
    names = [f"block {layer}, {name}" for layer in tapped_layers(run, video) for name in spans(run.config.ranges)]
    parts = {"last layer": moment.last[0, :, at]}
    if isinstance(fusion, ConcatFusion):
        stacked = torch.cat([moment.last, adapted.flatten(1, 3)], dim=1)[0, :, at]
        pieces = torch.einsum("oic,ic->io", fusion.mix.weight.unflatten(1, (-1, len(parts["last layer"]))),
                              stacked.unflatten(0, (-1, len(parts["last layer"]))))
        parts = dict(zip(["last layer", *names], pieces, strict=True)) | {"bias": fusion.mix.bias}
    elif hasattr(fusion, "gates") and len(model.adapters):
        scaled = (fusion.gates(moment.last, adapted) * adapted)[0, ..., at].flatten(0, 1)
        parts |= {f"{name}, gate {gate:.2f}": part for name, gate, part in zip(
            names, gates[0, ..., at].flatten().tolist(), scaled, strict=True)}
    elif len(model.adapters):
        raise RunError(f"{type(fusion).__name__} is no fusion of this package; what it adds up is not known")
    total = torch.stack([*parts.values()]).sum(0)
    parts |= {"sum": total, "fused = LayerNorm(sum)": fusion.norm(total)}
    if not torch.allclose(parts["fused = LayerNorm(sum)"], fused[0, :, at], atol=1e-3):
        raise RunError("the parts do not add up to what the model's fusion gives; is it changed by hand?")
    return _table_of_parts({name: part.cpu().double().numpy() for name, part in parts.items()}, num_channels)


def _table_of_parts(parts: dict[str, np.ndarray], num_channels: int) -> pd.DataFrame:
    """Return `add_up`'s table of parts (C,), of which one is the "sum"."""
    total = parts["sum"]
    chosen, length = np.sort(np.abs(total).argsort()[::-1][:num_channels]), float(np.linalg.norm(total))
    rows = {name: {"norm": float(np.linalg.norm(part)),
                   "cosine": float(part @ total / max(np.linalg.norm(part) * length, 1e-12)),
                   "share": float(part @ total / max(length**2, 1e-12)),
                   **{f"channel {c}": float(part[c]) for c in chosen}} for name, part in parts.items()}
    table = pd.DataFrame(rows).T
    table.loc[list(parts)[-1], "share"] = np.nan  # no part of the sum
    return table
