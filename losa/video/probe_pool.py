"""Probe many video files in processes of their own, so that a file that hangs or crashes costs only itself."""

import inspect
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from losa.errors import VideoError
from losa.video.probe import VideoInfo, probe
from losa.video.workers import Lost, run_in_workers

FILES_PER_PROCESS = 4  # to start a process takes as long as to probe 50 short files, so few files get only one


def probe_many(paths: Iterable[str | Path], *, limit_s: int | float = 60, num_processes: int = 2,
               desc: str = "checking videos", work: Callable = probe) -> tuple[dict[Path, VideoInfo], dict[Path, str]]:
    """Return what `probe` says of every usable file, and why the others cannot be used: {path: info}, {path: why}.

    Every byte of each file is read, in other processes. A file that gives no answer and no sign of progress for
    `limit_s` seconds, or that crashes the decoder, is listed with the reason; its process ends and the rest goes on.

    work: another function to run on each path, importable by name. If it has a parameter `alive`, it gets a function
        there, and every call of that is a sign of progress.
    """
    paths = list(dict.fromkeys(Path(path) for path in paths))
    answers = _probe_all(partial(_probe_one, work), paths, min(num_processes, -(-len(paths) // FILES_PER_PROCESS)),
                         limit_s)
    results = {}
    with closing(answers), tqdm(desc=desc, total=len(paths), unit="file", disable=not paths) as bar:
        for index, answer in answers:
            results[paths[index]] = (None, _explain(answer, limit_s)) if isinstance(answer, Lost) else answer
            bar.update()
    return ({path: results[path][0] for path in paths if results[path][1] is None},
            {path: results[path][1] for path in paths if results[path][1] is not None})


def _probe_all(function: Callable, paths: list[Path], num_processes: int, limit_s: int | float) -> Iterator:
    """Yield (index of the path, answer of the function) for all paths."""
    if multiprocessing.current_process().daemon:  # may start no processes, so nothing can be killed
        yield from ((i, answer) for i, path in enumerate(paths) for answer in function(path, lambda: None))
    else:
        yield from run_in_workers(function, paths, num_processes, limit_s)


def _probe_one(work: Callable, path: Path, alive: Callable) -> Iterator[tuple[VideoInfo | None, str | None]]:
    """Yield (info, None), or (None, why) where the file cannot be used. Runs in a worker."""
    try:
        info = work(path, alive=alive) if "alive" in inspect.signature(work).parameters else work(path)
    except VideoError as error:
        yield None, error.why
    except Exception as error:  # noqa: BLE001 - one file must not end the check of the others
        yield None, f"cannot be checked ({type(error).__name__}: {error})"
    else:
        yield info, None


def _explain(lost: Lost, limit_s: int | float) -> str:
    if lost.exit_code is None:
        return f"hangs: no answer within {limit_s} s; copy it again or re-encode it"
    return f"crashes the program that opens it (exit code {lost.exit_code}); copy it again or re-encode it"
