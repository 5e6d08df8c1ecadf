"""The ablation study: what LoSA's ranges, windows, taps, gates and modes gain on the embedded world, over seeds.

A part is one question with its settings. Its runs are notebooks/02_train.ipynb with other parameters, executed by
`losa.sweeps.sweep` and put into tables by `ablation_table`. A data seed is a world of its own (videos nobody looked at
while choosing anything) and also the seed of training; all settings share both, so differences are paired. The last
epoch is the result.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.errors import StudyError
from losa.files import write_text
from losa.model.losa import build
from losa.presets import head_only, widened_head
from losa.studies.ablation_table import conclude
from losa.sweeps.plan import read_notebook
from losa.sweeps.sweep import sweep
from losa.world.pretrain import pretrain
from losa.world.render import SIZES, make_world
from losa.world.storyboard import SPLITS

NOTEBOOK = "notebooks/02_train.ipynb"  # what every run executes
FIVE, THREE = (101, 102, 103, 104, 105), (101, 102, 103)  # data seeds, never used for a choice
CHOOSING = 0  # the data seed on whose val videos learning rates are chosen
RANGES = {"head_only": {"mode": "head_only"}, "short": {"ranges": "short"}, "long": {"ranges": "long"}, "both": {}}
HEAD_AND_BOTH = {"head_only": RANGES["head_only"], "both": {}}
BACKBONES = {  # name in the parts: preset, and what its pretraining differs in from the shipped one
    "gap": ("gap", None), "gap_1": ("gap", {"seed": 1}), "covered": ("covered", None),
    "covered_1": ("covered", {"seed": 1}), "weak_0": ("covered", {"steps": 225}),
}
AXES = {
    "short_window": (1, 2, 8, 16), "long_stride": (1, 2, 8, 16), "taps": ("half", "last"),
    "gate": ("channel", "sigmoid", "none", "concat"), "gate_init": (0.0, 1.0), "grid": (2,), "query": ("last",),
    "clip_stride": (8,),
}
SHORT = {"epochs": 15, "val_every": 6}  # for the axes and the context worlds, each beside a default of its own
SHORTEST = {"epochs": 1, "warmup_epochs": 1, "val_every": 1, "ema_decay": 0.9}  # of the five modes, after the same
# warm start; an average at 0.99 would be mostly that start after 40 steps
TRIES = {  # the same number for each mode; val of data seed 0 chooses
    "head_only": ({"learning_rate": 1e-3}, {"learning_rate": 2e-3}),
    "losa": ({"learning_rate": 1e-3}, {"learning_rate": 2e-3}),
    "side_tokens": ({"learning_rate": 1e-3}, {"learning_rate": 2e-3}),
    "inside": ({"backbone_lr_scale": 0.1}, {"backbone_lr_scale": 1.0}),
    "full": ({"backbone_lr_scale": 0.02}, {"backbone_lr_scale": 0.1}),
}


@dataclass(frozen=True)
class Part:
    """One question: `settings` (label -> fields of Config) on worlds and backbones, compared with `baseline`."""

    title: str
    settings: dict[str, dict]
    baseline: str = "head_only"
    backbones: tuple[str, ...] = ("gap",)
    seeds: tuple[int, ...] = THREE
    kind: str = "plain"  # of world
    warm: bool = False  # every run starts from the head_only run of its world and backbone
    budget: dict = field(default_factory=dict)  # fields of Config that say how long every run of the part trains


@dataclass(frozen=True)
class StudyRun:
    """One run of a part: its setting's label, data seed and backbone, and the parameters of the notebook."""

    part: str
    label: str
    data_seed: int
    backbone: str
    parameters: dict = field(hash=False)


def axis_settings() -> dict[str, dict]:
    """Return the default and every value of `AXES`, one axis changed at a time."""
    return {"default": {}, **{f"{name}={value}": {name: value} for name, values in AXES.items() for value in values}}


PARTS = {  # in the order of importance
    "headline": Part("Head-only against LoSA, two backbones without 6 of the 10 classes", HEAD_AND_BOTH, "head_only",
                     ("gap", "gap_1"), FIVE),
    "ranges": Part("Ranges, backbone without 6 of the 10 classes", RANGES, seeds=FIVE),
    "controls": Part("Controls", {**HEAD_AND_BOTH, "last_block": {"taps": "last"},
                                  "wide_head": {"mode": "head_only", "head_dim": 0}}),
    "axes": Part("One axis at a time around the default", axis_settings(), "default", budget=SHORT),
    "context_near": Part("Two classes that differ only in what happened 3 to 8 seconds before, below a head that sees "
                         "two points each way on every level",
                         {label: {**own, "head_window": 5} for label, own in RANGES.items()}, backbones=("covered",),
                         kind="context", budget=SHORT),
    "covered": Part("Ranges, backbone that saw every class", RANGES, backbones=("covered",)),
    "warm": Part("Head-only runs the modes start from", {"head_only": RANGES["head_only"]}, seeds=(CHOOSING, *THREE)),
    "tries": Part("Two tries of the learning rate for each mode", {}, seeds=(CHOOSING,), warm=True, budget=SHORTEST),
    "modes": Part("Five modes after the same warm start, the same few epochs", {}, warm=True, budget=SHORTEST),
    "copies": Part("Cached copies of the training videos", {"1": {}, "2": {"copies": 2}, "4": {"copies": 4}}, "1",
                   budget=SHORT),
    "weak": Part("A backbone that saw every class but was trained for a quarter of the steps", HEAD_AND_BOTH,
                 backbones=("weak_0",)),
    "ranges_again": Part("Ranges, the second backbone without 6 classes", RANGES, backbones=("gap_1",), seeds=FIVE),
    "context": Part("The same two classes below a head that sees everything", RANGES, backbones=("covered",),
                    kind="context", budget=SHORT),
    "covered_again": Part("The second backbone that saw every class", HEAD_AND_BOTH, backbones=("covered_1",)),
    "live": Part("New pixels in every epoch, nothing cached", {"cached": {}, "live": {"copies": 0, "cache": ""}},
                 "cached", budget=SHORT),
}  # fmt: skip
DEPENDENT = ("tries", "modes")  # their parameters need results of the parts before


def ablations(out: str | Path, parts: Sequence[str] = (), *, notebook: str | Path = NOTEBOOK, jobs: int = 2,
              size: str = "demo", pictures: str | Path | None = None, quiet: bool = False,
              fields: dict | None = None) -> str:
    """Run some parts of the study (none named: all) and return their tables as markdown.

    Writes ablation_table.md and two figures to `pictures` (default: `out`). Continues where it was stopped: videos,
    backbones, taps and runs that are there are used again; runs that failed are named in the table and tried again.
    notebook: the path of 02_train.ipynb. size: of the worlds. fields: config fields to replace in every run.
    Raises SweepError where the notebook is missing, StudyError for an unknown part or worlds of another size.
    """
    out, parts = Path(out), parts or tuple(PARTS)
    if unknown := [name for name in parts if name not in PARTS]:
        raise StudyError(f"no part is called {', '.join(unknown)}; there are {', '.join(PARTS)}")
    read_notebook(notebook)  # before anything is rendered or pretrained
    first = [name for name in PARTS if name in parts and name not in DEPENDENT]
    stages = [[*first, *(["warm"] if {*parts} & {*DEPENDENT} and "warm" not in first else [])]]
    stages += [["tries"]] * bool({*parts} & {*DEPENDENT}) + [["modes"]] * ("modes" in parts)
    try:
        for stage in stages:
            runs = [run for name in stage for run in planned(out, name, fields=fields)]
            prepare(out, runs, size, jobs)
            todo = missing(out, runs)
            if todo:
                sweep(notebook, todo, out / "runs", jobs=jobs, retry=True, threads=1, quiet=quiet)
    except StudyError:  # what a later stage builds on has failed: write what there is first
        write_tables(out, pictures, fields=fields)
        raise
    return write_tables(out, pictures, fields=fields)


def write_tables(out: str | Path, pictures: str | Path | None = None, *, fields: dict | None = None) -> str:
    """Return the tables of the runs finished so far, without running anything.

    Writes ablation_table.md and the figures to `pictures` (default: `out`).
    """
    out, done, rows = Path(out), finished(Path(out)), []
    for name in PARTS:
        try:
            runs = planned(out, name, done, fields=fields)
        except StudyError:  # it builds on runs that are not there
            continue
        rows += [{"part": name, "label": run.label, "data_seed": run.data_seed, "backbone": run.backbone,
                  "folder": done.get(identify(run.parameters))} for run in runs]
    table = conclude(rows, {name: (part.title, part.baseline) for name, part in PARTS.items()},
                     Path(pictures or out), chosen={m: choose(out, m, done, fields=fields) for m in TRIES})
    write_text(Path(pictures or out) / "ablation_table.md", table)
    return table


def planned(out: Path, name: str, done: dict[str, Path] | None = None, *, fields: dict | None = None
            ) -> list[StudyRun]:
    """Return the runs of a part. Raises StudyError where the runs it builds on are missing.

    done: the runs finished so far, see `finished`. fields: config fields to replace in every run.
    """
    part, runs, fields = PARTS[name], [], fields or {}
    if done is None:
        done = finished(out) if name in DEPENDENT else {}
    for label, setting in settings_of_part(out, name, done, fields=fields).items():
        for seed in part.seeds:  # neighbours differ in world and backbone, so that they fill different taps
            for backbone in part.backbones:
                given = {**common_parameters(out, part.kind, seed, backbone), **fields}
                parameters = {**given, **part.budget, **fields, **setting}
                if part.warm:
                    start = find_run(done, {**given, **RANGES["head_only"]}, "warm")
                    parameters = {**parameters, "start": start, **setting}
                if setting.get("head_dim") == 0:
                    parameters["head_dim"] = matching_head_dim(Config.make(**given))
                runs.append(StudyRun(name, label, seed, backbone, parameters))
    return runs


def settings_of_part(out: Path, name: str, done: dict[str, Path], *, fields: dict | None = None) -> dict[str, dict]:
    """Return the settings of a part by label; those of "modes" use the learning rates that val chose.

    Raises StudyError where these are not known yet.
    """
    if name == "tries":
        return {f"{mode} {i + 1}": {"mode": mode, **rate} for mode, tries in TRIES.items()
                for i, rate in enumerate(tries)}
    if name != "modes":
        return PARTS[name].settings
    best = {mode: choose(out, mode, done, fields=fields) for mode in TRIES}
    if undone := [mode for mode, rate in best.items() if rate is None]:
        raise StudyError(f"the tries of {', '.join(undone)} are not all done; run the part 'tries' first")
    return {mode: {"mode": mode, **rate} for mode, rate in best.items()}


def choose(out: Path, mode: str, done: dict[str, Path], *, fields: dict | None = None) -> dict | None:
    """Return the try of a mode with the higher val mAP in the last epoch; None unless all were run."""
    try:
        runs = [run for run in planned(out, "tries", done, fields=fields) if run.label.rsplit(" ", 1)[0] == mode]
        folders = [find_run(done, run.parameters, "tries") for run in runs]
    except StudyError:
        return None
    scores = [list(json.loads((Path(f) / "result.json").read_text())["val_map"].values())[-1] for f in folders]
    return TRIES[mode][scores.index(max(scores))]


def common_parameters(out: Path, kind: str, seed: int, backbone: str) -> dict:
    """Return the notebook's parameters for a world, its seed and a backbone."""
    preset, pretraining = BACKBONES[backbone]
    weights = str(out / "backbones" / backbone / f"world_{preset}.safetensors") if pretraining else ""
    return {"annotations": str(world_folder(out, kind, seed) / "annotations.json"), "cache": str(out / "taps"),
            "backbone": preset, "weights": weights, "seed": seed, "val_every": 3}


def world_folder(out: Path, kind: str, seed: int) -> Path:
    return out / f"{'world' if kind == 'plain' else kind}_{seed}" / "world"


def prepare(out: Path, runs: Sequence[StudyRun], size: str, jobs: int) -> None:
    """Render the worlds and pretrain the backbones that the runs need and that are not there yet.

    Raises StudyError where a folder holds a world of another size.
    """
    for kind, seed in dict.fromkeys((PARTS[run.part].kind, run.data_seed) for run in runs):
        counts = (160, 20, 40) if (kind, size) == ("context", "demo") else size
        folder = world_folder(out, kind, seed)
        if not (folder / "annotations.json").exists():
            make_world(folder, counts, seed=seed, num_workers=jobs, **({} if kind == "plain" else {"kind": kind}))
        wanted = tuple(SIZES.get(counts, counts) if isinstance(counts, str) else counts)
        labelled = load_annotations(folder / "annotations.json")
        if (present := tuple(len(labelled.subset(split)) for split in SPLITS)) != wanted:
            raise StudyError(f"{folder} holds {present} videos (train, val, test), size {size!r} means {wanted}; give "
                             "another folder, or delete that one")
    for backbone in dict.fromkeys(run.backbone for run in runs):
        preset, pretraining = BACKBONES[backbone]
        folder = out / "backbones" / backbone
        if pretraining and not (folder / f"world_{preset}.json").exists():
            pretrain(preset, folder, **pretraining)


def num_parameters(config: Config, dim: int = 96, num_classes: int = 10) -> int:
    """Count the trainable parameters of the model on a world backbone (6 blocks)."""
    taps = {"all": 6, "half": 3, "last": 1, "none": 0}[config.tapped]
    with torch.device("meta"):
        model = build(config, dim=dim, num_taps=taps, num_classes=num_classes, clip_snippets=8)
    return sum(p.numel() for p in model.parameters())


def matching_head_dim(config: Config) -> int:
    """Return the least head width at which the head alone has at least as many trainable parameters as LoSA."""
    target, width = num_parameters(config), config.head_dim
    while num_parameters(widened_head(head_only(config), width)) < target:
        width += config.head_heads
    return width


def missing(out: Path, runs: Iterable[StudyRun]) -> list[dict]:
    """Return the parameters of the runs that are not finished, each once: parts share runs."""
    done = finished(out)
    return list({key: run.parameters for run in runs if (key := identify(run.parameters)) not in done}.values())


def identify(parameters: dict) -> str:
    """Return what tells runs apart: the whole config as JSON, its paths absolute."""
    config = Config.make(**parameters).to_dict()
    paths = {name: os.path.abspath(config[name]) for name in ("annotations", "cache", "start") if config[name]}
    weights = {"weights": os.path.abspath(config["weights"])} if "/" in config["weights"] else {}
    return json.dumps({**config, **paths, **weights}, sort_keys=True)


def finished(out: Path) -> dict[str, Path]:
    """Return the folders of the finished runs in `out`/runs by `identify`; of two with the same config the later."""
    folders = {}
    for path in sorted((out / "runs").glob("*/status.json"), key=lambda p: p.stat().st_mtime):
        if json.loads(path.read_text())["status"] == "ok":
            config = json.loads((path.parent / "result.json").read_text())["config"]
            folders[identify(config)] = path.parent
    return folders


def find_run(done: dict[str, Path], parameters: dict, part: str) -> str:
    """Return the folder of a finished run. Raises StudyError that names the part to run first."""
    folder = done.get(identify(parameters))
    if folder is None:
        raise StudyError(f"a run of part {part!r} is missing or failed (data seed {parameters['seed']}); run that "
                         "part first")
    return str(folder)
