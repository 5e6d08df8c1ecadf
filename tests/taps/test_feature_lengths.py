"""Features that cover another length than their videos stop before training, with the stride or rate that fits."""

import warnings

import numpy as np
import pytest

from losa.errors import FeatureError
from losa.taps.feature_lengths import Length, check_lengths, check_same_length, compare, fit_fps, fit_stride

SECONDS = np.linspace(11.3, 240.7, 40)


def made(stride=4, frames=16, fps=30.0, *, rate=None, seconds=SECONDS):
    """Lengths of features made at `rate` (None: fps), as an extractor of whole snippets counts, said to be at `fps`."""
    rates = np.broadcast_to(fps if rate is None else rate, len(seconds))
    said = np.broadcast_to(fps, len(seconds))
    return [Length(f"v{i}", float(s), float(f), max(1, int((s * r - frames) // stride) + 1))
            for i, (s, r, f) in enumerate(zip(seconds, rates, said, strict=True))]


@pytest.mark.parametrize("stride, frames, fps", [(4, 16, 30.0), (16, 16, 15.0), (8, 64, 25.0), (1, 1, 2), (30, 90, 9)])
def test_features_that_fit_pass_without_a_word(stride, frames, fps):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_lengths("F", made(stride, frames, fps), stride, frames)
        padded = [Length("v", s, float(fps), int(np.ceil(s * fps / stride))) for s in SECONDS.tolist()]
        check_lengths("F", padded, stride, frames)


@pytest.mark.parametrize("true, said, factor", [(8, 4, "0.50 x"), (4, 8, "1.99 x"), (16, 6, "0.3. x"),
                                                (5, 4, "0.80 x")])
def test_a_wrong_stride_stops_with_the_one_that_fits(true, said, factor):
    with pytest.raises(FeatureError, match=rf"features of \d+ of 40 videos cover another length than the video at "
                       rf"feature_stride={said}, {factor} in the middle: v\d+ has \d+ features, not about \d+.*"
                       rf"-s feature_stride={true}\b.*-s feature_grid=stride"):
        check_lengths("F", made(true), said, 16)
    check_lengths("F", made(true), true, 16)


def test_a_wrong_rate_stops_with_the_one_that_fits():
    native = np.array([23.976, 24, 25, 29.97, 30, 50, 60, 30] * 5)
    with pytest.raises(FeatureError, match="-s feature_fps=15 would fit: write it. Or -s feature_grid=") as caught:
        check_lengths("F", made(16, 16, native, rate=15.0), 16, 16)
    assert "-s feature_stride" not in str(caught.value), "no stride fits videos of different rates"
    with pytest.raises(FeatureError, match="-s feature_stride=8 or -s feature_fps=15 would fit|-s feature_fps=15 or -s "
                                           "feature_stride=8 would fit"):
        check_lengths("F", made(4, 4, 30.0, rate=15.0), 4, 4)


def test_a_broken_stride_is_no_advice_where_a_whole_rate_fits():
    with pytest.raises(FeatureError, match="-s feature_fps=30 would fit: write it") as caught:
        check_lengths("F", made(4, 16, 25.0, rate=30.0), 4, 16)
    assert "feature_stride=3.3" not in str(caught.value)


def test_a_card_is_what_is_to_be_corrected():
    with pytest.raises(FeatureError, match="would fit: correct F/card.json"):
        check_lengths("F", made(8), 4, 16, card="F/card.json")


def test_features_of_other_videos_fit_no_stride():
    shuffled = np.random.default_rng(0).permutation(SECONDS)
    wrong = [Length(x.video_id, float(s), x.fps, x.count) for x, s in zip(made(), shuffled, strict=True)]
    with pytest.raises(FeatureError, match="No stride and no frame rate fit them .*of the same videos"):
        check_lengths("F", wrong, 4, 16)


def test_single_videos_that_differ_are_counted_and_pass():
    lengths = made()
    lengths[7] = Length("v7", lengths[7].seconds, 30.0, 30)
    with pytest.warns(UserWarning, match="features of 1 of 40 videos cover .* v7 has 30 features, not about .*The "
                                         "other 39 agree"):
        check_lengths("F", lengths, 4, 16)


def test_what_is_taken_as_given_only_warns():
    with pytest.warns(UserWarning, match="40 of 40|39 of 40|38 of 40"):
        check_lengths("F", made(8), 4, 16, stop=False)


def test_small_differences_mean_nothing():
    assert compare(Length("a", 10.0, 30.0, 71), 4, 16) == compare(Length("a", 10.0, 30.0, 79), 4, 16) == 1
    assert compare(Length("a", 100.0, 30.0, 700), 4, 16) == 1 != compare(Length("a", 100.0, 30.0, 600), 4, 16)
    assert compare(Length("a", 10.0, None, 7), 4, 16) == 1, "nothing is known of it"
    assert compare(Length("a", 100.0, 30.0, 375), 4, 16) == pytest.approx(0.5)


def test_fits_are_usual_numbers():
    assert fit_stride(made(8), 16) == 8 and fit_stride(made(5.34), 16) == pytest.approx(5.34, abs=0.02)
    assert fit_fps(made(4, 16, 25.0), 4, 16) == 25 and fit_fps(made(4, 16, 12.5), 4, 16) == 12.5


def test_features_rescaled_to_one_length_are_recognised():
    rescaled = [Length(f"v{i}", float(s), fps, 100) for i, s in enumerate(SECONDS) for fps in (None,)]
    for stride, frames, fps in ((None, None, None), (16, 16, None), (16, 16, 30.0)):
        with pytest.raises(FeatureError, match=r"40 of 40 videos have exactly 100 features, while they last from 11.3 "
                                               r"to 240.7 s.*-s feature_grid=duration.*padded.*-s feature_grid=stride"):
            check_same_length("F", [Length(x.video_id, x.seconds, fps, 100) for x in rescaled], stride, frames)
    check_same_length("F", made(), 4, 16)
    check_same_length("F", [Length(f"v{i}", 60 + i / 30, 30.0, 447) for i in range(9)], 4, 16)
    check_same_length("F", [Length(f"v{i}", s, 50 / s, 50) for i, s in enumerate(SECONDS)], 1, 1)
    check_same_length("F", [Length("alone", 60.0, None, 100)], None, None)
