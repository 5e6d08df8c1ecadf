"""Run a function on many items in processes of their own, which are killed when they give no sign for too long.

Decoders of video files can hang or crash on a damaged file. In a process of its own, only that file is lost.
"""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection, reduction
from typing import NamedTuple

START_S = 300  # seconds a new process may take to import what it needs, beside the limit of its first item


class Lost(NamedTuple):
    """The answer for an item whose process ended without one: its exit code, None if it was killed for its silence."""

    exit_code: int | None


def run_in_workers(function: Callable, items: Sequence, num_workers: int, limit_s: int | float, *,
                   fork: bool = False) -> Iterator[tuple[int, object]]:
    """Yield (index of the item, answer) for every answer of function(item, alive), in processes of their own.

    function: gives the answers for one item, one by one, and may call alive() in between to show that it goes on. An
        exception ends its process, so it should catch those it expects and answer with the reason.
    limit_s: a process that gives neither an answer nor a sign for so many seconds is killed. The last answer for the
        item is then `Lost`, and a new process takes the next one.
    fork: copy this process, which costs nothing and hands over what `function` holds (Linux). Otherwise a new
        interpreter is started, in which `function` must be importable; no `if __name__ == "__main__"` is needed.

    The answers for one item come in order. A worker does not run ahead of the reader by more than its pipe holds.
    Closing the generator kills all processes.
    """
    todo, workers = deque(enumerate(items)), []
    try:
        for _ in range(min(num_workers, len(items))):
            workers.append(_Worker(function, fork))
        while todo or any(worker.index is not None for worker in workers):
            for i, worker in enumerate(workers):
                if todo and worker.index is None:
                    if not worker.is_running():
                        worker.end()
                        workers[i] = worker = _Worker(function, fork)
                    worker.give(*todo.popleft(), limit_s)
            busy = [worker for worker in workers if worker.index is not None]
            seconds_left = min(worker.deadline for worker in busy) - time.monotonic()
            connection.wait([worker.pipe for worker in busy], max(0.0, seconds_left))
            for worker in busy:
                index = worker.index
                yield from ((index, answer) for answer in worker.receive(limit_s))
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process and the pipe to it. `index` is that of the item it works on, None while it has nothing to do."""

    def __init__(self, function: Callable, fork: bool):
        self.pipe, child_pipe = multiprocessing.Pipe()
        self.index, self.deadline, self.has_started = None, 0.0, False
        if fork:
            self.process = multiprocessing.get_context("fork").Process(
                target=_serve, args=(function, child_pipe, self.pipe), daemon=True)
            self.process.start()
            child_pipe.close()
        else:
            self.process = _start_interpreter(child_pipe)
            child_pipe.close()
            with suppress(ConnectionError):  # if it died, reading from it will tell
                self.pipe.send(function)

    def is_running(self) -> bool:
        return not self.pipe.closed and (self.process.poll() is None if isinstance(self.process, subprocess.Popen)
                                         else self.process.is_alive())

    def give(self, index: int, item: object, limit_s: int | float) -> None:
        self.index, self.deadline = index, time.monotonic() + limit_s + (0 if self.has_started else START_S)
        with suppress(ConnectionError):  # as above
            self.pipe.send(item)

    def receive(self, limit_s: int | float) -> list:
        """Return the next answer in a list, which is empty where there is none. A dead or silent process is `Lost`."""
        try:
            if self.pipe.poll(0):
                kind, answer = _receive(self.pipe)
                self.has_started, self.deadline = True, time.monotonic() + limit_s
                if kind == "end":
                    self.index = None
                return [answer] if kind == "answer" else []
        except (EOFError, OSError):
            self.index = None
            return [Lost(self.end(patience_s=5))]
        if time.monotonic() > self.deadline:
            self.index = None
            self.end()
            return [Lost(None)]
        return []

    def end(self, patience_s: int | float = 0) -> int | None:
        """Kill the process unless it ends by itself in time, and return its exit code."""
        self.pipe.close()
        if isinstance(self.process, subprocess.Popen):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience_s)
            self.process.kill()
            return self.process.wait()
        self.process.join(patience_s)
        self.process.kill()
        self.process.join()
        return self.process.exitcode


# --- the other end of the pipe --------------------------------------------------------------------------------------


def _start_interpreter(pipe: connection.Connection) -> subprocess.Popen:
    """Start Python with this process's import path and one end of a pipe.

    multiprocessing's "spawn" would run the user's script again, and leaves a process behind.
    """
    paths = os.pathsep.join([*filter(None, sys.path), os.getcwd()])
    process = subprocess.Popen([sys.executable, "-c", "from losa.video.workers import serve; serve()"],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "PYTHONPATH": paths},
                               pass_fds=() if sys.platform == "win32" else (pipe.fileno(),))
    handle = pipe.fileno()
    if sys.platform == "win32":
        handle = reduction.duplicate(handle, int(process._handle))
    with suppress(OSError), process.stdin:
        process.stdin.write(str(handle).encode())
    return process


def serve() -> None:
    """Answer requests in an interpreter that `_start_interpreter` started, until the other end is closed."""
    kind = connection.PipeConnection if sys.platform == "win32" else connection.Connection
    pipe = kind(int(sys.stdin.read()))
    with suppress(EOFError, ConnectionError):
        _serve(pipe.recv(), pipe)


def _serve(function: Callable, pipe: connection.Connection, parents_end: connection.Connection | None = None) -> None:
    """Call the function on the items that arrive and send its answers, until the other end is closed."""
    if parents_end is not None:
        parents_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    with suppress(EOFError, ConnectionError):
        _send(pipe, "sign")  # it has started
        while True:
            item = pipe.recv()
            for answer in function(item, lambda: _send(pipe, "sign")):
                _send(pipe, "answer", answer)
            _send(pipe, "end")


def _send(pipe: connection.Connection, kind: str, answer: object = None) -> None:
    """Send a message; arrays in it go through the pipe as they lie in memory, without a copy."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps((kind, answer), protocol=5, buffer_callback=buffers.append)
    pipe.send((head, len(buffers)))
    for buffer in buffers:
        pipe.send_bytes(buffer.raw())


def _receive(pipe: connection.Connection) -> tuple[str, object]:
    head, num_buffers = pipe.recv()
    return pickle.loads(head, buffers=[bytearray(pipe.recv_bytes()) for _ in range(num_buffers)])
