"""Notebooks: told as stories, their parameters are what the package takes, and they run from top to bottom."""

import ast
import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from safetensors.torch import load_file

import losa
from helpers.paths import ROOT
from losa.annotations.dataset import load_annotations
from losa.cli.output import describe_fields
from losa.config import Config
from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import read_ground_truth, read_predictions
from losa.inspection.run_folder import open_run
from losa.inspection.timeline_data import video_table
from losa.model.checkpoint import load_model
from losa.presets import PRESETS
from losa.workflows import demo as demos

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def parameters(path: Path) -> dict:
    """Names and values of a notebook's parameters, in order."""
    (cell,) = [c for c in nbformat.read(path, 4).cells if "parameters" in c.metadata.get("tags", [])]
    return {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}


@each
def test_notebook_is_a_story(path):
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert (book.nbformat, book.nbformat_minor) == (4, 5) and book.metadata.kernelspec.name == "python3"
    cells, plain = book.cells, [c for c in book.cells if c.cell_type == "code"]
    assert cells[0].source.startswith("# ") and all(word in cells[0].source for word in ("Question", "You will see"))
    assert cells[-1].cell_type == "markdown" and cells[-1].source.startswith("## What to try next")
    for before, cell in zip(cells[:-1], cells[1:], strict=True):
        assert cell.cell_type != "code" or before.cell_type == "markdown", cell.source
    code = [c.source for c in plain if "parameters" not in c.metadata.get("tags", [])]
    assert len([line for source in code for line in source.splitlines() if line.strip()]) <= 65
    written = [source for source in code if source.startswith("%%writefile ")]  # a file, whose definitions it teaches
    assert len(written) == (path.stem == "07_extend")
    assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for source in code if source not in written
                   for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("name", ["05_inspect", "06_how_losa_works", "07_extend"])
def test_exercises_have_answers_that_are_hidden_at_first(name):
    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4)
    text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    written = text.count("<details>")
    assert written == text.count("</details>") == text.count("<summary>") == text.count("</summary>")
    computed = [c for c in book.cells if c.source.startswith("answers.")]
    assert all(c.metadata["jupyter"] == {"source_hidden": True} for c in computed)
    assert written + len(computed) >= 3


@each
def test_names_of_other_notebooks_are_links_to_them(path):
    """In text that is: what stands in a block of code, or in the path of a command, is to be typed."""
    stems = {other.stem for other in NOTEBOOKS}
    text = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    links = re.compile(r"\[(\w+)\]\((\w+)\.ipynb\)")  # `as code` they would not look like links
    assert all(name == target and target in stems for name, target in links.findall(text))
    assert re.findall(r"(?<![\w/])\d\d[a-z]?_[a-z_]+(?:\.ipynb)?", links.sub("", text)) == []


@each
def test_every_parameter_is_a_literal_with_help_that_papermill_reads(path):
    seen = papermill.inspect_notebook(str(path))
    assert list(seen) == list(parameters(path))
    assert all(entry["help"] for entry in seen.values())


@each
def test_import_cells_are_short(path):
    """What a notebook would rebuild by hand comes from the package."""
    code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code" and not c.source.startswith("%%")]
    lines = [line for source in code for line in source.splitlines() if re.match(r"(import|from) ", line)]
    assert len(lines) <= 5, lines
    assert sum("losa.at_repository(" in source or "find_inputs(" in source for source in code) == 1


@each
def test_first_code_cell_checks_the_names_of_the_parameters_before_anything_else(path):
    """A misspelt name stops there, because the cell names every parameter and nothing but imports stands before."""
    first = next(c.source for c in nbformat.read(path, 4).cells
                 if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", []))
    calls = [node.value for node in ast.parse(first).body
             if not isinstance(node, ast.Import | ast.ImportFrom)]
    assert ast.unparse(calls[0].func) == "losa.check_parameters" and ast.unparse(calls[0].args[0]) == "globals()"
    named = eval(f"[{', '.join(map(ast.unparse, calls[0].args[1:]))}]", {"losa": losa})
    assert named == list(parameters(path))


def test_training_parameters_are_printed_by_the_config():
    (cell,) = [c for c in nbformat.read(ROOT / "notebooks" / "02_train.ipynb", 4).cells
               if "parameters" in c.metadata.get("tags", [])]  # fmt: skip
    assert cell.source.split("\n", 1)[1] == describe_fields(Config(), as_cell=True)


def test_training_parameters_are_the_config():
    given = parameters(ROOT / "notebooks" / "02_train.ipynb")
    assert given.pop("out")
    standard = Config().to_dict()
    wrong = {name: f"{name} = {json.dumps(value)}" for name, value in standard.items() if given.get(name) != value}
    assert not wrong, f"in 02_train.ipynb write (None, True, False in Python's spelling): {list(wrong.values())}"
    assert list(given) == list(Config.model_fields)
    assert Config.make(**given) == Config()


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A finished demo at size tiny, with the quickstart that the demo itself has run."""
    out = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MPLBACKEND", raising=False)  # notebooks bring their own
        demos.demo(out, notebook=ROOT / "notebooks" / "00_quickstart.ipynb", size="tiny")
    return out


@pytest.fixture(scope="module")
def executed(finished, tmp_path_factory) -> Path:
    """The folder in which parameterised copies of all notebooks have run under nbval."""
    folder = tmp_path_factory.mktemp("notebooks")
    config = PRESETS["tiny"](finished)
    data = {"annotations": config.annotations, "cache": config.cache}
    swept = {**data, "notebook": str(ROOT / "notebooks" / "02_train.ipynb"), "seeds": [0]}
    standard = Config().to_dict()
    small = {name: value for name, value in config.to_dict().items() if name not in data and value != standard[name]}
    given = {"00_quickstart": {"run_dir": str(finished)},
             "01_data": {"world_dir": str(finished / "world"), "size": "tiny", "cache": str(finished / "taps")},
             "02_train": {**config.to_dict(), "out": str(folder / "run")},
             "03_ablations": {**swept, "out": str(folder / "ablations"), "grid": {"short_window": [1]}, "axes": {},
                              "changed": small},  # two runs: that one and the default
             "03b_modes": {**swept, "out": str(folder / "modes"), "modes": ["head_only", "inside"],
                           "start_epochs": 1, "epochs": 1, "changed": {**small, "warmup_epochs": 0},
                           "bench": {"size": "videomae_s", "num_clips": 1, "input_size": 32}},
             "04_own_video": {"out": str(folder / "own"), "size": "tiny", "epochs": 1,
                              "settings": {name: config.to_dict()[name] for name in (
                                  "warmup_epochs", "batch_size", "window", "head_levels", "head_dim", "adapter_dim")}},
             "05_inspect": {"run_dir": str(finished / "losa"), "compare_dir": str(finished / "head_only"),
                            "out": str(folder / "inspect")},
             "06_how_losa_works": {"run_dir": str(finished / "losa")},
             "07_extend": {**swept, "out": str(folder / "extend"), "epochs": 1, "changed": {**small, "epochs": 1}},
             "08_label_and_correct": {"out": str(folder / "label"), "size": "tiny", "rounds": 2, "min_score": 0.001,
                                      "settings": {**small, "epochs": 1, "warmup_epochs": 0}}}
    assert set(given) == {path.stem for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        assert given[path.stem].keys() <= parameters(path).keys()
        papermill.execute_notebook(str(path), str(folder / path.name), parameters=given[path.stem], prepare_only=True)
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120",
               "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", *map(str, folder.glob("*.ipynb"))]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MPLBACKEND"))}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    num_cells = sum(c.cell_type == "code" for path in folder.glob("*.ipynb") for c in nbformat.read(path, 4).cells)
    assert f"{num_cells} passed" in done.stdout
    return folder


def test_training_notebook_gives_what_the_package_gives(executed, finished):
    """The same configuration as the demo's LoSA run: equal weights, and mAP that a fresh evaluation confirms."""
    result = json.loads((executed / "run" / "result.json").read_text())
    assert result["config"] == json.loads((finished / "losa" / "config.json").read_text())
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (executed / "run", finished / "losa"))
    assert mine.keys() == theirs.keys() and all(mine[k].equal(theirs[k]) for k in mine)
    truth = read_ground_truth(finished / "world" / "annotations.json", "test")
    again = evaluate(truth, read_predictions(executed / "run" / "predictions.json"), tuple(result["tiou"]))
    assert result["average_map"] == pytest.approx(again.average_map, abs=1e-9)


def test_ablations_run_what_the_training_notebook_runs(executed):
    """One run per setting, and the default's is the training notebook's own: equal weights, equal numbers."""
    runs = {json.loads(path.read_text())["config"]["short_window"]: path.parent
            for path in (executed / "ablations" / "runs").glob("*/result.json")}
    assert set(runs) == {1, Config().short_window}
    for name in ("result.json", "model.safetensors"):
        assert (runs[1] / name).read_bytes() != (runs[4] / name).read_bytes()
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (runs[4], executed / "run"))
    assert mine.keys() == theirs.keys() and all(mine[k].equal(theirs[k]) for k in mine)
    kept = {path.name for path in (executed / "ablations").iterdir() if path.is_file()}
    assert kept == {"heat_map.svg", "intervals.svg", "lengths.svg", "gates.svg", "explore.html"}
    assert "<html" in (executed / "ablations" / "runs" / "report.html").read_text()
    table = pd.read_csv(executed / "ablations" / "runs" / "runs.csv").set_index("short_window")
    assert table["status"].eq("ok").all() and len(table) == 2
    for window, folder in runs.items():
        found = json.loads((folder / "result.json").read_text())["average_map"]
        assert table.loc[window, "average_map"] == pytest.approx(found)


def test_modes_start_from_the_same_head(executed):
    runs = {result["mode"]: result for path in (executed / "modes" / "runs").glob("*/result.json")
            for result in [json.loads(path.read_text())]}
    (start,) = (executed / "modes" / "starts").glob("*/result.json")
    assert set(runs) == {"head_only", "inside"}
    assert {Path(result["config"]["start"]) for result in runs.values()} == {start.parent}
    assert runs["inside"]["trainable_parameters"] > runs["head_only"]["trainable_parameters"]
    assert (executed / "modes" / "pareto.svg").exists()


def test_own_video_notebook_repairs_what_it_made_wrong(executed):
    """The clean data set is the world's own again, but for the broken file's video and the end that was clipped."""
    folder = executed / "own" / "example"
    typed = (folder / "world" / "labels.csv").read_text().splitlines()
    assert len(typed) != len((folder / "labels_clean.csv").read_text().splitlines())
    *whole, broken = load_annotations(folder / "world" / "annotations.json").videos
    made = load_annotations(folder / "annotations.json")
    assert {v.id for v in made.videos} == {v.id for v in whole} and broken.id not in {v.id for v in made.videos}
    expected = {(v.id, *np.round(segment, 2)) for v in whole for segment in v.segments}
    found = {(v.id, *np.round(segment, 2)) for v in made.videos for segment in v.segments}
    assert len(found) == len(expected)
    (lost,), (clipped,) = expected - found, found - expected
    assert lost[:2] == clipped[:2] and clipped[2] == round(next(v for v in whole if v.id == lost[0]).duration, 2)
    assert {v.subset for v in made.videos} == {"train", "test"}


def test_own_video_notebook_leaves_what_one_can_look_at(executed):
    folder = executed / "own" / "example"
    new = {v.id for v in load_annotations(folder / "new" / "annotations.json").videos}
    assert set(read_predictions(folder / "found" / "predictions.json")) == new
    assert {path.stem for path in (folder / "found" / "subtitles").glob("*.srt")} == new
    assert "<html" in (folder / "found" / "index.html").read_text()




def test_the_demos_quickstart_shows_pictures_and_no_warning(finished):
    book = nbformat.read(finished / "00_quickstart.ipynb", 4)
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 4 + 3 + 1  # figures, timelines, and a widget's
    assert not [out for out in outputs if out.output_type in ("stream", "error") and out.get("name") != "stdout"]


def test_a_second_execution_of_the_quickstart_gives_the_same_outputs(finished, tmp_path):
    """What nbval compares strictly: every text, table and number."""
    book = shutil.copy(finished / "00_quickstart.ipynb", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=120",
               "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}", book]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MPLBACKEND"))}
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_inspection_leaves_a_page_and_a_picture_of_the_worst_video(executed, finished):
    run = open_run(finished / "losa")
    table = video_table(run, min_score=parameters(ROOT / "notebooks" / "05_inspect.ipynb")["min_score"])
    worst = table.loc[(table.missed + table.wrong).idxmax(), "video"]
    assert {path.name for path in (executed / "inspect").iterdir()} == {f"{worst}.html", f"{worst}.svg"}
    assert "default-src 'none'" in html.unescape((executed / "inspect" / f"{worst}.html").read_text())


def test_the_adapter_written_in_a_cell_is_what_is_trained(executed):
    own = f"{executed / 'extend' / 'own_adapter.py'}:Convolution"
    runs = {(config["mode"], config["adapter"]): path.parent
            for path in (executed / "extend" / "runs").glob("*/result.json")
            for config in [json.loads(path.read_text())["config"]]}
    assert set(runs) == {("head_only", "temporal"), ("losa", "temporal"), ("losa", own)}
    model, _, _ = load_model(runs["losa", own])
    assert {type(adapter).__name__ for row in model.adapters for adapter in row} == {"Convolution"}


def test_labelling_notebook_labels_all_videos_both_ways(executed):
    """The last training set of each way is the world's own, with the labels that were made of nothing."""
    rendered = load_annotations(executed / "label" / "world" / "annotations.json").videos
    world = {v.id: sorted(v.labels) for v in rendered if v.subset != "val"}
    (folder,) = (executed / "label").glob("simulated-*")
    assert {path.name for path in folder.glob("*.json")} == {
        "first-1.json", "from_scratch-2.json", "propose_and_correct-2.json"}
    for way in ("from_scratch", "propose_and_correct"):
        made = load_annotations(folder / f"{way}-2" / "annotations.json")
        assert {v.id: sorted(v.labels) for v in made.videos} == world
