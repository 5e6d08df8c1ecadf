"""Choose the ground truth that predictions of a subset are compared with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import ConfigError
from losa.evaluation.amend import merge_classes
from losa.evaluation.records import Records, Truth, read_truth
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
    """Return the ground truth of a subset, and the ids of the videos that its test set leaves out: see `find_truth`."""
    truth, left_out = find_truth(config, labelled, subset)
    return truth.records, left_out


def find_truth(config: Config, labelled: Annotations, subset: str) -> tuple[Truth, set[str]]:
    """Return the ground truth of a subset with what is known beside it, and the ids of the videos left out of it.

    Raises ConfigError where a published test set is asked for and the annotations, cleaned, are not all of it, and
    EvaluationError or AnnotationError for a file of ground truth that cannot be used.
    """
    truth = _read_own(config, subset) if config.ground_truth else _from_annotations(config, labelled, subset)
    if subset != config.test_subset:
        return truth, set()
    chosen = leave_out(truth.records, read_block_list(config.block_list) if config.block_list else ())
    if config.test_set and config.ground_truth:
        chosen = choose_test_set(chosen, config.test_set)
    elif config.test_set:
        chosen = select_test_set(chosen, config.test_set)
        complaint = compare_counts(chosen, config.test_set)
        if complaint:
            raise ConfigError(f"{complaint} These are {config.annotations}, cleaned: give the file as it was "
                              "published, -s ground_truth=FILE, or give up the name, -s test_set=")
    return replace(truth, records=chosen), truth.records.keys() - chosen.keys()


def _read_own(config: Config, subset: str) -> Truth:
    truth = read_truth(config.ground_truth, subset)
    if not config.class_agnostic or config.classifier:
        return truth
    return replace(truth, records=merge_classes(truth.records), classes=("action",))


def _from_annotations(config: Config, labelled: Annotations, subset: str) -> Truth:
    judged = as_judged(config, labelled)
    return describe_truth(judged, judged.subset(subset), subset)


def describe_truth(annotations: Annotations, videos: Sequence[Video], subset: str) -> Truth:
    """Return the ground truth of some videos of loaded annotations."""
    return Truth(make_truth(videos, annotations.classes), subset, {v.id: float(v.duration) for v in videos},
                 {v.id: float(v.fps) for v in videos if v.fps}, tuple(annotations.classes),
                 {v.id: v.subset for v in annotations.videos})
