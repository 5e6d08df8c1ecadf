"""From segments to AP in a real browser: the JavaScript judges and measures as the package does."""

import numpy as np
import pytest

from helpers.browser import HOSTILE, inked, opened, picture, settled, trait
from losa.evaluation.average_precision import evaluate as evaluate_in_python
from losa.evaluation.average_precision import match_classes
from widgets import share
from widgets.base import HERE
from widgets.matching import Matching

TRUTH = {"a": [[2.0, 4.0], [10.0, 14.0]], HOSTILE: [[1.0, 2.0]]}
FOUND = {"a": [[2.0, 4.0, 0.9], [10.0, 12.0, 0.8], [2.1, 4.1, 0.7], [16.0, 18.0, 0.6]], HOSTILE: [[1.0, 2.0, 0.3]]}
LEFT = 232


@pytest.fixture
def page(browser, tmp_path):
    view = Matching(TRUTH, FOUND, video="a", duration=20.0, title=HOSTILE)
    with opened(browser, share.page(tmp_path / "page.html", view), size=(1000, 600)) as page:
        yield page


def made_up(rng):
    """Truth and predictions of one class in four videos, some near, some alike, some of no length."""
    truth = {f"v{i}": [[start, start + rng.choice([0.0, 1.0, 1.0]) * rng.uniform(0.5, 3)]
                       for start in rng.uniform(0, 20, rng.integers(0, 5))] for i in range(4)}
    truth["v0"].append([3.0, 6.0])
    scores = iter(rng.permutation(400) / 400)  # no two alike: their order is not defined
    found = {name: [[*sorted((max(0.0, s + rng.normal(0, 0.5)), e + 0.6)), next(scores)]
                    for s, e in rows for _ in range(3)]
             + [[s, s, next(scores)] for s, _ in rows[:1]] for name, rows in truth.items()}
    return truth, found


def test_ap_and_matches_equal_the_packages_evaluator(page):
    source = (HERE / "matching.js").read_text("utf8")
    functions = source.split("// What a row says")[0]
    judge = f"""([truth, found, tiou]) => {{ {functions}
        const rows = matched(truth, found, tiou), total = Object.values(truth).flat().length;
        return [rows.map(r => [r.score, r.right]), precisionRecall(rows, total).ap]; }}"""
    rng = np.random.default_rng(0)
    for _ in range(60):
        truth, found = made_up(rng)
        records = [{name: [{"segment": row[:2], "label": "x", "score": (row + [1.0])[2]} for row in rows]
                    for name, rows in side.items()} for side in (truth, found)]
        for tiou in (0.1, 0.5, 0.75):
            rows, ap = page.evaluate(judge, [truth, found, tiou])
            assert ap == pytest.approx(evaluate_in_python(*records, tiou=[tiou]).average_map, abs=1e-9)
            matches = match_classes(*records, [tiou], "activitynet")["x"]
            assert [bool(right) for _, right in rows] == (matches.matched[0] >= 0).tolist()
            np.testing.assert_allclose([score for score, _ in rows], matches.score)


def bar(page, row, time):
    """The place on the canvas of a row (0: the best prediction) at a time."""
    width = page.locator("canvas").first.bounding_box()["width"] - LEFT
    return {"x": LEFT + width * time / 20, "y": (row + 1) * 19 + 4 + 9}


def test_dragging_a_boundary_moves_tiou_match_and_ap(page):
    before = trait(page, "ap")
    assert before == pytest.approx((1 + 1 + 3 / 5) / 3)  # 0.8 takes the second with a tIoU of just 0.5
    page.locator("canvas").first.click(position=bar(page, 1, 11.0))
    assert page.locator(".readout").inner_text() == "10.00 to 12.00 s: 0.80 right: finds 2, tIoU 0.50"
    box = page.locator("canvas").first.bounding_box()
    start, end = bar(page, 1, 12.0), bar(page, 1, 11.0)
    page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + end["x"], box["y"] + end["y"], steps=4)
    page.mouse.up()
    settled(page)
    moved = trait(page, "predictions")["a"][1]
    assert moved[0] == 10.0 and moved[1] == pytest.approx(11.0, abs=0.1) and moved[2] == 0.8
    assert "wrong: too far from 2, tIoU 0.2" in page.locator(".readout").inner_text()
    assert trait(page, "ap") == pytest.approx((1 + 2 / 5) / 3) and "46.7 %. 2 of 3" in page.inner_text(".below")
    page.evaluate("() => losaModels[0].set('tiou', 0.2)")
    settled(page)
    assert trait(page, "ap") == before and "right: finds 2, tIoU 0.2" in page.locator(".readout").inner_text()
    page.evaluate("found => { losaModels[0].set('tiou', 0.5); losaModels[0].set('predictions', found); }", FOUND)
    settled(page)
    assert trait(page, "ap") == before
    assert inked(page) > 0.01 and inked(page, number=1) > 0.2
    picture(page, "matching")


def test_keys_choose_a_boundary_and_move_it_and_stay_inside(page):
    page.evaluate("() => { window.leaks = []; document.addEventListener('keydown', e => leaks.push(e.key)); }")
    page.locator("canvas").first.focus()
    for key in ("ArrowDown", "e", "ArrowRight", "Shift+ArrowRight", "s", "ArrowLeft", "b", "Enter"):
        page.keyboard.press(key)
        settled(page)
    assert trait(page, "predictions")["a"][1] == pytest.approx([9.9, 12.6, 0.8])
    for _ in range(300):
        page.keyboard.press("Shift+ArrowLeft")
    settled(page)
    assert trait(page, "predictions")["a"][1][0] == 0 and page.evaluate("() => leaks") == []


def ends(page) -> int:
    """How many pixels have the colour of the ends that can be dragged."""
    return page.evaluate("""() => { const canvas = document.querySelector("canvas"), root = canvas.closest(".losa");
      const hex = getComputedStyle(root).getPropertyValue("--head").trim();
      const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)); let found = 0;
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4) found += data[i] === r && data[i + 1] === g && data[i + 2] === b;
      return found; }""")


def test_steps_of_suppression_are_shown_in_place_of_the_predictions_and_cannot_be_dragged(page):
    steps = [{"segment": [2.0, 4.0], "text": f"kept {HOSTILE}", "right": True, "gone": False},
             {"segment": [2.2, 4.2], "text": "0.850 to 0.223", "right": False, "gone": True}]
    assert ends(page)
    page.evaluate("steps => losaModels[0].set('steps', steps)", steps)
    settled(page)
    assert page.locator(".below:visible").count() == 0 and inked(page) > 0.01
    page.locator("canvas").first.click(position=bar(page, 1, 4.2))
    assert page.locator(".readout").inner_text() == "2.20 to 4.20 s: 0.850 to 0.223"
    assert not ends(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    settled(page)
    assert page.locator(".readout").inner_text() == f"2.00 to 4.00 s: kept {HOSTILE}"
    assert trait(page, "predictions") == FOUND and page.locator("img").count() == 0
    page.evaluate("steps => losaModels[0].set('steps', steps)", steps[:1] * 20)
    settled(page)
    assert page.locator("canvas").first.bounding_box()["height"] > 20 * 19, "every candidate has a row"
    page.evaluate("() => losaModels[0].set('steps', [])")
    settled(page)
    assert page.locator(".below:visible").count() == 1 and "0.90 right" in page.locator(".readout").inner_text()


def test_in_the_dark_and_where_nothing_is_found(browser, tmp_path):
    view = Matching(TRUTH, {}, video="a", duration=20.0)
    with opened(browser, share.page(tmp_path / "page.html", view), scheme="dark") as page:
        assert page.locator(".readout").inner_text() == "Nothing is found here."
        page.locator("canvas").first.focus()
        for key in ("ArrowRight", "ArrowDown", "s"):
            page.keyboard.press(key)
        assert trait(page, "ap") == 0
