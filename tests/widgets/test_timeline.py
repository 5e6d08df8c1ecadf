"""The timeline in Python: what it shows, refuses, looks up, runs again and saves. No browser."""

import inspect
import re

import numpy as np
import pytest

from widgets.base import HERE
from widgets.error_kinds import ErrorKind
from widgets.figures import RUN_PALETTE
from widgets.share import offline_state
from widgets.timeline import Timeline, steps_only

TRUTH = [{"segment": [1, 3], "label": "jump"}, {"segment": [5.0, 9.0], "label": "wave"}]
RUN = [{"segment": np.array([1.2, 3.1]), "label": "jump", "score": np.float32(0.75)},
       {"segment": (5, 6), "label": "wave", "score": 0.5}, {"segment": [20, 22], "label": "sit", "score": 0.1}]
STEPS = [i / 100 for i in range(101)]


def table(**of):
    """A table of APs that fall from the given number to 0 at the score 1."""
    return {"thresholds": STEPS, "average": {label: [ap * (1 - t) for t in STEPS] for label, ap in of.items()}}


@pytest.fixture
def timeline():
    ap = {"run": {"video": table(jump=0.8, wave=0.4), "data": table(jump=0.6, wave=0.4, sit=0.2)}}
    shown = Timeline(None, {"truth": TRUTH, "run": RUN}, duration=30, fps=25, classes=["wave", "jump"], ap=ap,
                     title="one", video_id="v1", rescore={"run": rescored})
    shown.sent = []
    shown.send = lambda content, buffers=None: shown.sent.append(content)
    return shown


def rescored(sigma, video_id, progress=None):
    """Soft-NMS in a few words."""
    if video_id is None:
        progress(1, 4)
        progress(4, 4)
        return {"table": table(jump=sigma, wave=sigma)}
    assert video_id == "v1"
    return {"records": [RUN[0]], "table": table(jump=sigma, wave=0.0)}


def test_traits_are_plain_values_in_seconds_with_verdicts(timeline):
    assert timeline.lanes == ["truth", "run"] and timeline.span == [0, 30] and timeline.source["kind"] == "none"
    assert timeline.tracks["run"][0] == {"segment": [1.2, 3.1], "label": "jump", "score": 0.75, "row": 0,
                                         "verdict": "true positive", "tiou": pytest.approx(1.8 / 2.1), "other": 0}
    assert [r["verdict"] for r in timeline.tracks["run"]] == ["true positive", "localisation", "background"]
    assert [r["found"] for r in timeline.tracks["truth"]] == [{"run": 0.75}, {}]
    assert list(timeline.colours) == timeline.shown_classes == ["wave", "jump", "sit"]
    state = timeline.get_state()
    assert all(name in state for name in ("tracks", "selected", "current_time", "min_score", "shown_classes"))
    assert timeline.tiou == 0.5
    timeline.tiou = 0.2
    assert [r["verdict"] for r in timeline.tracks["run"]][1] == "true positive"


def test_selected_record_and_frame_follow_the_browser(timeline):
    assert timeline.selected_record is None
    timeline.set_state({"selected": ["run", 1], "current_time": 5.04})
    assert timeline.selected_record["verdict"] == "localisation" and timeline.frame == 126
    timeline.fps = None
    assert timeline.frame is None
    timeline.selected = ["run", 7]  # as after another sigma, when the click came too late
    assert timeline.selected_record is None


def test_live_map_is_looked_up_for_threshold_and_classes(timeline):
    timeline.min_score = 0.25
    found = timeline.live_map["run"]
    assert found == {"video": pytest.approx(0.6 * 0.75), "data": pytest.approx(0.4 * 0.75)}
    timeline.min_score = 0.401  # between two thresholds: the next one
    assert timeline.live_map["run"]["video"] == pytest.approx(0.6 * (1 - 0.41))
    timeline.shown_classes = ["sit"]
    assert timeline.live_map["run"] == {"video": None, "data": pytest.approx(0.2 * 0.59)}
    timeline.min_score = 1.0
    assert timeline.live_map["run"]["data"] == 0


def test_tables_keep_only_the_thresholds_at_which_something_changes():
    """At every score threshold each class has the AP that the whole table says."""
    draw = np.random.default_rng(0)
    average = {label: np.sort(draw.integers(0, 4, 101))[::-1] / 4 for label in ("jump", "wave")}
    whole = {"thresholds": STEPS, "average": {label: row.tolist() for label, row in average.items()}}
    small = steps_only({"run": {"video": whole, "data": None, "none": {"thresholds": STEPS, "average": {}}}})["run"]
    assert len(small["video"]["thresholds"]) < 9 and small["data"] is None and small["none"]["average"] == {}
    for score in np.linspace(0, 1, 333):
        found = [{label: row[next(i for i, t in enumerate(table["thresholds"]) if t >= score - 1e-9)]
                  for label, row in table["average"].items()} for table in (whole, small["video"])]
        assert found[0] == found[1]
    assert len(whole["thresholds"]) == 101, "what was given stays as it was"


def test_soft_nms_runs_this_video_and_then_the_data_set_with_progress(timeline):
    timeline.selected = ["run", 2]
    timeline._handle_custom_msg({"kind": "suppress", "sigma": 0.3, "data_set": False}, [])
    assert timeline.sigma == 0.3 and timeline.selected is None and len(timeline.tracks["run"]) == 1
    assert timeline.tracks["truth"][0]["found"] == {"run": 0.75}
    assert timeline.live_map["run"] == {"video": pytest.approx(0.15 * 0.75), "data": None}
    timeline._handle_custom_msg({"kind": "suppress", "sigma": 0.4, "data_set": True}, [])
    assert timeline.live_map["run"]["data"] == pytest.approx(0.4 * 0.75)
    assert timeline.sent == [{"kind": "done"}, {"kind": "progress", "done": 0.25}, {"kind": "progress", "done": 1.0},
                             {"kind": "done"}]


def test_what_goes_wrong_in_soft_nms_is_told_in_the_browser(timeline):
    timeline.rescore = {"run": lambda sigma, video_id: 1 / 0}
    with pytest.raises(ZeroDivisionError):
        timeline._answer(timeline, {"kind": "suppress", "sigma": 0.4, "data_set": True}, [])
    assert timeline.sent == [{"kind": "done", "failed": "ZeroDivisionError: division by zero"}]


def test_show_replaces_everything(timeline):
    timeline.selected, timeline.current_time = ["run", 2], 12.0
    timeline.show(None, {"truth": [], "other": RUN[:1]}, duration=5, title="two")
    assert timeline.lanes == ["truth", "other"] == list(timeline.tracks) and timeline.title == "two"
    assert (timeline.selected, timeline.current_time, timeline.span, timeline.ap) == (None, 0, [0, 5], {})
    assert timeline.live_map == {} and not timeline.suppressible
    assert ["self", *inspect.signature(Timeline).parameters] == [*inspect.signature(Timeline.show).parameters]


def test_without_ground_truth_no_track_is_judged():
    shown = Timeline(None, {"found": RUN, "other": []}, duration=30, has_truth=False)
    assert all({"verdict", "found", "other"}.isdisjoint(record) for record in shown.tracks["found"])
    assert [record["row"] for record in shown.tracks["found"]] == [0, 0, 0] and shown.tracks["found"][1]["score"] == 0.5
    shown.tiou = 0.2
    assert "verdict" not in shown.tracks["found"][0]
    ticks = [label.get_text() for label in shown.figure().axes[0].get_yticklabels()]
    assert ticks == ["found\n2 segments", "other\n0 segments"]


def test_runs_have_colours_by_name_where_given_and_else_by_place():
    grey, blue, red = RUN_PALETTE[:3]
    three = {"truth": TRUTH, "a": RUN, "b": RUN}
    shown = Timeline(None, three, duration=30)
    assert shown.run_colours == {"a": grey, "b": blue}
    shown.show(None, three, duration=30, run_colours={"a": red})
    assert shown.run_colours == {"a": red, "b": blue}
    assert Timeline(None, {"a": RUN}, duration=30, has_truth=False).run_colours == {"a": grey}
    with pytest.raises(ValueError, match="run_colours of 'truth': no prediction track"):
        Timeline(None, three, duration=30, run_colours={"truth": red})


def test_an_empty_file_is_called_empty_and_not_of_an_unknown_kind(tmp_path):
    (tmp_path / "v.mp4").touch()
    shown = Timeline(tmp_path / "v.mp4", {"truth": []}, duration=1.0)
    assert shown.source == {"kind": "none", "path": "", "message": "v.mp4 is empty (0 bytes): was it copied in full?"}


def test_the_browser_has_words_for_every_kind_of_error():
    words = re.search(r"const why = \{(.*?)\n  \}\[", (HERE / "timeline.js").read_text("utf8"), re.S)[1]
    told = {key.strip('"') for key in re.findall(r'^ +("[^"]+"|\w+):', words, re.M)}
    assert told == {kind.value for kind in ErrorKind} | {"ambiguous"}


def test_the_help_names_every_key():
    script = (HERE / "timeline.js").read_text("utf8")
    listed = re.search(r"const KEYS = \[(.*?)\]\];", script, re.S)[1]
    helped = " ".join(re.findall(r'\["([^"]+)", "', listed)).split() + ["Home", "End", "Escape"]
    assert all(name in listed for name in helped)
    shared = (HERE / "common.js").read_text("utf8")
    used = "\n".join(re.search(rf"function {name}.*?return \{{(.*?)\}};\n", text, re.S)[1]
                     for name, text in (("actions", script), ("timeKeys", shared)))
    names = {" ": "Space", "ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓", "PageUp": "Page",
             "PageDown": "↓", "-": "−"}
    keys = re.findall(r'(?:^|[,{]) *(?:"(.)"|([A-Za-z]+)): (?:\(|toggle|jump|choose)', used, re.M)
    keys = [one or two for one, two in keys]
    assert len(keys) > 20 and [key for key in keys if names.get(key, key) not in helped] == []


@pytest.mark.parametrize(("tracks", "given", "told"), [
    ({}, {}, "0 tracks over 30 seconds; give at least one track"),
    ({"truth": []}, {"duration": float("nan")}, "the duration of the video in seconds"),
    ({"truth": [], "run": []}, {"ap": {"rnu": {}}}, "run_colours of 'rnu': no prediction track .* 'truth', 'run'"),
])  # fmt: skip
def test_what_cannot_be_shown_is_refused(tracks, given, told):
    with pytest.raises(ValueError, match=told):
        Timeline(None, tracks, **{"duration": 30, **given})


@pytest.mark.parametrize("record", [
    {"segment": [1, 2], "label": "a", "score": float("nan")}, {"segment": [1, float("inf")], "label": "a"},
    {"segment": [2, 1], "label": "a"}, {"segment": [1, 2, 3], "label": "a"}, {"segment": ["1", "2"], "label": "a"},
    {"segment": [1, 2], "label": 3}, {"label": "a"}, {"segment": [1, 2]}, "jump"])  # fmt: skip
def test_what_is_no_record_is_refused_in_one_sentence(record):
    with pytest.raises(ValueError, match=r"track 'run' has a record .*; expected {'segment': \[start, end\]"):
        Timeline(None, {"truth": [], "run": [{"segment": [0, 0], "label": "a", "score": 0}, record]}, duration=30)


def test_numbers_of_numpy_and_a_dollar_in_the_title(tmp_path):
    shown = Timeline(None, {"truth": TRUTH}, duration=np.float32(30), fps=np.float32(25), title="$\\frac{5 and $6")
    assert shown.span == [0, 30] and shown.save(tmp_path / "a.png").exists()


def test_a_strip_of_frames_stands_for_a_stretch_of_a_file():
    shown = Timeline(None, {"truth": TRUTH}, duration=24, frames=lambda times: [b"jpeg"] * len(times))
    assert len(shown.poster) == 12 and len(offline_state(shown, 10)["poster"]) == 12


def test_an_unknown_keyword_is_refused():
    with pytest.raises(TypeError, match="min_scores"):
        Timeline(None, {"truth": []}, duration=3, min_scores=0.1)


def test_a_strip_of_frames_stands_for_a_video_that_is_gone(tmp_path):
    asked = []
    shown = Timeline(tmp_path / "gone.mp4", {"truth": TRUTH}, duration=24,
                     frames=lambda times: asked.extend(times) or [b"jpeg"] * len(times))
    assert "no video at" in shown.source["message"] and shown.poster[0] == {"time": 1.0, "jpeg": b"jpeg"}
    assert asked == [1.0 + 2 * i for i in range(12)]
    shown.poster = []
    shown._handle_custom_msg({"kind": "poster"}, [])  # the browser cannot play it
    assert len(shown.poster) == 12


def test_a_video_that_was_moved_while_it_was_shown_is_said_to_be_gone_and_not_of_a_strange_format(tmp_path):
    path = tmp_path / "100% ü #1.mp4"
    path.write_bytes(b"something")
    shown = Timeline(path, {"truth": TRUTH}, duration=24)
    before = shown.source
    shown._handle_custom_msg({"kind": "poster"}, [])  # a browser that does not know the format
    assert shown.source == before and before["kind"] == "bytes"
    path.unlink()
    shown._handle_custom_msg({"kind": "poster"}, [])  # the browser cannot load it
    assert shown.source["kind"] == "none" and shown.source["message"] == f"There is no video at {path}: was it moved?"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_save_writes_a_picture_of_what_is_shown(timeline, tmp_path, ending):
    timeline.shown_classes = ["jump"]
    assert timeline.save(tmp_path / f"a.{ending}").stat().st_size > 2000
    assert timeline.figure().axes[0].get_yticklabels()[1].get_text() == "run\n1 of 1 found, 0 wrong"


def test_save_refuses_other_endings(timeline, tmp_path):
    with pytest.raises(ValueError, match=r"ends in .png, .svg or .pdf"):
        timeline.save(tmp_path / "a.html")


def test_bytes_of_a_video_wait_until_a_browser_asks(tmp_path, monkeypatch):
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    (tmp_path / "v.mp4").write_bytes(b"x" * 9)
    shown = Timeline(tmp_path / "v.mp4", {"truth": []}, duration=1.0)
    assert shown.source["kind"] == "bytes" and shown.video_bytes == b""
    shown._handle_custom_msg({"kind": "video"}, [])
    assert shown.video_bytes == b"x" * 9
