"""The page of one's own videos without a browser: what it carries, links and counts."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from helpers.page_data import CLASSES, HOSTILE, Tree, own_video, page_records, page_states, result, video
from losa.reports.demo_page import demo_page
from losa.reports.timeline_panels import MOST_SEGMENTS
from losa.reports.videos_page import PAGE_VIDEOS, own_page


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "videos" / "ü 100% \"a\" #1?.mp4"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 8)
    return path


def of(tree: Tree, tag: str) -> list[dict]:
    return [attributes for name, attributes, _ in tree.elements if name == tag]


def test_small_videos_travel_inside_and_others_are_linked(tmp_path, clip):
    videos = [own_video(clip, "a"), own_video(clip, "b"), own_video(clip, "c")]
    page = own_page(tmp_path / "out" / "index.html", videos, max_video_mb=0.003, max_page_mb=0.0045)
    embedded, again, linked = [state["source"]["path"] for state in page_states(page.read_text(encoding="utf8"))]
    assert embedded.startswith("data:video/mp4;base64,") and again == embedded
    assert (page.parent / unquote(linked)).resolve() == clip.resolve()
    assert not {":", "?", "#", "\\"} & set(linked)
    places = [a for a, _ in Tree(page.read_text(encoding="utf8")).of("widget")]
    assert len(places) == 3 and all("data-lazy" in a for a in places), "nothing is loaded before it comes into view"


def test_policy_lets_it_play_files_beside_it_and_the_demos_page_none(tmp_path, clip):
    pages = own_page(tmp_path / "a.html", [own_video(clip)]), demo_page(tmp_path / "b.html", result(), [video(clip)])
    policies = [next(a["content"] for a in of(Tree(p.read_text()), "meta") if a.get("http-equiv")) for p in pages]
    assert "media-src data: blob: 'self' file:;" in policies[0] and "media-src data: blob:;" in policies[1]
    assert all("default-src 'none'" in p for p in policies)
    assert "connect-src 'self';" in policies[0] and "connect-src" not in policies[1]  # to ask whether a file is there


@pytest.mark.parametrize("name, said", [("gone.mp4", "is not there any more"), ("x.avi", "No browser plays .avi")])
def test_a_video_that_cannot_be_shown_is_named(tmp_path, name, said):
    (tmp_path / "x.avi").write_bytes(b"x")
    page = own_page(tmp_path / "index.html", [own_video(tmp_path / name)]).read_text()
    (source,) = (state["source"] for state in page_states(page))
    ((_, listed),) = Tree(page).of("problem")
    for text in (source["message"], listed):
        assert name in text and said in text
    assert source["kind"] == "none" and source["path"] == "" and page_records(page)
    assert name == "gone.mp4" or f"losa data playable {tmp_path / name} x_playable.mp4" in source["message"]


def test_hundreds_of_videos_stay_a_small_page(tmp_path, clip):
    crowd = [{"segment": [0.1 * i, 0.1 * i + 1], "label": CLASSES[i % 2], "score": 1 - i / 200} for i in range(200)]
    videos = [{"id": f"day/{i}", "path": clip, "duration": 30.0, "records": crowd} for i in range(PAGE_VIDEOS + 100)]
    few, page = (own_page(tmp_path / f"{n}.html", videos[:n], max_page_mb=0) for n in (300, len(videos)))
    tree, drawn = Tree(few.read_text()), page_records(few.read_text())
    assert few.stat().st_size < 2e6 and len(tree.of("video")) == 300
    assert len(drawn) == 300 * 20, "the strongest only"
    assert min(record["score"] for record in drawn) == pytest.approx(1 - 19 / 200)
    counts = [int(n) for n in tree.of("count")[0][0]["data-counts"].split()]
    assert counts == [sum(r["score"] >= round(0.05 * k, 2) for r in crowd) for k in range(1, 20)], "of all there are"
    assert f"the first {PAGE_VIDEOS} of {PAGE_VIDEOS + 100} videos" in page.read_text()
    assert len(Tree(page.read_text()).of("video")) == PAGE_VIDEOS
    alone = page_records(own_page(tmp_path / "1.html", videos[:1]).read_text())
    assert len(alone) == MOST_SEGMENTS


def test_numbers_on_it_are_those_of_the_records(tmp_path, clip):
    videos = [own_video(clip, "a", 3000.0), own_video(clip, "b", 600.0)]
    text = own_page(tmp_path / "i.html", videos, classes=CLASSES, min_score=0.5, made_by="runs/x",
                    failed={"b <i>.mp4": "is empty"}, files=("predictions.csv",)).read_text()
    tree = Tree(text)
    header = next(words for tag, _, words in tree.elements if tag == "header")
    assert "2 videos, 1:00:00 hours long: 4 segments with a score of at least 0.5; 1 file could not" in header
    table = next(words for tag, _, words in tree.elements if tag == "table")
    assert "jump220:040.90" in table and f"{HOSTILE}222:000.50" in table
    assert [words for _, words in tree.of("failed")] == ["b <i>.mp4: is empty"] and "predictions.csv" in text
    assert [page_records(text)[2][name] for name in ("label", "segment", "score")] == ["jump", [65, 67], 0.2]
    assert "1:05.0" not in text and tree.of("still")[1][1].count("jump0:01.00:03.00.90") == 1
    assert [words for _, words in tree.of("count")] == ["2 segments"] * 2, "as the slider stands at first"


def test_hundreds_of_classes_leave_room_for_the_videos(tmp_path, clip):
    records = [{"segment": [i, i + 1], "label": f"class {i % 199}", "score": 0.9} for i in range(300)]
    videos = [{"id": str(i), "path": clip, "duration": 300.0, "records": records[60 * i:60 * i + 60]} for i in range(5)]
    page = own_page(tmp_path / "i.html", videos).read_text()
    tree = Tree(page)
    assert len(tree.of("key")) == 20 + 20 + 1 and len(page_records(page)) == 300
    assert "179 rarer classes" in " ".join(words for tag, _, words in tree.elements if tag == "p")


def test_nothing_found_is_said(tmp_path, clip):
    weak = {**own_video(clip), "records": [{"segment": [0, 1], "label": "jump", "score": 0.04}]}
    for videos, said in (([weak], "nothing above 0.25; the best is 0.04: move the slider"),
                         ([{**weak, "records": []}], "nothing at all")):
        page = own_page(tmp_path / "i.html", videos).read_text()
        assert said in " ".join(words for tag, _, words in Tree(page).elements if tag == "p") and not page_records(page)


def test_hostile_names_are_text(tmp_path, clip):
    videos = [own_video(clip, f"{HOSTILE}{i}") for i in range(7)]
    tree = Tree(own_page(tmp_path / "i.html", videos, failed={HOSTILE: HOSTILE}, made_by=HOSTILE).read_text())
    assert not of(tree, "img") and not of(tree, "b") and f"{HOSTILE}02 segments" in [
        words for tag, _, words in tree.elements if tag == "h3"]
    assert [a["href"] for a in of(tree, "a")] == [f"#video-{i}" for i in range(7)]


def test_videos_that_show_nothing_at_the_threshold_are_named_with_their_best(tmp_path, clip):
    weak = {**own_video(clip, "quiet"), "records": [{"segment": [0, 1], "label": "jump", "score": 0.18}]}
    page = own_page(tmp_path / "i.html", [own_video(clip, "loud"), weak], min_score=0.3).read_text()
    said = " ".join(words for tag, _, words in Tree(page).elements if tag == "p")
    assert "Nothing above 0.30 in 1 of 2 videos: quiet (best 0.18): move the slider to the left." in said
    page = own_page(tmp_path / "i.html", [own_video(clip, "loud")], min_score=0.3).read_text()
    assert "othing above" not in re.sub("<script.*?</script>", "", page, flags=re.S)
