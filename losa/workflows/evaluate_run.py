"""Predict a subset with a trained run, evaluate it where it has labels, and write its protocol card."""

import re
import shlex
import time
import warnings
from dataclasses import replace
from pathlib import Path

from losa.annotations.dataset import Video, load_annotations
from losa.config import Config, replace_late
from losa.errors import EvaluationError, LosaError
from losa.evaluation.average_precision import evaluate
from losa.evaluation.card import describe_method, make_card
from losa.evaluation.evaluate_file import warn_of
from losa.evaluation.ground_truth import as_learnt, choose_truth, find_truth, leave_unmeasured
from losa.evaluation.mismatch import Mismatch, MismatchWarning
from losa.evaluation.mismatches import find_mismatches
from losa.evaluation.records import Records, Truth, count_instances, read_predictions, read_truth
from losa.evaluation.tagged import FILE, evaluate_without, read_tags
from losa.inference.candidates import save_raw
from losa.inference.postprocess import suppress
from losa.inference.predict import predict
from losa.machine import best_device, device_name
from losa.model.checkpoint import load_model
from losa.presets import postprocess
from losa.segments import write_predictions
from losa.taps.open import open_features
from losa.taps.source import FeatureSource

BY_CHANCE = {"segments on no instance", "segments in no part but the first", "labels of other instances",
             "repeated predictions"}  # mismatches that a model which has learnt little shows, too: not warned of


def test(out: str | Path, subset: str, *, annotations: str = "", post: str = "", fields: dict | None = None,
         quiet: bool = False) -> dict:
    """Predict a subset with a trained run's model, write the predictions beside it and return the evaluation.

    predictions.json holds the config's test subset as trained; anything else goes to predictions_<subset>....json.
    annotations: another annotation file than the run's own. post, fields: post-processing of a peer, and fields of
    prediction and evaluation to replace. Of a subset without ground truth, or a file without any, the predictions are
    written, "average_map" is None and "map" empty.
    Raises CheckpointError if the classes differ, ConfigError for other fields.
    """
    out, began = Path(out), time.monotonic()
    if not (out / "config.json").exists():
        raise FileNotFoundError(f"no run at {out}; train one with `losa train {out}`. To find actions in "
                                f"videos: losa predict VIDEOS --run RUN --out DIR")
    config = trained = Config.load(out / "config.json")
    if annotations:
        config = config.replace(annotations=annotations)
    config = replace_late(postprocess(config, post) if post else config, fields or {})
    labelled = load_annotations(config.annotations, need_labels=False)
    if not labelled.classes:  # no label in the whole file
        labelled = replace(labelled, classes=known_classes(out, trained))
    data = as_learnt(config, labelled)
    load_model(out, classes=data.classes)  # before the taps, which may take long
    truth, left_out = find_truth(config, labelled, subset)
    videos = tuple(v for v in data.subset(subset, need_labels=False) if v.id not in left_out)
    source = open_features(config, videos, device=best_device(), quiet=quiet, run=out)
    model, _, classes = load_model(out, classes=data.classes, backbone=source.recipe.describe())
    raw = predict(model.to(best_device()), source, videos, config, quiet=quiet)
    records = suppress(raw, config, classes, labelled.classes)
    found, mismatches = measure(truth, records, config)
    card = run_card(config, found, source, videos, left_out, subset)
    words = [subset, *filter(None, [post]), *(f"{name}={value}" for name, value in (fields or {}).items())]
    own = "" if config == trained and subset == config.test_subset else re.sub(r"[^\w.=-]", "-", f"_{'_'.join(words)}")
    save_raw(out / f"raw_predictions{own}.npz", raw, classes)
    path = write_predictions(out / f"predictions{own}.json", records, {"card": card, "config": config.to_dict()})
    learnt = [*model.parameters(), *(source.tuned.parameters() if source.tuned is not None else ())]
    parameters = sum(p.numel() for p in learnt)
    return {**found, "mismatches": [mismatch.to_dict() for mismatch in mismatches], "subset": subset,
            "num_videos": len(videos), "trainable_parameters": parameters, "card": card,
            "config": config.to_dict(), "predictions": str(path), "predict_seconds": time.monotonic() - began}


def measure(truth: Truth, records: Records, config: Config) -> tuple[dict, list[Mismatch]]:
    """Return what `evaluate` says as a dict, or `leave_unmeasured` without ground truth; and what does not fit."""
    if not count_instances(truth.records):
        return leave_unmeasured(truth.records, records, config), []
    mismatches = find_mismatches(truth, records)
    warn_of([mismatch for mismatch in mismatches if mismatch.level != "note" and mismatch.kind not in BY_CHANCE])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MismatchWarning)  # said above
        return evaluate(truth.records, records, tuple(config.tiou), config.protocol).to_dict(), mismatches


def known_classes(out: Path, trained: Config) -> tuple[str, ...]:
    """Return the classes of a run; of one that learnt without, those of its annotations."""
    return load_annotations(trained.annotations).classes if trained.class_agnostic else load_model(out)[2]


def run_card(config: Config, found: dict, source: FeatureSource, videos: tuple[Video, ...], left_out: set[str],
             subset: str) -> dict:
    """Return the protocol card of a run's result."""
    known = describe_method(config.to_dict(), decode=source.decode_counts(videos))
    known["input"]["weights_sha256"] = source.recipe.describe().get("weights", "unknown")
    return make_card(found, subset=subset, test_set=config.test_set,
                     annotations=config.ground_truth or config.annotations, left_out=left_out,
                     selection="last epoch, EMA weights", device=device_name(), **known)


def evaluate_tagged(out: str | Path) -> dict:
    """Return a finished run's evaluation of everything and without what is tagged ambiguous; see `evaluate_without`.

    Ground truth, protocol and thresholds are those of the run; nothing is written. Raises EvaluationError where the
    folder holds no finished run, or no tag.
    """
    out = Path(out)
    if not (out / "config.json").is_file() or not (out / "predictions.json").is_file():
        raise EvaluationError(f"{out}: expected the folder of a finished run, with config.json and predictions.json: "
                              "tags belong to runs")
    tags = read_tags(out)
    if not tags:
        raise EvaluationError(f"{out}: no segment is tagged ({FILE} is missing or empty); tag some in losa.explore("
                              f"'{out.parent}') or by open_run('{out}').tags.put(...)")
    config = Config.load(out / "config.json")
    truth, _ = find_truth(config, load_annotations(config.annotations, need_labels=False), config.test_subset)
    return evaluate_without(truth.records, read_predictions(out / "predictions.json"), tags, tuple(config.tiou),
                            config.protocol)


def evaluate_command(out: str | Path, config: Config) -> str:
    """Return the command that evaluates a finished run's predictions again and gives its number, quoted for a shell."""
    words = ["losa", "evaluate", Path(out) / "predictions.json",
             "--ground-truth", config.ground_truth or config.annotations, "--subset", config.test_subset]
    words += ["--cleaned"] if not config.ground_truth and is_cleaned(config) else []
    for name in ("test_set", "block_list", "protocol"):
        if getattr(config, name) != Config.model_fields[name].default:
            words += [f"--{name.replace('_', '-')}", getattr(config, name)]
    words += ["--tiou", ",".join(map(str, config.tiou))] if config.tiou != Config.model_fields["tiou"].default else []
    words += ["--class-agnostic"] if config.class_agnostic and not config.classifier else []
    return shlex.join(map(str, words))


def is_cleaned(config: Config) -> bool:
    """Return whether loading changes the test subset of the annotations: clips, drops, or marks anything in it."""
    def flat(records: Records) -> dict[str, list]:
        return {v: sorted((r["label"], *map(float, r["segment"])) for r in items) for v, items in records.items()}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when it was trained
        plain = config.replace(class_agnostic=False, classifier="", test_set="", block_list="")
        used, _ = choose_truth(plain, load_annotations(config.annotations), config.test_subset)
        try:
            return flat(read_truth(config.annotations, config.test_subset).records) != flat(used)
        except LosaError:
            return True
