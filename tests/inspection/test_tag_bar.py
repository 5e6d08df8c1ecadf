"""The bar for a tag under a timeline: shows without putting, puts what is chosen, says what fails."""

from losa.inspection.tag_bar import NO_TAG, TagBar


def test_showing_puts_nothing_and_choosing_puts_tag_and_note():
    bar, put = TagBar(["ambiguous", "label wrong"]), []
    assert bar.choice.disabled and bar.note.disabled and "select a segment" in bar._name.value
    bar.show("<b>jump", lambda *what: put.append(what), "ambiguous", "dark")
    assert put == [] and (bar.choice.value, bar.note.value) == ("ambiguous", "dark") and not bar.choice.disabled
    assert "&lt;b&gt;jump" in bar._name.value
    bar.choice.value = "label wrong"
    bar.note.value = "look"
    bar.choice.value = NO_TAG
    bar.note.value = "nothing to note without a tag"
    assert put == [("label wrong", "dark"), ("label wrong", "look"), ("", "")]


def test_what_fails_is_said():
    def full(*_):
        raise OSError("disk <full>")

    bar = TagBar(["ambiguous"])
    bar.show("jump", full)
    bar.choice.value = "ambiguous"
    assert "not tagged: disk &lt;full&gt;" in bar._name.value
