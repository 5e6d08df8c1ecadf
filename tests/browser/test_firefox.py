"""Firefox ESR: an offline page of widgets, and a timeline in JupyterLab."""

import json

import pytest

from helpers.browser import READ_NUMBER, clip, jpeg, tracks
from helpers.firefox import FIREFOX, firefox
from helpers.lab import READY, jupyter, write_notebook
from helpers.video_files import BITS, ROWS
from widgets import share
from widgets.base import link
from widgets.compare import Compare
from widgets.timeline import Timeline

FRAME = f"({READ_NUMBER})({json.dumps(['video', BITS, ROWS])})"  # the number written in the frame that is shown
STILL = "(v => v && v.readyState >= 2 && v.paused && !v.seeking)(document.querySelector('video'))"
DRAWN = """(kind => { const seen = [...document.querySelectorAll(`${kind} canvas`)].filter(c => c.checkVisibility());
    return seen.length > 0 && seen.every(c => new Set(new Uint32Array(c.getContext('2d').getImageData(
      0, 0, c.width, c.height).data.buffer)).size > 2); })"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A tab of Firefox."""
    pytest.importorskip("websocket", reason="needs websocket-client: pip install websocket-client")
    if FIREFOX is None:
        pytest.skip("needs Firefox: apt-get install firefox-esr")
    with firefox(tmp_path_factory.mktemp("firefox")) as tab:
        yield tab


def place(page, css):
    """[left, top, width, height] of an element, in the window, after scrolling to it."""
    return page.value(f"""(e => {{ e.scrollIntoView({{ block: 'center' }}); const b = e.getBoundingClientRect();
        return [b.x, b.y, b.width, b.height]; }})(document.querySelector({css!r}))""")


def test_a_page_plays_the_frame_of_a_click_and_keeps_its_keys(page, tmp_path):
    lanes, video = tracks(duration=8.0), clip(tmp_path / "clip.mp4")
    timeline = Timeline(video, lanes, duration=8.0, fps=25, min_score=0)
    compare = Compare(None, lanes, duration=8.0, frames=lambda times: [jpeg(1) for _ in times])
    link(timeline, compare)
    page.problems.clear()
    page.open(share.page(tmp_path / "page.html", timeline, compare).as_uri())
    page.comes(STILL)
    page.comes(f"{DRAWN}('.timeline')")
    left, top, width, _ = place(page, ".lanes canvas")
    start, end = lanes["truth"][4]["segment"]
    page.click(left + width * (start + end) / 2 / 8.0, top + 26)
    page.comes(f"document.querySelector('video').currentTime > {start + 0.1}")
    page.press(" ")
    page.comes(STILL)
    number = page.value(FRAME)
    assert start * 25 <= number <= end * 25 + 1
    page.press(",")
    page.comes(f"{FRAME} === {number - 1}")
    page.press("Enter")  # plays the selected segment to its end
    page.comes(f"document.querySelector('video').currentTime >= {end} - 0.1 && {STILL}")
    assert page.value("losaModels[0].get('selected')") == ["truth", 4]
    assert page.problems == []


CELL = """from widgets.timeline import Timeline
truth = [{"segment": [1, 2], "label": "jump"}, {"segment": [3, 5], "label": "wave"}]
run = [{"segment": [1, 2], "label": "jump", "score": 0.9}, {"segment": [3, 3.8], "label": "wave", "score": 0.5}]
one = lambda sigma, video_id, progress=None: {"records": run[:1], "table": {"thresholds": [0], "average": {}}}
timeline = Timeline("clip.mp4", {"truth": truth, "run": run}, duration=8, fps=25, rescore={"run": one})
timeline"""
PANEL = '[...(globalThis.jupyterapp?.shell.widgets("main") ?? [])][0]'
CURRENT = f"""(panel => {{ panel.node.dispatchEvent(new FocusEvent("focus")); // without a screen nothing else says so
    return jupyterapp.shell.currentWidget === panel; }})({PANEL})"""
RUN = "(jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.losaRan = true; }), 0)"
CELLS = "jupyterapp.shell.currentWidget.model.sharedModel.cells.map(cell => cell.getSource())"
ASK = """jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.requestExecute({ code: "", silent: true,
    store_history: false, user_expressions: { x: "timeline.selected, round(timeline.sigma, 2)" } }).done.then(
    reply => reply.content.user_expressions.x.data["text/plain"])"""


def test_a_timeline_in_jupyterlab_plays_asks_python_and_keeps_its_keys(page, tmp_path):
    clip(tmp_path / "clip.mp4")
    write_notebook(tmp_path / "book.ipynb", CELL, "x = 1")
    with jupyter(tmp_path, tmp_path / "home") as url:
        page.open(f"{url}/doc/tree/book.ipynb", (1280, 1000))
        page.comes(f"!!{PANEL}", 180)
        page.comes(CURRENT)
        page.comes(f"({READY})()", 180)
        page.problems.clear()
        page.value(RUN)
        page.comes("window.losaRan", 120)
        page.comes(STILL)
        page.comes(f"{DRAWN}('.timeline')")
        cells = page.value(CELLS)
        left, top, width, _ = place(page, ".lanes canvas")
        page.click(left + width * 4 / 8, top + 26)
        page.comes("document.querySelector('video').currentTime > 3.1")
        page.press(" ", "b", "x", "d", "d", "0", "0")  # in a notebook these would edit cells and restart the kernel
        page.comes(STILL)
        page.comes(f"{FRAME} === 0")
        page.comes(f"{ASK}.then(told => told === \"(['truth', 1], 0.5)\")")
        page.value("""(slider => { slider.value = 1; for (const kind of ["input", "change"])
            slider.dispatchEvent(new Event(kind, { bubbles: true })); })(
            document.querySelector("[aria-label='soft-NMS sigma']"))""")
        page.comes("document.querySelector('.lanes').ariaLabel.endsWith('run: 1 of 2 found, 0 wrong')")
        assert page.value(ASK) == "(None, 1.0)"  # what was selected may be another segment now
        assert page.value(CELLS) == cells and page.problems == []
