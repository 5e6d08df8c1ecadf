"""Gates and features in a real browser: drawn, read out, linked, with keys that stay inside."""

import numpy as np
import pytest

from helpers.browser import HOSTILE, exchange, inked, opened, picture, settled, shown, trait
from widgets import share
from widgets.base import link
from widgets.features import Features
from widgets.gates import Gates

LABELS, N = [HOSTILE, "wave"], 40
TIMES = np.arange(N) + 0.5
STEP = np.where(TIMES < 20, 0.25, 0.75) * np.ones((3, 2, 1))  # gates that open at half time
PROFILE = {"classes": LABELS, "lengths": ["S", "L"], "background": {"gate": STEP[..., 0], "contribution": STEP[..., 0]}}
PROFILE |= {f"by_{by}": {kind: [STEP[..., 0], None] for kind in ("gate", "contribution")} for by in ("class", "length")}


def gates(values=STEP, *, static=False, **more):
    return Gates(values, np.ones_like(STEP) * [[[1]], [[2]], [[3]]], TIMES, layers=[0, 4, 11], ranges=["short", "long"],
                 duration=40.0, static=static, profile=PROFILE, title=HOSTILE, **more)


def features():
    near = 1 - np.abs(TIMES[:, None] - TIMES) / 40
    labels = [LABELS[0]] * 10 + [""] * 20 + [LABELS[1]] * 10
    taps = [{"name": name, "similarity": s, "xy": np.stack([TIMES, 0.5 * TIMES], 1), "explained": [0.6, 0.3]}
            for name, s in ((HOSTILE, near), ("fused", near ** 2))]
    return Features(taps, TIMES, labels, duration=40.0, classes=LABELS, title="features")


@pytest.fixture
def page(browser, tmp_path):
    views = gates(), features()
    link(*views)
    with shown(browser, tmp_path, *views) as page:
        settled(page)
        page.views = views
        yield page


def at(page, x, y, css="canvas >> nth=0"):
    """Moves the mouse to this place of a canvas and returns what is read out."""
    page.locator(css).hover(position={"x": x, "y": y})
    return page.locator(".readout").nth(0 if "nth=0" in css else 1).inner_text()


def pixel(page, x, y, number=0):
    """[red, green, blue, alpha] at a place of a canvas, read from a copy: a browser warns of reading one often."""
    return page.evaluate("""([x, y, n]) => { const c = document.createElement('canvas'), g = c.getContext('2d');
        const from = document.querySelectorAll('canvas')[n], ratio = from.width / from.clientWidth;
        g.drawImage(from, -Math.floor(x * ratio), -Math.floor(y * ratio));
        return [...g.getImageData(0, 0, 1, 1).data]; }""", [x, y, number])


def test_the_map_shows_the_numbers_in_the_colours_of_the_bar(page):
    width = page.locator("canvas").first.bounding_box()["width"] - 206
    assert inked(page) > 0.3
    assert at(page, 206 + width * 0.8, 27).startswith("32.0 s, block 0, long, gate 0.75, size 1.00")
    low, high = (pixel(page, 206 + width * share, 27)[:3] for share in (0.2, 0.8))
    assert high == [253, 231, 37] and low[2] > low[0]  # the largest value is yellow, a third of it is bluish
    page.locator("select").first.select_option("contribution")
    settled(page)
    assert page.locator(".scale").first.inner_text().split() == ["0.00", "1.13", "2.25"]  # 3 x 0.75
    assert pixel(page, 206 + width * 0.8, 27)[:3] != high == pixel(page, 206 + width * 0.8, 5 * 18 + 9)[:3]
    picture(page, "gates")


def test_playhead_and_span_are_those_of_the_group(page):
    box = page.locator("canvas").first.bounding_box()
    page.locator("canvas").first.click(position={"x": 206 + (box["width"] - 206) * 0.25, "y": 9})
    settled(page)
    assert page.locator(".readout").first.inner_text().startswith("10.0 s, block 0, short, gate 0.25")
    size = page.locator("canvas").nth(1).bounding_box()["width"]
    red = pixel(page, round(14 + (size - 14) * 0.25), 200, 1)
    assert red[:3] == [208, 2, 27]  # the cross in the other widget
    page.locator("canvas").nth(1).click(position={"x": 14 + (size - 14) * 0.75 + 1, "y": 100})
    assert page.locator(".readout").nth(1).inner_text() == "30.5 s (wave)"
    page.evaluate("() => losaModels[1].set('span', [10, 20])")
    settled(page)
    assert at(page, box["width"] - 2, 9).startswith("20.0 s, block 0")
    page.wait_for_function("() => losaModels[0].saved.has('span')")
    exchange(page, *page.views)
    assert [view.current_time for view in page.views] == [30.5, 30.5] and page.views[0].span == [10, 20]


def test_keys_read_the_map_and_stay_inside(page):
    page.evaluate("() => { window.leaks = []; document.addEventListener('keydown', e => leaks.push(e.key)); }")
    page.locator("canvas").first.focus()
    for key in ("ArrowDown", "ArrowDown", "5", "ArrowRight", "Shift+ArrowRight", ".", "b", "d", "Enter", "Delete"):
        page.keyboard.press(key)
    assert page.locator(".readout").first.inner_text().startswith("27.0 s, block 0, long, gate 0.75, size 1.00")
    page.keyboard.press("z")
    page.wait_for_function("() => String(losaModels[1].get('span')) === '13.5,33.5'")  # around the playhead, in both
    page.keyboard.press("f")
    page.wait_for_function("() => String(losaModels[0].get('span')) === '0,40'")
    for node in page.locator("[tabindex], select, button").all():
        assert node.get_attribute("data-lm-suppress-shortcuts") == "true"
        node.focus()
        page.keyboard.press("x")
    assert page.evaluate("() => leaks") == []


def test_hover_and_click_in_the_features(page):
    size = page.locator("canvas").nth(1).bounding_box()["width"]
    place = 14 + (size - 14) / 80  # the middle of the first snippet
    assert at(page, place, 14 + (size - 14) * 79 / 80, "canvas >> nth=1") == (
        f"0.5 s ({HOSTILE}) and 39.5 s (wave): similarity 0.03")  # 1 - 39 / 40, a little above 0.025
    page.locator(".features select").select_option("1")
    settled(page)
    assert page.locator(".features").inner_text().count("60 % and 30 % of the variance") == 1
    assert inked(page, number=1) > 0.5 and inked(page, number=2) > 0.01
    page.locator("canvas").nth(2).click(position={"x": 16, "y": size * 0.75})
    assert page.locator(".readout").nth(1).inner_text() == f"0.5 s ({HOSTILE})"
    assert page.locator(".features .disc").count() == 3 and page.locator("img").count() == 0


def test_the_table_is_by_class_or_by_length_and_python_hears_of_it(page):
    rows = page.locator("tbody tr")
    assert rows.locator("th").all_inner_texts() == [*LABELS, "background"]
    assert rows.nth(0).locator("td").all_inner_texts() == ["0.25"] * 6
    assert rows.nth(1).locator("td").all_inner_texts() == ["–"] * 6
    page.locator("select").nth(1).select_option("length")
    settled(page)
    assert rows.locator("th").all_inner_texts() == ["S", "L", "background"]
    exchange(page, *page.views)
    assert page.views[0].by == "length" and trait(page, "kind") == "gate"


def test_static_signed_and_missing_gates(browser, tmp_path):
    signed = gates(np.array([[0.9, 0.4], [-0.5, 0.1], [0, 0.2]])[..., None] * np.ones(N), static=True)
    several = gates(np.sin(TIMES / 4) * np.ones((3, 2, 1)))
    nothing = Gates(None, None, TIMES, layers=[], ranges=[], duration=40.0, static=False)
    with opened(browser, share.page(tmp_path / "page.html", signed, several, nothing), scheme="dark") as page:
        settled(page)
        assert page.locator("select").first.locator("option").all_inner_texts() == [
            "contribution: |gate| × size", "size of the adapters' output"]
        assert at(page, 300, 2 * 18 + 9).split(", ")[1:4] == ["block 4", "short", "gate -0.50"]
        left, right = pixel(page, 114 + 27 - 6, 45), pixel(page, 114 + 27 + 6, 45)
        assert left[3] == 255 and right[3] == 0  # the bar of a negative gate goes to the left
        assert page.locator(".scale").nth(1).inner_text().split() == ["-1.00", "0.00", "1.00"]
        assert page.locator(".gates").nth(2).inner_text().strip().startswith("This model has no gates")
        assert page.locator("canvas:visible").count() == 2
        picture(page, "gates_dark")


def test_a_new_video_is_drawn_in_place(page):
    page.views[0].show(np.full((1, 1, 5), 0.5), np.ones((1, 1, 5)), np.arange(5) + 0.5, layers=[2], ranges=["both"],
                       duration=5.0, static=True)
    state = {name: value for name, value in page.views[0].page_state().items() if not isinstance(value, bytes)}
    bytes_of = {name: list(getattr(page.views[0], name)) for name in ("gates", "norms", "times")}
    page.evaluate("""([state, bytes]) => { for (const [n, v] of Object.entries(bytes)) state[n] = new DataView(
        new Uint8Array(v).buffer); for (const [n, v] of Object.entries(state)) losaModels[0].set(n, v); }""",
                  [state, bytes_of])
    settled(page)
    assert page.locator(".gates .profile:visible").count() == 0
    assert at(page, 600, 9).split(", ")[1:3] == ["block 2", "both"]


def test_colours_are_even_in_lightness(page):
    text = "const RISING" + Gates.script.split("const RISING")[1].split("// Limits of a colour scale")[0]
    reds = page.evaluate(f"() => {{ {text} return [[0, 1], [-1, 1]].map(l => [...Array(21).keys()].map(i =>"
                         " coloured(l[0] + (l[1] - l[0]) * i / 20, l))); }")

    def lightness(colours):
        linear = np.array(colours) / 255
        linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
        return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16

    rising, signed = map(lightness, reds)
    steps = np.diff(rising)
    assert (steps > 2).all() and steps.max() < 1.8 * steps.mean()
    assert signed.argmax() == 10 and np.abs(signed - signed[::-1]).max() < 10  # both signs equally strong
