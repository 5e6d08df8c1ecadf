"""Presets: complete configs that sample and post-process as the peers do."""

import json

import pytest

from losa.config import Config
from losa.errors import ConfigError
from losa.presets import PRESETS, head_only, postprocess, widened_head
from losa.segments import Grid


def test_presets_are_complete_and_ablations_replace_fields():
    config = PRESETS["tiny"]("runs/x", seed=4)
    assert config.seed == 4 and config.annotations == "runs/x/world/annotations.json"
    assert head_only(config).tapped == "none" and widened_head(config, 96).head_dim == 96
    assert head_only(config).replace(mode="losa") == config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_complete_config_that_survives_its_file(name, tmp_path):
    config = PRESETS[name]("data", seed=3)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert Config.load(tmp_path / "config.json") == config and config.seed == 3
    assert config.annotations.startswith("data/") and config.cache == "data/taps"


def test_thumos_preset_samples_as_the_peers_do():
    """768 snippets of 4 native frames are 102.4 s at 30 fps; points of level l stand 2^l snippets apart."""
    config = PRESETS["thumos14_b"]("data")
    grid = Grid(30 / config.frame_stride, 2).resampled(2 / config.snippet_frames)
    assert config.window * grid.snippet_seconds == pytest.approx(102.4)
    assert (config.head_levels, config.head_dim, config.batch_size, config.learning_rate) == (6, 512, 2, 1e-4)


def test_feature_presets_are_actionformers():
    """happyharrycn/actionformer_release: configs/thumos_i3d.yaml and anet_i3d.yaml."""
    thumos, activitynet = PRESETS["thumos14_features"]("data"), PRESETS["activitynet_features"]("data")
    assert (thumos.feature_stride, thumos.feature_frames, thumos.window, thumos.head_window) == (4, 16, 2304, 19)
    assert (activitynet.feature_stride, activitynet.snippets_per_video, activitynet.window) == (16, 192, 192)
    assert thumos.taps == activitynet.taps == "none" and thumos.snippet_frames is None


def test_activitynet_preset_makes_192_snippets_of_any_video():
    config = PRESETS["activitynet_b"]("data")
    assert config.frames_per_video / config.snippet_frames == 192 == config.window
    assert config.tiou == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95] and config.class_agnostic


def test_post_processing_styles_differ_where_the_references_do():
    thumos, activitynet = PRESETS["thumos14_b"]("data"), PRESETS["activitynet_b"]("data")
    assert postprocess(thumos, "actionformer") == thumos and postprocess(activitynet, "actionformer") == activitynet
    other = postprocess(thumos, "opentad")
    assert changed(thumos, other) == {"topk_per_level": False, "nms_sigma": 0.7, "max_segments": 2000}
    other = postprocess(activitynet, "opentad")
    assert changed(activitynet, other) == {"topk_per_level": False, "nms_sigma": 0.7, "voting_weight": "score",
                                           "classifier_fusion": "product"}
    with pytest.raises(ConfigError, match="'opendat'.*actionformer, opentad"):
        postprocess(thumos, "opendat")


def changed(before: Config, after: Config) -> dict:
    return {name: value for name, value in after.to_dict().items() if before.to_dict()[name] != value}
