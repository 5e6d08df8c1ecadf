"""Run all adapters of a model and fuse what they give: the one place that decides between one by one and together."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from losa.errors import ConfigError
from losa.model.batched import can_run_together, project_up, project_up_and_add, run_together
from losa.model.fusion import GatedFusion


def adapt_and_fuse(adapters: Iterable[Iterable[nn.Module]], fusion: nn.Module, taps: Float[Tensor, "B K C T g h"],
                   last: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]
                   ) -> tuple[Float[Tensor, "B C T"], Float[Tensor, "B K R T"] | None]:
    """Return `fusion(last, run_adapters(adapters, taps, last, mask), mask)`: fused features and gates.

    Adapters that `can_run_together` are computed in a few large kernels. With static gates also their up-projections
    and the gates become one product, so that the adapted features, K x R times as large as `last`, are never held in
    memory. May overwrite what `taps` hold beyond the mask.
    """
    rows = [list(row) for row in adapters]
    if not can_run_together(rows):
        return fusion(last, run_adapters(rows, taps, last, mask), mask)
    hidden = run_together(rows, taps, last, mask)
    if type(fusion) is GatedFusion and (gates := fusion.static_gates()) is not None:
        added = project_up_and_add(rows, hidden, gates).transpose(1, 2)
        gates_over_time = gates.mean(2)[None, ..., None].expand(len(mask), -1, -1, mask.shape[1])
        return fusion.join(last, added, mask), gates_over_time
    return fusion(last, project_up(rows, hidden, mask), mask)


def run_adapters(adapters: Iterable[Iterable[nn.Module]], taps: Float[Tensor, "B K C T g h"],
                 last: Float[Tensor, "B C T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K R C T"]:
    """Return the output of each adapter for its tap, one by one: K rows of R adapters, standardised taps.

    Raises ConfigError where an adapter does not give features of the last layer's shape.
    """
    rows = [torch.stack([check_shape(adapter, adapter(taps[:, k], last, mask), last) for adapter in row], dim=1)
            for k, row in enumerate(adapters)]
    return torch.stack(rows, dim=1) if rows else last.new_zeros(len(last), 0, 0, *last.shape[1:])


def check_shape(adapter: nn.Module, output: Tensor, last: Float[Tensor, "B C T"]) -> Float[Tensor, "B C T"]:
    """Return an adapter's output. Raises ConfigError where it has not the last layer's shape."""
    if output.shape != last.shape:
        raise ConfigError(f"the adapter {type(adapter).__name__} gives {tuple(output.shape)}, (B, C, T) = "
                          f"{tuple(last.shape)} is expected; see what losa.model.contract.check_adapter says of it")
    return output
