"""What a notebook keeps of a widget draws it: loader, shared code and packed traits, with a manager like Jupyter's."""

import base64
import json

import numpy as np

from helpers.browser import LABELS, inked, opened, settled, tracks
from widgets.features import Features
from widgets.timeline import Timeline

PAGE = """<!doctype html><link rel="icon" href="data:,"><div id="place" style="width: 900px"></div>
<script type="application/json" id="kept">%s</script><script type="module">
const bytes = (_, value) => typeof value?.$bytes === "string"
  ? new DataView(Uint8Array.from(atob(value.$bytes), (c) => c.charCodeAt(0)).buffer) : value;
const kept = JSON.parse(document.getElementById("kept").textContent, bytes);
const modelOf = (state) => ({ get: (name) => state[name], set(name, value) { state[name] = value; }, on() {}, off() {},
  save_changes() {}, send() {}, widget_manager: { get_model: async (id) => models[id] } });
const models = Object.fromEntries(Object.entries(kept.models).map(([id, state]) => [id, modelOf(state)]));
const text = new Blob([models[kept.shown].get("_esm")], { type: "text/javascript" });
const loader = await import(URL.createObjectURL(text));
const { render } = loader.default;
window.end = await render({ model: models[kept.shown], el: document.getElementById("place") });
</script>"""


def kept_page(folder, view):
    """A page with the state of this widget and of its code, as a notebook has it, and nothing else."""
    encode = lambda data: {"$bytes": base64.b64encode(data).decode()}  # noqa: E731
    models = {each.model_id: each.get_state() for each in (view, view._code)}
    text = json.dumps({"shown": view.model_id, "models": models}, default=encode).replace("<", "\\u003c")
    file = folder / "kept.html"
    file.write_text(PAGE % text, encoding="utf8")
    return file


def test_a_timeline_is_drawn_and_styled_from_what_is_kept(browser, tmp_path):
    view = Timeline(None, tracks(segments=60), duration=60.0, classes=LABELS)
    assert {*view.get_state()["tracks"]} == {"deflated", "size", "json"}
    with opened(browser, kept_page(tmp_path, view)) as page:
        page.wait_for_function("() => window.end")
        settled(page)
        assert inked(page, ".lanes canvas") > 0.05
        assert page.locator(".losa.timeline").count() == 1
        assert page.evaluate("() => [...document.querySelectorAll('style')].some(s => s.textContent.includes('.losa'))")


def test_features_are_drawn_from_half_of_their_square(browser, tmp_path):
    draw, size = np.random.default_rng(0), 60
    square = draw.random((size, size))
    square = (square + square.T) / 2
    taps = [{"name": "one", "similarity": np.eye(size), "xy": draw.random((size, 2)), "explained": (0.5, 0.2)},
            {"name": "two", "similarity": square, "xy": draw.random((size, 2)), "explained": (0.5, 0.2)}]
    view = Features(taps, np.arange(size) + 0.5, [""] * size, duration=float(size), classes=["a"])
    view.tap = 1
    with opened(browser, kept_page(tmp_path, view)) as page:
        page.wait_for_function("() => window.end")
        settled(page)
        canvas = page.locator("canvas").first
        wide = canvas.evaluate("c => c.clientWidth") - 14
        for i, j in ((3, 50), (50, 3), (20, 20), (59, 0)):
            canvas.hover(position={"x": 14 + (i + 0.5) * wide / size, "y": 14 + (j + 0.5) * wide / size})
            text = page.locator(".readout").inner_text()
            told = text.rsplit(" ", 1)[1] if "similarity" in text else "none"
            assert told == (f"{square[i, j]:.2f}" if i != j else "none"), (i, j, text)
