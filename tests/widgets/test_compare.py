"""What two tracks differ in: by hand, and against counting at each threshold anew."""

import random

import pytest

from helpers.slow_overlap import match_greedily, slow_tiou
from widgets.compare import Compare, differences
from widgets.verdicts import judged

TIOU = 0.5


def record(start, end, label="jump", score=1.0):
    return {"segment": [start, end], "label": label, "score": score}


TRUTH = [record(0, 10), record(20, 30), record(40, 50, "wave"), record(60, 70)]
FIRST = [record(0, 9, score=0.9), record(20, 26, score=0.8), record(80, 90, score=0.7), record(61, 70, score=0.1)]
SECOND = [record(20, 30, score=0.6), record(40, 49, "wave", 0.5), record(80, 88, score=0.4), record(5, 6, score=0.3)]
TRACKS = {"truth": TRUTH, "first": FIRST, "second": SECOND}


def random_track(draw, num, scored=True):
    starts = [draw.uniform(0, 100) for _ in range(num)]
    return [record(s, s + draw.uniform(2, 12), draw.choice("ab"), draw.uniform(0, 1) if scored else 1) for s in starts]


def seen_at(rows, low):
    """What a list of rows says at a threshold: hits of each ground truth, wrong predictions of one track only."""
    kept = {row["index"]: [hit[0] if hit and hit[1] >= low else 0.0 for hit in row["hits"]]
            for row in rows if row["kind"] == "truth"}
    alone = {(row["track"], row["index"]) for row in rows
             if row["kind"] == "wrong" and row["score"] >= low > row["twin"]}
    return {index: hits for index, hits in kept.items() if any(hits)}, alone


def test_rows_by_hand():
    rows = differences(judged(TRACKS, TIOU))
    found = {row["index"]: row["hits"] for row in rows if row["kind"] == "truth"}
    assert found == {0: [[0.9, 0.9, 0], None], 1: [[0.6, 0.8, 1], [1.0, 0.6, 0]], 2: [None, [0.9, 0.5, 1]],
                     3: [[0.9, 0.1, 3], None]}
    wrong = [(row["track"], row["index"], row["score"], row["twin"]) for row in rows if row["kind"] == "wrong"]
    assert wrong == [(0, 2, 0.7, 0.4), (1, 2, 0.4, 0.7), (1, 3, 0.3, -1.0)]
    assert rows[2]["label"] == "wave" and rows[2]["segment"] == [40, 50] and rows[-1]["segment"] == [5, 6]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("low", [0.0, 0.3, 0.6])
def test_one_list_holds_for_every_threshold(seed, low):
    draw = random.Random(seed)
    truth, both = random_track(draw, 12, scored=False), [random_track(draw, 40) for _ in range(2)]
    shown = [[(i, r) for i, r in enumerate(records) if r["score"] >= low] for records in both]
    matched = [match_greedily(truth, [r for _, r in rows], TIOU) for rows in shown]
    tiou = lambda record, other: slow_tiou(record["segment"], other["segment"])  # noqa: E731
    hits = {j: [next((tiou(rows[k][1], truth[j]) for k, m in enumerate(found) if m == j), 0.0)
                for rows, found in zip(shown, matched, strict=True)] for j in range(len(truth))}
    wrong = [[rows[k] for k, m in enumerate(found) if m is None] for rows, found in zip(shown, matched, strict=True)]
    alone = {(t, i) for t in (0, 1) for i, r in wrong[t] if not any(
        o["label"] == r["label"] and slow_tiou(o["segment"], r["segment"]) >= TIOU for _, o in wrong[1 - t])}
    rows = differences(judged({"truth": truth, "a": both[0], "b": both[1]}, TIOU), TIOU)
    kept, seen_alone = seen_at(rows, low)
    assert kept == {j: pytest.approx(h) for j, h in hits.items() if any(h)} and seen_alone == alone


def test_empty_tracks_differ_in_nothing():
    assert differences(judged({"truth": TRUTH, "a": [], "b": []}, TIOU)) == []
    assert [r["kind"] for r in differences(judged({"truth": [], "a": FIRST, "b": []}, TIOU))] == ["wrong"] * 4


@pytest.mark.parametrize("number", [0, 1, 3])
def test_it_takes_two_prediction_tracks(number):
    tracks = {"truth": TRUTH, **{f"run {i}": FIRST for i in range(number)}}
    with pytest.raises(ValueError, match=f"exactly 2 prediction tracks after the ground truth, not {number}"):
        Compare(None, tracks, duration=100.0)


def test_the_widget_keeps_its_list_with_its_tracks():
    shown = Compare(None, TRACKS, duration=100.0)
    assert shown.differences == differences(judged(TRACKS, TIOU))
    shown.show(None, {"truth": TRUTH, "a": FIRST, "b": []}, duration=100.0)
    assert {row["track"] for row in shown.differences if row["kind"] == "wrong"} == {0}
    with pytest.raises(TypeError, match="durations"):
        Compare(None, TRACKS, durations=100.0)
