"""The page of one's own videos in a real browser, opened as a file, without a network."""

import shutil

import pytest

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
    assert panel.locator("video").get_attribute("src").startswith(("data:", "../quotes%20")[number])
    panel.locator(".seg[title^='jump, 1.0']").click()
    page.wait_for_function("n => document.querySelectorAll('video')[n].currentTime > 1.1", arg=number)
    time, error = panel.locator("video").evaluate("v => [v.currentTime, v.error]")
    assert 1.0 < time < 4.0 and error is None
    assert panel.locator(".readout").inner_text() == "found: jump, 1.0 to 3.0 s, score 0.90"


def test_only_what_is_in_view_is_loaded_until_one_scrolls(page):
    loaded = "() => [...document.querySelectorAll('video')].map(v => v.readyState > 0)"
    page.wait_for_function("() => document.querySelectorAll('video')[1].readyState > 0")
    assert sum(page.evaluate(loaded)) < 15
    page.locator(".video").nth(50).scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelectorAll('video')[50].readyState > 0")
    assert page.locator(".video").nth(50).locator(".name").first.is_visible()


def test_the_slider_counts_what_is_there_not_what_is_drawn(page):
    said = page.locator(".lane-name small")  # text_content: inner_text is empty until a panel is drawn
    assert said.nth(0).text_content() == "82 segments, the 60 strongest drawn"
    assert said.nth(1).text_content() == "2 segments" and said.nth(2).text_content() == "none"
    page.locator("#min-score").fill("0.5")
    assert said.nth(0).text_content() == "2 segments"
    page.locator("#min-score").fill("0.95")
    assert said.nth(1).text_content() == "none; the best score is 0.90" and not page.locator(".seg:visible").count()


def test_a_video_that_was_moved_away_says_so_when_it_is_played(page):
    panel = page.locator(".video").nth(59)
    panel.locator(".play").click()
    page.wait_for_function("() => [...document.querySelectorAll('.readout')].pop().innerText.includes('was moved')")


def test_the_index_leads_to_a_panel(page):
    page.locator("summary").click()
    page.locator("a", has_text="day/40").click()
    page.wait_for_function("() => Math.abs(document.querySelector('#video-40').getBoundingClientRect().y) < 500")


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_cut_off(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
