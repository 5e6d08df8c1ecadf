"""Validation while training: on which videos, against which ground truth, and the average mAP reached."""

from collections.abc import Sequence

from losa.annotations.dataset import Annotations, Video
from losa.annotations.resolve import nearest
from losa.config import Config
from losa.errors import ConfigError
from losa.evaluation.average_precision import evaluate
from losa.evaluation.ground_truth import as_judged, as_learnt, choose_truth, make_truth
from losa.evaluation.records import Records, count_instances
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


def check_subsets(config: Config, labelled: Annotations) -> None:
    """Check that the annotations have the subsets of a config, and labels to train and validate on.

    The test subset may be without labels: it is predicted then, and not evaluated. Raises ConfigError that names each
    field and what it may be.
    """
    sizes, wrong = labelled.subsets, []
    for field in ("train_subset", "val_subset", "test_subset"):
        name = getattr(config, field)
        usable = [key for key, (_, instances) in sizes.items() if instances or field == "test_subset"]
        if name in usable or (field == "val_subset" and not name):
            continue
        why = (f"{sizes[name][0]} videos, and no instance in any of them." if name in sizes else
               f"there is no such subset{nearest(name, sizes) if name else '.'}")
        taken = (config.train_subset, config.test_subset) if field == "val_subset" else ()
        advice = [f"-s {field}={key}" for key in usable if key not in taken]
        advice += ["-s val_subset= (no validation)"] if field == "val_subset" else []
        wrong.append(f"{field}={name!r}: {why} Write {' or '.join(advice)}")
    if wrong:
        listed = ", ".join(f"{key!r} ({videos} videos, {instances} instances)"
                           for key, (videos, instances) in sizes.items())
        raise ConfigError("\n".join([*wrong, f"{config.annotations} has the subsets {listed}"]))


def choose_validation_sets(config: Config, labelled: Annotations) -> dict[str, tuple[tuple[Video, ...], Records]]:
    """Return videos and ground truth to predict while training, by the name of their average mAP in the log.

    "val_map" where there is a val subset; "test_map" only where the config tracks it and the subset has labels.
    """
    seen, judged, sets = as_learnt(config, labelled), as_judged(config, labelled), {}
    if config.val_subset:
        sets["val_map"] = seen.subset(config.val_subset), make_truth(judged.subset(config.val_subset), judged.classes)
    if config.track_test:
        truth, left_out = choose_truth(config, labelled, config.test_subset)
        if count_instances(truth):
            sets["test_map"] = tuple(v for v in seen.subset(config.test_subset, need_labels=False)
                                     if v.id not in left_out), truth
    return {name: (videos, truth) for name, (videos, truth) in sets.items() if videos}
