"""Why a prediction is right or wrong: one of each kind by hand, the matching against its twin, thresholds."""

import random

import pytest

from helpers.slow_overlap import match_greedily, slow_tiou
from widgets.error_kinds import ErrorKind
from widgets.verdicts import judged, note_hidden, stack_rows, verdicts


def record(start, end, label="a", score=0.5):
    return {"segment": [start, end], "label": label, "score": score}


def made(seed, num_truth=8, num_predictions=40):
    """Made-up records of one video, many of them touching."""
    draw = random.Random(seed)
    span = lambda: (start := draw.uniform(0, 60), start + draw.uniform(0.5, 12))  # noqa: E731
    truth = [record(*span(), draw.choice("abc"), 1.0) for _ in range(num_truth)]
    predictions = [record(*span(), draw.choice("abcd"), draw.random()) for _ in range(num_predictions // 2)]
    for t in truth * 3:
        start, end = (x + draw.gauss(0, 1) for x in t["segment"])
        predictions.append(record(start, max(end, start), draw.choice([t["label"]] * 3 + ["b"]), draw.random()))
    return truth, predictions


@pytest.mark.parametrize(("prediction", "verdict", "tiou"), [
    (record(10, 20, "a", 0.9), "true positive", 1.0), (record(10, 16), "double detection", 0.6),
    (record(10, 20, "b"), "wrong label", 1.0), (record(10, 14), "localisation", 0.4),
    (record(10, 11, "b"), "confusion", 0.1), (record(10, 10.9), "background", 0.09), (record(50, 60), "background", 0),
])  # fmt: skip
def test_one_of_each_kind(prediction, verdict, tiou):
    truth = [record(10, 20, "a", 1.0)]
    predictions = [record(10, 20, "a", 0.8), prediction] if verdict == "double detection" else [prediction]
    told, found = verdicts(truth, predictions)
    assert told[-1]["verdict"] == verdict and told[-1]["tiou"] == pytest.approx(tiou)
    assert told[-1]["other"] == (0 if tiou else None)
    assert found == ([0] if told[0]["verdict"] == "true positive" else [None])


def test_of_two_equally_near_the_one_of_its_label_is_meant():
    told, _ = verdicts([record(0, 10, "b"), record(0, 10, "a")], [record(0, 4, "a")])
    assert told == [{"verdict": "localisation", "tiou": 0.4, "other": 1}]


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("tiou", [0.3, 0.5, 0.75])
def test_as_the_rules_say_in_plain_words(seed, tiou):
    truth, predictions = made(seed)
    told, found = verdicts(truth, predictions, tiou)
    taken = match_greedily(truth, predictions, tiou)
    for prediction, verdict, match in zip(predictions, told, taken, strict=True):
        near = [(slow_tiou(prediction["segment"], t["segment"]), t["label"] == prediction["label"]) for t in truth]
        best, same = max(near)
        assert (verdict["verdict"] == "true positive") == (match is not None)
        if match is not None:
            assert verdict["other"] == match and verdict["tiou"] == pytest.approx(near[match][0])
            continue
        expected = ("double detection" if same else "wrong label") if best >= tiou else (
            "background" if best < 0.1 else "localisation" if same else "confusion")
        assert verdict["verdict"] == expected and verdict["tiou"] == pytest.approx(best)
    assert {v["verdict"] for v in told} <= set(ErrorKind)
    assert [i for i in found if i is not None] == [taken.index(j) for j in range(len(truth)) if j in taken]


def test_a_score_threshold_changes_no_verdict():
    truth, predictions = made(7)
    told, _ = verdicts(truth, predictions)
    for low in (0.2, 0.5, 0.8):
        kept = [i for i, r in enumerate(predictions) if r["score"] >= low]
        assert verdicts(truth, [predictions[i] for i in kept])[0] == [told[i] for i in kept]


def test_what_is_ambiguous_is_neither_found_nor_missed():
    vague, clear = record(0, 10, "Ambiguous", 1.0) | {"ambiguous": True}, record(20, 30, "a", 1.0)
    done = judged({"truth": [vague, clear], "x": [record(0, 10), record(20, 30), record(0, 10, "Ambiguous")]})
    assert [r["verdict"] for r in done["truth"]] == ["ambiguous", "found"]
    assert [(r["verdict"], r["other"]) for r in done["x"]] == [
        ("left out", None), ("true positive", 1), ("left out", None)]


def test_what_touches_the_ambiguous_and_is_not_right_counts_for_nothing():
    truth = [record(5, 15, "a"), record(0, 10, "Ambiguous") | {"ambiguous": True}]
    told, found = verdicts(truth, [record(5, 15, "a", 0.9), record(6, 15, "a", 0.8), record(9, 30, "b", 0.7),
                                   record(10, 15, "b", 0.6), record(30, 40, "b", 0.5)])
    assert [t["verdict"] for t in told] == ["true positive", "left out", "left out", "wrong label", "background"]
    assert [t["other"] for t in told] == [0, 0, 0, 0, None] and found == [0, None]


def test_tracks_are_judged_and_stacked_and_the_truth_knows_who_finds_it():
    truth, predictions = made(3)
    tracks = {"truth": [{"segment": r["segment"], "label": r["label"]} for r in truth], "x": predictions, "y": []}
    done = judged(tracks, 0.5)
    assert list(done) == ["truth", "x", "y"] and done["y"] == [] and "score" not in tracks["truth"][0]
    assert [r["row"] for r in done["x"]] == stack_rows(predictions)
    for j, r in enumerate(done["truth"]):
        hits = [p["score"] for p in done["x"] if p["verdict"] == "true positive" and p["other"] == j]
        assert list(r["found"].values()) == hits and r["verdict"] == ("found" if hits else "missed")
    assert judged({"truth": [], "x": predictions})["x"][0]["verdict"] == "background"
    assert verdicts([], []) == ([], [])


def test_a_threshold_that_hides_all_is_named_with_the_best_score():
    found = [record(0, 1, score=0.1839), record(2, 3, score=0.05)]
    assert note_hidden(found, 0.3) == "; nothing above 0.30, the best is 0.18"
    truth = [{"segment": [0, 1], "label": "a"}]
    assert note_hidden(found, 0.1839) == note_hidden([], 0.3) == note_hidden(truth, 1) == ""
