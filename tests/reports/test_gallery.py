"""The gallery has a page for each notebook that ran, with pictures in place of widgets, and names the others."""

import base64
import io

import nbformat
import pytest
from PIL import Image

from helpers.made_book import WIDGET, book, png
from losa.reports.gallery import THUMBNAIL, page_of, thumbnail, write_gallery


@pytest.fixture
def written(tmp_path):
    """The folder of a gallery of one notebook that has run and one that has not."""
    for folder in ("books", "ran"):
        (tmp_path / folder).mkdir()
        nbformat.write(book(), tmp_path / folder / "05_title.ipynb")
    nbformat.write(book(), tmp_path / "books" / "06_other.ipynb")
    index = write_gallery(tmp_path / "ran", tmp_path / "books", tmp_path / "out")
    assert index == tmp_path / "out" / "index.html"
    return index.parent


def test_the_index_names_what_ran_and_what_did_not(written):
    text = (written / "index.html").read_text("utf8")
    assert "with their figures: 1." in text and "Left out, since not run: 06_other." in text
    assert 'href="05_title.html"' in text and "05 · A title" in text and "<p>What is it?</p>" in text
    assert {path.name for path in written.iterdir()} == {"index.html", "05_title.html"}


def test_a_widget_is_its_picture_or_its_line_and_the_given_notebook_is_left_as_it_was():
    given = book()
    text = page_of(given)
    assert png(300, 200) in text and 'alt="a timeline"' in text and 'alt="a figure"' in text
    assert "Broken, a line of text" in text
    assert WIDGET not in text and "requirejs" not in text.lower() and "mathjax.js" not in text.lower()
    assert [cell.outputs for cell in given.cells[1:]] == [cell.outputs for cell in book().cells[1:]]
    assert given.metadata == book().metadata


def test_the_thumbnail_is_the_picture_that_fits_best_on_white():
    address = thumbnail([png(900, 90, "blue"), png(720, 440, "#ff000000")])
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        assert image.size == THUMBNAIL and image.getcolors() == [(image.width * image.height, (255, 255, 255))]
