"""A widget's output can be read without a kernel, and widgets that nobody sees any more are closed."""

import base64
import io
import warnings

import ipywidgets
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image

from helpers.browser import LABELS, tracks
from widgets import shown
from widgets.base import View
from widgets.compare import Compare
from widgets.features import Features
from widgets.gates import Gates
from widgets.timeline import Timeline

WIDGET = "application/vnd.jupyter.widget-view+json"


def made():
    """A widget of each kind that is made from plain arrays."""
    draw, times = np.random.default_rng(0), np.arange(40) + 0.5
    gates = Gates(draw.random((2, 2, 40)), draw.random((2, 2, 40)), times, layers=[1, 2], ranges=["short", "long"],
                  duration=40.0, static=True, title="a video")
    taps = [{"name": "fused", "similarity": np.eye(40), "xy": draw.random((40, 2)), "explained": (0.5, 0.2)}]
    return [Timeline(None, tracks(), duration=60.0, classes=LABELS), gates,
            Compare(None, tracks(), duration=60.0, classes=LABELS),
            Features(taps, times, [""] * 40, duration=40.0, classes=["a"])]


@pytest.mark.parametrize("widget", made(), ids=lambda w: type(w).__name__)
def test_output_has_a_small_picture_and_a_line_beside_the_widget(widget):
    data, _ = widget._repr_mimebundle_()
    assert data[WIDGET]["model_id"] == widget.model_id
    assert data["text/plain"].startswith(type(widget).__name__) and "\n" not in data["text/plain"]
    assert "object at" not in data["text/plain"]
    raw = base64.b64decode(data["image/png"])
    picture = Image.open(io.BytesIO(raw)).convert("RGBA")
    assert len(raw) < 40_000 and 700 < picture.width < 930
    colours = {pixel for _, pixel in picture.getcolors(1 << 20)}
    assert (min(a for *_, a in colours), max(a for *_, a in colours)) == (0, 255)  # on the page's own ground


class Broken(View):
    """A widget whose picture cannot be drawn."""

    _esm = "export default { render() {} };"

    def figure(self):
        raise ZeroDivisionError("no picture today")


def test_a_picture_that_fails_says_so_and_the_widget_is_shown_all_the_same():
    with pytest.warns(UserWarning, match="Broken is without a picture.*ZeroDivisionError: no picture today"):
        data, _ = Broken()._repr_mimebundle_()
    assert {*data} == {WIDGET, "text/plain"}


def test_a_widget_without_a_picture_is_a_line():
    class Plain(View):
        _esm = "export default { render() {} };"

    with warnings.catch_warnings(action="error"):
        data, _ = Plain()._repr_mimebundle_()
    assert {*data} == {WIDGET, "text/plain"} and data["text/plain"] == "Plain"


class Box(shown.Shown, ipywidgets.VBox):
    """A box with a picture."""

    def figure(self):
        return Figure(figsize=(9, 1))


@pytest.fixture
def run(monkeypatch):
    """f(cell, *widgets): a cell with this id runs and shows these."""
    shell = InteractiveShell()
    monkeypatch.setattr(shown, "get_ipython", lambda: shell)
    monkeypatch.setattr(shown, "_of_cell", {})
    shell.user_ns["show"] = lambda widgets: [w._repr_mimebundle_() for w in widgets]
    shown._new.clear()

    def run(cell, *widgets):
        shell.user_ns["given"] = widgets
        shell.run_cell("show(given);", cell_id=cell).raise_error()
    return run


def test_a_cell_that_runs_again_closes_what_only_it_had_shown(run):
    first, second, elsewhere, box = Broken(), Broken(), Broken(), Box([ipywidgets.Dropdown(options="ab"), Broken()])
    with warnings.catch_warnings(action="ignore"):
        run("a", first, elsewhere, box)
        run("b", elsewhere)
        assert first.comm and box.comm
        run("a", second)
        assert first.comm is None and first.layout.comm is None and second.comm
        assert elsewhere.comm and elsewhere.layout.comm, "another cell shows it"
        inner = [*box.children, box.children[0].style, box.layout]
        assert box.comm is None and not [part for part in inner if part.comm]
        assert Broken.code.comm and second._code == Broken.code.model_id, "others need the code"
        run("b", second, box)  # shown once more they are there, with all their parts
        assert box.comm and all(part.comm for part in inner) and elsewhere.comm is None
        run("a")
        assert second.comm, "cell b shows it as well"
        run("b", second)
        assert second.comm and box.comm is None


def test_what_is_part_of_a_box_that_is_shown_stays(run):
    inner = Broken()
    with warnings.catch_warnings(action="ignore"):
        run("a", inner)
        run("b", Box([inner]))
        run("a")
    assert inner.comm


def test_without_numbers_of_cells_nothing_is_closed(run):
    first = Broken()
    with warnings.catch_warnings(action="ignore"):
        run(None, first)
        run(None, Broken())
    assert first.comm
