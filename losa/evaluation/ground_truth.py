"""Choose the ground truth that predictions of a subset are compared with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import ConfigError
from losa.evaluation.records import Records, read_ground_truth
from losa.evaluation.test_sets import choose_test_set, compare_counts, leave_out, read_block_list, select_test_set


def as_learnt(config: Config, annotations: Annotations) -> Annotations:
    """Return the annotations as the model learns them: with `config.class_agnostic` every label is "action"."""
    if not config.class_agnostic:
        return annotations
    return Annotations(("action",), tuple(replace(v, labels=np.zeros_like(v.labels)) for v in annotations.videos))


def as_judged(config: Config, annotations: Annotations) -> Annotations:
    """Return the annotations that predictions are compared with: with all classes where a classifier names them."""
    return annotations if config.classifier else as_learnt(config, annotations)


def make_truth(videos: Sequence[Video], classes: Sequence[str]) -> dict[str, list[dict]]:
    """Return the videos' ground truth as records, {video id: [{"segment", "label"}]}, as `evaluate` takes them."""
    return {video.id: video.records(classes) for video in videos}


def choose_truth(config: Config, labelled: Annotations, subset: str) -> tuple[Records, set[str]]:
    """Return the ground truth of a subset, and the ids of the videos that its test set leaves out.

    Raises ConfigError where a published test set is asked for and the annotations, cleaned, are not all of it.
    """
    judged = as_judged(config, labelled)
    if config.ground_truth:
        truth = read_ground_truth(config.ground_truth, subset)
        if config.class_agnostic and not config.classifier:
            truth = {v: [{**item, "label": "action"} for item in items] for v, items in truth.items()}
    else:
        truth = make_truth(judged.subset(subset), judged.classes)
    if subset != config.test_subset:
        return truth, set()
    chosen = leave_out(truth, read_block_list(config.block_list) if config.block_list else ())
    if config.test_set and config.ground_truth:
        chosen = choose_test_set(chosen, config.test_set)
    elif config.test_set:
        chosen = select_test_set(chosen, config.test_set)
        complaint = compare_counts(chosen, config.test_set)
        if complaint:
            raise ConfigError(f"{complaint} These are {config.annotations}, cleaned: give the file as it was "
                              "published, -s ground_truth=FILE, or give up the name, -s test_set=")
    return chosen, truth.keys() - chosen.keys()
