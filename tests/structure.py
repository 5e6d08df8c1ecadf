"""Print how the package is built: rooms, arrows, floors, sizes, import times, import lines of the notebooks.

python tests/structure.py [REPOSITORY]     (another checkout to compare with; default: this one)

A room is a folder of losa/ or a module beside them; an arrow says that one room imports from another; a room's floor is
the length of the longest chain of arrows below it.
"""

import ast
import functools
import graphlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
HEAVY = ("losa", "losa.cli.main", "losa.evaluation.average_precision")
HEAVY_BEFORE = ("losa", "losa.cli", "losa.evaluate")  # as they were called in version 0.1


def modules() -> dict[str, Path]:
    """Every module of losa by its dotted name."""
    return {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path
            for path in sorted((ROOT / "losa").rglob("*.py")) if path.stem != "__init__"}


def imports(path: Path) -> set[str]:
    """The modules of losa that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & modules_by_name


def floors(below: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each node: 0 for one that uses no other."""
    @functools.cache
    def floor(node: str) -> int:
        return 1 + max(map(floor, below[node]), default=-1)

    tuple(graphlib.TopologicalSorter(below).static_order())  # raises CycleError for a circle
    return {node: floor(node) for node in below}


def functions() -> list[tuple[int, str]]:
    """(lines, place) of every function."""
    return [(node.end_lineno - node.lineno + 1, f"{name}.{node.name}") for name, path in all_modules.items()
            for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def import_ms(module: str) -> float | None:
    """Milliseconds that a fresh interpreter takes to import a module, the best of five; None if it cannot."""
    code = f"import time; began = time.perf_counter(); import {module}; print(1000 * (time.perf_counter() - began))"
    done = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": str(ROOT)}) for _ in range(5)]
    return None if any(run.returncode for run in done) else min(float(run.stdout.split()[-1]) for run in done)


def import_lines(notebook: Path) -> tuple[int, int]:
    """Lines of import statements in a notebook's code, and how many modules of losa and widgets they name."""
    lines, ours = 0, set()
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("%%"):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    lines += node.end_lineno - node.lineno + 1
                    named = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                    ours |= {name for name in named if name.split(".")[0] in ("losa", "widgets")}
    return lines, len(ours)


all_modules = modules()
modules_by_name = set(all_modules)
uses = {name: imports(path) for name, path in all_modules.items()}
room = {name: name.split(".")[1] for name in all_modules}
below = {here: {room[used] for name in uses if room[name] == here for used in uses[name]} - {here}
         for here in sorted(set(room.values()))}
floor = floors(below)
print(f"{len(all_modules)} modules in {len(below)} rooms, {sum(map(len, below.values()))} arrows between rooms, "
      f"{max(floor.values()) + 1} floors, longest chain of imports {max(floors(uses).values()) + 1} modules")
sizes = {here: sum(len(all_modules[name].read_text().splitlines()) for name in room if room[name] == here)
         for here in below}
print(f"{sum(sizes.values())} lines: "
      + ", ".join(f"{here} {lines}" for here, lines in sorted(sizes.items(), key=lambda item: -item[1])[:30]))
lengths = functions()
print(f"{len(lengths)} functions, median {statistics.median(length for length, _ in lengths):.0f} lines, longest "
      + ", ".join(f"{place} {length}" for length, place in sorted(lengths, reverse=True)[:5]))
for module in HEAVY if "losa.cli.main" in modules_by_name else HEAVY_BEFORE:
    took = import_ms(module)
    print(f"import {module}: " + ("fails" if took is None else f"{took:.0f} ms"))
for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
    print("{}: {} import lines, from {} modules of ours".format(notebook.stem, *import_lines(notebook)))
