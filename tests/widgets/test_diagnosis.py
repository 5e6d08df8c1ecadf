"""What the widget shows of a diagnosis: bars, the segments behind them, words, and frames."""

from pathlib import Path

import widgets
from losa.evaluation.diagnose import diagnose
from widgets.diagnosis import KINDS, Diagnosis
from widgets.error_kinds import COUNTED, ErrorKind


def test_every_kind_is_explained_by_the_widgets():
    assert set(KINDS) == {*COUNTED, "missed"}
    timeline = Path(widgets.__file__).with_name("timeline.js").read_text(encoding="utf8")
    assert all(kind.value in timeline for kind in ErrorKind)



TRUTH = {"v": [{"segment": [0.0, 10.0], "label": "a"}, {"segment": [20.0, 30.0], "label": "b"}],
         "w": [{"segment": [5.0, 6.0], "label": "b"}, {"segment": [0.0, 4.0], "label": "a"}]}
FOUND = {"v": [{"segment": [s, e], "label": label, "score": score} for s, e, label, score in (
    (0.0, 10.0, "a", 0.9), (0.0, 9.0, "a", 0.8), (20.0, 30.0, "a", 0.7), (0.0, 3.0, "a", 0.6), (20.0, 22.0, "a", 0.5),
    (50.0, 60.0, "b", 0.4))], "w": [{"segment": [0.0, 1.0], "label": "a", "score": 0.3}]}


def shown(**options):
    found = diagnose(TRUTH, FOUND, durations={"v": 100.0, "w": 10.0})
    return Diagnosis(found, truth=TRUTH, predictions=FOUND, classes=("a", "b"), **options)



def test_every_kind_has_its_bar_with_its_segments_and_the_reason_in_words():
    view = shown(title="mine")
    content = view.content
    title, below, bars = content["charts"][1]
    assert title == "What the predictions are" and below.startswith("All 7 predictions")
    expected = {
        "true positive": ["tIoU 1.00 with “a”"],
        "double detection": ["tIoU 0.90 with “a”, which another prediction found"],
        "wrong label": ["tIoU 1.00 with “b”, so the label is wrong"],
        "localisation": ["tIoU 0.30 with “a”: less than 0.5", "tIoU 0.25 with “a”: less than 0.5"],
        "confusion": ["tIoU 0.20 with “b”: label and boundaries are off"],
        "background": ["touches no instance"],
    }
    assert {bar["name"]: [content["rows"][i][-1] for i in bar["rows"]] for bar in bars} == expected
    assert [(bar["count"], bar["text"]) for bar in bars] == [(len(why), str(len(why))) for why in expected.values()]
    first = content["rows"][bars[0]["rows"][0]]
    assert first == ["v", "prediction", 0, "a", 0.0, 10.0, 0.9, "tIoU 1.00 with “a”"]
    assert (view.title, view.selected, content["frames"]) == ("mine", {}, False)
    assert set(content["colours"]) == {"a", "b"} and set(content["kinds"]) == {*map(str, KINDS)}
    assert "{" not in " ".join(kind["meaning"] for kind in content["kinds"].values())


def test_missed_instances_say_how_near_the_nearest_was():
    charts = shown().content["charts"]
    by_length = next(chart for chart in charts if chart[0] == "Missed by length")
    assert by_length[1] == "3 of 4 instances are missed."
    rows = shown().content["rows"]
    why = {(rows[i][0], rows[i][2]): rows[i][-1] for bar in by_length[2] for i in bar["rows"]}
    assert why == {("v", 1): "no prediction of “b” touches it", ("w", 0): "no prediction of “b” touches it",
                   ("w", 1): "the nearest “a” has tIoU 0.25"}
    assert all(rows[i][1] == "truth" and rows[i][6] is None for bar in by_length[2] for i in bar["rows"])


def test_a_click_is_answered_with_three_frames_or_with_why_there_are_none():
    def frames(video, times):
        if video == "w":
            raise OSError("moved")
        return [f"{time:g}".encode() for time in times]

    view, sent = shown(frames=frames), []
    view.send = lambda content, buffers=None: sent.append((content, buffers))
    for video in "vw":
        view._answer(view, {"row": 3, "video": video, "segment": [2.0, 5.0]}, [])
    assert sent == [({"row": 3, "error": ""}, [b"2", b"3.5", b"5"]), ({"row": 3, "error": "No frames: moved"}, [])]
    assert view.content["frames"] is True


def test_another_diagnosis_takes_its_place_and_forgets_the_click():
    view = shown(title="before")
    view.selected = {"video": "v", "kind": "truth", "index": 0}
    view.show(diagnose(TRUTH, {}), truth=TRUTH, predictions={}, classes=("a", "b"), title="after")
    assert view.title == "after" and view.selected == {} and all(row[1] == "truth" for row in view.content["rows"])
    assert len(view.content["rows"]) == 4 and "now 0.0" in view.content["charts"][0][1]
    assert [chart[0] for chart in view.content["charts"][2:]] == [
        "Missed by length", "Missed by number of its class in the video"]
