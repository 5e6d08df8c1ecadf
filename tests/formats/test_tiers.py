"""Which of several tiers holds the labels is said, never guessed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from losa.errors import AnnotationError
from losa.formats.tiers import choose_tiers, split_overlaps
from losa.label_files.sheet import KINDS, Findings

FILE = Path("a.eaf")


def chosen(counts, wanted=""):
    findings = Findings(KINDS)
    return choose_tiers(FILE, counts, wanted, findings), {kind: f.examples for kind, f in findings.items()}


def test_the_only_tier_with_annotations_is_taken():
    assert chosen({"notes": 0, "action": 3}) == (["action"], {})
    assert chosen({}) == ([], {})


def test_of_several_one_has_to_be_named():
    with pytest.raises(AnnotationError) as error:
        chosen({"action": 4, "gaze": 2, "empty": 0})
    assert str(error.value) == ("a.eaf: 2 tiers have annotations: 'action' (4), 'gaze' (2). Say which holds the "
                                'labels: --tier "action" (--tier all: all of them)')
    told = {"tiers are not read": ["a.eaf: 'gaze' (2)"]}
    assert chosen({"action": 4, "gaze": 2}, "action") == (["action"], told)
    assert chosen({"action": 4, "gaze": 2}, "Action") == (["action"], told)
    assert chosen({"action": 4, "gaze": 2}, "all") == (["action", "gaze"], {})


def test_several_are_named_with_commas_and_a_name_may_have_one():
    counts = {"left, near": 1, "left": 2, "near": 3}
    assert chosen(counts, "left, near")[0] == ["left, near"]
    assert chosen(counts, "near,left")[0] == ["near", "left"]
    with pytest.raises(AnnotationError, match=r"--tier right: there is no such tier; there are 'left, near' \(1\)"):
        chosen(counts, "right")


def test_what_losa_wrote_is_taken_with_its_overlaps():
    told = {"tiers are not read": ["a.eaf: 'comment' (1)"]}
    assert chosen({"losa": 2, "losa 2": 1, "comment": 1}) == (["losa", "losa 2"], told)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.integers(1, 9)), max_size=12))
def test_no_list_overlaps_and_none_is_more_than_needed(rows):
    segments = [(label, start, start + length) for label, start, length in rows]
    lanes = split_overlaps(segments)
    assert sorted(item for lane in lanes for item in lane) == sorted(segments)
    assert all(a[2] <= b[1] for lane in lanes for a, b in zip(lane, lane[1:], strict=False))
    most = max((sum(start <= t < end for _, start, end in segments) for t in range(30)), default=0)
    assert len(lanes) == most
