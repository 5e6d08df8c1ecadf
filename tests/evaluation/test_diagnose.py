"""Every number of the diagnosis against a slow twin that follows DETAD's words one prediction at a time."""

import json
import math
import random
from itertools import pairwise

import numpy as np
import pytest

from helpers.paths import GOLDEN
from losa.evaluation.average_precision import LENGTHS, evaluate
from losa.evaluation.diagnose import BINS, diagnose
from losa.evaluation.records import read_ground_truth, read_predictions
from widgets.error_kinds import COUNTED, WRONG, ErrorKind
from widgets.verdicts import verdicts

TIOU = (0.3, 0.5, 0.7)
FOUND = {"segment": [10.0, 14.0], "label": "jump"}


def made(seed: int, num_videos: int = 6) -> tuple[dict, dict, dict]:
    """Truth, predictions and durations: no two scores equal, dense and empty videos, a label and a video too many."""
    draw = random.Random(seed)
    scores = iter(draw.sample(range(10**6), 4000))
    truth, predictions = {}, {}
    for v in range(num_videos):
        truth[f"v{v}"] = [record(draw, "abc") for _ in range(draw.choice((0, 3, 12)))]
        copies = [moved(draw, r) for r in truth[f"v{v}"] for _ in range(3)]
        rows = copies + [record(draw, "abcd") for _ in range(draw.choice((0, 5, 30)))]
        predictions[f"v{v}"] = [{**r, "score": next(scores) / 1e6} for r in draw.sample(rows, len(rows))]
    truth["only truth"] = [record(draw, "abc") for _ in range(4)]
    predictions["unknown"] = [{**record(draw, "abc"), "score": next(scores) / 1e6} for _ in range(4)]
    return truth, predictions, {v: 50.0 for v in truth}


def record(draw: random.Random, labels: str) -> dict:
    start = draw.uniform(0, 40)
    return {"segment": [start, start + draw.choice((0.5, 2, 5, 9, 20)) * draw.uniform(0.8, 1.2)],
            "label": draw.choice(labels)}


def moved(draw: random.Random, given: dict) -> dict:
    start, end = given["segment"]
    by = draw.choice((0.05, 0.3, 0.8)) * (end - start)
    return {"segment": [start + draw.uniform(-by, by), end + abs(draw.gauss(0, by))],
            "label": given["label"] if draw.random() < 0.7 else draw.choice("abc")}


def same_numbers(got: object, expected: object) -> bool:
    if isinstance(expected, dict):
        return set(got) == set(expected) and all(same_numbers(got[k], expected[k]) for k in expected)
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(same_numbers, got, expected))
    return got == (pytest.approx(expected, abs=1e-12) if isinstance(expected, float) else expected)


# --- the twin: protocol "activitynet", no equal scores --------------------------------------------------------------


def area(right: list[bool], num_truth: int) -> float:
    """Interpolated AP, from the definition: for each find the best precision from there on."""
    precision = [sum(right[: i + 1]) / (i + 1) for i in range(len(right))]
    return sum(max(precision[i:]) for i, ok in enumerate(right) if ok) / num_truth


def judged_alone(truth: list, predictions: list, tiou: float) -> tuple[list, list]:
    """`verdicts`; where there is nothing to find, everything is background."""
    background = [{"verdict": "background", "tiou": 0.0, "other": None} for _ in predictions]
    return verdicts(truth, predictions, tiou) if truth and predictions else (background, [None] * len(truth))


def kinds_at(truth: dict, predictions: dict, tiou: float) -> tuple[dict, dict]:
    """{(video, index): kind} of the predictions and {(video, index): prediction or None} of the truth."""
    kinds, found = {}, {}
    for v in {**truth, **predictions}:
        judged, by = judged_alone(truth.get(v, []), predictions.get(v, []), tiou)
        kinds |= {(v, i): j["verdict"] for i, j in enumerate(judged)}
        found |= {(v, i): j for i, j in enumerate(by)}
    return kinds, found


def twin(truth: dict, predictions: dict, durations: dict, top: int) -> dict:
    instances = [(v, i, r) for v, rows in truth.items() for i, r in enumerate(rows)]
    classes = sorted({r["label"] for *_, r in instances})
    size = {c: sum(r["label"] == c for *_, r in instances) for c in classes}
    everything = sorted(((r["score"], v, i, r["label"]) for v, rows in predictions.items() for i, r in enumerate(rows)),
                        reverse=True)
    ranked = {c: [(v, i) for _, v, i, label in everything if label == c] for c in classes}
    best = {c: rows[: top * size[c]] for c, rows in ranked.items()}
    at = {t: kinds_at(truth, predictions, t) for t in (*TIOU, 0.5)}
    kinds, found = at[0.5]

    def mean_ap(rows: dict, without: str) -> list[float]:
        kept = {t: {c: [at[t][0][p] for p in rows[c] if at[t][0][p] != without] for c in classes} for t in TIOU}
        return [float(np.mean([area([kind == ErrorKind.TRUE_POSITIVE for kind in kept[t][c]], size[c])
                               for c in classes])) for t in TIOU]

    def bars(of: list) -> list[dict]:
        order = [(v, i) for _, v, i, _ in everything if (v, i) in set(of)]
        chosen = {kind: [p for p in order if kinds[p] == kind] for kind in COUNTED}
        return [{"name": kind, "count": len(rows), "share": len(rows) / len(of) if of else None,
                 "references": [{"video": v, "kind": "prediction", "index": i} for v, i in rows]}
                for kind, rows in chosen.items()]

    base = mean_ap(best, "none")
    gains = [[a - b for a, b in zip(mean_ap(best, kind), base, strict=True)] for kind in WRONG]
    slices = [[p for c in classes for p in ranked[c][g * size[c] : (g + 1) * size[c]]] for g in range(top)]
    value = {"length": lambda v, r: r["segment"][1] - r["segment"][0],
             "coverage": lambda v, r: (r["segment"][1] - r["segment"][0]) / durations[v],
             "instances": lambda v, r: sum(other["label"] == r["label"] for other in truth[v])}
    missed = {name: [] for name in value}
    for name, group, (low, high) in ((n, *group) for n in value for group in BINS["losa"][n].items()):
        inside = [(v, i) for v, i, r in instances if low < value[name](v, r) <= high]
        gone = [p for p in inside if found[p] is None]
        missed[name].append({
            "name": group, "bounds": [low, None if high == math.inf else high], "count": len(gone),
            "of": len(inside), "share": len(gone) / len(inside) if inside else None,
            "references": [{"video": v, "kind": "truth", "index": i} for v, i in gone]})
    return {
        "average_map": float(np.mean(mean_ap(ranked, "none"))), "average_map_top": float(np.mean(base)),
        "kinds": bars(list(kinds)), "missed": missed,
        "gains": [{**bar, "gain": float(np.mean(gain)), "per_tiou": gain}
                  for bar, gain in zip(bars([p for rows in best.values() for p in rows])[1:], gains, strict=True)],
        "profile": [{"name": f"{g + 1}G", "count": len(rows), "parts": bars(rows)} for g, rows in enumerate(slices)],
    }


@pytest.mark.parametrize("seed", range(6))
def test_all_numbers_equal_the_twin(seed):
    truth, predictions, durations = made(seed)
    got = diagnose(truth, predictions, thresholds=TIOU, durations=durations, top=3 + seed)
    expected = twin(truth, predictions, durations, 3 + seed)
    for key, value in expected.items():
        assert same_numbers(got[key], value), key
    assert json.loads(json.dumps(got)) == got
    assert got["average_map"] == pytest.approx(evaluate(truth, predictions, TIOU).average_map, abs=1e-12)
    assert min(got["counts"][kind] for kind in (*COUNTED, "found", "missed")) > 0 or seed


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("tiou", [0.5, 0.3, 0.85])
def test_verdicts_equal_those_of_one_video_at_a_time(seed, tiou):
    truth, predictions, _ = made(seed + 100)
    got = diagnose(truth, predictions, tiou)
    for v in {**truth, **predictions}:
        judged, found = judged_alone(truth.get(v, []), predictions.get(v, []), tiou)
        if v in predictions:
            columns = got["predictions"][v]
            assert [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)] == judged
        if v in truth:
            columns = got["truth"][v]
            assert columns["verdict"] == ["missed" if i is None else "found" for i in found]
            assert [i for i, f in zip(columns["other"], found, strict=True) if f is not None] == [
                f for f in found if f is not None]
            for i, instance in enumerate(truth[v]):  # a missed one tells the nearest prediction of its label
                near = [o["tiou"] for o in judged_alone([instance], [
                    p for p in predictions.get(v, []) if p["label"] == instance["label"]], 1e-9)[0]]
                if found[i] is None:
                    assert columns["tiou"][i] == pytest.approx(max(near, default=0.0), abs=1e-12)


def test_golden_files():
    expected = json.loads((GOLDEN / "expected.json").read_text())
    truth = read_ground_truth(GOLDEN / "ground_truth.json", expected["subset"])
    predictions = read_predictions(GOLDEN / "predictions_untied.json")
    for protocol in ("activitynet", "activitynet-dedup", "thumos14"):
        with pytest.warns(UserWarning) if protocol == "thumos14" else pytest.MonkeyPatch.context():
            mean = evaluate(truth, predictions, expected["tiou"], protocol).average_map
        got = diagnose(truth, predictions, protocol=protocol, thresholds=expected["tiou"])
        assert got["average_map"] == pytest.approx(mean, abs=1e-12), protocol
        assert sum(got["counts"][k] for k in ErrorKind) == sum(map(len, predictions.values()))
        assert sum(got["counts"][k] for k in ("found", "missed")) == got["num_truth"]
        left_out = [(v, i) for v, c in got["truth"].items() for i, k in enumerate(c["verdict"]) if k == "left out"]
        assert bool(left_out) == (protocol == "activitynet-dedup")


def test_real_detections_follow_evaluation_and_take_seconds(shared_data):
    truth = read_ground_truth(shared_data / "thumos14/thumos14.json", "Test")
    predictions = read_predictions(shared_data / "thumos14/predictions/co2net_base_test_from_PMIL.json")
    got = diagnose(truth, predictions)
    assert got["average_map"] == pytest.approx(evaluate(truth, predictions).average_map, abs=1e-12)
    some = sorted(truth)[:40:3]
    kinds, _ = kinds_at({v: truth[v] for v in some}, {v: predictions.get(v, []) for v in some}, 0.5)
    assert [got["predictions"][v]["verdict"][i] for v, i in kinds] == list(kinds.values())
    gains = {bar["name"]: bar["gain"] for bar in got["gains"]}
    assert max(gains, key=gains.get) == "localisation" and gains["localisation"] > 0.08


# --- single rules ---------------------------------------------------------------------------------------------------


def one(segment: list, label: str = "jump", *more: dict, **options) -> dict:
    got = diagnose({"v": [FOUND, {"segment": [30.0, 34.0], "label": "wave"}]},
                   {"v": [{"segment": segment, "label": label, "score": 0.5}, *more]}, **options)
    return {key: column[0] for key, column in got["predictions"]["v"].items()}


def test_each_kind_has_its_meaning():
    sure = {**FOUND, "score": 0.9}
    assert one([10, 14]) == {"verdict": "true positive", "tiou": 1.0, "other": 0}
    assert one([10, 12]) == {"verdict": "true positive", "tiou": 0.5, "other": 0}
    assert one([10, 12], "jump", sure) == {"verdict": "double detection", "tiou": 0.5, "other": 0}
    assert one([30, 34]) == {"verdict": "wrong label", "tiou": 1.0, "other": 1}
    assert one([10, 11.9])["verdict"] == "localisation"
    assert one([30, 31])["verdict"] == "confusion" and one([30, 31], "swim")["verdict"] == "confusion"
    assert one([10, 10.4])["verdict"] == "localisation" and one([10, 10.3])["verdict"] == "background"
    assert one([20, 22]) == {"verdict": "background", "tiou": 0.0, "other": None}


def test_of_equally_near_instances_the_one_of_the_label_counts():
    truth = {"v": [{"segment": [0, 4], "label": "wave"}, {"segment": [0, 4], "label": "jump"}]}
    got = diagnose(truth, {"v": [{"segment": [0, 1], "label": "jump", "score": 1.0}]})
    assert got["predictions"]["v"] == {"verdict": ["localisation"], "tiou": [0.25], "other": [1]}


def test_what_scores_less_is_left_out_and_places_stay():
    rows = [{**FOUND, "score": 0.1}, {**FOUND, "score": 0.9}, {**FOUND, "score": 0.8}]
    got = diagnose({"v": [FOUND]}, {"v": rows}, min_score=0.5)
    assert got["predictions"]["v"]["verdict"] == ["left out", "true positive", "double detection"]
    assert got["truth"]["v"] == {"verdict": ["found"], "tiou": [1.0], "other": [1]}
    assert got["kinds"][1]["references"] == [{"video": "v", "kind": "prediction", "index": 2}]
    nothing = diagnose({"v": [FOUND]}, {"v": rows}, min_score=2)
    assert nothing["counts"]["missed"] == 1 and nothing["average_map"] == 0.0
    assert diagnose({"v": [FOUND]}, {})["counts"]["missed"] == 1


def test_what_is_forgiven_and_what_is_ambiguous_is_left_out():
    truth = {"v": [{"segment": [0, 4], "label": "Ambiguous", "ambiguous": True}, FOUND]}
    got = diagnose(truth, {"v": [{"segment": [3, 6], "label": "jump", "score": 0.9}, {**FOUND, "score": 0.5}]},
                   protocol="thumos14")
    assert got["predictions"]["v"]["verdict"] == ["left out", "true positive"] and got["average_map"] == 1.0
    assert got["truth"]["v"] == {"verdict": ["left out", "found"], "tiou": [0.0, 1.0], "other": [None, 1]}


def test_a_find_among_too_many_errors_counts_as_missed_where_asked():
    wrong = [{"segment": [50 + i, 50.5 + i], "label": "jump", "score": 0.9} for i in range(30)]
    rows = [*wrong, {**FOUND, "score": 0.1}]
    found, missed = (diagnose({"v": [FOUND]}, {"v": rows}, min_precision=p)["counts"] for p in (0.0, 0.05))
    assert (found["found"], missed["found"]) == (1, 0) and missed["true positive"] == 1


def test_groups_are_detads_where_asked_and_of_evaluation_otherwise():
    assert BINS["losa"]["length"] is LENGTHS
    for bins in BINS.values():
        for groups in bins.values():
            assert all(a[1] == b[0] for a, b in pairwise(groups.values()))
    got = diagnose({"v": [FOUND]}, {}, bins="detad-activitynet", durations={"v": 5})["missed"]
    assert [[bar["name"] for bar in got[k] if bar["of"]] for k in ("length", "coverage", "instances")] == [
        ["XS"], ["L"], ["XS"]]
    assert "coverage" not in diagnose({"v": [FOUND]}, {})["missed"]


@pytest.mark.parametrize("options, message", [
    ({"durations": {"w": 5}}, 'no seconds for 1 videos of the truth \\("v"'), ({"low": 0.6}, "0 < low <= tiou"),
    ({"tiou": 1.5}, "above 0 and at most 1"), ({"bins": "x"}, "expected one of losa, detad-thumos14"),
    ({"protocol": "x"}, "expected one of"), ({"top": 0}, "top at least 1")])
def test_errors_say_what_is_expected(options, message):
    with pytest.raises(ValueError, match=message):
        diagnose({"v": [FOUND]}, {}, **options)
