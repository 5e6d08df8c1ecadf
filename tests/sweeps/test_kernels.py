"""kill -9 of a kernel, of a sweep and of a cluster's worker, and Ctrl-C: nothing is lost, no kernel is left running."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import joblib
import psutil
import pytest

from helpers.sweep_notebook import alive, begun, write_notebook
from losa.sweeps.kernels import Leash, kill_tree, private_kernels
from losa.sweeps.sweep import sweep

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
GRID = {"how": ["slowly"], "seed": [0, 1, 2]}


def wait_for(condition, seconds: float = 60.0):
    """What the condition gives once it gives something."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"did not come within {seconds} s"
        time.sleep(0.05)
    return found


def start(notebook: Path, out: Path, jobs: int = 2) -> subprocess.Popen:
    """A sweep in a process of its own."""
    call = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # ignored by what runs behind &
    call += f"from losa.sweeps.sweep import sweep; sweep({str(notebook)!r}, {GRID!r}, {str(out)!r}, jobs={jobs})"
    return subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def statuses(out: Path) -> list[str]:
    return sorted(json.loads(path.read_text())["status"] for path in out.glob("*/status.json"))


def test_a_killed_kernel_costs_one_run_and_a_killed_sweep_none(tmp_path):
    """A kernel dies while another runs beside it; then the sweep itself dies, and goes on when called again."""
    notebook, out = write_notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    killed = start(notebook, out)
    first, second = wait_for(lambda: len(found := begun(out)) == 2 and found)
    assert "losa.sweeps.kernels" in psutil.Process(second).cmdline()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: statuses(out) == ["dead"])
    wait_for(lambda: len(begun(out)) == 3 and alive([second]))
    killed.kill()
    killed.wait()
    wait_for(lambda: not alive(begun(out)), 10)
    assert statuses(out) == ["dead"]
    (out / "go").write_text("")
    result = sweep(notebook, GRID, out, jobs=2, quiet=True)
    assert (result.ok, result.skipped, result.dead, result.exit_code) == (2, 0, 1, 1)
    result = sweep(notebook, GRID, out, retry=True, quiet=True)
    assert (result.ok, result.skipped, result.exit_code) == (1, 2, 0) and statuses(out) == ["ok"] * 3
    assert len(begun(out)) == 6 and not alive(begun(out))


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_the_kernels_and_writes_no_status(tmp_path, jobs):
    notebook, out = write_notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    interrupted = start(notebook, out, jobs)
    kernels = wait_for(lambda: len(found := begun(out)) == jobs and found)
    interrupted.send_signal(signal.SIGINT)
    _, said = interrupted.communicate(timeout=30)
    assert interrupted.returncode != 0 and "KeyboardInterrupt" in said
    wait_for(lambda: not alive(kernels), 10)
    assert statuses(out) == [] and len(begun(out)) == jobs


def test_a_killed_worker_of_a_cluster_loses_nothing(tmp_path):
    """dask, two workers that are processes of their own; one is killed with the kernel it watches over."""
    distributed = pytest.importorskip("distributed")
    notebook, out = write_notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    killed = []

    def kill_one() -> None:
        kernels = wait_for(lambda: len(found := begun(out)) == 2 and found)
        worker = psutil.Process(kernels[0]).parent()
        worker.kill()
        killed.append(worker.pid)
        wait_for(lambda: not alive(kernels[:1]), 10)
        (out / "go").write_text("")

    killer = threading.Thread(target=kill_one)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
                                  local_directory=str(tmp_path / "dask")) as cluster, distributed.Client(cluster):
        killer.start()
        with joblib.parallel_config(backend="dask"):
            result = sweep(notebook, GRID, out, quiet=True)
        killer.join()
    assert killed and killed[0] != os.getpid()
    assert result.ok == 3 and statuses(out) == ["ok"] * 3 and not alive(begun(out))


def test_a_leash_ends_what_it_held_and_what_comes_late():
    sleepers = [subprocess.Popen([sys.executable, "-c", "import subprocess, sys; subprocess.run(['sleep', '60'])"])
                for _ in range(2)]
    leash, (first, late) = Leash(), [psutil.Process(p.pid) for p in sleepers]
    wait_for(lambda: first.children() and late.children())
    below = first.children() + late.children()
    leash.hold(first)
    leash.pull()
    leash.hold(late)
    assert all(p.wait(10) == -signal.SIGKILL for p in sleepers)
    wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in below), 10)
    kill_tree(first)  # gone already


def test_kernels_use_tcp_only_where_a_socket_would_have_too_long_a_path(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        for name, transport in (("short", "ipc"), ("long" * 30, "tcp")):
            monkeypatch.setenv("JUPYTER_RUNTIME_DIR", os.path.join(folder, name))
            assert private_kernels()().transport == transport
