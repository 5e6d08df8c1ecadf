"""Findings: counted all, shown a few, and told with what to do."""

from pathlib import Path

import pytest

from losa.errors import AnnotationError
from losa.label_files.sheet import KINDS, NOT_LAYOUT, Findings, announce, check_one_subset, listing, stop


def test_all_findings_are_counted_and_the_first_are_kept():
    findings = Findings(KINDS, show=2)
    for i in range(7):
        findings.add(NOT_LAYOUT, f"{i}" * 300)
    findings.add("times have a decimal comma", "line 1: 1,5")
    found = findings[NOT_LAYOUT]
    assert (found.count, found.level, found.advice) == (7, *KINDS[NOT_LAYOUT])
    assert found.examples == ["0" * 97 + " ... " + "0" * 97, "1" * 97 + " ... " + "1" * 97]
    assert list(findings) == [NOT_LAYOUT, "times have a decimal comma"] and "labels have two numbers" not in findings
    findings.add("times have a decimal comma", "half of a \ud83d letter")
    assert findings["times have a decimal comma"].examples[1] == r"half of a \ud83d letter"  # can be printed
    with pytest.raises(KeyError):
        findings.add("no such kind", "x")


def test_a_video_in_two_subsets_is_a_finding_with_both():
    findings = Findings(KINDS)
    check_one_subset({"a": {"train": 3}, "b": {"train": 1, "test": 2}, "c": set()}, findings)
    (found,) = findings.values()
    assert found.kind == "videos are in more than one subset" and found.examples == ["b: test, train"]


@pytest.mark.parametrize(("count", "shown"), [(0, ""), (2, "\n  0\n  1"), (3, "\n  0\n  1\n  ... and 1 more")])
def test_a_listing_shows_a_few_and_counts_the_rest(count, shown):
    assert listing([str(i) for i in range(count)], count, show=2) == shown


def test_errors_and_warnings_name_the_file_the_number_and_the_first():
    items = [f"item {i}" for i in range(6)]
    with pytest.raises(AnnotationError) as caught:
        stop(Path("a.csv"), items, "things are wrong", "Do it again.")
    assert str(caught.value).splitlines() == [
        "a.csv: 6 things are wrong:", *(f"  item {i}" for i in range(5)), "  ... and 1 more", "Do it again."]
    with pytest.warns(UserWarning) as told:
        announce("a.csv", items, "things are odd")
    assert str(told[0].message).splitlines() == [
        "a.csv: 6 things are odd:", "  item 0", "  item 1", "  item 2", "  ... and 3 more"]
