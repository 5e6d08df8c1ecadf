"""The comparison that the README reports: head-only, LoSA and two controls on both presets of the embedded world.

Every seed is a world of its own (videos nobody looked at while choosing anything) and the seed of training; all
modes of a seed share them, so differences are paired. The last epoch is the result.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from losa.config import Config, demo, head_only, widened_head
from losa.data import load_annotations
from losa.files import write_text
from losa.model import build
from losa.run import run
from losa.taps import best_device, open_taps
from losa.world import make_world

MODES = ("head_only", "losa", "last_block", "wide_head")
DATA_SEEDS = (101, 102, 103)  # never used for a choice


def study(out: str | Path, *, presets: tuple[str, ...] = ("gap", "covered"), seeds: tuple[int, ...] = DATA_SEEDS,
          size: str = "demo", num_processes: int = 2, **fields) -> str:
    """The table as markdown, also written to `out`/study.md with all numbers in study.json.

    Continues where it was stopped. Each run is one process with one thread.
    """
    out, jobs = Path(out), []
    configs = {(seed, preset): demo(out / f"world_{seed}", backbone=preset, seed=seed, **fields)
               for seed in seeds for preset in presets}  # checked before anything is rendered
    for seed in seeds:
        make_world(out / f"world_{seed}" / "world", size, seed=seed)
        for preset in presets:
            config = configs[seed, preset]
            open_taps(config, load_annotations(config.annotations).videos, device=best_device())
            jobs += [(each, out / "runs" / f"{preset}_{seed}_{mode}") for mode, each in modes(config).items()]
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        results = list(pool.map(run_quietly, jobs))
    rows = [{"run": path.name, "preset": c.backbone, "seed": c.seed, "mode": path.name.split("_", 2)[2], **r}
            for (c, path), r in zip(jobs, results, strict=True)]
    write_text(out / "study.json", json.dumps(rows, indent=1))
    table = "\n\n".join(preset_table(preset, [r for r in rows if r["preset"] == preset]) for preset in presets)
    write_text(out / "study.md", table + "\n")
    return table


def modes(config: Config) -> dict[str, Config]:
    """The compared runs. `wide_head` has as many trainable parameters as LoSA, or a few more."""
    target, width = num_parameters(config), config.head_dim
    while num_parameters(widened_head(config, width)) < target:
        width += config.head_heads
    return {"head_only": head_only(config), "losa": config, "last_block": config.replace(taps="last"),
            "wide_head": widened_head(config, width)}


def num_parameters(config: Config, dim: int = 96, num_classes: int = 10) -> int:
    """Trainable parameters on a world backbone (6 blocks)."""
    taps = {"all": 6, "half": 3, "last": 1, "none": 0}[config.taps]
    with torch.device("meta"):
        model = build(config, dim=dim, num_taps=taps, num_classes=num_classes, clip_snippets=8)
    return sum(p.numel() for p in model.parameters())


def preset_table(preset: str, rows: list[dict]) -> str:
    """Mean over seeds, paired difference to head_only with its 95 % t-interval, and whether training was done."""
    scores = {m: np.array([100 * r["average_map"] for r in rows if r["mode"] == m]) for m in MODES}
    seeds = [str(r["seed"]) for r in rows if r["mode"] == "losa"]
    lines = [f"Preset `{preset}`, {len(seeds)} seeds ({', '.join(seeds)})", "",
             "| mode | average mAP | per seed | minus head_only (95 % CI) | trainable parameters | "
             "val gain in last quarter | seconds |",
             "|---|---|---|---|---|---|---|"]
    for mode, values in scores.items():
        mine = [r for r in rows if r["mode"] == mode]
        late = [late_gain(r["val_map"]) for r in mine]
        lines.append(f"| {mode} | {values.mean():.1f} | {' / '.join(f'{v:.1f}' for v in values)} | "
                     f"{paired(values - scores['head_only']) if mode != 'head_only' else ''} | "
                     f"{mine[0]['trainable_parameters']:,} | {' / '.join(f'{x:+.1f}' for x in late)} | "
                     f"{np.mean([r['seconds']['train'] for r in mine]):.0f} |")
    return "\n".join(lines)


def paired(difference: np.ndarray) -> str:
    """Mean and Student-t interval of paired differences."""
    if len(difference) < 2:
        return f"{difference.mean():+.1f}"
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5
    return f"{difference.mean():+.1f} ± {half:.1f}"


def late_gain(val_map: dict[str, float]) -> float:
    """Points of val average mAP gained over the last quarter of the epochs."""
    epochs = sorted(map(int, val_map))
    before = [e for e in epochs if e <= 0.75 * epochs[-1]]
    return 100 * (val_map[str(epochs[-1])] - val_map[str(before[-1])]) if before else float("nan")


def one_thread() -> None:
    torch.set_num_threads(1)


def run_quietly(job: tuple[Config, Path]) -> dict:
    config, path = job
    result = json.loads(json.dumps(run(config, path, quiet=True)))
    print(f"{path.name}: {100 * result['average_map']:.1f}", flush=True)
    return result
