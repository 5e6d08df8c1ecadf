"""Check what a notebook was given: the names in its parameters cell and in the cell that papermill adds below it."""

import ast

from losa.config import Config, parse_value, propose
from losa.errors import ConfigError

INJECTED = "# Parameters"  # how papermill begins the cell that it adds


def check_parameters(namespace: dict, *names: str) -> None:
    """Refuse a misspelt parameter before anything is computed, and read lists and numbers that came as text.

    For the first code cell of a notebook: `losa.check_parameters(globals(), "run_dir", "min_score")` with the names
    of its parameters cell. What is new in that cell or in papermill's has to be one of them; helper variables of your
    own begin with _ or stand in another cell. A text for a parameter whose default is a number, a list or a dict is
    read, so that `papermill -p seeds '[0, 1]'` gives a list. The cells are known from IPython's history (`In`).

    Raises ConfigError that names each unknown name with the nearest known one, each parameter that has no value, and
    each value of a wrong kind.
    """
    defaults, injected = find_given(namespace.get("In", [])[:-1], names)
    missing = [name for name in names if name not in namespace]
    unknown = [name for name in dict.fromkeys((*defaults, *injected))
               if name not in names and not name.startswith(("_", "PAPERMILL_"))]
    lines = [f"{name}: no such parameter; {propose(name, missing or names, 'known are ')}" for name in unknown]
    lines += [f"{name} has no value; give it one in the parameters cell" for name in missing]
    for name in set(names) & namespace.keys() & defaults.keys():
        namespace[name], wrong = read_like(name, namespace[name], defaults[name])
        lines += [wrong] if wrong else []
    if lines:
        raise ConfigError("\n".join(lines) + "\nMend the parameters (the cell tagged `parameters`, or papermill's -p), "
                          "and run from there")


def find_given(sources: list[str], names: tuple[str, ...]) -> tuple[dict, dict]:
    """Return what the parameters cell sets, and what papermill's cells after it set, each as `list_assigned` does.

    Of the cells that were run, the parameters cell is the last one that sets more than half of the names.
    """
    injected: dict = {}
    for source in reversed(sources):
        assigned = list_assigned(source)
        if source.lstrip().startswith(INJECTED):
            injected = {**assigned, **injected}
        elif 2 * len(assigned.keys() & set(names)) > len(names):
            return assigned, injected
    return {}, {}


def list_assigned(source: str) -> dict:
    """Return {name: value} for the names that a cell sets, in its order; None for a value that is no literal."""
    assigned: dict = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return assigned
    for node in statements:
        for target in node.targets if isinstance(node, ast.Assign) else []:
            if isinstance(target, ast.Name):
                try:
                    assigned[target.id] = ast.literal_eval(node.value)
                except ValueError:
                    assigned[target.id] = None
    return assigned


def read_like(name: str, value: object, default: object) -> tuple[object, str]:
    """Return the value, read from its text where the default is no text, and what is wrong with it ("": nothing).

    Kinds of values are compared but for fields of Config, which knows better, and a list's, which a name may replace.
    """
    if default is None or isinstance(default, str):
        return value, ""
    read = parse_value(value) if isinstance(value, str) else value
    kinds = next(kinds for kinds in ((int, float), (list, tuple), (dict,)) if isinstance(default, kinds))
    fits = isinstance(read, kinds) or name in Config.model_fields or isinstance(default, list) and isinstance(read, str)
    return read, "" if fits else f"{name}={read!r}: expected a value like {default!r}"
