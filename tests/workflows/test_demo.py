"""The main job at size tiny: everything it promises lies in the folder, and a second call reuses it."""

import json

import pytest

from helpers.paths import ROOT
from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import read_ground_truth, read_predictions
from losa.workflows.demo import demo

QUICKSTART = ROOT / "notebooks" / "00_quickstart.ipynb"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, demo(out, notebook=QUICKSTART, size="tiny")


def test_result_has_what_the_readme_promises(made):
    out, result = made
    assert json.loads((out / "result.json").read_text()) == json.loads(json.dumps(result))
    for mode in ("head_only", "losa"):
        assert len(result[mode]["map"]) == 5 and 0 <= result[mode]["average_map"] <= 1
    assert result["trainable_parameters"]["losa"] > result["trainable_parameters"]["head_only"] > 0
    assert result["peak_memory_mb"] > 100 and all(s >= 0 for s in result["seconds"].values()) and result["seed"] == 0


def test_reported_numbers_are_those_of_the_written_predictions(made):
    out, result = made
    truth = read_ground_truth(out / "world" / "annotations.json", "test")
    again = evaluate(truth, read_predictions(out / "predictions.json"), (0.3, 0.4, 0.5, 0.6, 0.7))
    assert again.map == pytest.approx(result["losa"]["map"], abs=1e-12)


def test_page_and_notebook_are_there(made):
    out, _ = made
    page = (out / "index.html").read_text()
    assert "LoSA" in page and page.count("data:video/mp4;base64,") == 3
    notebook = json.loads((out / "00_quickstart.ipynb").read_text())
    assert any(cell.get("outputs") for cell in notebook["cells"])


def test_second_call_reuses_runs_and_says_so(made, capsys):
    out, result = made
    files = [*out.rglob("*.safetensors"), out / "00_quickstart.ipynb"]
    stamps = [path.stat().st_mtime_ns for path in files]
    assert demo(out, notebook=QUICKSTART, size="tiny")["losa"] == result["losa"]
    assert stamps == [path.stat().st_mtime_ns for path in files]
    said = capsys.readouterr().out
    assert said.count("trained already") == 2 and "rendering" not in said


def test_without_the_notebook_the_demo_goes_on_and_says_so(made, capsys):
    out, result = made
    assert demo(out, notebook=out / "nowhere.ipynb", size="tiny")["losa"] == result["losa"]
    assert "no notebook" in (said := capsys.readouterr().out) and "--notebook" in said and "average mAP" in said
