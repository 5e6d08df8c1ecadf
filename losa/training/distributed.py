"""Several processes that train one model: who does what, and sums over all of them.

Started by `accelerate launch -m losa.cli train ...` or accelerate's `notebook_launcher`; a process on its own passes
through all of this unchanged. Sums are taken by hand, after the backward pass, so that they are the same for one
module or several, trained or not, and for a process that has no sample in a step.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from torch import Tensor, distributed, nn

from losa.config import Config
from losa.machine import best_device

WAIT = timedelta(days=14)  # for the main process, which may fill a cache or predict; a lost process ends all others
BUCKET = 2**24  # numbers summed at a time


def launched() -> PartialState:
    """The processes this one is among, which find each other on the first call."""
    started = "LOCAL_RANK" in os.environ or distributed.is_initialized()
    if started and PartialState._shared_state.get("num_processes") == 1 < int(os.environ.get("WORLD_SIZE", 1)):
        PartialState._reset_state()  # forked from a notebook that has trained on its own before
    return PartialState(cpu=not torch.cuda.is_available(), timeout=WAIT)


def alone() -> bool:
    """Whether there is one process only."""
    return launched().num_processes == 1


def share(items: Sequence) -> list:
    """What this process does of a list; nothing where there are more processes than items."""
    here = launched()
    return list(items[here.process_index::here.num_processes])


def on_main(work: Callable):
    """What `work()` returns in the main process, in every process; the others wait. An error there ends all."""
    if alone():
        return work()
    box, failure = [None, ""], None
    if launched().is_main_process:
        try:
            box[0] = work()
        except Exception as error:
            failure, box[1] = error, f"{type(error).__name__}: {error}"
    distributed.broadcast_object_list(box, src=0)
    if failure is not None:
        raise failure
    if box[1]:
        raise RuntimeError(f"the main process stopped: {box[1]}")
    return box[0]


def summed(values: Tensor) -> Tensor:
    """The values added up over all processes."""
    if alone():
        return values
    values = values.detach().clone()
    distributed.all_reduce(values)
    return values


def anywhere(flag: bool) -> bool:
    """Whether the flag is up in any process."""
    return flag if alone() else bool(summed(torch.tensor(float(flag), device=launched().device)) > 0)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Nothing; every parameter's gradient becomes the sum over all processes, and stays None where all have none."""
    for some in () if alone() else buckets(parameters):
        have = torch.tensor([p.grad is not None for p in some], device=some[0].device).float()
        flat = torch.cat([have, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in some)])
        distributed.all_reduce(flat)
        pieces = flat[len(some):].split([p.numel() for p in some])
        for parameter, any_has, piece in zip(some, flat[:len(some)].tolist(), pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter.dtype) if any_has else None


def buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The parameters in their order, some at a time."""
    some, size = [], 0
    for parameter in parameters:
        if some and size + parameter.numel() > BUCKET:
            yield some
            some, size = [], 0
        some.append(parameter)
        size += parameter.numel()
    if some:
        yield some


def same_weights(*modules: nn.Module | None) -> None:
    """Nothing; parameters and buffers of every module become those of the main process."""
    for module in () if alone() else modules:
        for value in module.state_dict().values() if module is not None else ():
            distributed.broadcast(value, src=0)


def make_accelerator(config: Config, out: Path) -> Accelerator:
    """accelerate's, for mixed precision and trackers."""
    AcceleratorState._reset_state()  # else a second run in this process could not choose another precision
    return Accelerator(mixed_precision=config.precision, cpu=best_device() == "cpu",
                       log_with=config.log_with or None, project_dir=out if config.log_with else None)


@contextlib.contextmanager
def tracked(accelerator: Accelerator, config: Config, out: Path):
    """Nothing; inside, `accelerator.log` reaches the tracker that `log_with` names, if any; then accelerate is let go.

    Its notebook_launcher would not start in a notebook where a run, finished or stopped, still held it.
    """
    try:
        if config.log_with:
            plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in config.to_dict().items()}
            named = {tracker: {"name": out.name} for tracker in ("wandb", "trackio")}
            accelerator.init_trackers("losa", config=plain, init_kwargs=named)
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
        AcceleratorState._reset_state()
