"""How fast the timeline is in a real browser: `python tests/browser/speed.py` prints a table; not a test.

First paint: from the start of the page to the picture with all segments. Redraw: from a slider's event to the end of
the drawing it causes, waiting for the screen included. Click or key: the same, of each widget, at 2,000 segments (or
snippets, or as many moments as it shows). Frame times: from one picture to the next while zooming and
panning without a pause; 16.7 ms is a screen's own rhythm. The browser draws without a GPU here.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 2)]  # tests/ for the helpers, and the repository

import numpy as np  # noqa: E402

from helpers.browser import BROWSER, FLAGS, LABELS, clip, settled, shown, tracks  # noqa: E402
from losa.evaluation.diagnose import diagnose  # noqa: E402
from widgets.annotate import Annotate  # noqa: E402
from widgets.compare import Compare  # noqa: E402
from widgets.diagnosis import Diagnosis  # noqa: E402
from widgets.features import Features  # noqa: E402
from widgets.gates import Gates  # noqa: E402
from widgets.matching import Matching  # noqa: E402
from widgets.segments import Segments  # noqa: E402
from widgets.timeline import Timeline  # noqa: E402

REPEATS = 5
PAINTED = """() => new Promise(done => requestAnimationFrame(() =>
  requestAnimationFrame(() => done(performance.now()))))"""
REDRAW = """value => new Promise(done => { const slider = document.querySelector('input[type=range]');
  slider.value = value; const from = performance.now(); slider.dispatchEvent(new Event('input', { bubbles: true }));
  requestAnimationFrame(() => done(performance.now() - from)); })"""
ASKED = """([css, key]) => new Promise(done => { const node = document.querySelector(css), from = performance.now();
  if (key) { node.focus(); node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true })); }
  else if (node.tagName === 'SELECT') { node.selectedIndex = (node.selectedIndex + 1) % node.options.length;
    node.dispatchEvent(new Event('change', { bubbles: true })); }
  else node.click();
  requestAnimationFrame(() => done(performance.now() - from)); })"""
MOVED = """steps => new Promise(done => { const canvas = document.querySelector('.losa canvas'), times = [];
  document.querySelector('.losa [tabindex="0"]').focus();
  const box = canvas.getBoundingClientRect(); let last = null, i = 0;
  const wheel = (more) => canvas.dispatchEvent(new WheelEvent('wheel', { bubbles: true, cancelable: true, ...more,
    clientX: box.left + box.width * 0.6, clientY: box.top + 40 }));
  const step = (now) => { if (last !== null) times.push(now - last); last = now; i += 1;
    if (i > steps) return done(times);
    if (i % 40 < 12) wheel({ deltaY: -50 }); else if (i % 40 < 28) wheel({ deltaY: 50, shiftKey: true });
    else wheel({ deltaY: 50 });
    requestAnimationFrame(step); };
  requestAnimationFrame(step); })"""


def asked() -> dict[str, tuple]:
    """{what is done: (widget with 2,000 segments, the node, the key or "" for a click)}."""
    draw = np.random.default_rng(0)
    given = tracks(2000, 3, 600.0)
    truth, runs = given["truth"], {name: rows for name, rows in given.items() if name != "truth"}
    predictions = next(iter(runs.values()))
    found = diagnose({"v": truth}, {"v": predictions}, durations={"v": 600.0})
    rows = {"video": ["v"] * 2000, "kind": ["prediction"] * 2000, "index": [*range(2000)], "start": [*range(2000)],
            "end": [*range(1, 2001)], "predicted": [*"ab"] * 1000, "really": [*"ba"] * 1000,
            "score": draw.random(2000).tolist(), "error": ["wrong label", "background"] * 1000}
    values = draw.random((12, 2, 2000))
    taps = [{"name": name, "similarity": np.eye(100), "xy": draw.random((100, 2)), "explained": [0.5, 0.2]}
            for name in ("last", "fused")]
    spans = lambda listed: [[*r["segment"], *([r["score"]] if "score" in r else [])] for r in listed]  # noqa: E731
    document = {"database": {"v": {"annotations": truth}}}
    return {
        "timeline, class off": (Timeline(None, given, duration=600.0, min_score=0.0), ".chips button", ""),
        "compare, row": (Compare(None, given, duration=600.0, min_score=0.0), ".differences li", ""),
        "diagnosis, bar": (Diagnosis(found, truth={"v": truth}, predictions={"v": predictions}, classes=list(LABELS)),
                           "button.bar", ""),
        "segments, sort": (Segments(rows, classes="ab"), "button[aria-label^='sort by']", ""),
        "gates, quantity": (Gates(values, values, np.arange(2000) * 0.3, layers=range(12), ranges=["short", "long"],
                                  duration=600.0, static=False), "select", ""),
        "features, tap": (Features(taps, np.arange(100.0), [""] * 100, duration=100.0, classes=["a"]), "select", ""),
        "matching, boundary": (Matching({"v": [r["segment"] for r in truth]}, {"v": spans(predictions)}, video="v",
                                        duration=600.0), "[tabindex='0']", "ArrowRight"),
        "annotate, delete": (Annotate(None, {"labels": truth}, duration=600.0, video_id="v", document=document,
                                      write=None), ".lanes", "Delete")}


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        browser, rows = started.chromium.launch(executable_path=BROWSER, args=FLAGS), []
        video = clip(Path(folder) / "ten_minutes.mp4", seconds=600.0, fps=10)
        few = Timeline(video, tracks(250, 2, 600.0), duration=600.0, fps=10, min_score=0.0)
        many = Timeline(None, tracks(2000, 6, 600.0), duration=600.0, min_score=0.0)
        paints, clicks, redraws = [], [], {"500 segments": [], "12,000 segments": []}
        for _ in range(REPEATS):
            with shown(browser, folder, few) as page:
                paints.append(page.evaluate(PAINTED))
                redraws["500 segments"] += [page.evaluate(REDRAW, v) for v in (0.3, 0.6, 0.1)]
            with shown(browser, folder, many) as page:
                settled(page)
                redraws["12,000 segments"] += [page.evaluate(REDRAW, v) for v in (0.3, 0.6, 0.1)]
                frames = sorted(page.evaluate(MOVED, 240))
        for name, (widget, css, key) in asked().items():
            with shown(browser, folder, widget) as page:
                settled(page)
                if key == "Delete":
                    page.locator(css).press("n")
                times = [page.evaluate(ASKED, [css, key]) for _ in range(REPEATS)]
            clicks.append((f"{name}, 2,000", median(times), max(times)))
        rows.append(("first paint, 10-minute video, 500 segments", median(paints), max(paints)))
        rows += [(f"threshold to redraw, {name}", median(found), max(found)) for name, found in redraws.items()]
        rows.append(("frame time, 6 lanes of 2,000 segments", median(frames), frames[int(0.95 * len(frames))]))
        rows += clicks
        browser.close()
    print(f"{'':46}{'median':>10}{'worst (of frames: 95 %)':>28}")
    for name, middle, worst in rows:
        print(f"{name:46}{middle:7.0f} ms{worst:25.0f} ms")


if __name__ == "__main__":
    main()
