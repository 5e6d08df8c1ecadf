"""A sweep: one notebook, executed once for every combination of parameters, each in a kernel and a folder of its own.

A run's folder is named after the notebook's code, its parameters and the package's version, so the same call later
finds what is there: finished runs are skipped, an interrupted sweep goes on. A run has ended once its folder holds
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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from losa.errors import SweepError
from losa.files import write_json
from losa.sweeps.kernels import Leash, private_kernels
from losa.sweeps.plan import Run, own_code, plan

STATES = ("ok", "error", "timeout", "dead")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "NUMEXPR_NUM_THREADS")  # fmt: skip
OWN_BACKENDS = ("LokyBackend", "MultiprocessingBackend", "ThreadingBackend", "SequentialBackend")


@dataclass(frozen=True)
class SweepResult:
    """How the runs of a sweep ended. `skipped` were ok already; earlier failures count as what they are."""

    out: Path
    runs: list[dict]  # of each run, in the grid's order: run (its folder's name), parameters, status, seconds, error
    ok: int
    error: int
    timeout: int
    dead: int
    skipped: int

    @property
    def names(self) -> list[str]:
        """The runs' folders, as seen from `out`; others there are of other sweeps."""
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
    """The runs' ends; everything else is in `out`/<run>/, see `plan` for what is refused before the first one.

    Executes `jobs` runs at a time, or as many as the cluster has workers inside `joblib.parallel_config(backend=
    "dask")`. retry: failed runs once more. timeout_s: of one run. threads: of one run; default: OMP_NUM_THREADS where
    it is set, else the cores divided by `jobs`.
    """
    if jobs < 1:
        raise SweepError(f"jobs={jobs}: at least one run at a time")
    runs = plan(notebook, grid, out, timeout_s=timeout_s, threads=threads)
    out, before = Path(out).absolute(), {}
    with only_sweep(out):
        for run in runs:
            status = read_status(run.folder)
            if status.get("status") == "ok" or status and not retry:
                before[run.folder] = status
        check_annotations([run for run in runs if run.folder in before])
        todo = [run for run in runs if run.folder not in before]
        ended = execute_all(todo, jobs, quiet)
    found = {**before, **ended}
    rows = [{"run": Path(r.folder).name, "parameters": r.parameters, **found[r.folder]} for r in runs]
    counts = Counter("skipped" if s["status"] == "ok" and f in before else s["status"] for f, s in found.items())
    result = SweepResult(out, rows, **{name: counts[name] for name in (*STATES, "skipped")})
    if not quiet:
        tell(result, before)
    return result


def tell(result: SweepResult, before: dict[str, dict]) -> None:
    """Prints the counts, and what had failed before this call (the others were told as they failed)."""
    print(result)
    left = [(folder, status) for folder, status in before.items() if status["status"] != "ok"]
    for folder, status in left:
        print(f"  {Path(folder).name} {status['status']}: {status['error']}")
    if left:
        print("  these failed before this call and were left as they are; --retry (retry=True) runs them again")


def only_sweep(out: Path):
    """A lock on the folder, which the system takes back from a killed process. Raises SweepError if it is held."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / ".sweep.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        raise SweepError(f"another sweep is writing into {out}; wait for it, or give another folder") from None


def check_annotations(runs: list[Run]) -> None:
    """Nothing; raises SweepError where a finished run learnt from other annotations than those that are there now."""
    digests: dict[str, str] = {}
    for run in runs:
        try:
            result = json.loads((Path(run.folder) / "result.json").read_text(encoding="utf-8"))
            path, known = result["config"]["annotations"], result["inputs"]["annotations"]
            if path not in digests:
                digests[path] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        except (OSError, ValueError, TypeError, KeyError):  # no training, failed, or its data is gone
            continue
        if digests[path] != known:
            raise SweepError(f"{path} has changed since {run.folder} was run; old and new numbers cannot stand in one "
                             "table. Give another folder as --out, or delete that one")


def execute_all(runs: list[Run], jobs: int, quiet: bool) -> dict[str, dict]:
    """folder -> status of runs that have ended. Interrupted, it ends their kernels first."""
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
        with tqdm(total=len(runs), unit="run", desc="sweep", disable=quiet or not runs) as bar:
            for folder, status in Parallel(batch_size=1, **where)(delayed(execute)(r, jobs, stop) for r in runs):
                ended[folder] = status
                if status["status"] != "ok" and not quiet:
                    bar.write(f"{Path(folder).name} {status['status']}: {status['error']}")
                bar.update()
    except BaseException:
        stop.pull()
        raise
    return ended


def execute(run: Run, jobs: int, stop: Leash) -> tuple[str, dict]:
    """The run's folder and its status, also written to status.json there as the last of its files."""
    from filelock import FileLock

    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # a cluster may start a lost run again while the first one still ends
        known = read_status(folder)
        if known.get("status") == "ok":
            return run.folder, known
        for name in ("status.json", "result.json", "result.failed.json"):
            (folder / name).unlink(missing_ok=True)
        write_json(folder / "params.json", run.parameters)
        started, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        status = changed(run) or run_notebook(run, jobs, stop)
        if stop.pulled:
            return run.folder, {"status": "dead", "error": "the sweep was interrupted", "seconds": 0.0}
        result = folder / "result.json"
        if status["status"] == "ok" and run.trains and not result.exists():
            status = {"status": "error", "error": "the notebook ended without a result.json in `out`", "cell": None}
        if status["status"] != "ok" and result.exists():  # never a number
            os.replace(result, folder / "result.failed.json")
        status |= {"seconds": round(time.monotonic() - began, 2), "started": started, "host": socket.gethostname(),
                   "notebook": run.notebook, "version": version("losa")}  # fmt: skip
        write_json(folder / "status.json", status)
    return run.folder, status


def changed(run: Run) -> dict:
    """The status of a run whose adapter was edited since the sweep began, empty where it may begin."""
    try:
        why = "" if run.own == own_code(*run.own[:1] or [""]) else f"{run.own[0]} was edited since the sweep began"
    except SweepError as error:
        why = str(error)
    return {"status": "error", "error": f"{why}; begin the sweep again", "cell": None} if why else {}


def run_notebook(run: Run, jobs: int, stop: Leash) -> dict:
    """status, error and cell of one execution; the executed notebook is the folder's run.ipynb."""
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
        for attempt in (1, 2):  # a kernel that dies before its first cell gets a second chance
            path.unlink(missing_ok=True)
            try:
                papermill.execute_notebook(nbformat.reads(run.source, as_version=4), str(path),
                                           parameters={**run.parameters, "out": run.folder}, progress_bar=False,
                                           kernel_manager_class=kernels)
                return {"status": "ok", "error": "", "cell": None}
            except papermill.PapermillExecutionError as error:
                return {"status": "error", "error": f"{error.ename}: {error.evalue}"[:2000], "cell": error.cell_index,
                        "traceback": re.sub(r"\x1b\[[\d;]*m", "", "\n".join(error.traceback))}
            except Exception as error:
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
    """This process's environment with a number of threads, and without a choice of where figures go."""
    from joblib import cpu_count

    chosen = threads or int(os.environ.get("OMP_NUM_THREADS") or max(1, cpu_count() // jobs))
    return {**{k: v for k, v in os.environ.items() if k != "MPLBACKEND"}, **dict.fromkeys(THREADS, str(chosen))}


def last_cell(path: Path) -> int | None:
    """Index of the last cell that an executed notebook has begun, None before the first."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return None
    begun = [i for i, cell in enumerate(cells) if cell["metadata"].get("papermill", {}).get("start_time")]
    return begun[-1] if begun else None


def read_status(folder: str | Path) -> dict:
    """What status.json says of a run that has ended; empty for another."""
    try:
        found = json.loads((Path(folder) / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("status") in STATES else {}
