"""Names of subsets."""

from pathlib import Path

import pytest

from losa.label_files.subsets import subset_of_file, subsets_named_twice


@pytest.mark.parametrize(("name", "subset"), [
    ("anet_anno_train.json", "train"), ("anet_anno_val.json", "val"), ("EPIC_100_validation.csv", "validation"),
    ("trainval.json", ""), ("train_val.json", ""), ("a_test.json", "test"), ("training.csv", "training"),
    ("contest.json", ""), ("Charades_v1_train.csv", "train"), ("validate.csv", "")])
def test_a_subset_is_a_word_of_the_files_name(name, subset):
    assert subset_of_file(Path(name)) == subset


def test_subsets_of_two_names_are_told():
    assert subsets_named_twice(["Train", "test", "training", "val"]) == ["'Train' and 'training'"]
    assert subsets_named_twice(["validation", "test", "train"]) == []
