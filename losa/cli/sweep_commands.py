"""`losa sweep`: run a notebook over a grid of parameters, and report on the runs."""

from pathlib import Path
from typing import Annotated

import typer

from losa.cli.options import interruptible

sweep_app = typer.Typer(no_args_is_help=True, help="Run a notebook over a grid of parameters; report on the runs.")


@sweep_app.command()
def run(notebook: Annotated[Path, typer.Argument(help="A notebook with a parameters cell, e.g. "
                                                   "notebooks/02_train.ipynb.")],
          grid: Annotated[Path, typer.Option(help="YAML or JSON: lists of values by parameter (all combinations), or a "
                                             "list of such.")],
          out: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are not run again.")],
          jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at a time; they share the cores.")] = 1,
          retry: Annotated[bool, typer.Option("--retry", help="Run failed ones again.")] = False,
          timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which a run is stopped.")] = None,
          ) -> None:
    """Run a notebook once per combination of parameters. Stopped, it continues; exit code 1 if a run failed."""
    from losa.sweeps.sweep import sweep

    found = interruptible(sweep, notebook, grid, out, jobs=jobs, retry=retry, timeout_s=timeout)
    print(f"next: losa sweep report {out}")
    if found.exit_code:
        raise SystemExit(found.exit_code)


@sweep_app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a sweep, or of any runs.")],
           out: Annotated[Path | None, typer.Option(help="Page to write; default: report.html in the folder.")] = None,
           ) -> None:
    """All runs under a folder as one offline page and as runs.csv and runs.parquet: table, intervals, Pareto."""
    from losa.reports.sweep_report import report

    print(report(folder, out))
