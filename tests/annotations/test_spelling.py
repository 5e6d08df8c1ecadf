"""Names that become one, names that are reported, and names that people ask to change."""

from collections import Counter

import pytest

from losa.annotations.check import CHECKS
from losa.annotations.spelling import choose_names, parse_renames, plain_name, report_labels, same_words, unify
from losa.errors import AnnotationError
from losa.label_files.sheet import KINDS, Entry, Findings, Sheet


def sheet(counts, classes=None):
    rows = [(label, float(i), i + 1.0) for label, count in counts.items() for i in range(count)]
    return Sheet("CSV", [Entry("v", "train", rows)], classes, Findings(KINDS))


def found(counts, classes=None):
    findings = Findings(CHECKS, show=99)
    report_labels(sheet(counts, classes), findings)
    return {kind: finding.examples for kind, finding in findings.items()}


@pytest.mark.parametrize(("counts", "expected"), [
    ({"jump": 3, "Jump": 1, " jump ": 1}, {"Jump": "jump", " jump ": "jump"}),
    ({"Jump": 2, "jump": 2}, {"jump": "Jump"}),  # alphabetical where none is commoner
    ({"cut  onion": 1, "cut onion": 2}, {"cut  onion": "cut onion"}),
    ({"cut\u00a0onion": 1, "cut onion": 2}, {"cut\u00a0onion": "cut onion"}),
    ({" jump ": 1}, {" jump ": "jump"}),
    ({"take-off": 5, "take off": 1, "take_off": 1, "takeoff": 1, "take-out": 1}, {}),
    ({"Straße": 2, "Strasse": 1, "": 3, " ": 1}, {}),
])  # fmt: skip
def test_only_case_and_spaces_make_names_one(counts, expected):
    assert unify(counts) == expected
    merged = Counter(expected.get(name, name) for name in counts)
    assert unify(merged) == {}, "nothing is left to do"


def test_signs_and_letters_are_reported_with_what_to_type():
    kinds = found({"take-off": 5, "take off": 2, "Take_Off": 1, "take": 8, "bake": 2, "fold": 3, "hold": 5, "it's": 1,
                   "its a": 4})
    assert kinds == {
        "labels differ only in signs": [
            "'take-off' (5) and 'take off' (2) and 'Take_Off' (1); if they are one class: "
            "--rename 'take off=take-off' --rename Take_Off=take-off"],
        "labels look misspelt": ["'bake' (2 instances) and 'take' (8); if they are one class: --rename bake=take"]}


def test_each_label_is_compared_with_its_nearest():
    kinds = found({"put-into": 1, "put-in": 20, "put-onto": 30, "turn on 1": 1, "turn on 2": 9, "sit": 1, "set": 9})
    assert kinds == {"labels look misspelt": ["'put-into' (1 instances) and 'put-onto' (30); if they are one class: "
                                              "--rename put-into=put-onto"]}


def test_a_list_of_classes_is_what_labels_are_compared_with():
    kinds = found({"Jump": 1, "jmup": 2, "take_off": 1, "xyz": 1, "": 1}, ["jump", "take off", "sit"])
    assert kinds == {
        "labels are empty": ["v: '' [0.0, 1.0]"],
        "labels are written unlike the list of classes": ["'Jump' (1 instances) is 'jump'"],
        "labels are not in the list of classes": [
            "'jmup' (2 instances); did you mean 'jump'? --rename jmup=jump",
            "'take_off' (1 instances); did you mean 'take off'? --rename 'take_off=take off'", "'xyz' (1 instances)"],
        "classes of the list have no instance": ["'take off'", "'sit'"]}


@pytest.mark.parametrize(("counts", "classes", "rename", "names", "listed"), [
    ({"bake": 1, "Bake": 1, "take": 3}, None, ["bake=take"], {"bake": "take", "Bake": "take"}, []),
    ({"bake": 1, "take": 3}, None, ["bake=Take"], {"bake": "take"}, []),  # as it is written already
    ({"take": 3}, None, ["take=Take"], {"take": "Take"}, []),
    ({"a": 1, "b": 1}, None, ["a=b", "b=a"], {"a": "b", "b": "a"}, []),
    ({"a": 1, "b": 1, "c": 1}, None, ["a=b", "b=c"], {"a": "b", "b": "c"}, []),
    ({"a=b": 1, "c": 1}, None, ["a=b=c"], {"a=b": "c"}, []),
    ({"a": 1}, None, ["a=b=c"], {"a": "b=c"}, []),
    ({"a": 1, "A": 2, "b": 1, "c": 1}, ["A", "b"], ["b=c"], {"a": "A", "b": "c"}, ["A", "c"]),
    ({"a": 1, "b": 1}, ["a", "b", "c"], ["b=a"], {"b": "a"}, ["a", "c"]),
    ({"a": 1, "x": 1}, ["a"], [], {}, ["a"]),
    ({"JUMP": 1}, ["Jump", "jump"], [], {}, ["Jump", "jump"]),  # could be either
])  # fmt: skip
def test_names_are_chosen_by_list_and_request(counts, classes, rename, names, listed):
    assert choose_names(sheet(counts, classes), rename) == (names, listed)


@pytest.mark.parametrize(("pairs", "message"), [
    (["bake"], "--rename bake: expected OLD=NEW"),
    (["=x"], "expected OLD=NEW"),
    (["take= "], "expected OLD=NEW"),
    (["tkae=bake"], "--rename tkae=bake: no instance has the label 'tkae'; did you mean 'take'?"),
    (["q=bake"], "no instance has the label 'q'."),
    (["take=a", "take=b"], "'take' gets two names, 'a' and 'b'"),
    (["x=y=z"], "could mean"),
])  # fmt: skip
def test_a_request_that_cannot_be_met_says_why(pairs, message):
    with pytest.raises(AnnotationError) as error:
        parse_renames(pairs, ["take", "bake", "x", "x=y"], {})
    assert message in str(error.value)


def test_names_are_compared_without_case_and_with_or_without_signs():
    assert plain_name(" Take_-  off") == plain_name("take off") != plain_name("takeoff")
    assert same_words(" Take  off") == same_words("take off") != same_words("take-off")


def test_letters_that_look_the_same_and_signs_that_are_not_seen_make_no_class_of_their_own():
    assert unify({"schl\u00e4gt": 2, "schla\u0308gt": 1, "jump": 3, "jump\u200b": 1}) == {
        "schla\u0308gt": "schl\u00e4gt", "jump\u200b": "jump"}
