"""Plan a sweep: read a notebook's parameters, expand the grid, and refuse at once whatever could not run."""

import ast
import hashlib
import itertools
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from losa.adapter_file import split_adapter_name, strip_comments
from losa.config import Config, Mark, list_fields, propose
from losa.errors import CacheError, ConfigError, SweepError
from losa.taps.cache_files import check_cache

TRAINING = {"annotations", "epochs"}  # a notebook with these parameters takes a Config and writes a result.json
INPUTS = list_fields(Mark.FILE)


@dataclass(frozen=True)
class PlannedRun:
    """One combination, ready to be executed wherever this object is sent."""

    folder: str  # absolute; its name is the run's
    parameters: dict  # those the grid gives, paths absolute
    notebook: str  # absolute path, for the status
    source: str  # the notebook itself as it was when the sweep began
    cwd: str
    threads: int | None
    timeout_s: int | float | None
    trains: bool  # whether it must leave a result.json
    epochs: int = 0  # that it trains, warm-up included; 0 where it does not train
    own_adapter: tuple[str, ...] = ()  # FILE.py:NAME of a user's adapter and its code when the sweep began


def plan(notebook: str | Path, grid: dict | Sequence[dict] | str | Path, out: str | Path, *,
         timeout_s: int | float | None = None, threads: int | None = None) -> list[PlannedRun]:
    """Return the runs of a sweep. Raises SweepError for anything that would make one of them fail from the start.

    grid: a dict whose lists are multiplied, a list of such dicts, or a YAML or JSON file with either. A list is always
    an axis; to give a list as one value put it into another, `taps: [[1, 3]]`. Paths are relative to the current
    folder: config fields that name a file or folder, and parameters whose default in the notebook has a slash.
    """
    notebook, out = Path(notebook).absolute(), Path(out).absolute()
    book = read_notebook(notebook)
    defaults = read_parameters(book, notebook)
    if "out" not in defaults:
        raise SweepError(f"{notebook} has no parameter `out`, the folder a run writes into; add e.g. "
                         'out = "runs/notebook" to its parameters cell')
    code = [strip_comments(cell.source) for cell in book.cells if cell.cell_type == "code"]
    runs, trains = {}, defaults.keys() >= TRAINING
    for given in expand(grid):
        check_names(given, defaults, notebook)
        given = absolute_paths(validate(given, defaults) if trains else given, defaults)
        epochs = count_epochs({**defaults, **given}) if trains else 0
        movable = {key: relative_to(out, value) if is_path(key, defaults) else value for key, value in given.items()}
        adapter = read_own_adapter({**defaults, **given}.get("adapter"))
        name = hashlib.sha256(json.dumps([code, {**defaults, **movable, "out": ""}, version("losa"), *adapter[1:]],
                                         sort_keys=True).encode()).hexdigest()[:12]
        if name in runs:
            raise SweepError(f"the grid has the same run twice: {given} and {runs[name].parameters}; leave one out")
        runs[name] = PlannedRun(str(out / name), given, str(notebook), json.dumps(book), os.getcwd(), threads,
                                timeout_s, trains, epochs, adapter)
    if trains:
        check_caches({run.parameters.get("cache", defaults.get("cache", "")) for run in runs.values()})
    check_writable(out)
    return list(runs.values())


def read_notebook(path: str | Path):
    """Read a notebook in today's format. Raises SweepError if it is missing or is no notebook."""
    import nbformat

    path = Path(path).absolute()

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise SweepError(f"there is no notebook {path}; those of losa lie in its repository: go to a clone of it, or "
                         "give the path of a notebook (`losa study` and `losa bench`: --notebook)") from None
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise SweepError(f"{path} cannot be read as a notebook ({error})") from None


def read_parameters(book, path: Path) -> dict:
    """Return the names and default values in a notebook's parameters cell, as JSON has them.

    Raises SweepError if there is no such cell or it holds anything but plain values.
    """
    cell = next((c for c in book.cells if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])), None)
    if cell is None:
        raise SweepError(f"{path} has no cell tagged `parameters`; give the cell with its settings that tag (in "
                         "JupyterLab: property inspector at the right, Common Tools, Cell Tags)")
    parameters = {}
    try:
        for node in ast.parse(cell.source).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and node.value is not None:
                parameters[target.id] = as_json(ast.literal_eval(node.value))
    except (SyntaxError, ValueError) as error:
        raise SweepError(f"the parameters cell of {path} holds more than plain values, one NAME = VALUE a line "
                         f"({error})") from None
    return parameters


def read_own_adapter(adapter: object) -> tuple[str, ...]:
    """Return a user's adapter FILE.py:NAME and the code of its file, () for one of losa: changed code makes a new run.

    Raises SweepError if the file cannot be read or has no such name.
    """
    name = split_adapter_name(adapter)[1]
    if not name:
        return ()
    try:
        text = Config.make(adapter=adapter).adapter_text()
        ast.parse(text)
    except (ConfigError, SyntaxError, ValueError) as error:
        raise SweepError(f"adapter={adapter!r} cannot be used: {error}") from None
    if name not in re.findall(r"\w+", text):
        raise SweepError(f"adapter={adapter!r}: the file has no {name}")
    return adapter, strip_comments(text)


def expand(grid: dict | Sequence[dict] | str | Path) -> list[dict]:
    """Return every combination of a grid, see `plan`. Raises SweepError for an empty or malformed grid."""
    if isinstance(grid, str | Path):
        grid = read_grid(Path(grid))
    tables = [grid] if isinstance(grid, dict) else grid
    if not isinstance(tables, Sequence) or not all(isinstance(table, dict) for table in tables):
        raise SweepError(f"a grid is a dict of lists, or a list of such dicts; this is {grid!r}")
    combinations = []
    for table in tables:
        axes = {name: as_json(value) for name, value in table.items()}
        axes = {name: value if isinstance(value, list) else [value] for name, value in axes.items()}
        combinations += [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if not combinations or grid == {}:
        empty = [name for table in tables for name, value in table.items() if as_json(value) == []]
        raise SweepError(f"the grid is empty{f': {empty} have no values' if empty else ''}; expected e.g. "
                         '{"ranges": ["short", "long"], "seed": [0, 1, 2]}')
    return combinations


def as_json(value: object) -> object:
    """Return a value as JSON has it: tuples and ranges become lists, numpy numbers Python's, paths strings.

    Raises SweepError for a value that JSON does not know.
    """
    if isinstance(value, range):
        value = list(value)
    try:
        return json.loads(json.dumps(value, default=lambda v: v.tolist() if hasattr(v, "tolist") else os.fspath(v)))
    except (TypeError, ValueError) as error:
        raise SweepError(f"{value!r} cannot be a parameter ({error}); give numbers, strings, lists, dicts") from None


def read_grid(path: Path) -> object:
    """Read a grid from a YAML or JSON file. Raises SweepError if it cannot be read or names a key twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            return without_repeats(self.construct_pairs(node, deep=True))

    def without_repeats(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if twice:
            raise SweepError(f"{path} names {', '.join(map(repr, twice))} twice; put all its values in one list")
        return dict(pairs)

    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text, object_pairs_hook=without_repeats)
        return yaml.load(text, Loader)  # a safe loader
    except OSError as error:
        raise SweepError(f"the grid {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise SweepError(f"the grid {path} is neither YAML nor JSON ({' '.join(str(error).split())})") from None


def check_names(given: dict, defaults: dict, notebook: Path) -> None:
    """Raise SweepError for a parameter that the notebook does not have, or that the sweep sets itself."""
    if "out" in given:
        raise SweepError("the grid sets `out`; the sweep gives every run a folder of its own, leave it out")
    for name in given.keys() - defaults.keys():
        raise SweepError(f"{notebook.name} has no parameter {name!r}; {propose(str(name), defaults, 'it has ')}")


def count_epochs(parameters: dict) -> int:
    """Return the epochs of a training with these parameters, those of warm-up included."""
    return sum(parameters.get(name, Config.model_fields[name].default) for name in ("epochs", "warmup_epochs"))


def validate(given: dict, defaults: dict) -> dict:
    """Return the parameters as the config reads them. Raises SweepError if the config refuses one."""
    try:
        config = Config.make(**{k: v for k, v in {**defaults, **given}.items() if k in Config.model_fields})
    except ConfigError as error:
        hint = "; in a grid a list is an axis, write [[...]] for a list as one value" if "list" in str(error) else ""
        raise SweepError(f"the config refuses {given}: {error}{hint}") from None
    return {name: config.to_dict().get(name, value) for name, value in given.items()}


def is_path(name: str, defaults: dict) -> bool:
    """Tell whether a parameter names a file or folder."""
    if name in Config.model_fields:
        return name in (*INPUTS, "cache")
    return isinstance(defaults[name], str) and "/" in defaults[name]


def absolute_paths(given: dict, defaults: dict) -> dict:
    """Return the parameters with absolute paths. Raises SweepError for an input that does not exist."""
    absolute = dict(given)
    for name, value in given.items():
        if not is_path(name, defaults) or not isinstance(value, str):
            continue
        path, class_name = split_adapter_name(value) if name == "adapter" else (value, "")
        if path in ("", "random"):
            continue
        path = os.path.abspath(os.path.expanduser(path))
        absolute[name] = f"{path}:{class_name}" if class_name else path
        if name in INPUTS and not Path(path).exists():
            raise SweepError(f"{name}={value!r}: there is no {path}; give a path from the current folder")
    return absolute


def relative_to(out: Path, value: object) -> object:
    """Return an absolute path relative to `out`, so that a run keeps its name when all is moved; others unchanged."""
    try:
        return os.path.relpath(value, out) if isinstance(value, str) and os.path.isabs(value) else value
    except ValueError:  # another drive
        return value


def check_caches(folders: set[str]) -> None:
    """Raise SweepError for a cache of taps that another version of the package wrote."""
    for folder in sorted(filter(None, folders)):
        try:
            check_cache(folder)
        except CacheError as error:
            raise SweepError(str(error)) from None


def check_writable(out: Path) -> None:
    """Make the folder. Raises SweepError if nothing can be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SweepError(f"cannot write into {out}: {error.strerror}; give another folder") from None


def list_settings(default: Config, grid: dict[str, list], axes: dict[str, list]) -> list[dict]:
    """Return the settings of an ablation: the default, every combination of `grid`, and `axes` one at a time.

    Each as the fields that it changes; what makes the same config is listed once. Raises ConfigError for a field that
    is unknown or refuses a value.
    """
    crossed = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    single = [{name: value} for name, values in axes.items() for value in values]
    configs = {}
    for setting in [{}, *crossed, *single]:
        configs.setdefault(json.dumps(default.replace(**setting).to_dict()), setting)
    return list(configs.values())
