"""Validation while training: on which videos, against which ground truth, and the average mAP reached."""

from collections.abc import Sequence

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.evaluation.average_precision import evaluate
from losa.evaluation.ground_truth import as_judged, as_learnt, choose_truth, make_truth
from losa.evaluation.records import Records
from losa.inference.postprocess import suppress
from losa.inference.predict import predict
from losa.model.losa import LoSA
from losa.taps.source import FeatureSource


def average_map(model: LoSA, source: FeatureSource, videos: Sequence[Video], truth: Records, config: Config,
                labelled: Annotations) -> float:
    """Return average mAP on `videos` against `truth`; leaves the model in eval mode."""
    raw = predict(model.eval(), source, videos, config, quiet=True)
    records = suppress(raw, config, as_learnt(config, labelled).classes, labelled.classes)
    return evaluate(truth, records, tuple(config.tiou), config.protocol).average_map


def choose_validation_sets(config: Config, labelled: Annotations) -> dict[str, tuple[tuple[Video, ...], Records]]:
    """Return videos and ground truth to predict while training, by the name of their average mAP in the log.

    "val_map" where there is a val subset; "test_map" only where the config tracks it.
    """
    seen, judged, sets = as_learnt(config, labelled), as_judged(config, labelled), {}
    if config.val_subset:
        sets["val_map"] = seen.subset(config.val_subset), make_truth(judged.subset(config.val_subset), judged.classes)
    if config.track_test:
        truth, left_out = choose_truth(config, labelled, config.test_subset)
        sets["test_map"] = tuple(v for v in seen.subset(config.test_subset) if v.id not in left_out), truth
    return {name: (videos, truth) for name, (videos, truth) in sets.items() if videos}
