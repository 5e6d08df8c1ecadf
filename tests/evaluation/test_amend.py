"""Predictions are changed as asked for, and only so."""

import pytest

from helpers.eval_files import DURATIONS, results
from losa.errors import EvaluationError
from losa.evaluation.amend import convert_times, match_ids, merge_classes, rename_labels
from losa.evaluation.records import Truth

TRUTH = Truth({v: [] for v in DURATIONS}, "test", DURATIONS, dict.fromkeys(DURATIONS, 12.0))


def test_labels_are_renamed_as_asked_and_others_stay():
    given = results(lambda v, r: (v, {**r, "label": r["label"].replace("jump", "Jump=1")}))
    with pytest.raises(EvaluationError, match="no prediction has the label 'Jump'"):
        rename_labels(given, ["Jump=1=jump"])
    given = results(lambda v, r: (v, {**r, "label": r["label"].title()}))
    assert rename_labels(given, [f"{name.title()}={name}" for name in ("jump", "throw", "catch", "bounce", "wave")]
                         ) == results()
    assert rename_labels(given, ["Wave=wave"])["clip_0002"][0]["label"] == "wave"
    assert given["clip_0002"][0]["label"] == "Wave"


@pytest.mark.parametrize(("pair", "message"), [("jmp=x", "did you mean 'jump'"), ("jump", "expected OLD=NEW"),
                                               ("jump=", "expected OLD=NEW")])
def test_what_cannot_be_renamed_is_refused(pair, message):
    with pytest.raises(EvaluationError, match=f"--rename {pair}: .*{message}"):
        rename_labels(results(), [pair])


def test_ids_are_matched_and_counted_and_never_merged():
    given = results(lambda v, r: (f"videos/{v}.mp4" if v != "clip_0000" else v, r))
    assert match_ids(TRUTH, given | {"other.mp4": []}) == (results() | {"other.mp4": []}, 2)
    with pytest.raises(EvaluationError, match="'clip_0000' and 'v_clip_0000' would both be the video 'clip_0000'"):
        match_ids(TRUTH, results() | {"v_clip_0000": []})
    with pytest.raises(EvaluationError, match="'v_clip_0000' and 'clip_0000' would both"):
        match_ids(TRUTH, {"v_clip_0000": []} | results())


@pytest.mark.parametrize(("unit", "scale"), [("frames", 12), ("ms", 1000), ("minutes", 1 / 60), ("shares", None)])
def test_times_become_seconds(unit, scale):
    given = results(lambda v, r: (v, {**r, "segment": [t * (scale or 1 / DURATIONS[v]) for t in r["segment"]]}))
    got = convert_times(TRUTH, given, unit)
    for v, items in results().items():
        assert [r["segment"] for r in got[v]] == [pytest.approx(r["segment"]) for r in items]


def test_times_need_what_they_are_divided_by():
    with pytest.raises(EvaluationError, match="gives no fps of the video 'clip_0000'"):
        convert_times(Truth(TRUTH.records, "test", DURATIONS), results(), "frames")
    with pytest.raises(EvaluationError, match="gives no duration of the video 'clip_0000'"):
        convert_times(Truth(TRUTH.records, "test"), results(), "shares")
    with pytest.raises(EvaluationError, match="--predicted-times days: expected one of frames, ms, minutes, shares"):
        convert_times(TRUTH, results(), "days")
    elsewhere = {"x": [{"segment": [1, 2], "label": "a", "score": 1}]}
    assert convert_times(TRUTH, elsewhere, "frames") == elsewhere, "wrong whatever its times"


def test_classes_become_one_and_what_is_ambiguous_stays():
    vague = {"segment": [0, 1], "label": "Ambiguous", "ambiguous": True}
    merged = merge_classes({"v": [{"segment": [0, 1], "label": "a"}, vague]})
    assert merged == {"v": [{"segment": [0, 1], "label": "action"}, vague]}
