"""The rules that evaluators differ in, one at a time."""


import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losa.evaluation.protocols import drop_duplicates, match_by_score, parse_tiou


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-3, 0.3, 1e4]))
def test_dropping_duplicates_equals_comparing_each_with_each(seed, scale):
    rng = np.random.default_rng(seed)
    starts = scale * rng.integers(0, 3, 40) + rng.choice([0, 0.4e-3, 0.9999e-3, 1e-3, 1.1e-3, 2e-3], 40)
    ends = starts + rng.choice([0, 1, 1, 2, 1.001, 1.0004], 40)
    rows = zip(starts.tolist(), ends.tolist(), rng.integers(0, 2, 40), strict=True)
    instances = [{"segment": [s, e], "label": str(a)} for s, e, a in rows]
    kept = []
    for one in instances:
        (s, e), others = one["segment"], [o["segment"] for o in kept if o["label"] == one["label"]]
        if e > s and not any(abs(s - o[0]) <= 1e-3 and abs(e - o[1]) <= 1e-3 for o in others):
            kept.append(one)
    assert drop_duplicates(instances) == kept


def test_matching_in_pieces_equals_matching_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    truth, given_ = (np.sort(rng.uniform(0, 30, (n, 2)), axis=1) for n in (30, 400))
    whole = match_by_score(truth, given_, (0.3, 0.7))
    monkeypatch.setattr("losa.evaluation.protocols.PAIRS_AT_ONCE", 1000)
    assert np.array_equal(match_by_score(truth, given_, (0.3, 0.7)), whole) and (whole >= 0).any()


def test_parse_tiou():
    assert parse_tiou("0.3:0.7:0.1") == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert parse_tiou("0.5:0.95:0.05") == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert parse_tiou("0.5") == (0.5,) and parse_tiou("0.5, 0.75,0.95") == (0.5, 0.75, 0.95)


@pytest.mark.parametrize(
    "text",
    ["", "a", "0.3:0.1:0.7", "0.3:0.7", "0:0.5:0.1", "0.5:1.5:0.5", "nan", "50", "0.1:1:1e-9", "0.1:inf:1", "nan:1:1"],
)
def test_parse_tiou_refuses(text):
    with pytest.raises(ValueError, match=r"first:last:step"):
        parse_tiou(text)
