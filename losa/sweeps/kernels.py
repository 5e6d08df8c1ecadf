"""Kernels that notebooks run in: reached over unix sockets, with an environment of their own, gone with their parent.

`python -m losa.sweeps.kernels` is what such a kernel is started with. Linux kills it together with the process that
started it, even where that was itself killed; elsewhere the kernel looks once a second whether its parent is still
there.
"""

import contextlib
import ctypes
import gc
import io
import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Leash:
    """Holds kernels; once pulled it ends them, and every one that starts later."""

    def __init__(self) -> None:
        self.held: list[psutil.Process] = []
        self.pulled = False

    def hold(self, kernel: psutil.Process) -> None:
        self.held.append(kernel)
        if self.pulled:
            end(kernel)

    def pull(self) -> None:
        self.pulled = True
        for kernel in list(self.held):
            end(kernel)


def end(process: psutil.Process) -> None:
    """Nothing; the process and all that it started are killed, or were gone already."""
    try:
        started = process.children(recursive=True)
    except psutil.Error:
        started = []
    for each in (process, *started):
        try:
            each.kill()
        except psutil.Error:
            continue


def private_kernels(*, env: dict[str, str] | None = None, cwd: str | Path | None = None,
                    started: Callable[[psutil.Process], None] | None = None) -> type:
    """A kernel manager that talks over unix sockets, over TCP only where there are none or paths are long.

    Its kernels get this environment and working folder, the parent's own by default; `started` is told of each.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir())
    by_socket = os.name != "nt" and len(str(folder / f"kernel-{uuid.uuid4()}.json-ipc-1")) <= 100
    folder.mkdir(parents=True, exist_ok=True)

    class PrivateKernelManager(AsyncKernelManager):
        def __init__(self, *words, **named):
            kernel = str(uuid.uuid4())
            own = {"transport": "ipc", "connection_file": str(folder / f"kernel-{kernel}.json")} if by_socket else {}
            super().__init__(*words, kernel_id=kernel, **own, **named)

        def format_kernel_cmd(self, extra_arguments=None):
            """The kernel's own command line; for kernels of this Python, started through this module."""
            command = super().format_kernel_cmd(extra_arguments)
            if command[0] != sys.executable:
                return command
            return ["losa.sweeps.kernels" if word == "ipykernel_launcher" else word for word in command]

        async def start_kernel(self, **named):
            own = {"env": None if env is None else dict(env), "cwd": None if cwd is None else str(cwd)}
            await super().start_kernel(**{**named, **{key: value for key, value in own.items() if value is not None}})
            process = getattr(self.provisioner, "process", None)
            if started is not None and process is not None:
                started(psutil.Process(process.pid))

    return PrivateKernelManager


def die_with_parent() -> None:
    """Nothing; from now on Linux kills this process when the one that started it ends, however it ends."""
    if sys.platform != "linux":
        return
    parent = int(os.environ.get("JPY_PARENT_PID") or 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:  # it ended before it was listened for
        os._exit(1)


def leave_memory() -> None:
    """Nothing; the interpreter then ends without a search through all of its objects, which takes over a second.

    Whatever was not closed is flushed here, since files that such a search would have found are not any more.
    """
    for each in gc.get_objects():
        if type(each) in (io.TextIOWrapper, io.BufferedWriter):
            with contextlib.suppress(OSError, ValueError):
                each.flush()
    gc.freeze()


def main() -> None:
    """A kernel, as `python -m ipykernel_launcher` gives it."""
    die_with_parent()
    if sys.path[0] in ("", os.getcwd()):  # comes back once everything is imported
        del sys.path[0]
    from ipykernel import kernelapp

    # jupyter_client interrupts every kernel before it ends it, and an idle one would call that an error
    logging.getLogger("IPKernelApp").addFilter(lambda record: "KeyboardInterrupt caught" not in record.getMessage())
    kernelapp.launch_new_instance()
    leave_memory()


if __name__ == "__main__":
    main()
