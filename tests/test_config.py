"""Config: what is refused, and that every refusal says what to write instead."""

import json

import pytest

from losa.config import PRESETS, Config, ConfigError, head_only, widened_head


@pytest.mark.parametrize("fields, message", [
    (dict(short_windw=3), "unknown config field 'short_windw': did you mean 'short_window'?"),
    (dict(zzz=3), "unknown config field 'zzz': known fields: annotations, "),
    (dict(epochs="many"), "epochs='many': input should be a valid integer"),
    (dict(epochs=0), "epochs=0: input should be greater than or equal to 1"),
    (dict(ranges="middle"), "ranges='middle': input should be 'short', 'long' or 'both'"),
    (dict(sample_fps=3, frame_stride=2), "sample_fps=3.0 and frame_stride=2 both choose the rate; keep one"),
    (dict(head_dim=30), "head_dim=30 is not divisible by head_heads=4"),
    (dict(adapter_dim=15), "adapter_dim=15 is not divisible by adapter_heads=2"),
    (dict(weights="random"), "weights='random' is for timm and videomae backbones"),
    (dict(head_window=4), "head_window=4 must be odd"),
    (dict(short_scope="clip", backbone="timm/x"), "short_scope='clip' needs clips of several frames"),
    (dict(crop_ratio=(0.9, 0.5)), r"crop_ratio=(0.9, 0.5) must be (low, high)"),
    (dict(taps=[]), "taps=[] taps nothing; write taps='none'"),
    (dict(tiou=[0.5, 1.5]), "tiou=[0.5, 1.5] must be values in (0, 1]"),
])
def test_bad_values_get_one_clear_error(fields, message):
    with pytest.raises(ConfigError) as caught:
        Config.make(**fields)
    assert message in str(caught.value)


def test_all_contradictions_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Config.make(head_dim=30, adapter_dim=15)
    assert "head_dim=30" in str(caught.value) and "adapter_dim=15" in str(caught.value)


def test_a_config_survives_json_and_cannot_be_changed(tmp_path):
    config = Config.make(taps=[1, 3], crop_ratio=(0.5, 1.0), seed=7)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert Config.load(tmp_path / "config.json") == config
    with pytest.raises(Exception, match="frozen"):
        config.seed = 8


def test_presets_are_complete_and_ablations_replace_fields():
    config = PRESETS["tiny"]("runs/x", seed=4)
    assert config.seed == 4 and config.annotations == "runs/x/world/annotations.json"
    assert head_only(config).taps == "none" and widened_head(config, 96).head_dim == 96
    assert head_only(config).replace(taps="all") == config
