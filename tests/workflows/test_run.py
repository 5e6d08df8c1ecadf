"""A run from config to numbers: what is checked before it, written after it, and when it is read back."""

import json
import math
import re

import pytest
import torch
from safetensors.torch import save_file

from helpers.small_models import SMALL_PRESET
from losa.config import Config
from losa.errors import ConfigError, TrainingError
from losa.evaluation.card import compare, read_card
from losa.evaluation.records import read_predictions
from losa.inspection.compare_runs import result_table
from losa.inspection.explore import Explore
from losa.inspection.run_folder import find_runs, open_run
from losa.presets import PRESETS, head_only
from losa.reports.sweep_report import report
from losa.sweeps.collect import collect, collect_parts
from losa.workflows.run import compute_late_gain, hash_inputs, read_seeds, run


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_subset": "", "drop_path": 0.0, "head_dim": 16, "adapter_dim": 8,
                                    **fields})


def rows_of(folder):
    return [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


def test_tracked_test_map_is_logged_and_never_chooses(tiny, tmp_path):
    config = tiny_config(tiny, mode="head_only", val_subset="val", epochs=2, val_every=1)
    plain = run(config, tmp_path / "plain", quiet=True)
    result = run(config.replace(track_test=True), tmp_path / "tracked", quiet=True)
    assert result["test_map"].keys() == result["val_map"].keys() == {"1", "2", "3"} and plain["test_map"] == {}
    assert result["test_map"]["3"] == result["average_map"] == plain["average_map"]
    assert [row["test_map"] for row in rows_of(tmp_path / "tracked")] == list(result["test_map"].values())
    assert result["seeds"] == {"data": 0, "backbone": 0, "training": 0} and result["epochs"] == 3
    assert result["peak_memory_mb"] == max(row["peak_memory_mb"] for row in rows_of(tmp_path / "tracked"))
    assert json.loads((tmp_path / "tracked" / "result.json").read_text()) == result


def test_gain_of_the_last_quarter():
    assert compute_late_gain({"5": 0.1, "10": 0.40, "15": 0.50, "20": 0.51}) == pytest.approx(1.0)
    assert compute_late_gain({}) is None and compute_late_gain({"4": 0.3}) is None


def test_seeds_come_from_the_world_and_from_the_weights(tmp_path):
    config = Config.make(annotations=str(tmp_path / "annotations.json"), seed=7)
    assert read_seeds(config) == {"data": None, "backbone": 0, "training": 7}
    (tmp_path / "world.json").write_text('{"seed": 103}')
    weights = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, weights, {"card": '{"seed": 5}'})
    assert read_seeds(config.replace(weights=str(weights))) == {"data": 103, "backbone": 5, "training": 7}
    save_file({"a": torch.zeros(1)}, weights)
    assert read_seeds(config.replace(weights=str(weights)))["backbone"] is None
    weights.with_suffix(".json").write_text('{"seed": 6}')
    assert read_seeds(config.replace(weights=str(weights)))["backbone"] == 6
    assert read_seeds(config.replace(backbone="videomae_b", weights="random"))["backbone"] is None
    assert read_seeds(config.replace(features=str(tmp_path), taps="none", mode="head_only"))["backbone"] is None


def test_whether_a_run_is_finished_is_for_the_main_process_to_say(tmp_path, monkeypatch):
    """Another one might see other times of files, train, and wait for ever for those that did not."""
    config = Config.make(annotations=str(tmp_path / "not_seen_from_here.json"))
    known = {"config": config.to_dict(), "inputs": {"annotations": "as the main process sees it"}}
    told = iter([known["inputs"], known])
    monkeypatch.setattr("losa.workflows.run.on_main", lambda work: next(told))
    assert run(config, tmp_path / "run", quiet=True) == known


def test_a_finished_run_is_read_back_and_another_config_is_refused(tiny, tmp_path):
    config = head_only(tiny_config(tiny))
    first = run(config, tmp_path / "run", quiet=True)
    stamp = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    assert run(config, tmp_path / "run", quiet=True) == first
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == stamp
    assert json.loads((tmp_path / "run" / "result.json").read_text())["config"] == config.to_dict()
    with pytest.raises(TrainingError, match=r"holds a run with other settings \(seed was 0, now 9\)"):
        run(config.replace(seed=9), tmp_path / "run", quiet=True)


def test_changed_annotations_are_not_answered_with_the_old_result(tiny, tmp_path):
    annotations = json.loads((tiny / "world" / "annotations.json").read_text())
    path = tiny / "world" / f"{tmp_path.name}.json"  # beside the videos' folder
    path.write_text(json.dumps(annotations))
    config = head_only(tiny_config(tiny, annotations=str(path)))
    run(config, tmp_path / "run", quiet=True)
    del annotations["database"]["test_0000"]
    path.write_text(json.dumps(annotations))
    with pytest.raises(TrainingError, match="other settings of annotations or backbone"):
        run(config, tmp_path / "run", quiet=True)


@pytest.mark.parametrize("fields, message", [
    (dict(protocol="activitynet-dedupe"), "protocol='activitynet-dedupe': expected one of activitynet"),
    (dict(test_set="thumos14-999"), "thumos14-212"),
    (dict(test_set="thumos14-212"), "as it was published, -s ground_truth=FILE"),
    (dict(ground_truth="nothing.json"), "nothing.json"),
    (dict(block_list="nothing.txt"), "nothing.txt"),
    (dict(class_agnostic=True, classifier="nothing.json"), "nothing.json"),
])
def test_what_only_the_end_needs_is_checked_at_the_beginning(tiny, tmp_path, fields, message):
    fields = {**SMALL_PRESET, "annotations": f"{tiny}/world/annotations.json", **fields}
    config = PRESETS["thumos14_s"](tmp_path, **fields)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(config, tmp_path / "run", quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def hidden(tiny, tmp_path_factory):
    """A run on the tiny world without the test labels, beside one with them: (folder, {name: result})."""
    content = json.loads((tiny / "world" / "annotations.json").read_text())
    for video in content["database"].values():
        if video["subset"] == "test":
            del video["annotations"]
    (tiny / "world" / "no test labels.json").write_text(json.dumps(content))
    out, config = tmp_path_factory.mktemp("hidden"), head_only(tiny_config(tiny, val_subset="val", val_every=1))
    with pytest.warns(UserWarning, match="subset 'test' has no ground truth: it will be predicted, and not evaluated"):
        without = run(config.replace(annotations=f"{tiny}/world/no test labels.json", track_test=True),
                      out / "without", quiet=True)
    return out, {"without": without, "with": run(config, out / "with", quiet=True)}


def test_a_run_without_test_labels_ends_with_predictions_and_no_number(hidden):
    out, results = hidden
    result = json.loads((out / "without" / "result.json").read_text())
    assert result == results["without"] and result["average_map"] is None and result["test_map"] == {}
    assert result["val_map"] == results["with"]["val_map"] != {}
    assert read_predictions(out / "without" / "predictions.json") == read_predictions(out / "with" / "predictions.json")


def test_all_readers_of_runs_take_one_without_a_number(hidden, tmp_path):
    out, results = hidden
    assert {*find_runs(out)} == {"with", "without"}
    opened = {name: open_run(out / name) for name in ("with", "without")}
    assert len(opened["without"].videos) == len(opened["with"].videos) and not any(opened["without"].truth.values())
    video = next(iter(opened["without"].videos))
    assert opened["without"].table["average"] == {}
    assert opened["without"].timeline(video).tracks
    table = result_table(opened).data
    assert table.loc["without", "average mAP"] != table.loc["without", "average mAP"], "NaN"
    assert table.loc["with", "average mAP"] == pytest.approx(100 * results["with"]["average_map"])
    frame = collect(out).set_index("run")
    assert frame.loc["without", "status"] == "ok" and math.isnan(frame.loc["without", "average_map"])
    assert frame.loc["without", "val_map"] == frame.loc["with", "val_map"]
    assert {*collect_parts(out)["per_class"].run} == {"with"}
    assert "without" in report(out, tmp_path / "report.html").read_text()
    assert not compare(read_card(out / "with"), read_card(out / "without")).comparable
    browser = Explore(out, run="without")
    assert browser.run.name == "without" and browser.timeline.video_id in opened["without"].videos
    assert "have no ground truth, so nothing can be right or wrong" in browser.note, "of its diagnosis"


def test_a_missing_validation_subset_is_named_with_its_option_before_any_work(tiny, tmp_path):
    config = tiny_config(tiny, val_subset="validation")
    with pytest.raises(ConfigError, match=r"Write -s val_subset=val or -s val_subset= \(no validation\)"):
        run(config, tmp_path / "run", quiet=True)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_learnt_is_told_before_taps_are_computed(tiny, tmp_path, monkeypatch):
    """By `run` for a cache, by `train` for features of others; nothing is written before."""
    monkeypatch.setattr("losa.taps.open.fill", lambda *_, **__: pytest.fail("taps are computed"))
    config = head_only(tiny_config(tiny, window=8, head_levels=2, cache=str(tmp_path / "taps")))
    with pytest.warns(UserWarning, match="longer than two windows") as told, pytest.raises(BaseException, match="taps"):
        run(config, tmp_path / "run", quiet=True)
    said = next(str(w.message) for w in told if "two windows" in str(w.message))
    fitting = re.search(r"-s window=(\d+)", said)
    assert fitting and int(fitting[1]) > 8 and not (tmp_path / "taps").exists()


def test_missing_annotations_say_what_to_give_and_a_folder_of_labels_is_told_apart_by_its_files(tmp_path, tiny):
    config = PRESETS["tiny"](tiny)
    with pytest.raises(ConfigError, match="annotations=gone.json: there is no such file .*losa data prepare.*-s annot"):
        hash_inputs(config.replace(annotations="gone.json"))
    (tmp_path / "a.srt").write_text("1")
    before = hash_inputs(config.replace(annotations=str(tmp_path)))
    (tmp_path / "b.srt").write_text("1")
    assert before["annotations"] != hash_inputs(config.replace(annotations=str(tmp_path)))["annotations"]
