"""The base class of the interactive widgets, and how their JavaScript and CSS are put together."""

import inspect
import json
import uuid
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from widgets import html, share
from widgets.figures import notebook_png
from widgets.shown import Shown

HERE = Path(__file__).parent
LOADER = """export default { async render(given) {
  const code = await given.model.widget_manager.get_model(given.model.get("_code"));
  const load = async () => import(URL.createObjectURL(await new Response(new Blob([code.get("deflated")]).stream()
    .pipeThrough(new DecompressionStream("deflate")), { headers: { "Content-Type": "text/javascript" } }).blob()));
  const { default: widget, unpacked } = await (code.losaModule ??= load()), names = code.get("packed");
  return widget.render(names.length ? { ...given, model: await unpacked(given.model, names) } : given);
} };"""


class Code(anywidget.AnyWidget):
    """The ES module of a class of widgets, deflated; its style sheet is _css, which anywidget puts on the page.

    packed: names of the traits that the class has `pack`ed.
    """

    _esm = "export default {};"
    deflated = traitlets.Bytes().tag(sync=True)
    packed = traitlets.List(traitlets.Unicode()).tag(sync=True)


def pack(trait: traitlets.TraitType) -> traitlets.TraitType:
    """Return this trait of a `View`, bytes or a JSON value that only Python sets, such that it travels deflated.

    So a saved notebook holds a tenth of it: JupyterLab and nbclient write each number of a list on a line of its own.
    The widget's JavaScript gets the value (`unpacked` in common.js); so does an offline page, not deflated.
    """
    def to_json(value: object, _: object) -> dict:
        data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
        return {"deflated": zlib.compress(data, 9), "json": data is not value}

    return trait.tag(sync=True, packed=True, to_json=to_json)


def parts(names: str, ending: str) -> str:
    """Return the ES module ("js") or style sheet ("css") of a widget: the part that all share, then those of `names`.
    """
    return "\n".join((HERE / f"{part}.{ending}").read_text(encoding="utf8") for part in ("common", *names.split())
                     if (HERE / f"{part}.{ending}").exists())


class View(Shown, anywidget.AnyWidget):
    """A widget with a time axis. Widgets of one `group` share playhead and visible span, with or without a kernel.

    group: name of the group; every widget has one of its own until `link` puts several into one.
    current_time: playhead, seconds. span: visible [start, end], seconds; assign a new list to zoom.
    live: whether a kernel answers; if not, as in an offline page, what needs Python is hidden.
    A class sets _esm and _css, the text of its ES module and style sheet, and finds them again as `script` and `style`:
    a notebook keeps them once, in the widget `code` of the class, from which LOADER takes them for each of its widgets.
    A widget with a video has traits `source` (see `share.video_source`), video_bytes and poster (list of {"time":
    seconds, "jpeg": bytes}), and attributes `video` (path or None), `frames` (times -> JPEGs, or None), `duration`.
    """

    group = traitlets.Unicode().tag(sync=True)
    current_time = traitlets.Float(0.0).tag(sync=True)
    span = traitlets.List(traitlets.Float(), [0.0, 0.0], 2, 2).tag(sync=True)
    live = traitlets.Bool(True).tag(sync=True)
    _code = traitlets.Unicode().tag(sync=True)
    script, style, code = "", "", None

    def __init_subclass__(cls, **kwargs: object) -> None:
        if isinstance(vars(cls).get("_esm"), str):  # in the class that `add_traits` makes of each widget it is a trait
            cls.script, cls.style, cls.code = cls._esm, vars(cls).get("_css", ""), None
            cls._esm, cls._css = LOADER, ""
        if "show" in vars(cls):  # what one gives to make one
            own, *parameters = inspect.signature(cls.show).parameters.values()
            cls.__signature__ = inspect.Signature(parameters)
        super().__init_subclass__(**kwargs)

    def __init__(self, *content: Any, **more: Any) -> None:
        self._filled = not hasattr(self, "show")
        super().__init__(**(more if self._filled else {}))
        if hasattr(self, "_answer"):
            self.on_msg(self._answer)
        if not self._filled:  # and only then open: what a busy browser gets as updates of an empty widget it may drop
            self.show(*content, **more)
            self._filled = True
            self.open()

    @traitlets.default("_code")
    def _shared_code(self) -> str:
        kind = next(cls for cls in type(self).__mro__ if "code" in vars(cls))
        if kind.code is None or kind.code.comm is None:  # none yet, or somebody has closed all widgets
            own = type(f"{kind.__name__}Code", (Code,), {"__module__": kind.__module__, "_css": kind.style})
            kind.code = own(deflated=zlib.compress(kind.script.encode(), 9), packed=[*kind.class_traits(packed=True)])
        return kind.code.model_id

    @traitlets.default("group")
    def _own_group(self) -> str:
        return uuid.uuid4().hex

    def open(self) -> None:
        """Tell the browser of this widget, once it has something to show."""
        if self._filled:
            super().open()

    def page_state(self) -> dict:
        """Return the traits that an offline page starts from, as JSON values or bytes."""
        private = {"layout", "tabbable", "tooltip", "comm", "keys", "log"}
        return {name: getattr(self, name) for name in self.traits(sync=True)
                if not name.startswith("_") and name not in private} | {"live": False}

    def still(self) -> html.Html:
        """Return what an offline page shows of this widget where scripts are off: its line of text and its picture."""
        picture = self.figure()
        image = html.Html(f'<img alt="" src="data:image/png;base64,{notebook_png(picture)}">') if picture else ""
        return html.element("div", html.element("p", self.line()), image, class_="losa still")

    def to_html(self, path: str | Path, *beside: "View", title: str = "", max_video_mb: float = 10) -> Path:
        """Write one HTML file with this widget and those `beside` it, for mail or web, and return its path.

        It needs no kernel and no network. The video is part of it up to `max_video_mb` megabytes; a larger one becomes
        a strip of its frames.
        """
        return share.page(path, self, *beside, title=title, max_video_mb=max_video_mb)

    def static(self, *beside: "View", title: str = "", max_video_mb: float = 10) -> Any:
        """Return the same page as the output of a cell, which keeps working in the notebook's HTML (nbconvert)."""
        return share.static((self, *beside), title=title, max_video_mb=max_video_mb)


class Quiet(anywidget.AnyWidget):
    """Shows nothing; put into an ipywidgets VBox, it keeps what is typed there away from the notebook's shortcuts."""

    _esm = """export default { render({ el }) {
      el.classList.add("losa-quiet");
      const watch = new MutationObserver(() => el.closest(".widget-vbox")?.querySelectorAll(
        "select, input, textarea, button, [tabindex], [contenteditable]").forEach((node) =>
        node.setAttribute("data-lm-suppress-shortcuts", "true")));
      watch.observe(document.body, { childList: true, subtree: true });
      return () => watch.disconnect(); } };"""


def link(*views: View) -> None:
    """Give the widgets one playhead and one visible span; call it before or after they are shown."""
    for view in views[1:]:
        view.group = views[0].group


def plain_json(value: object, decimals: int = 6) -> object:
    """Return the value as a trait can hold it: arrays and tuples as lists, numbers rounded, so that it is small."""
    text = json.dumps(value, default=lambda x: x.tolist() if hasattr(x, "tolist") else _iterated(x))
    return json.loads(text, parse_float=lambda number: round(float(number), decimals))


def _iterated(value: object) -> list:
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be shown; give numbers, texts, lists, dicts or arrays")
