"""LoSA for temporal action localization: the names that notebooks and scripts use.

`import losa` is cheap: each name is imported from its room when it is first used, so nothing here loads torch.

    import losa

    losa.at_repository()  # relative paths mean the same from Jupyter, VS Code and papermill
    result = losa.run(losa.Config(ranges="short"), "runs/short")
    run = losa.open_run("runs/short")
    run.timeline("test_0003")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers; tests compare it with the table below
    from losa.annotations.check import check as check
    from losa.annotations.dataset import load_annotations as load_annotations
    from losa.annotations.prepare import prepare as prepare
    from losa.annotations.repair import fix as fix
    from losa.config import Config as Config
    from losa.errors import LosaError as LosaError
    from losa.evaluation.average_precision import evaluate as evaluate
    from losa.evaluation.diagnose import diagnose as diagnose
    from losa.files import at_repository as at_repository
    from losa.inspection.annotate import annotate as annotate
    from losa.inspection.explore import explore as explore
    from losa.inspection.run_folder import find_runs as find_runs
    from losa.inspection.run_folder import open_run as open_run
    from losa.model.adapters import TemporalAdapter as TemporalAdapter
    from losa.model.contract import check_adapter as check_adapter
    from losa.model.losa import LoSA as LoSA
    from losa.presets import preset as preset
    from losa.reports.sweep_report import report as report
    from losa.sweeps.collect import collect as collect
    from losa.sweeps.collect import collect_parts as collect_parts
    from losa.sweeps.parameters import check_parameters as check_parameters
    from losa.sweeps.statistics import compare_groups as compare_groups
    from losa.sweeps.sweep import sweep as sweep
    from losa.taps.open import open_features as open_features
    from losa.training.train import train as train
    from losa.workflows.evaluate_run import test as test
    from losa.workflows.predict_videos import predict_videos as predict_videos
    from losa.workflows.run import run as run
    from losa.world.render import make_world as make_world

PLACES = {
    # files in
    "load_annotations": "annotations.dataset", "check": "annotations.check", "fix": "annotations.repair",
    "prepare": "annotations.prepare", "make_world": "world.render", "open_features": "taps.open",
    # a run, from its config to predictions
    "Config": "config", "preset": "presets", "train": "training.train", "run": "workflows.run",
    "test": "workflows.evaluate_run", "predict_videos": "workflows.predict_videos",
    # numbers
    "evaluate": "evaluation.average_precision", "diagnose": "evaluation.diagnose",
    # many runs
    "sweep": "sweeps.sweep", "collect": "sweeps.collect", "collect_parts": "sweeps.collect",
    "compare_groups": "sweeps.statistics", "report": "reports.sweep_report",
    # to look at
    "find_runs": "inspection.run_folder", "open_run": "inspection.run_folder", "explore": "inspection.explore",
    "annotate": "inspection.annotate",
    # the paper
    "LoSA": "model.losa", "TemporalAdapter": "model.adapters", "check_adapter": "model.contract",
    # notebooks
    "at_repository": "files", "check_parameters": "sweeps.parameters", "LosaError": "errors",
}  # fmt: skip
__all__ = sorted(PLACES)


def __getattr__(name: str):
    """Import a public name from its room when it is first used (PEP 562)."""
    if name not in PLACES:
        raise AttributeError(f"module 'losa' has no attribute {name!r}; public are {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(f"losa.{PLACES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
