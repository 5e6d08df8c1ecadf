"""Which frames are chosen for a sampling rate, by brute force, also where the frame rate varies."""

import numpy as np
import pytest

from helpers.video_kinds import VARIABLE_MS
from losa.video.reader import Reader
from losa.video.sampling import sample_indices


def test_samples_are_uniform_in_time_whatever_the_frame_rate(folder):
    for name in ("constant.mp4", "variable.mp4"):
        times = Reader(folder / name).timestamps
        step = np.median(np.diff(times))
        chosen = sample_indices(times, 10.0, start=0.3, end=1.9)
        assert len(chosen) == 16
        for k, index in enumerate(chosen):
            due = [i for i, time in enumerate(times) if time <= 0.3 + k / 10 + 0.499 * step]
            assert index == due[-1]
    constant = np.arange(100) / 25
    np.testing.assert_array_equal(sample_indices(constant, 25.0), np.arange(100))
    np.testing.assert_array_equal(sample_indices(constant, 12.5), np.arange(0, 100, 2))
    ntsc = np.arange(90000) * 1001 / 30000
    np.testing.assert_array_equal(sample_indices(ntsc, 30000 / 1001), np.arange(90000))
    nearest = np.abs(constant[:, None] - np.arange(28) / 7).argmin(0)
    np.testing.assert_array_equal(sample_indices(constant, 7.0), nearest)


def test_a_held_frame_stays_and_the_end_is_held(folder):
    times = np.array(VARIABLE_MS) / 1000
    assert set(sample_indices(times, 5.0, start=1.4, end=4.1)) == {30}
    held = sample_indices(np.arange(10) / 10, 10.0, end=1.5)
    np.testing.assert_array_equal(held, [*range(10), *[9] * 5])


@pytest.mark.parametrize("arguments", [(10.0, -0.1, 1.0), (10.0, 1.0, 1.0), (10.0, 4.1, 5.0), (10.0, 0.0, 400.0),
                                       (0.0, 0.0, 1.0), (float("nan"), 0.0, 1.0), (10.0, float("nan"), 1.0)])
def test_senseless_ranges_are_refused(arguments):
    with pytest.raises(ValueError, match="expected"):
        sample_indices(np.arange(100) / 25, *arguments)
