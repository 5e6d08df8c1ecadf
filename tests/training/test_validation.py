"""On which videos a run validates."""

import numpy as np
import pytest

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import ConfigError
from losa.presets import PRESETS
from losa.training.validation import check_subsets, choose_validation_sets


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_every": 2, "save_every": 2, "drop_path": 0.2, **fields})


def test_the_tracked_test_set_is_the_one_that_is_judged(tiny, tmp_path):
    (tmp_path / "blocked.txt").write_text("test_0001\n")
    config = tiny_config(tiny, track_test=True, block_list=str(tmp_path / "blocked.txt"))
    from losa.annotations.dataset import load_annotations

    videos, truth = choose_validation_sets(config, load_annotations(config.annotations))["test_map"]
    assert [video.id for video in videos] == sorted(truth) == ["test_0000", "test_0002"]


@pytest.mark.parametrize("fields, said", [
    (dict(val_subset="valid"), "val_subset='valid': there is no such subset; did you mean 'val'? "
                               "Write -s val_subset=val or -s val_subset= (no validation)"),
    (dict(val_subset="hidden"), "val_subset='hidden': 1 videos, and no instance in any of them. "
                                "Write -s val_subset=val or -s val_subset= (no validation)"),
    (dict(train_subset="hidden"), "train_subset='hidden': 1 videos, and no instance in any of them. "
                                  "Write -s train_subset=test or -s train_subset=train or -s train_subset=val"),
    (dict(test_subset=""), "test_subset='': there is no such subset. Write -s test_subset=hidden or "
                           "-s test_subset=test or -s test_subset=train or -s test_subset=val"),
])
def test_a_subset_that_cannot_serve_is_named_with_those_that_can(fields, said):
    with pytest.raises(ConfigError) as told:
        check_subsets(Config.make(**fields), some_subsets())
    first, last = str(told.value).splitlines()
    assert first == said and last.endswith("has the subsets 'hidden' (1 videos, 0 instances), 'test' (1 videos, 1 "
                                           "instances), 'train' (1 videos, 1 instances), 'val' (1 videos, 1 instances)")


def test_subsets_that_serve_pass_also_without_labels_to_test_on():
    check_subsets(Config.make(val_subset="", test_subset="hidden"), some_subsets())
    sets = choose_validation_sets(Config.make(test_subset="hidden", track_test=True), some_subsets())
    assert [*sets] == ["val_map"], "without labels there is no test mAP to track"


def some_subsets():
    """Annotations with train, val, test, and a subset without labels."""
    return Annotations(("jump",), tuple(
        Video(name, name, None, 0.0, 9.0, np.array([[1.0, 2.0]] * has).reshape(-1, 2), np.zeros(has, np.int64))
        for name, has in (("train", 1), ("val", 1), ("test", 1), ("hidden", 0))))
