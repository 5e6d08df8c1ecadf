"""The writer of offline pages: what is escaped, what the policy allows, what the widgets start from."""

import base64
import hashlib

from helpers.page_data import Tree, page_states
from widgets.html import Html, element, page_text, widget_place

ESM = "function render() {}\nexport default { render };\n"


def test_only_html_is_not_escaped():
    assert element("p", "a < b", Html("<i>c</i>"), class_="x\"y", data_x=1, for_=None) == (
        '<p class="x&quot;y" data-x="1">a &lt; b<i>c</i></p>')


def test_what_widgets_share_is_written_once_and_equal_modules_once():
    body = Html(widget_place(0) + widget_place(1, lazy=True))
    page = page_text("t", body, widgets=[(ESM, {"a": "</script>", "b": 1}), (ESM, {"a": "</script>", "b": 2})])
    assert page_states(page) == [{"a": "</script>", "b": 1}, {"a": "</script>", "b": 2}]
    assert page.count("\\u003c/script>") == 1 and page.count("function render() {}") == 1
    places = [a for a, _ in Tree(page).of("widget")]
    assert [a["data-widget"] for a in places] == ["0", "1"] and ["data-lazy" in a for a in places] == [False, True]


def test_scripts_are_allowed_by_their_digest_and_media_only_where_asked():
    script = "document.title = 'x';"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    for linked, media in ((False, "media-src data: blob:;"), (True, "media-src data: blob: 'self' file:;")):
        page = page_text("t", Html(""), scripts=[script], linked=linked)
        (policy,) = [a["content"] for tag, a, _ in Tree(page).elements if a.get("http-equiv")]
        assert media in policy and policy.endswith(f"script-src 'sha256-{digest}'") and "default-src 'none'" in policy
        assert ("connect-src 'self';" in policy) == linked
        assert "base-uri 'none'" in policy and "form-action 'none'" in policy


def test_only_a_page_with_scripts_says_what_to_do_without_them():
    scripted, plain = page_text("t", Html(""), scripts=["1"]), page_text("t", Html(""))
    assert "Trust HTML" in scripted and "noscript" not in plain
    still = widget_place(3, still=element("p", "a <b>"))
    assert still == '<div class="widget" data-widget="3"></div><noscript><p>a &lt;b&gt;</p></noscript>'
