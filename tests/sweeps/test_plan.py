"""The plan of a sweep: grids, notebooks and configs that are refused before anything runs, and the names of runs."""

import json
import shutil
from itertools import product
from pathlib import Path

import nbformat
import pytest
import yaml

from helpers.paths import ROOT
from helpers.sweep_notebook import CODE, PARAMETERS, write_notebook
from losa.config import Config
from losa.errors import SweepError
from losa.sweeps.plan import expand, plan, read_parameters
from losa.sweeps.sweep import sweep

TRAIN = ROOT / "notebooks" / "02_train.ipynb"


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
        assert run.epochs == Config().epochs + Config().warmup_epochs
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
    found = read_parameters(nbformat.read(TRAIN, as_version=4), TRAIN)
    assert found.pop("out") and found == Config().to_dict()
