"""Training in several processes: which does what, and sums over all of them.

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
from losa.errors import TrainingError
from losa.machine import best_device

WAIT = timedelta(days=14)  # for the main process, which may fill a cache or predict; a lost process ends all others
BUCKET = 2**24  # numbers summed at a time


def launched() -> PartialState:
    """Return the group of processes this one belongs to, which find each other on the first call."""
    started = "LOCAL_RANK" in os.environ or distributed.is_initialized()
    if started and PartialState._shared_state.get("num_processes") == 1 < int(os.environ.get("WORLD_SIZE", 1)):
        PartialState._reset_state()  # forked from a notebook that has trained on its own before
    return PartialState(cpu=not torch.cuda.is_available(), timeout=WAIT)


def alone() -> bool:
    """Return whether this is the only process."""
    return launched().num_processes == 1


def share(items: Sequence) -> list:
    """Return this process's share of a list; it is empty where there are more processes than items."""
    processes = launched()
    return list(items[processes.process_index::processes.num_processes])


def on_main(work: Callable):
    """Run `work()` in the main process and return its result in every process; the others wait.

    An error there is raised in all; in the others as TrainingError.
    """
    if alone():
        return work()
    result_and_error, failure = [None, ""], None
    if launched().is_main_process:
        try:
            result_and_error[0] = work()
        except Exception as error:
            failure, result_and_error[1] = error, f"{type(error).__name__}: {error}"
    distributed.broadcast_object_list(result_and_error, src=0)
    if failure is not None:
        raise failure
    if result_and_error[1]:
        raise TrainingError(f"the main process stopped: {result_and_error[1]}")
    return result_and_error[0]


def summed(values: Tensor) -> Tensor:
    """Return the values added up over all processes."""
    if alone():
        return values
    values = values.detach().clone()
    distributed.all_reduce(values)
    return values


def in_any_process(flag: bool) -> bool:
    """Return whether the flag is up in any process."""
    return flag if alone() else bool(summed(torch.tensor(float(flag), device=launched().device)) > 0)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Set every parameter's gradient to the sum over all processes; it stays None where all have none."""
    for bucket in () if alone() else buckets(parameters):
        have = torch.tensor([p.grad is not None for p in bucket], device=bucket[0].device).float()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        flat = torch.cat([have, *(gradient.flatten().float() for gradient in gradients)])
        distributed.all_reduce(flat)
        pieces = flat[len(bucket):].split([p.numel() for p in bucket])
        for parameter, any_has, piece in zip(bucket, flat[:len(bucket)].tolist(), pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter.dtype) if any_has else None


def buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield the parameters in their order, a bucket of at most `BUCKET` numbers at a time."""
    bucket, size = [], 0
    for parameter in parameters:
        if bucket and size + parameter.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket


def broadcast_weights(*modules: nn.Module | None) -> None:
    """Copy the main process's parameters and buffers of every module to all processes."""
    for module in () if alone() else modules:
        for value in module.state_dict().values() if module is not None else ():
            distributed.broadcast(value, src=0)


def make_accelerator(config: Config, out: Path) -> Accelerator:
    """Return an Accelerator for mixed precision and trackers."""
    AcceleratorState._reset_state()  # else a second run in this process could not choose another precision
    return Accelerator(mixed_precision=config.precision, cpu=best_device() == "cpu",
                       log_with=config.log_with or None, project_dir=out if config.log_with else None)


@contextlib.contextmanager
def tracked(accelerator: Accelerator, config: Config, out: Path):
    """Open the tracker that `log_with` names, if any, for `accelerator.log`; close it and reset accelerate at the end.

    accelerate's notebook_launcher would not start in a notebook where a run, finished or stopped, still held its state.
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
