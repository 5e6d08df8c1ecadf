"""A small notebook as it is after it has run."""

import base64
import io

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

WIDGET = "application/vnd.jupyter.widget-view+json"


def png(width, height, colour="red"):
    """A picture of one colour, PNG in base64."""
    Image.new("RGBA", (width, height), colour).save(out := io.BytesIO(), "PNG")
    return base64.b64encode(out.getvalue()).decode()


def book(outside="https://example.org"):
    """A notebook that has run: widgets with a picture and without, a figure, and HTML that asks `outside` for files."""
    given = [{WIDGET: {"model_id": "ab"}, "image/png": png(300, 200), "text/plain": "a timeline"},
             {"image/png": png(900, 90, "blue"), "text/plain": "a figure"},
             {WIDGET: {"model_id": "cd"}, "text/plain": "Broken, a line of text"},
             {"text/html": f"<p>a table</p><img src='{outside}/x.png'><script src='{outside}/x.js'></script>",
              "text/plain": "table"}]
    cells = [new_code_cell("show", outputs=[new_output("display_data", data)]) for data in given]
    state = {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": {
        "ab": {"model_name": "X", "model_module": "x", "model_module_version": "1", "state": {}}}}}
    text = "# 05 · A title\n\n**Question:** *what is it?*\n\n**You will see** it."
    return new_notebook(cells=[new_markdown_cell(text), *cells], metadata={"widgets": state})
