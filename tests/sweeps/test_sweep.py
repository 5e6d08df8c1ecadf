"""Sweeps: what the folders of finished, failed and dead runs hold, and what a second call does with them."""

import asyncio
import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import papermill
import pytest
from filelock import FileLock

from helpers.paths import ROOT
from helpers.sweep_notebook import begun, write_notebook
from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.errors import SweepError
from losa.presets import PRESETS
from losa.sweeps.sweep import THREADS, environment, sweep
from losa.taps.open import open_features

TRAIN = ROOT / "notebooks" / "02_train.ipynb"


def read(folder: Path, name: str):
    return json.loads((folder / name).read_text())


def by(result, name: str) -> dict:
    return {row["parameters"][name]: row for row in result.runs}


def test_a_folder_that_cannot_be_written_or_is_taken_is_refused(tmp_path):
    notebook, file = write_notebook(tmp_path / "a.ipynb"), tmp_path / "file"
    file.write_text("")
    for out in (file, file / "below"):
        with pytest.raises(SweepError, match="cannot write into"):
            sweep(notebook, {"seed": [0]}, out)
    for missing in ("b.ipynb", "file"):
        with pytest.raises(SweepError, match="no notebook|cannot be read as a notebook"):
            sweep(tmp_path / missing, {"seed": [0]}, tmp_path / "out")
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".sweep.lock"), pytest.raises(SweepError, match="another sweep"):
        sweep(notebook, {"seed": [0]}, tmp_path / "out")
    with pytest.raises(SweepError, match="jobs=0"):
        sweep(notebook, {"seed": [0]}, tmp_path / "out", jobs=0)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of five runs that end in four ways, two at a time, started from another folder."""
    folder, before = tmp_path_factory.mktemp("sweep"), os.getcwd()
    notebook = write_notebook(folder / "a.ipynb")
    (folder / "runs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("OMP_NUM_THREADS", "3")
        environment = {**os.environ, "KMP_INIT_AT_FORK": "FALSE"}  # joblib sets it when imported
        grid = [{"how": ["well", "badly", "killed"], "data": "runs/x"}, {"how": "slowly"}, {"seed": 7}]
        result = sweep(notebook.name, grid, "out", jobs=2, timeout_s=9)
        assert dict(os.environ) == environment and os.getcwd() == str(folder)
    assert os.getcwd() == before
    return folder, result


def test_every_run_tells_how_it_ended(swept):
    folder, result = swept
    assert (result.ok, result.error, result.dead, result.timeout, result.skipped) == (2, 1, 1, 1, 0)
    assert result.exit_code == 1 and "2 ok, 1 error, 1 timeout, 1 dead" in str(result)
    assert [r["parameters"].get("how") for r in result.runs] == ["well", "badly", "killed", "slowly", None]
    rows = {row["parameters"].get("how"): row for row in result.runs}
    for row in result.runs:
        status = read(folder / "out" / row["run"], "status.json")
        assert status["status"] == row["status"] and status["seconds"] > 0 and bool(status["error"]) != (
            row["status"] == "ok")
        assert read(folder / "out" / row["run"], "params.json") == row["parameters"]
        assert nbformat.read(folder / "out" / row["run"] / "run.ipynb", as_version=4).cells
    assert rows["badly"]["error"] == "AssertionError: this one is meant to fail"
    assert "assert how" in rows["badly"]["traceback"] and "\x1b" not in rows["badly"]["traceback"]
    assert {rows[how]["cell"] for how in ("badly", "killed", "slowly")} == {2}  # papermill adds one


def test_a_kernel_has_its_own_environment_and_the_callers_folder(swept):
    folder, result = swept
    for row in result.runs:
        if row["status"] == "ok":
            seen = read(folder / "out" / row["run"], "seen.json")
            given = row["parameters"].get("data", "")
            assert (folder / "out" / row["run"] / "left.txt").read_text() == "all"
            assert seen["threads"] == "3" and seen["cwd"] == str(folder)
            assert seen["data"] == (str(folder / "runs" / "x") if given else "runs/data.txt")


def test_the_same_call_skips_what_has_ended_and_retries_on_request(swept, capsys):
    folder, first = swept
    notebook, out = folder / "a.ipynb", folder / "out"
    count = len(begun(out))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        grid = [{"how": ["well", "badly", "killed"], "data": "runs/x"}, {"seed": 7}]
        again = sweep(notebook, grid, out)
        assert (again.skipped, again.error, again.dead, again.exit_code) == (2, 1, 1, 1)
        assert len(begun(out)) == count and "retry" in capsys.readouterr().out
        (out / "spare").write_text("")
        more = sweep(notebook, grid[0], out, retry=True, quiet=True)
    assert (more.skipped, more.error, more.ok, more.dead) == (1, 1, 1, 0) and len(begun(out)) == count + 2
    assert by(more, "how")["killed"]["status"] == "ok" and capsys.readouterr().out == ""


def test_the_bar_moves_within_a_run_as_its_log_grows(tmp_path, capsys):
    """The kernel is another process; all that is seen of it is its log, here with 2 of 3 epochs, until it may go on."""
    parameters = 'out = "runs/x"\nannotations = "a.json"\nepochs = 2\nwarmup_epochs = 1\n'
    code = ('import time\nfrom pathlib import Path\nlog, go = Path(out, "log.jsonl"), Path(out).parent / "go"\n'
            'log.write_text("{}\\n{}\\n")\nwhile not go.exists(): time.sleep(0.05)\n'
            'Path(out, "result.json").write_text("{}")')
    notebook, out, shown = write_notebook(tmp_path / "a.ipynb", parameters, code), tmp_path / "out", ""
    with ThreadPoolExecutor(1) as pool:
        swept = pool.submit(sweep, notebook, [{}], out)
        try:
            for _ in range(1200):
                shown += capsys.readouterr().err
                if "| 0.5 of 1 runs" in shown or swept.done():
                    break
                time.sleep(0.1)
        finally:
            out.mkdir(exist_ok=True)
            (out / "go").touch()
        assert swept.result().ok == 1
    assert "| 0.5 of 1 runs" in shown and "1.0 of 1" not in shown
    assert "100%" in (last := capsys.readouterr().err) and "| 1.0 of 1 runs" in last


def test_a_failed_run_never_is_a_number(tmp_path):
    """A training notebook that fails after its result, and one that ends without any."""
    parameters = 'out = "runs/x"\nannotations = "a.json"\nepochs = 1\nseed = 0\n'
    code = 'from pathlib import Path\nif seed != 3: Path(out, "result.json").write_text("{}")\nassert seed != 1'
    notebook = write_notebook(tmp_path / "a.ipynb", parameters, code)

    async def in_jupyter():  # where a loop is running already
        return sweep(notebook, {"seed": [1, 2, 3]}, tmp_path / "out", quiet=True)

    result = asyncio.run(in_jupyter())
    one, two, three = result.runs
    assert [row["status"] for row in result.runs] == ["error", "ok", "error"]
    assert "without a result.json" in three["error"]
    left = [sorted(p.name for p in (tmp_path / "out" / r["run"]).glob("result*")) for r in (one, two, three)]
    assert left == [["result.failed.json"], ["result.json"], []]


def test_finished_runs_on_annotations_that_have_changed_are_told_before_the_next_run(tmp_path, monkeypatch):
    parameters = 'out = "runs/x"\nannotations = ""\nepochs = 1\nseed = 0\n'
    notebook, data = write_notebook(tmp_path / "a.ipynb", parameters), tmp_path / "annotations.json"
    data.write_text("{}")

    def fake(*_, parameters, **__):
        calls.append(parameters["seed"])
        result = {"config": parameters, "inputs": {"annotations": hashlib.sha256(data.read_bytes()).hexdigest()}}
        Path(parameters["out"], "result.json").write_text(json.dumps(result))

    calls = []
    monkeypatch.setattr(papermill, "execute_notebook", fake)
    grid = {"annotations": str(data), "seed": [0]}
    assert sweep(notebook, grid, tmp_path / "out", quiet=True).ok == 1
    again = sweep(notebook, grid, tmp_path / "out", quiet=True)
    assert again.skipped == 1 and again.names == [p.parent.name for p in (tmp_path / "out").glob("*/result.json")]
    data.write_text("{ }")
    with pytest.raises(SweepError, match="annotations.json has changed since"):
        sweep(notebook, {**grid, "seed": [0, 1]}, tmp_path / "out", quiet=True)
    assert calls == [0]
    assert sweep(notebook, {**grid, "seed": [1]}, tmp_path / "out", quiet=True).ok == 1


@pytest.mark.parametrize("deaths, status", [(0, "ok"), (1, "ok"), (2, "dead")])
def test_a_kernel_that_does_not_come_up_is_started_once_more(tmp_path, monkeypatch, deaths, status):
    calls = []

    def fake(*_, **__):
        calls.append(1)
        if len(calls) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(papermill, "execute_notebook", fake)
    result = sweep(write_notebook(tmp_path / "a.ipynb"), {"seed": [0]}, tmp_path / "out", quiet=True)
    assert result.runs[0]["status"] == status and len(calls) == min(deaths + 1, 2)


def test_threads_are_the_callers_choice_or_a_share_of_the_cores(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    for known, given, jobs, expected in ((None, None, 2, "4"), (None, None, 16, "1"), ("3", None, 2, "3"),
                                         ("3", 5, 2, "5")):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if known:
            monkeypatch.setenv("OMP_NUM_THREADS", known)
        found = environment(given, jobs)
        assert {found[name] for name in THREADS} == {expected} and "MPLBACKEND" not in found
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_training_runs_of_two_seeds(tiny, tmp_path):
    """The training notebook itself, two at a time: the runs are those of the package, the cache is shared."""
    config = PRESETS["tiny"](tiny, cache=str(tmp_path / "taps"))
    given = {k: [v] for k, v in config.to_dict().items() if v != Config().to_dict()[k]}
    open_features(config, load_annotations(config.annotations).videos, quiet=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "taps").iterdir()}
    result = sweep(TRAIN, {**given, "seed": [0, 1]}, tmp_path / "out", jobs=2, quiet=True)
    assert [row["status"] for row in result.runs] == ["ok", "ok"], [row["error"] for row in result.runs]
    for seed, row in by(result, "seed").items():
        folder = tmp_path / "out" / row["run"]
        found = read(folder, "result.json")
        assert found["config"] == read(folder, "config.json") == config.replace(seed=seed).to_dict()
        outputs = [o for cell in nbformat.read(folder / "run.ipynb", 4).cells
                   for o in cell.get("outputs", [])]  # fmt: skip
        assert any("image/png" in output.get("data", {}) for output in outputs)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "taps").iterdir()}
