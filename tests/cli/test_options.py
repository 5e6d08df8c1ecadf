"""What several commands take: fields by -s, the config that options describe, and interrupts."""

import json

import pytest
import typer

from losa.cli.options import choose_config, interruptible, parse_fields
from losa.config import Config
from losa.errors import ConfigError
from losa.presets import PRESETS, postprocess


def test_values_are_json_where_they_can_be_and_text_elsewhere():
    pairs = ["seed=3", "tiou=[0.5, 0.7]", "track_test=true", "micro_batch=null", "ranges=short", "annotations=a=b.json",
             "cache=", 'weights="3"', "seed=4", "start=7", "val_subset=null", "feature_key=null", "taps=[0, None]"]
    assert parse_fields(pairs) == {"seed": 4, "tiou": [0.5, 0.7], "track_test": True, "micro_batch": None,
                                   "ranges": "short", "annotations": "a=b.json", "cache": "", "weights": "3",
                                   "start": "7", "val_subset": "null", "feature_key": None, "taps": [0, None]}
    assert parse_fields(None) == parse_fields([]) == {}


@pytest.mark.parametrize(("pairs", "message"), [
    (["seed"], "--set takes field=value, got 'seed'"), ([""], "got ''"),
    (["ranges=short", "seed=1"], "seed is set by this command's own options")])
def test_what_is_no_field_or_has_an_option_of_its_own_is_refused(pairs, message):
    with pytest.raises(typer.BadParameter, match=message):
        parse_fields(pairs, taken=("seed",))


def test_a_config_begins_with_a_file_or_a_preset_and_fields_come_last(tmp_path):
    assert choose_config(None, "", tmp_path, "", None) == Config()
    preset = PRESETS["thumos14_b"](tmp_path)
    assert choose_config(None, "thumos14_b", tmp_path, "", ["seed=3"]) == preset.replace(seed=3)
    other = choose_config(None, "thumos14_b", tmp_path, "opentad", ["nms_sigma=0.9"])
    assert other == postprocess(preset, "opentad").replace(nms_sigma=0.9)
    (tmp_path / "config.json").write_text(json.dumps(Config.make(seed=5, epochs=2).to_dict()))
    assert choose_config(tmp_path / "config.json", "demo", tmp_path, "", ["epochs=9"]) == Config.make(seed=5, epochs=9)
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        choose_config(None, "demo", tmp_path, "", ["epocks=9"])


def test_an_interrupt_ends_the_command_with_its_words_and_nothing_else_does():
    assert interruptible(lambda *words, **named: (words, named), 1, a=2) == ((1,), {"a": 2})

    def stopped(*message):
        raise KeyboardInterrupt(*message)

    with pytest.raises(SystemExit, match="^stopped after 3 of 5$"):
        interruptible(stopped, "after 3 of 5")
    with pytest.raises(SystemExit, match="^stopped; the same command continues there$"):
        interruptible(stopped)
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 / 0)
