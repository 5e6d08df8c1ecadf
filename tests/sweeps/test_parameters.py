"""What a notebook was given: misspelt names stop, values that came as text are read, in papermill and in Jupyter."""

import contextlib

import nbformat
import papermill
import pytest

from helpers.sweep_notebook import write_notebook
from losa.errors import ConfigError
from losa.sweeps.parameters import check_parameters

NAMES = ("out", "seeds", "jobs", "changed", "annotations")
CELL = 'out = "runs/x"  # where\nseeds = [0, 1]  # some\njobs = 2\nchanged = {}\nannotations = "a.json"\n'


def check(*cells: str) -> dict:
    """The namespace after running these cells as IPython does, which keeps their text in `In`, and then the check."""
    namespace: dict = {"In": [""]}
    for cell in cells:
        namespace["In"].append(cell)
        exec(cell, namespace)
    namespace["In"].append("check_parameters(globals(), ...)")
    check_parameters(namespace, *NAMES)
    return namespace


def test_what_is_spelt_as_in_the_cell_passes_however_often_cells_are_run():
    assert check(CELL)["seeds"] == [0, 1]
    assert check(CELL, "# Parameters\nseeds = [3]\n")["seeds"] == [3]
    check(CELL, "video = 3\nout = 'elsewhere'\nseed = 4", "import json\nx = json.dumps(1)", CELL)
    check("_base = '/data'\n" + CELL.replace('"a.json"', '_base + "/a.json"'))
    check(CELL, "# Parameters\nPAPERMILL_INPUT_PATH = 'a.ipynb'\n")
    check(CELL + "jbos = 3\n", CELL)  # mended


@pytest.mark.parametrize("cells, said", [
    ([CELL, "# Parameters\nsedes = [3]\n"], "sedes: no such parameter; did you mean 'seeds'?"),
    ([CELL, "# Parameters\njobs = 1\nzzz = 3\n"], "zzz: no such parameter; known are out, seeds, jobs, "),
    ([CELL + "jbos = 3\n"], "jbos: no such parameter; did you mean 'jobs'?"),
    ([CELL.replace("seeds", "sedes")], "sedes: no such parameter; did you mean 'seeds'?\nseeds has no value"),
    ([CELL, CELL.replace("seeds", "sedes")], "sedes: no such parameter; did you mean 'seeds'?"),  # an old value is left
    ([CELL.replace("seeds", "a").replace("jobs", "b").replace("out", "c")], "out has no value; give it one"),
    ([CELL.replace("jobs = 2", "jbos = 1 + 1")], "jbos: no such parameter; did you mean 'jobs'?"),
    ([CELL, "# Parameters\nseeds = 0\n"], "seeds=0: expected a value like [0, 1]"),
    ([CELL, "# Parameters\njobs = 'many'\n"], "jobs='many': expected a value like 2"),
    ([CELL, "# Parameters\nchanged = '[1]'\n"], "changed=[1]: expected a value like {}")])
def test_a_wrong_name_or_kind_of_value_stops_with_a_proposal(cells, said):
    with pytest.raises(ConfigError) as caught:
        check(*cells)
    assert said in str(caught.value) and "run from there" in str(caught.value)


def test_text_is_read_where_the_default_is_a_list_a_dict_or_a_number():
    given = check(CELL, "# Parameters\nseeds = '[0, 2, None]'\njobs = '4'\nchanged = \"{'gate': None}\"\nout = '7'\n")
    assert [given[name] for name in NAMES] == ["7", [0, 2, None], 4, {"gate": None}, "a.json"]
    assert check(CELL, "# Parameters\nseeds = 'tiny'\n")["seeds"] == "tiny"  # a list that a name may replace


def test_without_a_history_of_cells_only_missing_names_are_seen():
    check_parameters({"seeds": [0], "other": 1}, "seeds")
    with pytest.raises(ConfigError, match="jobs has no value"):
        check_parameters({"seeds": [0]}, "seeds", "jobs")


def test_papermill_stops_at_the_check_and_reads_lists(tmp_path):
    """The real thing: a kernel of its own, and what it injects."""
    code = ('import losa\nlosa.check_parameters(globals(), "out", "seeds", "jobs", "changed", "annotations")\n'
            'print("computing with", seeds)')
    notebook = write_notebook(tmp_path / "a.ipynb", CELL, code)

    printed = []
    for parameters in ({"seeds": "[0, 2]"}, {"sedes": "[0, 2]"}):  # what its command makes of -p seeds '[0, 2]'
        out = tmp_path / f"{next(iter(parameters))}.ipynb"
        with contextlib.suppress(papermill.PapermillExecutionError):
            papermill.execute_notebook(str(notebook), str(out), parameters, progress_bar=False, kernel_name="python3")
        outputs = [o for cell in nbformat.read(out, 4).cells for o in cell.get("outputs", [])]
        printed.append([(o.get("text", ""), o.get("evalue", "").split("\n")[0]) for o in outputs])
    assert printed[0] == [("computing with [0, 2]\n", "")]
    assert [error for _, error in printed[1] if error] == ["sedes: no such parameter; did you mean 'seeds'?"]
    assert not [text for text, _ in printed[1] if "computing" in text]
