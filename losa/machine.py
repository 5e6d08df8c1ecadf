"""The device to compute on, its name, and how much memory is in use."""

import sys

import psutil
import torch


def best_device() -> str:
    """Return "cuda" if there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def memory_gb(device: torch.device) -> float:
    """Return the peak memory of the GPU in GB; on CPU the resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return psutil.Process().memory_info().rss / 1e9


def peak_memory_mb() -> float:
    """Return the most memory in use so far, in MB: on the GPU by training; else by this process, caching included.

    On Windows it is what the process uses now.
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
    """Return the GPU's name, or "cpu"."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
