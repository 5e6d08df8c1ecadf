"""An adapter written by the user, named FILE.py:NAME: parse the name, run the file, compare two versions of its code.

Needs no torch, so that a config and a sweep's plan can use it.
"""

import ast
import re
from pathlib import Path

from losa.errors import ConfigError


def split_adapter_name(adapter: object) -> tuple[str, str]:
    """Return file and class of FILE.py:NAME; two empty strings for anything else, such as "temporal"."""
    match = re.fullmatch(r"(.+\.py):(\w+)", str(adapter))
    return (match[1], match[2]) if match else ("", "")


def load_adapter_class(adapter: str, base: type) -> type:
    """Run the file of FILE.py:NAME, anew each time, and return its class NAME, which must derive from `base`.

    Raises FileNotFoundError where there is no such file, ConfigError where it does not run or has no such class.
    """
    file, _, name = adapter.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"adapter={adapter!r}: there is no {path.absolute()}; give FILE.py:NAME, the file as "
                                "seen from the current folder")
    scope = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), scope)
    except Exception as error:
        raise ConfigError(f"adapter={adapter!r}: {path} does not run: {type(error).__name__}: {error}") from error
    classes = {key: value for key, value in scope.items() if isinstance(value, type) and issubclass(value, base)}
    if name not in classes:
        written = [key for key, value in classes.items() if value.__module__ == path.stem]
        raise ConfigError(f"adapter={adapter!r}: {path} has no nn.Module called {name}; "
                          f"it has {', '.join(written) or 'none at all'}")
    return classes[name]


def strip_comments(source: str) -> str:
    """Return Python code without comments and layout, so that two versions that differ in these alone are equal."""
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError):  # notebook magics
        return source.strip()
