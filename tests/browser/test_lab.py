"""The notebook 05_inspect in a real JupyterLab: it runs, draws, plays, tells Python, and keeps its keys to itself."""

import os
import shutil

import nbformat
import papermill
import pytest

from helpers.browser import frame_number, opened, settled
from helpers.lab import FPS, ROOT, Notebook, barcoded_demo, jupyter

BOOK = ROOT / "notebooks" / "05_inspect.ipynb"
TIMELINE = "[w for w in get_ipython().user_ns.values() if type(w).__name__ == 'Timeline'][0]"
BESIDE = """from ipywidgets import Dropdown, FloatSlider, ToggleButtons, VBox
from widgets.base import Quiet
VBox([FloatSlider(), Dropdown(options="ab"), ToggleButtons(options="ab"), Quiet()]).add_class("beside")"""
MODES = """from losa.inspection.lesson_desk import try_modes
modes = try_modes(run, ["head_only", "losa"])
modes.add_class("modes")"""
FOCUSABLE = (":is(.losa, .losa-explore, .beside) :is(a[href], button, input, select, textarea, video, summary, "
             "[tabindex], [contenteditable]), .losa[tabindex]")
TRUSTED = ["b", "m", "x", "d", "d", "0", "0", "Delete", "Shift+M", "Shift+Enter", "Enter"]
# Types every key once (d, i, 0 twice) with the focus on each of `losaFocusable`; what changed the notebook is told.
EVERY_KEY = """async () => {
  const { content, model } = jupyterapp.shell.currentWidget, told = [];
  const state = () => String([content.mode, content.widgets.map((cell) => cell.model.id + cell.model.type),
    model.sharedModel.cells.map((cell) => cell.getSource()), document.querySelectorAll(".jp-Dialog").length]);
  const letters = [..."abcdefghijklmnopqrstuvwxyz"], digits = [..."0123456789"], before = state();
  const codes = { ArrowUp: 38, ArrowDown: 40, ArrowLeft: 37, ArrowRight: 39, Enter: 13, Delete: 46, Backspace: 8,
    Escape: 27, Home: 36, End: 35, PageUp: 33, PageDown: 34, Space: 32, Comma: 188, Period: 190, Slash: 191 };
  const keys = [...[...letters, "d", "i"].map((c) => [c, `Key${c.toUpperCase()}`, c.toUpperCase().charCodeAt(0)]),
    ...[...digits, "0"].sort().map((c) => [c, `Digit${c}`, c.charCodeAt(0)]),
    ...Object.entries(codes).map(([c, n]) => [{ Space: " ", Comma: ",", Period: ".", Slash: "/" }[c] ?? c, c, n])];
  keys.push(...keys.map((key) => [...key, true]));
  for (const [i, e] of losaFocusable.entries()) {
    if (!e.isConnected || e.disabled || !e.checkVisibility()) continue;
    e.focus({ preventScroll: true });
    if (document.activeElement !== e) return [losaKinds[i], i, "takes no focus"];
    for (const [key, code, keyCode, shiftKey] of keys) {
      e.focus({ preventScroll: true });
      const init = { key: shiftKey && key.length === 1 ? key.toUpperCase() : key, code, keyCode, shiftKey,
        bubbles: true, cancelable: true, composed: true };
      for (const type of ["keydown", "keyup"]) e.dispatchEvent(new KeyboardEvent(type, init));
    }
    await new Promise((f) => setTimeout(f));
    if (state() !== before) return [losaKinds[i], i];
  }
  return losaFocusable.length; }"""


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """The notebook, about the runs of a small demo, run in a JupyterLab whose root is the folder above it."""
    home = tmp_path_factory.mktemp("lab")
    root = home / "a root"
    (root / "notebooks").mkdir(parents=True)
    demo = barcoded_demo(root / "runs" / "demo")
    given = {"run_dir": str(demo / "losa"), "compare_dir": str(demo / "head_only"), "out": str(demo / "inspect")}
    written = papermill.parameterize.parameterize_notebook(papermill.iorw.load_notebook_node(str(BOOK)), given)
    written.cells += map(nbformat.v4.new_code_cell, (BESIDE, MODES))
    nbformat.write(written, root / "notebooks" / BOOK.name)
    if (BOOK.parent / "pictures").is_dir():
        shutil.copytree(BOOK.parent / "pictures", root / "notebooks" / "pictures")
    with jupyter(root, home) as url:
        shown = Notebook(browser, url, f"notebooks/{BOOK.name}")
        try:
            shown.run_all()
            shown.page.wait_for_selector(".losa.timeline video")
            shown.folder = demo / "inspect"
            yield shown
        finally:
            shown.close()


@pytest.fixture
def timeline(book):
    """The first timeline on the page, playing nothing."""
    found = book.page.locator(".losa.timeline").first
    found.scroll_into_view_if_needed()
    found.evaluate("e => e.querySelector('video').pause()")
    return found


def test_all_cells_run_and_every_widget_is_drawn_without_an_error(book):
    book.page.wait_for_function("""() => {
        const pixels = c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer;
        const seen = [...document.querySelectorAll('.losa canvas')].filter(c => c.checkVisibility());
        return seen.length > 4 && seen.every(c => new Set(new Uint32Array(pixels(c))).size > 2); }""")
    kinds = book.page.evaluate("() => [...document.querySelectorAll('.losa')].filter(e => e.checkVisibility()).map("
                              "e => e.classList[1])")
    assert {"timeline", "gates", "diagnosis", "features"} <= {*kinds}, kinds
    for i, widget in enumerate(book.page.locator(".losa").all()):
        if folder := os.environ.get("LOSA_PICTURES"):
            widget.screenshot(path=f"{folder}/lab_{i}.png")
    assert book.problems == []


def test_a_click_on_a_segment_plays_that_frame_and_python_knows(book, timeline):
    sheet = timeline.locator(".lanes canvas")
    box = sheet.bounding_box()
    duration, lane = book.value(f"[{TIMELINE}.duration, {TIMELINE}.lanes[0]]")
    start, end = book.value(f"{TIMELINE}.tracks[{lane!r}][1]['segment']")
    timeline.get_by_label("Speed").select_option("0.25×")  # so that it is paused before its end
    sheet.click(position={"x": box["width"] * (start + end) / 2 / duration, "y": 26})
    book.page.wait_for_function("at => document.querySelector('.losa video').currentTime > at + 0.3", arg=start)
    book.page.keyboard.press("Space")
    number = frame_number(book.page, ".losa video")
    assert start * FPS < number < end * FPS
    book.comes(f"[{TIMELINE}.selected, {TIMELINE}.frame]", [[lane, 1], number])
    book.page.keyboard.press(",")
    assert frame_number(book.page, ".losa video") == number - 1
    book.page.keyboard.press("p")
    book.page.keyboard.press("n")
    assert frame_number(book.page, ".losa video") == start * FPS
    book.comes(f"[{TIMELINE}.selected, {TIMELINE}.current_time]", [[lane, 1], start])
    assert book.problems == []


def test_moving_the_threshold_changes_the_live_map_in_python_too(book, timeline):
    before = book.value(f"{TIMELINE}.live_map")
    slider = timeline.get_by_label("score at least")
    slider.fill("0.85")
    book.comes(f"{TIMELINE}.min_score", 0.85)
    after = book.value(f"{TIMELINE}.live_map")
    settled(book.page)
    assert after != before
    cells = timeline.locator("table.maps td").all_inner_texts()
    told = {cells[i]: cells[i + 1:i + 3] for i in range(0, len(cells), 3)}
    assert told == {name: [f"{100 * values[kind]:.1f} %" for kind in ("video", "data")]
                    for name, values in after.items()}
    slider.fill("0.25")


def test_the_books_of_a_training_step_follow_the_chosen_mode(book):
    head, cells = book.page.locator(".modes thead"), book.page.locator(".modes tbody td:nth-of-type(1)")
    assert head.text_content().split() == ["kept", "gradient", "head_only"]
    book.page.locator(".modes select").first.select_option("losa")
    book.page.wait_for_function("() => document.querySelector('.modes thead')?.textContent.includes('losa')")
    kept, cells = book.value("modes.style().data['kept'].round(3).tolist()"), cells.all_text_contents()
    assert [float(cell) for cell in cells] == kept and sum(kept) > 0


def test_the_page_that_it_writes_works_alone(book, browser):
    (file,) = book.folder.glob("*.html")
    with opened(browser, file) as page:
        assert page.locator(".losa").count() == 3
        page.evaluate("() => losaModels[1].set('current_time', 5.04)")  # of the gates; the timeline has the video
        assert frame_number(page) == 60
        assert page.locator("h1").inner_text().endswith(file.stem)


def test_nothing_typed_in_a_widget_reaches_the_notebook(book, timeline):
    page, before = book.page, book.state()
    page.evaluate("""css => { globalThis.losaFocusable = [...document.querySelectorAll(css)].filter(e =>
        e.checkVisibility() && !e.disabled); globalThis.losaKinds = losaFocusable.map(e =>
        `${e.closest('.losa')?.classList[1] ?? (e.closest('.beside') ? 'beside' : 'explore')} ${e.tagName}`); }""",
                  FOCUSABLE)
    typed = page.evaluate(EVERY_KEY)
    assert isinstance(typed, int) and typed > 40, f"a key typed in {typed} reached the notebook"
    kinds = page.evaluate("() => losaKinds")
    assert {"explore SELECT", "beside SELECT", "beside BUTTON", "beside DIV"} <= {*kinds}
    for kind in dict.fromkeys(kinds):  # keys as a person types them, which click buttons and turn lists, too
        for key in TRUSTED:
            page.evaluate("i => losaFocusable[i].focus({ preventScroll: true })", kinds.index(kind))
            page.keyboard.press(key)
        assert book.state() == before, f"a key typed in {kind} reached the notebook"
    page.evaluate("""() => { document.querySelector('.losa').after(document.createElement('button'));
        globalThis.losaFocusable = [document.querySelector('.losa + button')]; globalThis.losaKinds = ['bare']; }""")
    assert page.evaluate(EVERY_KEY) == ["bare", 0], "in a button that is not ours, keys do reach it"
    assert book.problems == []
