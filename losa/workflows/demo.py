"""The main job, end to end: the embedded world, head-only transfer and LoSA side by side, one page to look at."""

import time
from pathlib import Path

from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.evaluation.ground_truth import make_truth
from losa.evaluation.records import read_predictions
from losa.files import replacing, write_json
from losa.machine import peak_memory_mb
from losa.presets import PRESETS, head_only
from losa.reports.demo_page import demo_page
from losa.segments import write_predictions
from losa.sweeps.kernels import private_kernels
from losa.workflows.run import read_result, run
from losa.world.render import make_world

NOTEBOOK = "notebooks/00_quickstart.ipynb"


def demo(out: str | Path = "runs/demo", *, notebook: str | Path = NOTEBOOK, size: str = "demo", seed: int = 0,
         fields: dict | None = None) -> dict:
    """Run the demo and return its result; write result.json, predictions.json, a notebook and index.html to `out`.

    What is already there (videos, taps, trained runs) is used, so a second call takes seconds. notebook: executed on
    the result if it is there. fields: config fields to replace.
    """
    out, began = Path(out), time.monotonic()
    config, before = PRESETS["tiny" if size == "tiny" else "demo"](out, seed=seed, **(fields or {})), read_result(out)
    there = (out / "world" / "annotations.json").exists()
    print(f"1/4 world: {'looking after' if there else 'rendering'} the videos of size {size!r} in {out / 'world'}")
    make_world(out / "world", size, seed=seed)
    seconds = {"world": max(round(time.monotonic() - began, 2), before.get("seconds", {}).get("world", 0))}
    runs = {"head_only": head_only(config), "losa": config}
    results = {}
    for number, (name, each) in enumerate(runs.items()):
        there = read_result(out / name).get("config") == each.to_dict()
        print(f"{number + 2}/4 {name}: " + ("trained already" if there else
              f"training on {config.train_subset}, then predicting {config.test_subset}"))
        results[name] = run(each, out / name)
        seconds |= {f"{name}_{phase}": s for phase, s in results[name]["seconds"].items()}
    print("4/4 page and notebook")
    result = {name: {k: r[k] for k in ("average_map", "map", "per_class", "per_length")} for name, r in results.items()}
    result |= {"tiou": config.tiou, "seconds": seconds, "seed": seed, "preset": config.backbone,
               "num_videos": count_videos(config),
               "peak_memory_mb": max(peak_memory_mb(), *(r["peak_memory_mb"] for r in results.values())),
               "trainable_parameters": {name: r["trainable_parameters"] for name, r in results.items()}}
    write_json(out / "result.json", result)
    write_predictions(out / "predictions.json", read_predictions(out / "losa" / "predictions.json"),
                      {"run": str(out / "losa"), "config": config.to_dict()})
    classes = load_annotations(config.annotations).classes
    demo_page(out / "index.html", result, choose_videos(config, out), classes=classes)
    executed = execute_notebook(Path(notebook), out)
    print(f"average mAP: head only {100 * result['head_only']['average_map']:.1f}, "
          f"LoSA {100 * result['losa']['average_map']:.1f}")
    print(f"open {out / 'index.html'}" + (f" and {executed}" if executed else ""))
    return result


def count_videos(config: Config) -> dict[str, int]:
    """Count the videos of each subset."""
    annotations = load_annotations(config.annotations)
    subsets = (config.train_subset, config.val_subset, config.test_subset)
    return {name: len(annotations.subset(name)) for name in subsets}


def choose_videos(config: Config, out: Path, num: int = 3) -> list[dict]:
    """Return the test videos with most different actions, with their ground truth and both runs' predictions."""
    annotations = load_annotations(config.annotations)
    truth = annotations.subset(config.test_subset)
    videos = sorted(truth, key=lambda v: (-len(set(v.labels.tolist())), v.id))[:num]
    tracks = {name: read_predictions(out / folder / "predictions.json")
              for name, folder in (("head only", "head_only"), ("LoSA", "losa"))}
    known = make_truth(videos, annotations.classes)
    return [{"id": v.id, "path": v.path, "duration": v.duration,
             "tracks": {"truth": known[v.id], **{name: records[v.id] for name, records in tracks.items()}}}
            for v in videos]


def execute_notebook(notebook: Path, out: Path) -> Path | None:
    """Execute the quickstart notebook on the finished demo and return the path of the copy in `out`.

    Returns None, and says so, where there is no such notebook. A copy that is younger than the notebook and both runs
    is left as it is.
    """
    if not notebook.is_file():
        print(f"there is no notebook {notebook.absolute()}, so none was executed; go to a clone of the repository, or "
              "give the path of its 00_quickstart.ipynb with --notebook")
        return None
    executed = out / notebook.name
    read = (notebook, out / "losa" / "result.json", out / "head_only" / "result.json")
    if executed.exists() and executed.stat().st_mtime > max(path.stat().st_mtime for path in read):
        return executed
    import papermill

    with replacing(executed) as unfinished:
        papermill.execute_notebook(str(notebook), str(unfinished), parameters={"run_dir": str(out.resolve())},
                                   progress_bar=False, kernel_manager_class=private_kernels())
    return executed
