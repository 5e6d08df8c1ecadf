"""How fast the timeline is in a real browser: `python tests/browser/speed.py` prints a table; not a test.

First paint: from the start of the page to the picture with all segments. Redraw: from a slider's event to the end of
the drawing it causes, waiting for the screen included. Frame times: from one picture to the next while zooming and
panning without a pause; 16.7 ms is a screen's own rhythm. The browser draws without a GPU here.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 2)]  # tests/ for the helpers, and the repository

from helpers.browser import BROWSER, FLAGS, clip, settled, shown, tracks  # noqa: E402
from widgets.timeline import Timeline  # noqa: E402

REPEATS = 5
PAINTED = """() => new Promise(done => requestAnimationFrame(() =>
  requestAnimationFrame(() => done(performance.now()))))"""
REDRAW = """value => new Promise(done => { const slider = document.querySelector('input[type=range]');
  slider.value = value; const from = performance.now(); slider.dispatchEvent(new Event('input', { bubbles: true }));
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


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        browser, rows = started.chromium.launch(executable_path=BROWSER, args=FLAGS), []
        video = clip(Path(folder) / "ten_minutes.mp4", seconds=600.0, fps=10)
        few = Timeline(video, tracks(250, 2, 600.0), duration=600.0, fps=10, min_score=0.0)
        many = Timeline(None, tracks(2000, 6, 600.0), duration=600.0, min_score=0.0)
        paints, redraws = [], {"500 segments": [], "12,000 segments": []}
        for _ in range(REPEATS):
            with shown(browser, folder, few) as page:
                paints.append(page.evaluate(PAINTED))
                redraws["500 segments"] += [page.evaluate(REDRAW, v) for v in (0.3, 0.6, 0.1)]
            with shown(browser, folder, many) as page:
                settled(page)
                redraws["12,000 segments"] += [page.evaluate(REDRAW, v) for v in (0.3, 0.6, 0.1)]
                frames = sorted(page.evaluate(MOVED, 240))
        rows.append(("first paint, 10-minute video, 500 segments", median(paints), max(paints)))
        rows += [(f"threshold to redraw, {name}", median(found), max(found)) for name, found in redraws.items()]
        rows.append(("frame time, 6 lanes of 2,000 segments", median(frames), frames[int(0.95 * len(frames))]))
        browser.close()
    print(f"{'':46}{'median':>10}{'worst (of frames: 95 %)':>28}")
    for name, middle, worst in rows:
        print(f"{name:46}{middle:7.0f} ms{worst:25.0f} ms")


if __name__ == "__main__":
    main()
