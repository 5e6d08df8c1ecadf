"""What predictions of a subset are compared with, and how well a model does on it."""

from collections.abc import Sequence

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import Records
from losa.evaluation.targets import judged_by, seen_by, truth_for, truth_of
from losa.inference.postprocess import suppress
from losa.inference.predict import predict
from losa.model.losa import LoSA
from losa.taps.source import FeatureSource


def average_map(model: LoSA, source: FeatureSource, videos: Sequence[Video], truth: Records,
                config: Config, labelled: Annotations) -> float:
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
