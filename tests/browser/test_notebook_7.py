"""A timeline in a real Notebook 7: it is drawn, plays to the frame, tells Python, and keeps its keys to itself."""

import pytest

from helpers.browser import clip, frame_number, settled
from helpers.lab import Notebook, jupyter, write_notebook

pytest.importorskip("notebook", reason="needs Notebook 7: pip install notebook")
CELL = """from widgets.timeline import Timeline
truth = [{"segment": [1, 2], "label": "jump"}, {"segment": [3, 5], "label": "wave"}]
run = [{"segment": [1, 2], "label": "jump", "score": 0.9}, {"segment": [3, 3.8], "label": "wave", "score": 0.5}]
timeline = Timeline("clip.mp4", {"truth": truth, "run": run}, duration=8, fps=25)
timeline"""


@pytest.fixture(scope="module")
def book(browser, tmp_path_factory):
    home = tmp_path_factory.mktemp("notebook7")
    root = home / "root"
    root.mkdir()
    clip(root / "clip.mp4")
    write_notebook(root / "book.ipynb", CELL)
    with jupyter(root, home, "notebook") as url:
        shown = Notebook(browser, url, "book.ipynb", "notebooks")
        try:
            shown.run_all()
            yield shown
        finally:
            shown.close()


def test_keys_move_the_video_tell_python_and_leave_the_notebook_alone(book):
    lanes = book.page.locator(".losa.timeline .lanes")
    lanes.wait_for()
    settled(book.page)
    assert lanes.get_attribute("aria-label") == "Segments; truth: 2 segments; run: 1 of 2 found, 1 wrong"
    before = book.state()
    lanes.focus()
    for key in ("b", "x", "d", "d", "0", "0", "Delete", "e"):  # all but the last would edit the notebook
        book.page.keyboard.press(key)
    book.comes("round(timeline.current_time, 2)", 3.0)
    assert book.state() == before
    settled(book.page)
    assert frame_number(book.page) == 75
