"""What all pages have: written whole or not at all, tables, numbers as they are told."""

import pytest

from losa.reports.page import make_table, minutes, percent, write_page
from widgets.html import Html


def test_page_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = write_page(tmp_path / "p.html", title="one", lede="", sections=[])
    before = path.read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        write_page(path, title="two", lede="", sections=[])
    assert path.read_text() == before


def test_a_page_without_widgets_has_no_script(tmp_path):
    text = write_page(tmp_path / "p.html", title="a < b", lede="", sections=[("one", Html("<p>1</p>"))]).read_text()
    assert "<script" not in text and "script-src &#x27;none&#x27;" in text and "<h1>a &lt; b</h1>" in text


def test_a_table_has_headings_in_its_first_cells():
    table = make_table(["run", "mAP"], [["<i>", 1], ["b", 2]], last_class="gain")
    assert '<tr><th scope="row">&lt;i&gt;</th><td>1</td></tr>' in table and '<tr class="gain">' in table


def test_numbers_are_short():
    assert minutes(99.4) == "99 s" and minutes(150) == "2.5 min" and percent(0.4625) == "46.2"
