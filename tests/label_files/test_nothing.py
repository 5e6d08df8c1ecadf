"""Names of stretches without an action."""

import pytest

from losa.label_files.nothing import is_ambiguous, means_nothing


@pytest.mark.parametrize("label", ["Ambiguous", "background", "BG", "No-Action", "action_start", "-1", "SIL", "n/a"])
def test_these_mean_nothing_in_any_spelling(label):
    assert means_nothing(label) and is_ambiguous(label) == (label == "Ambiguous")


@pytest.mark.parametrize("label", ["jump", "1", "background music on", "no", "ambiguous throw"])
def test_actions_do_not(label):
    assert not means_nothing(label) and not is_ambiguous(label)
