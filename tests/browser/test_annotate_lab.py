"""Labelling in a real JupyterLab: by keys, by mouse, saved and read back in the kernel; then the kernel is lost."""

import json
import shutil

import pytest

from helpers.browser import clip, settled
from helpers.lab import READY, Notebook, jupyter, write_notebook
from helpers.paths import ROOT

REAL = ROOT.parent / "shared" / "data" / "videos" / "cc_by_4" / "one-by-one-person-detection.mp4"
CLASSES = ["jump", "wave", "throw"]
CELL = f"""from losa.annotations.dataset import load_annotations
from losa.inspection.annotate import annotate
def read_back(path):
    data = load_annotations(path)
    (one,) = data.videos
    return [[r["label"], *r["segment"]] for r in one.records(data.classes)]
by_keys, by_mouse = (annotate("clip.mp4", classes={CLASSES}) for _ in range(2))
display(by_keys, by_mouse)"""
SESSION = "jupyterapp.shell.currentWidget.context.sessionContext"
LEAKS = ["Control+z", "Control+y", "Control+Shift+z", *"0123456789asjxdbcmyvzio", "Delete", "Backspace", "Escape"]


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    """A notebook with two timelines of one video to label: the first for keys, the second for the mouse."""
    home = tmp_path_factory.mktemp("label")
    root = home / "root"
    root.mkdir()
    if REAL.is_file():
        shutil.copy(REAL, root / "clip.mp4")
    else:
        clip(root / "clip.mp4", 24.0, 12)
    write_notebook(root / "a.ipynb", CELL, "x = 1")
    with jupyter(root, home) as url:
        shown = Notebook(browser, url, "a.ipynb")
        shown.page.set_default_timeout(120_000)
        try:
            shown.run_all(timeout_s=300)
            shown.page.wait_for_function("() => { const all = [...document.querySelectorAll('.losa.timeline video')];"
                                         "return all.length === 2 && all.every(v => v.readyState > 1); }")
            yield shown
        finally:
            shown.close()


def timeline(book, number):
    shown = book.page.locator(".losa.timeline").nth(number)
    shown.locator(".lanes").scroll_into_view_if_needed()
    return shown


def press(book, *names):
    for name in names:
        book.page.keyboard.press(name)


def says(book, shown, start):
    """Waits until the timeline's note starts so, and returns it."""
    book.page.wait_for_function("([e, start]) => e.textContent.startsWith(start)",
                                arg=[shown.locator(".note").element_handle(), start])
    return shown.locator(".note").inner_text()


def saved(book, shown, wanted, fps):
    """Presses Save; what the kernel reads from the new file is as wanted, to half a frame."""
    shown.get_by_role("button", name="Save").click()
    path = says(book, shown, "Saved as ").removeprefix("Saved as ")
    found = sorted(book.value(f"read_back({path!r})"), key=lambda row: row[1])
    assert [row[0] for row in found] == [row[0] for row in wanted]
    for (_, *times), (_, *meant) in zip(found, wanted, strict=True):
        assert times == pytest.approx(meant, abs=0.5 / fps)


def test_ten_by_keys_alone(book):
    fps, shown = book.value("by_keys.fps"), timeline(book, 0)
    wanted = [(CLASSES[k % 3], 2 * k, 2 * k + 1 + (k % 2) / fps) for k in range(10)]
    shown.locator(".lanes").focus()
    for k in range(10):
        frame = k % 2
        press(book, "i", "ArrowRight", *"." * frame, "o", str(k % 3 + 1), *"," * frame, "ArrowRight")
    book.comes("len(by_keys.records)", 10)
    saved(book, shown, wanted, fps)
    assert book.value("by_keys.unsaved") == 0 and {c["by"] for c in book.value("by_keys.changes")} == {"key"}
    assert book.problems == []


def test_ten_by_mouse(book):
    page, fps, shown = book.page, book.value("by_mouse.fps"), timeline(book, 1)
    wanted = [(CLASSES[k % 3], round((k + 0.25) * fps) / fps, round((k + 0.75) * fps) / fps) for k in range(10)]
    assert book.value("by_mouse.set_trait('span', [0.0, 10.5])") is None
    page.wait_for_function("e => parseFloat(e.style.width) < 100", arg=shown.locator(".pane").element_handle())
    for label, *times in wanted:
        box = shown.locator(".lanes canvas").bounding_box()
        start, end = (box["x"] + box["width"] * time / 10.5 for time in times)
        page.mouse.move(start, box["y"] + 26)
        page.mouse.down()
        page.mouse.move(end, box["y"] + 26, steps=3)
        page.mouse.up()
        shown.get_by_label("Class", exact=True).select_option(label)
    book.comes("len(by_mouse.records)", 10)
    saved(book, shown, wanted, fps)
    assert book.problems == []


def test_no_key_of_labelling_reaches_the_notebook(book):
    shown, before = timeline(book, 0), book.state()
    shown.locator(".lanes").focus()
    press(book, *LEAKS)
    settled(book.page)
    count = shown.locator(".count").inner_text()
    shown.get_by_label("New class").focus()
    press(book, *LEAKS[:-1])
    settled(book.page)
    assert book.state() == before
    assert shown.locator(".count").inner_text() == count, "what is typed into the field edits no segment"
    press(book, "Escape")
    assert shown.get_by_label("New class").input_value() == "" and book.state() == before


def test_after_a_restart_the_labels_are_there_and_download(book):
    page, shown, files = book.page, timeline(book, 1), []
    page.evaluate(f"() => {SESSION}.session.kernel.restart()")
    page.wait_for_function("e => e.textContent.startsWith('No kernel answers')",
                           arg=shown.locator(".lost").element_handle())
    page.wait_for_function(READY)
    shown.locator(".lanes").focus()
    press(book, "Home", "n", "Delete")
    page.wait_for_function("e => e.textContent.endsWith('1 unsaved change')",
                           arg=shown.locator(".count").element_handle())
    shown.get_by_role("button", name="Save").click()
    assert "use Download" in says(book, shown, "Python does not answer")
    page.on("download", lambda file: files.append(file))
    shown.get_by_role("button", name="Download").click()
    says(book, shown, "Downloaded ")
    for _ in range(100):
        if len(files) == 2:
            break
        page.wait_for_timeout(100)
    texts = {file.suggested_filename: file.path().read_text() for file in files}
    (video,) = json.loads(texts["clip_edited.json"])["database"].values()
    assert len(video["annotations"]) == 9 and len(texts["clip_edited.json.changes.jsonl"].splitlines()) > 10
