"""Finished runs of the ablation study, made by hand."""

import json

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.evaluation.ground_truth import make_truth
from losa.world.motions import CLASSES


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def pretend(out, runs, score):
    """Finished runs on disk that were never run: `score(run)` is their average mAP in percent."""
    truth = {}
    for run in runs:
        config = Config.make(**run.parameters)
        if config.annotations not in truth:
            labelled = load_annotations(config.annotations)
            truth[config.annotations] = make_truth(labelled.subset("test"), labelled.classes)
        found = {v: [{**r, "score": 0.9} for r in rows] for v, rows in truth[config.annotations].items()}
        folder, value = out / "runs" / f"{run.part}_{run.label}_{run.data_seed}_{run.backbone}", score(run) / 100
        result = {"average_map": value, "late_gain": 0.1, "seconds": {"train": 60.0}, "trainable_parameters": 1000,
                  "peak_memory_mb": 500.0, "config": config.to_dict(), "val_map": {"5": 0.1, "6": value},
                  "per_class": {c: [value] * 5 for c in (*CLASSES, "answered_kick")},
                  "per_length": {"XS": {"average_map": value}, "S": {"average_map": None}}}
        write(folder / "config.json", config.to_dict())
        write(folder / "predictions.json", {"results": found})
        write(folder / "result.json", result)
        write(folder / "status.json", {"status": "ok"})
