"""The contract check passes what keeps the contract and names the rule that a broken adapter breaks."""

import inspect
import json
import os
import shutil

import nbformat
import pytest
import torch
from torch import nn

from losa.config import Config
from losa.errors import CheckpointError, ConfigError, SweepError, TrainingError
from losa.inspection.run_folder import open_run
from losa.model.adapters import ADAPTERS
from losa.model.checkpoint import load_model
from losa.model.contract import RULES, STEPS, check_adapter
from losa.presets import PRESETS
from losa.sweeps.plan import plan
from losa.sweeps.sweep import check_adapter_unchanged
from losa.workflows.run import run


class Right(nn.Module):
    """A convolution over time that keeps every rule."""

    def __init__(self, dim, *, span, adapter_dim, **_):
        super().__init__()
        self.down, self.up = nn.Linear(dim, adapter_dim), nn.Linear(adapter_dim, dim)
        self.conv = nn.Conv1d(adapter_dim, adapter_dim, 3, padding=1)

    def forward(self, tap, last, mask):
        hidden = ~mask[..., None]
        x = tap.mean((3, 4)).transpose(1, 2).masked_fill(hidden, 0)
        x = self.down(x).masked_fill(hidden, 0)
        x = self.conv(x.transpose(1, 2)).transpose(1, 2).relu()
        return self.up(x).masked_fill(hidden, 0).transpose(1, 2)


class SeesPadding(Right):
    def forward(self, tap, last, mask):
        return super().forward(tap, last, torch.ones_like(mask)).masked_fill(~mask[:, None], 0)


class LeavesPadding(Right):
    def forward(self, tap, last, mask):
        return super().forward(tap, last, mask) + 1


class Centred(Right):
    """Subtracts a mean over the padded length."""

    def forward(self, tap, last, mask):
        x = super().forward(tap, last, mask)
        return (x - x.mean(2, keepdim=True)).masked_fill(~mask[:, None], 0)


class Divides(Right):
    """By the number of valid snippets, which may be zero."""

    def forward(self, tap, last, mask):
        return super().forward(tap, last, mask) * STEPS / mask.sum(1)[:, None, None]


class StartsDead(Right):
    def __init__(self, dim, **settings):
        super().__init__(dim, **settings)
        nn.init.zeros_(self.up.weight)


class Transposed(Right):
    def forward(self, tap, last, mask):
        return super().forward(tap, last, mask).transpose(1, 2)


class Halves(Right):
    def forward(self, tap, last, mask):
        return super().forward(tap, last, mask)[..., ::2]


class Random(Right):
    def forward(self, tap, last, mask):
        return nn.functional.dropout(super().forward(tap, last, mask), 0.5)


class Needy(Right):
    def __init__(self, dim, *, span, colour):
        super().__init__(dim, span=span, adapter_dim=16)


def broken(adapter) -> set[str]:
    """Names of the rules' functions that the adapter breaks."""
    rows = check_adapter(adapter)
    assert [row["rule"] for row in rows] == list(RULES)
    assert all(row["keeps it"] == (not row["otherwise"]) for row in rows)
    return {RULES[row["rule"]].__name__ for row in rows if not row["keeps it"]}


@pytest.mark.parametrize("adapter", [Right, *ADAPTERS.values()])
def test_what_keeps_the_contract_passes(adapter):
    before = torch.random.get_rng_state()
    assert broken(adapter) == set() and torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("adapter", "rules"), [
    (SeesPadding, {"ignores_padding", "ignores_other_videos"}), (LeavesPadding, {"ignores_padding"}),
    (Centred, {"ignores_other_videos"}), (Divides, {"survives_empty_video"}), (StartsDead, {"trains_every_parameter"}),
    (Random, {"is_deterministic"})])
def test_what_breaks_a_rule_is_told_which(adapter, rules):
    assert rules <= broken(adapter)


def test_wrong_shapes_and_errors_are_told():
    assert "gives (2, 40, 24), (B, C, T) = (2, 24, 40) is expected" in check_adapter(Transposed)[0]["otherwise"]
    assert "TypeError" in check_adapter(Needy)[0]["otherwise"] and len(broken(Needy)) == len(RULES)


# --- an adapter in a file of one's own -------------------------------------------------------------------------------


def test_an_adapter_of_ones_own_trains_and_is_loaded_by_the_runs_folder(tiny, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(f"import torch\nfrom torch import nn\n\n\n{inspect.getsource(Right)}")
    config = PRESETS["tiny"](tiny, adapter=f"{file}:Right", epochs=1, warmup_epochs=0, track_test=False)
    result = run(config, tmp_path / "run", quiet=True)
    model, again, _ = load_model(tmp_path / "run")
    assert again == config and type(model.adapters[0][0]).__name__ == "Right" and "adapter" in result["inputs"]
    assert run(config, tmp_path / "run", quiet=True) == json.loads((tmp_path / "run" / "result.json").read_text())
    file.write_text(f"# another comment\n{file.read_text()}")
    assert run(config, tmp_path / "run", quiet=True) == result
    file.write_text(file.read_text().replace("relu", "tanh"))
    with pytest.raises(TrainingError, match="or other code of the adapter; choose another folder"):
        run(config, tmp_path / "run", quiet=True)
    dim = model.adapters[0][0].down.in_features
    told = open_run(tmp_path / "run").model.adapters[0][0](*[torch.ones(1, dim, 4, 1, 1), None, torch.ones(1, 4) > 0])
    copy = shutil.copy(tmp_path / "run" / "model.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match="trained with other code than .*mine.py holds now"):
        load_model(copy)
    file.unlink()
    with pytest.raises(FileNotFoundError, match="there is no .*mine.py"):
        load_model(copy)
    with pytest.raises(ConfigError, match="mine.py cannot be read .No such file"):
        run(config, tmp_path / "run", quiet=True)
    own = model.adapters[0][0].to(told.device)
    assert told.equal(own(torch.ones(1, dim, 4, 1, 1), None, torch.ones(1, 4) > 0))  # as it was trained, not as edited


def test_what_breaks_a_rule_is_warned_of_before_training_and_a_wrong_shape_is_refused(tiny, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(f"import torch\nfrom torch import nn\n\n\n{inspect.getsource(Right)}\n\n"
                    f"{inspect.getsource(Halves)}")
    config = PRESETS["tiny"](tiny, adapter=f"{file}:Halves", epochs=1, warmup_epochs=0)
    with (pytest.warns(UserWarning, match="Halves' breaks rules of .*: gives features for every snippet"),
          pytest.raises(ValueError, match="Halves gives .* is expected; see what losa.model.contract.check_adapter")):
        run(config, tmp_path / "run", quiet=True)


def test_the_config_says_how_an_adapter_is_named():
    assert all(Config.make(adapter=name).adapter_file == "" for name in ADAPTERS)
    assert Config.make(adapter="a folder/mine.py:Mine").adapter_file == "a folder/mine.py"
    with pytest.raises(ConfigError, match="adapter='temporall' must be 'temporal', or FILE.py:NAME"):
        Config.make(adapter="temporall")


def test_a_sweep_tells_adapters_apart_by_their_code(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    notebook = request.config.rootpath / "notebooks" / "02_train.ipynb"
    (tmp_path / "annotations.json").write_text("{}")
    grid, seen = {"adapter": ["temporal", "mine.py:Mine"], "annotations": "annotations.json", "cache": ""}, []
    with pytest.raises(SweepError, match="adapter='mine.py:Mine': there is no "):
        plan(notebook, grid, tmp_path / "out")
    for code in ("class Mine", "size = 1"):
        (tmp_path / "mine.py").write_text(code)
        with pytest.raises(SweepError, match="mine.py:Mine'.*(cannot be used|has no Mine)"):
            plan(notebook, grid, tmp_path / "out")
    for code in ("Mine = 1", "Mine = 1  # comment", "Mine = 2"):
        (tmp_path / "mine.py").write_text(code)
        runs = plan(notebook, grid, tmp_path / "out")
        assert [r.parameters["adapter"] for r in runs] == ["temporal", os.path.abspath("mine.py:Mine")]
        seen.append([r.folder for r in runs])
    assert seen[0] == seen[1] and seen[0][0] == seen[2][0] and seen[0][1] != seen[2][1]
    (tmp_path / "mine.py").write_text("Mine = 3")
    assert check_adapter_unchanged(runs[0]) == {} and "edited since the sweep began" in check_adapter_unchanged(
        runs[1])["error"]


def test_a_notebooks_own_default_tells_sweeps_apart_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('out = ""\nseed = 0\nadapter = "mine.py:Mine"',
                                                                     metadata={"tags": ["parameters"]})])
    nbformat.write(book, "mine.ipynb")
    names = set()
    for code in ("Mine = 1", "Mine = 2"):
        (tmp_path / "mine.py").write_text(code)
        names |= {r.folder for r in plan("mine.ipynb", {"seed": [0]}, tmp_path / "out")}
    assert len(names) == 2
