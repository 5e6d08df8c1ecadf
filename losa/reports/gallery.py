"""Write a gallery of executed notebooks: a page for each, which asks the network for nothing, and an index of them."""

import base64
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from PIL import Image

from losa.files import write_text
from losa.reports.page import write_page
from widgets.html import Html, element

POLICY = ("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; "
          "media-src data: blob:; font-src data:")  # no request leaves, whatever a notebook's outputs ask for
TEMPLATE = f"""{{% extends "lab/index.html.j2" %}}
{{% block html_head_js %}}<meta http-equiv="Content-Security-Policy" content="{POLICY}"><link rel="icon" href="data:,">
{{% endblock %}}{{% block jupyter_widgets %}}{{% endblock %}}{{% block html_head_js_mathjax %}}{{% endblock %}}
{{% block html_head_js_mermaidjs %}}{{% endblock %}}"""
WIDGET = "application/vnd.jupyter.widget-view+json"
THUMBNAIL = 360, 220  # pixels, at most
STYLE = """.books { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 16px; }
.books a { display: block; padding: 12px; border: 1px solid #8888; border-radius: 6px; color: inherit;
  text-decoration: none; } .books a:hover { border-color: currentColor; }
.books img { display: block; width: 100%; height: 170px; object-fit: contain; background: #fff; }"""


def write_gallery(executed: str | Path, notebooks: str | Path, out: str | Path) -> Path:
    """Write a page for each of the `notebooks` (a folder) that lies in the folder `executed` with its outputs.

    Returns the index, `out`/index.html, which names those that have not run. Widgets are shown as their pictures.
    """
    executed, out, cards, absent = Path(executed), Path(out), [], []
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(notebooks).glob("*.ipynb")):
        if not (executed / path.name).is_file():
            absent.append(path.stem)
            continue
        book = nbformat.read(executed / path.name, 4)
        write_text(out / f"{path.stem}.html", page_of(book, path.parent))
        cards.append(make_card(book, f"{path.stem}.html"))
    lede = f"Notebooks as they ran on one machine, with their figures: {len(cards)}. No kernel and no network needed."
    left_out = f" Left out, since not run: {', '.join(absent)}." if absent else ""
    return write_page(out / "index.html", title="LoSA: notebooks", lede=lede + left_out, styles=[STYLE],
                      sections=[("Notebooks", element("div", *cards, class_="books"))])


def page_of(book: nbformat.NotebookNode, folder: str | Path = ".") -> str:
    """Return the page of an executed notebook, by nbconvert, with a picture for each widget and no outside addresses.

    folder: the one of the notebook, from which the pictures of its texts are taken.
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    book = nbformat.from_dict(book)
    book.metadata.pop("widgets", None)
    for out in outputs_of(book):
        data = out.get("data", {})
        if "image/png" in data:
            image = element("img", src=f"data:image/png;base64,{data['image/png'].strip()}", style="max-width: 100%",
                            alt=data.get("text/plain", ""))
            out.data = nbformat.from_dict({"text/html": image})
        elif "text/plain" in data:
            data.pop(WIDGET, None)
    exporter = HTMLExporter(raw_template=TEMPLATE, embed_images=True, config=Config(HTMLExporter={"theme": "light"}))
    return exporter.from_notebook_node(book, resources={"metadata": {"path": str(folder), "name": title_of(book)}})[0]


def outputs_of(book: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield the outputs of all cells."""
    for cell in book.cells:
        yield from cell.get("outputs", ())


def title_of(book: nbformat.NotebookNode) -> str:
    """Return the heading of the notebook's first cell."""
    return book.cells[0].source.partition("\n")[0].lstrip("# ")


def make_card(book: nbformat.NotebookNode, link: str) -> Html:
    """Return the entry of the index: a small picture, the title and the notebook's question in one line."""
    found = re.search(r"\*\*Question:\*\*\s*(.+)", book.cells[0].source)
    question = re.sub(r"[*`]", "", found.group(1)) if found else ""
    pictures = [out.data["image/png"] for out in outputs_of(book) if "image/png" in out.get("data", {})]
    image = [element("img", src=thumbnail(pictures), alt="")] if pictures else []
    asked = question[:1].upper() + question[1:]
    return element("a", *image, element("h3", title_of(book)), element("p", asked), href=link)


def thumbnail(pictures: Sequence[str]) -> str:
    """Return the one of these pictures (PNG, base64) that fills a thumbnail best, small and on white, as an address."""
    images = [Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA") for picture in pictures]
    wide, high = THUMBNAIL
    best = min(images, key=lambda image: abs(image.width / image.height - wide / high))
    best.thumbnail(THUMBNAIL)
    small = Image.new("RGB", best.size, "white")
    small.paste(best, mask=best)
    small.save(out := io.BytesIO(), "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
