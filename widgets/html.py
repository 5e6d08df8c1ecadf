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

HERE = Path(__file__).parent
MEDIA = "data: blob:"
LINKED_MEDIA = f"{MEDIA} 'self' file:"  # with the files that lie beside the page
CONNECT = "connect-src 'self'; "  # to ask whether such a file is there
NO_SCRIPT = (  # what a page says where its scripts do not run, and the pattern of wrong segments in its drawings
    '<noscript><div class="losa no-script"><p><strong>This page needs scripts, and they are off here:</strong> videos, '
    'sliders and clicks do nothing. What it holds is below as drawings and tables. In JupyterLab, press <em>Trust '
    'HTML</em> above the page; elsewhere, open the file in a browser that runs scripts.</p><svg width="0" height="0" '
    'aria-hidden="true"><pattern id="losa-hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform='
    '"rotate(45)"><rect width="3" height="5" fill="var(--back)"/></pattern></svg></div></noscript>')


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
    if name == "rect":  # there are thousands of them
        return Html(f"<rect{given}/>")
    return Html(f"<{name}{given}>{''.join(map(text, children))}</{name}>")


def table(heads: Sequence[object], rows: Sequence[Sequence[object]], last_class: str | None = None) -> Html:
    """Return a table whose rows have a heading in their first cell. last_class: CSS class of the last row."""
    body = [element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]),
                    class_=last_class if number == len(rows) else None) for number, row in enumerate(rows, 1)]
    head = element("tr", *(element("th", h, scope="col") for h in heads))
    return element("table", element("thead", head), element("tbody", *body))


def widget_place(number: int, lazy: bool = False, still: Html | None = None) -> Html:
    """Return the element of the body in which the page's widget of this number is drawn.

    lazy: draw it when it comes into view, and take it away again when it is out of view and not in use.
    still: what stands there where scripts are off.
    """
    place = element("div", class_="widget", data_widget=number, data_lazy="" if lazy else None)
    return Html(place + (element("noscript", still) if still else ""))


def page_text(title: str, body: Html, *, widgets: Sequence[tuple[str, Mapping]] = (), styles: Sequence[str] = (),
              scripts: Sequence[str] = (), linked: bool = False) -> str:
    """Return the text of one self-contained page.

    widgets: (ES module, traits as JSON values or bytes) of each; the body has a `widget_place` for each.
    styles, scripts: CSS and ES modules; the scripts run after the widgets have got their models (`losaModels`). Where
    none of them runs, the page says so, and hides places of widgets and what has the class needs-script.
    linked: allow the page to play video files that lie where it lies, on the same disk or server.
    """
    modules: dict[str, str] = {}
    for esm, _ in widgets:
        start, _, rest = esm.rpartition("export default")
        modules.setdefault(esm, f"{start}(globalThis.losaParts ??= {{}})[{len(modules)}] ={rest}")
    code = [*modules.values(), *([(HERE / "html.js").read_text("utf8")] if widgets else []), *scripts]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in code]
    policy = ("default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; "
              f"img-src data: blob:; media-src {LINKED_MEDIA if linked else MEDIA}; "
              f"{CONNECT if linked else ''}"
              "script-src " + (" ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"))
    numbers = {esm: number for number, esm in enumerate(modules)}
    still = [(HERE / "still.css").read_text("utf8")] if code else []
    return "\n".join([
        '<!doctype html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">', '<link rel="icon" href="data:,">',
        element("title", title),
        *(f"<style>{css}</style>" for css in dict.fromkeys([*still, *styles])),
        *(["<noscript><style>.widget, .needs-script { display: none !important }</style></noscript>"] if code else []),
        "</head>", '<body class="losa-page">', *([NO_SCRIPT] if code else []), body,
        *([states_script(widgets, numbers)] if widgets else []),
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
