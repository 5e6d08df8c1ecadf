"""How much two runs at a time save, and what a run costs beyond its training: `losa bench sweep`.

All runs get one thread and find their taps in the cache. One after the other and several at a time are measured in
turns, so that a machine that slows down slows both.
"""

import json
import statistics
from pathlib import Path

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.errors import SweepError
from losa.machine import best_device
from losa.presets import demo, tiny
from losa.studies.speed import interleaved
from losa.sweeps.sweep import sweep
from losa.taps.open import open_features
from losa.world.render import make_world

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02_train.ipynb"


def sweep_speed(out: str | Path, *, size: str = "demo", num_runs: int = 4, jobs: int = 2, repeats: int = 3,
                epochs: int = 6) -> dict:
    """Median seconds of `repeats` sweeps of `num_runs` runs, one after the other and `jobs` at a time.

    overhead_s: median of what a run takes, alone, beyond taps, training and prediction: kernel, imports, pictures.
    """
    out = Path(out)
    make_world(out / "world", size)
    config = (tiny if size == "tiny" else demo)(out).replace(epochs=epochs, warmup_epochs=1)
    open_features(config, load_annotations(config.annotations).videos, device=best_device())
    grid, rounds = grid_of(config, num_runs), {1: 0, jobs: 0}

    def measure(at_once: int) -> None:
        rounds[at_once] += 1
        result = sweep(NOTEBOOK, grid, fresh(out, at_once, rounds[at_once]), jobs=at_once, threads=1, quiet=True)
        if result.exit_code:
            raise SweepError(f"{result}; see the run.ipynb of the runs that failed")

    seconds = interleaved({str(n): (lambda n=n: measure(n)) for n in rounds}, repeats)
    alone = [overhead(folder) for i in range(repeats) for folder in sorted((out / f"jobs_1_{i + 1}").glob("*/"))]
    return {"size": size, "num_runs": num_runs, "jobs": jobs, "repeats": repeats, "epochs": epochs,
            "one_s": seconds["1"], "jobs_s": seconds[str(jobs)], "times_faster": seconds["1"] / seconds[str(jobs)],
            "training_s": statistics.median(spent for spent, _ in alone),
            "overhead_s": statistics.median(beyond for _, beyond in alone)}  # fmt: skip


def grid_of(config: Config, num_runs: int) -> dict[str, list]:
    """The config with so many seeds, as a grid."""
    standard = Config().to_dict()
    return {k: [v] for k, v in config.to_dict().items() if v != standard[k]} | {"seed": list(range(num_runs))}


def fresh(out: Path, jobs: int, number: int) -> Path:
    """A sweep's folder. Raises SweepError if it is there: finished runs would be skipped and nothing measured."""
    folder = out / f"jobs_{jobs}_{number}"
    if folder.exists():
        raise SweepError(f"{folder} was measured before; give another folder, or delete it")
    return folder


def overhead(folder: Path) -> tuple[float, float]:
    """Seconds a run spent on taps, training and prediction, and beyond them."""
    status, result = (json.loads((folder / f"{name}.json").read_text()) for name in ("status", "result"))
    spent = float(sum(result["seconds"].values()))
    return spent, status["seconds"] - spent


def sweep_speed_table(found: dict) -> str:
    """The measurement in words."""
    return (f"{found['num_runs']} runs of {found['epochs']} epochs, size {found['size']}, one thread each, median of "
            f"{found['repeats']}: one after the other {found['one_s']:.1f} s, {found['jobs']} at a time "
            f"{found['jobs_s']:.1f} s, {found['times_faster']:.2f} x faster\n"
            f"a run alone: {found['training_s']:.1f} s for taps, training and prediction, {found['overhead_s']:.1f} s "
            "beyond them")
