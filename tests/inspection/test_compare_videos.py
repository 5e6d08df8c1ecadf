"""Two runs over all test videos: sums of what each found, and the videos chosen by the difference."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.made_runs import made_run, made_world
from losa.inspection.compare_videos import choose_telling_videos, count_by_video, sum_counts
from losa.inspection.run_folder import open_run


def made_counts(before: list, after: list) -> pd.DataFrame:
    """The counts of two runs whose videos have these values of average mAP."""
    videos = [f"v{i}" for i in range(len(before))]
    return pd.concat({name: pd.DataFrame({"average mAP": values, "found": 3, "missed": 1, "wrong": 2}, index=videos)
                      for name, values in {"head only": before, "LoSA": after}.items()}, axis=1)


def test_counts_and_sums_are_those_of_a_count_by_hand(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    made_run(tmp_path / "near", annotations, 0.1)
    made_run(tmp_path / "far", annotations, 3.0)
    runs = {name: open_run(tmp_path / name) for name in ("near", "far")}
    counts = count_by_video(runs, min_score=0.4)
    for name, run in runs.items():
        found = wrong = 0
        for video, truth in run.truth.items():
            free = list(truth)
            for p in sorted(run.predictions[video], key=lambda p: -p["score"]):
                if p["score"] < 0.4:
                    continue
                hit = [r for r in free if r["label"] == p["label"] and _overlap(r["segment"], p["segment"]) >= 0.5]
                if hit:
                    free.remove(hit[0])
                found, wrong = found + bool(hit), wrong + (not hit)
        assert sum_counts(counts).loc[name].to_dict() == {"found": found, "missed": 16 - found, "wrong": wrong}
    assert sum_counts(counts).loc["near", "found"] > 0


def _overlap(a: list, b: list) -> float:
    inter = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return inter / (max(a[1], b[1]) - min(a[0], b[0])) if inter else 0.0


def test_the_videos_are_the_most_won_the_most_lost_and_a_typical_one():
    chosen = choose_telling_videos(made_counts([0.5, 0.5, 0.9, 0.6, np.nan], [0.6, 0.9, 0.7, 0.7, np.nan]))
    assert list(chosen) == ["v1", "v2", "v0"]  # +40, -20, and +10 where the mean is +10
    assert chosen["v1"] == "LoSA gains most: average mAP 50 → 90 %, errors 3 → 3"
    assert chosen["v2"].startswith("LoSA loses most") and chosen["v0"].startswith("typical")


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8), st.integers(1, 9))
def test_as_many_as_wanted_are_chosen_and_a_loss_is_a_loss(values, number):
    counts = made_counts(*map(list, zip(*values, strict=True)))
    chosen = choose_telling_videos(counts, number)
    assert len(chosen) == min(number, len(values))
    for video, why in chosen.items():
        change = counts.loc[video, ("LoSA", "average mAP")] - counts.loc[video, ("head only", "average mAP")]
        assert not ("gains" in why and change <= 0) and not ("loses" in why and change >= 0)


def test_three_runs_have_no_one_difference():
    two = made_counts([0.1], [0.2])
    counts = pd.concat([two, two[["LoSA"]].rename(columns={"LoSA": "third"})], axis=1)
    with pytest.raises(ValueError, match=r"3 runs \(head only, LoSA, third\); give the counts of two"):
        choose_telling_videos(counts)
