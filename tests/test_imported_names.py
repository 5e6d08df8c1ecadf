"""Every name that code imports from the package is there; read from the text alone, so it costs a second."""

import ast
from functools import cache

from helpers.paths import ROOT

OWN = ("losa", "widgets")


@cache
def names_of(path):
    """The names that a module has: what it defines, assigns and imports outside of functions and classes."""
    waiting, found = list(ast.parse(path.read_text("utf8")).body), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        waiting += ast.iter_child_nodes(node)
    return found


def not_there(code, root=ROOT):
    """The imports in this text of names that their module in `root` does not have."""
    lacking = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.ImportFrom) or node.level or node.module.split(".")[0] not in OWN:
            continue
        place = root.joinpath(*node.module.split("."))
        module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        known = names_of(module) if module.is_file() else set()
        lacking += [f"{node.module}: {alias.name}" for alias in node.names if alias.name not in known
                    and not (place / f"{alias.name}.py").is_file() and not (place / alias.name).is_dir()]
    return lacking


def test_every_imported_name_is_in_its_module():
    files = [path for folder in (*OWN, "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 100
    lacking = {str(path.relative_to(ROOT)): not_there(path.read_text("utf8")) for path in files}
    assert not {path: names for path, names in lacking.items() if names}


def test_a_name_that_is_not_there_is_found(tmp_path):
    (tmp_path / "losa" / "room").mkdir(parents=True)
    (tmp_path / "losa" / "room" / "a.py").write_text("import os\nif True:\n    B, C = 1, 2\ndef d():\n    e = 1\n")
    given = "from losa.room.a import B, C, d, os, e\nfrom losa.room import a, b\nfrom losa.c import f\nfrom os import x"
    assert not_there(given, tmp_path) == ["losa.room.a: e", "losa.room: b", "losa.c: f"]
