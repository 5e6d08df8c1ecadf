"""Leave-one-video-out on a few videos of the user's own: some ranges and windows, beside two kinds of chance.

With few instances this shows that everything works on real input and what chance looks like; it cannot show a gain.
"""

import json
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from losa.annotations.dataset import Annotations, load_annotations, save_annotations
from losa.config import Config
from losa.errors import AnnotationError, StudyError
from losa.evaluation.average_precision import evaluate
from losa.evaluation.ground_truth import make_truth
from losa.evaluation.records import read_predictions
from losa.files import write_json, write_text
from losa.machine import best_device
from losa.sweeps.statistics import paired_interval
from losa.taps.cached import CachedTaps
from losa.taps.open import open_features
from losa.workflows.run import run

MODES = {  # config fields that each mode replaces
    "head_only": {"mode": "head_only"}, "short": {"ranges": "short"}, "long": {"ranges": "long"}, "losa": {},
    "window_1": {"short_window": 1}, "window_16": {"short_window": 16}, "last_block": {"taps": "last"},
    # the head alone, to see chance
    "noise_features": {"mode": "head_only"}, "shuffled_labels": {"mode": "head_only"},
}  # fmt: skip


def leave_one_out(config: Config, out: str | Path, *, seeds: tuple[int, ...] = (0, 1, 2),
                  modes: Sequence[str] = tuple(MODES), num_processes: int = 2) -> str:
    """Test every video once, with a model trained on the others; return the results as a markdown table.

    The table and its rows are also written to `out`/folds.md and folds.json. All folds' predictions of a seed are
    pooled before AP. config.annotations: the prepared videos (subsets are ignored). config.cache: the folder of taps.
    Modes: see `MODES`; noise_features is head_only on Gaussian noise in place of the features, shuffled_labels is
    head_only trained with the labels of the training segments permuted. Raises StudyError for an unknown mode,
    AnnotationError for a video without an instance, which cannot be a fold.
    """
    out, annotations = Path(out), load_annotations(config.annotations)
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise StudyError(f"no mode is called {', '.join(unknown)}; choose from {', '.join(MODES)}")
    empty = [video.id for video in annotations.videos if not len(video.labels)]
    if empty:
        raise AnnotationError(f"{config.annotations}: {empty} have no instance and cannot be folds; leave them out")
    cache = open_features(config, annotations.videos, device=best_device())
    noise = write_noise_cache(cache, annotations, out / "noise")
    jobs = [(write_fold(config, annotations, mode, seed, k, out, noise), out / f"{mode}_{seed}_{k}")
            for mode in modes for seed in seeds for k in range(len(annotations.videos))]
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        list(pool.map(run_quietly, jobs))
    rows = [{"mode": mode, "seed": seed, **evaluate_pooled(annotations, out, mode, seed, config)}
            for mode in modes for seed in seeds]
    write_json(out / "folds.json", rows)
    table = folds_table(rows, annotations)
    write_text(out / "folds.md", table + "\n")
    return table


def write_fold(config: Config, annotations: Annotations, mode: str, seed: int, held_out: int, out: Path,
               noise: Path) -> Config:
    """Write the annotation file of one fold and return its config: one video tests, all others train."""
    rng = np.random.default_rng([seed, held_out])
    videos = [replace(v, subset="test" if i == held_out else "train") for i, v in enumerate(annotations.videos)]
    if mode == "shuffled_labels":
        training = [i for i, v in enumerate(videos) if v.subset == "train"]
        mixed = iter(rng.permutation(np.concatenate([videos[i].labels for i in training])))
        for i in training:
            videos[i] = replace(videos[i], labels=np.array([next(mixed) for _ in videos[i].labels], dtype=np.int64))
    path = out / "annotations" / f"{mode}_{seed}_{held_out}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_annotations(Annotations(annotations.classes, tuple(videos)), path)
    config = config.replace(annotations=str(path), val_subset="", seed=seed)
    return config.replace(**MODES[mode], **({"cache": str(noise)} if mode == "noise_features" else {}))


def write_noise_cache(cache: CachedTaps, annotations: Annotations, folder: Path) -> Path:
    """Write a folder of taps with the cache's format and names that hold Gaussian noise, fixed per video."""
    folder.mkdir(parents=True, exist_ok=True)
    for video in annotations.videos:
        card, name = cache.card(video), cache.path(video).name
        rng = np.random.default_rng(zlib.crc32(video.id.encode()))
        rows = rng.standard_normal((card["num_snippets"], cache.row_size())).astype(np.float16)
        np.save(folder / name, rows)
        write_json((folder / name).with_suffix(".json"), {**card, "crc32": zlib.crc32(rows)})
    return folder


def evaluate_pooled(annotations: Annotations, out: Path, mode: str, seed: int, config: Config) -> dict:
    """Return AP over all videos together, each predicted by the fold that did not train on it."""
    records = {}
    for k in range(len(annotations.videos)):
        records |= read_predictions(out / f"{mode}_{seed}_{k}" / "predictions.json")
    result = evaluate(make_truth(annotations.videos, annotations.classes), records, tuple(config.tiou))
    return {"average_map": result.average_map, "map": result.map, "num_ground_truth": result.num_ground_truth}


def folds_table(rows: list[dict], annotations: Annotations) -> str:
    """Return a markdown table with one row per mode: mAP of each seed, its mean, and the difference to head_only."""
    lines = [f"{len(annotations.videos)} folds, {rows[0]['num_ground_truth']} instances pooled before AP, "
             f"{len({r['seed'] for r in rows})} seeds", "", "| mode | average mAP per seed | mean | minus head_only |",
             "|---|---|---|---|"]
    scores = {mode: np.array([100 * r["average_map"] for r in rows if r["mode"] == mode])
              for mode in dict.fromkeys(r["mode"] for r in rows)}
    for mode, values in scores.items():
        gain = "" if mode == "head_only" or "head_only" not in scores else difference_text(values - scores["head_only"])
        lines.append(f"| {mode} | {' / '.join(f'{v:.1f}' for v in values)} | {np.mean(values):.1f} | {gain} |")
    return "\n".join(lines)


def difference_text(values: np.ndarray) -> str:
    """Return mean and t-interval over training seeds; the videos are the same, so it shows how training varies."""
    gain = paired_interval(values)
    return f"{gain.mean:+.1f}" + (f" ± {gain.half:.1f}" if len(values) > 1 else "")


def one_thread() -> None:
    """Limit torch to one thread, at the start of each process."""
    torch.set_num_threads(1)


def run_quietly(job: tuple[Config, Path]) -> dict:
    """Train and evaluate one fold; print its mAP and return its result."""
    config, path = job
    result = json.loads(json.dumps(run(config, path, quiet=True)))
    print(f"{path.name}: {100 * result['average_map']:.1f}", flush=True)
    return result
