"""Measure how long training takes from a warm cache, by the adapters' ranges (`losa bench train`).

The variants are trained in turns. The cache holds made-up taps of videos as long as the demo's, so that nothing has to
be rendered or extracted; the values do not change how long a step takes.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from timm.utils import ModelEmaV3

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.files import write_text
from losa.model.losa import build
from losa.model.points import assign_batch, losses, points
from losa.presets import demo
from losa.taps.batch import stack
from losa.taps.cache_files import RowFile
from losa.taps.open import open_features
from losa.training.optimiser import make_optimiser
from losa.training.train import train
from losa.training.windows import Windows, batch_indices, loader

VARIANTS = {"head_only": dict(mode="head_only"), "short": dict(ranges="short"), "long": dict(ranges="long"),
            "both": dict(ranges="both")}
FPS = 12
PHASES = ("read and pad", "adapters and fusion", "head", "targets and loss", "backward head",
          "backward adapters and fusion", "optimiser", "moving average")


def train_speed(num_videos: int = 80, epochs: int = 2, repeats: int = 3, profile_steps: int = 10,
                epochs_in_all: int = 40, seconds: tuple[int, int] = (44, 63)) -> dict:
    """Return the median seconds per epoch of `VARIANTS` on one thread, the ratio to head_only, and shares of `PHASES`.

    Each of `repeats` rounds trains every variant for `epochs`; the time of `epochs_in_all` epochs follows from the
    median. seconds: the least and the greatest length of the videos.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = make_data(Path(folder), num_videos, seconds)
            configs = {name: config.replace(epochs=epochs, **fields) for name, fields in VARIANTS.items()}
            taken: dict[str, list[float]] = {name: [] for name in configs}
            for i in range(repeats):
                for name, one in configs.items():
                    taken[name] += epoch_seconds(one, Path(folder) / f"{name}_{i}")
            phases = {name: phase_seconds(one, profile_steps) for name, one in configs.items()}
    finally:
        torch.set_num_threads(threads)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return {"num_videos": num_videos, "epochs_in_all": epochs_in_all, "variants": {
        name: {"seconds_per_epoch": round(median, 3), "seconds_in_all": round(median * epochs_in_all, 1),
               "times_head_only": round(median / medians["head_only"], 2),
               "phases": {phase: round(s / sum(phases[name].values()), 4) for phase, s in phases[name].items()}}
        for name, median in medians.items()}}


def make_data(folder: Path, num_videos: int, seconds: tuple[int, int]) -> Config:
    """Write made-up annotations, video files (some bytes) and a full cache, and return the demo's config for them."""
    rng, database = np.random.default_rng(0), {}
    (folder / "videos").mkdir()
    for i in range(num_videos):
        duration = int(rng.integers(*seconds, endpoint=True))
        (folder / "videos" / f"video_{i}.mp4").write_bytes(rng.bytes(64))
        starts = np.arange(1, duration - 7, 7)
        database[f"video_{i}"] = {
            "subset": "train", "duration": float(duration), "fps": FPS, "path": f"videos/video_{i}.mp4",
            "annotations": [{"segment": [float(s), float(s + rng.uniform(0.75, 6.2))], "label": f"class_{s % 10}"}
                            for s in starts.tolist()]}
    write_text(folder / "annotations.json", json.dumps({"classes": [f"class_{i}" for i in range(10)],
                                                        "database": database}))
    config = demo(folder, annotations=str(folder / "annotations.json"), val_subset="", test_subset="train",
                  warmup_epochs=0, val_every=1000)
    cache = open_features(config, ())
    cache.folder.mkdir()
    for video in load_annotations(config.annotations).subset("train"):
        num = int(video.duration * FPS) // cache.stored.tubelet
        file = RowFile(cache.path(video), num, cache.row_size())
        file.append(rng.standard_normal((num, cache.row_size()), dtype=np.float32).astype(np.float16))
        file.finish({"video": video.id, "num_snippets": num, "sampled_fps": FPS, "decode": "none",
                     "recipe": cache.stored.describe()})
    return config


def epoch_seconds(config: Config, out: Path) -> list[float]:
    """Train once and return the seconds of each epoch."""
    train(config, out, quiet=True)
    ends = [json.loads(row)["seconds"] for row in (out / "log.jsonl").read_text().splitlines()]
    return [b - a for a, b in zip([0.0, *ends[:-1]], ends, strict=True)]


def phase_seconds(config: Config, num_steps: int) -> dict[str, float]:
    """Return the median seconds of each of `PHASES` over `num_steps` training steps."""
    annotations = load_annotations(config.annotations)
    cache = open_features(config, ())
    recipe = cache.recipe
    model = build(config, dim=recipe.dim, num_taps=len(recipe.layers), num_classes=len(annotations.classes),
                  clip_snippets=recipe.clip_length // recipe.tubelet)
    optimiser, ema = make_optimiser(model, config), ModelEmaV3(model, decay=config.ema_decay)
    windows = Windows(annotations.subset("train"), cache, config.window, crop_ratio=config.crop_ratio)
    epochs = -(-num_steps * config.batch_size // len(windows))
    batches = [b for epoch in range(epochs) for b in batch_indices(len(windows), config.batch_size, 0, epoch)]
    rows, at = [], [time.perf_counter()]
    for step, samples in enumerate(loader(windows, batches[:num_steps], 0)):
        batch = stack(samples, cache, "cpu")
        at.append(time.perf_counter())
        features, _ = model.features(batch.taps, batch.last, batch.mask)
        at.append(time.perf_counter())
        border = features.detach().requires_grad_()  # the backward pass stops here once, to be timed in two parts
        output = model.head(border, batch.mask)
        at.append(time.perf_counter())
        where = points(batch.mask.shape[1], config.head_levels)
        targets = assign_batch(where, batch.segments_grid, batch.labels, len(annotations.classes))
        loss = sum(losses(output.logits, output.offsets, output.mask, targets, config.init_normaliser))
        at.append(time.perf_counter())
        loss.backward()
        at.append(time.perf_counter())
        features.backward(border.grad)
        at.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_grad)
        optimiser.step()
        optimiser.zero_grad()
        at.append(time.perf_counter())
        ema.update(model, step + 1)
        at.append(time.perf_counter())
        rows.append(np.diff(at))
        at = at[-1:]
    return dict(zip(PHASES, np.median(rows[1:] or rows, 0).tolist(), strict=True))


def train_speed_table(measured: dict) -> str:
    """Return what `train_speed` measured as text: seconds per variant, and the share of each phase."""
    width = max(map(len, PHASES))
    head = f"{'':{width}}" + "".join(f"{name:>11}" for name in measured["variants"])
    rows = [(f"s per epoch of {measured['num_videos']} videos", "seconds_per_epoch", "{:>11.2f}"),
            (f"s, {measured['epochs_in_all']} epochs", "seconds_in_all", "{:>11.0f}"),
            ("times head_only", "times_head_only", "{:>11.2f}")]
    lines = [f"{name:{width}}" + "".join(text.format(v[key]) for v in measured["variants"].values())
             for name, key, text in rows]
    shares = [f"{phase:{width}}" + "".join(f"{v['phases'][phase]:>11.1%}" for v in measured["variants"].values())
              for phase in PHASES]
    return "\n".join([head, *lines, *shares])
