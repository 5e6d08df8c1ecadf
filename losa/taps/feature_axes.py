"""Find out which axis of feature files is time. A shape is that of one file's array; shapes are by video."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from losa.errors import FeatureError
from losa.segments import Number

Shape = tuple[int, ...]
CLEAR = 0.5  # by how much nearer, in natural logarithms, one axis must be to the expected counts than the other


def find_unit_axes(shapes: Mapping[str, Shape]) -> dict[int, Shape]:
    """Return which axes to drop of arrays by their number of axes: those of length 1 in every file, until two are left.

    So (T, 1, C), (1, T, C) and (T, C, 1, 1) all become (T, C), and (K + 1, T, C) stays.
    """
    found = {}
    for dims in {len(shape) for shape in shapes.values()}:
        alike = [shape for shape in shapes.values() if len(shape) == dims]
        units = [axis for axis in range(dims) if all(shape[axis] == 1 for shape in alike)]
        last_first = sorted(units, reverse=dims > 3)  # one feature alone, (1, C, 1, 1), keeps its C
        found[dims] = tuple(sorted(last_first[:max(0, dims - 2)]))
    return found


def squeeze(shape: Shape, unit_axes: Mapping[int, Shape]) -> Shape:
    """Return the shape without the axes that are dropped of arrays with as many axes."""
    return tuple(size for axis, size in enumerate(shape) if axis not in unit_axes[len(shape)])


def find_time_axis(source: str, shapes: Mapping[str, Shape], expected: Mapping[str, Number],
                   axes: Literal["TC", "CT"] | None = None, width: int | None = None) -> int:
    """Return -2 for files (..., T, C), -1 for (..., C, T).

    axes: which it is, if that is known. Else files with three axes are (K + 1, T, C), and of two axes the one that is
    equally long in every file is C. Where that tells nothing, C is the one that is `width` long, as a model's
    features are, or T the one that fits the expected counts, clearly.
    expected: number of features that a video should have, as far as that is known; 0 is unknown.

    Raises FeatureError where files have another number of axes, or nothing tells which is time.
    """
    odd = next((shape for shape in shapes.values() if len(shape) not in (2, 3)), None)
    if odd is not None:
        raise FeatureError(f"{source}: files hold {odd}; expected (T, C), (C, T) or (K + 1, T, C), also with axes of "
                           "length 1. Average over the others, as over space, and write the features again")
    if axes:
        return -1 if axes == "CT" else -2
    if any(len(shape) == 3 for shape in shapes.values()):
        return -2
    constant = [len({shape[axis] for shape in shapes.values()}) == 1 for axis in (-2, -1)]
    if constant[0] != constant[1]:
        return -1 if constant[0] else -2
    wide = [all(shape[axis] == width for shape in shapes.values()) for axis in (-2, -1)]
    if wide[0] != wide[1]:
        return -1 if wide[0] else -2
    away = [_measure_distance(shapes, expected, axis) for axis in (-2, -1)]
    if abs(away[0] - away[1]) < CLEAR:
        raise FeatureError(_explain(source, shapes))
    return -1 if away[1] < away[0] else -2


def _measure_distance(shapes: Mapping[str, Shape], expected: Mapping[str, Number], axis: int) -> float:
    """Return how far, in natural logarithms, an axis is from the expected counts in the middle; 0 if none is known."""
    return float(np.median([abs(np.log(shape[axis] / expected[name])) for name, shape in shapes.items()
                            if expected.get(name)] or [0.0]))


def _explain(source: str, shapes: Mapping[str, Shape]) -> str:
    name, (first, second) = next(iter(shapes.items()))
    same = "every file holds" if len(set(shapes.values())) == 1 else f"{name} holds"
    return (f"{source}: {same} ({first}, {second}), and nothing tells which axis is time. Write -s feature_axes=TC "
            f"where that is {first} features of width {second}, -s feature_axes=CT where it is {second} of width "
            f"{first}; and -s feature_grid=duration, too, where every video was rescaled to as many features")
