"""What the Matching widget is fed with: one class of a run, as the run found and judges it."""

import numpy as np
import pytest

from helpers.small_runs import small_run
from losa.errors import RunError
from losa.evaluation.average_precision import evaluate
from losa.inference.nms import soft_nms
from losa.inspection.matching_data import MatchingDesk, candidates_of, matching_desk, matching_view


@pytest.fixture(scope="module")
def at(run):
    """A video in which something happens, and what."""
    return next((video, rows[0]["label"]) for video, rows in run.truth.items() if rows)


def test_a_class_of_all_videos_gives_its_ap_in_the_result(run, at):
    given = matching_view(run, *at)
    truth = {v: [{"segment": s, "label": "x"} for s in rows] for v, rows in given["truth"].items()}
    found = {v: [{"segment": [s, e], "label": "x", "score": score} for s, e, score in rows]
             for v, rows in given["predictions"].items()}
    measured = evaluate(truth, found, given["tious"]).per_class["x"]
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


@pytest.mark.parametrize("kind", ["image", "features", "agnostic", "head_only"])
def test_runs_of_other_kinds(tiny, kind):
    run = small_run(tiny, kind)
    video = next(name for name, rows in run.truth.items() if rows)
    assert MatchingDesk(run, video).matching.candidates


def test_what_is_not_there_is_said(run, at):
    with pytest.raises(RunError, match="no test video with 'nothing' to find"):
        matching_view(run, at[0], "nothing")
    run.truth["empty"], run.videos["empty"] = [], run.videos[at[0]]
    try:
        assert "nothing happens in empty" in matching_desk(run, "empty").data
    finally:
        del run.truth["empty"], run.videos["empty"]
