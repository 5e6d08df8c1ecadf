"""All runs under a folder as one table: settings, seeds and numbers, a row per run.

A run that failed, is damaged or has not ended has no numbers (NaN), whatever files lie in its folder.
"""

import json
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from losa.annotations.dataset import load_annotations
from losa.config import Config, Role, list_fields
from losa.evaluation.average_precision import LENGTHS
from losa.evaluation.records import Records, read_predictions
from losa.evaluation.targets import truth_for
from losa.files import read_object, replacing, write_text

ALWAYS = ("mode", "ranges", "seed")  # settings that have a column even where all runs agree
SEEDS = ("data_seed", "backbone_seed", "training_seed")
NUMBERS = ("average_map", "val_map", "best_val", "late_gain", "best_test_epoch_map", "trainable_parameters",
           "peak_memory_mb", "train_seconds", "seconds")
JUDGED_BY = (*list_fields(Role.DATA), "class_agnostic", "classifier")
ADAPTED = {"losa", "side_tokens"}  # modes in which `ranges` means something


class Judged(NamedTuple):
    """What a run was measured on, by what it said and how."""

    truth: Records
    predictions: Records
    tiou: tuple[float, ...]
    protocol: str


def collect(folder: str | Path, runs: Iterable[str] | None = None) -> pd.DataFrame:
    """One row per run folder, that is one with a status.json or a result.json, however deep below `folder`.

    runs: only these, by their path below `folder`, as `SweepResult.names` tells them: a folder that was swept before
    also holds the runs of other grids.

    Columns: run (path below `folder`), status, settings that differ between the runs (always mode, ranges, seed; the
    package's version, too),
    adapters (mode and ranges in one word: head_only, short, long, both, ...), data_seed, backbone_seed,
    training_seed, average_map (last epoch, test) and map_30, ... per tIoU, val_map (last), best_val, late_gain (points
    of val mAP won in the last quarter), best_test_epoch_map (only where tracked), trainable_parameters,
    peak_memory_mb, train_seconds, seconds (of everything), path, error. mAP is a fraction. Lists are JSON text.
    Raises FileNotFoundError where there is no run.
    """
    return pd.DataFrame(_rows(Path(folder), runs))


def collect_parts(folder: str | Path, runs: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """The finished runs taken apart: "per_class" and "per_length", each a row per run and class or length.

    Both have the settings and seeds of `collect`, average_map and map_30, ...; the first `label`, the second `length`
    (a group of LENGTHS), above and up_to (seconds) and num_ground_truth. NaN where a group is empty.
    """
    found = {"per_class": [], "per_length": []}
    for row in _rows(Path(folder), runs):
        if row["status"] != "ok":
            continue
        known = {k: v for k, v in row.items() if k not in NUMBERS and k != "error" and not k.startswith("map_")}
        result = read_object(Path(row["path"]) / "result.json")
        for label, values in result.get("per_class", {}).items():
            found["per_class"].append({**known, "label": label, "average_map": sum(values) / len(values),
                                       **_by_tiou(result, values)})
        for length, part in result.get("per_length", {}).items():
            above, up_to = LENGTHS.get(length, (math.nan, math.nan))
            average = math.nan if part["average_map"] is None else part["average_map"]
            found["per_length"].append({**known, "length": length, "above": above, "up_to": up_to,
                                        "num_ground_truth": part.get("num_ground_truth"), "average_map": average,
                                        **_by_tiou(result, part.get("map") or [])})
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def write_frame(frame: pd.DataFrame, path: str | Path) -> Path:
    """The path of the table as .parquet or .csv, by its ending; written whole or not at all."""
    path = Path(path)
    if path.suffix == ".csv":
        return write_text(path, frame.to_csv(index=False))
    if path.suffix != ".parquet":
        raise ValueError(f"{path}: tables are written as .parquet or .csv; end the name with one of them")
    texts = [c for c in frame if frame[c].dtype == object]  # parquet wants one type in a column
    with replacing(path) as temporary:
        frame.assign(**{c: _one_type(frame[c]) for c in texts}).to_parquet(temporary, index=False)
    return path


def read_judged(path: str | Path) -> Judged:
    """What a finished run is judged by, read again from its folder and its annotations."""
    config = Config.load(Path(path) / "config.json")
    truth, _ = _truth(json.dumps({name: getattr(config, name) for name in JUDGED_BY}))
    return Judged(truth, read_predictions(Path(path) / "predictions.json"), tuple(config.tiou), config.protocol)


# ------------------------------------------------------------------------------------------ one row
def _rows(folder: Path, runs: Iterable[str] | None = None) -> list[dict]:
    """The rows of `collect`, by path."""
    places = sorted({p.parent for name in ("status.json", "result.json") for p in folder.rglob(name)})
    if runs is not None:
        wanted = {folder / run for run in runs}
        places = [place for place in places if place in wanted]
    found = [(place, *each) for place in places if (each := _read_run(place)) is not None]
    if not found:
        raise FileNotFoundError(f"no run lies under {folder}: expected folders with a status.json or a result.json; "
                                "give the `out` of a sweep or of `losa train`")
    plain = [{name: _plain(value) for name, value in settings.items()} for _, settings, _ in found]
    names = list(dict.fromkeys(name for settings in plain for name in settings))
    shown = [n for n in names if n in ALWAYS or len({repr(settings.get(n)) for settings in plain}) > 1]
    tious = list(dict.fromkeys(name for _, _, facts in found for name in facts if name.startswith("map_")))
    rows = []
    for (place, _, facts), settings in zip(found, plain, strict=True):
        numbers = {name: facts.get(name, math.nan) for name in ("average_map", *tious, *NUMBERS[1:])}
        if facts["status"] != "ok":
            numbers = dict.fromkeys(numbers, math.nan) | {"seconds": numbers["seconds"]}
        rows.append({"run": place.relative_to(folder).as_posix() if place != folder else folder.resolve().name,
                     "status": facts["status"], **{name: settings.get(name) for name in shown},
                     "adapters": _adapters(settings), **{name: facts.get(name) for name in SEEDS}, **numbers,
                     "path": str(place), "error": facts["error"]})
    return rows


def _read_run(place: Path) -> tuple[dict, dict] | None:
    """(settings, facts) of a run's folder; None for a folder of something else."""
    status, result, given = (read_object(place / f"{name}.json") for name in ("status", "result", "params"))
    if not status and "average_map" not in result:
        return None
    config = result.get("config") or read_object(place / "config.json")
    own = {name: value for name, value in given.items() if name != "out"}
    if not config and own.keys() & Config.model_fields.keys():  # it ended before it wrote its config
        config = {name: each.default for name, each in Config.model_fields.items()}
    config = {**config, **own, **({"version": status["version"]} if "version" in status else {})}
    facts = {"status": status.get("status", "unfinished" if given else "ok"), "error": status.get("error") or ""}
    if facts["status"] == "ok" and "epochs" in config and not _numbers(result):
        facts = {"status": "damaged", "error": "result.json is missing or cannot be read"}
    facts |= _seeds(config, result) | _numbers(result)
    facts["seconds"] = status.get("seconds") or sum(result.get("seconds", {}).values()) or math.nan
    return config, facts


def _numbers(result: dict) -> dict:
    """What a result says, under the names of the columns."""
    if not isinstance(result.get("average_map"), float | int):
        return {}
    val, test = ([v for _, v in sorted(result.get(name, {}).items(), key=lambda each: int(each[0]))]
                 for name in ("val_map", "test_map"))
    found = {name: result.get(name) for name in ("average_map", "late_gain", "trainable_parameters", "peak_memory_mb")}
    found |= {"val_map": val[-1] if val else None, "best_val": max(val, default=None),
              "best_test_epoch_map": max(test, default=None),
              "train_seconds": result.get("seconds", {}).get("train")}
    found = {name: math.nan if value is None else value for name, value in found.items()}
    return found | _by_tiou(result, result.get("map", []))


def _by_tiou(result: dict, values: list) -> dict:
    """{"map_30": value, ...} for the thresholds of a result; NaN where there are no values."""
    return {f"map_{100 * t:g}": values[i] if values else math.nan for i, t in enumerate(result.get("tiou", []))}


def _seeds(config: dict, result: dict) -> dict:
    """The three seeds; a run without result says what its config tells."""
    seeds = result.get("seeds") or {}
    data = seeds.get("data")
    if data is None and config.get("annotations"):
        data = read_object(Path(config["annotations"]).parent / "world.json").get("seed")
    return {"data_seed": data, "backbone_seed": seeds.get("backbone"),
            "training_seed": seeds.get("training", config.get("seed"))}


def _adapters(settings: dict) -> str | None:
    """Mode and ranges in one word."""
    mode, ranges = settings.get("mode"), settings.get("ranges")
    if mode == "losa" and settings.get("taps") == "none":
        return "head_only"
    return mode if mode not in ADAPTED else ranges if mode == "losa" else f"{mode} {ranges}"


def _plain(value: object) -> object:
    """The value, lists and dicts as JSON text: what groups and tables can hold."""
    return json.dumps(value) if isinstance(value, list | dict | tuple) else value


def _one_type(column: pd.Series) -> pd.Series:
    """The column as numbers where all of it is, else as text; what is missing stays so."""
    known = column.dropna()
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in known):
        return pd.to_numeric(column)
    return column.map(lambda v: v if isinstance(v, str) else str(v), na_action="ignore").astype("string")


@lru_cache(maxsize=16)
def _truth(config: str) -> tuple[Records, set[str]]:
    """`truth_for` a config with these fields, as JSON: many runs of a sweep share it."""
    config = Config.make(**json.loads(config))
    return truth_for(config, load_annotations(config.annotations), config.test_subset)
