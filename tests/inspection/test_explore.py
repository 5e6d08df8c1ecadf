"""The browser of runs without a browser: what its controls open, list and show, and what it says where it cannot."""

from dataclasses import replace
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest

from helpers.made_runs import made_run, made_world
from losa.inspection import model_internals
from losa.inspection.explore import ALL, ALONE, explore
from losa.inspection.timeline_data import video_table
from widgets import shown
from widgets.compare import Compare


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("explore")
    annotations = made_world(root / "world", 0)
    for name, noise in (("good", 0.1), ("bad", 2.0)):
        made_run(root / "runs" / name, annotations, noise)
    (root / "runs" / "begun").mkdir()
    (root / "runs" / "begun" / "config.json").write_text((root / "runs" / "good" / "config.json").read_text())
    return root / "runs"


@pytest.fixture
def asked(monkeypatch):
    """What was computed of a model; the runs here have none."""
    asked, times = [], np.arange(4.0)

    def gates_view(run, video, profile=None):
        asked.append(("gates", run.name, video, profile))
        return {"gates": np.zeros((1, 2, 4)), "norms": np.ones((1, 2, 4)), "times": times, "layers": [3],
                "ranges": ["short", "long"], "duration": 40.0, "static": False, "title": f"{run.name}: {video}"}

    def features_view(run, video, num=200):
        asked.append(("features", run.name, video))
        tap = {"name": "block 3", "similarity": np.eye(4), "xy": np.zeros((4, 2)), "explained": [0.5, 0.5]}
        return {"taps": [tap], "times": times, "labels": [""] * 4, "duration": 40.0, "classes": ["jump", "kick"]}

    monkeypatch.setattr(model_internals, "gates_view", gates_view)
    monkeypatch.setattr(model_internals, "features_view", features_view)
    monkeypatch.setattr(model_internals, "gate_profile", lambda run: asked.append(("profile", run.name)))
    return asked


def listed(browser, control):
    return [option if isinstance(option, str) else option[1] for option in browser.controls[control].options]


def test_it_opens_the_best_run_and_computes_what_is_opened_only(root, asked):
    browser = explore(root)
    assert browser.message == "" and browser.run.name == "good"
    assert not isinstance(browser.timeline, Compare)
    assert listed(browser, "run") == ["bad", "good", "begun (not finished)"]
    assert listed(browser, "compare") == [ALONE, *listed(browser, "run")]
    assert listed(browser, "class") == [ALL, "jump", "kick"]
    assert listed(browser, "video") == [f"test_{i}" for i in range(8)] and browser.timeline.video_id == "test_0"
    assert browser.diagnosis.title == "good" and browser.gates is browser.features is None and asked == []
    browser.tabs.selected_index = 1
    browser.tabs.selected_index = 2
    browser.tabs.selected_index = 1
    assert asked == [("gates", "good", "test_0", None), ("features", "good", "test_0")]
    assert browser.gates.group == browser.features.group == browser.timeline.group
    browser.controls["video"].value = "test_3"
    browser.profiled.value = True
    assert asked[2:] == [("gates", "good", "test_3", None), ("profile", "good"), ("gates", "good", "test_3", None)]


def test_a_video_replaces_another_in_place(root, asked):
    browser = explore(root, run="good", video="test_2")
    shown = browser.timeline
    assert shown.video_id == "test_2" and shown.lanes == ["ground truth", "good"]
    browser.controls["video"].value = "test_5"
    assert browser.timeline is shown and shown.video_id == "test_5"
    assert shown.tracks["ground truth"][0]["segment"] == [10.0, 12.0]
    shown.current_time, shown.min_score = 11.0, 0.4
    browser.controls["run"].value = "bad"
    assert browser.timeline is shown and shown.lanes[1] == "bad" and shown.video_id == "test_5"
    assert shown.current_time == 11.0 and shown.min_score == 0.4
    assert browser.diagnosis.title == "bad"


def test_a_second_run_is_compared(root, asked):
    browser = explore(root, run="good", second="bad")
    assert isinstance(browser.timeline, Compare) and browser.timeline.lanes == ["ground truth", "good", "bad"]
    browser.tabs.selected_index = 1
    for second, both in ((ALONE, False), ("bad", True), ("good", False)):
        browser.controls["compare"].value = second
        assert isinstance(browser.timeline, Compare) == both and browser.gates.group == browser.timeline.group


def test_order_and_class(root, asked):
    browser = explore(root, run="bad", video="test_4")
    table = video_table(browser.run).set_index("video")
    browser.controls["sort"].value = "difficulty"
    values = table.average_map[listed(browser, "video")]
    assert values.is_monotonic_increasing and browser.controls["video"].value == "test_4"
    browser.controls["sort"].value = "errors"
    order = listed(browser, "video")
    assert (table.missed + table.wrong)[order].is_monotonic_decreasing
    missed, wrong = table.missed[order[0]], table.wrong[order[0]]
    assert browser.controls["video"].options[0][0] == f"{order[0]}: {missed} missed, {wrong} wrong"
    browser.controls["class"].value = "kick"
    assert browser.timeline.shown_classes == ["kick"] and listed(browser, "video") == order
    browser.controls["class"].value = ALL
    assert browser.timeline.shown_classes == ["jump", "kick"]


@pytest.mark.parametrize("kind", ["prediction", "truth"])
def test_a_click_in_the_diagnosis_opens_its_video_and_seeks(root, asked, kind):
    browser = explore(root, run="good")
    browser.controls["class"].value = "kick"
    browser.timeline.min_score = 0.99
    browser.diagnosis.selected = {"video": "test_6", "kind": kind, "index": 0}
    records = (browser.run.truth if kind == "truth" else browser.run.predictions)["test_6"]
    assert browser.message == "" and browser.controls["video"].value == browser.timeline.video_id == "test_6"
    assert browser.timeline.selected == ["ground truth" if kind == "truth" else "good", 0]
    assert browser.timeline.selected_record["segment"] == pytest.approx(records[0]["segment"], abs=1e-6)
    assert browser.timeline.current_time == records[0]["segment"][0] and len(listed(browser, "video")) == 8
    assert browser.timeline.min_score <= browser.timeline.selected_record["score"]
    assert records[0]["label"] in browser.timeline.shown_classes


def test_what_cannot_be_shown_is_said_and_the_rest_works_on(root, asked, monkeypatch):
    browser = explore(root)
    browser.controls["run"].value = "begun (not finished)"
    assert "not finished" in browser.message and "result.json" in browser.message and not browser._place.children
    browser.controls["run"].value = "good"
    assert browser.message == "" and len(browser._place.children) == 3
    fails = lambda run, video: (_ for _ in ()).throw(ValueError("<b>no taps</b>"))  # noqa: E731
    monkeypatch.setattr(model_internals, "features_view", fails)
    browser.tabs.selected_index = 2
    assert "no taps" in browser.message and "&lt;b&gt;no taps" in browser._said.value
    browser.tabs.selected_index = 0
    assert browser.message == "" and len(browser._place.children) == 3


def test_moved_videos_are_named_under_the_timeline(root, asked, tmp_path):
    browser = explore(root)
    browser.run.videos["test_1"] = replace(browser.run.videos["test_1"], path=tmp_path / "gone.mp4")
    browser.controls["video"].value = "test_1"
    assert "gone.mp4" in browser.timeline.source["message"]


def test_nothing_to_show_is_an_error_that_helps(root, tmp_path, asked):
    with pytest.raises(ValueError, match="no run.*make demo"):
        explore(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        explore(tmp_path / "none")
    with pytest.raises(ValueError, match="asked for.*goood.*bad, good"):
        explore(root, run="goood")
    with pytest.raises(ValueError, match="no test video 'x'"):
        explore(root, video="x")
    with pytest.raises(TypeError, match="runs"):
        explore(runs=root)


def test_a_click_finds_its_segment_after_another_soft_nms(root, asked):
    browser = explore(root, run="good")
    chosen = browser.run.predictions["test_0"][1]
    browser.timeline.rescore = {"good": lambda sigma, video, progress=None: {
        "records": [chosen | {"score": 0.1}], "table": browser.run.table}}
    browser.timeline.suppress(0.1)
    for index, selected in ((1, ["good", 0]), (2, None)):  # the other one is gone
        browser.diagnosis.selected = {"video": "test_0", "kind": "prediction", "index": index}
        assert browser.timeline.selected == selected
        assert browser.timeline.current_time == browser.run.predictions["test_0"][index]["segment"][0]


def test_what_is_left_behind_is_closed_and_what_stays_is_not_computed_again(root, asked, monkeypatch):
    browser = explore(root, run="good")
    before, given = browser.timeline, browser.diagnosis.content
    browser.controls["compare"].value = "bad"
    assert before.comm is before.layout.comm is None and browser.timeline.comm is not None
    monkeypatch.setattr(browser.diagnosis, "show", None)
    browser.tabs.selected_index = 1
    browser.profiled.value = True
    browser.tabs.selected_index = 0
    assert browser.message == "" and browser.diagnosis.content is given


def test_a_cell_that_shows_it_again_leaves_no_widget_of_the_one_before(root, asked, monkeypatch):
    monkeypatch.setattr(shown, "_of_cell", {})
    shown._new.clear()
    alive = []
    for open_tabs in ((1, 2, 0), (), (1, 2, 0)):  # what no tab shows yet is closed, too
        browser = explore(root, run="good")
        for index in open_tabs:
            browser.tabs.selected_index = index
        browser._repr_mimebundle_()
        shown._tidy(SimpleNamespace(info=SimpleNamespace(cell_id="a")))
        alive.append({*ipywidgets.widget._instances})
    assert len(alive[0]) == len(alive[2]) > len(alive[1])


def test_runs_of_other_annotations_are_not_compared(tmp_path, asked):
    for seed, name in enumerate("ab"):
        made_run(tmp_path / "runs" / name, made_world(tmp_path / name, seed), 0.1)
    made_run(tmp_path / "runs" / "agnostic", tmp_path / "a" / "annotations.json", 0.1, class_agnostic=True)
    browser = explore(tmp_path / "runs", run="a", second="b")
    assert browser.message == ""
    browser.controls["compare"].value = "agnostic"
    assert "a timeline; choose runs of the same annotations" in browser.message
    browser.controls["compare"].value = ALONE
    browser._opened("b").truth["test_0"][0]["segment"] = [8.0, 9.0]
    browser.controls["compare"].value = "b"
    assert "different actions in test_0" in browser.message


@pytest.mark.filterwarnings("ignore:good. average mAP")
def test_truth_of_videos_that_are_not_there_is_missed_and_cannot_be_opened(root, asked):
    browser = explore(root, run="bad")
    run = browser._opened("good")
    run.truth["lost"] = [{"segment": [1.0, 2.0], "label": "jump"}]
    browser.controls["run"].value = "good"
    assert browser.message == "" and len(browser.diagnosis.content["charts"]) == 4  # none by share of the video
    browser.diagnosis.selected = {"video": "lost", "kind": "truth", "index": 0}
    assert browser.timeline.video_id == "test_0" and browser.message == ""
    assert browser.diagnosis.frames is None  # no video has a file


def test_a_tag_is_put_from_each_place_and_shown_in_all(root, asked):
    browser = explore(root, run="bad", video="test_2")
    browser.tabs.selected_index = 3
    table = browser.segments
    assert browser.message == "" and len(table.rows["start"]) > 8 and table.group == browser.timeline.group
    table.hear_tag({"kind": "tag", "video": "test_2", "of": "truth", "index": 0, "tag": "ambiguous", "note": "dark"})
    assert browser.diagnosis.tagged == table.tagged == {"truth 0 test_2": ["ambiguous", "dark"]}
    browser.timeline.selected = ["ground truth", 0]
    assert (browser.tag_bar.choice.value, browser.tag_bar.note.value) == ("ambiguous", "dark")
    browser.tag_bar.choice.value = "label wrong"
    assert table.tagged == {"truth 0 test_2": ["label wrong", "dark"]}
    browser.timeline.selected = ["bad", 1]
    browser.tag_bar.choice.value = "model wrong"
    again = explore(root, run="bad")
    assert again.run.tags.places() == {("test_2", "truth", 0): ("label wrong", "dark"),
                                       ("test_2", "prediction", 1): ("model wrong", "")}
    for place in list(again.run.tags.places()):
        again.run.tags.put(*place, "")


def test_a_row_of_the_table_opens_its_video_and_one_of_another_subset_says_so(root, asked):
    browser = explore(root, run="good", video="test_2")
    browser.tabs.selected_index = 3
    browser.segments.selected = {"video": "test_5", "kind": "truth", "index": 1}
    assert browser.timeline.video_id == "test_5" and browser.timeline.selected == ["ground truth", 1]
    assert browser.segments.selected["video"] == "test_5", "the table stays as it was"
    browser.segments.selected = {"video": "train_1", "kind": "truth", "index": 0}
    assert "train_1 is no test video" in browser._said.value and browser.timeline.video_id == "test_5"


def test_it_says_in_a_line_what_to_do_where_there_is_nothing(root, asked):
    browser = explore(root, run="good")
    assert browser.note == ""
    browser.timeline.min_score = 1.0
    browser.tabs.selected_index = 3
    assert "No prediction of good scores 1 or more" in browser.note and browser.note in browser._said.value
    browser.timeline.min_score = 0.1  # as it says; the open tab follows
    assert browser.note == "" and browser.segments.note == "" and "No prediction" not in browser._said.value
    browser.run.truth.clear()
    browser._keys.clear()
    browser.tabs.selected_index = 0
    assert "have no ground truth" in browser.note and browser.message == ""
