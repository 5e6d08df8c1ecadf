"""The repository itself: two package lists that agree, imports in one direction, clean notebooks, no local traces."""

import ast
import graphlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from helpers.paths import GOLDEN, ROOT

MODULES = {path: path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
           for path in sorted((ROOT / "losa").rglob("*.py")) if path.stem != "__init__"}  # fmt: skip
ROOMS = {  # room: the rooms it may use
    # the ground floor, a file each
    "errors": set(), "machine": set(), "files": {"errors"}, "adapter_file": {"errors"}, "segments": {"files"},
    "config": {"errors", "adapter_file"}, "presets": {"errors", "config"},
    # files in
    "video": {"errors", "files"}, "label_files": {"errors", "video"}, "formats": {"errors", "video", "label_files"},
    "annotations": {"errors", "files", "video", "label_files", "formats"},
    # the paper
    "backbones": {"errors", "config"}, "model": {"errors", "files", "adapter_file", "config"},
    "taps": {"errors", "files", "segments", "config", "video", "annotations", "backbones", "model"},
    # numbers out
    "evaluation": {"errors", "segments", "config", "label_files", "formats", "annotations"},
    "inference": {"errors", "files", "segments", "config", "annotations", "taps", "model"},
    "training": {"errors", "files", "machine", "adapter_file", "segments", "config", "annotations", "taps", "model",
                 "inference", "evaluation"},
    "world": {"errors", "files", "backbones"},
    "sweeps": {"errors", "files", "adapter_file", "config", "annotations", "taps", "evaluation"},
    # what people look at
    "reports": {"files", "config", "world", "sweeps"},
    "inspection": {"errors", "files", "machine", "segments", "config", "annotations", "video", "taps", "model",
                   "evaluation", "inference", "training"},
    # whole jobs
    "workflows": {"errors", "files", "machine", "adapter_file", "segments", "config", "presets", "video",
                  "label_files", "formats", "annotations", "backbones", "model", "taps", "training", "inference",
                  "evaluation", "world", "reports", "sweeps"},
    "studies": {"errors", "files", "machine", "config", "presets", "video", "annotations", "backbones", "model", "taps",
                "training", "inference", "evaluation", "world", "sweeps", "workflows"},
    "cli": {"errors", "config", "presets", "video", "label_files", "annotations", "evaluation", "training", "world",
            "sweeps", "reports", "workflows", "studies"},
}  # fmt: skip
EVALUATION_ALONE = ("average_precision", "card", "diagnose", "protocols", "published", "records", "test_sets",
                    "ap_by_score")  # modules that work without torch and decoder
TENSOR_ONLY = {"torch", "torchvision", "timm", "jaxtyping", "safetensors"}
REQUIRED = {"torch", "timm", "decord", "jupyterlab", "ipywidgets", "matplotlib", "plotly", "papermill", "nbstripout"}
REQUIRED |= {"pytest", "nbval"}
STRIP = ["--keep-id", "--extra-keys"]
INFO = ("codemirror_mode", "file_extension", "mimetype", "nbconvert_exporter", "pygments_lexer", "version")
STRIP += ["metadata.papermill cell.metadata.papermill cell.metadata.execution metadata.widgets "
          + " ".join(f"metadata.language_info.{name}" for name in INFO)]


def repo_files(*patterns: str) -> list[Path]:
    """Files that are committed, or would be by `git add`; skips outside a git checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs a git checkout: " + done.stderr.strip())
    return [ROOT / name for name in sorted(set(done.stdout.split("\0"))) if name and (ROOT / name).is_file()]


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, `from a import b` as both a and a.b; relative ones made absolute."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [path.parent.name if node.level else "", node.module]))
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return names


def room_of(module: str) -> str:
    """The room of losa.ROOM.module; a module of the ground floor is a room of its own."""
    return module.split(".")[1]


def ours(path: Path) -> set[str]:
    """The losa modules that a file imports."""
    return imported(path) & set(MODULES.values())


def python(code: str, **environment: str) -> str:
    """All that a fresh interpreter printed; fails with it when the code fails."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **environment}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- environment.yml and pyproject.toml -----------------------------------------------------------------------------


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def closure(project: dict, extras: set[str]) -> list[Requirement]:
    """Requirements of the project with these extras, `losa[other]` inside an extra followed."""
    found, todo, seen = [Requirement(r) for r in project["dependencies"]], list(extras), set()
    while todo:
        extra = todo.pop()
        if extra in seen:
            continue
        seen.add(extra)
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            if canonicalize_name(requirement.name) == project["name"]:
                todo.extend(requirement.extras)
            else:
                found.append(requirement)
    return found


def test_environment_yml_installs_what_pyproject_says():
    project = pyproject()
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == project["name"]
    assert environment["channels"] == ["conda-forge"]
    python_spec, pip, by_pip = environment["dependencies"]
    assert pip == "pip"
    version = re.fullmatch(r"python=(\d+\.\d+)", python_spec).group(1)
    assert SpecifierSet(project["requires-python"]).contains(version)
    assert list(by_pip) == ["pip"] and len(by_pip["pip"]) == 1
    extras = re.fullmatch(r"-e \.\[([a-z,]+)\]", by_pip["pip"][0]).group(1)
    names = {canonicalize_name(requirement.name) for requirement in closure(project, set(extras.split(",")))}
    assert names >= REQUIRED


def test_python_version_is_the_same_everywhere():
    project = pyproject()
    oldest = re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"]).groups()
    assert f"({oldest[0]}, {oldest[1]})" in (ROOT / "Makefile").read_text()
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert ruff["target-version"] == "py" + "".join(oldest)


@pytest.mark.parametrize("system", [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")])
def test_every_system_gets_one_reader_called_decord(system):
    where = {"sys_platform": system[0], "platform_machine": system[1]}
    readers = [r for r in closure(pyproject(), set()) if r.name.startswith("decord")]
    assert len([r for r in readers if r.marker.evaluate(where)]) == 1


def test_every_folder_of_code_is_a_package_that_is_installed():
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert found == ["losa*", "widgets*"]
    folders = {path.parent for top in ("losa", "widgets") for path in (ROOT / top).rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_without_a_fitting_python_says_so_and_makes_nothing(tmp_path):
    folder = tmp_path / "with space"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run(["make", "demo", "PYTHON=false"], cwd=folder, capture_output=True, text=True)
    assert done.returncode and "losa needs Python 3.11 or newer" in done.stderr
    assert "make demo PYTHON=" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["Makefile", "pyproject.toml"]
    told = subprocess.run(["make"], cwd=folder, capture_output=True, text=True).stdout
    assert all(f"\n  {target} " in told for target in ("setup", "demo", "test", "notebooks", "measure", "clean"))


# --- tests ----------------------------------------------------------------------------------------------------------

TESTED_ELSEWHERE = {  # module: the file that tests it
    "losa/cli/__main__.py": "tests/training/test_distributed.py",
    **{f"losa/cli/{name}_commands.py": "tests/cli/test_commands.py" for name in ("data", "run", "sweep", "world")},
    "losa/cli/study_commands.py": "tests/cli/test_main.py",
    **{f"losa/backbones/{name}.py": "tests/backbones/test_vit.py" for name in ("load", "clips")},
}


def test_every_module_has_a_test_file_of_its_name():
    modules = [path.relative_to(ROOT) for path in (*MODULES, *sorted((ROOT / "widgets").rglob("*.py")))
               if path.stem != "__init__"]  # fmt: skip
    wanted = {path.as_posix(): Path("tests", *path.parts[path.parts[0] == "losa":-1], f"test_{path.name}").as_posix()
              for path in modules} | TESTED_ELSEWHERE  # fmt: skip
    assert set(wanted) == {path.as_posix() for path in modules}, "an exception for a module that is gone"
    assert [test for test in wanted.values() if not (ROOT / test).is_file()] == []
    assert not [module for module in TESTED_ELSEWHERE if (ROOT / "tests" / module[5:]).with_name(
        f"test_{Path(module).name}").is_file()], "no exception needed any more"  # fmt: skip


# --- imports --------------------------------------------------------------------------------------------------------


def test_every_room_is_in_the_table():
    assert {room_of(module) for module in MODULES.values()} == set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_uses_only_rooms_below_it(room):
    for path, module in MODULES.items():
        if room_of(module) == room:
            used = {room_of(name) for name in ours(path)} - {room}
            assert used <= ROOMS[room], f"{path.relative_to(ROOT)} uses {used - ROOMS[room]}"


@pytest.mark.parametrize("room", ["model", "backbones"])
def test_network_parts_know_only_torch_and_timm(room):
    for path, module in MODULES.items():
        if room_of(module) == room:
            tops = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
            assert tops <= TENSOR_ONLY | {"losa"}, path


def test_losa_imports_go_in_no_circle():
    tuple(graphlib.TopologicalSorter({module: ours(path) for path, module in MODULES.items()}).static_order())


def test_widgets_know_neither_losa_nor_torch_and_nothing_imports_notebooks():
    for path in (ROOT / "widgets").rglob("*.py"):
        assert not {"torch", "notebooks", "losa"} & {name.split(".")[0] for name in imported(path)}, path
    for path in MODULES:
        assert not {"notebooks", "tests"} & {name.split(".")[0] for name in imported(path)}, path


def test_every_box_of_widgets_keeps_a_picture_or_a_line_and_none_depends_on_captured_output():
    """Readers without a kernel get that; and what `interactive` captures does not come in JupyterLab 4.6."""
    for path in MODULES:
        text = path.read_text("utf8")
        bare = {name for name in re.findall(r"^class (\w+)\(w\.[HV]Box\)", text, re.M)} - {"TagBar"}  # part of a box
        assert not bare and not re.search(r"\bw\.(interact\w*|Output)\(", text), path


def test_widgets_stay_small_and_need_no_build_step():
    files = [path for path in (ROOT / "widgets").iterdir() if path.suffix in {".py", ".js", ".css"}]
    assert sum(len(path.read_text(encoding="utf8").splitlines()) for path in files) < 4355
    for path in files:
        reaches_out = re.search(r"^\s*import |\bimport\(|https?:", path.read_text("utf8"), re.M)
        assert path.suffix != ".js" or not reaches_out, path


def test_evaluation_and_widgets_work_without_torch_and_decoder():
    golden = json.loads((GOLDEN / "expected.json").read_text())
    modules = ", ".join(f"losa.evaluation.{name}" for name in EVALUATION_ALONE)
    code = f"""
import sys
for name in ("torch", "torchvision", "timm", "decord", "av"):
    sys.modules[name] = None
import {modules}
from losa.evaluation.average_precision import evaluate
from losa.evaluation.diagnose import diagnose
from losa.evaluation.records import read_ground_truth, read_predictions
truth = read_ground_truth("tests/golden/ground_truth.json", "{golden['subset']}")
predictions = read_predictions("tests/golden/predictions.json")
assert evaluate(truth, predictions).average_map == diagnose(truth, predictions)["average_map"]
assert "IPython" not in sys.modules
import widgets.diagnosis
"""
    assert python(code, CUDA_VISIBLE_DEVICES="") == ""


def test_importing_prints_nothing():
    modules = ", ".join(["losa", "widgets", *(name for name in MODULES.values() if not name.endswith("__main__"))])
    assert python(f"import {modules}") == ""


def test_annotations_of_losa_are_checked_in_tests():
    import losa.segments

    assert "jaxtyping" in type(losa.segments.__spec__.loader).__module__


# --- what is committed ----------------------------------------------------------------------------------------------


def test_notebooks_are_committed_without_output():
    notebooks = [str(path) for path in repo_files("*.ipynb")]
    if not notebooks:
        pytest.skip("there is no notebook yet")
    command = [sys.executable, "-m", "nbstripout", *STRIP, "--verify", *notebooks]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"strip them with: nbstripout {' '.join(STRIP)} NOTEBOOK\n{done.stdout}{done.stderr}"


def test_the_git_filter_strips_what_the_test_demands():
    for key, options in (("filter.nbstripout.clean", ""), ("diff.ipynb.textconv", " -t")):
        found = subprocess.run(["git", "config", "--file", ROOT / ".gitconfig", key], capture_output=True, text=True)
        assert found.stdout.strip().endswith(f'nbstripout {STRIP[0]} {STRIP[1]} "{STRIP[2]}"{options}')
    assert "git config --local --replace-all include.path ../.gitconfig" in (ROOT / "Makefile").read_text()
    assert (ROOT / ".gitattributes").read_text().splitlines()[:2] == [
        "*.ipynb filter=nbstripout",
        "*.ipynb diff=ipynb",
    ]


def texts() -> dict[Path, str]:
    """Text of every file of the repository that is UTF-8, by path."""
    found = {}
    for path in repo_files():
        try:
            found[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def test_no_path_of_one_machine():
    pattern = re.compile(r"(?<![\w.~/}*-])/(?:work|root|opt|home/[a-z]+|Users/\w+)(?:/|\b)")
    bad = [f"{path.relative_to(ROOT)}: {match.group()}" for path, text in texts().items()
           if (match := pattern.search(text))]  # fmt: skip
    assert not bad


def test_no_address_of_a_local_registry():
    assert not repo_files("*.lock", "pylock*.toml", "pip.conf", "uv.toml")
    allowed = ("https://download.pytorch.org/whl/", "https://github.com/")
    for name in ("pyproject.toml", "environment.yml", "Makefile", ".ci/run"):
        for address in re.findall(r"(?:https?|file)://\S*", (ROOT / name).read_text()):
            assert address.startswith(allowed), (name, address)
    index = re.compile(r"--(?:extra-index|index|find-links)[-a-z]*[= ](?!\"?(?:\$|https://download\.pytorch\.org))\S+")
    bad = [f"{path.relative_to(ROOT)}: {found.group()}" for path, text in texts().items()
           if (found := index.search(text))]  # fmt: skip
    assert not bad
