"""Offline pages where scripts are off, as in JupyterLab before one trusts the HTML: what they say and show instead."""

import contextlib
import re
import shutil

import numpy as np
import pytest

from helpers.browser import LABELS, opened, picture, tracks
from helpers.lab import jupyter
from helpers.made_runs import made_run, made_world
from helpers.page_data import CLASSES, HOSTILE, own_video, result, video
from losa.evaluation.diagnose import diagnose
from losa.reports.demo_page import demo_page
from losa.reports.sweep_report import report
from losa.reports.videos_page import own_page
from widgets.compare import Compare
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.timeline import Timeline

LEAST, SECONDS = 0.25, 12.0
KINDS = ("view", "demo", "own", "report")
# Of every drawing the lanes: name, width, and of each bar its start and end in pixels, its class, its colour.
LANES = """() => [...document.querySelectorAll(".still > svg")].map((svg) => [...svg.querySelectorAll("g")]
  .filter((g) => g.querySelector(".lane")).map((g) => { const [back, ...bars] = g.querySelectorAll("rect:not(.hatch)");
    const { left, width } = back.getBoundingClientRect();
    return [g.querySelector("tspan").textContent, width, bars.map((bar) => { const box = bar.getBoundingClientRect();
      return [box.left - left, box.right - left, bar.getAttribute("class") ?? "", getComputedStyle(bar).fill]; })];
  }))"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "clip.mp4").write_bytes(b"no video")
    world = made_world(folder / "world", 0)
    for seed in (0, 1):
        for mode, noise in (("head_only", 1.5), ("losa", 0.5)):
            made_run(folder / "sweep" / f"{mode}_{seed}", world, noise, mode=mode, seed=seed)
    shown, mine = video(folder / "clip.mp4", duration=SECONDS), own_video(folder / "clip.mp4", duration=120.0)
    return {"view": Timeline(None, shown["tracks"], duration=SECONDS, title=HOSTILE, classes=CLASSES).to_html(
                folder / "view.html"),
            "demo": demo_page(folder / "demo.html", result(), [shown, shown], classes=CLASSES),
            "own": own_page(folder / "own.html", [mine, {**mine, "id": "other"}], classes=CLASSES),
            "report": report(folder / "sweep")}


@contextlib.contextmanager
def without_scripts(browser, file, way, scheme="light"):
    """The page's frame with scripts off in the browser ("off") or by a sandbox around it ("sandbox")."""
    context = browser.new_context(offline=True, java_script_enabled=way != "off", color_scheme=scheme,
                                  viewport={"width": 1280, "height": 900})
    page = context.new_page()
    if way == "sandbox":
        outer = file.with_name(f"around_{file.stem}.html")
        outer.write_text(f'<iframe sandbox src="{file.name}" style="width:1240px;height:860px"></iframe>')
    page.goto((outer if way == "sandbox" else file).as_uri())
    yield page.frames[-1]
    picture(page, f"no_script_{file.stem}_{way}_{scheme}", full=way == "off")
    context.close()


def wanted(tracks, seconds, judged):
    """The lanes as LANES gives them, from the records: by hand what is right, as in `helpers.page_data`."""
    wrong = {(6.0, 7.0): "wrong", (10.0, 11.5): "missed"} if judged else {}
    return [(name, sorted((r["segment"][0] / seconds, r["segment"][1] / seconds, wrong.get(tuple(r["segment"]), ""))
                          for r in records if r.get("score", 1) >= LEAST)) for name, records in tracks.items()]


@pytest.mark.parametrize("way", ["off", "sandbox"])
@pytest.mark.parametrize("kind", ["view", "demo", "own"])
def test_the_drawing_has_every_segment_where_it_is(browser, files, kind, way):
    seconds = 120.0 if kind == "own" else SECONDS
    tracks = {"found": own_video("")["records"]} if kind == "own" else video("")["tracks"]
    with without_scripts(browser, files[kind], way) as page:
        drawn = page.evaluate(LANES)
        assert len(drawn) == (1 if kind == "view" else 2)
        for lanes in drawn:
            assert [name for name, *_ in lanes] == [*tracks]
            for (_, width, bars), (_, records) in zip(lanes, wanted(tracks, seconds, kind != "own"), strict=True):
                assert len(bars) == len(records) and width > 900
                for (left, right, style, _), (start, end, how) in zip(sorted(bars), records, strict=True):
                    assert left == pytest.approx(start * width, abs=1) and right == pytest.approx(end * width, abs=1)
                    assert style == how
        colours = {fill for lanes in drawn for *_, bars in lanes for *_, fill in bars}
        assert {"rgb(0, 114, 178)", "rgb(230, 159, 0)"} <= colours or kind == "own"


@pytest.mark.parametrize("way", ["off", "sandbox"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_that_scripts_are_off_and_shows_no_dead_control(browser, files, kind, way):
    with without_scripts(browser, files[kind], way) as page:
        told = page.locator(".no-script")
        assert told.count() == (kind != "report"), "a report has no scripts"
        if kind != "report":
            assert "Trust HTML" in told.inner_text() and "open the file in a browser" in told.inner_text()
        for css in ("input", "button", "select", "video", "canvas"):
            assert not [node for node in page.locator(css).all() if node.is_visible()], css
        assert "Click a segment" not in page.locator("body").inner_text()
        assert page.locator("table").first.is_visible() or kind == "own"
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        if kind == "report":
            assert page.evaluate("() => [...document.images].length && [...document.images].every(i => i.width > 99)")


def test_the_table_lists_the_same_segments(browser, files):
    with without_scripts(browser, files["view"], "off") as page:
        rows = [[cell.replace("\u2007", "") for cell in row.locator("th, td").all_inner_texts()]
                for row in page.locator("tbody tr").all()]
    assert rows == [
        ["truth", "jump", "1.0", "3.0", "", "found by LoSA"], ["truth", "wave", "5.0", "9.0", "", "found by head only"],
        ["truth", HOSTILE, "10.0", "11.5", "", "missed by all"],
        ["head only", "wave", "5.2", "9.1", "0.90", "true positive"],
        ["LoSA", "jump", "1.0", "3.1", "0.60", "true positive"], ["LoSA", HOSTILE, "6.0", "7.0", "0.50", "confusion"],
    ]


def test_the_differences_of_two_runs_are_those_that_scripts_list(browser, tmp_path):
    view = Compare(None, tracks(40, duration=60.0), duration=60.0, classes=LABELS)
    file = view.to_html(tmp_path / "compare.html")
    with opened(browser, file) as page:
        listed = [re.split(r"\n+", row.inner_text().strip()) for row in page.locator(".differences li button").all()]
    with without_scripts(browser, file, "off") as page:
        rows = [[cell.replace("\u2007", "") for cell in row.locator("th, td").all_inner_texts()]
                for row in page.locator(".still").last.locator("tbody tr").all()]
    told = [[size, label, f"{start} s – {end} s", what] for size, label, start, end, what in rows]
    assert len(rows) > 20 and sorted(told) == sorted(listed)


def test_each_widget_has_a_picture_that_is_seen(browser, tmp_path):
    truth, found, _ = tracks(12).values()
    given = {"truth": {"v": truth}, "predictions": {"v": found}}
    times, draw = np.arange(40) + 0.5, np.random.default_rng(0)
    gates = Gates(draw.random((2, 2, 40)), draw.random((2, 2, 40)), times, layers=[1, 2], ranges=["short", "long"],
                  duration=40.0, static=True, title=HOSTILE)
    taps = [{"name": "fused", "similarity": np.eye(40), "xy": draw.random((40, 2)), "explained": (0.5, 0.2)}]
    views = [Diagnosis(diagnose(*given.values(), durations={"v": 60.0}), classes=LABELS, **given), gates,
             Features(taps, times, [""] * 40, duration=40.0, classes=["a"])]
    with without_scripts(browser, views[0].to_html(tmp_path / "views.html", *views[1:]), "off") as page:
        shown = [(box.locator("p").inner_text(), box.locator("img").evaluate("i => [i.naturalWidth, i.clientWidth]"))
                 for box in page.locator(".still").all()]
    assert [text for text, _ in shown] == [view.line() for view in views]
    assert all(natural > 700 and wide > 700 for _, (natural, wide) in shown)


@pytest.mark.parametrize("kind", ["view", "demo", "own"])
def test_with_scripts_nothing_of_it_is_there(browser, files, kind):
    with opened(browser, files[kind]) as page:
        page.locator(".losa canvas").first.wait_for()
        assert page.locator(".still, .no-script, noscript *").count() == 0
        assert not page.locator("noscript").first.is_visible() and page.locator("input").first.is_visible()


@pytest.mark.parametrize("kind", ["view", "demo", "own"])
def test_it_is_dark_where_the_reader_is(browser, files, kind):
    with without_scripts(browser, files[kind], "off", "dark") as page:
        back, lane, ink = page.evaluate("""() => [getComputedStyle(document.body).backgroundColor,
            ...[".lane", "tspan"].map((css) => getComputedStyle(document.querySelector(css)).fill)]
            .map((colour) => Number(colour.match(/\\d+/)[0]))""")
        assert back < 40 and lane < 50 and ink > 200


def test_jupyterlab_shows_it_before_and_the_widget_after_trust(browser, files, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(files["view"], root)
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    with jupyter(root, tmp_path / "home") as url, contextlib.closing(context):
        page = context.new_page()
        page.goto(f"{url}/lab/tree/view.html?reset")
        inside = page.frame_locator(".jp-HTMLViewer iframe")
        inside.locator(".still svg").wait_for(timeout=60_000)
        assert inside.locator(".no-script").is_visible() and inside.locator("canvas").count() == 0
        picture(page, "lab_before_trust", full=False)
        page.get_by_text("Trust HTML", exact=True).click()
        inside.locator(".losa canvas").first.wait_for()
        assert inside.locator(".no-script, .still").count() == 0
        picture(page, "lab_after_trust", full=False)
