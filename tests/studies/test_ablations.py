"""The runs of the ablation study, how val chooses the learning rates, and one part run for real."""

import json

import pytest

from helpers.made_study import pretend
from helpers.paths import ROOT
from losa.config import Config
from losa.errors import SweepError
from losa.presets import widened_head
from losa.studies import ablations as study

TRAIN = ROOT / "notebooks" / "02_train.ipynb"
SMALL = dict(epochs=1, warmup_epochs=0, head_dim=16, head_levels=3, adapter_dim=8, val_every=1, window=96)


def test_every_planned_config_is_valid_and_parts_share_runs(tmp_path):
    runs = {name: study.planned(tmp_path, name) for name in study.PARTS if name not in study.DEPENDENT}
    keys = {name: [study.identify(run.parameters) for run in of_part] for name, of_part in runs.items()}
    assert len(keys["headline"]) == len(set(keys["headline"])) == 2 * 5 * 2
    assert len(keys["ranges"]) == 4 * 5 and len({*keys["ranges"]} - {*keys["headline"]}) == 2 * 5
    label = {run.label: study.identify(run.parameters) for run in runs["axes"] if run.data_seed == 102}
    control = {run.label: study.identify(run.parameters) for run in runs["controls"] if run.data_seed == 102}
    assert label["taps=last"] != control["last_block"]  # the axes are shorter, beside a default of their own
    assert control["both"] in keys["headline"]
    todo = study.missing(tmp_path, [run for of_part in runs.values() for run in of_part])
    assert len(todo) == len({key for of_part in keys.values() for key in of_part})
    first = [(run.data_seed, run.backbone) for run in runs["headline"][:2]]
    assert first == [(101, "gap"), (101, "gap_1")]  # neighbours fill different taps


def test_wide_head_control_is_the_next_width_up(tmp_path):
    run = next(r for r in study.planned(tmp_path, "controls") if r.label == "wide_head")
    wide, both = Config.make(**run.parameters), Config()
    narrower = widened_head(wide, wide.head_dim - wide.head_heads)
    assert study.num_parameters(narrower) < study.num_parameters(both) <= study.num_parameters(wide)


def test_a_run_is_known_by_its_config_whatever_its_paths_look_like(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study.identify({"annotations": "a.json"}) == study.identify({"annotations": str(tmp_path / "a.json")})
    assert study.identify({"annotations": "a.json"}) != study.identify({"annotations": "a.json", "seed": 1})


def test_modes_start_from_the_same_run_and_val_chooses_the_rate(worlds):
    with pytest.raises(study.StudyError, match="'warm' is missing"):
        study.planned(worlds, "tries")
    pretend(worlds, study.planned(worlds, "warm"), lambda run: 50.0)
    tries = study.planned(worlds, "tries")
    assert len(tries) == 10 and len({run.parameters["start"] for run in tries}) == 1
    with pytest.raises(study.StudyError, match="run the part 'tries' first"):
        study.planned(worlds, "modes")
    pretend(worlds, tries, lambda run: 40 + 5 * (run.label in ("full 2", "losa 1")))
    modes = {run.label: run.parameters for run in study.planned(worlds, "modes") if run.data_seed == 101}
    assert modes["full"]["backbone_lr_scale"] == study.TRIES["full"][1]["backbone_lr_scale"]
    assert modes["losa"]["learning_rate"] == study.TRIES["losa"][0]["learning_rate"]
    assert {m["start"] for m in modes.values()} == {str(worlds / "runs" / "warm_head_only_101_gap")}
    assert {m["epochs"] for m in modes.values()} == {study.SHORTEST["epochs"]}


def test_a_part_runs_through_the_notebook_once(tmp_path, monkeypatch):
    part = study.Part("Ranges", {"short": {"ranges": "short"}}, "head_only", seeds=(5,))
    monkeypatch.setitem(study.PARTS, "headline", part)
    table = study.ablations(tmp_path, ("headline",), size="tiny", jobs=1, quiet=True, notebook=TRAIN, fields=SMALL)
    assert "| short |" in table and "missing" not in table
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/result.json")]
    assert [(r["mode"], r["config"]["ranges"]) for r in results] == [("losa", "short")]
    monkeypatch.setattr(study, "sweep", None)  # a second call runs nothing
    assert study.ablations(tmp_path, ("headline",), size="tiny", quiet=True, notebook=TRAIN, fields=SMALL) == table
    with pytest.raises(study.StudyError, match=r"world_5/world holds \(6, 3, 3\) videos .* means \(80, 20, 40\)"):
        study.ablations(tmp_path, ("headline",), size="demo", quiet=True, notebook=TRAIN, fields=SMALL)
    with pytest.raises(study.StudyError, match="no part is called axis; there are headline"):
        study.ablations(tmp_path, ("axis",), notebook=TRAIN)
    with pytest.raises(SweepError, match="no notebook .*nowhere.ipynb.*--notebook"):
        study.ablations(tmp_path / "other", ("headline",), notebook=tmp_path / "nowhere.ipynb")
    assert not (tmp_path / "other").exists()
