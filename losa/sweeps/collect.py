"""Collect all runs under a folder into one table: a row per run with its settings, seeds and numbers.

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
from losa.errors import SweepError
from losa.evaluation.average_precision import LENGTHS
from losa.evaluation.ground_truth import choose_truth
from losa.evaluation.records import Records, read_predictions
from losa.files import read_object, replacing, write_text

ALWAYS = ("mode", "ranges", "seed")  # settings that have a column even where all runs agree
SEEDS = ("data_seed", "backbone_seed", "training_seed")
NUMBERS = ("average_map", "val_map", "best_val", "late_gain", "best_test_epoch_map", "trainable_parameters",
           "peak_memory_mb", "train_seconds", "seconds")
TRUTH_FIELDS = (*list_fields(Role.DATA), "class_agnostic", "classifier")
ADAPTED = {"losa", "side_tokens"}  # modes in which `ranges` means something


class Judged(NamedTuple):
    """What a run's mAP is computed from: ground truth, predictions, tIoU thresholds and protocol."""

    truth: Records
    predictions: Records
    tiou: tuple[float, ...]
    protocol: str


def collect(folder: str | Path, runs: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a table with one row per run: every folder at or below `folder` with a status.json or a result.json.

    runs: only these, by their path below `folder` (`SweepResult.names`); the folder of a sweep may also hold runs of
    other grids. Raises FileNotFoundError where there is no run.

    Columns: run (path below `folder`), status; the settings that differ between the runs (always mode, ranges and
    seed; also the package's version); adapters (mode and ranges in one word: head_only, short, long, both, ...);
    data_seed, backbone_seed, training_seed; average_map (last epoch, test) and map_30, ... per tIoU, val_map (last
    epoch), best_val, late_gain (points of val mAP won in the last quarter of the epochs), best_test_epoch_map (where
    it was tracked), trainable_parameters, peak_memory_mb, train_seconds, seconds (of everything); path, error. mAP is
    a fraction; lists are JSON text.
    """
    return pd.DataFrame(_read_rows(Path(folder), runs))


def collect_parts(folder: str | Path, runs: Iterable[str] | None = None) -> dict[str, pd.DataFrame]:
    """Return two tables of the finished runs: "per_class" and "per_length", a row per run and class or length.

    Both have the settings and seeds of `collect`, average_map and map_30, ...; the first also `label`, the second
    `length` (a group of LENGTHS), above and up_to (seconds) and num_ground_truth. NaN where a group is empty.
    """
    tables = {"per_class": [], "per_length": []}
    for row in _read_rows(Path(folder), runs):
        if row["status"] != "ok":
            continue
        about = {k: v for k, v in row.items() if k not in NUMBERS and k != "error" and not k.startswith("map_")}
        result = read_object(Path(row["path"]) / "result.json")
        for label, values in result.get("per_class", {}).items():
            tables["per_class"].append({**about, "label": label, "average_map": sum(values) / len(values),
                                        **_columns_by_tiou(result, values)})
        for length, part in result.get("per_length", {}).items():
            above, up_to = LENGTHS.get(length, (math.nan, math.nan))
            average = math.nan if part["average_map"] is None else part["average_map"]
            tables["per_length"].append({**about, "length": length, "above": above, "up_to": up_to,
                                         "num_ground_truth": part.get("num_ground_truth"), "average_map": average,
                                         **_columns_by_tiou(result, part.get("map") or [])})
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def write_frame(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as .parquet or .csv, by the path's ending, and return the path. Raises SweepError for others."""
    path = Path(path)
    if path.suffix == ".csv":
        return write_text(path, frame.to_csv(index=False))
    if path.suffix != ".parquet":
        raise SweepError(f"{path}: tables are written as .parquet or .csv; end the name with one of them")
    texts = [c for c in frame if frame[c].dtype == object]  # parquet wants one type in a column
    with replacing(path) as temporary:
        frame.assign(**{c: _one_type(frame[c]) for c in texts}).to_parquet(temporary, index=False)
    return path


def read_judged(path: str | Path) -> Judged:
    """Read what a finished run's mAP is computed from, out of its folder and its annotations."""
    config = Config.load(Path(path) / "config.json")
    truth, _ = _load_truth(json.dumps({name: getattr(config, name) for name in TRUTH_FIELDS}))
    return Judged(truth, read_predictions(Path(path) / "predictions.json"), tuple(config.tiou), config.protocol)


# ------------------------------------------------------------------------------------------ one row
def _read_rows(folder: Path, runs: Iterable[str] | None = None) -> list[dict]:
    """Return the rows of `collect`, sorted by path."""
    places = sorted({p.parent for name in ("status.json", "result.json") for p in folder.rglob(name)})
    if runs is not None:
        wanted = {folder / run for run in runs}
        places = [place for place in places if place in wanted]
    read = [(place, *run) for place in places if (run := _read_run(place)) is not None]
    if not read:
        raise FileNotFoundError(f"no run lies under {folder}: expected folders with a status.json or a result.json; "
                                "give the `out` of a sweep or of `losa train`")
    plain = [{name: _plain(value) for name, value in settings.items()} for _, settings, _ in read]
    names = list(dict.fromkeys(name for settings in plain for name in settings))
    shown = [n for n in names if n in ALWAYS or len({repr(settings.get(n)) for settings in plain}) > 1]
    tious = list(dict.fromkeys(name for _, _, facts in read for name in facts if name.startswith("map_")))
    rows = []
    for (place, _, facts), settings in zip(read, plain, strict=True):
        numbers = {name: facts.get(name, math.nan) for name in ("average_map", *tious, *NUMBERS[1:])}
        if facts["status"] != "ok":
            numbers = dict.fromkeys(numbers, math.nan) | {"seconds": numbers["seconds"]}
        rows.append({"run": place.relative_to(folder).as_posix() if place != folder else folder.resolve().name,
                     "status": facts["status"], **{name: settings.get(name) for name in shown},
                     "adapters": _name_adapters(settings), **{name: facts.get(name) for name in SEEDS}, **numbers,
                     "path": str(place), "error": facts["error"]})
    return rows


def _read_run(place: Path) -> tuple[dict, dict] | None:
    """Return (settings, facts) of a run's folder; None for a folder of something else."""
    status, result, given = (read_object(place / f"{name}.json") for name in ("status", "result", "params"))
    if not status and "average_map" not in result:
        return None
    config = result.get("config") or read_object(place / "config.json")
    parameters = {name: value for name, value in given.items() if name != "out"}
    if not config and parameters.keys() & Config.model_fields.keys():  # it ended before it wrote its config
        config = {name: field.default for name, field in Config.model_fields.items()}
    config = {**config, **parameters, **({"version": status["version"]} if "version" in status else {})}
    facts = {"status": status.get("status", "unfinished" if given else "ok"), "error": status.get("error") or ""}
    if facts["status"] == "ok" and "epochs" in config and not _read_numbers(result):
        facts = {"status": "damaged", "error": "result.json is missing or cannot be read"}
    facts |= _read_seeds(config, result) | _read_numbers(result)
    facts["seconds"] = status.get("seconds") or sum(result.get("seconds", {}).values()) or math.nan
    return config, facts


def _read_numbers(result: dict) -> dict:
    """Return the numbers of a result.json under the names of the columns; {} where it holds no average_map.

    That is null (here NaN) where the test subset has no ground truth.
    """
    if not isinstance(result.get("average_map", ""), float | int | None):
        return {}
    val, test = ([v for _, v in sorted(result.get(name, {}).items(), key=lambda item: int(item[0]))]
                 for name in ("val_map", "test_map"))
    numbers = {name: result.get(name)
               for name in ("average_map", "late_gain", "trainable_parameters", "peak_memory_mb")}
    numbers |= {"val_map": val[-1] if val else None, "best_val": max(val, default=None),
                "best_test_epoch_map": max(test, default=None),
                "train_seconds": result.get("seconds", {}).get("train")}
    numbers = {name: math.nan if value is None else value for name, value in numbers.items()}
    return numbers | _columns_by_tiou(result, result.get("map", []))


def _columns_by_tiou(result: dict, values: list) -> dict:
    """Return {"map_30": value, ...} for the thresholds of a result; NaN where there are no values."""
    return {f"map_{100 * t:g}": values[i] if values else math.nan for i, t in enumerate(result.get("tiou", []))}


def _read_seeds(config: dict, result: dict) -> dict:
    """Return the three seeds from the result, or what the config says of them where there is no result."""
    seeds = result.get("seeds") or {}
    data = seeds.get("data")
    if data is None and config.get("annotations"):
        data = read_object(Path(config["annotations"]).parent / "world.json").get("seed")
    return {"data_seed": data, "backbone_seed": seeds.get("backbone"),
            "training_seed": seeds.get("training", config.get("seed"))}


def _name_adapters(settings: dict) -> str | None:
    """Return mode and ranges in one word."""
    mode, ranges = settings.get("mode"), settings.get("ranges")
    if mode == "losa" and settings.get("taps") == "none":
        return "head_only"
    return mode if mode not in ADAPTED else ranges if mode == "losa" else f"{mode} {ranges}"


def _plain(value: object) -> object:
    """Return lists and dicts as JSON text, which tables can hold and group by; other values unchanged."""
    return json.dumps(value) if isinstance(value, list | dict | tuple) else value


def _one_type(column: pd.Series) -> pd.Series:
    """Return the column as numbers if all its values are, else as text; missing values stay missing."""
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in column.dropna()):
        return pd.to_numeric(column)
    return column.map(lambda v: v if isinstance(v, str) else str(v), na_action="ignore").astype("string")


@lru_cache(maxsize=16)
def _load_truth(config: str) -> tuple[Records, set[str]]:
    """Return `choose_truth` of a config with these fields, given as JSON: many runs of a sweep share it."""
    config = Config.make(**json.loads(config))
    return choose_truth(config, load_annotations(config.annotations), config.test_subset)
