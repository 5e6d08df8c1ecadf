"""The table of runs against what was written into their folders; what failed never has a number."""

import json
import math

import pandas as pd
import pytest

from helpers.made_runs import TIOU, failed_run, made_run, made_world
from losa.evaluation.average_precision import evaluate
from losa.sweeps.collect import collect, collect_parts, read_judged, write_frame
from losa.sweeps.statistics import bootstrap_difference, compare_groups


@pytest.fixture
def runs(tmp_path):
    """(folder, results by name): two windows by two worlds, one failed run, and a folder of something else."""
    found = {}
    for seed in (101, 102):
        world = made_world(tmp_path / f"world_{seed}", seed)
        for window, noise in ((4, 0.8), (16, 1.6)):
            name = f"w{window}_{seed}"
            found[name] = made_run(tmp_path / "runs" / name, world, noise, short_window=window, seed=seed,
                                   tracked=window == 4)
    failed_run(tmp_path / "runs" / "deep" / "failed", world, short_window=1, seed=102)
    (tmp_path / "runs" / "page").mkdir()
    (tmp_path / "runs" / "page" / "result.json").write_text('{"losa": {}}')
    return tmp_path / "runs", found


def test_a_row_per_run_with_what_differs(runs):
    folder, results = runs
    frame = collect(folder).set_index("run")
    assert sorted(frame.index) == ["deep/failed", *sorted(results)]
    assert {"mode", "ranges", "seed", "short_window", "annotations"} <= {*frame.columns}
    assert not {"epochs", "gate", "tiou"} & {*frame.columns}
    for name, result in results.items():
        row = frame.loc[name]
        assert row["average_map"] == result["average_map"] and row["map_30"] == result["map"][0]
        assert row["val_map"] == result["val_map"]["10"] and row["best_val"] == result["val_map"]["5"]
        assert (row["data_seed"], row["backbone_seed"], row["training_seed"]) == (int(name[-3:]), 0, int(name[-3:]))
        assert (row["train_seconds"], row["seconds"], row["late_gain"], row["adapters"]) == (60.0, 65.0, 0.1, "both")
        best = row["best_test_epoch_map"]
        assert best == result["test_map"]["5"] if name.startswith("w4") else math.isnan(best)
        assert evaluate(*read_judged(row["path"])).to_dict()["map"] == result["map"]


def test_runs_of_other_grids_in_the_same_folder_may_be_left_out(runs):
    folder, results = runs
    frame = collect(folder, ["w4_101", "deep/failed"])
    assert frame["run"].tolist() == ["deep/failed", "w4_101"]
    assert "short_window" not in collect(folder, ["w4_101", "w4_102"])  # the same in all of these
    assert {*collect_parts(folder, ["w4_101"])["per_length"]["run"]} == {"w4_101"}


def test_runs_of_another_version_are_not_taken_for_the_same(runs):
    folder, results = runs
    for name in results:
        status = json.loads((folder / name / "status.json").read_text()) | {"version": "2"}
        (folder / name / "status.json").write_text(json.dumps(status))
    new = folder / "w4_101" / "status.json"
    new.write_text(json.dumps(json.loads(new.read_text()) | {"version": "3"}))
    frame = collect(folder)
    assert frame.set_index("run").loc[["w4_101", "w16_101"], "version"].tolist() == ["3", "2"]
    row = compare_groups(frame, "short_window", 4, videos=False).set_index("setting").loc[16]
    assert row["runs"] == 1  # of the other seed, where both are of one version


def test_a_failed_run_is_never_a_number(runs):
    row = collect(runs[0]).set_index("run").loc["deep/failed"]
    numbers = ["average_map", "map_30", "map_50", "val_map", "best_val", "late_gain", "best_test_epoch_map",
               "trainable_parameters", "peak_memory_mb", "train_seconds"]
    assert row[numbers].isna().all()
    assert (row["status"], row["error"], row["seconds"]) == ("error", "ValueError: <b>no</b>", 3.0)
    assert (row["short_window"], row["mode"], row["training_seed"], row["data_seed"]) == (1, "losa", 102, 102)
    assert "deep/failed" not in {*collect_parts(runs[0])["per_class"]["run"]}


@pytest.mark.parametrize(("change", "status"), [("half a result", "damaged"), ("no status", "unfinished")])
def test_a_damaged_or_unfinished_run_has_no_numbers(runs, change, status):
    folder, results = runs
    if change == "no status":
        (folder / "w4_101" / "status.json").unlink()
    else:
        (folder / "w4_101" / "result.json").write_text('{"average_map": 0.5, "ma')
    row = collect(folder).set_index("run").loc["w4_101"]
    assert row["status"] == status and math.isnan(row["average_map"]) and row["short_window"] == 4


def test_a_run_outside_a_sweep_is_a_run(runs):
    for name in ("status.json", "params.json"):
        (runs[0] / "w4_101" / name).unlink()
    row = collect(runs[0] / "w4_101").iloc[0]
    assert (row["run"], row["status"], row["seconds"]) == ("w4_101", "ok", 63.0)


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run lies under"):
        collect(tmp_path)


def test_parts_are_those_of_the_evaluation(runs):
    folder, results = runs
    parts = collect_parts(folder)
    label = parts["per_class"].set_index(["run", "label"])
    length = parts["per_length"].set_index(["run", "length"])
    for name, result in results.items():
        assert label.loc[(name, "kick"), "map_50"] == result["per_class"]["kick"][1]
        assert label.loc[(name, "jump"), "average_map"] == pytest.approx(sum(result["per_class"]["jump"]) / 2)
        assert length.loc[(name, "M"), "average_map"] == result["per_length"]["M"]["average_map"]
        assert length.loc[(name, "S"), ["above", "up_to", "num_ground_truth"]].tolist() == [1.5, 3.0, 8]
    assert length.loc[("w4_101", "XL"), ["average_map", "map_30"]].isna().all()
    assert label.loc[("w4_101", "kick"), "short_window"] == 4


def test_tables_are_read_back_as_they_were(runs, tmp_path):
    frame = collect(runs[0])
    frame["taps"] = ["all", "[1, 3]", "half", "last", None]
    frame["mixed"] = [1, "a", None, 2.5, True]
    back = pd.read_parquet(write_frame(frame, tmp_path / "runs.parquet"))
    assert list(back.columns) == list(frame.columns) and back["average_map"].equals(frame["average_map"])
    assert back["taps"].tolist()[:4] == frame["taps"].tolist()[:4] and back["mixed"].tolist()[:2] == ["1", "a"]
    back = pd.read_csv(write_frame(frame, tmp_path / "runs.csv"))
    assert back["average_map"].tolist()[1:] == pytest.approx(frame["average_map"].tolist()[1:], nan_ok=True)
    with pytest.raises(ValueError, match=r"\.parquet or \.csv"):
        write_frame(frame, tmp_path / "runs.xlsx")
    assert sorted(p.name for p in tmp_path.glob("*runs.*")) == ["runs.csv", "runs.parquet"]


def test_settings_are_compared_over_seeds_and_over_videos_apart(runs):
    folder, results = runs
    row = compare_groups(collect(folder), "short_window", 4, num_draws=200).set_index("setting").loc[16]
    gain = [100 * (results[f"w16_{s}"]["average_map"] - results[f"w4_{s}"]["average_map"]) for s in (101, 102)]
    assert row["difference"] == pytest.approx(sum(gain) / 2) and (row["n"], row["unit"]) == (2, "data_seed")
    ours, theirs = ([read_judged(folder / f"w{w}_{s}") for s in (101, 102)] for w in (16, 4))
    videos = bootstrap_difference(ours, theirs, num_draws=200)
    assert (row["videos_low"], row["videos_high"]) == pytest.approx((100 * videos.low, 100 * videos.high))
    assert 100 * videos.mean == pytest.approx(row["difference"]) and len(TIOU) == 2


def test_videos_that_are_gone_leave_the_interval_open(runs):
    folder, _ = runs
    for seed in (101, 102):
        (folder / f"w16_{seed}" / "predictions.json").unlink()
    row = compare_groups(collect(folder), "short_window", 4, num_draws=50).set_index("setting").loc[16]
    assert math.isnan(row["videos_low"]) and row["n"] == 2
    assert json.loads((folder / "w4_101" / "status.json").read_text())["status"] == "ok"
