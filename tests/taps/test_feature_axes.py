"""Which axis is time, and which axes of length 1 mean nothing."""

import pytest

from losa.errors import FeatureError
from losa.taps.feature_axes import find_time_axis, find_unit_axes, squeeze


def read(*shapes, expected=(), axes=None, width=None):
    """The shapes without unit axes and the axis of time."""
    named = {f"v{i}": shape for i, shape in enumerate(shapes)}
    units = find_unit_axes(named)
    short = {name: squeeze(shape, units) for name, shape in named.items()}
    return list(short.values()), find_time_axis("F", short, {f"v{i}": n for i, n in enumerate(expected)}, axes, width)


@pytest.mark.parametrize("shapes, short, axis", [
    ([(9, 4), (7, 4)], [(9, 4), (7, 4)], -2), ([(4, 9), (4, 7)], [(4, 9), (4, 7)], -1),
    ([(9, 1, 4), (7, 1, 4)], [(9, 4), (7, 4)], -2), ([(1, 9, 4), (1, 7, 4)], [(9, 4), (7, 4)], -2),
    ([(1, 4, 9), (1, 4, 7)], [(4, 9), (4, 7)], -1), ([(9, 4, 1, 1), (7, 4, 1, 1)], [(9, 4), (7, 4)], -2),
    ([(1, 9, 4, 1, 1), (1, 7, 4, 1, 1)], [(9, 4), (7, 4)], -2), ([(4, 9, 1, 1), (4, 7, 1, 1)], [(4, 9), (4, 7)], -1),
    ([(9, 4), (1, 7, 4)], [(9, 4), (7, 4)], -2), ([(9, 1, 4), (1, 1, 4)], [(9, 4), (1, 4)], -2),
    ([(3, 9, 4), (3, 7, 4)], [(3, 9, 4), (3, 7, 4)], -2), ([(3, 9, 4, 1, 1)], [(3, 9, 4)], -2)], ids=str)
def test_shapes_that_leave_no_doubt(shapes, short, axis):
    assert read(*shapes) == (short, axis)


def test_one_feature_alone_keeps_its_width():
    assert read((1, 512, 1, 1), expected=[1]) == ([(1, 512)], -2)
    assert read((1, 1, 512), expected=[1]) == ([(1, 512)], -2)


def test_equally_long_files_are_read_by_the_expected_counts():
    same = [(100, 400), (100, 400)]
    assert read(*same, expected=[96, 104])[1] == -2 and read(*same, expected=[410, 380])[1] == -1
    assert read(*same, expected=[50, 50])[1] == -2, "a wrong stride is not a wrong axis"


@pytest.mark.parametrize("expected", [[], [200, 200], [0, 0]], ids=str)
def test_where_nothing_tells_the_field_is_named(expected):
    with pytest.raises(FeatureError, match=r"F: every file holds \(100, 400\), and nothing tells which axis is time. "
                                           "Write -s feature_axes=TC where that is 100 features of width 400, -s "
                                           "feature_axes=CT where .*-s feature_grid=duration"):
        read((100, 400), (100, 400), expected=expected)
    assert read((100, 400), (100, 400), axes="CT")[1] == -1 and read((100, 400), axes="TC")[1] == -2


def test_the_width_a_model_was_trained_on_tells_the_axes_of_one_file_apart():
    assert read((100, 400), width=400)[1] == -2 and read((100, 400), width=100)[1] == -1
    with pytest.raises(FeatureError, match="nothing tells which axis is time"):
        read((100, 400), width=512)


def test_what_is_said_counts_more_than_what_is_seen():
    assert read((4, 9), (4, 7), axes="TC")[1] == -2


@pytest.mark.parametrize("shape", [(9, 4, 7, 7), (9, 10, 4, 2)], ids=str)
def test_features_in_space_are_refused(shape):
    with pytest.raises(FeatureError, match="files hold .*; expected .*Average over the others"):
        read(shape, (8, *shape[1:]))
