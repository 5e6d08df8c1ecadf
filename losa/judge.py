"""What predictions of a subset are compared with, and how well a model does on it."""

from collections.abc import Sequence

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import ConfigError
from losa.evaluate import evaluate
from losa.model.losa import LoSA
from losa.predict import judged_by, predict, seen_by, suppress, truth_of
from losa.truth import (
    Records,
    choose_test_set,
    leave_out,
    named_part,
    other_counts,
    read_block_list,
    read_ground_truth,
)


def average_map(model: LoSA, source, videos: Sequence[Video], truth: Records, config: Config,
                labelled: Annotations) -> float:
    """Average mAP on `videos`; the model is left in eval mode."""
    raw = predict(model.eval(), source, videos, config, quiet=True)
    records = suppress(raw, config, seen_by(config, labelled).classes, labelled.classes)
    return evaluate(truth, records, tuple(config.tiou), config.protocol).average_map


def watched(config: Config, labelled: Annotations) -> dict[str, tuple[tuple[Video, ...], Records]]:
    """Videos and truth of what is predicted now and then while training, by the name it has in the log.

    "val_map" where there is a val subset; "test_map" only where the config tracks it.
    """
    seen, judged, found = seen_by(config, labelled), judged_by(config, labelled), {}
    if config.val_subset:
        found["val_map"] = seen.subset(config.val_subset), truth_of(judged.subset(config.val_subset), judged.classes)
    if config.track_test:
        truth, left_out = truth_for(config, labelled, config.test_subset)
        found["test_map"] = tuple(v for v in seen.subset(config.test_subset) if v.id not in left_out), truth
    return {name: each for name, each in found.items() if each[0]}


def truth_for(config: Config, labelled: Annotations, subset: str) -> tuple[Records, set[str]]:
    """What predictions of a subset are compared with, and the ids of the videos its test set leaves out.

    Raises ConfigError where a published test set is asked for and the annotations, cleaned, are not all of it.
    """
    judged = judged_by(config, labelled)
    if config.ground_truth:
        truth = read_ground_truth(config.ground_truth, subset)
        if config.class_agnostic and not config.classifier:
            truth = {v: [{**item, "label": "action"} for item in items] for v, items in truth.items()}
    else:
        truth = truth_of(judged.subset(subset), judged.classes)
    if subset != config.test_subset:
        return truth, set()
    chosen = leave_out(truth, read_block_list(config.block_list) if config.block_list else ())
    if config.test_set and config.ground_truth:
        chosen = choose_test_set(chosen, config.test_set)
    elif config.test_set:
        chosen = named_part(chosen, config.test_set)
        differs = other_counts(chosen, config.test_set)
        if differs:
            raise ConfigError(f"{differs} These are {config.annotations}, cleaned: give the file as it was published, "
                              "-s ground_truth=FILE, or give up the name, -s test_set=")
    return chosen, truth.keys() - chosen.keys()
