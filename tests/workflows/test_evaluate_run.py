"""A trained run predicts and is judged: the data sets' presets, smaller but with all that sets them apart."""

import json
import shlex

import pytest
from safetensors.torch import load_file

from helpers.command import losa
from helpers.made_runs import made_run, made_world
from helpers.small_models import SMALL_PRESET
from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.errors import AnnotationError, ConfigError, EvaluationError
from losa.evaluation.card import METHOD, POST, SAMPLING, compare, read_card
from losa.evaluation.records import read_predictions
from losa.presets import PRESETS
from losa.workflows.evaluate_run import evaluate_tagged
from losa.workflows.evaluate_run import test as predict_subset
from losa.workflows.run import run


@pytest.fixture(scope="module")
def thumos(tiny, tmp_path_factory):
    """A finished run of thumos14_s on the tiny world: (folder, config, result)."""
    out = tmp_path_factory.mktemp("thumos")
    config = PRESETS["thumos14_s"](out, **SMALL_PRESET, annotations=f"{tiny}/world/annotations.json")
    return out / "run", config, run(config, out / "run", quiet=True)


def test_thumos_runs_with_interpolated_snippets_and_its_card_names_the_protocol(thumos):
    out, config, result = thumos
    card = read_card(out)
    assert card == result["card"] == read_card(out / "predictions.json")
    assert card["ap"]["style"] == "activitynet-dedup" and card["ap"]["tiou"] == [0.3, 0.4, 0.5, 0.6, 0.7]
    assert card["test_set"]["num_videos"] == result["num_videos"] and card["classifier"] is None
    assert card["input"]["sampling"]["snippet_frames"] == 1 and sum(card["input"]["decode"].values()) > 0
    assert card["post"]["topk_per_level"] and card["selection"].startswith("last epoch")


def test_another_post_processing_needs_no_training_and_leaves_the_runs_predictions(thumos):
    out, config, result = thumos
    before = (out / "predictions.json").read_bytes()
    other = predict_subset(out, "test", post="opentad", fields={"nms_sigma": 0.9}, quiet=True)
    assert (out / "predictions.json").read_bytes() == before
    assert other["predictions"].endswith("predictions_test_opentad_nms_sigma=0.9.json")
    assert other["card"]["post"]["nms_sigma"] == 0.9 and other["card"]["post"]["max_segments"] == 2000
    comparison = compare(result["card"], other["card"])
    assert comparison.comparable and any("nms_sigma" in item for item in comparison.other_differences)
    with pytest.raises(ConfigError, match="head_dim: fixed when the run was trained"):
        predict_subset(out, "test", fields={"head_dim": 16}, quiet=True)


def test_ground_truth_of_its_own_is_what_the_result_is_measured_against(thumos, tiny, tmp_path):
    """One instance more than the cleaned annotations hold: outside its video, as 30 of THUMOS."""
    out, config, result = thumos
    official = json.loads((tiny / "world" / "annotations.json").read_text())
    video = next(v for v in official["database"].values() if v["subset"] == "test")
    label = video["annotations"][0]["label"]
    video["annotations"].append({"label": label, "segment": [video["duration"] + 5, video["duration"] + 6]})
    (tmp_path / "official.json").write_text(json.dumps(official))
    other = predict_subset(out, "test", fields={"ground_truth": str(tmp_path / "official.json")}, quiet=True)
    assert other["num_ground_truth"] == result["num_ground_truth"] + 1
    assert not compare(result["card"], other["card"]).comparable


def test_a_finished_run_may_be_judged_otherwise_without_training_again(thumos, tiny, tmp_path):
    """The same folder with another protocol and a list of videos left out: weights stay, the result is another."""
    out, config, result = thumos
    left = result["card"]["test_set"]["num_videos"] - 1
    gone = next(v.id for v in load_annotations(tiny / "world" / "annotations.json").subset("test"))
    (tmp_path / "blocked.txt").write_text(gone)
    before = load_file(out / "model.safetensors")
    other = run(config.replace(protocol="activitynet", block_list=str(tmp_path / "blocked.txt")), out, quiet=True)
    assert other["card"]["test_set"]["num_videos"] == left and other["card"]["test_set"]["left_out"] == [gone]
    after = load_file(out / "model.safetensors")
    assert other["protocol"] == "activitynet" and all(after[name].equal(value) for name, value in before.items())
    (tmp_path / "blocked.txt").write_text("nobody")
    again = run(config.replace(protocol="activitynet", block_list=str(tmp_path / "blocked.txt")), out, quiet=True)
    assert again["card"]["test_set"]["num_videos"] == left + 1, "the list's content counts, not its name"


def test_activitynet_learns_one_class_and_a_classifier_names_the_segments(tiny, tmp_path):
    """192 snippets of every video; each of at most 100 segments becomes one of each of the 2 likeliest classes."""
    world = load_annotations(tiny / "world" / "annotations.json")
    scores = {v.id: [0.9 - 0.05 * i for i in range(len(world.classes))] for v in world.videos}
    (tmp_path / "scores.json").write_text(json.dumps({"class": list(world.classes), "results": scores}))
    config = PRESETS["activitynet_s"](tmp_path, **{**SMALL_PRESET, "epochs": 2, "batch_size": 2},
                                      annotations=f"{tiny}/world/annotations.json", frames_per_video=256)
    plain = run(config.replace(snippet_frames=None, snippets_per_video=192), tmp_path / "run", quiet=True)
    assert set(plain["per_class"]) == {"action"} and plain["card"]["classifier"] is None
    named = predict_subset(tmp_path / "run", "test", fields={"classifier": str(tmp_path / "scores.json")}, quiet=True)
    records = read_predictions(named["predictions"])
    assert {r["label"] for items in records.values() for r in items} == set(world.classes[:2])
    assert max(len(items) for items in records.values()) <= 200
    assert "action" not in named["per_class"] and named["card"]["classifier"]["fusion"] == "sqrt"
    before = read_predictions(plain["predictions"])
    video, best = next((v, items[0]) for v, items in before.items() if items)
    assert [r["score"] for r in records[video] if r["segment"] == best["segment"]] == pytest.approx(
        [(best["score"] * 0.9) ** 0.5, (best["score"] * 0.85) ** 0.5])
    assert not compare(plain["card"], named["card"]).comparable


def test_comparing_two_trainings_names_what_was_trained_otherwise(thumos, tiny, tmp_path):
    """Every field of the config is on the card, or is said to be where the data lie and how fast they are read."""
    out, config, result = thumos
    other = run(config.replace(ranges="short", learning_rate=2e-4), tmp_path / "run", quiet=True)
    said = compare(result["card"], other["card"])
    assert said.comparable and {"method.ranges: both | short", "method.learning_rate: 0.0001 | 0.0002"} <= {
        *said.other_differences}
    elsewhere = {"annotations", "cache", "features", "weights", "backbone", "ground_truth", "block_list", "test_set",
                 "test_subset", "val_subset", "classifier", "classifier_topk", "classifier_fusion", "protocol", "tiou",
                 "seed", "num_workers", "val_every", "save_every", "micro_batch", "checkpointing", "track_test",
                 "log_with", "feature_pattern", "feature_key", "feature_axes"}
    assert {*POST, *SAMPLING, *METHOD, *elsewhere} == set(Config.model_fields)


def without_labels(tiny, name, everywhere=False):
    """A copy of the world's annotations whose test videos, or all, have no "annotations"."""
    content = json.loads((tiny / "world" / "annotations.json").read_text())
    for video in content["database"].values():
        if everywhere or video["subset"] == "test":
            del video["annotations"]
    if everywhere:
        del content["classes"]
    path = tiny / "world" / f"{name}.json"  # beside the videos' folder
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_subset_without_labels_is_predicted_and_not_evaluated(thumos, tiny, tmp_path, everywhere):
    """The predictions are those of the same videos with labels."""
    out, config, result = thumos
    hidden = without_labels(tiny, f"hidden {everywhere}", everywhere)
    found = predict_subset(out, "test", annotations=str(hidden), quiet=True)
    assert found["average_map"] is None and found["map"] == [] and found["num_ground_truth"] == 0
    assert found["num_videos"] == result["num_videos"] and found["num_predictions"] == result["num_predictions"] > 0
    assert read_predictions(found["predictions"]) == read_predictions(out / "predictions.json")
    assert read_card(found["predictions"])["test_set"]["num_instances"] == 0
    with pytest.raises(AnnotationError, match="there is no subset 'tset'; did you mean 'test'?"):
        predict_subset(out, "tset", annotations=str(hidden), quiet=True)


def test_ground_truth_without_the_hidden_subset_does_not_stop_its_prediction(thumos, tiny):
    out, config, result = thumos
    hidden = without_labels(tiny, "hidden with truth")
    given = dict(annotations=str(hidden), fields={"ground_truth": str(hidden)}, quiet=True)
    assert predict_subset(out, "test", **given)["average_map"] is None
    given["fields"] = {"ground_truth": f"{tiny}/world/annotations.json"}
    assert predict_subset(out, "test", **given)["average_map"] == result["average_map"]


def test_the_old_command_predicts_a_hidden_subset(thumos, tiny):
    out, config, result = thumos
    hidden = without_labels(tiny, "hidden for the command")
    done = losa("predict", out, "--subset", "test", "--annotations", hidden)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first == (f"no ground truth in subset 'test': not evaluated; {result['num_predictions']} predictions in "
                     f"{result['num_videos']} videos") and last.endswith("predictions_test.json")


@pytest.fixture(scope="module")
def spaced(tiny, tmp_path_factory):
    """A folder with a space: the tiny world, the same with an instance that passes the end, and what a run may use."""
    folder = tmp_path_factory.mktemp("next") / "my data"
    folder.mkdir()
    (folder / "videos").symlink_to(tiny / "world" / "videos")
    content = json.loads((tiny / "world" / "annotations.json").read_text())
    clean = json.dumps(content)
    tests = [v for v in content["database"].values() if v["subset"] == "test"]
    label = tests[0]["annotations"][0]["label"]
    tests[0]["annotations"].append({"label": label, "segment": [tests[0]["duration"] - 1, tests[0]["duration"] + 9]})
    (folder / "annotations.json").write_text(clean)
    (folder / "raw.json").write_text(json.dumps(content))
    (folder / "block list.txt").write_text([n for n, v in content["database"].items() if v["subset"] == "test"][1])
    scores = {name: [0.9 if c == label else 0.1 for c in content["classes"]] for name in content["database"]}
    (folder / "scores.json").write_text(json.dumps({"class": content["classes"], "results": scores}))
    return folder


SMALL = {"epochs": 3, "warmup_epochs": 0, "head_levels": 3, "head_dim": 16, "adapter_dim": 8, "min_score": 0.0,
         "pre_nms_score": 0.0, "max_segments": 2000, "val_subset": ""}  # many weak segments, so that some are right
AGNOSTIC = {"class_agnostic": True}


@pytest.mark.parametrize(("run_name", "annotations", "fields", "options"), [
    ("plain run", "annotations.json", {}, set()),
    ("plain run", "annotations.json", {"tiou": [0.1, 0.05], "protocol": "activitynet-dedup"}, {"--tiou", "--protocol"}),
    ("plain run", "annotations.json", {"tiou": [0.1], "block_list": "block list.txt"}, {"--tiou", "--block-list"}),
    ("plain run", "annotations.json", {"ground_truth": "raw.json", "tiou": [0.1], "test_set": "thumos14-212"},
     {"--tiou", "--test-set"}),
    ("raw", "raw.json", {"tiou": [0.05, 0.1]}, {"--tiou", "--cleaned"}),
    ("one class", "raw.json", {**AGNOSTIC, "tiou": [0.05, 0.1]}, {"--tiou", "--cleaned", "--class-agnostic"}),
    ("one class", "raw.json", {**AGNOSTIC, "tiou": [0.05, 0.1], "classifier": "scores.json"}, {"--tiou", "--cleaned"}),
    ("one class", "raw.json", {**AGNOSTIC, "tiou": [0.1], "ground_truth": "raw.json"}, {"--tiou", "--class-agnostic"}),
])
def test_the_command_that_train_prints_gives_the_runs_number(spaced, tiny, run_name, annotations, fields, options):
    files = {name: str(spaced / value) for name, value in fields.items() if name in ("block_list", "ground_truth",
                                                                                     "classifier")}
    given = SMALL | {"annotations": str(spaced / annotations), "cache": str(tiny / "next_taps"), **fields, **files}
    words = [word for name, value in given.items() for word in (
        "-s", f"{name}={value if isinstance(value, str) else json.dumps(value)}")]
    trained = losa("train", spaced / run_name, *words)
    assert trained.returncode == 0, trained.stderr[-2000:]
    (line,) = [line for line in trained.stdout.splitlines() if line.startswith("next: ")]
    again = shlex.split(line.removeprefix("next: "))
    assert again[:2] == ["losa", "evaluate"] and {word for word in again if word.startswith("--")} == {
        "--ground-truth", "--subset", *options}
    done = losa(*again[1:], "--format", "json")
    result = json.loads((spaced / run_name / "result.json").read_text())
    found = json.loads(done.stdout)
    assert found["average_map"] == pytest.approx(result["average_map"], abs=1e-12) and result["average_map"] > 0
    assert (found["num_ground_truth"], found["num_predictions"]) == (result["num_ground_truth"],
                                                                     result["num_predictions"])
    assert found["mismatches"] == result["mismatches"]


def test_a_run_is_evaluated_without_what_is_tagged_ambiguous_and_stays_as_it_is(tmp_path):
    annotations = made_world(tmp_path / "world", 0, num_videos=3)
    result = made_run(tmp_path / "run", annotations, 1.0)
    record = {"video": "test_0", "kind": "truth", "label": "jump", "segment": [5.0, 7.0], "tag": "ambiguous"}
    for complaint in ("no segment is tagged", "expected the folder of a finished run"):
        with pytest.raises(EvaluationError, match=complaint):
            evaluate_tagged(tmp_path / ("run" if "tagged" in complaint else "world"))
    (tmp_path / "run" / "tags.json").write_text(json.dumps({"tags": [record]}))
    before = (tmp_path / "run" / "result.json").read_bytes()
    done = losa("evaluate", "run", "--without-ambiguous", "--format", "json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found == json.loads(json.dumps(evaluate_tagged(tmp_path / "run")))
    assert found["all"]["map"] == result["map"] and found["without"]["num_ground_truth"] == 5
    told = losa("evaluate", "run", "--without-ambiguous", cwd=tmp_path).stdout
    for side in ("all", "without"):
        assert f"{100 * found[side]['average_map']:.2f}  " in told
    assert "instances 1, predictions 0; forgiven, as they touch them: predictions 3" in told
    assert (tmp_path / "run" / "result.json").read_bytes() == before
    for words, complaint in ((["--without-ambiguous", "--tiou", "0.5"], "nothing beside it"), ([], "'--ground-truth'")):
        done = losa("evaluate", "run", *words, cwd=tmp_path)
        assert done.returncode and complaint in " ".join(done.stderr.replace("│", " ").split())
