"""The page without a browser: one file, no request, everything that is not ours is text."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from helpers.page_data import CLASSES, HOSTILE, Tree, result, video
from losa.reports.demo_page import demo_page
from losa.reports.html import Html, element, minutes, write_page
from widgets.figures import class_colours


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "a clip.mp4"
    path.write_bytes(bytes(range(256)) * 4)
    return path


@pytest.fixture
def page(tmp_path, clip) -> str:
    out = demo_page(tmp_path / "new" / "index.html", result(), [video(clip), video(clip, HOSTILE)], classes=CLASSES)
    return out.read_text(encoding="utf8")


def test_page_refers_to_nothing_outside_itself(page):
    tree = Tree(page)
    assert not tree.open
    for tag, attributes, _ in tree.elements:
        for name in ("src", "href", "srcset", "data", "poster", "action"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)
    assert not re.search(r"url\((?!#tip\))|@import|https?:|//cdn|fetch\(|XMLHttp|import\s*\(", page)
    assert {tag for tag, *_ in tree.elements} & {"img", "iframe", "object", "embed", "base", "form"} == set()


def test_policy_allows_only_the_pages_own_script(page):
    (policy,) = [a["content"] for tag, a, _ in Tree(page).elements if a.get("http-equiv")]
    (script,) = [text for tag, _, text in Tree(page).elements if tag == "script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_hostile_labels_and_names_are_text(page):
    tree = Tree(page)
    assert not any(tag in ("img", "b") or "onerror" in a for tag, a, _ in tree.elements)
    assert HOSTILE in [text for tag, _, text in tree.elements if tag == "h3"]
    assert HOSTILE in [text for _, text in tree.of("name")]
    assert any(a["aria-label"].startswith(f"truth: {HOSTILE}, 10.0 to 11.5") for a, _ in tree.of("seg"))


def test_segments_are_where_they_happen(page):
    tree = Tree(page)
    lanes = [text for _, text in tree.of("lane")]
    assert [text[:4] for text in lanes[:3]] == ["trut", "head", "LoSA"]
    first = tree.of("seg")[:7]  # three true, two of head only (0.01 is below what a page carries), two of LoSA
    style = dict(item.split(":") for item in first[1][0]["style"].split(";"))
    assert style["left"] == f"{100 * 5 / 12:.3f}%" and style["width"] == f"{100 * 4 / 12:.3f}%"
    assert style["--c"] == class_colours(CLASSES)["wave"]
    wrong = ["wrong" in a["class"] for a, _ in first]
    assert wrong == [False] * 3 + [True, False] + [False, True]
    assert [a["data-score"] for a, _ in first[3:]] == ["0.2000", "0.9000", "0.6000", "0.5000"]


def test_table_says_what_the_result_says(page):
    text = next(text for tag, _, text in Tree(page).elements if tag == "table")
    for said in ("head only40.050.030.01,00040 s", "LoSA46.255.037.523,4562.2 min", "difference+6.2+5.0+7.5"):
        assert said in text
    header = next(text for tag, _, text in Tree(page).elements if tag == "header")
    assert "(+6.2 points)" in header and "seed 3" in header and "5 test videos" in header
    assert "1,234 MB" in page or "1,235 MB" in page


def test_video_travels_inside_the_page(page, clip):
    sources = [a["src"] for tag, a, _ in Tree(page).elements if tag == "video"]
    assert len(sources) == 2 and sources[0].startswith("data:video/mp4;base64,")
    assert base64.b64decode(sources[0].split(",")[1]) == clip.read_bytes()


@pytest.mark.parametrize("name, limit, said", [("a clip.mp4", 0.0005, "more than the 0.0005 MB"),
                                               ("gone.mp4", 10, "is not there"), ("x.avi", 10, "convert it to H.264")])
def test_a_video_that_cannot_be_embedded_is_named(tmp_path, clip, name, limit, said):
    (tmp_path / "x.avi").write_bytes(b"x")
    out = demo_page(tmp_path / "index.html", result(), [video(tmp_path / name)], classes=CLASSES, max_video_mb=limit)
    tree = Tree(out.read_text())
    ((_, text),) = tree.of("missing")
    assert name in text and said in text
    assert len(tree.of("seg")) == 7 and not any(tag == "video" for tag, *_ in tree.elements)


def test_many_and_no_predictions(tmp_path, clip):
    shown = video(clip)
    shown["tracks"]["head only"] = []
    shown["tracks"]["LoSA"] = [{"segment": [0, 12], "label": "jump", "score": 0.9 - 0.001 * i} for i in range(500)]
    tree = Tree(demo_page(tmp_path / "index.html", result(), [shown]).read_text())
    assert len(tree.of("seg")) == 3 + 60
    assert max(int(a["data-row"]) for a, _ in tree.of("seg")) == 3


def test_page_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = write_page(tmp_path / "p.html", title="one", lede="", sections=[])
    before = path.read_text()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        write_page(path, title="two", lede="", sections=[])
    assert path.read_text() == before


def test_only_html_is_not_escaped():
    assert element("p", "a < b", Html("<i>c</i>"), class_="x\"y", data_x=1, for_=None) == (
        '<p class="x&quot;y" data-x="1">a &lt; b<i>c</i></p>')
    assert minutes(99.4) == "99 s" and minutes(150) == "2.5 min"
