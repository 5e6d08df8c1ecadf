"""One run from config to numbers: train, predict the test subset, evaluate, write down."""

import hashlib
import json
import re
import sys
import time
import warnings
from pathlib import Path

import psutil
import torch

from losa.card import make_card, method_of
from losa.classifier import read_scores
from losa.config import Config, ConfigError, postprocess, replace_late
from losa.data import Annotations, Video, load_annotations
from losa.evaluate import PROTOCOLS, evaluate, report
from losa.files import write_text
from losa.model import load_model
from losa.predict import judged_by, predict, save_raw, seen_by, suppress, truth_of
from losa.segments import write_predictions
from losa.taps import best_device, content_id, file_id, open_taps
from losa.train import train
from losa.truth import (
    Records,
    choose_test_set,
    leave_out,
    named_part,
    other_counts,
    read_block_list,
    read_ground_truth,
)
from losa.video import probe
from losa.world import SIZE


def run(config: Config, out: str | Path, *, quiet: bool = False) -> dict:
    """The result, also written to `out`/result.json; a finished run is read back, an interrupted one continues.

    Beside it: config.json, log.jsonl, model.safetensors, predictions.json, raw_predictions.npz.
    """
    out = Path(out)
    known = read_result(out)
    inputs = inputs_of(config)
    if known.get("config") == config.to_dict() and known.get("inputs") == inputs:
        return known
    began = time.monotonic()
    annotations = load_annotations(config.annotations)
    check_late(config, annotations)
    needed = [name for name in (config.train_subset, config.val_subset, config.test_subset) if name]
    open_taps(config, tuple(v for name in needed for v in annotations.subset(name)), device=best_device(), quiet=quiet)
    seconds = {"taps": time.monotonic() - began}
    train(config, out, quiet=quiet)
    log = [json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()]
    seconds["train"] = log[-1]["seconds"]
    result = test(out, config.test_subset, quiet=quiet)
    seconds["predict"] = result.pop("predict_seconds")
    result |= {"inputs": inputs, "peak_memory_mb": peak_memory_mb(), "seed": config.seed,
               "seconds": {k: round(v, 2) for k, v in seconds.items()},
               "val_map": {str(row["epoch"]): row["val_map"] for row in log if "val_map" in row}}
    write_text(out / "result.json", json.dumps(result, indent=1))
    return result


def read_result(out: str | Path) -> dict:
    """What a finished run wrote to result.json; empty where there is none, or none that can be read."""
    try:
        return json.loads((Path(out) / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def test(out: str | Path, subset: str, *, annotations: str = "", post: str = "", fields: dict | None = None,
         quiet: bool = False) -> dict:
    """Predicts a subset with a trained run's model, writes predictions beside it and returns the evaluation.

    predictions.json holds the config's test subset as trained; anything else goes to predictions_<subset>....json.
    annotations: another annotation file than the run's own. post, fields: post-processing of a peer, and fields of
    prediction and evaluation to replace. Raises CheckpointError if the classes differ, ConfigError for other fields.
    """
    out, began = Path(out), time.monotonic()
    if not (out / "config.json").exists():
        raise FileNotFoundError(f"no run at {out}; train one with `losa train {out}`, or to find actions in videos add "
                                f"--run RUN --out DIR")
    config = trained = Config.load(out / "config.json")
    if annotations:
        config = config.replace(annotations=annotations)
    config = replace_late(postprocess(config, post) if post else config, fields or {})
    labelled = load_annotations(config.annotations)
    data = seen_by(config, labelled)
    load_model(out, classes=data.classes)  # before the taps, which may take long
    truth, left_out = truth_for(config, labelled, subset)
    videos = tuple(v for v in data.subset(subset) if v.id not in left_out)
    source = open_taps(config, videos, device=best_device(), quiet=quiet)
    model, _, classes = load_model(out, classes=data.classes, backbone=source.recipe.describe())
    raw = predict(model.to(best_device()), source, videos, config, quiet=quiet)
    records = suppress(raw, config, classes, labelled.classes)
    found = report(evaluate(truth, records, tuple(config.tiou), config.protocol))
    card = run_card(config, found, source, videos, left_out, subset)
    words = [subset, *filter(None, [post]), *(f"{name}={value}" for name, value in (fields or {}).items())]
    own = "" if config == trained and subset == config.test_subset else re.sub(r"[^\w.=-]", "-", f"_{'_'.join(words)}")
    save_raw(out / f"raw_predictions{own}.npz", raw, classes)
    path = write_predictions(out / f"predictions{own}.json", records, {"card": card, "config": config.to_dict()})
    parameters = sum(p.numel() for p in model.parameters())
    return {**found, "subset": subset, "num_videos": len(videos), "trainable_parameters": parameters, "card": card,
            "config": config.to_dict(), "predictions": str(path), "predict_seconds": time.monotonic() - began}


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


def check_late(config: Config, labelled: Annotations) -> None:
    """Nothing; raises the error that a field of prediction or evaluation would cause only after training."""
    if config.protocol not in PROTOCOLS:
        raise ConfigError(f"protocol={config.protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    truth_for(config, labelled, config.test_subset)
    if config.classifier:
        read_scores(config.classifier, labelled.classes)
    tell_toy_backbone(config, labelled)


def tell_toy_backbone(config: Config, labelled: Annotations) -> None:
    """Warns where a backbone that has only ever seen drawings is to look at other videos."""
    path = next((video.path for video in labelled.videos if video.path), None)
    if config.features or config.backbone not in ("gap", "covered") or path is None:
        return
    size = (lambda info: (info.width, info.height))(probe(path))
    if size != (SIZE, SIZE):
        warnings.warn(f"backbone={config.backbone!r} has only ever seen the embedded world's drawings, and {path} is "
                      "no such video; for real ones choose e.g. -s backbone=timm/vit_small_patch14_dinov2.lvd142m",
                      stacklevel=2)


def inputs_of(config: Config) -> dict[str, str]:
    """What the files that a result depends on hold, by field."""
    found = {"annotations": file_id(config.annotations)}
    for name in ("ground_truth", "block_list", "classifier", "weights", "features"):
        path = Path(getattr(config, name) or "random")
        if path.is_file():
            found[name] = content_id(str(path))
        elif path.is_dir():
            found[name] = checksum_of_listing(path)
    return found


def checksum_of_listing(folder: Path) -> str:
    """sha256 over names, sizes and times of change of a folder's files."""
    rows = sorted((str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def peak_memory_mb() -> float:
    """The most resident memory this process has had, in MB; on Windows what it has now."""
    try:
        import resource
    except ImportError:
        return round(psutil.Process().memory_info().rss / 1e6, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def run_card(config: Config, found: dict, source, videos: tuple[Video, ...], left_out: set[str], subset: str) -> dict:
    """The protocol card of a run's result."""
    known = method_of(config.to_dict(), decode=source.decode_counts(videos))
    known["input"]["weights_sha256"] = source.recipe.describe().get("weights", "unknown")
    return make_card(found, subset=subset, test_set=config.test_set,
                     annotations=config.ground_truth or config.annotations, left_out=left_out,
                     selection="last epoch, EMA weights", device=device_name(), **known)


def device_name() -> str:
    """The GPU's name, or cpu."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
