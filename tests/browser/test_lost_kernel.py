"""Widgets in a real JupyterLab whose kernel went away: each says so, and what needs Python is off; the rest works."""

import json

import pytest

from helpers.browser import clip, settled
from helpers.lab import Notebook, jupyter, write_notebook
from helpers.paths import ROOT

CELL = """import numpy as np
from ipywidgets import FloatSlider, VBox
from widgets.base import Quiet
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.matching import Matching
from widgets.segments import Segments
from widgets.timeline import Timeline
from losa.evaluation.diagnose import diagnose
truth = [{"segment": [1, 2], "label": "jump"}, {"segment": [3, 5], "label": "wave"}]
run = [{"segment": [1, 2], "label": "jump", "score": 0.9}, {"segment": [3, 4], "label": "wave", "score": 0.5}]
rescored = lambda sigma, video_id, progress=None: {"records": run[:1], "table": {"thresholds": [0], "average": {}}}
times, ones = np.arange(8) + 0.5, np.ones((1, 2, 8))
tap = {"name": "last", "similarity": np.eye(8), "xy": np.eye(8)[:, :2], "explained": [0.5, 0.2]}
many = {"v": truth}, {"v": run}
row = {"video": "v", "kind": "prediction", "index": 0, "start": 1.0, "end": 2.0, "predicted": "jump",
       "really": "jump", "score": 0.9, "error": "background"}
table = Segments({name: [value] for name, value in row.items()}, classes=["jump"])
table.let_tag(("ambiguous",), lambda *what: None, {})
display(VBox([Timeline("clip.mp4", {"truth": truth, "run": run}, duration=8, fps=25, rescore={"run": rescored}),
              FloatSlider(), Quiet()]).add_class("box"),
        Gates(ones, ones, times, layers=[1], ranges=["short", "long"], duration=8, static=False),
        Features([tap], times, [""] * 8, duration=8, classes=["jump"]),
        Matching({"v": [[1, 2]]}, {"v": [[1, 2, 0.9]]}, video="v", duration=8.0), table,
        Diagnosis(diagnose(*many, durations={"v": 8.0}), truth=many[0], predictions=many[1],
                  classes=["jump", "wave"]))"""
SESSION = "jupyterapp.shell.currentWidget.context.sessionContext"
GONE = {"restarted": f"() => {SESSION}.session.kernel.restart()",
        "ended": f"() => {SESSION}.shutdown()",
        "killed": f"() => {{ {SESSION}.session.kernel.requestExecute({{code: 'import os; os._exit(1)'}}); }}"}
TOLD = """told => { const all = [...document.querySelectorAll('.losa')].map(e => e.querySelector('.lost').textContent);
  return all.length === 6 && all.every(text => text.startsWith('No kernel answers') === told); }"""

COLOURS = "() => [...document.querySelectorAll('.losa:not(.segments) .dot')].map(e => e.style.background)"


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A function that opens a copy of the notebook in one JupyterLab, which saves the widgets with it."""
    home = tmp_path_factory.mktemp("lost")
    root = home / "root"
    root.mkdir()
    clip(root / "clip.mp4")
    for name in (*GONE, "saved"):
        write_notebook(root / f"{name}.ipynb", CELL)
    with jupyter(root, home) as url:
        saving = home / "settings" / "@jupyter-widgets" / "jupyterlab-manager"
        saving.mkdir(parents=True)
        ((_, given),) = json.loads((ROOT / "widgets" / "losa.json").read_text()).items()
        (saving / "plugin.jupyterlab-settings").write_text(json.dumps(given))
        yield lambda name: Notebook(browser, url, f"{name}.ipynb")


def check_lost(page):
    """Every widget says that no kernel answers; sigma is off, the threshold works; the box around it says so, too."""
    page.wait_for_function(TOLD, arg=True)
    assert all(line.is_visible() for line in page.locator(".losa .lost").all())
    assert page.get_by_label("soft-NMS sigma").is_disabled()
    lanes = page.locator(".losa .lanes")
    page.locator(".timeline").get_by_label("score at least").fill("0.8")
    settled(page)
    assert lanes.get_attribute("aria-label") == "Segments; truth: 2 segments; run: 1 of 2 found, 0 wrong"
    lanes.focus()
    page.keyboard.press("5")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('video').currentTime > 4.2")
    page.keyboard.press(" ")
    said, off = page.evaluate("""() => [getComputedStyle(document.querySelector('.box'), '::before').content,
        getComputedStyle(document.querySelector('.box .widget-slider')).pointerEvents]""")
    assert said == '"No kernel answers: run the notebook again (Run > Run All Cells)."' and off == "none"


@pytest.mark.parametrize("how", GONE)
def test_without_its_kernel_every_widget_says_so(lab, how):
    book = lab(how)
    try:
        book.run_all()
        book.page.wait_for_function(TOLD, arg=False)
        assert book.page.get_by_label("soft-NMS sigma").is_enabled()
        book.page.evaluate(GONE[how])
        if how == "killed":  # JupyterLab tells that the kernel died and waits for an answer
            book.page.locator(".jp-Dialog").get_by_text("Ok").click()
        check_lost(book.page)
        assert book.page.locator(".segments").get_by_label("Tag", exact=True).is_disabled()
        told = book.page.locator(".segments .tagger .error").text_content()
        assert told == "No kernel answers, so nothing can be tagged."
    finally:
        book.close()


def test_opened_again_with_another_kernel_every_widget_says_so_until_the_cell_runs(lab):
    book = lab("saved")
    try:
        book.run_all()
        colours = book.page.evaluate(COLOURS)
        book.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    finally:
        book.close()
    book = lab("saved")
    try:
        check_lost(book.page)
        assert colours == book.page.evaluate(COLOURS)
        book.run_all()
        book.page.wait_for_function(TOLD, arg=False)
    finally:
        book.close()
