"""The page of one's own videos in a real browser, opened as a file, without a network."""

import shutil

import pytest

from helpers.browser import settled
from helpers.page_data import CLASSES, own_video
from losa.reports.videos_page import own_page
from losa.world.render import make_world

NAME = "quotes \"x\" 'y' 100% ü #1?.mp4"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A page of 60 videos in a folder beside its videos: the first embedded, the others linked, the last one gone."""
    folder = tmp_path_factory.mktemp("own")
    annotations = make_world(folder / "world", (0, 0, 1), num_workers=0)
    clip = shutil.copy(next((annotations.parent / "videos").glob("*.mp4")), folder / NAME)
    gone = shutil.copy(clip, folder / "gone.mp4")
    videos = [own_video(clip, f"day/{i}", 40.0) for i in range(59)] + [own_video(gone, "gone", 40.0)]
    videos[0]["records"] += [{"segment": [0, 1], "label": "wave", "score": 0.3}] * 80
    videos[2]["records"] = []
    size = (folder / NAME).stat().st_size / 1e6
    page = own_page(folder / "out" / "index.html", videos, classes=CLASSES, max_page_mb=1.5 * size)
    (folder / "gone.mp4").unlink()
    return page


@pytest.fixture
def page(browser, file):
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: "gone.mp4" in message.location["url"] or problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert problems == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_click_plays_an_embedded_and_a_linked_video_from_there(page, number):
    panel = page.locator(".video").nth(number)
    panel.scroll_into_view_if_needed()
    assert panel.locator("video").get_attribute("src").startswith(("data:", "../quotes%20")[number])
    settled(page)
    lanes = panel.locator(".lanes")
    lanes.click(position={"x": lanes.bounding_box()["width"] * 2 / 40, "y": 17 + 5})
    page.wait_for_function("n => document.querySelectorAll('.video')[n].querySelector('video').currentTime > 1.1",
                           arg=number)
    time, error = panel.locator("video").evaluate("v => [v.currentTime, v.error]")
    assert 1.0 < time < 4.0 and error is None
    assert panel.locator(".readout").inner_text() == "found: jump, 1.00 s – 3.00 s, score 0.90."


def test_only_what_is_in_view_is_there_until_one_scrolls(page):
    page.locator(".video").nth(1).scroll_into_view_if_needed()
    loaded = "n => document.querySelectorAll('.video')[n].querySelector('video')?.readyState > 0"
    page.wait_for_function(loaded, arg=1)
    assert page.locator("video").count() < 15
    page.locator(".video").nth(50).scroll_into_view_if_needed()
    page.wait_for_function(loaded, arg=50)
    settled(page)
    assert page.locator(".video").nth(50).locator(".lanes canvas").is_visible()
    page.wait_for_function("() => !document.querySelectorAll('.video')[1].querySelector('video')")
    assert page.locator("video").count() < 15
    assert page.locator(".video").nth(1).bounding_box()["height"] > 200, "what is gone leaves its place"


def test_a_timeline_in_use_stays_and_one_that_comes_back_is_as_it_was(page):
    first, last = page.locator(".video").nth(0), page.locator(".video").nth(40)
    first.scroll_into_view_if_needed()
    first.locator(".lanes").focus()
    page.keyboard.press("n")
    page.keyboard.press("n")
    chosen = first.locator(".readout").inner_text()
    last.scroll_into_view_if_needed()
    last.locator("video").wait_for()
    assert first.locator("video").count() == 1, "it has the focus"
    last.locator(".lanes").focus()
    first.scroll_into_view_if_needed()
    page.locator(".video").nth(59).scroll_into_view_if_needed()
    page.wait_for_function("() => !document.querySelector('.video').querySelector('video')")
    first.scroll_into_view_if_needed()
    assert first.locator(".readout").inner_text() == chosen != ""


def test_the_slider_counts_what_is_there_not_what_is_drawn(page):
    said, drawn = page.locator("h3 small"), "n => document.querySelectorAll('.lanes')[n].getAttribute('aria-label')"
    page.locator(".video").nth(1).scroll_into_view_if_needed()
    assert said.nth(0).text_content() == "82 segments, the 60 strongest drawn"
    assert said.nth(1).text_content() == "2 segments" and said.nth(2).text_content() == "none"
    page.locator("#min-score").fill("0.5")
    assert said.nth(0).text_content() == "2 segments"
    page.locator("#min-score").fill("0.95")
    settled(page)
    assert said.nth(1).text_content() == "none; the best score is 0.90"
    assert page.evaluate(drawn, 1) == "Segments; found: 0 segments; nothing above 0.95, the best is 0.90"


def test_a_video_that_was_moved_away_says_so(page):
    panel = page.locator(".video").nth(59)
    panel.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.querySelectorAll('.problem')].pop().innerText.includes('was it moved')")
    told = panel.locator(".problem").inner_text()
    assert "gone.mp4 is not there" in told and panel.locator("video").is_hidden()
    assert panel.locator(".lanes canvas").is_visible()


def test_keys_with_ctrl_and_keys_outside_a_timeline_are_the_browsers(page):
    page.evaluate("""() => { globalThis.kept = [];
        addEventListener('keydown', (event) => kept.push([event.key, event.defaultPrevented]), true);
        addEventListener('keydown', (event) => kept.push([event.key, event.defaultPrevented])); }""")
    page.locator(".video").nth(0).scroll_into_view_if_needed()
    page.locator("summary").focus()
    page.keyboard.press("n")
    assert page.evaluate("() => kept") == [["n", False]] * 2
    prevented = page.evaluate("""() => { const lanes = document.querySelector('.lanes');
        return [true, false].map((ctrlKey) => !lanes.dispatchEvent(
          new KeyboardEvent('keydown', { key: 'f', ctrlKey, bubbles: true, cancelable: true }))); }""")
    assert prevented == [False, True]


def test_the_index_leads_to_a_panel(page):
    page.locator("summary").click()
    page.locator("a", has_text="day/40").click()
    page.wait_for_function("() => Math.abs(document.querySelector('#video-40').getBoundingClientRect().y) < 500")


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_cut_off(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
