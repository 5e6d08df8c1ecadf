"""Pages of widgets in a real browser without a kernel: opened with the network blocked, answered by Python if wanted.

    file = share.page(tmp_path / "page.html", timeline, gates)          # or shown(...) for both in one
    with opened(browser, file) as page: ...                             # fails on console errors and on any request
    exchange(page, timeline, gates)                                     # Python hears what the browser saved and sent
"""

import contextlib
import io
import os
import random
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.video_files import BITS, ROWS, draw_number, write_video
from widgets import share

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"]
HOSTILE = '<img src=x onerror="alert(1)">"\'</script><b>&amp;'
LABELS = ("jump", "wave", "throw", "high jump, long name", HOSTILE)


@contextlib.contextmanager
def opened(browser, file, *, size=(1280, 900), scheme="light"):
    """A page that shows this file, offline; at the end no console message, error, dialog or request was seen."""
    context = browser.new_context(offline=True, viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:"))
            or problems.append(request.url))
    page.set_default_timeout(30_000)
    slowed(page)
    page.goto(Path(file).as_uri())
    settled(page)  # with its first drawing things get their places
    try:
        yield page
    finally:
        page.close()
        context.close()
    assert problems == []


def slowed(page):
    """With LOSA_SLOW set, a crowded machine: what the page draws comes late, but in its order; no test may mind."""
    if os.environ.get("LOSA_SLOW"):
        page.add_init_script("""const frame = requestAnimationFrame.bind(window);
            window.requestAnimationFrame = draw => setTimeout(() => frame(draw), 250);""")
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})


@contextlib.contextmanager
def shown(browser, folder, *views, size=(1280, 900), scheme="light", live=True, max_video_mb=10):
    """The opened page of these widgets; `live`: with what needs Python, which answers by `exchange`."""
    file = Path(folder) / "page.html"
    file.write_text(share.page_text(views, max_video_mb=max_video_mb, live=live), encoding="utf8")
    with opened(browser, file, size=size, scheme=scheme) as page:
        yield page


def exchange(page, *views):
    """Plays the kernel for the page's widgets (all, in order): their saved traits and messages reach Python, and what
    Python sends and sets in answer reaches them. Returns the messages that the browser had sent, per widget.
    """
    heard = []
    for i, view in enumerate(views):
        changes, sent = page.evaluate("""i => { const m = losaModels[i], told = [...m.saved].map(n => [n, m.get(n)]);
            m.saved.clear(); return [Object.fromEntries(told), m.sent.splice(0)]; }""", i)
        answers, before = [], view.page_state()
        original, view.send = view.send, lambda content, buffers=None, to=answers: to.append((content, buffers or []))
        try:
            view.set_state({name: value for name, value in changes.items() if view.has_trait(name)})
            for content in sent:
                view._handle_custom_msg(content, [])
        finally:
            view.send = original
        now = view.page_state()
        for name in now:
            if now[name] != before[name] and now[name] != changes.get(name) and name not in ("live", "video_bytes"):
                page.evaluate("([i, name, value]) => losaModels[i].set(name, value)", [i, name, now[name]])
        for content, buffers in answers:
            page.evaluate("""([i, content, buffers]) => losaModels[i].hear(content,
                buffers.map(bytes => new DataView(new Uint8Array(bytes).buffer)))""",
                          [i, content, [list(bytes(b)) for b in buffers]])
        heard.append(sent)
    return heard


def trait(page, name, widget=0):
    """The value of a trait as the browser has it."""
    return page.evaluate("([i, name]) => losaModels[i].get(name)", [widget, name])


def settled(page):
    """Waits until what was asked to be drawn is drawn."""
    page.evaluate("() => new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))")


def picture(page, name, full=True):
    """Writes a screenshot into the folder LOSA_PICTURES, if that is set."""
    if folder := os.environ.get("LOSA_PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=full)


def inked(page, css="canvas", number=0):
    """Share of a canvas' pixels that differ from its most frequent colour: 0 where nothing is drawn."""
    return page.evaluate("""([css, number]) => { const c = document.querySelectorAll(css)[number];
        const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer), n = new Map();
        for (const v of d) n.set(v, (n.get(v) ?? 0) + 1);
        return 1 - Math.max(...n.values()) / d.length; }""", [css, number])


def tracks(segments=12, num=3, duration=60.0, labels=LABELS, seed=0):
    """Made-up tracks {name: records}: the truth, and `num` - 1 noisy copies of it with scores, as many segments each.

    Falls on tenths of a second; of every four predictions one is elsewhere and one has another label.
    """
    draw = random.Random(seed)
    step, found = duration / segments, {"truth": []}
    for i in range(segments):
        start = round(i * step + draw.uniform(0, 0.3) * step, 1)
        found["truth"].append({"segment": [start, round(start + draw.uniform(0.4, 0.65) * step, 1)],
                               "label": labels[i % len(labels)], "score": 1.0})
    for k in range(1, num):
        records = found[f"run {k}"] = []
        for i, given in enumerate(found["truth"]):
            kind, (start, end) = draw.randrange(4), given["segment"]
            shift = {0: 0.6 * (end - start)}.get(kind, draw.uniform(-0.1, 0.1) * (end - start))
            start = round(min(max(start + shift, 0), duration - (end - start)), 3)
            label = labels[(i + 1) % len(labels)] if kind == 1 else given["label"]
            records.append({"segment": [start, round(start + end - given["segment"][0], 3)], "label": label,
                            "score": round(draw.uniform(0.05, 0.98), 3)})
    return found


def clip(path, seconds=8.0, fps=25):
    """An H.264 mp4 in whose every frame its number is written (`frame_number` reads it in the browser)."""
    if Path(path).exists():
        return Path(path)
    return Path(write_video(path, num_frames=round(seconds * fps), fps=fps, faststart=True,
                            draw=lambda number: np.kron(draw_number(number), np.ones((3, 3, 1), np.uint8))))


def jpeg(number):
    """A small JPEG picture."""
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (20 * number, 90, 90)).save(out, "JPEG")
    return out.getvalue()


# A function of [css, bits, rows]: the number that is written in the frame that a video shows.
READ_NUMBER = """([css, bits, rows]) => { const v = document.querySelector(css);
    const c = document.createElement('canvas'); c.width = bits / rows * 8; c.height = rows * 8;
    const g = c.getContext('2d'); g.drawImage(v, 0, 0, c.width, c.height);
    const d = g.getImageData(0, 0, c.width, c.height).data; let number = 0;
    for (let i = 0; i < bits; i += 1) {
      const x = (i % (bits / rows)) * 8 + 4, y = Math.floor(i / (bits / rows)) * 8 + 4;
      if (d[4 * (y * c.width + x)] > 128) number += 2 ** i; }
    return number; }"""


def frame_number(page, css="video"):
    """The number of the frame that the page's video shows now, read back from its pixels; waits until it stands still.
    """
    page.wait_for_function("css => { const v = document.querySelector(css); return v.readyState >= 2 && !v.seeking; }",
                           arg=css)
    settled(page)
    return page.evaluate(READ_NUMBER, [css, BITS, ROWS])
