"""What commands print: fields, what to type next, shares and tables."""

from pathlib import Path

import numpy as np
import pytest

from helpers.command import losa
from losa.annotations.dataset import Annotations, Video
from losa.cli.options import parse_fields
from losa.cli.output import describe_fields, parse_shares, print_table, training_hint
from losa.config import Config
from losa.errors import ConfigError
from losa.segments import Grid, TimeAxis
from losa.training.reach import describe_reach


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
    assert said in hint and ("note: no instance of wave in '" in hint) == (len(subsets) > 1)


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


def test_what_was_not_measured_is_said_so(capsys):
    print_table({"tiou": [0.3], "map": [], "average_map": None, "num_predictions": 11, "num_videos": 3,
                 "subset": "testing"})
    assert capsys.readouterr().out == "no ground truth in subset 'testing': not evaluated; 11 predictions in 3 videos\n"


def actions(subset, *lengths, duration=400.0, fps=30.0, label=0):
    """A video with an action of each length (s), 20 s from start to start."""
    segments = [(20.0 * i, 20.0 * i + length) for i, length in enumerate(lengths)]
    return Video(f"{subset} {lengths}", subset, None, 0.0, duration, np.array(segments).reshape(-1, 2),
                 np.full(len(lengths), label), fps)


@pytest.mark.parametrize("lengths, settings", [
    ((2.0, 5.0, 8.0), "-s sample_fps=10"),
    ((1.0, 60.0), "-s sample_fps=10 -s window=768 -s head_levels=6"),
    ((1.0, 300.0), "-s sample_fps=6.2 -s window=2336 -s head_levels=7"),
    ((0.06, 5.0), "-s sample_fps=17"),
    ((10.0, 19.0), "-s sample_fps=3.2"),
    ((0.5, 1.5), "-s sample_fps=10 -s head_levels=3"),
])
def test_the_settings_to_type_fit_the_lengths_of_the_actions(lengths, settings):
    """What is printed fits: the same annotations under it have nothing to be told of."""
    found = Annotations(("jump",), (actions("train", *lengths), actions("val", 2.0), actions("test", 2.0)))
    hint = training_hint(found, Path("data"))
    assert f"    -s backbone=timm/vit_small_patch14_dinov2.lvd142m {settings}\n" in hint and "note:" not in hint
    config = Config.make(backbone="timm/vit_small_patch14_dinov2.lvd142m", **parse_fields(settings.split(" ")[1::2]))
    axis = TimeAxis(Grid(config.sample_fps, 1), int(400 * config.sample_fps))
    assert describe_reach(config, found, [axis]) == ""


def test_labels_out_of_reach_absent_classes_and_hidden_subsets_are_noted():
    many = actions("train", *[5.0] * 199, 0.01, duration=4000.0)
    found = Annotations(("jump", "wave"), (many, actions("val", 2.0, label=1), actions("test")))
    notes = [line for line in training_hint(found, Path("data")).splitlines() if not line.startswith(" ")]
    assert notes == [
        "note: no instance of wave in 'train': never learnt, and AP 0 where it occurs ('wave' 1 times in 'val')",
        "note: no instance of jump in 'val': not measured there",
        "note: 1 of 200 actions between the centres of two snippets (0.1 s), never learnt: 1 of 200 'jump'; the "
        f"shortest lasts 0.01 s, in {many.id!r} from 3980.00 s",
        "next: losa train RUN_FOLDER -s annotations=data/annotations.json -s cache=data/taps -s val_subset= "
        "-s test_subset=val \\",
        "(or another backbone; its weights come from timm's hub, or add -s weights=FILE)",
        "then for test, which has no labels: losa test RUN_FOLDER --subset test"]
