"""Firefox ESR: an offline page of widgets."""

import json

import pytest

from helpers.browser import READ_NUMBER, clip, jpeg, tracks
from helpers.firefox import FIREFOX, firefox
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

