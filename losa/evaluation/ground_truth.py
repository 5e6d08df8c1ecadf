"""Choose the ground truth that predictions of a subset are compared with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import ConfigError, NoTruthError
from losa.evaluation.amend import merge_classes
from losa.evaluation.records import Records, Truth, count_instances, read_truth, unknown_videos
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

    Of a subset without labels, as test sets of challenges are, the truth is a list without instances for every video.
    Raises AnnotationError for a subset that is not there, ConfigError where a published test set is asked for and the
    annotations, cleaned, are not all of it, NoTruthError where `config.ground_truth` lacks a subset that has labels,
    and EvaluationError for a file of ground truth that cannot be used.
    """
    truth = _read_own(config, labelled, subset)
    if subset != config.test_subset or not count_instances(truth.records):
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


def _read_own(config: Config, labelled: Annotations, subset: str) -> Truth:
    """Return the ground truth of a subset, of the config's own file where it names one."""
    judged = as_judged(config, labelled)
    videos = judged.subset(subset, need_labels=False)
    if not config.ground_truth:
        return describe_truth(judged, videos, subset)
    try:
        truth = read_truth(config.ground_truth, subset)
    except NoTruthError:
        if any(len(video.labels) for video in videos):
            raise
        return describe_truth(judged, videos, subset)
    if not config.class_agnostic or config.classifier:
        return truth
    return replace(truth, records=merge_classes(truth.records), classes=("action",))


def describe_truth(annotations: Annotations, videos: Sequence[Video], subset: str) -> Truth:
    """Return the ground truth of some videos of loaded annotations."""
    return Truth(make_truth(videos, annotations.classes), subset, {v.id: float(v.duration) for v in videos},
                 {v.id: float(v.fps) for v in videos if v.fps}, tuple(annotations.classes),
                 {v.id: v.subset for v in annotations.videos})


def leave_unmeasured(truth: Records, predictions: Records, config: Config) -> dict:
    """Return what `evaluate` gives as a dict, for a truth without instances: average_map is None, map is empty."""
    return {"tiou": list(config.tiou), "map": [], "average_map": None, "per_class": {}, "per_length": {},
            "num_videos": len(truth), "num_ground_truth": 0,
            "num_ambiguous": sum(bool(item.get("ambiguous")) for items in truth.values() for item in items),
            "num_predictions": count_instances(predictions),
            "num_unknown_video": count_instances(unknown_videos(truth, predictions)), "num_unknown_label": 0,
            "num_tied": 0, "protocol": config.protocol}
