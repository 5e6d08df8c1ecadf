"""What the Matching widget is fed with: one class of a run, as the run found and judges it."""

import numpy as np
import pytest
import torch

from helpers.small_runs import small_run
from losa.errors import RunError
from losa.evaluation.average_precision import evaluate
from losa.inference.nms import soft_nms
from losa.inspection import matching_data
from losa.inspection.matching_data import STEPS, MatchingDesk, candidates_of, matching_desk, matching_view


@pytest.fixture(scope="module")
def at(run):
    """A video in which something happens, and what."""
    return next((video, rows[0]["label"]) for video, rows in run.truth.items() if rows)


def test_a_class_of_all_videos_gives_its_ap_in_the_result(run, at):
    given = matching_view(run, *at)
    truth = {v: [{"segment": s, "label": "x"} for s in rows] for v, rows in given["truth"].items()}
    found = {v: [{"segment": [s, e], "label": "x", "score": score} for s, e, score in rows]
             for v, rows in given["predictions"].items()}
    measured = evaluate(truth, found, run.config.tiou).per_class["x"]
    assert measured == pytest.approx(run.result["per_class"][at[1]], abs=1e-6)


def test_candidates_are_what_soft_nms_was_given(run, at):
    rows = candidates_of(run, *at)
    assert rows == sorted(rows, key=lambda row: -row[2]) and len(rows) > 1
    raw, classes = run.raw[0][at[0]], run.raw[1]
    mine = raw.labels == classes.index(at[1])
    kept = soft_nms(raw.segments[mine], raw.scores[mine], raw.labels[mine], sigma=run.config.nms_sigma)
    np.testing.assert_allclose(rows[0], [*kept[0][0].tolist(), kept[1][0].item()])


def test_the_desk_changes_the_class(run, at):
    desk = MatchingDesk(run, at[0])
    assert {*desk.label.options} == {r["label"] for r in run.truth[at[0]]}
    for label in desk.label.options:
        desk.label.value = label
        assert desk.matching.title.startswith(f"{label} in {at[0]}")
        assert desk.matching.predictions == matching_view(run, at[0], label)["predictions"]


def test_the_desk_says_the_ap_of_the_result_and_puts_boundaries_back(run, at):
    desk = MatchingDesk(run, at[0])
    aps = []
    for desk.tiou.value in run.config.tiou:
        aps.append(desk.predicted())
        assert desk.matching.tiou == desk.tiou.value and f"AP is {100 * aps[-1]:.1f} %" in desk.said.value
    assert np.mean(aps) == pytest.approx(np.mean(run.result["per_class"][desk.label.value]), abs=1e-6)
    desk.matching.predictions = {}
    desk.back.click()
    assert desk.matching.predictions == desk.view["predictions"] != {}


def test_the_desk_goes_through_soft_nms_step_by_step_and_back(run, at):
    desk = MatchingDesk(run, at[0])
    assert desk.matching.steps == [] and desk.step.layout.display == "none" != desk.back.layout.display
    desk.way.value = STEPS
    assert len(desk.matching.steps) == len(desk.candidates) == desk.step.max
    assert desk.step.layout.display != "none" == desk.back.layout.display
    desk.step.value = 2
    kept = [row["text"] for row in desk.matching.steps if row["right"]]
    assert len(kept) == 2 and kept[0].startswith("kept, step 1: ")
    desk.way.value = "Drag a boundary"
    assert desk.matching.steps == []


def test_all_steps_together_are_soft_nms():
    rng = np.random.default_rng(0)
    for _ in range(20):
        start, sigma = rng.uniform(0, 6, 25), float(rng.choice([0.1, 0.5, 1.5]))
        rows = np.stack([start, start + rng.uniform(0.5, 4, 25), rng.uniform(0.01, 1, 25)], 1)
        found = sorted((row for row in matching_data.soft_nms_steps(rows.tolist(), sigma, 0.05, 1000) if row["kept"]),
                       key=lambda row: row["kept"])
        given = torch.tensor(rows)
        segments, scores, _ = soft_nms(given[:, :2], given[:, 2], torch.zeros(25, dtype=torch.long), sigma=sigma,
                                       min_score=0.05)
        np.testing.assert_allclose([[*row["segment"], row["score"]] for row in found],
                                   torch.cat([segments, scores[:, None]], 1), atol=1e-6)


def test_a_step_says_what_it_did_to_whom():
    rows = matching_data.soft_nms_steps([[2.0, 4.0, 0.9], [2.2, 4.2, 0.85], [9.0, 9.0, 0.4]], 0.5, 0.001, 1)
    tiou = 1.8 / 2.2
    assert [row["kept"] for row in rows] == [1, 0, 0] and rows[0]["by"] is None
    assert rows[1]["by"] == pytest.approx((tiou, 0.85)) and rows[1]["score"] == pytest.approx(
        0.85 * np.exp(-tiou**2 / 0.5))
    assert rows[2]["by"] == (0, 0.4) and rows[2]["score"] == 0.4
    assert matching_data.soft_nms_steps([], 0.5, 0.001, 3) == []


@pytest.mark.parametrize("kind", ["image", "features", "agnostic", "head_only"])
def test_runs_of_other_kinds(tiny, kind):
    run = small_run(tiny, kind)
    video = next(name for name, rows in run.truth.items() if rows)
    assert MatchingDesk(run, video).candidates


def test_what_is_not_there_is_said(run, at):
    with pytest.raises(RunError, match="no test video with 'nothing' to find"):
        matching_view(run, at[0], "nothing")
    run.truth["empty"], run.videos["empty"] = [], run.videos[at[0]]
    try:
        assert "nothing happens in empty" in matching_desk(run, "empty").data
    finally:
        del run.truth["empty"], run.videos["empty"]
