"""Config: what is refused, and that every refusal says what to write instead."""

import json

import pytest

from helpers.paths import ROOT
from losa.config import (
    SECTIONS,
    Config,
    Mark,
    Role,
    explain_field,
    list_fields,
    parse_value,
    propose,
    replace_late,
)
from losa.errors import ConfigError


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
    (dict(features="x", mode="inside", cache=""), "write taps='none' instead of 'all' and mode='head_only'"),
    (dict(taps=[]), "taps=[] taps nothing; write taps='none'"),
    (dict(feature_grid="duration", feature_fps=25), "feature_fps=25.0 counts nothing with feature_grid='duration'"),
    (dict(feature_grid="duration", snippet_frames=4), "write snippets_per_video instead"),
    (dict(tiou=[0.5, 1.5]), "tiou=[0.5, 1.5] must be values in (0, 1]"),
])
def test_bad_values_get_one_clear_error(fields, message):
    with pytest.raises(ConfigError) as caught:
        Config.make(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize("name, text, value", [
    ("taps", "[0, 2]", [0, 2]), ("taps", "half", "half"), ("tiou", "[0.5, 0.75]", [0.5, 0.75]), ("epochs", "7", 7),
    ("micro_batch", "None", None), ("micro_batch", "null", None), ("micro_batch", "2", 2), ("track_test", "true", True),
    ("track_test", "False", False), ("crop_ratio", "(0.5, 1)", (0.5, 1.0)), ("head_window", "[1, 3, 5, 7, 9]",
                                                                              [1, 3, 5, 7, 9]),
    ("feature_axes", "None", None), ("feature_axes", "TC", "TC"), ("learning_rate", "1e-4", 1e-4),
    ("train_subset", "[0, 2]", "[0, 2]"), ("train_subset", "7", "7"), ("train_subset", "null", "null"),
    ("feature_key", "None", "None"), ("feature_key", '"a"', '"a"')])
def test_a_value_may_come_as_text_but_a_field_of_text_keeps_it(name, text, value):
    """As papermill -p gives it: it reads numbers, True, False and None alone."""
    assert getattr(Config.make(**{name: text}), name) == value
    assert Config.make(**{name: text}) == Config.make(**{name: value})


@pytest.mark.parametrize("text, value", [
    ("3", 3), ("[1, null]", [1, None]), ("[1, None, True]", [1, None, True]), ("{'a': (1, 2)}", {"a": (1, 2)}),
    ("null", None), ("None", None), ("true", True), ("half", "half"), ("", ""), ("007", "007"), ("[half]", "[half]"),
    ("{[]: 1}", "{[]: 1}"), ("1,2", "1,2"), ("__import__('os')", "__import__('os')"), ('"3"', "3")])
def test_a_text_is_read_as_json_or_as_python_writes_it(text, value):
    assert parse_value(text) == value and type(parse_value(text)) is type(value)


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


def test_every_field_has_one_role_and_a_meaning():
    for name, field in Config.model_fields.items():
        assert len([tag for tag in field.metadata if isinstance(tag, Role)]) == 1, name
        assert field.description and "\n" not in field.description, name
    assert set().union(*map(list_fields, Role)) == set(Config.model_fields)


def test_headings_in_the_source_are_those_that_are_printed():
    source = (ROOT / "losa" / "config.py").read_text()
    for first, title in SECTIONS.items():
        assert f"    # {title}\n    {first}: " in source
    assert [name for name in Config.model_fields if name in SECTIONS] == list(SECTIONS)


def test_a_field_is_explained_by_its_choices_and_meaning():
    assert explain_field("ranges") == '"short" | "long" | "both": temporal reach of the adapters'
    assert explain_field("taps").startswith('"all" | "half" | "last" | "none": tapped blocks')
    assert explain_field("seed") == "of weights, samples and drop path"


def test_only_fields_of_prediction_and_evaluation_may_change_late():
    assert replace_late(Config(), {"nms_sigma": 0.7}).nms_sigma == 0.7
    with pytest.raises(ConfigError, match="head_dim: fixed when the run was trained; here may change: ground_truth, "):
        replace_late(Config(), {"head_dim": 32})
    assert set(list_fields(Role.POST, Role.CLASSIFIER, Role.EVALUATION)) <= set(list_fields(Mark.LATE))
    assert not set(list_fields(Role.METHOD, Role.INPUT, Role.SEED)) & set(list_fields(Mark.LATE))


def test_the_nearest_known_name_is_proposed_or_all_are_listed():
    assert propose("epohcs", ["seed", "epochs"], "known are ") == "did you mean 'epochs'?"
    assert propose("zzz", ["seed", "epochs"], "known are ") == "known are seed, epochs"
