"""Run a sweep: execute one notebook for every combination of parameters, each in its own kernel and folder.

A run's folder is named after the notebook's code, its parameters and the package's version, so that the same call
finds it again: finished runs are skipped and an interrupted sweep continues. A run has ended once its folder holds
status.json, which is written last.
"""

import hashlib
import json
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from losa.errors import SweepError
from losa.files import read_object, write_json
from losa.sweeps.kernels import Leash, private_kernels
from losa.sweeps.plan import PlannedRun, plan, read_own_adapter

LOOK_EVERY_S = 1.0  # seconds between two looks at how far the runs are
BAR = "{l_bar}{bar}| {n:.1f} of {total} runs [{elapsed}<{remaining}]"
STATES = ("ok", "error", "timeout", "dead")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "NUMEXPR_NUM_THREADS")  # fmt: skip
OWN_BACKENDS = ("LokyBackend", "MultiprocessingBackend", "ThreadingBackend", "SequentialBackend")


@dataclass(frozen=True)
class SweepResult:
    """How the runs of a sweep ended. `skipped` were ok already; earlier failures count as what they are.

    runs: a row per run in the grid's order: run (the name of its folder), parameters, status, seconds, error, ...
    """

    out: Path
    runs: list[dict]
    ok: int
    error: int
    timeout: int
    dead: int
    skipped: int

    @property
    def names(self) -> list[str]:
        """The folders of this sweep's runs below `out`, which may also hold runs of other sweeps."""
        return [row["run"] for row in self.runs]

    @property
    def exit_code(self) -> int:
        """0 where every run is ok, else 1."""
        return int(self.ok + self.skipped < len(self.runs))

    def __str__(self) -> str:
        counts = {**{name: getattr(self, name) for name in STATES}, "skipped, ok already": self.skipped}
        return f"{self.out}: " + (", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no runs")


def sweep(notebook: str | Path, grid: dict | Sequence[dict] | str | Path, out: str | Path, *, jobs: int = 1,
          retry: bool = False, timeout_s: int | float | None = None, threads: int | None = None,
          quiet: bool = False) -> SweepResult:
    """Execute the notebook for every combination of the grid and return how each run ended; files go to `out`/<run>/.

    grid: see `plan`, which refuses whatever could not run before anything starts. Executes `jobs` runs at a time, or
    as many as the cluster has workers inside `joblib.parallel_config(backend="dask")`. retry: run failed runs once
    more. timeout_s: seconds after which a run is stopped. threads: per run; default: OMP_NUM_THREADS where it is set,
    else the cores divided by `jobs`. Raises SweepError.
    """
    if jobs < 1:
        raise SweepError(f"jobs={jobs}: at least one run at a time")
    runs = plan(notebook, grid, out, timeout_s=timeout_s, threads=threads)
    out, before = Path(out).absolute(), {}
    with lock_folder(out):
        for run in runs:
            status = read_status(run.folder)
            if status.get("status") == "ok" or status and not retry:
                before[run.folder] = status
        check_annotations([run for run in runs if run.folder in before])
        todo = [run for run in runs if run.folder not in before]
        ended = execute_all(todo, jobs, quiet)
    statuses = {**before, **ended}
    rows = [{"run": Path(r.folder).name, "parameters": r.parameters, **statuses[r.folder]} for r in runs]
    counts = Counter("skipped" if s["status"] == "ok" and f in before else s["status"] for f, s in statuses.items())
    result = SweepResult(out, rows, **{name: counts[name] for name in (*STATES, "skipped")})
    if not quiet:
        print_summary(result, before)
    return result


def print_summary(result: SweepResult, before: dict[str, dict]) -> None:
    """Print the counts, and the runs that had failed before this call (others were printed as they failed)."""
    print(result)
    failed = [(folder, status) for folder, status in before.items() if status["status"] != "ok"]
    for folder, status in failed:
        print(f"  {Path(folder).name} {status['status']}: {status['error']}")
    if failed:
        print("  these failed before this call and were left as they are; --retry (retry=True) runs them again")


def lock_folder(out: Path):
    """Lock a folder for one sweep; a killed process loses its lock. Raises SweepError if it is held."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / ".sweep.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        raise SweepError(f"another sweep is writing into {out}; wait for it, or give another folder") from None


def check_annotations(runs: list[PlannedRun]) -> None:
    """Raise SweepError where a finished run was trained on other annotations than those that are there now."""
    digests: dict[str, str] = {}
    for run in runs:
        try:
            result = read_object(Path(run.folder) / "result.json")
            path, trained_on = result["config"]["annotations"], result["inputs"]["annotations"]
            if path not in digests:
                digests[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except (OSError, TypeError, KeyError):  # no training, failed, or its data is gone
            continue
        if digests[path] != trained_on:
            raise SweepError(f"{path} has changed since {run.folder} was run; old and new numbers cannot stand in one "
                             "table. Give another folder as --out, or delete that one")


def execute_all(runs: list[PlannedRun], jobs: int, quiet: bool) -> dict[str, dict]:
    """Execute the runs and return {folder: status}. When interrupted, kills their kernels first."""
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend
    from tqdm.auto import tqdm

    backend, _ = get_active_backend()
    local = type(backend).__name__ in OWN_BACKENDS
    where = {"backend": "threading", "n_jobs": min(jobs, max(len(runs), 1))} if local else {}
    if local or getattr(backend, "supports_return_generator", False):
        where["return_as"] = "generator_unordered"
    ended, stop = {}, Leash()
    try:
        with (tqdm(total=len(runs), desc="sweep", disable=quiet or not runs, bar_format=BAR) as bar,
              moving(bar, runs, ended)):
            for folder, status in Parallel(batch_size=1, **where)(delayed(execute)(r, jobs, stop) for r in runs):
                ended[folder] = status
                if status["status"] != "ok" and not quiet:
                    bar.write(f"{Path(folder).name} {status['status']}: {status['error']}")
    except BaseException:
        stop.pull()
        raise
    return ended


@contextmanager
def moving(bar, runs: list[PlannedRun], ended: dict[str, dict]) -> Iterator[None]:
    """Move a tqdm bar, from a thread, to where the runs stand; `ended` gets a key for each that has ended."""
    stop = threading.Event()

    def move() -> None:
        stands = sum(1 if run.folder in ended else share_done(run) for run in runs)
        if stands > bar.n:
            bar.update(stands - bar.n)
            bar.n = stands  # without rounding, so that a full bar is full

    def watch() -> None:
        while not stop.wait(LOOK_EVERY_S):
            move()

    watcher = threading.Thread(target=watch, name="sweep-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        move()


def share_done(run: PlannedRun) -> int | float:
    """Return how far a run has trained, from 0 to nearly 1: its log has a line per epoch, and a prediction follows."""
    try:
        with open(Path(run.folder) / "log.jsonl", "rb") as log:
            return min(sum(1 for _ in log), run.epochs) / (run.epochs + 1)
    except OSError:  # it has not begun, or runs on a disk that is not seen from here
        return 0


def execute(run: PlannedRun, jobs: int, stop: Leash) -> tuple[str, dict]:
    """Execute one run and return its folder and status, which is also written to status.json as its last file."""
    from filelock import FileLock

    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # a cluster may start a lost run again while the first one still ends
        before = read_status(folder)
        if before.get("status") == "ok":
            return run.folder, before
        for name in ("status.json", "result.json", "result.failed.json"):
            (folder / name).unlink(missing_ok=True)
        write_json(folder / "params.json", run.parameters)
        started, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        status = check_adapter_unchanged(run) or run_notebook(run, jobs, stop)
        if stop.pulled:
            return run.folder, {"status": "dead", "error": "the sweep was interrupted", "seconds": 0.0}
        result = folder / "result.json"
        if status["status"] == "ok" and run.trains and not result.exists():
            status = {"status": "error", "error": "the notebook ended without a result.json in `out`", "cell": None}
        if status["status"] != "ok" and result.exists():  # a failed run must never count as a number
            os.replace(result, folder / "result.failed.json")
        status |= {"seconds": round(time.monotonic() - began, 2), "started": started, "host": socket.gethostname(),
                   "notebook": run.notebook, "version": version("losa")}  # fmt: skip
        write_json(folder / "status.json", status)
    return run.folder, status


def check_adapter_unchanged(run: PlannedRun) -> dict:
    """Return the error status of a run whose own adapter was edited since the sweep began, {} for one that may run."""
    if not run.own_adapter:
        return {}
    try:
        why = f"{run.own_adapter[0]} was edited since the sweep began"
        if read_own_adapter(run.own_adapter[0]) == run.own_adapter:
            return {}
    except SweepError as error:
        why = str(error)
    return {"status": "error", "error": f"{why}; begin the sweep again", "cell": None}


def run_notebook(run: PlannedRun, jobs: int, stop: Leash) -> dict:
    """Execute the notebook into the folder's run.ipynb and return its status, error and last cell."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    leash, path = Leash(), Path(run.folder) / "run.ipynb"
    timer = threading.Timer(run.timeout_s or 0, leash.pull)
    kernels = private_kernels(env=environment(run.threads, jobs), cwd=run.cwd,
                              started=lambda kernel: (leash.hold(kernel), stop.hold(kernel), None)[-1])
    if run.timeout_s:
        timer.start()
    try:
        for attempt in (1, 2):  # a kernel that dies before its first cell is started once more
            path.unlink(missing_ok=True)
            try:
                papermill.execute_notebook(nbformat.reads(run.source, as_version=4), str(path),
                                           parameters={**run.parameters, "out": run.folder}, progress_bar=False,
                                           kernel_manager_class=kernels)
                return {"status": "ok", "error": "", "cell": None}
            except papermill.PapermillExecutionError as error:
                return {"status": "error", "error": f"{error.ename}: {error.evalue}"[:2000], "cell": error.cell_index,
                        "traceback": re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))}
            except Exception as error:  # whatever happens to one run, the sweep goes on and the status says it
                cell = last_cell(path)
                if leash.pulled:
                    return {"status": "timeout", "error": f"not done after {run.timeout_s} s", "cell": cell}
                if cell is None and attempt == 1 and not stop.pulled:
                    continue
                if isinstance(error, DeadKernelError) or "died" in str(error).lower():
                    return {"status": "dead", "error": "the kernel died (killed, or out of memory?)", "cell": cell}
                return {"status": "error", "error": f"{type(error).__name__}: {error}"[:2000], "cell": cell}
    except BaseException:
        leash.pull()
        raise
    finally:
        timer.cancel()


def environment(threads: int | None, jobs: int) -> dict[str, str]:
    """Return this process's environment with the number of threads set and without a matplotlib backend."""
    from joblib import cpu_count

    chosen = threads or int(os.environ.get("OMP_NUM_THREADS") or max(1, cpu_count() // jobs))
    return {**{k: v for k, v in os.environ.items() if k != "MPLBACKEND"}, **dict.fromkeys(THREADS, str(chosen))}


def last_cell(path: Path) -> int | None:
    """Return the index of the last cell that an executed notebook has begun, None before the first."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return None
    begun = [i for i, cell in enumerate(cells) if cell["metadata"].get("papermill", {}).get("start_time")]
    return begun[-1] if begun else None


def read_status(folder: str | Path) -> dict:
    """Return the status.json of a run that has ended; {} for another."""
    status = read_object(Path(folder) / "status.json")
    return status if status.get("status") in STATES else {}
