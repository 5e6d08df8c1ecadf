"""The timeline in a real browser: drawn, played, walked by keys, filtered, scored, linked with Python's numbers."""

import contextlib
import functools
import http.server
import json
import threading

import numpy as np
import pytest

from helpers.browser import HOSTILE, exchange, frame_number, inked, jpeg, picture, settled, shown, tracks, trait
from widgets import html
from widgets.base import link
from widgets.gates import Gates
from widgets.timeline import Timeline

DURATION, STEPS = 8.0, [i / 100 for i in range(101)]
TRUTH = [{"segment": [1.0, 2.0], "label": "jump"}, {"segment": [3.0, 5.0], "label": "wave"},
         {"segment": [6.0, 7.0], "label": HOSTILE}]
FIRST = [{"segment": [1.04, 2.0], "label": "jump", "score": 0.9},
         {"segment": [3.0, 4.0], "label": "jump", "score": 0.6},
         {"segment": [3.0, 5.2], "label": "wave", "score": 0.2},
         {"segment": [7.5, 7.9], "label": "wave", "score": 0.7}]
SECOND = [{"segment": [6.04, 7.0], "label": HOSTILE, "score": 0.5}]
AP = {"video": {"thresholds": STEPS, "average": {"jump": [1 - t for t in STEPS], "wave": [0.5] * 101}}, "data": None}


def rescored(sigma, video_id, progress=None):
    """Fewer of the first track's predictions; a number for the data set."""
    if video_id is None:
        progress(1, 2)
    return {"records": FIRST[:1], "table": {"thresholds": STEPS, "average": {"jump": [sigma] * 101}}}


@pytest.fixture
def timeline(video):
    return Timeline(video, {"truth": TRUTH, "first": FIRST, "second": SECOND}, duration=DURATION, fps=25, title=HOSTILE,
                    classes=["jump", "wave", HOSTILE], ap={"first": AP}, rescore={"first": rescored}, video_id="v")


@pytest.fixture
def page(browser, tmp_path, timeline):
    with shown(browser, tmp_path, timeline) as opened:
        opened.wait_for_function("() => document.querySelector('video').readyState >= 2")
        yield opened


def at(page, time, lane, row=0):
    """The position on the lanes of a time (the whole video being in sight) and lane; lanes of one row above it."""
    width = page.locator(".lanes").bounding_box()["width"]
    return {"x": width * time / DURATION, "y": 17 + 9 + lane * 39 + row * 18}


def said(page):
    return page.locator(".readout").inner_text()


def press(page, *names):
    for name in names:
        page.keyboard.press(name)


def now(page):
    return page.evaluate("() => [...losaGroups.values()][0].time")


def playing(page, is_so=True):
    page.wait_for_function("so => document.querySelector('video').paused !== so", arg=is_so)


def test_all_is_drawn_and_hostile_text_is_text(page):
    settled(page)
    assert inked(page, ".lanes canvas") > 0.05 and inked(page, ".overview canvas") > 0.1
    assert page.locator(".title").inner_text() == HOSTILE and page.locator("img").count() == 0
    assert page.locator(".chip").all_inner_texts() == ["jump", "wave", HOSTILE]
    label = page.locator(".losa").get_attribute("aria-label")
    assert label == HOSTILE and page.locator(".lanes").get_attribute("role") == "listbox"
    picture(page, "timeline")


def test_click_plays_the_segment_to_its_end_and_hover_says_why(page, timeline):
    page.locator(".lanes").hover(position=at(page, 3.5, 1))
    assert said(page) == ("first: jump, 3.00 s – 4.00 s, score 0.60. Wrong label: here is wave, "
                          "3.00 s – 5.00 s, tIoU 0.50.")
    page.locator(".lanes").hover(position=at(page, 6.5, 0))
    assert said(page) == f"truth: {HOSTILE}, 6.00 s – 7.00 s. Found by second. Missed by first."
    page.locator(".lanes").click(position=at(page, 1.5, 1))
    assert trait(page, "selected") == ["first", 0]
    page.wait_for_function("() => document.querySelector('video').currentTime > 1.2")
    page.wait_for_function("() => document.querySelector('video').paused")
    assert now(page) == 2.0
    page.wait_for_function("() => losaModels[0].get('current_time') === [...losaGroups.values()][0].time")
    exchange(page, timeline)
    assert timeline.selected_record["verdict"] == "true positive" and timeline.frame == frame_number(page)


def test_seeking_is_exact_to_the_frame(page):
    page.locator(".lanes").focus()
    press(page, "n")
    assert trait(page, "selected") == ["truth", 0] and now(page) == 1.0 and frame_number(page) == 25
    press(page, ".", ".", ",")
    assert frame_number(page) == 26
    press(page, "ArrowDown")
    assert trait(page, "selected") == ["first", 0] and frame_number(page) == 26 and now(page) == 1.04
    press(page, "ArrowRight", "Shift+ArrowRight", "ArrowLeft")
    assert now(page) == pytest.approx(6.04) and frame_number(page) == 151
    press(page, "5")
    assert now(page) == 4 and frame_number(page) == 100
    page.locator(".lanes").click(position=at(page, 2.5, 0))
    assert now(page) == pytest.approx(2.5, abs=0.01) and page.evaluate("() => document.querySelector('video').paused")
    page.evaluate("() => losaModels[0].set('current_time', 7.96)")  # from Python
    assert frame_number(page) == 199


def test_walking_lanes_segments_and_errors(page):
    page.locator(".lanes").focus()
    press(page, "ArrowDown", "n", "n")
    assert trait(page, "selected") == ["first", 3]
    press(page, "n")
    assert said(page) == "No later one."
    press(page, "p")
    assert trait(page, "selected") == ["first", 1]
    press(page, "0")
    found = []
    for _ in range(4):
        press(page, "e")
        found.append(trait(page, "selected"))
    assert found == [["truth", 1], ["first", 1], ["truth", 2], ["first", 3]]
    press(page, "ArrowDown")
    assert trait(page, "selected") == ["second", 0]
    option = page.locator("#" + page.locator(".lanes").get_attribute("aria-activedescendant"))
    assert option.text_content().startswith("second: ") and option.get_attribute("role") == "option"
    page.get_by_role("button", name="next error").click()
    assert said(page) == "No later one."


def test_what_begins_at_the_playhead_is_reached(page):
    page.evaluate("() => losaModels[0].set('current_time', 3)")
    page.locator(".lanes").focus()
    press(page, "n")
    assert trait(page, "selected") == ["truth", 1]
    for name in ("first", "truth"):  # of that track, then no error and elsewhere
        page.evaluate("name => losaModels[0].set('selected', [name, 0])", name)
    press(page, "e", "e")
    assert trait(page, "selected") == ["first", 1]


def test_errors_are_at_first_those_of_the_lowest_track(page):
    page.locator(".lanes").focus()
    press(page, "e", "e")
    assert trait(page, "selected") == ["truth", 1] and said(page).endswith("Missed by first, second.")
    press(page, "e")
    assert said(page) == "No later one."


def test_ground_truth_alone_has_neither_scores_nor_errors(browser, tmp_path, video):
    with shown(browser, tmp_path, Timeline(video, {"truth": TRUTH}, duration=DURATION)) as page:
        assert page.get_by_label("score at least").is_hidden()
        assert page.get_by_role("button", name="next error").is_hidden() and page.locator(".legend").inner_text() == ""
        page.locator(".lanes").focus()
        press(page, "n", "e")
        assert trait(page, "selected") == ["truth", 0] and now(page) == 1.0
        picture(page, "truth_alone")


def test_a_segment_at_the_end_of_the_video_loops_too(page):
    page.evaluate("""() => { losaModels[0].set('current_time', 7.5); losaModels[0].set('loop', true);
        losaModels[0].set('tracks', { ...losaModels[0].get('tracks'), second: [{ segment: [7.7, 8], label: 'wave',
          row: 0, score: 1, verdict: 'background', tiou: 0, other: null }] });
        losaModels[0].set('selected', ['second', 0]); globalThis.ends = 0;
        document.querySelector('video').addEventListener('ended', () => { globalThis.ends += 1; }); }""")
    page.locator(".lanes").focus()
    press(page, "Enter")
    page.wait_for_function("() => globalThis.ends >= 2")
    press(page, " ")


def test_any_speed_from_python_and_the_last_frame(page, timeline):
    page.evaluate("() => losaModels[0].set('speed', 1.25)")
    page.locator(".lanes").focus()
    press(page, "+")
    assert trait(page, "speed") == 1.5
    page.evaluate("() => losaModels[0].set('speed', 90)")  # no browser plays so fast
    page.wait_for_function("() => document.querySelector('video').playbackRate === 16")
    page.evaluate("() => losaModels[0].set('current_time', 8)")
    assert frame_number(page) == 199
    timeline.current_time = 8.0
    assert timeline.frame == 199
    press(page, ",")
    assert frame_number(page) == 198


def test_spans_that_are_none_a_touch_pad_and_a_button_released_elsewhere(page):
    span = lambda: page.evaluate("() => [...losaGroups.values()][0].span")  # noqa: E731
    for strange in ([5, 5], [6, 2], []):
        page.evaluate("span => losaModels[0].set('span', span)", strange)
        assert span() == [0, DURATION]
    box = page.locator(".lanes").bounding_box()
    page.locator(".lanes").focus()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 1)
    for _ in range(10):
        page.mouse.wheel(0, -4)
    page.wait_for_function("() => losaModels[0].saved.has('span')")
    assert span() == pytest.approx([0.8, 7.2], abs=0.02)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 2)
    page.mouse.up()
    page.mouse.move(box["x"], box["y"] + 5, steps=3)
    assert span() == pytest.approx([0.8, 7.2], abs=0.02)


def test_space_enter_loop_and_speed(page):
    page.locator(".lanes").focus()
    press(page, "+", "+", "+", "+")
    assert trait(page, "speed") == 3 and page.evaluate("() => document.querySelector('video').playbackRate") == 3
    press(page, "-", " ")
    playing(page)
    page.get_by_role("button", name="❚❚ Pause").wait_for()
    press(page, " ")
    playing(page, False)
    press(page, "0", "n", "l", "Enter")
    assert trait(page, "loop") is True
    page.evaluate("""() => { globalThis.turns = 0; let last = 0; const v = document.querySelector('video');
        v.addEventListener('seeked', () => { if (v.currentTime < 1.2) globalThis.turns += 1; }); }""")
    page.wait_for_function("() => globalThis.turns >= 2")
    press(page, " ")
    playing(page, False)
    assert 0.9 < now(page) < 2.5


def test_enter_right_after_space_still_ends_with_the_segment(page):
    page.locator(".lanes").focus()
    press(page, "+", "+", "+", "+", "n", " ")
    playing(page)
    press(page, " ", "Enter")
    playing(page, False)
    assert now(page) == 2.0


def test_threshold_and_classes_filter_and_live_map_agrees_with_python(page, timeline):
    maps = page.locator(".maps tr >> nth=1 >> td")
    assert maps.all_inner_texts() == ["first", "62.5 %", "–"]
    assert page.get_by_label("score at least").input_value() == "0.25"
    page.get_by_label("score at least").fill("0.1")
    settled(page)
    page.locator(".lanes").hover(position=at(page, 5.1, 1, row=1))
    assert said(page).startswith("first: wave, 3.00 s – 5.20 s, score 0.20. Right: finds wave")
    exchange(page, timeline)
    assert timeline.min_score == 0.1 and timeline.live_map["first"]["video"] == pytest.approx(0.7)
    assert maps.nth(1).inner_text() == "70.0 %"
    page.get_by_role("button", name="wave").click()
    settled(page)
    assert page.evaluate("() => document.activeElement.dataset.label") == "wave"
    assert maps.nth(1).inner_text() == "90.0 %" and trait(page, "shown_classes") == ["jump", HOSTILE]
    page.get_by_role("button", name="wave").click(modifiers=["Shift"])
    settled(page)
    assert maps.nth(1).inner_text() == "50.0 %" and trait(page, "shown_classes") == ["wave"]
    page.get_by_role("button", name="all", exact=True).click()
    assert trait(page, "shown_classes") == ["jump", "wave", HOSTILE]


def test_soft_nms_asks_python_once_at_a_time_and_then_for_the_data_set(page, timeline):
    page.get_by_label("soft-NMS sigma").focus()
    press(page, "ArrowRight", "ArrowRight")
    page.wait_for_timeout(400)
    assert exchange(page, timeline)[0] == [{"kind": "suppress", "sigma": 0.55, "data_set": False}]
    assert [m["sigma"] for m in exchange(page, timeline)[0]] == [0.6] and exchange(page, timeline) == [[]]
    settled(page)
    assert page.locator(".maps td").all_inner_texts() == ["first", "60.0 %", "60.0 %"] and timeline.sigma == 0.6
    assert len(trait(page, "tracks")["first"]) == 1 and page.locator("progress").is_hidden()


def test_zoom_by_wheel_drag_keys_and_overview(page):
    box = page.locator(".lanes").bounding_box()
    page.locator(".lanes").focus()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    page.mouse.wheel(0, -100)
    page.wait_for_function("() => losaModels[0].saved.has('span')")
    assert trait(page, "span") == pytest.approx([0.8, 7.2], abs=0.02)
    page.mouse.down()
    page.mouse.move(box["x"], box["y"] + 5, steps=3)
    page.mouse.up()
    span = lambda: page.evaluate("() => [...losaGroups.values()][0].span")  # noqa: E731
    assert span() == pytest.approx([1.6, 8.0], abs=0.02)
    press(page, "f", "5", "z", "z")
    assert span() == pytest.approx([3, 5])
    press(page, "PageDown")
    assert span() == pytest.approx([4, 6])
    strip = page.locator(".overview").bounding_box()
    x = lambda time: strip["x"] + strip["width"] * time / DURATION  # noqa: E731
    for start, end in ((5, 4), (4.99, 6)):  # the window, then its right end
        page.mouse.move(x(start), strip["y"] + 9)
        page.mouse.down()
        page.mouse.move(x(end), strip["y"] + 9, steps=2)
        page.mouse.up()
    assert span() == pytest.approx([3, 6], abs=0.03)
    page.mouse.click(x(1), strip["y"] + 9)
    assert span() == pytest.approx([0, 3], abs=0.03)
    page.locator(".lanes").dblclick(position={"x": box["width"] * 0.9, "y": 30})
    assert span() == [0, DURATION]


def test_nothing_typed_leaves_the_widget_and_all_that_takes_focus_is_marked(page):
    page.evaluate("""() => { globalThis.leaked = [];
        for (const kind of ['keydown', 'keyup', 'keypress']) {
          document.body.addEventListener(kind, (e) => leaked.push(e.key)); } }""")
    marked = page.evaluate("""() => [...document.querySelectorAll('.losa, .losa *')].filter(e => e.tabIndex >= 0
        || e.hasAttribute('tabindex')).map(e => e.dataset.lmSuppressShortcuts === 'true')""")
    assert len(marked) >= 12 and all(marked)
    page.locator(".lanes").focus()
    press(page, *"bmdaxzqh", "Enter", "Delete", "Escape", "Control+b", "?", "Shift+Tab", "b")
    page.locator("video").click()
    playing(page)
    press(page, "b", " ")
    assert page.evaluate("() => leaked") == [] and page.locator(".help").is_visible()
    press(page, "Escape")
    assert page.locator(".help").is_hidden()


def test_another_video_in_its_place(page, timeline):
    page.locator(".chip").first.focus()
    timeline.show(None, {"truth": [], "other": [{"segment": [1, 2], "label": "sit", "score": 0.4}]}, duration=4)
    for name in ("selected", "lanes", "tracks", "colours", "shown_classes", "duration", "span", "ap", "source"):
        page.evaluate("([name, value]) => losaModels[0].set(name, value)", [name, timeline.page_state()[name]])
    settled(page)
    assert page.locator(".chip").all_inner_texts() == ["sit"] and page.locator("video").is_hidden()
    assert page.evaluate("() => document.activeElement.className") == "lanes"
    page.locator(".lanes").hover(position={"x": page.locator(".lanes").bounding_box()["width"] * 0.4, "y": 17 + 9 + 39})
    assert said(page) == "other: sit, 1.00 s – 2.00 s, score 0.40. Wrong, background: no action is labelled here."


def test_without_a_kernel_and_a_video(browser, tmp_path, video, timeline):
    timeline.frames = lambda times: [jpeg(i) for i in range(len(times))]
    with shown(browser, tmp_path, timeline, live=False, max_video_mb=0.001, scheme="dark") as page:
        page.wait_for_function("() => document.images.length === 12 && [...document.images].every(i => i.width)")
        assert page.get_by_label("soft-NMS sigma").is_hidden() and page.locator(".play").is_hidden()
        page.locator(".still").nth(5).click()
        assert now(page) == pytest.approx(DURATION * 5.5 / 12, abs=1e-3)
        page.get_by_label("score at least").fill("0.8")
        settled(page)
        assert page.locator(".maps td").nth(1).inner_text() == "35.0 %"
        picture(page, "timeline_offline_dark")


@contextlib.contextmanager
def unplayable(browser, tmp_path, timeline):
    """The page of a video that the browser could not play and whose frames it has asked for."""
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 5000)
    timeline.video, timeline.frames = tmp_path / "broken.mp4", lambda times: [jpeg(3)] * len(times)
    with shown(browser, tmp_path, timeline) as page:
        page.locator("text=cannot play").wait_for()
        exchange(page, timeline)
        yield page


def test_a_video_that_the_browser_cannot_play_says_so_and_asks_for_frames(browser, tmp_path, timeline):
    with unplayable(browser, tmp_path, timeline) as page:
        page.wait_for_function("() => document.images.length === 12")


def test_shown_again_it_asks_for_frames_again(browser, tmp_path, timeline):
    with unplayable(browser, tmp_path, timeline) as page:
        page.evaluate("() => losaModels[0].set('poster', [])")  # as `show` does, with the same source
        page.wait_for_function("() => losaModels[0].sent.length")
        assert exchange(page, timeline) == [[{"kind": "poster"}]]
        page.evaluate("() => losaModels[0].set('title', 'x')")


def test_what_is_ambiguous_is_no_error(browser, tmp_path):
    truth = [{"segment": [1, 2], "label": "Ambiguous", "ambiguous": True}, {"segment": [4, 5], "label": "jump"}]
    run = [{"segment": [1.5, 2.5], "label": "jump", "score": 0.9}]
    with shown(browser, tmp_path, Timeline(None, {"truth": truth, "run": run}, duration=DURATION)) as page:
        page.locator(".lanes").focus()
        press(page, "e")
        assert trait(page, "selected") == ["truth", 1] and said(page).endswith("Missed by run.")
        press(page, "p")
        assert said(page).endswith("Ambiguous: belongs to no class and counts for nothing.")
        page.locator(".lanes").hover(position=at(page, 2, 1))
        assert said(page).endswith("Counts for nothing: it touches an ambiguous stretch.")
        assert "empty: counts for nothing" in page.locator(".legend").inner_text()
        picture(page, "ambiguous")


def test_predictions_alone_are_neither_right_nor_wrong_and_follow_the_threshold(browser, tmp_path):
    alone = Timeline(None, {"found": FIRST}, duration=DURATION, has_truth=False)
    with shown(browser, tmp_path, alone) as page:
        assert page.get_by_role("button", name="next error").is_hidden()
        assert page.locator(".legend").inner_text() == "fainter: lower score"
        assert page.locator(".lanes").get_attribute("aria-label") == "Segments; found: 3 segments"
        page.locator(".lanes").hover(position=at(page, 1.5, 0))
        assert said(page) == "found: jump, 1.04 s – 2.00 s, score 0.90."
        page.locator(".lanes").focus()
        press(page, "e", "n")
        assert trait(page, "selected") == ["found", 0]
        page.get_by_label("score at least").fill("0.8")
        settled(page)
        assert page.locator(".lanes").get_attribute("aria-label") == "Segments; found: 1 segment"
        press(page, "Tab")
        page.locator(".lanes").focus()
        press(page, "End")
        assert now(page) == DURATION
        press(page, "Home")
        assert now(page) == 0
        picture(page, "predictions_alone")


def test_many_segments_only_those_in_sight_are_drawn(browser, tmp_path):
    many = Timeline(None, tracks(segments=2000, num=6, duration=3600.0), duration=3600.0, min_score=0.0)
    with shown(browser, tmp_path, many) as page:
        settled(page)
        assert inked(page, ".lanes canvas") > 0.3
        count = """() => { let bars = 0; const fill = CanvasRenderingContext2D.prototype.fillRect;
            CanvasRenderingContext2D.prototype.fillRect = function (...at) { bars += 1; fill.apply(this, at); };
            losaModels[0].set('span', [100, 136]);
            return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(bars)))); }"""
        assert page.evaluate(count) < 500
        assert json.dumps(many.tracks).count("verdict") == 12_000
        strip = page.locator(".overview").bounding_box()  # the narrow window is dragged, not pulled longer
        page.mouse.move(strip["x"] + strip["width"] * 118 / 3600, strip["y"] + 9)
        page.mouse.down()
        page.mouse.move(strip["x"] + strip["width"] * 1018 / 3600, strip["y"] + 9, steps=3)
        page.mouse.up()
        assert page.evaluate("() => [...losaGroups.values()][0].span") == pytest.approx([1000, 1036], abs=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_page(browser, tmp_path, timeline, scheme):
    with shown(browser, tmp_path, timeline, size=(420, 900), scheme=scheme) as page:
        settled(page)
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"timeline_narrow_{scheme}")


def test_what_python_selects_comes_into_sight(page):
    page.evaluate("() => { document.querySelector('main').style.paddingBottom = '3000px'; scrollTo(0, 2500); }")
    assert page.locator(".timeline").bounding_box()["y"] < -1000
    page.evaluate("() => losaModels[0].set('selected', ['first', 1])")
    page.wait_for_function("() => scrollY < 100")
    page.evaluate("""() => { document.activeElement.blur(); // the lanes still in sight, the video above them
        scrollTo(0, scrollY + document.querySelector('.stage').getBoundingClientRect().bottom + 5); }""")
    assert page.locator(".timeline").bounding_box()["y"] < 0
    page.evaluate("() => losaModels[0].set('selected', ['first', 2])")
    page.wait_for_function("() => document.querySelector('.stage').getBoundingClientRect().top > -2")


def test_the_video_is_beside_the_lanes_stays_in_sight_and_is_pulled_larger(browser, tmp_path, video):
    many = Timeline(video, {f"run {i}": FIRST for i in range(30)}, duration=DURATION, has_truth=False)
    gates = Gates(np.ones((4, 2, 8)), np.ones((4, 2, 8)), np.arange(8) + 0.5, layers=[1, 2, 3, 4],
                  ranges=["short", "long"], duration=DURATION, static=False)
    link(many, gates)
    with shown(browser, tmp_path, many, gates, size=(900, 700)) as page:
        page.wait_for_function("() => document.querySelector('video').readyState >= 2")
        box = lambda css: page.locator(css).bounding_box()  # noqa: E731
        settled(page)
        assert box("video")["x"] + box("video")["width"] < box(".lanes")["x"] and box(".lanes")["y"] < 150
        page.evaluate("() => scrollTo(0, 600)")
        assert 0 <= box("video")["y"] < 20
        wide, high, left = box("video")["width"], box("video")["height"], box(".lanes")["x"]
        page.locator(".side").evaluate("e => { e.style.width = '520px'; }")  # as its corner is pulled
        page.wait_for_function("x => document.querySelector('.lanes').getBoundingClientRect().x > x + 100", arg=left)
        assert box("video")["width"] > 1.3 * wide
        assert box("video")["height"] / box("video")["width"] == pytest.approx(high / wide, rel=0.02)
        settled(page)
        axis = box("canvas.map")["x"] + 206  # of the gates, after their names
        assert axis == pytest.approx(box(".lanes canvas")["x"], abs=1)
        page.set_viewport_size({"width": 600, "height": 700})
        settled(page)
        assert box("video")["y"] + box("video")["height"] < box(".lanes")["y"]
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_video_and_lanes_and_gates_fit_one_screen(browser, tmp_path, video, timeline):
    gates = Gates(np.ones((4, 2, 8)), np.ones((4, 2, 8)), np.arange(8) + 0.5, layers=[1, 2, 3, 4],
                  ranges=["short", "long"], duration=DURATION, static=False)
    link(timeline, gates)
    timeline.title = "a title"
    with shown(browser, tmp_path, timeline, gates, size=(950, 700)) as page:
        page.wait_for_function("() => document.querySelector('video').readyState >= 2")
        settled(page)
        bottom = page.locator("canvas.map").bounding_box()
        assert bottom["y"] + bottom["height"] <= 700 and page.locator("video").bounding_box()["y"] >= 0
        picture(page, "timeline_gates_one_screen")


def test_full_screen_keeps_the_keys(page):
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement?.classList.contains('timeline')")
    press(page, "5")
    assert now(page) == 4
    press(page, " ")
    playing(page)
    press(page, " ")
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => !document.fullscreenElement")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder and its address on a server of this machine."""
    folder = tmp_path_factory.mktemp("site")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("content", "told"), [
    (None, "my v.mp4 is not there: was it moved or renamed?"), (b"\0" * 5000, "its format is strange"),
    (b"", "my v.mp4 is empty (0 bytes): was it copied in full?")])
@pytest.mark.parametrize("from_file", [False, True], ids=["http", "file"])
def test_a_video_that_is_gone_or_empty_is_not_called_a_strange_format(browser, site, content, told, from_file):
    folder, address = site
    (folder / "my v.mp4").unlink(missing_ok=True)
    if content is not None:
        (folder / "my v.mp4").write_bytes(content)
    view = Timeline(None, {"truth": TRUTH}, duration=DURATION)
    view.source = {"kind": "link", "path": "my%20v.mp4", "message": "its format is strange"}
    text = html.page_text("x", html.widget_place(0), styles=[view.style], linked=True,
                          widgets=[(view.script, view.page_state())])
    (folder / "page.html").write_text(text, encoding="utf8")
    opened = browser.new_page()
    opened.goto((folder / "page.html").as_uri() if from_file else f"{address}/page.html")
    if from_file and not content:
        told = "my v.mp4 is not there: was it moved or renamed, or is it empty?"
    opened.wait_for_function("told => document.querySelector('.problem').textContent === told", arg=told)
    opened.close()


def test_a_lane_whose_segments_are_all_below_the_threshold_says_so(page):
    label = lambda: page.locator(".lanes").get_attribute("aria-label")  # noqa: E731
    assert "nothing above" not in label()
    page.get_by_label("score at least").fill("0.6")
    settled(page)
    assert label().endswith("second: 0 of 3 found, 0 wrong; nothing above 0.60, the best is 0.50")
    page.get_by_label("score at least").fill("0.95")
    settled(page)
    assert "truth: 3 segments; first: 0 of 3 found, 0 wrong; nothing above 0.95, the best is 0.90;" in label()
