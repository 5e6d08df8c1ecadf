"""`losa bench` and `losa study`: the commands behind the tables of the README."""

import json
from pathlib import Path
from typing import Annotated

import typer

from losa.cli.options import Set, interruptible, parse_fields
from losa.config import Config
from losa.errors import ConfigError

Notebook = Annotated[Path, typer.Option(help="The training notebook that every run executes.")]
TRAINING = Path("notebooks/02_train.ipynb")

bench_app = typer.Typer(no_args_is_help=True, help="Measure what the ways of adapting cost on this machine.")
study_app = typer.Typer(no_args_is_help=True, help="Make the tables of the README.")


@bench_app.command()
def memory(format: Annotated[str, typer.Option(help="table or json.")] = "table",
           num_clips: Annotated[int, typer.Option(help="Clips of 16 frames in the window.")] = 4) -> None:
    """Memory kept for the backward pass by the five modes at ViT-B; where there is a GPU, peak memory at ViT-g."""
    from losa.studies.memory import memory

    found = memory(num_clips)
    if format == "json":
        print(json.dumps(found))
        return
    print(f"{found['backbone']}, {num_clips} clips, {found['machine']}")
    for mode, row in found["modes"].items():
        print(f"{mode:22} {row['saved_mib']:10.1f} MiB  x{row['ratio']:<8} {row['trainable_parameters']:12,} trainable")
    for mode, row in found.get("gpu", {}).get("modes", {}).items():
        print(f"gpu {found['gpu']['backbone']} {mode:22} {row}")


@study_app.command()
def ablations(out: Annotated[Path, typer.Option(help="Folder of worlds, backbones, taps and runs.")]
              = Path("runs/ablations"),
              parts: Annotated[str, typer.Option(help="Parts to run, with commas; default: all.")] = "",
              jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at a time, one thread each.")] = 2,
              pictures: Annotated[Path | None, typer.Option(help="Folder for both figures; default: OUT.")] = None,
              notebook: Notebook = TRAINING) -> None:
    """Ranges, windows, taps, gates and modes on the embedded world, over seeds. Stopped, it continues."""
    from losa.studies.ablations import ablations

    print(interruptible(ablations, out, parts=tuple(filter(None, parts.split(","))), notebook=notebook, jobs=jobs,
                        pictures=pictures))


@study_app.command()
def folds(out: Annotated[Path, typer.Argument(help="Folder with the annotations.json of `losa data prepare`.")],
          backbone: Annotated[str, typer.Option(help="E.g. timm/vit_small_patch14_dinov2.lvd142m")],
          weights: Annotated[str, typer.Option(help="Its safetensors file, or random.")],
          seeds: Annotated[str, typer.Option(help="Training seeds, with commas.")] = "0,1,2",
          modes: Annotated[str, typer.Option(help="Which of them, with commas; default: all.")] = "",
          num_processes: Annotated[int, typer.Option(help="Runs at a time, one thread each.")] = 2,
          fields: Set = None) -> None:
    """Leave-one-video-out on a few videos of your own: head-only, ranges, windows and two kinds of chance."""
    from losa.studies.folds import MODES, leave_one_out

    config = Config.make(**{"annotations": str(out / "annotations.json"), "cache": str(out / "taps"),
                            "backbone": backbone, "weights": weights,
                            **parse_fields(fields, taken=("seed", "backbone", "weights"))})
    print(interruptible(leave_one_out, config, out / "folds", seeds=parse_seeds(seeds),
                        modes=tuple(filter(None, modes.split(","))) or tuple(MODES), num_processes=num_processes))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return (0, 1, 2) for "0,1,2". Raises ConfigError for other text."""
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise ConfigError(f"--seeds {text}: expected whole numbers with commas, such as 0,1,2") from None


@bench_app.command()
def train(format: Annotated[str, typer.Option(help="table or json.")] = "table",
          epochs: Annotated[int, typer.Option(min=1, help="Epochs of each kind of adapter.")] = 3,
          videos: Annotated[int, typer.Option(min=4, help="Videos of the embedded world.")] = 80) -> None:
    """Training from a warm cache: head_only, short, long and both, seconds per epoch and where they go."""
    from losa.studies.training_speed import train_speed, train_speed_table

    found = train_speed(epochs=epochs, num_videos=videos)
    print(json.dumps(found) if format == "json" else train_speed_table(found))


@bench_app.command("sweep")
def bench_sweep(out: Annotated[Path, typer.Argument(help="New folder for world, taps and runs.")]
                = Path("runs/bench_sweep"),
                size: Annotated[str, typer.Option(help="Size of the world.")] = "demo",
                runs: Annotated[int, typer.Option(min=2, help="Runs in the sweep.")] = 4,
                epochs: Annotated[int, typer.Option(min=1, help="Epochs of each, after one of warm-up.")] = 6,
                notebook: Notebook = TRAINING,
                format: Annotated[str, typer.Option(help="table or json.")] = "table") -> None:
    """A sweep with 2 jobs against the same one after the other, and what a run costs beyond training."""
    from losa.studies.sweep_speed import sweep_speed, sweep_speed_table

    found = sweep_speed(out, notebook=notebook, size=size, num_runs=runs, epochs=epochs)
    print(json.dumps(found) if format == "json" else sweep_speed_table(found))


@bench_app.command()
def speed(format: Annotated[str, typer.Option(help="table or json.")] = "table",
          predictions: Annotated[Path | None, typer.Option(help="Predictions for mAP; default: random ones.")] = None,
          ground_truth: Annotated[Path | None, typer.Option(help="Their ground truth.")] = None,
          subset: Annotated[str, typer.Option(help="Its subset.")] = "Test") -> None:
    """mAP against a plain loop, soft-NMS, decode against plain decord, what limits extraction: ratios in one run."""
    from losa.studies.speed import speed, speed_table

    found = speed(predictions, ground_truth, subset)
    print(json.dumps(found) if format == "json" else speed_table(found))
