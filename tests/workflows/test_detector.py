"""The run behind predictions of any video: what it is made of, and which runs cannot be one."""

import json
from pathlib import Path

import pytest

from losa.errors import CheckpointError, ConfigError, OwnVideoError
from losa.model.checkpoint import load_model, save_model
from losa.presets import postprocess
from losa.taps.open import open_features
from losa.workflows.predict_videos import predict_videos


def test_a_run_on_features_of_others_says_so(run, world, tmp_path):
    model, config, classes = load_model(run)
    config = config.replace(features="feats", feature_stride=4, taps="none")
    recipe = open_features(load_model(run)[1].replace(cache=""), ()).recipe
    save_model(model, tmp_path / "run" / "model.safetensors", config, classes, recipe.describe())
    with pytest.raises(OwnVideoError, match="trained on features that others computed"):
        predict_videos(world[0], tmp_path / "run", tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_other_weights_of_the_backbone_are_refused(run, world, tmp_path):
    from losa.backbones import vit as backbone

    other = next(Path(backbone.__file__).parent.joinpath("weights").glob("*covered*.safetensors"))
    with pytest.raises(CheckpointError, match="trained on other taps"):
        predict_videos(world[0], run, tmp_path / "out", weights=str(other), quiet=True)


def test_a_model_without_classes_works_without_the_classifier_it_was_tested_with(run, world, tmp_path):
    model, config, classes = load_model(run)
    recipe = open_features(config.replace(cache=""), ()).recipe
    config = config.replace(class_agnostic=True, classifier="scores.json")
    save_model(model, tmp_path / "run" / "model.safetensors", config, classes, recipe.describe())
    with pytest.warns(UserWarning, match="scores.json, which knows nothing of these videos"):
        found = predict_videos(world[0], tmp_path / "run", tmp_path / "out", quiet=True)
    assert found["videos"]["test_0000"]["num_segments"] > 0


def test_predictions_may_be_made_otherwise_than_the_run_did(run, world, tmp_path):
    config, kept = load_model(run)[1], tmp_path / "out" / ".finished"

    def predicted(**how):
        found = predict_videos(world[0], run, tmp_path / "out", quiet=True, **how)["videos"]["test_0000"]
        return found["num_segments"], json.loads((tmp_path / "out" / "predictions.json").read_text())

    as_trained, _ = predicted()
    few, written = predicted(fields={"max_segments": 3})
    assert few == 3 < as_trained and written["external_data"]["config"]["max_segments"] == 3
    _, written = predicted(post="opentad", fields={"tiou": [0.5]})
    expected = postprocess(config, "opentad").replace(tiou=[0.5], cache="")
    assert written["external_data"]["config"] == expected.to_dict()
    assert len(list(kept.iterdir())) == 3
    assert predicted(fields={"tiou": [0.4], "num_workers": 1})[0] == as_trained and len(list(kept.iterdir())) == 3
    with pytest.raises(ConfigError, match="head_dim: fixed when the run was trained"):
        predicted(fields={"head_dim": 8})
