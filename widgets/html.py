"""Write an offline HTML page: one file that asks the network for nothing, with widgets in it where wanted.

Everything that is not `Html` is text and is escaped. The page's content security policy allows no request and only
the scripts written here, so even markup that slipped through could neither load nor run anything.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

MEDIA = "data: blob:"
LINKED_MEDIA = f"{MEDIA} 'self' file:"  # with the files that lie beside the page


class Html(str):
    """Text that is markup already and is not escaped again."""


def text(value: object) -> Html:
    """Return the value as markup: `Html` as it is, anything else escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def element(name: str, *children: object, **attributes: object) -> Html:
    """Return `<name attributes>children</name>`, escaped.

    `class_` and `data_x` become class and data-x; an attribute that is None is left out.
    """
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
                    for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{given}>{''.join(map(text, children))}</{name}>")


def widget_place(number: int, lazy: bool = False) -> Html:
    """Return the element of the body in which the page's widget of this number is drawn.

    lazy: draw it when it comes into view, and take it away again when it is out of view and not in use.
    """
    return element("div", class_="widget", data_widget=number, data_lazy="" if lazy else None)


def page_text(title: str, body: Html, *, widgets: Sequence[tuple[str, Mapping]] = (), styles: Sequence[str] = (),
              scripts: Sequence[str] = (), linked: bool = False) -> str:
    """Return the text of one self-contained page.

    widgets: (ES module, traits as JSON values or bytes) of each; the body has a `widget_place` for each.
    styles, scripts: CSS and ES modules; the scripts run after the widgets have got their models (`losaModels`).
    linked: allow the page to play video files that lie where it lies, on the same disk or server.
    """
    modules: dict[str, str] = {}
    for esm, _ in widgets:
        start, _, rest = esm.rpartition("export default")
        modules.setdefault(esm, f"{start}(globalThis.losaParts ??= {{}})[{len(modules)}] ={rest}")
    code = [*modules.values(), *([Path(__file__).with_suffix(".js").read_text("utf8")] if widgets else []), *scripts]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in code]
    policy = ("default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
              f"img-src data: blob:; media-src {LINKED_MEDIA if linked else MEDIA}; "
              "script-src " + (" ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"))
    numbers = {esm: number for number, esm in enumerate(modules)}
    return "\n".join([
        '<!doctype html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">', '<link rel="icon" href="data:,">',
        element("title", title), *(f"<style>{css}</style>" for css in dict.fromkeys(styles)), "</head>",
        '<body class="losa-page">', body, *([states_script(widgets, numbers)] if widgets else []),
        *(f'<script type="module">{script}</script>' for script in code), "</body>", "</html>\n"])


def states_script(widgets: Sequence[tuple[str, Mapping]], numbers: Mapping[str, int]) -> str:
    """Return the script element with the widgets' traits as JSON; what all of them share is written once."""
    encode = lambda value: json.dumps(  # noqa: E731
        value, default=lambda data: {"$bytes": base64.b64encode(data).decode()}, allow_nan=False, separators=(",", ":"))
    (_, first), *others = widgets
    shared = {name: value for name, value in first.items()
              if others and all(name in state and state[name] == value for _, state in others)}
    own = [{"part": numbers[esm], "state": {name: value for name, value in state.items() if name not in shared}}
           for esm, state in widgets]
    data = encode({"shared": shared, "widgets": own}).replace("<", "\\u003c")  # no label ends the script
    return f'<script type="application/json" id="losa-states">{data}</script>'
