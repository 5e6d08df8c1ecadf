"""A function for workers to run, importable by name from a new interpreter, that does what its item asks for."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def do_item(item, alive):
    """Answer `item` (what, value)."""
    what, value = item
    if what == "count":
        yield from range(value)
    elif what == "arrays":
        for i in range(3):
            yield {"number": i, "pixels": np.full(value, i, np.uint8)}
    elif what == "write":  # as many large answers as the reader takes, and how many were begun
        path, num = value
        for i in range(num):
            Path(path).write_text(str(i))
            yield np.zeros(10**6, np.uint8)
    elif what == "signs":
        for _ in range(value):
            time.sleep(0.5)
            alive()
        yield "done"
    elif what == "hang":
        time.sleep(3600)
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "raise":
        raise KeyError(value)
    elif what == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        yield "still here"
    elif what == "pid":
        yield os.getpid()
        time.sleep(value)
