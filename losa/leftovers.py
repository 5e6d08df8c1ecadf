"""What killed processes leave on the disk, told from what living ones are still writing."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

try:
    import fcntl
except ImportError:  # Windows: the process id decides alone
    fcntl = None


def hold(file: IO) -> None:
    """Marks an open file as in use until it is closed or its process ends; nothing where the disk knows no locks."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_left(path: str | Path, pid: int) -> bool:
    """Whether nobody uses the file that process `pid` held: it has ended, and none elsewhere holds it.

    Elsewhere is another machine or container with the same disk, which counts its processes by itself.
    """
    mine = pid == os.getpid()  # or was that of another container's process
    if not mine and psutil.pid_exists(pid):
        return False
    if fcntl is None:
        return not mine
    try:
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return not mine
    return True
