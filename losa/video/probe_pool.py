"""`probe` for many files, in processes of their own: one that hangs is killed, one that crashes takes none along."""

import inspect
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path

from tqdm.auto import tqdm

from losa.errors import VideoError
from losa.video.probe import VideoInfo, probe


def probe_many(paths: Iterable[str | Path], *, limit_s: int | float = 60, num_processes: int = 2,
               desc: str = "checking videos", work: Callable = probe) -> tuple[dict[Path, VideoInfo], dict[Path, str]]:
    """What `probe` says of every usable file, and why the others are not: {path: info}, {path: why}.

    Files are read whole, every byte of them, in other processes: one that gives no answer and no sign of progress
    for `limit_s` seconds, or that makes the decoder crash, is listed and ends its process, and the rest goes on.

    work: the function to run on each path instead, importable by name. If it has a parameter `alive`, it is given
    a function there whose every call is a sign of progress.
    """
    paths = list(dict.fromkeys(Path(path) for path in paths))
    helpers = [_Helper() for _ in range(min(num_processes, -(-len(paths) // 4)))]  # a process costs as much as 50 files
    free: queue.SimpleQueue[_Helper] = queue.SimpleQueue()
    for helper in helpers:
        free.put(helper)

    def ask(path: Path):
        helper = free.get()
        try:
            return helper.ask(work, path, limit_s)
        finally:
            free.put(helper)

    infos, whys = {}, {}
    with ThreadPoolExecutor(max(1, len(helpers))) as pool:
        try:
            for path, (info, why) in zip(paths, tqdm(pool.map(ask, paths), desc, len(paths), unit="file"), strict=True):
                if why is None:
                    infos[path] = info
                else:
                    whys[path] = why
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for helper in helpers:
                helper.close()
    return infos, whys


class _Helper:
    """A process that works on one path after the other, started when it is needed, killed when it takes too long."""

    def __init__(self):
        self.process, self.closed = None, False

    def ask(self, work: Callable, path: Path, limit_s: int | float) -> tuple:
        """(what work(path) returned, None) or (None, why there is nothing)."""
        if self.closed:
            return None, "was not checked: stopped before"
        late, timer = threading.Event(), None
        try:
            if self.process is None:
                self.process = self._start()
                pickle.load(self.process.stdout)  # it has started: only now does the file's own time begin
            pickle.dump((work, path), self.process.stdin)
            self.process.stdin.flush()
            answer = None
            while answer is None:  # None is a sign of progress: the limit begins anew
                if timer is not None:
                    timer.cancel()
                timer = threading.Timer(limit_s, lambda: (late.set(), self.process.kill()))
                timer.start()
                answer = pickle.load(self.process.stdout)
            return answer
        except (EOFError, OSError, pickle.UnpicklingError):
            code = self.stop()
            if late.is_set():
                return None, f"hangs: no answer within {limit_s} s; copy it again or re-encode it"
            return None, f"crashes the program that opens it (exit code {code}); copy it again or re-encode it"
        finally:
            if timer is not None:
                timer.cancel()

    def _start(self) -> subprocess.Popen:
        paths = os.pathsep.join(filter(None, chain(sys.path, [os.getcwd()])))
        return subprocess.Popen([sys.executable, "-c", "from losa.video.probe_pool import serve; serve()"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                env={**os.environ, "PYTHONPATH": paths})

    def stop(self) -> int | None:
        """Exit code of the process, which is gone then."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.kill()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()
        return process.wait()

    def close(self) -> None:
        self.closed = True
        self.stop()


def serve() -> None:
    """Nothing; answers requests (a function and a path) from standard input until it ends. Runs in a `_Helper`."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints does not get between the answers

    def say(what) -> None:
        pickle.dump(what, answers)
        answers.flush()

    say("ready")
    while True:
        try:
            work, path = pickle.load(requests)
        except EOFError:
            return
        try:
            signs = {"alive": lambda: say(None)} if "alive" in inspect.signature(work).parameters else {}
            answer = work(path, **signs), None
        except VideoError as error:
            answer = None, error.why
        except Exception as error:  # noqa: BLE001 - one file must not end the check of the others
            answer = None, f"cannot be checked ({type(error).__name__}: {error})"
        say(answer)
