"""The notebook 05_inspect in a real JupyterLab: it runs, draws, plays, tells Python, and keeps its keys to itself."""

import shutil
import string

import nbformat
import papermill
import pytest
from harness import frame_number, picture
from lab import FPS, ROOT, Notebook, barcoded_demo, jupyter

BOOK = ROOT / "notebooks" / "05_inspect.ipynb"
TIMELINE = "[w for w in get_ipython().user_ns.values() if type(w).__name__ == 'Timeline'][0]"
FOCUSABLE = ".losa :is(a[href], button, input, select, textarea, video, summary, [tabindex]), .losa[tabindex]"
DANGEROUS = ["b", "a", "m", "x", "z", "y", "d", "d", "c", "v", "Delete", "Enter", "Shift+Enter", "Shift+M", "0", "0"]
EVERY = [*string.ascii_lowercase, *string.digits, *(f"Shift+{c}" for c in string.ascii_uppercase), " ", ",", ".", "+",
         "-", "?", "/", "[", "]", "Delete", "Backspace", "Enter", "Shift+Enter", "Control+Enter", "Shift+Space", "Home",
         "End", "PageUp", "PageDown", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Shift+ArrowDown", "Escape"]


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """The notebook, about the runs of a small demo, run in a JupyterLab whose root is the folder above it."""
    home = tmp_path_factory.mktemp("lab")
    root = home / "a root"
    (root / "notebooks").mkdir(parents=True)
    demo = barcoded_demo(root / "runs" / "demo")
    given = {"run_dir": str(demo / "losa"), "compare_dir": str(demo / "head_only")}
    written = papermill.parameterize.parameterize_notebook(papermill.iorw.load_notebook_node(str(BOOK)), given)
    nbformat.write(written, root / "notebooks" / BOOK.name)
    if (BOOK.parent / "pictures").is_dir():
        shutil.copytree(BOOK.parent / "pictures", root / "notebooks" / "pictures")
    with jupyter(root, home) as url:
        opened = Notebook(browser, url, f"notebooks/{BOOK.name}")
        try:
            opened.run_all()
            opened.page.wait_for_selector(".losa.timeline video")
            yield opened
        finally:
            opened.close()


@pytest.fixture
def timeline(book):
    """The first timeline on the page, playing nothing."""
    found = book.page.locator(".losa.timeline").first
    found.scroll_into_view_if_needed()
    found.evaluate("e => e.querySelector('video').pause()")
    return found


def test_all_cells_run_and_every_widget_is_drawn_without_an_error(book):
    shown = book.page.evaluate("""() => [...document.querySelectorAll('.losa')].filter(e => e.checkVisibility())
        .map(e => [e.className, [...e.querySelectorAll('canvas')].filter(c => c.checkVisibility()).map(c => {
          const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);
          return new Set(d).size; })])""")
    kinds = {name.split()[1] for name, _ in shown}
    assert {"timeline", "gates", "diagnosis", "features"} <= kinds, kinds
    assert all(colours > 2 for _, sheets in shown for colours in sheets), shown
    picture(book.page, "lab_inspect", full=False)
    assert book.problems == []


def test_a_click_on_a_segment_plays_that_frame_and_python_knows(book, timeline):
    sheet = timeline.locator(".lanes canvas")
    box = sheet.bounding_box()
    duration = book.value(f"{TIMELINE}.duration")
    start, end = book.value(f"{TIMELINE}.tracks[{TIMELINE}.lanes[0]][1]['segment']")
    sheet.click(position={"x": box["width"] * (start + end) / 2 / duration, "y": 26})
    book.page.wait_for_function("at => document.querySelector('.losa video').currentTime > at + 0.3", arg=start)
    book.page.keyboard.press("Space")
    told = f"[{TIMELINE}.selected, {TIMELINE}.frame]"

    def seen():
        number = frame_number(book.page, ".losa video")
        book.page.wait_for_timeout(600)  # Python hears of the playhead a few times a second
        return number, book.value(told)

    number, (selected, frame) = seen()
    assert selected[1] == 1 and frame == number and start * FPS < number < end * FPS
    book.page.keyboard.press(",")
    assert seen()[0] == number - 1
    book.page.keyboard.press("p")
    book.page.keyboard.press("n")
    assert seen() == (start * FPS, [selected, start * FPS])
    assert book.problems == []


def test_moving_the_threshold_changes_the_live_map_in_python_too(book, timeline):
    before = book.value(f"{TIMELINE}.live_map")
    slider = timeline.get_by_label("score at least")
    slider.fill("0.85")
    book.page.wait_for_timeout(500)
    after = book.value(f"{TIMELINE}.live_map")
    assert book.value(f"{TIMELINE}.min_score") == 0.85 and after != before
    cells = timeline.locator("table.maps td").all_inner_texts()
    told = {cells[i]: cells[i + 1:i + 3] for i in range(0, len(cells), 3)}
    assert told == {name: [f"{100 * values[kind]:.1f} %" for kind in ("video", "data")]
                    for name, values in after.items()}
    slider.fill("0.25")


def test_nothing_typed_in_a_widget_reaches_the_notebook(book):
    before = book.state()
    elements = book.page.evaluate("""css => [...document.querySelectorAll(css)].map((e, i) => [i, e]).filter(([, e]) =>
        e.checkVisibility() && !e.disabled).map(([i, e]) => [i, e.closest('.losa').className + ' ' + e.tagName])""",
                                  FOCUSABLE)
    assert len(elements) > 10
    seen, focus = set(), "([css, i]) => document.querySelectorAll(css)[i]?.focus({ preventScroll: true })"
    for number, kind in elements:
        for key in DANGEROUS if kind in seen else EVERY:
            book.page.evaluate(focus, [FOCUSABLE, number])
            book.page.keyboard.press(key)
        seen.add(kind)
        assert book.state() == before, f"a key typed in {kind} (element {number}) reached the notebook"
    book.page.evaluate("""css => { const e = document.querySelectorAll(css)[2];
        e.removeAttribute('data-lm-suppress-shortcuts'); e.focus(); }""", FOCUSABLE)
    book.page.keyboard.press("b")
    assert len(book.state()) == len(before) + 1, "without its attribute the same key adds a cell"
    assert book.problems == []
