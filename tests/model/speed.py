"""Time and memory of a model's adapters run one by one, together (losa/model/batched.py) and under torch.func.vmap.

    python tests/model/speed.py        on a machine without other work

All variants take turns in one process, since a shared machine is not equally fast all the time.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from losa.config import Config
from losa.model import layers
from losa.model.adapt_and_fuse import adapt_and_fuse, run_adapters
from losa.model.losa import LoSA, build

DIM, NUM_TAPS, BATCH, STEPS = 96, 6, 4, 384


def together(model: LoSA, taps: Tensor, last: Tensor, mask: Tensor) -> Tensor:
    return adapt_and_fuse(model.adapters, model.fusion, taps.clone(), last, mask)[0]


def one_by_one(model: LoSA, taps: Tensor, last: Tensor, mask: Tensor) -> Tensor:
    return model.fusion(last, run_adapters(model.adapters, taps, last, mask), mask)[0]


def by_vmap(model: LoSA, taps: Tensor, last: Tensor, mask: Tensor) -> Tensor:
    """The adapters of each range as one function of stacked weights."""
    by_range = []
    for column in zip(*model.adapters, strict=True):
        weights, buffers = stack_module_state(list(column))
        weights = {name: torch.stack([a.get_parameter(name) for a in column]) for name in weights}  # with gradient
        call = lambda w, tap, adapter=column[0]: functional_call(adapter, w, (tap, last, mask))  # noqa: E731
        by_range.append(vmap(call, in_dims=(0, 1), out_dims=1)(weights | buffers, taps))
    return model.fusion(last, torch.stack(by_range, 2), mask)[0]


def by_vmap_without_fused_attention(model: LoSA, taps: Tensor, last: Tensor, mask: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return by_vmap(model, taps, last, mask)


def kept_mib(model: LoSA, run: Callable, inputs: tuple[Tensor, ...]) -> float:
    """Return MiB kept for the backward pass, without weights and inputs."""
    kept, known = {}, {x.untyped_storage().data_ptr() for x in (*model.parameters(), *inputs)}
    with saved_tensors_hooks(lambda x: kept.setdefault(x.untyped_storage().data_ptr(), x) is None or x, lambda x: x):
        run(model, *inputs)
    return sum(x.untyped_storage().nbytes() for at, x in kept.items() if at not in known) / 2**20


def measure(repeats: int = 20) -> dict[str, dict[str, float]]:
    """Return by variant: ms and ratio to one by one for one and two threads, MiB kept for the backward pass."""
    layers.Stretches.generate_vmap_rule = True  # here only: nothing in losa runs under vmap
    torch.manual_seed(0)
    model = build(Config.make(adapter_dim=32), dim=DIM, num_taps=NUM_TAPS, num_classes=10, clip_snippets=8)
    taps = torch.randn(BATCH, STEPS, NUM_TAPS, 1, 1, DIM).permute(0, 2, 5, 1, 3, 4)
    mask = torch.arange(STEPS) < torch.tensor([[STEPS], [STEPS], [STEPS * 3 // 4], [STEPS]])
    inputs = taps, torch.randn(BATCH, STEPS, DIM).transpose(1, 2), mask
    variants = one_by_one, together, by_vmap, by_vmap_without_fused_attention
    table = {run.__name__: {"kept_mib": kept_mib(model, run, inputs)} for run in variants}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        seconds = {run.__name__: [] for run in variants}
        for _ in range(repeats + 1):
            for run in variants:
                began = time.perf_counter()
                run(model, *inputs).square().sum().backward()
                seconds[run.__name__].append(time.perf_counter() - began)
        ratios = {name: statistics.median(b / a for a, b in zip(seconds["one_by_one"][1:], taken[1:], strict=True))
                  for name, taken in seconds.items()}
        for name, taken in seconds.items():
            table[name] |= {f"ms_{threads}": 1000 * min(taken), f"ratio_{threads}": ratios[name]}
    return table


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}\n{'':34}{'1 thread':>18}{'2 threads':>18}{'kept':>12}")
    for name, row in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20).items():
        print(f"{name:34}" + "".join(f"{row[f'ms_{n}']:>9.0f} ms{row[f'ratio_{n}']:>6.2f}" for n in (1, 2))
              + f"{row['kept_mib']:>8.1f} MiB")
