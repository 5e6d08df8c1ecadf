"""The table of segments in a real browser: filtered, sorted, walked by keys, tagged; pictures of what is in sight."""

import random

import pytest

from helpers.browser import exchange, jpeg, opened, picture, settled, shown, trait
from widgets import share
from widgets.segments import Segments

ERRORS = ("true positive", "double detection", "wrong label", "localisation", "confusion", "background")


def columns(number=200):
    """Made-up segments, the first of each ten a missed ground truth."""
    draw = random.Random(0)
    rows = [{"video": f"v{i % 7}", "kind": "prediction" if i % 10 else "truth", "index": i, "start": float(i % 90),
             "end": i % 90 + draw.uniform(0.5, 9), "predicted": draw.choice("ab") if i % 10 else "",
             "really": draw.choice("abc"), "score": draw.random() if i % 10 else None,
             "error": draw.choice(ERRORS) if i % 10 else "missed"} for i in range(number)]
    return {name: [row[name] for row in rows] for name in rows[0]}


def lines(page) -> list[list[str]]:
    return [line.locator("> span").all_text_contents()[1:] for line in page.locator("[role=option]").all()]


def widget(number=200, **options):
    return Segments(columns(number), classes="abc", **options)


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with shown(browser, tmp_path_factory.mktemp("page"), widget()) as page:
        yield page


@pytest.mark.parametrize("wanted, keep", [
    ({}, lambda r: r["error"] != "true positive"), ({"error": "all"}, lambda r: True),
    ({"error": "wrong label", "low": 0.4, "high": 0.8},
     lambda r: r["error"] == "wrong label" and 0.4 <= r["score"] <= 0.8),
    ({"error": "all", "predicted": "a", "really": "b"}, lambda r: (r["predicted"], r["really"]) == ("a", "b")),
    ({"error": "all", "low": 0.5}, lambda r: r["score"] is not None and r["score"] >= 0.5),
    ({"error": "all", "predicted": "–"}, lambda r: r["predicted"] == ""),
    ({"error": "missed", "video": "v3", "longest": 5}, lambda r: r["error"] == "missed" and r["video"] == "v3"
        and round(r["end"], 4) - round(r["start"], 4) <= 5)])
def test_filters_leave_the_rows_that_a_plain_loop_leaves(page, wanted, keep):
    page.evaluate("shown => losaModels[0].set('shown', shown)", wanted)
    settled(page)
    given = columns()
    rows = [row for row in (dict(zip(given, values, strict=True)) for values in zip(*given.values(), strict=True))
            if keep(row)]  # fmt: skip
    assert page.locator(".readout").inner_text().startswith(f"{len(rows)} of 200 segments")
    assert [line[:3] for line in lines(page)] == [
        [row["error"], row["predicted"] or "–", row["really"]] for row in rows[:len(lines(page))]] and rows


def test_a_field_filters_and_a_head_sorts(page):
    page.get_by_label("What it is", exact=True).select_option("all")
    choices = page.get_by_label("Predicted label").locator("option").all_text_contents()
    assert choices == ["any prediction", "predicted a", "predicted b", "predicted nothing"]  # no c: nothing has it
    for key, low in (("Tab", 0.5), ("Enter", 0.6)):
        page.get_by_label("score at least").fill(str(low))
        page.keyboard.press(key)
        assert trait(page, "shown")["low"] == low
    assert not trait(page, "selected")  # Enter was the field's and played nothing
    for falling in (False, True):
        page.get_by_role("button", name="sort by length").click()
        settled(page)
        lengths = [float(line[4].split()[0]) for line in lines(page)]
        assert lengths == sorted(lengths, reverse=falling) and len(lengths) > 5
    page.evaluate("() => losaModels[0].set('shown', {error: 'all', shortest: 100})")
    settled(page)
    assert lines(page) == [] and "Nothing passes the filters" in page.locator(".readout").inner_text()


def test_keys_walk_play_and_tag_and_only_rows_in_sight_get_pictures(browser, tmp_path):
    view, put = widget(2000, frames=lambda video, times: [jpeg(i) for i in range(3)]), []
    view.let_tag(("ambiguous", "model wrong"), lambda *what: put.append(what), {})
    with shown(browser, tmp_path, view) as page:
        for _ in range(12):
            exchange(page, view)
            settled(page)
        page.wait_for_function("() => [...document.images].filter(i => i.naturalWidth).length >= 18")
        assert page.locator("[role=option]").count() < 15
        page.locator(".pane").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowUp", "Enter"):
            page.keyboard.press(key)
        sent = exchange(page, view)[0]
        index = [i for i, error in enumerate(columns(2000)["error"]) if error != "true positive"][1]
        assert view.selected["index"] == index and [m for m in sent if m["kind"] == "play"]
        for _ in range(2):
            settled(page)
        span = page.evaluate("() => { const [group] = losaGroups.values(); return [group.time, group.until]; }")
        assert span == pytest.approx([columns(2000)[name][index] for name in ("start", "end")], abs=1e-3)
        page.keyboard.press("t")
        page.get_by_label("Tag", exact=True).select_option("ambiguous")
        page.get_by_label("Note").fill("stay here")
        page.keyboard.press("Enter")
        exchange(page, view)
        settled(page)
        assert put[-1][2:] == (index, "ambiguous", "stay here")
        assert "ambiguous" in page.locator("[aria-selected=true]").inner_text()
        assert page.evaluate("() => document.activeElement.className") == "pane"
        page.keyboard.press("End")
        settled(page)
        assert page.locator("[aria-selected=true]").get_attribute("aria-posinset") == (
            page.locator("[aria-selected=true]").get_attribute("aria-setsize"))
        asked = [m for m in exchange(page, view)[0] if m["kind"] == "frames"]
        assert len(asked) <= 2, "one after the other, and none of the rows passed by"
        picture(page, "segments")


def test_lists_of_python_take_the_place_of_the_table_and_give_it_back(browser, tmp_path):
    def doubts(tap):
        raise ValueError(f"no {tap} in the cache: losa data extract")

    few = {name: values[:5] for name, values in columns().items()}
    few["video"] = ["elsewhere", *few["video"][1:]]
    view = widget(taps=["last layer"], doubts=doubts, similar=lambda *what: few | {"value": [0.9, 0.8, 0.7, 0.6, 0.5]})
    with shown(browser, tmp_path, view) as page:
        view.let_tag(("ambiguous",), lambda *what: None, {})
        page.locator("[role=option]").nth(3).click()
        page.get_by_role("button", name="similar moments").click()
        exchange(page, view)
        settled(page)
        assert [line[3] for line in lines(page)] == ["0.90", "0.80", "0.70", "0.60", "0.50"]
        assert "most like the chosen one" in page.locator(".readout").inner_text()
        assert page.locator("[aria-selected=true]").get_attribute("aria-posinset") == "1"  # of the list, the first
        assert page.locator(".tagger").is_hidden()
        chosen = view.selected
        page.locator("[role=option]").first.click()  # of no video of the table: it plays nothing
        assert not [m for m in exchange(page, view)[0] if m["kind"] == "play"] and view.selected == chosen
        assert "elsewhere is not in the table of segments" in page.locator(".readout").inner_text()
        page.locator("[role=option]").nth(1).click()
        assert [m for m in exchange(page, view)[0] if m["kind"] == "play"] and view.selected["video"] == few["video"][1]
        page.get_by_role("button", name="labels in doubt").click()
        exchange(page, view)
        assert "no last layer in the cache: losa data extract" in page.locator(".readout").inner_text()
        page.get_by_role("button", name="back to all").click()
        settled(page)
        assert "of 200 segments" in page.locator(".readout").inner_text()


def test_31000_rows_are_filtered_fast_and_2000_in_less_than_a_blink(browser, tmp_path):
    for number, most_ms in ((2000, 100), (31_000, 1000)):
        with shown(browser, tmp_path, widget(number)) as page:
            times = page.evaluate("""() => ["all", "wrong label", "missed", "errors"].map((error) => {
                const before = performance.now(); losaModels[0].set("shown", { error, low: 0.2 });
                return performance.now() - before; })""")
            assert min(times) < most_ms and page.locator("[role=option]").count() < 15, times


@pytest.mark.parametrize("scheme, width", [("light", 1000), ("dark", 500)])
def test_an_offline_page_shows_the_table_and_cuts_nothing_off(browser, tmp_path, scheme, width):
    view = widget(title="mine", taps=["fused"])
    view.let_tag(("ambiguous",), print, {("v0", "truth", 0): ("ambiguous", "")})
    with opened(browser, share.page(tmp_path / "page.html", view), size=(width, 800), scheme=scheme) as page:
        assert lines(page)[0][0] == "missed" and lines(page)[0][-1] == "ambiguous"
        assert not page.get_by_role("button", name="similar moments").is_visible()
        assert not page.get_by_label("Tag", exact=True).is_visible()
        assert page.evaluate("() => losaModels[0].sent.length") == 0
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"segments_{scheme}_{width}")
