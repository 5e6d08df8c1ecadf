"""Features of others: which axis is time, when a feature is, other rates, and ours written in their layout."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.clock import clock_video
from losa.annotations.dataset import load_annotations
from losa.config import Config
from losa.errors import FeatureError
from losa.taps.cached import CachedTaps
from losa.taps.live import LiveTaps
from losa.taps.npy import NpyFeatures
from losa.taps.open import open_features
from losa.taps.resampled import Resampled


def write(folder, lengths, dim=5, *, layout="TC", prefix="", frames=16, stride=4, dtype=np.float32):
    """Random features of videos at 30 fps of `lengths` features each, and the videos."""
    folder.mkdir(exist_ok=True)
    rng, videos, truth = np.random.default_rng(0), [], {}
    for i, length in enumerate(lengths):
        name = f"video_{i}"
        truth[name] = rng.standard_normal((length, dim)).astype(dtype)
        np.save(folder / f"{prefix}{name}.npy", truth[name] if layout == "TC" else truth[name].T)
        videos.append(clock_video(((length - 1) * stride + frames) / 30, fps=30.0, name=name))
    return videos, truth


def whole(source, video):
    return source.features(source.fetch(video, 0, source.num_snippets(video)))


@pytest.mark.parametrize("prefix", ["", "v_"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("layout", ["TC", "CT"])
@pytest.mark.parametrize("lengths", [(50, 70, 61), (50, 50), (64,), (5, 5), (6, 5)], ids=str)
def test_time_is_the_axis_that_varies_or_fits_the_duration(tmp_path, prefix, dtype, layout, lengths):
    videos, truth = write(tmp_path / "f", lengths, layout=layout, prefix=prefix, dtype=dtype)
    if lengths == (5, 5):
        layout = "TC"  # square: nothing tells them apart, so it is (T, C)
        truth = {v.id: np.load(tmp_path / "f" / f"{prefix}{v.id}.npy") for v in videos}
    source = NpyFeatures(tmp_path / "f", videos, 4, 16)
    for video in videos:
        tapped, last = whole(source, video)
        assert source.num_snippets(video) == len(truth[video.id]) and tapped.shape == (0, 5, last.shape[1], 1, 1)
        assert last.dtype == torch.float32 and np.array_equal(last.T.numpy(), truth[video.id].astype(np.float32))


def test_a_window_is_a_piece_of_the_whole(tmp_path):
    videos, truth = write(tmp_path, (50, 70), layout="CT")
    source = NpyFeatures(tmp_path, videos, 4, 16)
    for start, stop in [(0, 1), (3, 30), (69, 70)]:
        last = source.features(source.fetch(videos[1], start, stop))[1]
        assert np.array_equal(last.T.numpy(), truth["video_1"][start:stop])


@given(st.floats(5, 60), st.floats(1, 32), st.floats(1, 64), st.floats(0, 1000))
def test_a_feature_stands_where_the_reference_puts_it(fps, stride, frames, seconds):
    """ActionFormer's `(t * fps - 0.5 * num_frames) / stride`, OpenTAD's with offset_frames = num_frames / 2."""
    source = NpyFeatures.__new__(NpyFeatures)
    source.card = {"stride": stride, "frames": frames, "fps": {}}
    grid = source.time_grid(clock_video(fps=fps))
    assert grid.to_grid(seconds) == pytest.approx((seconds * fps - 0.5 * frames) / stride, abs=1e-6)


def test_taps_in_a_file_come_before_the_last_layer(tmp_path):
    rng = np.random.default_rng(0)
    stored = {name: rng.standard_normal((4, length, 3)).astype(np.float32) for name, length in (("a", 9), ("b", 12))}
    for name, rows in stored.items():
        np.save(tmp_path / f"{name}.npy", rows)
    videos = [clock_video(rows.shape[1] / 2, fps=8.0, name=name) for name, rows in stored.items()]
    source = NpyFeatures(tmp_path, videos, 4, 4)
    tapped, last = source.features(source.fetch(videos[1], 2, 7))
    assert np.array_equal(tapped[..., 0, 0].transpose(1, 2), stored["b"][:3, 2:7])
    assert np.array_equal(last.T, stored["b"][3, 2:7]) and source.recipe.layers == (0, 1, 2)
    alone = NpyFeatures(tmp_path, videos, 4, 4, layers=())
    assert whole(alone, videos[0])[0].shape == (0, 3, 9, 1, 1) and alone.recipe.layers == ()


def test_missing_files_are_counted_and_named(tmp_path):
    videos, _ = write(tmp_path, (50, 60))
    more = [*videos, *(clock_video(name=f"lost_{i}") for i in range(9))]
    with pytest.raises(FeatureError, match="9 of 11 videos have no features in .*lost_0, lost_1.* and 4 more"):
        NpyFeatures(tmp_path, more, 4, 16)
    with pytest.raises(FeatureError, match="there is no folder of features"):
        NpyFeatures(tmp_path / "no", videos, 4, 16)
    with pytest.raises(FeatureError, match="of no video"):
        NpyFeatures(tmp_path, (), 4, 16)


@pytest.mark.parametrize("content, why", [
    (b"", "no .npy array or is cut short"), (b"text", "no .npy array"), (np.zeros(7), "expected floats"),
    (np.zeros((3, 5), np.int64), "expected floats"), (np.zeros((0, 5)), "expected floats"),
    (np.array([{}]), "no .npy array"), (np.zeros((50, 6)), "another width than the most usual 5: video_0 .6."),
    (np.zeros((2, 50, 5)), "another number of taps"), ("cut", "cut short")], ids=str)
def test_files_that_are_no_features_are_named(tmp_path, content, why):
    videos, _ = write(tmp_path, (50, 60, 70))
    path = tmp_path / "video_0.npy"
    if isinstance(content, str):
        path.write_bytes(path.read_bytes()[:-40])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(FeatureError, match=why):
        NpyFeatures(tmp_path, videos, 4, 16)


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"stride": "4"}', b'{"fps": {"a": null}}', b"\xff"], ids=str)
def test_a_card_that_describes_nothing_is_refused(tmp_path, content):
    videos, _ = write(tmp_path, (50, 60))
    (tmp_path / "card.json").write_bytes(content)
    with pytest.raises(FeatureError, match="card.json is no description of features"):
        NpyFeatures(tmp_path, videos, 4, 16)


@pytest.mark.parametrize("name", ["../video_0", "/tmp/video_0", "a/../../video_0", "", "a\\b"])
def test_an_id_leads_out_of_no_folder(tmp_path, name):
    with pytest.raises(FeatureError, match="is no name for a file"):
        NpyFeatures(tmp_path, [clock_video(name=name)], 4, 16)


def test_values_that_are_no_numbers_are_refused_where_they_are_read(tmp_path):
    videos, truth = write(tmp_path, (50, 60))
    truth["video_0"][30, 2] = np.nan
    np.save(tmp_path / "video_0.npy", truth["video_0"])
    source = NpyFeatures(tmp_path, videos, 4, 16)
    source.fetch(videos[0], 0, 30)
    with pytest.raises(FeatureError, match="video_0.npy holds values that are nan"):
        source.fetch(videos[0], 25, 35)


def test_a_wrong_stride_is_noticed(tmp_path):
    videos, _ = write(tmp_path, (500, 700), stride=4)
    with pytest.warns(UserWarning, match=r"2 of 2 videos have another number .* 0.50 x in the middle"):
        NpyFeatures(tmp_path, videos, 2, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NpyFeatures(tmp_path, videos, 4, 16)


def test_a_video_without_a_frame_rate_has_no_times(tmp_path):
    videos, _ = write(tmp_path, (50, 60))
    source = NpyFeatures(tmp_path, [replace(v, fps=None) for v in videos], 4, 16)
    with pytest.raises(FeatureError, match="video_0' has no frame rate"):
        source.time_grid(replace(videos[0], fps=None))


# --- another rate ---------------------------------------------------------------------------------------------------


# --- from a config, and back out ------------------------------------------------------------------------------------


def test_config_names_a_folder_of_features(tmp_path):
    videos, truth = write(tmp_path, (50, 60))
    config = Config(features=str(tmp_path), feature_stride=4, feature_frames=16, taps="none")
    source = open_features(config, videos, quiet=True)
    assert isinstance(source, NpyFeatures) and source.recipe.dim == 5 and source.recipe.layers == ()
    assert source.recipe.clip_length // source.recipe.tubelet == 1 and source.decode_counts(videos) == {}
    fixed = open_features(config.replace(snippets_per_video=192), videos, quiet=True)
    assert fixed.num_snippets(videos[0]) == 192 and fixed.recipe.dim == 5
    # ActionFormer with force_upsampling: stride (T - 1) * s + n over 192 frames, the first in the middle of its own
    span = (50 - 1) * 4 + 16
    resized = Resampled(NpyFeatures(tmp_path, videos, 4, 4), None, 192).time_grid(videos[0])
    assert resized.to_seconds(np.arange(192)) == pytest.approx((np.arange(192) + 0.5) * (span - 12) / 192 / 30)


def test_real_annotations_with_features_in_the_reference_layout(shared_data, tmp_path):
    """412 videos as ActionFormer's users have them: thumos14.json and a folder of (T, C)."""
    data = json.loads((shared_data / "thumos14" / "thumos14.json").read_text())["database"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        videos = load_annotations(shared_data / "thumos14" / "thumos14.json").videos
    for video in videos:
        length = int((data[video.id]["duration"] * data[video.id]["fps"] - 16) // 4) + 1
        np.save(tmp_path / f"{video.id}.npy", np.zeros((max(length, 1), 3), np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = open_features(Config(features=str(tmp_path), feature_stride=4, feature_frames=16, taps="none"), videos)
    assert len(videos) == 412 and source.time_axis == -2
    for video in videos:
        fps = data[video.id]["fps"]
        expected = (video.segments * fps - 8) / 4
        np.testing.assert_allclose(source.time_grid(video).to_grid(video.segments), expected, atol=1e-6)


def test_sources_have_the_same_surface():
    """Every source answers what training, prediction and cards ask."""
    for source in (NpyFeatures, Resampled, CachedTaps, LiveTaps):
        assert {"time_grid", "num_snippets", "fetch", "features", "decode_counts"} <= set(dir(source))
