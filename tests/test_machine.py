"""The device: GPU or not, and memory that grows when memory is taken."""

import psutil
import pytest
import torch

from losa import machine


def test_the_best_device_computes_and_has_a_name():
    device = machine.best_device()
    assert device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert torch.ones(3, device=device).sum().item() == 3
    assert machine.device_name() == ("cpu" if device == "cpu" else torch.cuda.get_device_name(0))


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: 3_250_000_000)
    assert (machine.best_device(), machine.device_name()) == ("cuda", "H")
    assert machine.memory_gb(torch.device("cuda")) == 3.25 and machine.peak_memory_mb() == 3250.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="memory is the GPU's there")
def test_memory_is_that_of_this_process_and_its_peak_stays():
    resident, peak = machine.memory_gb(torch.device("cpu")), machine.peak_memory_mb()
    assert resident == pytest.approx(psutil.Process().memory_info().rss / 1e9, rel=0.1)
    taken = torch.ones(300_000_000 // 4)
    grown = machine.memory_gb(torch.device("cpu"))
    assert grown > resident + 0.2
    del taken
    assert machine.peak_memory_mb() >= max(peak, 1000 * grown - 60)
