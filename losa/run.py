"""One run from config to numbers: train, predict the test subset, evaluate, write down."""

import json
import sys
import time
from pathlib import Path

import psutil

from losa.config import Config
from losa.data import load_annotations
from losa.evaluate import evaluate, report
from losa.files import write_text
from losa.model import load_model
from losa.predict import predict, save_raw, suppress, truth_of
from losa.segments import write_predictions
from losa.taps import best_device, file_id, open_taps
from losa.train import train


def run(config: Config, out: str | Path, *, quiet: bool = False) -> dict:
    """The result, also written to `out`/result.json; a finished run is read back, an interrupted one continues.

    Beside it: config.json, log.jsonl, model.safetensors, predictions.json, raw_predictions.npz.
    """
    out = Path(out)
    known = read_result(out)
    if known.get("config") == config.to_dict() and known["data"] == file_id(config.annotations):
        return known
    began = time.monotonic()
    annotations = load_annotations(config.annotations)
    needed = [name for name in (config.train_subset, config.val_subset, config.test_subset) if name]
    open_taps(config, tuple(v for name in needed for v in annotations.subset(name)), device=best_device(), quiet=quiet)
    seconds = {"taps": time.monotonic() - began}
    train(config, out, quiet=quiet)
    log = [json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()]
    seconds["train"] = log[-1]["seconds"]
    result = test(out, config.test_subset, quiet=quiet)
    seconds["predict"] = result.pop("predict_seconds")
    result |= {"data": file_id(config.annotations), "peak_memory_mb": peak_memory_mb(), "seed": config.seed,
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


def test(out: str | Path, subset: str, *, annotations: str = "", quiet: bool = False) -> dict:
    """Predicts a subset with a trained run's model, writes predictions beside it and returns the evaluation.

    predictions.json holds the config's test subset; any other goes to predictions_<subset>.json.
    annotations: another annotation file than the run's own. Raises CheckpointError if its classes differ.
    """
    out, began = Path(out), time.monotonic()
    if not (out / "config.json").exists():
        raise FileNotFoundError(f"no run at {out}; train one with `losa train {out}`")
    config = Config.load(out / "config.json")
    if annotations:
        config = config.replace(annotations=annotations)
    data = load_annotations(config.annotations)
    load_model(out, classes=data.classes)  # before the taps, which may take long
    videos = data.subset(subset)
    source = open_taps(config, videos, device=best_device(), quiet=quiet)
    model, _, classes = load_model(out, classes=data.classes, backbone=source.recipe.describe())
    own = "" if subset == config.test_subset and not annotations else f"_{subset}"
    raw = predict(model.to(best_device()), source, videos, config, quiet=quiet)
    records = suppress(raw, config, classes)
    save_raw(out / f"raw_predictions{own}.npz", raw, classes)
    made = {"config": config.to_dict(), "subset": subset, "selection": "last epoch, EMA weights"}
    path = write_predictions(out / f"predictions{own}.json", records, made)
    found = report(evaluate(truth_of(videos, classes), records, tuple(config.tiou)))
    parameters = sum(p.numel() for p in model.parameters())
    return {**found, "subset": subset, "num_videos": len(videos), "trainable_parameters": parameters,
            "config": config.to_dict(), "predictions": str(path), "predict_seconds": time.monotonic() - began}


def peak_memory_mb() -> float:
    """The most resident memory this process has had, in MB; on Windows what it has now."""
    try:
        import resource
    except ImportError:
        return round(psutil.Process().memory_info().rss / 1e6, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
