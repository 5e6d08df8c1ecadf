"""Labels that the ground truth does not know, class numbers, and labels that are shifted."""

import pytest

from helpers.eval_files import CLASSES, DURATIONS, RECORDS, found, relabelled, results
from losa.evaluation.label_mismatches import nearest_label, propose_names
from losa.evaluation.records import Truth


def test_no_label_that_is_known_comes_first_and_names_the_nearest():
    only = found(relabelled(str.title))["unknown labels"]
    assert (only.level, only.count, only.of) == ("error", 12, 12)
    assert str(only).startswith("none of the 12 predictions has a label that the ground truth knows, so that mAP is 0: "
                                "'Jump' (4): did you mean 'jump'?; 'Throw' (3): did you mean 'throw'?")
    assert "--rename Jump=jump" in only.advice and "It has bounce, catch, jump, throw, wave" in only.advice


def test_some_labels_that_are_unknown_are_counted():
    some = found(relabelled(lambda name: {"jump": "Jump", "wave": "yawning"}.get(name, name)))["unknown labels"]
    assert (some.level, some.count, some.of) == ("warning", 5, 12)
    assert some.examples == ["'Jump' (4): did you mean 'jump'?", "'yawning' (1)"]
    many = found(relabelled(lambda name: name)) | found({"clip_0000": [
        {"label": f"odd{i}", "segment": [1, 2], "score": 0.5} for i in range(9)]})
    assert many["unknown labels"].examples[-1] == "and 4 more labels"


def test_a_class_of_another_subset_is_not_unknown():
    truth = Truth(RECORDS, "test", DURATIONS, {}, (*CLASSES, "spin"))
    only = found(relabelled(lambda name: "spin" if name == "wave" else name), truth)
    assert only["labels without an instance"].level == "note" and "unknown labels" not in only
    assert only["labels without an instance"].count == 1


@pytest.mark.parametrize(("first", "how"), [(0, "counted from 0"), (1, "counted from 1")])
def test_class_numbers_get_the_names_by_which_predictions_lie_on_instances(first, how):
    only = found(relabelled(lambda name: str(CLASSES.index(name) + first)))["class numbers"]
    assert only.level == "error" and how in only.advice and "12 of 12 lie on" in only.advice
    assert f'"{first} bounce", "{first + 1} catch"' in only.advice and "--classes FILE" in only.advice


def test_class_numbers_in_the_order_of_the_file_are_told_from_the_alphabet():
    order = ("wave", "throw", "jump", "catch", "bounce")
    truth = Truth(RECORDS, "test", DURATIONS, {}, order)
    names, how = propose_names(truth, relabelled(lambda name: str(order.index(name))), {0, 1, 2, 3, 4})
    assert names == dict(enumerate(order)) and "as the file lists them" in how
    assert propose_names(truth, relabelled(lambda name: "77"), {77}) == ({}, "")


def test_a_truth_with_numbers_only_asks_for_the_classes():
    records = {v: [{**r, "label": f"class_{CLASSES.index(r['label'])}"} for r in items] for v, items in RECORDS.items()}
    only = found(results(), Truth(records, "test"))["unknown labels"]
    assert "class numbers only" in only.advice and "--classes FILE" in only.advice


@pytest.mark.parametrize(("label", "name"), [("Pole Vault", "PoleVault"), ("pole_vault", "PoleVault"), ("jmp", "jump"),
                                             ("yawn", ""), ("", "")])
def test_the_nearest_label(label, name):
    assert nearest_label(label, ["PoleVault", "jump", "-"]) == name


def test_class_numbers_in_no_usual_order_get_the_names_on_whose_instances_they_lie():
    order = ["wave", "jump", "bounce", "throw", "catch"]
    only = found(relabelled(lambda name: str(order.index(name) + 7)))["class numbers"]
    assert "in none of the usual orders: then 12 of 12" in only.advice
    assert '"7 wave", "8 jump", "9 bounce", "10 throw", "11 catch"' in only.advice


def test_labels_that_are_shifted_by_one_are_said():
    shifted = found(relabelled(lambda name: sorted(CLASSES)[sorted(CLASSES).index(name) - 1]))
    assert (shifted["labels of other instances"].level, shifted["labels of other instances"].of) == ("warning", 12)
    assert "'catch' on 'jump' (4)" in shifted["labels of other instances"].examples


def test_a_renaming_is_quoted_for_a_shell():
    advice = found(relabelled(lambda name: "$jump" if name == "jump" else name))["unknown labels"].advice
    assert "--rename '$jump=jump'" in advice
