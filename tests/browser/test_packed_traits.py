"""Traits that Python has packed, as a notebook's browser gets them: unpacked, and heard in order."""

import base64
import json
import zlib

from helpers.browser import opened
from widgets.base import parts

PAGE = """<!doctype html><link rel="icon" href="data:,"><script type="module">%s
const packed = (text, json = true) => ({ json, deflated: new DataView(Uint8Array.from(atob(text),
  (c) => c.charCodeAt(0)).buffer) });
const state = { lanes: ["a"], tracks: packed("%s"), raw: packed("%s", false) }, heard = {}, told = [];
const model = { widget_manager: 7, get: (name) => state[name], send: (what) => told.push(what),
  set(name, value) { state[name] = value; (heard[name] ?? []).forEach((f) => f.call("a view")); },
  on: (name, f) => (heard[name.slice(7)] ??= []).push(f),
  off: (name, f) => { heard[name.slice(7)] = heard[name.slice(7)].filter((g) => g !== f); } };
const view = await unpacked(model, ["tracks", "raw"]);
told.push(view.get("tracks"), view.get("raw").getUint8(1), view.widget_manager);
const say = function () { told.push([String(this), ...view.get("lanes"), ...Object.keys(view.get("tracks"))]); };
view.on("change:lanes", say);
view.on("change:tracks", say);
Object.assign(state, { lanes: ["b"], tracks: packed("%s") }); // as one message of Python sets both
model.set("lanes", ["b"]);
model.set("tracks", state.tracks);
told.push(`old ${Object.keys(view.get("tracks"))}`);
view.set("lanes", ["c"]); // the widget's own is heard at once
await new Promise((done) => setTimeout(done, 500));
view.off("change:lanes", say);
model.set("lanes", ["d"]);
view.send("last");
globalThis.told = told;
</script>"""


def deflated(value):
    """What `pack` sends, as text."""
    return base64.b64encode(zlib.compress(value if isinstance(value, bytes) else json.dumps(value).encode())).decode()


def test_values_are_there_and_nothing_is_heard_before_they_are(browser, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(PAGE % (parts("", "js"), deflated({"a": [1.5, "ü"]}), deflated(b"\x01\x02"), deflated({"b": []})),
                    "utf8")
    with opened(browser, file) as page:
        page.wait_for_function("() => globalThis.told")
        assert page.evaluate("() => told") == [
            {"a": [1.5, "ü"]}, 2, 7, "old a", ["a view", "c", "a"], ["a view", "c", "b"], ["a view", "c", "b"], "last"]
