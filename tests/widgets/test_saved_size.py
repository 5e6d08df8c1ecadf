"""How large a widget is in a saved notebook: with the state of widgets, a video's widgets take little of a disk."""

import nbformat
import numpy as np
import pytest
from ipywidgets import Widget

from helpers.browser import tracks
from losa.evaluation.diagnose import diagnose
from widgets.compare import Compare
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.timeline import Timeline

SEGMENTS, SNIPPETS, SECONDS = 200, 200, 600.0
LABELS = [f"class {i}" for i in range(10)]


def many():
    """A video's ground truth and predictions of two models, as many as soft-NMS leaves."""
    return tracks(SEGMENTS, 3, SECONDS, LABELS)


def table():
    """A table of average mAP over score as a run has it."""
    steps = np.linspace(0, 1, 101)
    return {"thresholds": steps.round(2), "average": {label: 0.7 * (1 - steps ** 3) for label in LABELS}}


def timeline():
    truth, first, _ = many()
    return Timeline(None, {name: many()[name] for name in (truth, first)}, duration=SECONDS,
                    ap={first: {"video": table(), "data": table()}})


def compare():
    _, *runs = many()
    return Compare(None, many(), duration=SECONDS, ap={name: {"video": table(), "data": table()} for name in runs})


def diagnosis():
    truth, first, _ = many().values()
    found = diagnose({"v": truth}, {"v": first}, durations={"v": SECONDS})
    return Diagnosis(found, truth={"v": truth}, predictions={"v": first}, classes=LABELS)


def gates():
    draw, shape = np.random.default_rng(0), (6, 2)
    values = {kind: draw.random((10, *shape)).round(4) for kind in ("gate", "contribution")}
    profile = {"classes": LABELS, "lengths": LABELS, "by_class": values, "by_length": values,
               "background": {kind: rows[0] for kind, rows in values.items()}}
    constant = draw.random(shape)[..., None] * np.ones(SNIPPETS)
    return Gates(constant, draw.random((*shape, SNIPPETS)), np.arange(SNIPPETS) * 3.0, layers=[*range(6)],
                 ranges=["short", "long"], duration=SECONDS, static=True, profile=profile)


def features():
    draw = np.random.default_rng(0)
    alike = np.exp(-np.abs(np.subtract.outer(np.arange(SNIPPETS), np.arange(SNIPPETS))) / 9) / 2 + 0.5
    taps = [{"name": f"block {k}", "similarity": alike, "xy": draw.random((SNIPPETS, 2)), "explained": [0.5, 0.2]}
            for k in range(4)]
    return Features(taps, np.arange(SNIPPETS) * 3.0, ["class 1"] * SNIPPETS, duration=SECONDS, classes=LABELS)


@pytest.mark.parametrize(("make", "kilobytes"), [
    pytest.param(make, size, id=make.__name__) for make, size in (
        (timeline, 15), (compare, 32), (diagnosis, 14), (gates, 20), (features, 20))])
def test_a_saved_widget_is_small(make, kilobytes, tmp_path):
    state = Widget.get_manager_state(widgets=[make()])
    kinds = {"application/vnd.jupyter.widget-state+json": state}
    nbformat.write(nbformat.v4.new_notebook(metadata={"widgets": kinds}), tmp_path / "book.ipynb")
    assert (tmp_path / "book.ipynb").stat().st_size < 1000 * kilobytes
