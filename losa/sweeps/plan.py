"""What a sweep is going to run: a notebook's parameters, the combinations of a grid, and everything refused at once."""

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
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path

from losa.adapter_file import split_adapter_name, strip_comments
from losa.config import Config
from losa.errors import CacheError, ConfigError, SweepError
from losa.taps.cache_files import check_cache

TRAINING = {"annotations", "epochs"}  # parameters by which a notebook is known to take a Config and write result.json
INPUTS = ("annotations", "ground_truth", "block_list", "features", "weights", "start", "classifier", "adapter")


@dataclass(frozen=True)
class Run:
    """One combination, ready to be executed wherever this object is sent."""

    folder: str  # absolute; its name is the run's
    parameters: dict  # given ones, paths absolute
    notebook: str  # absolute path, to tell where it comes from
    source: str  # the notebook itself as it was when the sweep began
    cwd: str
    threads: int | None
    timeout_s: int | float | None
    trains: bool  # then it must leave a result.json
    own: tuple[str, ...] = ()  # an adapter of one's own and its code, as it was when the sweep began


def plan(notebook: str | Path, grid: dict | Sequence[dict] | str | Path, out: str | Path, *,
         timeout_s: int | float | None = None, threads: int | None = None) -> list[Run]:
    """The runs of a sweep. Raises SweepError for anything that would make one of them fail from the start.

    grid: a dict whose lists are multiplied, a list of such dicts, or a YAML or JSON file with either. A list is always
    an axis: a list as a value stands in another, `taps: [[1, 3]]`. Paths are meant from the current folder: the
    config's fields that name a file or folder, and parameters whose default in the notebook has a slash.
    """
    notebook, out = Path(notebook).absolute(), Path(out).absolute()
    book = read_notebook(notebook)
    defaults = parameters_of(book, notebook)
    if "out" not in defaults:
        raise SweepError(f"{notebook} has no parameter `out`, the folder a run writes into; add e.g. "
                         'out = "runs/notebook" to its parameters cell')
    code = [strip_comments(cell.source) for cell in book.cells if cell.cell_type == "code"]
    runs, trains = {}, defaults.keys() >= TRAINING
    for given in expand(grid):
        check_names(given, defaults, notebook)
        given = with_paths(checked(given, defaults) if trains else given, defaults)
        named = {key: from_folder(out, value) if is_path(key, defaults) else value for key, value in given.items()}
        own = own_code({**defaults, **given}.get("adapter"))
        name = hashlib.sha256(json.dumps([code, {**defaults, **named, "out": ""}, version("losa"), *own[1:]],
                                         sort_keys=True).encode()).hexdigest()[:12]
        if name in runs:
            raise SweepError(f"the grid has the same run twice: {given} and {runs[name].parameters}; leave one out")
        runs[name] = Run(str(out / name), given, str(notebook), json.dumps(book), os.getcwd(), threads,
                         timeout_s, trains, own)
    if trains:
        check_caches({run.parameters.get("cache", defaults.get("cache", "")) for run in runs.values()})
    check_writable(out)
    return list(runs.values())


def read_notebook(path: Path):
    """The notebook, in today's format."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise SweepError(f"there is no notebook {path}") from None
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise SweepError(f"{path} cannot be read as a notebook ({error})") from None


def parameters_of(book, path: Path) -> dict:
    """Names and default values in the notebook's parameters cell, as JSON has them."""
    cell = next((c for c in book.cells if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])), None)
    if cell is None:
        raise SweepError(f"{path} has no cell tagged `parameters`; give the cell with its settings that tag (in "
                         "JupyterLab: property inspector at the right, Common Tools, Cell Tags)")
    found = {}
    try:
        for node in ast.parse(cell.source).body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and node.value is not None:
                found[target.id] = plain(ast.literal_eval(node.value))
    except (SyntaxError, ValueError) as error:
        raise SweepError(f"the parameters cell of {path} holds more than plain values, one NAME = VALUE a line "
                         f"({error})") from None
    return found


def own_code(adapter: object) -> tuple[str, ...]:
    """An adapter of one's own and the code in its file, () for another: changed code makes a new run.

    Raises SweepError for a file that cannot be read or that no class of that name can come from.
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
    """Every combination of a grid, see `plan`."""
    if isinstance(grid, str | Path):
        grid = read_grid(Path(grid))
    tables = [grid] if isinstance(grid, dict) else grid
    if not isinstance(tables, Sequence) or not all(isinstance(table, dict) for table in tables):
        raise SweepError(f"a grid is a dict of lists, or a list of such dicts; this is {grid!r}")
    found = []
    for table in tables:
        axes = {name: plain(value) for name, value in table.items()}
        axes = {name: value if isinstance(value, list) else [value] for name, value in axes.items()}
        found += [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if not found or grid == {}:
        empty = [name for table in tables for name, value in table.items() if plain(value) == []]
        raise SweepError(f"the grid is empty{f': {empty} have no values' if empty else ''}; expected e.g. "
                         '{"ranges": ["short", "long"], "seed": [0, 1, 2]}')
    return found


def plain(value: object) -> object:
    """A value as JSON has it: tuples and ranges become lists, numpy's numbers Python's, paths strings."""
    if isinstance(value, range):
        value = list(value)
    try:
        return json.loads(json.dumps(value, default=lambda v: v.tolist() if hasattr(v, "tolist") else os.fspath(v)))
    except (TypeError, ValueError) as error:
        raise SweepError(f"{value!r} cannot be a parameter ({error}); give numbers, strings, lists, dicts") from None


def read_grid(path: Path) -> object:
    """What a YAML or JSON file holds. Raises SweepError if it cannot be read or names a key twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            return once(self.construct_pairs(node, deep=True))

    def once(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        if twice:
            raise SweepError(f"{path} names {', '.join(map(repr, twice))} twice; put all its values in one list")
        return dict(pairs)

    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text, object_pairs_hook=once)
        return yaml.load(text, Loader)  # a safe loader
    except OSError as error:
        raise SweepError(f"the grid {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise SweepError(f"the grid {path} is neither YAML nor JSON ({' '.join(str(error).split())})") from None


def check_names(given: dict, defaults: dict, notebook: Path) -> None:
    """Nothing; raises SweepError for a parameter that the notebook does not have, or the sweep sets itself."""
    if "out" in given:
        raise SweepError("the grid sets `out`; the sweep gives every run a folder of its own, leave it out")
    for name in given.keys() - defaults.keys():
        near = get_close_matches(str(name), defaults, n=1, cutoff=0.4)
        raise SweepError(f"{notebook.name} has no parameter {name!r}; "
                         + (f"did you mean {near[0]!r}?" if near else f"it has {', '.join(defaults)}"))


def checked(given: dict, defaults: dict) -> dict:
    """The parameters as the config reads them. Raises SweepError if it refuses one."""
    try:
        config = Config.make(**{k: v for k, v in {**defaults, **given}.items() if k in Config.model_fields})
    except ConfigError as error:
        hint = "; in a grid a list is an axis, write [[...]] for a list as one value" if "list" in str(error) else ""
        raise SweepError(f"the config refuses {given}: {error}{hint}") from None
    return {name: config.to_dict().get(name, value) for name, value in given.items()}


def is_path(name: str, defaults: dict) -> bool:
    """Whether a parameter names a file or folder."""
    if name in Config.model_fields:
        return name in (*INPUTS, "cache")
    return isinstance(defaults[name], str) and "/" in defaults[name]


def with_paths(given: dict, defaults: dict) -> dict:
    """The parameters with absolute paths. Raises SweepError for an input that is not there."""
    found = dict(given)
    for name, value in given.items():
        if not is_path(name, defaults) or not isinstance(value, str):
            continue
        path, own = split_adapter_name(value) if name == "adapter" else (value, "")
        if path in ("", "random"):
            continue
        path = os.path.abspath(os.path.expanduser(path))
        found[name] = f"{path}:{own}" if own else path
        if name in INPUTS and not Path(path).exists():
            raise SweepError(f"{name}={value!r}: there is no {path}; give a path from the current folder")
    return found


def from_folder(out: Path, value: object) -> object:
    """An absolute path as seen from `out`, so that a run keeps its name when all is moved; other values unchanged."""
    try:
        return os.path.relpath(value, out) if isinstance(value, str) and os.path.isabs(value) else value
    except ValueError:  # another drive
        return value


def check_caches(folders: set[str]) -> None:
    """Nothing; raises SweepError for a cache of taps that another version of the package wrote."""
    for folder in sorted(filter(None, folders)):
        try:
            check_cache(folder)
        except CacheError as error:
            raise SweepError(str(error)) from None


def check_writable(out: Path) -> None:
    """Nothing; makes the folder. Raises SweepError if nothing can be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SweepError(f"cannot write into {out}: {error.strerror}; give another folder") from None
