"""The diagnosis widget in a real browser: every bar opens its segments, every segment its frames."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from helpers.browser import HOSTILE, exchange, opened, picture, settled, shown, trait
from losa.evaluation.diagnose import diagnose
from widgets import share
from widgets.diagnosis import MOST, Diagnosis

CLASSES = ("jump", "wave", HOSTILE)
TRUTH = {"v": [{"segment": [2.0, 4.0], "label": "jump"}, {"segment": [10.0, 14.0], "label": HOSTILE}],
         HOSTILE: [{"segment": [1.0, 9.0], "label": "wave"}, {"segment": [20.0, 21.0], "label": "jump"}]}
GIVEN = [("v", 2, 4, "jump", 0.9), ("v", 2, 4.2, "jump", 0.8), ("v", 2, 3.9, "wave", 0.7), ("v", 3, 7, "jump", 0.6),
         ("v", 10, 11, "wave", 0.5), ("v", 30, 31, "wave", 0.4), (HOSTILE, 1, 9, "wave", 0.45)]
PREDICTIONS = {v: [{"segment": [s, e], "label": label, "score": score} for w, s, e, label, score in GIVEN if w == v]
               for v in TRUTH}


def widget(frames=None, predictions=PREDICTIONS, **options) -> Diagnosis:
    found = diagnose(TRUTH, predictions, durations={v: 40.0 for v in TRUTH})
    return Diagnosis(found, truth=TRUTH, predictions=predictions, classes=CLASSES, frames=frames, **options)


def jpegs(video: str, times: list) -> list[bytes]:
    if video != "v":
        raise ValueError("video moved")
    found = []
    for t in times:
        file = io.BytesIO()
        Image.fromarray(np.full((20, 30, 3), int(t * 10), np.uint8)).save(file, "JPEG")
        found.append(file.getvalue())
    return found


def bar(page, heading, name):
    return page.get_by_role("button", name=re.compile(f"^{heading}.*: {name}, "))


def lines(page) -> list[list[str]]:
    return [line.locator("> span").all_text_contents()[1:] for line in page.locator(".line").all()]


@pytest.mark.parametrize("kind, expected", [
    ("true positive", [["jump", "2.0–4.0 s", "0.90", "tIoU 1.00 with “jump”", "v"],
                       ["wave", "1.0–9.0 s", "0.45", "tIoU 1.00 with “wave”", HOSTILE]]),
    ("double detection", [["jump", "2.0–4.2 s", "0.80", "tIoU 0.91 with “jump”, which another prediction found", "v"]]),
    ("wrong label", [["wave", "2.0–3.9 s", "0.70", "tIoU 0.95 with “jump”, so the label is wrong", "v"]]),
    ("localisation", [["jump", "3.0–7.0 s", "0.60", "tIoU 0.20 with “jump”: less than 0.5", "v"]]),
    ("confusion", [["wave", "10.0–11.0 s", "0.50", f"tIoU 0.25 with “{HOSTILE}”: label and boundaries are off", "v"]]),
    ("background", [["wave", "30.0–31.0 s", "0.40", "touches no instance", "v"]])])
def test_every_kind_opens_its_segments_and_says_why(page, kind, expected):
    bar(page, "What the predictions are", kind).click()
    assert lines(page) == expected
    assert page.locator(".readout").inner_text().startswith(f"What the predictions are: {kind}. ")
    assert bar(page, "What the predictions are", kind).get_attribute("aria-pressed") == "true"
    assert page.locator(".charts [aria-pressed=true]").count() == 1


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with shown(browser, tmp_path_factory.mktemp("page"), widget()) as page:
        yield page


def test_numbers_are_those_of_the_diagnosis(page):
    found = diagnose(TRUTH, PREDICTIONS, durations={v: 40.0 for v in TRUTH})
    text = lambda heading: page.get_by_role("region", name=heading).inner_text()  # noqa: E731
    gains = re.findall(r"[+-]\d+\.\d", text("What mending a kind would add"))
    assert gains == [f"{100 * gain['gain']:+.1f}" for gain in found["gains"]] and float(max(gains)) > 0
    assert f"now {100 * found['average_map_top']:.1f}" in text("What mending a kind would add")
    for key, heading in (("length", "length"), ("coverage", "share"), ("instances", "number of its class")):
        expected = [f"{b['count']} of {b['of']}" for b in found["missed"][key] if b["of"]]
        assert re.findall(r"\d+ of \d+", text(f"Missed by {heading}")) == ["2 of 4", *expected]
    first = page.locator(".slice").first.locator("button")
    assert [b.get_attribute("aria-label").partition(",")[0] for b in first.all()] == [
        f"1G: {part['name']}" for part in found["profile"][0]["parts"] if part["count"]]
    widths = [b.bounding_box()["width"] for b in first.all()]
    shares = [part["share"] for part in found["profile"][0]["parts"] if part["count"]]
    assert np.allclose(np.array(widths) / sum(widths), shares, atol=0.02) and len(widths) > 1


def test_missed_instances_say_what_was_nearest(page):
    page.get_by_role("button", name=re.compile("^Missed by length: XS")).click()
    assert lines(page) == [["jump", "20.0–21.0 s", "", "no prediction of “jump” touches it", HOSTILE]]
    page.get_by_role("button", name=re.compile("^Missed by length: M")).click()
    assert lines(page)[0][3] == f"no prediction of “{HOSTILE}” touches it"
    assert page.locator("img").count() == 0 and page.locator(".line b").count() == 0


def test_a_click_on_a_segment_reaches_python_and_brings_frames(browser, tmp_path):
    view = widget(jpegs)
    with shown(browser, tmp_path, view) as page:
        bar(page, "What the predictions are", "localisation").click()
        page.locator(".line").click()
        exchange(page, view)
        assert view.selected == {"video": "v", "kind": "prediction", "index": 3}
        page.wait_for_function("() => [...document.images].filter(i => i.naturalWidth === 30).length === 3")
        assert page.locator(".frames").inner_text().split() == ["start", "middle", "end"]
        picture(page, "diagnosis")
        bar(page, "Missed by length", "XS.*").click()
        assert page.locator("img").count() == 0
        page.locator(".line").click()
        exchange(page, view)
        assert view.selected == {"video": HOSTILE, "kind": "truth", "index": 1}
        assert page.locator(".frames").inner_text() == "No frames: video moved"
        view.show(diagnose(TRUTH, {}), truth=TRUTH, predictions={}, classes=CLASSES, title="nothing")
        assert view.selected == {}


def test_long_lists_are_paged_and_all_is_reached_by_keys(browser, tmp_path):
    many = {"v": [{"segment": [30.0, 31.0], "label": "jump", "score": 0.9 - i / 1000} for i in range(MOST + 30)]}
    with shown(browser, tmp_path, widget(predictions=many)) as page:
        bar(page, "What the predictions are", "background").focus()
        page.keyboard.press("Enter")
        assert f"{MOST + 30} segments, of which the {MOST} of highest score" in page.locator(".readout").inner_text()
        scores = [float(line[2]) for line in lines(page)]
        assert len(scores) == 12 and scores == sorted(scores, reverse=True)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        focused = "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
        assert page.evaluate(focused).startswith("What the predictions are: background")
        page.locator(".next").focus()
        for _ in range(MOST // 12):
            page.keyboard.press("Enter")
        assert "page 42 of 42" in page.locator(".list").inner_text() and page.evaluate(focused) == "previous"
        assert page.locator("button:not([data-lm-suppress-shortcuts])").count() == 0
        leaked = page.evaluate("""() => { let heard = 0; document.addEventListener('keydown', () => { heard += 1; });
            for (const b of document.querySelectorAll('button')) b.dispatchEvent(new KeyboardEvent('keydown',
              { key: 'd', bubbles: true })); return heard; }""")
        assert leaked == 0


@pytest.mark.parametrize("scheme, width", [("light", 1180), ("dark", 700), ("light", 380)])
def test_an_offline_page_shows_all_but_frames_and_cuts_nothing_off(browser, tmp_path, scheme, width):
    file = share.page(tmp_path / "page.html", widget(jpegs, title=HOSTILE))
    with opened(browser, file, size=(width, 900), scheme=scheme) as page:
        assert page.locator(".title").inner_text() == HOSTILE
        bar(page, "1G", "true positive").click()
        page.locator(".line").first.click()
        settled(page)
        assert trait(page, "selected")["kind"] == "prediction" and page.locator("img").count() == 0
        assert page.evaluate("() => losaModels[0].sent.length") == 0
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"diagnosis_{scheme}_{width}")


def test_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match="colour"):
        widget(colour="red")


def test_times_of_long_videos_are_told_as_the_timeline_tells_them(browser, tmp_path):
    truth = {"v": [{"segment": [3590.0, 8042.6], "label": "jump"}, {"segment": [3.25, 80.0], "label": "jump"}]}
    view = Diagnosis(diagnose(truth, {}), truth=truth, predictions={}, classes=CLASSES)
    with shown(browser, tmp_path, view) as page:
        bar(page, "Missed by number of its class", "2-4").click()
        assert [line[1] for line in lines(page)] == ["59:50.0–2:14:02.6", "3.3–80.0 s"]
