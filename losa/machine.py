"""The device to compute on, its name, and how much memory is in use."""

import sys

import psutil
import torch


def best_device() -> str:
    """"cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def memory_gb(device: torch.device) -> float:
    """Peak memory of the GPU, or resident memory of this process on CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return psutil.Process().memory_info().rss / 1e9


def peak_memory_mb() -> float:
    """The most memory in use so far, in MB: on the GPU by training; else of this process, filling a cache included.

    On Windows what the process has now.
    """
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 1e6, 1)
    try:
        import resource
    except ImportError:
        return round(psutil.Process().memory_info().rss / 1e6, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def device_name() -> str:
    """The GPU's name, or cpu."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
