"""The demo's page in a real browser, without a network."""

import os
import re
from pathlib import Path

import pytest

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
    opened.wait_for_function("() => [...document.querySelectorAll('video')].every(v => v.readyState >= 1)")
    yield opened
    context.close()
    assert problems == []


def time_of(page) -> float:
    return page.evaluate("() => document.querySelector('video').currentTime")


def paused(page) -> bool:
    return page.evaluate("() => document.querySelector('video').paused")


def test_segments_are_drawn_to_scale(page):
    track, segment = (page.locator(css).first.bounding_box() for css in (".track", ".seg"))
    assert segment["x"] - track["x"] == pytest.approx(track["width"] * 1 / 40, abs=1.5)
    assert segment["width"] == pytest.approx(track["width"] * 2 / 40, abs=1.5)
    assert page.locator(".lane-name small").all_text_contents()[:3] == [
        "3 segments", "1 of 3 found, 0 wrong", "1 of 3 found, 1 wrong"]


def test_click_on_a_segment_plays_the_video_from_there(page):
    page.locator(".seg").nth(1).click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 5.1", timeout=5000)
    assert 5.0 < time_of(page) < 9 and not paused(page)
    assert page.locator(".readout").first.text_content() == "truth: wave, 5.0 to 9.0 s"
    left = page.evaluate("() => parseFloat(document.querySelector('.head').style.left)")
    assert left == pytest.approx(100 * time_of(page) / 40, abs=2)
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('video').paused")


def test_click_on_an_empty_place_seeks_without_playing(page):
    track = page.locator(".track").first
    track.click(position={"x": track.bounding_box()["width"] * 0.75, "y": 5})
    assert time_of(page) == pytest.approx(30, abs=0.2) and paused(page)


def test_keys_move_play_and_walk(page):
    page.locator(".lanes").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert time_of(page) == pytest.approx(5, abs=0.05)
    focused = "() => document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("n")
    assert page.evaluate(focused) == "truth: jump, 1.0 to 3.0 s"
    page.keyboard.press("n")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "head only: wave, 5.2 to 9.1 s, score 0.90, right"
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('video').paused")
    assert time_of(page) >= 5.2


def test_slider_hides_what_scores_less(page):
    shown = page.locator(".video >> nth=0 >> .seg:visible")
    assert shown.count() == 3 + 1 + 2
    page.locator("#min-score").focus()
    page.keyboard.press("Home")
    assert page.locator("#min-score-shown").text_content() == "0.05" and shown.count() == 3 + 2 + 2
    page.locator("#min-score").fill("0.75")
    assert shown.count() == 3 + 1
    assert page.locator(".lane-name small").nth(2).text_content() == "0 of 3 found, 0 wrong"


def test_hostile_label_is_seen_as_text(page):
    assert page.locator("h3").nth(1).inner_text() == HOSTILE
    page.locator(".seg").nth(2).hover()
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
    colours = page.evaluate("""() => ['body', '.soft', '.readout', 'thead th', '.seg.wrong .name'].map(css => {
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
