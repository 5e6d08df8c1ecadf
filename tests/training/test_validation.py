"""On which videos a run validates."""

from losa.presets import PRESETS
from losa.training.validation import choose_validation_sets


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_every": 2, "save_every": 2, "drop_path": 0.2, **fields})


def test_the_tracked_test_set_is_the_one_that_is_judged(tiny, tmp_path):
    (tmp_path / "blocked.txt").write_text("test_0001\n")
    config = tiny_config(tiny, track_test=True, block_list=str(tmp_path / "blocked.txt"))
    from losa.annotations.dataset import load_annotations

    videos, truth = choose_validation_sets(config, load_annotations(config.annotations))["test_map"]
    assert [video.id for video in videos] == sorted(truth) == ["test_0000", "test_0002"]
