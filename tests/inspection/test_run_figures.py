"""Figures of runs show the numbers that they are given, in percent."""

import numpy as np
import pytest

from losa.inspection import run_figures as figures


def test_result_figures_show_percent():
    result = {"map": [0.5, 0.25], "tiou": [0.3, 0.5], "average_map": 0.375, "per_class": {"a": [0.5, 0.3], "b": [0, 0]}}
    heights = [p.get_height() for p in figures.map_bars({"LoSA": result}).axes[0].patches]
    assert heights == pytest.approx([50, 25, 37.5])
    heights = [p.get_height() for p in figures.per_class({"LoSA": result}, ["a", "b"]).axes[0].patches]
    assert heights == pytest.approx([40, 0])
    gates = figures.gate_bars(np.array([[0.1, 0.2], [0.3, -0.4]]), [0, 5], ["short", "long"]).axes[0]
    assert [p.get_height() for p in gates.patches] == pytest.approx([0.1, 0.3, 0.2, -0.4])
    for none in (figures.gate_bars(None, [0], ["short"]), figures.gate_bars(np.zeros((0, 0)), [], ["short"])):
        assert none.axes[0].texts[0].get_text() == "this model has no gates"


def test_training_curves_skip_epochs_without_validation():
    rows = [{"epoch": i, "cls_loss": 1.0, "reg_loss": 0.5, **({"val_map": 0.1 * i} if i % 2 else {})} for i in range(4)]
    (line,) = figures.training_curves({"run": rows}).axes[1].lines
    assert line.get_xdata().tolist() == [1, 3] and line.get_ydata() == pytest.approx([10, 30])
