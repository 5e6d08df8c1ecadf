"""What commands print: fields, what to type next, shares and tables."""

from pathlib import Path

import numpy as np
import pytest

from helpers.command import losa
from losa.annotations.dataset import Annotations, Video
from losa.cli.output import describe_fields, parse_shares, print_table, training_hint
from losa.config import Config
from losa.errors import ConfigError


def test_every_field_is_listed_with_its_value_and_choices():
    said = losa("fields", "--preset", "activitynet_b").stdout
    listed = [line.split("=")[0].strip() for line in said.splitlines() if line.startswith("  ")]
    assert set(Config.model_fields) <= set(listed)
    assert '"short" | "long" | "both"' in said and "classifier_fusion=sqrt" in said and "frames_per_video=768" in said


@pytest.mark.parametrize("subsets, said", [
    (("train", "val", "test"), "-s cache=data/taps \\\n"),
    (("training", "validation"), "-s train_subset=training -s val_subset= -s test_subset=validation"),
    (("Validation", "Test"), "-s train_subset=Validation -s val_subset= -s test_subset=Test"),
    (("all",), "--split 0.6,0.2,0.2"),
])
def test_what_to_type_after_prepare_fits_the_subsets_there_are(subsets, said):
    videos = tuple(Video(name, name, None, 0, 9, np.array([[1.0, 2.0]]), np.array([min(i, 1)]))
                   for i, name in enumerate(subsets))
    hint = training_hint(Annotations(("jump", "wave"), videos), Path("data"))
    assert said in hint and ("note: no instance of wave in" in hint) == (len(subsets) > 1)


def test_shares_may_be_percent():
    assert parse_shares("60,20,20") == pytest.approx((0.6, 0.2, 0.2)) and parse_shares("") is None


@pytest.mark.parametrize(("split", "shares"), [
    ("0.6,0.2,0.2", (0.6, 0.2, 0.2)), ("1,0,0", (1.0, 0.0, 0.0)), ("0.5,0.5", (0.5, 0.5)), ("50,50", (0.5, 0.5))])
def test_shares_are_taken_as_they_are_written(split, shares):
    assert parse_shares(split) == shares


@pytest.mark.parametrize("split", ["a", "0.6;0.2;0.2", "0.6,,0.4"])
def test_shares_that_are_no_numbers_are_refused(split):
    with pytest.raises(ConfigError, match=f"--split {split}: expected three shares"):
        parse_shares(split)


def test_the_parameters_cell_is_python_that_makes_the_same_config():
    config = Config.make(taps=[1, 3], seed=7, ranges="short")
    found = {}
    exec(describe_fields(config, as_cell=True), found)  # noqa: S102
    assert Config.make(**{name: found[name] for name in Config.model_fields}) == config


def test_a_table_has_every_threshold_and_says_what_lies_elsewhere(capsys):
    result = {"tiou": [0.3, 0.55], "map": [0.5, 0.25], "average_map": 0.375, "num_ground_truth": 7,
              "num_predictions": 11, "protocol": "thumos14", "num_unknown_video": 0}
    print_table(result)
    assert capsys.readouterr().out == ("mAP at tIoU  0.30:  50.0  0.55:  25.0   average 37.50\n"
                                       "7 instances, 11 predictions, thumos14\n")
    print_table(result | {"num_unknown_video": 2})
    assert "2 predictions lie in videos the subset does not have" in capsys.readouterr().out
