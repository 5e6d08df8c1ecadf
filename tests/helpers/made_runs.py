"""Run folders as a sweep leaves them, made by hand: the parts of a run that tables and pages read."""

import json
from pathlib import Path

import numpy as np

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.evaluation.average_precision import evaluate
from losa.evaluation.ground_truth import make_truth

TIOU = (0.3, 0.5)


def made_world(folder: Path, seed: int, num_videos: int = 8) -> Path:
    """The annotations of a world without videos: two actions in each, 2 and 5 seconds long."""
    folder.mkdir(parents=True)
    rows = [[{"label": "jump", "segment": [5.0 + i, 7.0 + i]}, {"label": "kick", "segment": [20.0, 25.0]}]
            for i in range(num_videos)]
    database = {f"test_{i}": {"subset": "test", "duration": 40.0, "fps": 12, "annotations": rows[i]}
                for i in range(num_videos)}
    (folder / "world.json").write_text(json.dumps({"world": 2, "seed": seed, "seconds": [20, 40]}))
    (folder / "annotations.json").write_text(json.dumps({"classes": ["jump", "kick"], "database": database}))
    return folder / "annotations.json"


def made_run(folder: Path, annotations: Path, noise: float, *, seconds: float = 60.0, tracked: bool = False,
             **fields) -> dict:
    """The result of a finished run whose predictions are the truth moved by `noise` seconds at most."""
    config = Config.make(annotations=str(annotations), tiou=list(TIOU), **fields)
    labelled = load_annotations(annotations)
    truth = make_truth(labelled.subset("test"), labelled.classes)
    rng = np.random.default_rng([config.seed, round(100 * noise)])
    predictions = {video: [{"segment": [a + shift, b + shift], "label": r["label"], "score": rng.uniform()}
                           for r in rows for a, b in [r["segment"]] for shift in rng.uniform(-noise, noise, 3)]
                   for video, rows in truth.items()}
    found = evaluate(truth, predictions, TIOU).to_dict()
    score = found["average_map"]
    result = {**found, "config": config.to_dict(), "trainable_parameters": 1000 + 100 * config.short_window,
              "peak_memory_mb": 500.0 + noise, "seconds": {"taps": 1.0, "train": seconds, "predict": 2.0},
              "mode": config.mode, "seeds": {"data": None, "backbone": 0, "training": config.seed}, "late_gain": 0.1,
              "val_map": {"5": score + 0.1, "10": score - 0.1, "9": 0.0},
              "test_map": {"5": score + 0.02, "10": score} if tracked else {}}
    result["seeds"]["data"] = json.loads((annotations.parent / "world.json").read_text())["seed"]
    folder.mkdir(parents=True)
    write = lambda name, what: (folder / name).write_text(json.dumps(what))  # noqa: E731
    write("params.json", {"annotations": str(annotations), "tiou": list(TIOU), **fields})
    write("config.json", config.to_dict())
    write("predictions.json", {"version": "losa", "results": predictions})
    write("result.json", result)
    write("run.ipynb", {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    write("status.json", {"status": "ok", "seconds": seconds + 5, "error": "", "cell": None})
    return result


def failed_run(folder: Path, annotations: Path, status: str = "error", **fields) -> None:
    """A run that ended before its config was written; a result of before lies there all the same."""
    folder.mkdir(parents=True)
    given = {"annotations": str(annotations), "tiou": list(TIOU), **fields}
    (folder / "params.json").write_text(json.dumps(given))
    (folder / "result.json").write_text(json.dumps({"average_map": 0.99, "map": [0.99, 0.99], "tiou": list(TIOU)}))
    (folder / "run.ipynb").write_text("{}")
    (folder / "status.json").write_text(json.dumps({"status": status, "seconds": 3.0,
                                                    "error": "ValueError: <b>no</b>", "cell": 4}))
