"""How much time two runs at a time save, and what a run costs beyond its training: `losa bench sweep`.

All runs get one thread and find their taps in the cache. Sequential and parallel sweeps are measured in turns, so that
a machine that slows down slows both.
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
from losa.sweeps.plan import read_notebook
from losa.sweeps.sweep import sweep
from losa.taps.open import open_features
from losa.world.render import make_world

NOTEBOOK = "notebooks/02_train.ipynb"  # what every run executes


def sweep_speed(out: str | Path, *, notebook: str | Path = NOTEBOOK, size: str = "demo", num_runs: int = 4,
                jobs: int = 2, repeats: int = 3, epochs: int = 6) -> dict:
    """Return the median seconds of `repeats` sweeps of `num_runs` runs, one after the other and `jobs` at a time.

    overhead_s: median of what a run takes, alone, beyond taps, training and prediction: kernel, imports, pictures.
    Raises SweepError for a missing notebook, a folder that was measured before, or a run that fails.
    """
    out = Path(out)
    read_notebook(notebook)  # before anything is rendered
    make_world(out / "world", size)
    config = (tiny if size == "tiny" else demo)(out).replace(epochs=epochs, warmup_epochs=1)
    open_features(config, load_annotations(config.annotations).videos, device=best_device())
    grid, rounds = seed_grid(config, num_runs), {1: 0, jobs: 0}

    def measure(at_once: int) -> None:
        rounds[at_once] += 1
        result = sweep(notebook, grid, new_folder(out, at_once, rounds[at_once]), jobs=at_once, threads=1, quiet=True)
        if result.exit_code:
            raise SweepError(f"{result}; see the run.ipynb of the runs that failed")

    seconds = interleaved({str(n): (lambda n=n: measure(n)) for n in rounds}, repeats)
    alone = [overhead(folder) for i in range(repeats) for folder in sorted((out / f"jobs_1_{i + 1}").glob("*/"))]
    return {"size": size, "num_runs": num_runs, "jobs": jobs, "repeats": repeats, "epochs": epochs,
            "one_s": seconds["1"], "jobs_s": seconds[str(jobs)], "times_faster": seconds["1"] / seconds[str(jobs)],
            "training_s": statistics.median(spent for spent, _ in alone),
            "overhead_s": statistics.median(beyond for _, beyond in alone)}  # fmt: skip


def seed_grid(config: Config, num_runs: int) -> dict[str, list]:
    """Return a grid of the config with `num_runs` seeds."""
    standard = Config().to_dict()
    return {k: [v] for k, v in config.to_dict().items() if v != standard[k]} | {"seed": list(range(num_runs))}


def new_folder(out: Path, jobs: int, number: int) -> Path:
    """Return the folder of one sweep. Raises SweepError if it exists: finished runs would be skipped, not measured."""
    folder = out / f"jobs_{jobs}_{number}"
    if folder.exists():
        raise SweepError(f"{folder} was measured before; give another folder, or delete it")
    return folder


def overhead(folder: Path) -> tuple[float, float]:
    """Return the seconds a run spent on taps, training and prediction, and the seconds beyond them."""
    status, result = (json.loads((folder / f"{name}.json").read_text()) for name in ("status", "result"))
    spent = float(sum(result["seconds"].values()))
    return spent, status["seconds"] - spent


def sweep_speed_table(measured: dict) -> str:
    """Return what `sweep_speed` measured as two lines of text."""
    m = measured
    return (f"{m['num_runs']} runs of {m['epochs']} epochs, size {m['size']}, one thread each, median of "
            f"{m['repeats']}: one after the other {m['one_s']:.1f} s, {m['jobs']} at a time {m['jobs_s']:.1f} s, "
            f"{m['times_faster']:.2f} x faster\n"
            f"a run alone: {m['training_s']:.1f} s for taps, training and prediction, {m['overhead_s']:.1f} s beyond "
            "them")
