"""The finding's runs, its arithmetic on made-up results, one part run for real; leave-one-out at its smallest."""

import json
import re

import numpy as np
import pytest
from scipy import stats

from helpers.paths import ROOT
from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.errors import SweepError
from losa.evaluation.targets import truth_of
from losa.presets import PRESETS, widened_head
from losa.studies import ablations as study
from losa.studies.folds import leave_one_out
from losa.world.motions import CLASSES

TRAIN = ROOT / "notebooks" / "02_train.ipynb"
SMALL = dict(epochs=1, warmup_epochs=0, head_dim=16, head_levels=3, adapter_dim=8, val_every=1, window=96)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def pretend(out, runs, score):
    """Finished runs on disk that were never run: `score(run)` is their average mAP in percent."""
    truth = {}
    for run in runs:
        config = Config.make(**run.parameters)
        if config.annotations not in truth:
            labelled = load_annotations(config.annotations)
            truth[config.annotations] = truth_of(labelled.subset("test"), labelled.classes)
        found = {v: [{**r, "score": 0.9} for r in rows] for v, rows in truth[config.annotations].items()}
        folder, value = out / "runs" / f"{run.part}_{run.label}_{run.data_seed}_{run.backbone}", score(run) / 100
        result = {"average_map": value, "late_gain": 0.1, "seconds": {"train": 60.0}, "trainable_parameters": 1000,
                  "peak_memory_mb": 500.0, "config": config.to_dict(), "val_map": {"5": 0.1, "6": value},
                  "per_class": {c: [value] * 5 for c in (*CLASSES, "answered_kick")},
                  "per_length": {"XS": {"average_map": value}, "S": {"average_map": None}}}
        write(folder / "config.json", config.to_dict())
        write(folder / "predictions.json", {"results": found})
        write(folder / "result.json", result)
        write(folder / "status.json", {"status": "ok"})


@pytest.fixture
def worlds(tiny, tmp_path):
    """A study's folder whose worlds are all the tiny one."""
    for seed in (study.CHOOSING, *study.FIVE):
        for kind in ("world", "context"):
            (tmp_path / f"{kind}_{seed}").symlink_to(tiny)
    return tmp_path


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


def test_the_table_pairs_seeds_averages_backbones_first_and_names_what_is_missing(worlds):
    gain = {"head_only": 0.0, "short": 4.0, "long": 3.0, "both": 6.0}
    noise = {101: 0.0, 102: 2.0, 103: -1.0, 104: 1.0, 105: 0.5}
    score = lambda run: (50 + run.data_seed - 100 + gain[run.label]  # noqa: E731
                         + (run.label == "both") * (noise[run.data_seed] + (run.backbone == "gap_1")))
    runs = [*study.planned(worlds, "headline"), *study.planned(worlds, "ranges")]
    pretend(worlds, [r for r in runs if (r.label, r.data_seed, r.backbone) != ("long", 105, "gap")], score)
    table = study.write_tables(worlds)
    values = np.array([6.5 + noise[seed] for seed in study.FIVE])
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    row = next(line for line in table.splitlines() if line.startswith("| both"))
    assert f"| {values.mean():+.1f} ± {(high - low) / 2:.1f} |" in row and "| +6.5 / +7.5 |" in row
    assert "[+0.0, +0.0]" in row  # the made-up predictions are all the same
    assert "1 of 20 runs are missing" in table and "| 1,000 |" in row and "not converged" not in table
    assert re.search(r"\| kick \(unseen by gap\) \| 53.0 \| \+4.0 ± 0.0 \|", table)
    both = re.search(r"gap: 6 classes unseen \| the 6 unseen by gap \| 53.0 \| (.*?) \|", table)
    assert both and both[1] == f"{53 + 6 + np.mean(list(noise.values())):.1f}"
    assert {p.name for p in worlds.glob("*.png")} == {"ablation_intervals.png", "ablation_where.png"}


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


def test_leave_one_out_pools_every_video_once(tiny, tmp_path):
    from losa.annotations.dataset import Annotations, save_annotations

    annotations = load_annotations(tiny / "world" / "annotations.json")
    save_annotations(Annotations(annotations.classes, annotations.videos[:3]), tmp_path / "annotations.json")
    config = PRESETS["tiny"](tmp_path, annotations=str(tmp_path / "annotations.json"), epochs=1, warmup_epochs=0)
    table = leave_one_out(config, tmp_path / "folds", seeds=(0,),
                          modes=("losa", "noise_features", "shuffled_labels"), num_processes=1)
    rows = json.loads((tmp_path / "folds" / "folds.json").read_text())
    assert [r["mode"] for r in rows] == ["losa", "noise_features", "shuffled_labels"]
    parameters = {m: json.loads((tmp_path / "folds" / f"{m}_0_0" / "result.json").read_text())["trainable_parameters"]
                  for m in ("losa", "noise_features", "shuffled_labels")}
    assert parameters["noise_features"] == parameters["shuffled_labels"] < parameters["losa"]
    assert {r["num_ground_truth"] for r in rows} == {sum(len(v.labels) for v in annotations.videos[:3])}
    assert "3 folds" in table
    shuffled = load_annotations(tmp_path / "folds" / "annotations" / "shuffled_labels_0_1.json")
    true = load_annotations(tmp_path / "folds" / "annotations" / "losa_0_1.json")
    assert [v.subset for v in true.videos] == ["train", "test", "train"]
    pool = lambda a: sorted(int(x) for v in a.videos if v.subset == "train" for x in v.labels)  # noqa: E731
    assert pool(shuffled) == pool(true)
    assert any((a.labels != b.labels).any() for a, b in zip(shuffled.videos, true.videos, strict=True))


def test_settings_without_a_finished_run_are_left_out_and_an_unknown_gain_is_no_number(worlds):
    runs = [run for run in study.planned(worlds, "context_near") if run.label in ("head_only", "both")]
    pretend(worlds, runs, lambda run: 50.0)
    for path in (worlds / "runs").glob("*/result.json"):
        write(path, {**json.loads(path.read_text()), "late_gain": None})  # validated once
    table = study.write_tables(worlds)
    assert "6 of 12 runs are missing" in table and "| short" not in table and "nan" not in table
    assert "| unknown |" in table
