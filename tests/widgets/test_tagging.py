"""Tags in widgets: what the browser asks for is put, shown and, where it fails, said."""

from widgets.base import parts
from widgets.tagging import Tagged

ASKED = {"kind": "tag", "video": "a video", "of": "truth", "index": 3, "tag": "ambiguous", "note": "dark"}


def test_a_tag_is_put_and_shown_and_taken_away():
    view, put = Tagged(), []
    assert view.hear_tag(ASKED) is False and view.tags == []
    view.let_tag(("ambiguous",), lambda *what: put.append(what), {("v", "prediction", 0): ("label wrong", "")})
    assert view.tagged == {"prediction 0 v": ["label wrong", ""]}
    assert view.hear_tag(ASKED) and put == [("a video", "truth", 3, "ambiguous", "dark")]
    assert view.tagged == {"prediction 0 v": ["label wrong", ""], "truth 3 a video": ["ambiguous", "dark"]}
    assert view.hear_tag(ASKED | {"tag": "", "note": ""}) and list(view.tagged) == ["prediction 0 v"]
    assert view.hear_tag({"kind": "frames"}) is False


def test_what_cannot_be_put_is_said_and_not_shown():
    def full(*_):
        raise OSError("disk is full")

    view, sent = Tagged(), []
    view.send = lambda content, buffers=None: sent.append(content)
    view.let_tag(("ambiguous",), full, {})
    assert view.hear_tag(ASKED) and view.tagged == {}
    assert sent == [{"kind": "untagged", "error": "Not tagged: disk is full"}]


def test_the_form_comes_before_the_widget_that_uses_it():
    for name in ("diagnosis", "segments"):
        text = parts(f"tagging {name}", "js")
        assert text.index("function shared") < text.index("function tagger") < text.index("function render")
        style = parts(f"tagging {name}", "css")
        assert ".tagger" in style and f".{name} " in style
