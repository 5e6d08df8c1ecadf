"""The demo's page in a real browser, without a network."""

import os
import re
from pathlib import Path

import pytest

from helpers.browser import settled
from helpers.page_data import CLASSES, HOSTILE, result, video
from losa.reports.demo_page import demo_page
from losa.world.render import make_world


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    annotations = make_world(folder / "world", (0, 0, 1), num_workers=0)
    clip = next((annotations.parent / "videos").glob("*.mp4"))
    return demo_page(folder / "index.html", result(), [video(clip, duration=40.0), video(clip, HOSTILE, 40.0)],
                     classes=CLASSES)


@pytest.fixture
def page(browser, file):
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    opened, problems = context.new_page(), []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url))
    opened.goto(file.as_uri())
    for panel in opened.locator(".video").all()[::-1]:  # a timeline is drawn when it comes into view
        panel.scroll_into_view_if_needed()
        panel.locator("video").wait_for()
    opened.wait_for_function("() => [...document.querySelectorAll('video')].every(v => v.readyState >= 1)")
    settled(opened)
    yield opened
    context.close()
    assert problems == []


def time_of(page) -> float:
    return page.evaluate("() => document.querySelector('video').currentTime")


def paused(page) -> bool:
    return page.evaluate("() => document.querySelector('video').paused")


def place(page, time, lane):
    """The position on the first video's lanes of a time and a lane, all lanes having one row."""
    return {"x": page.locator(".lanes").first.bounding_box()["width"] * time / 40, "y": 17 + 9 + lane * 39}


def lanes(page) -> list[str]:
    """What the first video's lanes say of themselves."""
    settled(page)
    return page.locator(".lanes").first.get_attribute("aria-label").split("; ")[1:]


def drawn_from(page, lane) -> tuple[float, float]:
    """The first and the last time, in seconds, that has the colour of a segment in this lane of the first video."""
    first, last = page.evaluate("""lane => { const c = document.querySelector('.lanes canvas');
        const row = c.getContext('2d').getImageData(0, (20 + lane * 39) * devicePixelRatio, c.width, 1).data;
        const coloured = [...Array(c.width).keys()].filter(x => {
          const [r, g, b] = row.slice(4 * x, 4 * x + 3); return Math.max(r, g, b) - Math.min(r, g, b) > 60; });
        return [coloured[0] / c.width, coloured.at(-1) / c.width]; }""", lane)
    return 40 * first, 40 * last


def test_segments_are_drawn_to_scale(page):
    width = page.locator(".lanes").first.bounding_box()["width"]
    assert drawn_from(page, 1) == pytest.approx((5.2, 9.1), abs=1.5 * 40 / width)
    assert lanes(page) == ["truth: 3 segments", "head only: 1 of 3 found, 0 wrong", "LoSA: 1 of 3 found, 1 wrong"]


def test_click_on_a_segment_plays_the_video_from_there(page):
    page.locator(".lanes").first.click(position=place(page, 6, 0))
    page.wait_for_function("() => document.querySelector('video').currentTime > 5.1", timeout=5000)
    assert 5.0 < time_of(page) < 9 and not paused(page)
    assert page.locator(".readout").first.text_content() == (
        "truth: wave, 5.00 s – 9.00 s. Found by head only. Missed by LoSA.")
    left = page.evaluate("() => new DOMMatrix(document.querySelector('.lanes .head').style.transform).e")
    width = page.locator(".lanes").first.bounding_box()["width"]
    assert 100 * left / width == pytest.approx(100 * time_of(page) / 40, abs=2)
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('video').paused")


def test_click_on_an_empty_place_seeks_without_playing(page):
    page.locator(".lanes").first.click(position=place(page, 30, 0))
    assert time_of(page) == pytest.approx(30, abs=0.2) and paused(page)


def test_keys_move_play_and_walk(page):
    page.locator(".lanes").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert time_of(page) == pytest.approx(5, abs=0.05)
    page.keyboard.press("Home")
    assert time_of(page) == pytest.approx(0, abs=0.05)
    chosen = "() => document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).textContent"
    page.keyboard.press("n")
    assert page.evaluate(chosen).startswith("truth: jump, 1.00 s – 3.00 s. Found by LoSA")
    page.keyboard.press("n")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(chosen).startswith("head only: wave, 5.20 s – 9.10 s, score 0.90. Right")
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('video').paused")
    assert time_of(page) >= 5.2


def test_slider_hides_what_scores_less(page):
    assert lanes(page) == ["truth: 3 segments", "head only: 1 of 3 found, 0 wrong", "LoSA: 1 of 3 found, 1 wrong"]
    page.locator("#min-score").focus()
    page.keyboard.press("Home")
    assert page.locator("#min-score-shown").text_content() == "0.05"
    assert lanes(page) == ["truth: 3 segments", "head only: 1 of 3 found, 1 wrong", "LoSA: 1 of 3 found, 1 wrong"]
    page.locator("#min-score").fill("0.75")
    assert lanes(page) == ["truth: 3 segments", "head only: 1 of 3 found, 0 wrong", "LoSA: 0 of 3 found, 0 wrong",
                           "nothing above 0.75, the best is 0.60"]
    assert page.evaluate("() => losaModels.map(m => m.get('min_score'))") == [0.75, 0.75], "of every timeline"


def test_hostile_label_is_seen_as_text(page):
    assert page.locator("h3").nth(1).inner_text() == HOSTILE
    page.locator(".lanes").first.hover(position=place(page, 11, 0))
    assert HOSTILE in page.locator(".readout").first.inner_text()
    assert page.title().startswith("LoSA") and page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 400])
def test_nothing_is_cut_off_and_text_has_contrast(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("LOSA_PICTURES"):
        page.screenshot(path=f"{folder}/page_{width}_{scheme}.png", full_page=True)
    colours = page.evaluate("""() => ['body', '.soft', '.readout', 'thead th', '.timeline'].map(css => {
      const element = document.querySelector(css); let back = element, colour = 'rgba(0, 0, 0, 0)';
      while (back && colour === 'rgba(0, 0, 0, 0)') { colour = getComputedStyle(back).backgroundColor;
        back = back.parentElement; }
      return [getComputedStyle(element).color, colour]; })""")

    def luminance(colour: str) -> float:
        parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ink, paper in colours:
        low, high = sorted([luminance(ink), luminance(paper)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)
