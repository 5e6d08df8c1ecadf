"""The demo's page without a browser: one file, no request, everything that is not ours is text."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from helpers.page_data import CLASSES, HOSTILE, Tree, page_records, page_states, result, video
from losa.reports.demo_page import demo_page
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
    assert not re.search(r"url\((?!#)|@import|https?:|//cdn|XMLHttp|import\s*\(", page)
    assert {tag for tag, *_ in tree.elements} & {"img", "iframe", "object", "embed", "base", "form"} == set()


def test_policy_allows_only_the_pages_own_scripts(page):
    (policy,) = [a["content"] for tag, a, _ in Tree(page).elements if a.get("http-equiv")]
    scripts = [text for tag, a, text in Tree(page).elements if tag == "script" and "json" not in a["type"]]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 3, "the timeline, what draws it, the slider"
    assert policy.endswith("script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))
    assert "default-src 'none'" in policy


def test_hostile_labels_and_names_are_text(page):
    tree = Tree(page)
    assert not any(tag in ("img", "b") or "onerror" in a for tag, a, _ in tree.elements)
    assert HOSTILE in [text for tag, _, text in tree.elements if tag == "h3"]
    assert HOSTILE in [record["label"] for record in page_records(page)] and HOSTILE in page_states(page)[1]["title"]
    listed = [text for tag, _, text in tree.elements if tag == "tr"]
    assert f"truth{HOSTILE}10.011.5missed by all" in listed, "with scripts off, too"


def test_segments_are_where_they_happen(page):
    state = page_states(page)[0]
    assert state["lanes"] == ["truth", "head only", "LoSA"]
    first = page_records(page)[:7]  # three true, two of head only (0.01 is below what a page carries), two of LoSA
    assert first[1]["segment"] == [5, 9] and state["duration"] == 12
    assert state["colours"][first[1]["label"]] == class_colours(CLASSES)["wave"]
    assert [r["verdict"] for r in first] == ["found", "found", "missed", "true positive", "wrong label",
                                             "true positive", "confusion"]
    assert [r["score"] for r in first[3:]] == [0.9, 0.2, 0.6, 0.5]


def test_what_scripts_would_draw_is_drawn_and_listed_without_them(page):
    tree = Tree(page)
    (first, *_) = (text for tag, _, text in tree.elements if tag == "article")
    stills = [text for attributes, text in tree.of("still")]
    assert first.startswith("test_0") and len(stills) == 2
    assert "truthjump\u20071.0\u20073.0found by LoSA" in stills[0]
    assert "head onlywave\u20075.2\u20079.10.90true positive" in stills[0], "0.20 is below the slider"
    assert "0.20" not in stills[0] and len(tree.of("no-script")) == 1


def test_table_says_what_the_result_says(page):
    text = next(text for tag, _, text in Tree(page).elements if tag == "table")
    for said in ("head only40.050.030.01,00040 s", "LoSA46.255.037.523,4562.2 min", "difference+6.2+5.0+7.5"):
        assert said in text
    header = next(text for tag, _, text in Tree(page).elements if tag == "header")
    assert "(+6.2 points)" in header and "seed 3" in header and "5 test videos" in header
    assert "1,234 MB" in page or "1,235 MB" in page


def test_video_travels_inside_the_page(page, clip):
    sources = [state["source"]["path"] for state in page_states(page)]
    assert len(sources) == 2 and sources[0].startswith("data:video/mp4;base64,")
    assert base64.b64decode(sources[0].split(",")[1]) == clip.read_bytes()


@pytest.mark.parametrize("name, limit, said", [("a clip.mp4", 0.0005, "more than the 0.0005 MB"),
                                               ("gone.mp4", 10, "is not there"), ("x.avi", 10, "convert it to H.264")])
def test_a_video_that_cannot_be_embedded_is_named(tmp_path, clip, name, limit, said):
    (tmp_path / "x.avi").write_bytes(b"x")
    out = demo_page(tmp_path / "index.html", result(), [video(tmp_path / name)], classes=CLASSES, max_video_mb=limit)
    page = out.read_text()
    ((_, listed),) = Tree(page).of("problem")
    (source,) = (state["source"] for state in page_states(page))
    for text in (source["message"], listed):
        assert name in text and said in text
    assert len(page_records(page)) == 7 and source["kind"] == "none" and "data:video" not in page


def test_many_and_no_predictions(tmp_path, clip):
    shown = video(clip)
    shown["tracks"]["head only"] = []
    shown["tracks"]["LoSA"] = [{"segment": [0, 12], "label": "jump", "score": 0.9 - 0.001 * i} for i in range(500)]
    drawn = page_records(demo_page(tmp_path / "index.html", result(), [shown]).read_text())
    assert len(drawn) == 3 + 60
    assert max(record["row"] for record in drawn) == 3
