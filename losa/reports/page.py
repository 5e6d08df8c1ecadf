"""Write the offline pages of losa: title, opening sentence and sections in one style, and numbers as they tell them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from losa.files import write_text
from widgets.html import Html, element, page_text, table

ASSETS = Path(__file__).parent

Number = int | float


def write_page(path: str | Path, *, title: str, lede: str, sections: Sequence[tuple[str, Html]],
               widgets: Sequence[tuple[str, Mapping]] = (), styles: Sequence[str] = (), linked: bool = False) -> Path:
    """Write one self-contained HTML file, whole or not at all, and return its path.

    lede: the opening sentence. sections: (heading, content). widgets, linked: see `widgets.html.page_text`.
    styles: CSS of the widgets.
    """
    path = Path(path)
    body = [element("section", element("h2", heading), content) for heading, content in sections]
    header = element("header", element("h1", title), element("p", lede))
    read = lambda name: (ASSETS / name).read_text(encoding="utf8")  # noqa: E731
    page = page_text(title, Html(header + element("main", *body)), widgets=widgets, linked=linked,
                     styles=[*styles, read("page.css")], scripts=[read("page.js")] if widgets else [])
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, page)


def make_table(heads: Sequence[str], rows: Sequence[Sequence[object]], last_class: str | None = None) -> Html:
    """Return a table whose rows have a heading in their first cell. last_class: CSS class of the last row."""
    return element("div", table(heads, rows, last_class), class_="scroll")


def percent(value: Number) -> str:
    """Return a share of 1 in percent, with one digit: "46.3"."""
    return f"{100 * value:.1f}"


def minutes(seconds: Number) -> str:
    """Return a time as "48 s" or "3.2 min"."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
