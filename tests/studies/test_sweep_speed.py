"""The benchmark of sweeps measures what it says. No time is asserted."""

import json

import pytest

from losa.annotations.dataset import Annotations
from losa.errors import SweepError
from losa.sweeps.sweep import SweepResult


def test_the_benchmark_measures_what_it_says(tmp_path, monkeypatch):
    """With a sweep that only writes what runs leave behind."""
    from losa.studies import sweep_speed as module

    def fake(notebook, grid, out, *, jobs, threads, quiet):
        for seed in grid["seed"]:
            (out / str(seed)).mkdir(parents=True)
            (out / str(seed) / "status.json").write_text(json.dumps({"seconds": 10.0 * (seed + 1)}))
            (out / str(seed) / "result.json").write_text(json.dumps({"seconds": {"taps": 1, "train": 4}}))
        calls.append((jobs, threads))
        return SweepResult(out, [], ok=0, error=0, timeout=0, dead=0, skipped=0)

    calls = []
    for name, value in {"sweep": fake, "make_world": lambda *a: None, "open_features": lambda *a, **k: None,
                        "load_annotations": lambda path: Annotations((), ())}.items():
        monkeypatch.setattr(module, name, value)
    found = module.sweep_speed(tmp_path, size="tiny", num_runs=3, repeats=2)
    assert calls == [(1, 1), (2, 1)] * 2 and (found["training_s"], found["overhead_s"]) == (5, 15)
    assert "15.0 s beyond" in module.sweep_speed_table(found)
    with pytest.raises(SweepError, match="measured before"):
        module.sweep_speed(tmp_path, size="tiny", num_runs=3, repeats=1)
