"""What a page shows without scripts: times, which records are drawn and how, tables of limited length."""

import re

import pytest

from helpers.page_data import CLASSES, HOSTILE, Tree, video
from widgets.still import MOST, align, choose_shown, clock, draw_lanes, explain, list_segments
from widgets.timeline import Timeline

TRACKS = video("")["tracks"]


@pytest.fixture
def view():
    return Timeline(None, TRACKS, duration=12.0, classes=CLASSES)


@pytest.mark.parametrize("seconds, duration, digits, said", [
    (47.25, 60, 1, "47.2"), (5, 60, 0, "5"), (59.96, 130, 1, "1:00.0"), (3599.99, 7200, 1, "1:00:00.0"),
    (125, 130, 0, "2:05"), (3725, 9000, 0, "1:02:05"), (90000, 90000, 0, "25:00:00")])
def test_clock(seconds, duration, digits, said):
    assert clock(seconds, duration, digits) == said


def test_shown_is_what_the_widget_shows_at_first(view):
    view.shown_classes = ["wave"]
    assert {name: [r["segment"] for r in records] for name, records in choose_shown(view).items()} == {
        "truth": [[5.0, 9.0]], "head only": [[5.2, 9.1]], "LoSA": []}
    view.min_score = 0.1
    assert [r["score"] for r in choose_shown(view)["head only"]] == [0.2, 0.9], "in order of time"


def test_a_dense_lane_stays_low_and_its_bars_inside(view):
    crowd = [{"segment": [0, 12], "label": "jump", "score": 0.9} for _ in range(40)]
    view.show(None, {"truth": [], "run": crowd}, duration=12.0)
    bars = [a for tag, a, _ in Tree(draw_lanes(view)).elements if tag == "rect" and a.get("class") == "wrong"]
    assert len(bars) == 40 and max(float(a.get("y", 0)) + float(a["height"]) for a in bars) <= 90
    assert not Tree(draw_lanes(view)).of("label") and draw_lanes(view).count("jump") == 0, "too low for labels"


def test_a_label_is_there_only_where_it_fits():
    wide, narrow = ({"segment": [0, end], "label": "long jump", "score": 1.0} for end in (60.0, 2.0))
    for record, number in ((wide, 1), (narrow, 0)):
        drawn = draw_lanes(Timeline(None, {"found": [record]}, duration=60.0, has_truth=False))
        assert drawn.count(">long jump<") == number


def test_the_table_of_one_video_ends_and_says_so():
    records = [{"segment": [i, i + 1], "label": "jump", "score": 0.3 + i / 1000} for i in range(MOST + 50)]
    found = Timeline(None, {"found": records + [{"segment": [0, 1], "label": "jump", "score": 0.1}]},
                     duration=200.0, has_truth=False)
    tree = Tree(list_segments(found))
    assert sum(tag == "tr" for tag, *_ in tree.elements) == 1 + MOST
    (said,) = (words for _, words in tree.of("soft"))
    assert f"The {MOST} of highest score of these {MOST + 50} are listed. 1 of a score below 0.25" in said
    starts = re.findall("<td>(\\d+:\\d\\d.0)</td><td>", list_segments(found))
    assert starts == [clock(i, 200.0, 1) for i in range(50, MOST + 50)], "the strongest, in order of time"
    assert "No segment is shown" in list_segments(Timeline(None, {"found": []}, duration=1.0, has_truth=False))


def test_digits_line_up_and_texts_stay():
    assert align([["a", "9.5", "0.50"], ["bcd", "12:10.0", ""]]) == [
        ["a", "\u2007" * 4 + "9.5", "0.50"], ["bcd", "12:10.0", ""]]


def test_the_legend_names_what_is_drawn_and_nothing_else(view):
    words = Tree(explain(view)).of("legend")[0][1]
    assert "dashed outline: missed by all" in words and "empty" not in words and HOSTILE in words
    view.shown_classes = ["wave"]
    assert "missed" not in Tree(explain(view)).of("legend")[0][1] and HOSTILE not in explain(view)


def test_a_lane_whose_segments_are_all_below_the_threshold_says_so():
    found = {"truth": [{"segment": [1, 2], "label": "a"}], "run": [{"segment": [1, 2], "label": "a", "score": 0.1839}]}
    told = str(draw_lanes(Timeline(None, found, duration=4, min_score=0.3)))
    assert "0 of 1 found, 0 wrong; nothing above 0.30, the best is 0.18" in told and told.count("nothing above") == 1
    assert "nothing above" not in str(draw_lanes(Timeline(None, found, duration=4, min_score=0.18)))
