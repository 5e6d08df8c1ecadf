"""One run from config to numbers: train, predict the test subset, evaluate, write down."""

import hashlib
import json
import time
import warnings
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open

from losa.adapter_file import strip_comments
from losa.annotations.dataset import Annotations, load_annotations
from losa.backbones.load import WEIGHTS
from losa.config import Config, Mark, list_fields
from losa.errors import ConfigError
from losa.evaluation.ground_truth import as_learnt, choose_truth
from losa.evaluation.protocols import PROTOCOLS
from losa.evaluation.records import count_instances
from losa.files import content_id, file_id, read_object, write_json
from losa.inference.video_classifier import read_scores
from losa.machine import best_device
from losa.model.checkpoint import model_file
from losa.taps.open import open_features
from losa.training.distributed import launched, on_main
from losa.training.train import check_beginning, train, warn_of_reach
from losa.training.validation import check_subsets
from losa.video.probe import probe
from losa.workflows.evaluate_run import test
from losa.world.render import SIZE


def run(config: Config, out: str | Path, *, quiet: bool = False) -> dict:
    """Train, predict the test subset and evaluate: return the result, which is also written to `out`/result.json.

    Without ground truth in the test subset its "average_map" is None and its "map" empty.

    A finished run is read back, an interrupted one continues. Beside the result lie config.json, log.jsonl,
    model.safetensors, predictions.json and raw_predictions.npz. quiet: no progress bars.

    Raises ConfigError before any expensive work for fields that cannot work together or with the data, and
    TrainingError where `out` holds another run or the loss is no longer finite.
    """
    out, here = Path(out), launched()
    inputs = on_main(lambda: hash_inputs(config))  # times of files may differ between nodes
    finished = on_main(lambda: read_result(out))
    if has_settings(finished, config) and finished.get("inputs") == inputs:
        return finished
    began, quiet = time.monotonic(), quiet or not here.is_main_process
    annotations = load_annotations(config.annotations)
    check_before_training(config, annotations)
    on_main(lambda: fill_cache(config, annotations, quiet))
    seconds = {"taps": time.monotonic() - began}
    train(config, out, quiet=quiet)
    return on_main(lambda: finish(config, out, inputs, seconds, quiet))


def fill_cache(config: Config, annotations: Annotations, quiet: bool) -> None:
    """Compute the taps of all subsets that the run reads, if it has a cache; before that, say what cannot be learnt."""
    needed = [name for name in (config.train_subset, config.val_subset, config.test_subset) if name]
    videos = tuple(v for name in needed for v in annotations.subset(name, need_labels=False))
    open_features(config, videos, device=best_device(), quiet=quiet,
                  before=partial(warn_of_reach, config, as_learnt(config, annotations)))


def finish(config: Config, out: Path, inputs: dict, seconds: dict, quiet: bool) -> dict:
    """Predict and evaluate with a trained run; return the result and write it to result.json."""
    log = [json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()]
    seconds = {**seconds, "train": log[-1]["seconds"]}
    result = test(out, config.test_subset, quiet=quiet)
    seconds["predict"] = result.pop("predict_seconds")
    curves = {name: {str(row["epoch"]): row[name] for row in log if name in row} for name in ("val_map", "test_map")}
    result |= {"inputs": inputs, "peak_memory_mb": max(row["peak_memory_mb"] for row in log), "seed": config.seed,
               "mode": config.mode, "seeds": read_seeds(config), "epochs": len(log),
               "seconds": {phase: round(value, 2) for phase, value in seconds.items()},
               "late_gain": compute_late_gain(curves["val_map"]), **curves}
    write_json(out / "result.json", result)
    return result


def compute_late_gain(curve: dict[str, float]) -> float | None:
    """Return the points of average mAP gained over the last quarter of the epochs, None if not measured before it."""
    epochs = sorted(map(int, curve))
    before = [epoch for epoch in epochs if epoch <= 0.75 * epochs[-1]]
    return 100 * (curve[str(epochs[-1])] - curve[str(before[-1])]) if before else None


def read_seeds(config: Config) -> dict[str, int | None]:
    """Return the seeds of data (embedded world), backbone (its pretraining) and training; None where unknown."""
    world = read_object(Path(config.annotations).parent / "world.json")
    weights = Path(config.weights) if config.weights else WEIGHTS / f"world_{config.backbone}.safetensors"
    backbone = None if config.features else read_weights_card(weights).get("seed")
    return {"data": world.get("seed"), "backbone": backbone, "training": config.seed}


def read_weights_card(weights: Path) -> dict:
    """Read the card of a weights file, from its metadata or the .json beside it; empty if there is none."""
    try:
        with safe_open(weights, framework="pt") as file:
            inside = json.loads((file.metadata() or {}).get("card", "{}"))
    except (OSError, SafetensorError, ValueError):
        inside = {}
    return inside or read_object(weights.with_suffix(".json"))


def read_result(out: str | Path) -> dict:
    """Read the result.json of a finished run; empty if there is none that can be read."""
    return read_object(Path(out) / "result.json")


def has_settings(result: dict, config: Config) -> bool:
    """Return whether a result is of this config; fields that its version of losa lacked stand at their default."""
    return "config" in result and {**Config().to_dict(), **result["config"]} == config.to_dict()


def check_before_training(config: Config, labelled: Annotations) -> None:
    """Check before training what is used only after it: protocol, ground truth, classifier, start.

    Raises ConfigError, EvaluationError or ClassifierError.
    """
    if config.protocol not in PROTOCOLS:
        raise ConfigError(f"protocol={config.protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    check_subsets(config, labelled)
    if not count_instances(choose_truth(config, labelled, config.test_subset)[0]):
        warnings.warn(f"subset {config.test_subset!r} has no ground truth: it will be predicted, and not evaluated",
                      stacklevel=2)
    check_beginning(config)
    if config.classifier:
        read_scores(config.classifier, labelled.classes)
    warn_of_toy_backbone(config, labelled)


def warn_of_toy_backbone(config: Config, labelled: Annotations) -> None:
    """Warn if a backbone of the embedded world, which has only seen drawings, is used on other videos."""
    path = next((video.path for video in labelled.videos if video.path), None)
    if config.features or config.backbone not in ("gap", "covered") or path is None:
        return
    size = (lambda info: (info.width, info.height))(probe(path))
    if size != (SIZE, SIZE):
        warnings.warn(f"backbone={config.backbone!r} has only ever seen the embedded world's drawings, and {path} is "
                      "no such video; for real ones choose e.g. -s backbone=timm/vit_small_patch14_dinov2.lvd142m",
                      stacklevel=2)


def hash_inputs(config: Config) -> dict[str, str]:
    """Return checksums of the files that a result depends on, by field.

    Raises ConfigError where there are no annotations.
    """
    labels = Path(config.annotations)
    if not labels.exists():
        raise ConfigError(f"annotations={config.annotations}: there is no such file (seen from {Path.cwd()}). Give "
                          f"what `losa data prepare` wrote, -s annotations=FILE; `losa demo` makes that of the demo")
    found = {"annotations": checksum_of_listing(labels) if labels.is_dir() else file_id(config.annotations)}
    for name in (name for name in list_fields(Mark.FILE) if name not in ("annotations", "start", "adapter")):
        path = Path(getattr(config, name) or "random")
        if path.is_file():
            found[name] = content_id(str(path))
        elif path.is_dir():
            found[name] = checksum_of_listing(path)
    if config.start and model_file(config.start).is_file():
        found["start"] = content_id(str(model_file(config.start)))
    if config.adapter_file:
        found["adapter"] = hashlib.sha256(strip_comments(config.adapter_text()).encode()).hexdigest()
    return found


def checksum_of_listing(folder: Path) -> str:
    """Return a sha256 over names, sizes and modification times of a folder's files."""
    rows = sorted((str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    return hashlib.sha256(repr(rows).encode()).hexdigest()
