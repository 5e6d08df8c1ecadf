"""The table of average precision at every score threshold equals evaluate on the predictions kept there."""

import json

import numpy as np
import pytest

from losa.evaluation.ap_by_score import ap_table
from losa.evaluation.average_precision import evaluate
from losa.evaluation.records import read_ground_truth, read_predictions

TIOU = (0.3, 0.5, 0.7)


def made_records(seed: int) -> tuple[dict, dict]:
    """Truth with an empty and an ambiguous part, predictions with an unknown label and video; no scores are equal."""
    rng = np.random.default_rng(seed)
    piece = lambda: (lambda s: [s, s + rng.uniform(1, 6)])(rng.uniform(0, 40))  # noqa: E731
    truth = {f"v{i}": [{"segment": piece(), "label": "abc"[rng.integers(3)]} for _ in range(i)] for i in range(6)}
    truth["v5"].append({"segment": piece(), "label": "Ambiguous", "ambiguous": True})
    near = [(v, r) for v, rows in truth.items() for r in rows if not r.get("ambiguous")]
    predictions = {v: [] for v in [*truth, "unknown"]}
    for _ in range(120):
        v, r = near[rng.integers(len(near))]
        label = r["label"] if rng.random() < 0.7 else "abcx"[rng.integers(4)]
        segment = sorted(np.array(r["segment"]) + rng.normal(0, 0.7, 2))
        where = v if rng.random() < 0.9 else "unknown"
        predictions[where].append({"segment": segment, "label": label, "score": rng.random()})
    return truth, predictions


def check_table(truth: dict, predictions: dict, tiou: tuple, protocol: str, step: int) -> None:
    table = ap_table(truth, predictions, tiou, protocol)
    assert table["thresholds"] == [i / 100 for i in range(101)] and json.loads(json.dumps(table)) == table
    for i in range(0, 101, step):
        kept = {v: [r for r in rows if r["score"] >= i / 100] for v, rows in predictions.items()}
        expected = evaluate(truth, kept, tiou, protocol).per_class
        assert table["average"].keys() == expected.keys()
        for label, aps in expected.items():
            assert table["average"][label][i] == pytest.approx(np.mean(aps), abs=1e-12)


@pytest.mark.filterwarnings("ignore:none of the")
@pytest.mark.parametrize("protocol", ["activitynet", "activitynet-dedup", "thumos14"])
def test_the_table_is_what_evaluate_says_at_every_threshold(protocol):
    for seed in range(2):
        check_table(*made_records(seed), TIOU, protocol, step=7)


@pytest.mark.filterwarnings("ignore:none of the")
def test_a_table_without_predictions_or_without_instances():
    truth, _ = made_records(0)
    check_table(truth, {}, TIOU, "activitynet", step=50)
    assert ap_table({"v": []}, {"v": [{"segment": [0, 1], "label": "a", "score": 1}]}, TIOU)["average"] == {}


def test_the_table_of_the_golden_data(shared_data):
    truth = read_ground_truth(shared_data / "golden" / "ground_truth.json", "test")
    predictions = read_predictions(shared_data / "golden" / "predictions.json")
    places = iter(range(10**6))  # equal scores, whose order is not defined, are told apart
    predictions = {v: [r | {"score": r["score"] - 1e-9 * next(places)} for r in rows]
                   for v, rows in predictions.items()}
    average = ap_table(truth, predictions, TIOU)["average"]
    kept = {v: [r for r in rows if r["score"] >= 0.3] for v, rows in predictions.items()}
    for at, records in {0: predictions, 30: kept}.items():
        found = evaluate(truth, records, TIOU)
        assert np.mean([column[at] for column in average.values()]) == pytest.approx(found.average_map, abs=1e-9)
