"""Several processes train as one does: two on CPU (gloo) against one, resumed, and started by accelerate's launcher."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import debug_launcher
from safetensors.torch import load_file

from losa.presets import PRESETS
from losa.training import distributed as processes
from losa.training import train as training


class Killed(BaseException):
    """Stands for a kill: nothing is saved when it comes."""


def losses_of(config, out: Path, stop: int = 0) -> None:
    """Trains and writes the losses of this process's steps to `out`.losses<process>; is killed in step `stop`."""
    original, found = training.check_finite, []

    def note(value, videos, step, what="loss"):
        original(value, videos, step, what)
        if what == "loss":
            found.append(value.item())
            if len(found) == stop:
                raise Killed

    training.check_finite = note
    try:
        training.train(config, out, quiet=True)
    except Killed:
        pass
    finally:
        training.check_finite = original
    here = processes.launched()
    Path(f"{out}.losses{here.process_index}").write_text(json.dumps([here.num_processes, *found]))


def noted(out: Path, process: int = 0) -> list:
    return json.loads(Path(f"{out}.losses{process}").read_text())


def test_two_processes_train_as_one_and_resume_bit_for_bit(tiny, tmp_path):
    """20 steps of 5 videos and of 1, for which the second process has none."""
    config = PRESETS["tiny"](tiny, batch_size=5, epochs=9, warmup_epochs=1, drop_path=0.0, val_subset="",
                             save_every=3, head_dim=16, adapter_dim=8)
    losses_of(config, tmp_path / "one")
    debug_launcher(losses_of, (config, tmp_path / "two"), num_processes=2)
    debug_launcher(losses_of, (config, tmp_path / "again", 11), num_processes=2)
    assert len(noted(tmp_path / "again")) == 12 and not (tmp_path / "again" / "model.safetensors").exists()
    debug_launcher(losses_of, (config, tmp_path / "again"), num_processes=2)

    (one_process, *one), (two_processes, *two), (_, *other) = (
        noted(tmp_path / "one"), noted(tmp_path / "two"), noted(tmp_path / "two", 1))
    assert (one_process, two_processes, len(one)) == (1, 2, 20)
    assert two == pytest.approx(one, abs=1e-5) and two == other
    assert noted(tmp_path / "again", 1)[1:] == two[10:], "does not continue after step 10, which was saved"
    one, two, again = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two", "again"))
    assert all(torch.equal(two[k], again[k]) for k in two)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-4, msg=name)
    rows = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two", "again")]
    assert [len(each) for each in rows] == [10, 10, 10], "rows written once, by one process"


def test_the_launcher_trains_from_the_command_line_and_fills_the_cache_once(tiny, tmp_path):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines",
               "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
               "-m", "losa.cli", "train", str(tmp_path / "run"), "--preset", "tiny", "--data", str(tiny),
               "-s", "epochs=1", "-s", "mode=head_only", "-s", f"cache={tmp_path / 'taps'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["mode"] == "head_only" and result["epochs"] == 2
    assert len(list((tmp_path / "taps").glob("*.npy"))) == 12


def test_gradients_are_summed_and_absent_where_no_process_has_one(tmp_path):
    debug_launcher(sum_by_hand, (tmp_path,), num_processes=2)
    found = [torch.load(tmp_path / str(rank)) for rank in (0, 1)]
    for one in found:
        assert [None if g is None else g.tolist() for g in one["gradients"]] == [[11.0, 22.0], [[3.0]], None]
        assert (one["anywhere"], one["told"], one["weights"]) == ([True, False], "from 0", [5.0, 5.0])
    assert [one["shares"] for one in found] == [[0, 2], [1]]
    assert [one["error"] for one in found] == ["ValueError: no",
                                               "TrainingError: the main process stopped: ValueError: no"]


def sum_by_hand(folder: Path) -> None:
    """Each process has other gradients; the third parameter has none anywhere, the second only in process 1."""
    rank = processes.launched().process_index
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2,), (1, 1), (3,))]
    weights[0].grad = torch.tensor([1.0, 2.0]) * (10 if rank else 1)
    weights[1].grad = torch.tensor([[3.0]]) if rank else None
    processes.BUCKET = 2  # one parameter at a time
    processes.sum_gradients(weights)
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 5.0 + rank)
    processes.broadcast_weights(layer, None)

    def fail():
        raise ValueError("no")

    try:
        processes.on_main(fail)
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    torch.save({"gradients": [p.grad for p in weights], "shares": processes.share([0, 1, 2]), "error": error,
                "anywhere": [processes.in_any_process(rank == 1), processes.in_any_process(False)],
                "told": processes.on_main(lambda: f"from {rank}"), "weights": layer.weight.flatten().tolist()},
               folder / str(rank))
