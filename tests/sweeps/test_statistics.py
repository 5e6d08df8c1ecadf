"""Intervals against tables, the bootstrap against `evaluate` on copied videos, comparisons against hand arithmetic."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from losa.evaluation.average_precision import evaluate
from losa.sweeps.collect import Judged
from losa.sweeps.statistics import (
    bootstrap_difference,
    bootstrap_scores,
    compare_groups,
    converged,
    draw_run,
    interval,
    optimism,
    paired_interval,
    pareto,
    video_draws,
    weighted_map,
)

TIOU = (0.3, 0.5, 0.7)
PROTOCOLS = ("activitynet", "activitynet-dedup", "thumos14")


def records(seed: int, num_videos: int = 6, num_predictions: int = 30, ambiguous: bool = False):
    """Made truth and predictions, of which many are near the truth; no scores are equal."""
    rng = np.random.default_rng(seed)
    truth, predictions = {}, {}
    for i in range(num_videos):
        start = rng.uniform(0, 50, rng.integers(0, 5))
        rows = [{"segment": [s, s + rng.uniform(1, 9)], "label": f"c{rng.integers(3)}"} for s in start]
        truth[f"v{i}"] = rows + [{"segment": [60.0, 70.0], "label": "Ambiguous", "ambiguous": True}] * ambiguous
        near = [{"segment": sorted((np.array(r["segment"]) + rng.normal(0, 0.6, 2)).tolist()), "label": r["label"],
                 "score": rng.uniform()} for r in rows * 2]
        far = [{"segment": [s, s + 5.0], "label": f"c{rng.integers(4)}", "score": rng.uniform()}
               for s in rng.uniform(0, 70, num_predictions // num_videos)]
        predictions[f"v{i}"] = near + far
    return truth, predictions


def copied(of: dict, weights) -> dict:
    """As many copies of every video as its weight, under other names."""
    return {f"{video}#{k}": items for video, times in zip(sorted(of), weights, strict=True) for items in [of[video]]
            for k in range(times)}


@pytest.mark.filterwarnings("ignore:protocol=")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_weights_of_one_are_what_evaluate_says(protocol):
    truth, predictions = records(1, 20, 200, ambiguous=protocol == "thumos14")
    predictions["elsewhere"] = [{"segment": [0.0, 5.0], "label": "c0", "score": 0.99}]
    found = weighted_map(truth, predictions, np.ones((1, 20), int), TIOU, protocol)
    assert found[0] == pytest.approx(evaluate(truth, predictions, TIOU, protocol).map, abs=1e-12)


@pytest.mark.filterwarnings("ignore:protocol=")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_weights_are_copies_of_videos(protocol):
    truth, predictions = records(2, ambiguous=protocol == "thumos14")
    draws = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), 25)
    found = weighted_map(truth, predictions, draws, TIOU, protocol)
    for weights, row in zip(draws, found, strict=True):
        twice, said = copied(truth, weights), copied(predictions, weights)
        assert row == pytest.approx(evaluate(twice, said, TIOU, protocol).map, abs=1e-12)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_any_weights_are_copies_of_videos(seed, weights):
    truth, predictions = records(seed, 4, 12)
    twice = copied(truth, weights)
    if not any(truth.values()):
        return
    found = weighted_map(truth, predictions, np.array([weights]), TIOU)[0]
    if any(twice.values()):
        assert found == pytest.approx(evaluate(twice, copied(predictions, weights), TIOU).map, abs=1e-12)
    else:
        assert np.isnan(found).all()


def test_many_draws_at_once_are_the_draws_one_by_one(monkeypatch):
    truth, predictions = records(3)
    draws = video_draws(6, 50, seed=4)
    whole = weighted_map(truth, predictions, draws, TIOU)
    monkeypatch.setattr("losa.sweeps.statistics.AT_ONCE", 1)
    assert np.array_equal(whole, weighted_map(truth, predictions, draws, TIOU), equal_nan=True)


def test_a_thousand_draws_spread_as_the_theory_says():
    """Of one class with one instance a video that is found or not, average mAP is the share of videos found."""
    truth = {f"v{i}": [{"segment": [0.0, 4.0], "label": "a"}] for i in range(40)}
    predictions = {f"v{i}": [{"segment": [0.0, 4.0], "label": "a", "score": 0.5 + i / 100}] for i in range(30)}
    scores = bootstrap_scores(truth, predictions, (0.5,), seed=1)
    assert scores.shape == (1000,) and abs(scores.mean() - 0.75) < 0.01
    assert scores.std() == pytest.approx(math.sqrt(0.75 * 0.25 / 40), rel=0.1)
    assert video_draws(40, 1000, 1).sum(axis=1).tolist() == [40] * 1000


def test_both_runs_of_a_pair_see_the_same_videos():
    truth, good = records(5, 20, 100)
    shifted = {v: [{**r, "score": r["score"] / 2} for r in rows] for v, rows in good.items()}  # the same order
    bad = {v: rows[len(rows) // 2 :] for v, rows in good.items()}
    a, same, b = (Judged(truth, p, TIOU, "activitynet") for p in (good, shifted, bad))
    assert bootstrap_difference([a], [same]).__dict__ == {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 20}
    alone, paired = bootstrap_difference([a]), bootstrap_difference([a], [b])
    assert alone.mean == pytest.approx(evaluate(truth, good, TIOU).average_map, abs=1e-12)
    assert paired.mean == pytest.approx(alone.mean - evaluate(truth, bad, TIOU).average_map, abs=1e-12)
    difference = draw_run(a) - draw_run(b)
    assert (paired.low, paired.high) == pytest.approx(tuple(np.percentile(difference, (2.5, 97.5))))
    other = Judged(records(6, 20, 100)[0], bad, TIOU, "activitynet")
    assert bootstrap_difference([a, other], [b, other]).n == 40


# --- over seeds ---------------------------------------------------------------------------------------------------


def test_intervals_are_the_tables():
    values = [1.0, 2.0, 4.0, 3.0, 7.0]
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    found = interval(values)
    assert (found.low, found.high) == pytest.approx(expected) and found.mean == pytest.approx(3.4) and found.n == 5
    assert interval([1.0, 3.0]).half == pytest.approx(12.7062, abs=1e-4)  # t of .975 with one degree of freedom
    wide = stats.ttest_rel([3.0, 5.0, 6.0], [1.0, 4.0, 2.0]).confidence_interval(0.9)
    assert paired_interval([2.0, 1.0, 4.0], 0.9).low == pytest.approx(wide.low)


def test_one_value_tells_no_spread_and_failed_runs_count_for_nothing():
    one, none = interval([5.0, math.nan]), interval([])
    assert (one.mean, one.n) == (5.0, 1) and math.isnan(one.low) and math.isnan(one.half)
    assert math.isnan(none.mean) and none.n == 0


def frame(**columns) -> pd.DataFrame:
    """Two data seeds by two backbone seeds by windows 1 and 4 by two gates; window 1 is worth -2 and -4 points."""
    rows = [{"short_window": w, "gate": g, "data_seed": d, "backbone_seed": b, "training_seed": d, "late_gain": 0.1,
             "average_map": 0.5 + 0.1 * d + 0.05 * b + 0.01 * (g == "tanh") - 0.02 * (1 + d) * (w == 1)}
            for w in (4, 1) for g in ("tanh", "none") for d in (0, 1) for b in (0, 1)]
    return pd.DataFrame(rows).assign(**columns)


def test_settings_are_compared_on_the_same_seeds_and_settings():
    found = compare_groups(frame(), "short_window", 4, videos=False).to_dict("records")
    assert len(found) == 1
    row = found[0]
    assert (row["setting"], row["n"], row["unit"], row["runs"], row["also_differs"]) == (1, 2, "data_seed", 8, "")
    assert row["difference"] == pytest.approx(-3.0)
    assert (row["seeds_low"], row["seeds_high"]) == pytest.approx(stats.t.interval(0.95, 1, loc=-3, scale=1))
    assert row["mean"] - row["baseline_mean"] == pytest.approx(-3.0) and math.isnan(row["videos_low"])


def test_a_failed_run_takes_its_pair_with_it():
    runs = frame()
    runs.loc[(runs.short_window == 4) & (runs.data_seed == 1), "average_map"] = math.nan
    row = compare_groups(runs, "short_window", 4.0, videos=False).iloc[0]
    assert (row["n"], row["runs"], row["unit"]) == (1, 4, "data_seed") and math.isnan(row["seeds_low"])
    assert row["difference"] == pytest.approx(-2.0)
    runs["average_map"] = math.nan
    row = compare_groups(runs, "short_window", 4, videos=False).iloc[0]
    assert row["n"] == 0 and math.isnan(row["difference"]) and math.isnan(row["mean"])


def test_what_else_is_not_the_same_is_said():
    runs = frame()
    runs["gate"] = np.where(runs.short_window == 1, "sigmoid", runs.gate)
    row = compare_groups(runs, "short_window", 4, videos=False).iloc[0]
    assert row["also_differs"] == "gate" and row["difference"] == pytest.approx(-3.0)


def test_backbones_are_compared_whatever_their_weights_and_seeds():
    runs = frame(backbone=lambda f: np.where(f.gate == "tanh", "gap", "timm/x"), gate="tanh")
    runs["weights"] = np.where(runs.backbone == "gap", runs.backbone_seed.map("w{}".format), "")
    runs["backbone_seed"] = runs["backbone_seed"].where(runs.backbone == "gap", None)
    for axis, baseline, setting, difference in (("backbone", "gap", "timm/x", -1.0), ("weights", "w0", "", 1.5)):
        row = compare_groups(runs, axis, baseline, videos=False).set_index("setting").loc[setting]
        assert (row["n"], row["runs"]) == (2, 8) and row["difference"] == pytest.approx(difference)


def test_seeds_of_failed_runs_alone_are_no_unit():
    runs = frame(data_seed=lambda f: np.where(f.gate == "tanh", 5.0, math.nan))
    runs.loc[runs.gate == "none", "average_map"] = math.nan
    row = compare_groups(runs, "short_window", 4, videos=False).iloc[0]
    assert (row["n"], row["unit"]) == (2, "training_seed") and not math.isnan(row["seeds_low"])


@pytest.mark.parametrize(("axis", "baseline", "said"), [("window", 4, "no column 'window'"),
                                                        ("gate", "tahn", "is in no run; there are tanh, none")])
def test_a_wrong_axis_or_baseline_is_named(axis, baseline, said):
    with pytest.raises(ValueError, match=said):
        compare_groups(frame(), axis, baseline)


# --- judging runs -------------------------------------------------------------------------------------------------


def test_optimism_is_the_best_test_epoch_less_the_last(tmp_path):
    log = [{"epoch": 1, "test_map": 0.3}, {"epoch": 2}, {"epoch": 3, "test_map": 0.5}, {"epoch": 4, "test_map": 0.45}]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in log))
    assert optimism(log) == optimism(path) == pytest.approx(0.05)
    assert math.isnan(optimism([{"epoch": 1}]))


def test_converged_is_less_than_three_tenths_of_a_point():
    assert converged(0.29) and converged(-1.0) and not converged(0.3) and not converged(math.nan)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
def test_the_pareto_front_is_what_no_row_beats(rows):
    found = pareto(pd.DataFrame(rows, columns=["cost", "score"]), "cost", "score")
    beaten = [any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in rows) for cost, score in rows]
    assert found.tolist() == [not b for b in beaten]


def test_runs_without_a_number_are_on_no_front():
    runs = pd.DataFrame({"cost": [1.0, math.nan, 0.5, 2.0], "score": [0.5, 0.9, math.nan, 0.6]})
    assert pareto(runs, "cost", "score").tolist() == [True, False, False, True]
