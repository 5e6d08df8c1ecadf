"""A notebook of a few lines for the tests of sweeps, and the kernels that belong to a sweep's folder."""

from pathlib import Path

import nbformat
import psutil

PARAMETERS = '''out = "runs/x"  # folder of the run
how = "well"  # well | badly | killed | slowly: how it ends
seed = 0  # a number
data = "runs/data.txt"  # a file
'''
CODE = '''import json, os, time
from pathlib import Path
folder = Path(out)
with open(folder / "begun", "a") as file:
    file.write(f"{os.getpid()}\\n")
if how == "killed" and not (folder.parent / "spare").exists():
    os.kill(os.getpid(), 9)
while how == "slowly" and not (folder.parent / "go").exists():
    time.sleep(0.05)
assert how != "badly", "this one is meant to fail"
seen = {"seed": seed, "data": data, "cwd": os.getcwd(), "threads": os.environ["OMP_NUM_THREADS"]}
(folder / "seen.json").write_text(json.dumps(seen))
left = open(folder / "left.txt", "w")  # never closed, and in a circle
left.me = left
left.write("all")
'''


def write_notebook(path: Path, parameters: str = PARAMETERS, code: str = CODE, tags: tuple[str, ...] = ("parameters",)):
    """The path of a notebook with these two cells."""
    new = nbformat.v4
    cells = [new.new_code_cell(parameters, metadata={"tags": list(tags)}), new.new_code_cell(code)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def begun(out: Path) -> list[int]:
    """Process ids of all kernels that have begun a run in a sweep's folder."""
    return [int(line) for path in sorted(out.glob("*/begun")) for line in path.read_text().split()]


def alive(pids: list[int]) -> list[int]:
    """Those that still run as kernels; a zombie does not."""
    found = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and "-f" in process.cmdline():
                found.append(pid)
        except psutil.Error:
            continue
    return found
