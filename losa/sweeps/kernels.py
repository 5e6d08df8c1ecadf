"""Kernels that notebooks run in: reached over unix sockets, with their own environment, ended with their parent.

Such a kernel is started with `python -m losa.sweeps.kernels`. Linux kills it together with the process that started
it, even if that process was itself killed; elsewhere the kernel checks once a second whether its parent still runs.
"""

import ctypes
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
    """Holds kernels. Once pulled, it kills them and every kernel that starts later."""

    def __init__(self) -> None:
        self.held: list[psutil.Process] = []
        self.pulled = False

    def hold(self, kernel: psutil.Process) -> None:
        self.held.append(kernel)
        if self.pulled:
            kill_tree(kernel)

    def pull(self) -> None:
        self.pulled = True
        for kernel in list(self.held):
            kill_tree(kernel)


def kill_tree(process: psutil.Process) -> None:
    """Kill a process and everything it has started; those that have ended already are skipped."""
    try:
        children = process.children(recursive=True)
    except psutil.Error:
        children = []
    for member in (process, *children):
        try:
            member.kill()
        except psutil.Error:
            continue


def private_kernels(*, env: dict[str, str] | None = None, cwd: str | Path | None = None,
                    started: Callable[[psutil.Process], None] | None = None) -> type:
    """Return a class of kernel managers that use unix sockets; TCP where there are none or their paths get too long.

    env, cwd: environment and working folder of the kernels, by default those of this process. started: called with
    the process of every kernel that starts.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.paths import jupyter_runtime_dir

    folder = Path(jupyter_runtime_dir())
    sockets = os.name != "nt" and len(str(folder / f"kernel-{uuid.uuid4()}.json-ipc-1")) <= 100
    folder.mkdir(parents=True, exist_ok=True)

    class PrivateKernelManager(AsyncKernelManager):
        def __init__(self, *words, **named):
            kernel = str(uuid.uuid4())
            socket = {"transport": "ipc", "connection_file": str(folder / f"kernel-{kernel}.json")} if sockets else {}
            super().__init__(*words, kernel_id=kernel, **socket, **named)

        def format_kernel_cmd(self, extra_arguments=None):
            """Return the command that starts the kernel; a kernel of this Python is started through this module."""
            command = super().format_kernel_cmd(extra_arguments)
            if command[0] != sys.executable:
                return command
            return ["losa.sweeps.kernels" if word == "ipykernel_launcher" else word for word in command]

        async def start_kernel(self, **named):
            if env is not None:
                named["env"] = dict(env)
            if cwd is not None:
                named["cwd"] = str(cwd)
            await super().start_kernel(**named)
            process = getattr(self.provisioner, "process", None)
            if started is not None and process is not None:
                started(psutil.Process(process.pid))

    return PrivateKernelManager


def die_with_parent() -> None:
    """Let Linux kill this process when the one that started it ends, however it ends."""
    if sys.platform != "linux":
        return
    parent = int(os.environ.get("JPY_PARENT_PID") or 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:  # it ended before the line above took effect
        os._exit(1)


def main() -> None:
    """Run a kernel as `python -m ipykernel_launcher` does."""
    die_with_parent()
    if sys.path[0] in ("", os.getcwd()):  # comes back once everything is imported
        del sys.path[0]
    from ipykernel import kernelapp

    # jupyter_client interrupts every kernel before it ends it, and an idle one would call that an error
    logging.getLogger("IPKernelApp").addFilter(lambda record: "KeyboardInterrupt caught" not in record.getMessage())
    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
