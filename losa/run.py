"""One run from config to numbers: train, predict the test subset, evaluate, write down."""

import hashlib
import json
import re
import time
import warnings
from pathlib import Path

from safetensors import SafetensorError, safe_open

from losa.adapter_file import code_of
from losa.annotations.dataset import Annotations, Video, load_annotations
from losa.backbones.vit import WEIGHTS
from losa.config import Config, replace_late
from losa.errors import ConfigError
from losa.evaluation.average_precision import evaluate, report
from losa.evaluation.card import make_card, method_of
from losa.evaluation.protocols import PROTOCOLS
from losa.evaluation.targets import seen_by, truth_for
from losa.files import content_id, file_id, read_object, write_text
from losa.inference.candidates import save_raw
from losa.inference.postprocess import suppress
from losa.inference.predict import predict
from losa.inference.video_classifier import read_scores
from losa.machine import best_device, device_name
from losa.model.checkpoint import load_model
from losa.presets import postprocess
from losa.segments import write_predictions
from losa.taps.open import open_source
from losa.training.distributed import launched, on_main
from losa.training.state import model_file
from losa.training.train import check_beginning, train
from losa.video.probe import probe
from losa.world import SIZE


def run(config: Config, out: str | Path, *, quiet: bool = False) -> dict:
    """The result, also written to `out`/result.json; a finished run is read back, an interrupted one continues.

    Beside it: config.json, log.jsonl, model.safetensors, predictions.json, raw_predictions.npz.
    """
    out, here = Path(out), launched()
    inputs = on_main(lambda: inputs_of(config))  # times of files may differ between nodes
    known = on_main(lambda: read_result(out))
    if known.get("config") == config.to_dict() and known.get("inputs") == inputs:
        return known
    began, quiet = time.monotonic(), quiet or not here.is_main_process
    annotations = load_annotations(config.annotations)
    check_late(config, annotations)
    on_main(lambda: fill_cache(config, annotations, quiet))
    seconds = {"taps": time.monotonic() - began}
    train(config, out, quiet=quiet)
    return on_main(lambda: finish(config, out, inputs, seconds, quiet))


def fill_cache(config: Config, annotations: Annotations, quiet: bool) -> None:
    """Computes the taps of all subsets the run reads, where they are cached."""
    needed = [name for name in (config.train_subset, config.val_subset, config.test_subset) if name]
    open_source(config, tuple(v for name in needed for v in annotations.subset(name)), device=best_device(),
                quiet=quiet)


def finish(config: Config, out: Path, inputs: dict, seconds: dict, quiet: bool) -> dict:
    """The result of a run that is trained, also written to result.json."""
    log = [json.loads(row) for row in (out / "log.jsonl").read_text().splitlines()]
    seconds = {**seconds, "train": log[-1]["seconds"]}
    result = test(out, config.test_subset, quiet=quiet)
    seconds["predict"] = result.pop("predict_seconds")
    curves = {name: {str(row["epoch"]): row[name] for row in log if name in row} for name in ("val_map", "test_map")}
    result |= {"inputs": inputs, "peak_memory_mb": max(row["peak_memory_mb"] for row in log), "seed": config.seed,
               "mode": config.mode, "seeds": seeds_of(config), "seconds": {k: round(v, 2) for k, v in seconds.items()},
               "epochs": len(log), "late_gain": late_gain(curves["val_map"]), **curves}
    write_text(out / "result.json", json.dumps(result, indent=1))
    return result


def late_gain(curve: dict[str, float]) -> float | None:
    """Points of average mAP gained over the last quarter of the epochs; None where it was not measured before."""
    epochs = sorted(map(int, curve))
    before = [epoch for epoch in epochs if epoch <= 0.75 * epochs[-1]]
    return 100 * (curve[str(epochs[-1])] - curve[str(before[-1])]) if before else None


def seeds_of(config: Config) -> dict[str, int | None]:
    """Seeds of the embedded world's data, of its backbone's pretraining and of training; None where it is unknown."""
    world = read_object(Path(config.annotations).parent / "world.json")
    weights = Path(config.weights) if config.weights else WEIGHTS / f"world_{config.backbone}.safetensors"
    backbone = None if config.features else card_of(weights).get("seed")
    return {"data": world.get("seed"), "backbone": backbone, "training": config.seed}


def card_of(weights: Path) -> dict:
    """What weights say about themselves, inside or in a .json beside them; empty where nothing is said."""
    try:
        with safe_open(weights, framework="pt") as file:
            inside = json.loads((file.metadata() or {}).get("card", "{}"))
    except (OSError, SafetensorError, ValueError):
        inside = {}
    return inside or read_object(weights.with_suffix(".json"))


def read_result(out: str | Path) -> dict:
    """What a finished run wrote to result.json; empty where there is none, or none that can be read."""
    return read_object(Path(out) / "result.json")


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
    source = open_source(config, videos, device=best_device(), quiet=quiet, run=out)
    model, _, classes = load_model(out, classes=data.classes, backbone=source.recipe.describe())
    raw = predict(model.to(best_device()), source, videos, config, quiet=quiet)
    records = suppress(raw, config, classes, labelled.classes)
    found = report(evaluate(truth, records, tuple(config.tiou), config.protocol))
    card = run_card(config, found, source, videos, left_out, subset)
    words = [subset, *filter(None, [post]), *(f"{name}={value}" for name, value in (fields or {}).items())]
    own = "" if config == trained and subset == config.test_subset else re.sub(r"[^\w.=-]", "-", f"_{'_'.join(words)}")
    save_raw(out / f"raw_predictions{own}.npz", raw, classes)
    path = write_predictions(out / f"predictions{own}.json", records, {"card": card, "config": config.to_dict()})
    learnt = [*model.parameters(), *(source.tuned.parameters() if source.tuned is not None else ())]
    parameters = sum(p.numel() for p in learnt)
    return {**found, "subset": subset, "num_videos": len(videos), "trainable_parameters": parameters, "card": card,
            "config": config.to_dict(), "predictions": str(path), "predict_seconds": time.monotonic() - began}


def check_late(config: Config, labelled: Annotations) -> None:
    """Nothing; raises the error that a field of prediction or evaluation would cause only after training."""
    if config.protocol not in PROTOCOLS:
        raise ConfigError(f"protocol={config.protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    truth_for(config, labelled, config.test_subset)
    check_beginning(config)
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
    if config.start and model_file(config.start).is_file():
        found["start"] = content_id(str(model_file(config.start)))
    if config.adapter_file:
        found["adapter"] = hashlib.sha256(code_of(config.adapter_text()).encode()).hexdigest()
    return found


def checksum_of_listing(folder: Path) -> str:
    """sha256 over names, sizes and times of change of a folder's files."""
    rows = sorted((str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def run_card(config: Config, found: dict, source, videos: tuple[Video, ...], left_out: set[str], subset: str) -> dict:
    """The protocol card of a run's result."""
    known = method_of(config.to_dict(), decode=source.decode_counts(videos))
    known["input"]["weights_sha256"] = source.recipe.describe().get("weights", "unknown")
    return make_card(found, subset=subset, test_set=config.test_set,
                     annotations=config.ground_truth or config.annotations, left_out=left_out,
                     selection="last epoch, EMA weights", device=device_name(), **known)
