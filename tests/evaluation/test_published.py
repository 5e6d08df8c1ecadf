"""Published results as cards: what they say, and that two of them may rarely stand in one table."""

import pytest

from losa.evaluation.card import (
    GROUPS,
    compare,
    read_card,
)
from losa.evaluation.published import PUBLISHED, UNKNOWN
from losa.evaluation.test_sets import TEST_SETS


def test_published_cards():
    """ActionFormer's 212 test videos are not OpenTAD's 211; LoSA's paper does not say which it used."""
    losa, actionformer, adatad = (PUBLISHED[n] for n in ("losa", "actionformer-videomaev2-g", "adatad-g"))
    assert compare(losa, losa).comparable is False and compare(losa, actionformer).reasons == []
    assert any("unknown | thumos14-212" in text for text in compare(losa, actionformer).undecided)
    assert "test videos: 212 | 211" in compare(actionformer, adatad).reasons
    assert compare(adatad, PUBLISHED["adatad-b"]).comparable
    assert {name: card["ap"]["num_classes"] for name, card in PUBLISHED.items()} == {
        name: 200 if name.endswith("-anet") else 20 for name in PUBLISHED}  # fmt: skip
    assert str(compare(losa, adatad)).startswith("71.00 and 75.06 average mAP")
    read_card("published:losa")["ap"]["tiou"].clear()
    assert PUBLISHED["losa"]["ap"]["tiou"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_average_is_the_mean_over_the_thresholds_where_the_paper_gives_all(name):
    card = PUBLISHED[name]
    assert 0.3 < card["result"]["average_map"] < 0.8 and set(card) <= set(GROUPS)
    if card["result"]["map"] != UNKNOWN:
        assert len(card["result"]["map"]) == len(card["ap"]["tiou"])
        assert sum(card["result"]["map"]) / 5 == pytest.approx(card["result"]["average_map"], abs=1e-3)
    expected = 0.95 if name.endswith("-anet") else 0.7
    assert card["ap"]["tiou"][-1] == expected


def test_counts_are_those_of_the_named_test_sets():
    """ActivityNet's differ: duplicates are dropped there, 7,293 become 7,271."""
    named = [card["test_set"] for card in PUBLISHED.values() if card["test_set"]["name"].startswith("thumos")]
    assert len(named) == 6
    for test_set in named:
        known = TEST_SETS[test_set["name"]]
        assert (test_set["num_videos"], test_set["num_instances"]) == (known.num_videos, known.num_instances)
