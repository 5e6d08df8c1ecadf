"""The table of motions and the two presets of what a backbone sees."""

from losa.world import motions


def test_presets_differ_in_six_classes():
    assert len(motions.CLASSES) == 10 and len(motions.MOTIONS) == 16
    assert set(motions.PRESETS["covered"]) == set(motions.MOTIONS)
    missing = set(motions.MOTIONS) - set(motions.PRESETS["gap"])
    assert len(missing) == 6 and missing <= set(motions.CLASSES)
