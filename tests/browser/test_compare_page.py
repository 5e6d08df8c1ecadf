"""The list of differences under a timeline of two runs, in a real browser without a kernel."""

import pytest

from helpers.browser import HOSTILE, exchange, picture, settled, shown, tracks, trait
from widgets.compare import Compare

TRACKS = {
    "truth": [{"segment": [0.4, 1.6], "label": "jump", "score": 1.0},
              {"segment": [2.0, 3.6], "label": HOSTILE, "score": 1.0},
              {"segment": [5.0, 7.0], "label": "wave", "score": 1.0}],
    "first": [{"segment": [0.4, 1.6], "label": "jump", "score": 0.9},
              {"segment": [2.0, 3.0], "label": HOSTILE, "score": 0.8},
              {"segment": [4.0, 4.8], "label": "jump", "score": 0.7}],
    "second": [{"segment": [2.0, 3.5], "label": HOSTILE, "score": 0.6},
               {"segment": [5.0, 6.8], "label": "wave", "score": 0.5},
               {"segment": [7.0, 7.9], "label": "wave", "score": 0.3}],
}


@pytest.fixture
def page(browser, tmp_path, video):
    view = Compare(video, TRACKS, duration=8.0, fps=25, classes=["jump", HOSTILE, "wave"])
    with shown(browser, tmp_path, view) as page:
        page.view = view
        settled(page)
        yield page


def rows(page):
    settled(page)
    return [" | ".join(text.split("\n")) for text in page.locator(".differences li").all_inner_texts()]


def test_differences_are_listed_by_size_and_follow_threshold_and_classes(page):
    found = rows(page)
    assert [text.split(" | ")[0] for text in found] == ["1.00", "0.90", "0.70", "0.31", "0.30"]
    assert "found by first only: tIoU 1.00, score 0.90" in found[0] and "0.4 s – 1.6 s" in found[0]
    assert "found by second only" in found[1] and "wrong in first only: score 0.70" in found[2]
    assert "closer in second: tIoU 0.63 and 0.94" in found[3] and HOSTILE in found[3]
    page.evaluate("() => losaModels[0].set('min_score', 0.55)")
    assert [text.split(" | ")[0] for text in rows(page)] == ["1.00", "0.70", "0.31"]
    page.evaluate("() => losaModels[0].set('min_score', 0.65)")
    assert "found by first only: tIoU 0.63" in rows(page)[2]
    page.evaluate("() => losaModels[0].set('shown_classes', ['wave'])")
    assert rows(page) == [] and "No differences" in page.locator(".differences .readout").inner_text()


def test_one_kind_alone(page):
    choice = page.locator(".differences select")
    assert choice.locator("option").all_inner_texts()[:2] == ["all, largest first (5)", "found by first only (1)"]
    choice.select_option("wrong in second only")
    assert len(rows(page)) == 1 and "7.0 s – 7.9 s" in rows(page)[0]


def test_one_click_goes_there_selects_in_python_and_plays_to_the_end_of_the_segment(page):
    page.set_viewport_size({"width": 600, "height": 500})  # the list is below the video, which is out of sight
    page.evaluate("() => { losaModels[0].set('speed', 0.0625); scrollTo(0, 1e6); }")  # slow: no crowded machine minds
    settled(page)
    assert page.locator("video").bounding_box()["y"] < -100
    row = page.locator(".differences button").nth(3)
    row.click()
    page.wait_for_function("() => !document.querySelector('video').paused")
    time, until = page.evaluate("() => { const [group] = losaGroups.values(); return [group.time, group.until]; }")
    assert 2.0 <= time < until == 3.6 and trait(page, "selected") == ["second", 0]
    assert row.get_attribute("aria-current") == "true" and page.locator("video").bounding_box()["y"] > -1
    exchange(page, page.view)
    assert page.view.selected_record["segment"] == [2.0, 3.5]


@pytest.mark.parametrize("late", ["() => 0", "f => setTimeout(() => f(performance.now()), 700)"], ids=["none", "few"])
def test_a_page_that_draws_late_or_never_still_stops_at_the_end_of_the_segment(page, late):
    """A hidden page draws nothing, a busy one draws now and then: the video goes on meanwhile."""
    page.evaluate(f"() => {{ window.requestAnimationFrame = {late}; }}")
    page.locator(".differences button").first.click()  # 0.4 s to 1.6 s
    page.wait_for_function("() => { const v = document.querySelector('video'); return v.paused && v.currentTime > 1; }",
                           polling=100)
    page.wait_for_function("() => [...losaGroups.values()][0].time === 1.6", polling=100)
    assert page.evaluate("() => document.querySelector('video').currentTime") == pytest.approx(1.62)  # frame 40


def test_a_run_has_the_same_colour_in_list_and_table_and_its_side(page):
    grey, blue = "rgb(140, 140, 140)", "rgb(0, 114, 178)"
    colours = lambda css: page.evaluate(  # noqa: E731
        "css => [...document.querySelectorAll(css)].map(e => getComputedStyle(e).backgroundColor)", css)
    assert colours(".differences .readout .dot") == [grey, blue]
    better = [("first only" in text and "wrong" not in text) or "wrong in second" in text for text in rows(page)]
    assert colours(".differences .bar i") == [grey if first else blue for first in better]
    sides = page.evaluate("() => [...document.querySelectorAll('.bar i')].map(e => e.style.right === '50%')")
    assert sides == better and True in better and False in better
    page.evaluate("() => losaModels[0].set('run_colours', { first: '#ff0000', second: '#00ff00' })")
    settled(page)
    assert colours(".differences .readout .dot") == ["rgb(255, 0, 0)", "rgb(0, 255, 0)"]


def test_rescoring_in_python_lists_anew(page):
    page.view.show(None, TRACKS | {"second": TRACKS["first"]}, duration=8.0)
    page.evaluate("rows => losaModels[0].set('differences', rows)", page.view.differences)
    assert rows(page) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 700), ("light", 480)])
def test_many_differences_stay_inside(browser, tmp_path, video, scheme, width):
    many = tracks(300, 3, 600.0)
    view = Compare(None, many, duration=600.0, min_score=0.0)
    with shown(browser, tmp_path, view, size=(width, 1000), scheme=scheme) as page:
        settled(page)
        assert page.locator(".differences li").count() == 201
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("img").count() == 0
        picture(page, f"compare_{scheme}_{width}")
