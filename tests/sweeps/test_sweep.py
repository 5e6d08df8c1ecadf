"""Sweeps: what is refused before anything runs, and what the folders of finished, failed and dead runs hold."""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from itertools import product
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml
from filelock import FileLock

from helpers.paths import ROOT
from helpers.sweep_notebook import CODE, PARAMETERS, begun, write_notebook
from losa.annotations.dataset import Annotations, load_annotations
from losa.config import Config
from losa.errors import SweepError
from losa.presets import PRESETS
from losa.sweeps.kernels import private_kernels
from losa.sweeps.plan import expand, parameters_of, plan
from losa.sweeps.sweep import THREADS, SweepResult, environment, sweep
from losa.taps.open import open_features

TRAIN = ROOT / "notebooks" / "02_train.ipynb"


def read(folder: Path, name: str):
    return json.loads((folder / name).read_text())


def by(result, name: str) -> dict:
    return {row["parameters"][name]: row for row in result.runs}


# --- the grid -----------------------------------------------------------------------------------------------


def test_a_grid_is_every_combination(tmp_path):
    grid = {"ranges": ["short", "long"], "seed": range(3), "taps": [[1, 3], "all"], "gate": "none"}
    brute = [{"ranges": r, "seed": s, "taps": t, "gate": "none"}
             for r, s, t in product(["short", "long"], [0, 1, 2], [[1, 3], "all"])]  # fmt: skip
    assert expand(grid) == brute
    assert expand([{"seed": [0, 1]}, {"ranges": "short"}]) == [{"seed": 0}, {"seed": 1}, {"ranges": "short"}]
    written = {**grid, "seed": [0, 1, 2]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(written))
    (tmp_path / "grid.json").write_text(json.dumps([written]))
    assert expand(tmp_path / "grid.yaml") == expand(str(tmp_path / "grid.json")) == brute


@pytest.mark.parametrize("text, said", [
    ("seed: [0, 1]\nranges: short\nseed: [2]\n", "names 'seed' twice"), ("seed: [0, 1", "neither YAML nor JSON"),
    ("[]", "grid is empty"), ("seed: []", r"\['seed'\] have no values"), ("seed", "a dict of lists"),
    ('{"seed": 1, "seed": 2}', "names 'seed' twice")])  # fmt: skip
def test_a_grid_file_that_says_nothing_clear_is_refused(tmp_path, text, said):
    path = tmp_path / ("grid.json" if text.startswith("{") else "grid.yaml")
    path.write_text(text)
    with pytest.raises(SweepError, match=said):
        expand(path)


@pytest.mark.parametrize("grid, said", [
    ({}, "grid is empty"), ([], "grid is empty"), ({"seed": []}, r"\['seed'\] have no values"),
    ({"sed": [1]}, "did you mean 'seed'"), ({"seed": [1, 1]}, "same run twice"), ([{"seed": 0}, {}], "same run twice"),
    ({"out": ["x"]}, "sets `out`"), ({"seed": [object()]}, "cannot be a parameter"), ("nowhere.yaml", "cannot be read"),
    ("seed", "cannot be read")])  # fmt: skip
def test_a_wrong_grid_is_refused_and_nothing_is_made(tmp_path, grid, said):
    with pytest.raises(SweepError, match=said):
        sweep(write_notebook(tmp_path / "a.ipynb"), grid, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("notebook, said", [
    ({"tags": ()}, "no cell tagged `parameters`"), ({"parameters": "seed = 0"}, "no parameter `out`"),
    ({"parameters": 'out = "x"\nseed = max(1, 2)'}, "more than plain values"),
    ({"parameters": 'out = "x'}, "more than plain values")])  # fmt: skip
def test_a_notebook_without_usable_parameters_is_refused(tmp_path, notebook, said):
    with pytest.raises(SweepError, match=said):
        sweep(write_notebook(tmp_path / "a.ipynb", **notebook), {"seed": [0]}, tmp_path / "out")


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


# --- the training notebook, not executed --------------------------------------------------------------------


def test_the_config_is_asked_before_the_first_run(tmp_path, tiny):
    data, out = str(tiny / "world" / "annotations.json"), tmp_path / "out"
    for grid, said in [({"gate": ["tanh", "tahn"]}, "gate"), ({"head_dim": [64, 66]}, "head_dim=66"),
                       ({"tiou": [0.3, 0.5]}, r"write \[\[...\]\]"), ({"short_windw": [1]}, "'short_window'"),
                       ({"annotations": ["nowhere.json"]}, "there is no"), ({"seed": [0, 0.0]}, "same run twice")]:
        with pytest.raises(SweepError, match=said):
            plan(TRAIN, grid if "annotations" in grid else {"annotations": data, **grid}, out)
    cache = tmp_path / "taps"
    cache.mkdir()
    (cache / f"{'0' * 32}.json").write_text('{"recipe": {"format": 1}}')
    with pytest.raises(SweepError, match="another version"):
        plan(TRAIN, {"annotations": data, "cache": str(cache)}, out)


def test_values_reach_the_notebook_as_the_config_reads_them(tmp_path, tiny, monkeypatch):
    """YAML reads 1e-3 as a string; relative paths are meant from here; the name survives a move of everything."""
    for place in ("here", "there"):
        shutil.copytree(tiny / "world", tmp_path / place / "world", ignore=shutil.ignore_patterns("*.mp4"))
        (tmp_path / place / "grid.yaml").write_text("learning_rate: 1e-3\nannotations: world/annotations.json\n"
                                                    "cache: taps\ntrain_subset: world\n")
    found = []
    for place in ("here", "there"):
        monkeypatch.chdir(tmp_path / place)
        (run,) = plan(TRAIN, "grid.yaml", "runs")
        assert run.parameters == {"learning_rate": 0.001, "annotations": str(Path("world/annotations.json").absolute()),
                                  "cache": str(Path("taps").absolute()), "train_subset": "world"}
        assert run.trains and Path(run.folder).parent == Path("runs").absolute()
        found.append(Path(run.folder).name)
    assert found[0] == found[1]


def test_a_run_is_named_by_code_parameters_and_nothing_else(tmp_path):
    def name(grid: dict, **notebook) -> str:
        (run,) = plan(write_notebook(tmp_path / "a.ipynb", **notebook), grid, tmp_path / "out")
        return Path(run.folder).name

    same = {name({"seed": 0}), name([{}]), name({"how": "well"}),
            name({"seed": 0}, parameters=PARAMETERS.replace("a number", "in other words"))}
    assert len(same) == 1
    others = {name({"seed": 1}), name({"seed": 0}, code=CODE + "1"), name({"data": "/tmp"}),
              name({"seed": 0}, parameters=PARAMETERS.replace("well", "good"))}
    assert len(same | others) == 5


def test_the_whole_config_is_found_in_the_training_notebook():
    found = parameters_of(nbformat.read(TRAIN, as_version=4), TRAIN)
    assert found.pop("out") and found == Config().to_dict()


# --- runs ---------------------------------------------------------------------------------------------------


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


@pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")
def test_kernels_use_tcp_only_where_a_socket_would_have_too_long_a_path(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        for name, transport in (("short", "ipc"), ("long" * 30, "tcp")):
            monkeypatch.setenv("JUPYTER_RUNTIME_DIR", os.path.join(folder, name))
            assert private_kernels()().transport == transport


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


def test_the_benchmark_measures_what_it_says(tmp_path, monkeypatch):
    """With a sweep that only writes what runs leave behind."""
    from losa.studies import sweep_speed as module

    def fake(notebook, grid, out, *, jobs, threads, quiet):
        for seed in grid["seed"]:
            (out / str(seed)).mkdir(parents=True)
            (out / str(seed) / "status.json").write_text(json.dumps({"seconds": 10.0 * (seed + 1)}))
            (out / str(seed) / "result.json").write_text(json.dumps({"seconds": {"taps": 1, "train": 4}}))
        calls.append((jobs, threads))
        return SweepResult(out, [], ok=0, error=0, timeout=0, dead=0, skipped=0)

    calls = []
    for name, value in {"sweep": fake, "make_world": lambda *a: None, "open_features": lambda *a, **k: None,
                        "load_annotations": lambda path: Annotations((), ())}.items():
        monkeypatch.setattr(module, name, value)
    found = module.sweep_speed(tmp_path, size="tiny", num_runs=3, repeats=2)
    assert calls == [(1, 1), (2, 1)] * 2 and (found["training_s"], found["overhead_s"]) == (5, 15)
    assert "15.0 s beyond" in module.sweep_speed_table(found)
    with pytest.raises(SweepError, match="measured before"):
        module.sweep_speed(tmp_path, size="tiny", num_runs=3, repeats=1)
