"""Make small what a notebook keeps of a widget: large values of traits deflated, and the code of a class only once."""

import json
import zlib
from functools import cache
from pathlib import Path

import anywidget
import traitlets

LEAST, MOST = 1_000, 4_000_000  # bytes: what is smaller gains nothing; what is larger is a video, and packed already
LOADER = """export default { async render({ model, el, ...rest }) {
  const code = await model.widget_manager.get_model(model.get("_code").replace("IPY_MODEL_", ""));
  const { losaWidget, losaUnpacked } = await (code.losaModule ??= (async () => {
    const deflated = new Blob([code.get("deflated")]).stream().pipeThrough(new DecompressionStream("deflate"));
    const text = await new Response(deflated).text();
    return import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  })());
  const get = (name) => losaUnpacked(model.get(name));
  return losaWidget.render({ model: { ...model, get }, el, ...rest });
} };"""


class Code(anywidget.AnyWidget):
    """The ES module of a class of widgets, with its style sheet: kept once, however many of them there are."""

    _esm = "export default {};"
    deflated = traitlets.Bytes().tag(sync=True)


@cache
def _code(script: str, style: str) -> list[Code]:
    reader, (start, _, rest) = Path(__file__).with_suffix(".js"), script.rpartition("export default")
    module = (f"const losaUnpacked = (() => {{\n{reader.read_text('utf8')}\nreturn unpacked; }})();\n"
              f"{start}const losaWidget ={rest}\nexport {{ losaWidget, losaUnpacked }};\ndocument.head.append("
              f"Object.assign(document.createElement('style'), {{ textContent: {json.dumps(style)} }}));\n")
    return [Code(deflated=zlib.compress(module.encode(), 9))]


def code_of(script: str, style: str) -> Code:
    """Return the widget that holds this code: the same one again, unless somebody has closed it."""
    if _code(script, style)[0].comm is None:
        _code.cache_clear()
    return _code(script, style)[0]


def pack(value: object, _widget: object = None) -> object:
    """Return what a trait's value travels and is kept as: {"deflated", "size", "json"} if that is shorter.

    Texts, numbers, and lists and dicts with bytes in them stay as they are. `unpacked` in packed.js is the way back.
    """
    if not isinstance(value, dict | list | bytes):
        return value
    try:
        raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError):
        return value
    if not LEAST < len(raw) < MOST:
        return value
    return {"deflated": zlib.compress(raw, 9), "size": len(raw), "json": not isinstance(value, bytes)}
