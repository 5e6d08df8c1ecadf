"""From segments to AP in a real browser: the JavaScript judges, measures and suppresses as the package does."""

import numpy as np
import pytest
import torch

from helpers.browser import HOSTILE, inked, opened, picture, settled, trait
from losa.evaluation.average_precision import evaluate as evaluate_in_python
from losa.evaluation.average_precision import match_classes
from losa.inference.nms import soft_nms
from widgets import share
from widgets.matching import Matching

TRUTH = {"a": [[2.0, 4.0], [10.0, 14.0]], HOSTILE: [[1.0, 2.0]]}
FOUND = {"a": [[2.0, 4.0, 0.9], [10.0, 12.0, 0.8], [2.1, 4.1, 0.7], [16.0, 18.0, 0.6]], HOSTILE: [[1.0, 2.0, 0.3]]}
CANDIDATES = [[2.0, 4.0, 0.9], [2.2, 4.2, 0.85], [10.0, 12.0, 0.8], [9.0, 12.5, 0.4]]
LEFT = 232


@pytest.fixture
def page(browser, tmp_path):
    view = Matching(TRUTH, FOUND, CANDIDATES, video="a", duration=20.0, tious=[0.3, 0.5, 0.7], title=HOSTILE)
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
    functions = "//" + Matching._esm.split("// tIoU of two segments")[1].split("// What a row says")[0]
    judge = f"""([truth, found, tiou]) => {{ {functions}
        const rows = matched(truth, found, tiou), total = Object.values(truth).flat().length;
        return [rows.map(r => [r.score, r.right]), precisionRecall(rows, total).ap]; }}"""
    suppress = f"""([rows, sigma]) => {{ {functions}
        return decayed(rows, sigma, 0.05, 1000).filter(r => r.kept).sort((a, b) => a.kept - b.kept)
          .map(r => [...r.segment, r.score]); }}"""
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
    for _ in range(20):
        start, sigma = rng.uniform(0, 6, 25), float(rng.choice([0.1, 0.5, 1.5]))
        rows = np.stack([start, start + rng.uniform(0.5, 4, 25), rng.uniform(0.01, 1, 25)], 1)
        own = page.evaluate(suppress, [rows.tolist(), sigma])
        given = torch.tensor(rows)
        segments, scores, _ = soft_nms(given[:, :2], given[:, 2], torch.zeros(25, dtype=torch.long), sigma=sigma,
                                       min_score=0.05)
        np.testing.assert_allclose(own, torch.cat([segments, scores[:, None]], 1), atol=1e-6)


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
    assert trait(page, "ap") == pytest.approx((1 + 2 / 5) / 3) and "as predicted 86.7 %" in page.inner_text(".below")
    page.locator("select").nth(1).select_option("0.3")
    settled(page)
    assert trait(page, "tiou") == 0.3
    page.get_by_text("Put boundaries back").click()
    page.locator("select").nth(1).select_option("0.5")
    settled(page)
    assert trait(page, "ap") == before and trait(page, "given") == FOUND
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


def test_soft_nms_goes_step_by_step_and_back(page):
    page.locator("select").first.select_option("steps")
    settled(page)
    assert page.locator(".plot:visible").count() == 0 and "Step 0." in page.inner_text(".below")
    page.get_by_text("Next step").click()
    settled(page)
    page.locator("canvas").first.click(position=bar(page, 1, 3.0))
    after = 0.85 * np.exp(-((1.8 / 2.2) ** 2) / 0.5)
    assert page.locator(".readout").inner_text() == f"2.20 to 4.20 s: 0.850 → {after:.3f}, tIoU 0.82"
    page.get_by_text("To the end").click()
    settled(page)
    assert trait(page, "step") == 4 and "kept, step 4" in page.locator(".readout").inner_text()
    page.get_by_text("Back").first.click()
    settled(page)
    assert trait(page, "step") == 3 and page.locator("img").count() == 0


def test_in_the_dark_and_where_nothing_is_found(browser, tmp_path):
    view = Matching(TRUTH, {}, [], video="a", duration=20.0)
    with opened(browser, share.page(tmp_path / "page.html", view), scheme="dark") as page:
        assert page.locator(".readout").inner_text() == "Nothing is found here."
        page.locator("canvas").first.focus()
        for key in ("ArrowRight", "ArrowDown", "s"):
            page.keyboard.press(key)
        assert trait(page, "ap") == 0
