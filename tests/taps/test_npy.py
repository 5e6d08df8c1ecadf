"""Features of others: which axis is time, when a feature is, other rates, and ours written in their layout."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

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
@pytest.mark.parametrize("lengths", [(50, 70, 61), (50, 50), (64,), (6, 5)], ids=str)
@pytest.mark.filterwarnings("ignore:.*time is the last axis")
def test_time_is_the_axis_that_varies_or_fits_the_duration(tmp_path, prefix, dtype, layout, lengths):
    videos, truth = write(tmp_path / "f", lengths, layout=layout, prefix=prefix, dtype=dtype)
    source = NpyFeatures(tmp_path / "f", videos, 4, 16)
    for video in videos:
        tapped, last = whole(source, video)
        assert source.num_snippets(video) == len(truth[video.id]) and tapped.shape == (0, 5, last.shape[1], 1, 1)
        assert last.dtype == torch.float32 and np.array_equal(last.T.numpy(), truth[video.id].astype(np.float32))


def test_a_square_file_is_read_as_it_is_said_to_be(tmp_path):
    videos, truth = write(tmp_path, (5, 5))
    with pytest.raises(FeatureError, match=r"every file holds \(5, 5\), and nothing tells .* -s feature_axes=TC"):
        NpyFeatures(tmp_path, videos, 4, 16)
    for axes, rows in (("TC", truth["video_1"]), ("CT", truth["video_1"].T)):
        assert np.array_equal(whole(NpyFeatures(tmp_path, videos, 4, 16, axes=axes), videos[1])[1].T, rows)


def test_a_window_is_a_piece_of_the_whole(tmp_path):
    videos, truth = write(tmp_path, (50, 70), layout="CT")
    with pytest.warns(UserWarning, match=r"time is the last axis, \(C, T\) .feature_axes=CT."):
        source = NpyFeatures(tmp_path, videos, 4, 16)
    for start, stop in [(0, 1), (3, 30), (69, 70)]:
        last = source.features(source.fetch(videos[1], start, stop))[1]
        assert np.array_equal(last.T.numpy(), truth["video_1"][start:stop])


@given(st.floats(5, 60), st.floats(1, 32), st.floats(1, 64), st.floats(0, 1000))
def test_a_feature_stands_where_the_reference_puts_it(fps, stride, frames, seconds):
    """ActionFormer's `(t * fps - 0.5 * num_frames) / stride`, OpenTAD's with offset_frames = num_frames / 2."""
    source = NpyFeatures.__new__(NpyFeatures)
    source.card, source.given_fps, source.spacing = {"stride": stride, "frames": frames, "fps": {}}, None, None
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
    with pytest.warns(UserWarning, match="of 4 arrays in each file, .* only the last is used"):
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
    (np.array([{}]), "pickled Python objects"), (np.zeros((50, 6)), "another width than the most usual 5: video_0 .6."),
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


def test_a_wrong_stride_stops_unless_it_is_meant(tmp_path):
    videos, _ = write(tmp_path, (500, 700), stride=4)
    with pytest.raises(FeatureError, match=r"features of 2 of 2 videos .* 0.50 x in the middle.*-s feature_stride=4"):
        NpyFeatures(tmp_path, videos, 2, 16)
    for meant in ({"spacing": "stride"}, {"stop": False}):
        with pytest.warns(UserWarning, match="features of 2 of 2 videos .* 0.50 x"):
            NpyFeatures(tmp_path, videos, 2, 16, **meant)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NpyFeatures(tmp_path, videos, 4, 16)


def test_a_wrong_card_is_what_is_to_be_corrected(tmp_path):
    videos, _ = write(tmp_path, (500, 700), stride=4)
    (tmp_path / "card.json").write_text('{"stride": 2, "frames": 16}')
    with pytest.raises(FeatureError, match=r"-s feature_stride=4 or .* would fit: correct .*card.json"):
        NpyFeatures(tmp_path, videos)


def test_a_video_without_a_frame_rate_has_no_times_unless_they_are_said(tmp_path):
    videos, truth = write(tmp_path, (500, 610, 700))
    unknown = [replace(v, fps=None) for v in videos]
    with pytest.raises(FeatureError, match="3 of 3 videos have no frame rate .*-s feature_fps=30 would fit .*-s feat"):
        NpyFeatures(tmp_path, unknown, 4, 16)
    source = NpyFeatures(tmp_path, unknown, 4, 16, fps=30)
    grid, at = source.time_grid(unknown[1]), 401
    assert grid.to_seconds(at) == pytest.approx((401 * 4 + 8) / 30)
    assert np.array_equal(source.features(source.fetch(unknown[1], at, at + 1))[1][:, 0], truth["video_1"][401])
    with pytest.raises(FeatureError, match="video_0' has no frame rate.*feature_fps="):
        NpyFeatures(tmp_path, videos, 4, 16).time_grid(unknown[0])


def test_a_rate_that_is_said_counts_more_than_the_annotations_and_not_more_than_a_card(tmp_path):
    videos, _ = write(tmp_path, (500, 610))
    fast = [replace(v, fps=60.0) for v in videos]
    with pytest.raises(FeatureError, match="0.50 x in the middle.*feature_fps=30"):
        NpyFeatures(tmp_path, fast, 4, 16)
    assert NpyFeatures(tmp_path, fast, 4, 16, fps=30.0).time_grid(fast[0]).to_seconds(1) == pytest.approx(0.4)
    (tmp_path / "card.json").write_text('{"stride": 4, "frames": 16, "fps": {"video_0": 30.0, "video_1": 25.0}}')
    with pytest.raises(FeatureError, match="feature_fps=30, but .*card.json says 25 for video_1, and not 30 for 1"):
        NpyFeatures(tmp_path, videos, fps=30)


# --- as people host them --------------------------------------------------------------------------------------------


def test_rescaled_features_stand_evenly_over_each_video(tmp_path):
    """BMN's on ActivityNet: 100 features of every video; ActionFormer puts feature j at (j + 0.5) / 100 of it."""
    rng, videos, truth = np.random.default_rng(1), [], {}
    for i, seconds in enumerate((20.0, 75.5, 212.34)):
        truth[f"v{i}"] = rng.standard_normal((100, 4)).astype(np.float32)
        titles = "f0,f1,f2,f3\n"
        lines = [",".join(map(str, row)) for row in truth[f"v{i}"].tolist()]
        (tmp_path / f"v_v{i}.csv").write_text(titles + "\n".join(lines))
        videos.append(clock_video(seconds, name=f"v{i}"))
    for fields, why in (({}, "feature_axes=TC.*feature_grid=duration"),
                        ({"axes": "TC"}, "3 of 3 videos have exactly 100 features.*feature_grid=duration")):
        with pytest.raises(FeatureError, match=why):
            NpyFeatures(tmp_path, videos, 16, 16, **fields)
    with pytest.warns(UserWarning, match=r"files are v_\{video\}.csv .feature_pattern.; feature_stride=16 is not used"):
        source = NpyFeatures(tmp_path, videos, 16, 16, (), axes="TC", spacing="duration")
    grid = source.time_grid(videos[2])
    assert grid.to_seconds(np.array([0, 99, -0.5, 99.5])) == pytest.approx([1.0617, 211.2783, 0, 212.34])
    near = round(grid.to_grid(106.5))  # the middle of the video, 106.17 s, is between features 49 and 50
    assert near == 50 and np.allclose(source.features(source.fetch(videos[2], 50, 51))[1][:, 0], truth["v2"][50])
    assert source.recipe.stride is None and source.recipe.describe()["frames"] is None
    wider = Resampled(source, None, 192).time_grid(videos[1])
    assert wider.to_seconds(np.arange(192)) == pytest.approx((np.arange(192) + 0.5) * 75.5 / 192)


def test_suffixes_keys_and_axes_of_length_1_reach_the_right_feature(tmp_path):
    videos, truth = write(tmp_path / "plain", (500, 610))
    (tmp_path / "hosted" / "i3d").mkdir(parents=True)
    for name, rows in truth.items():
        np.savez(tmp_path / "hosted" / "i3d" / f"{name}_rgb.npz", feats=rows[:, None], flow=rows[:, None] * 2)
    fields = dict(features=str(tmp_path / "hosted"), feature_stride=4, feature_frames=16, taps="none")
    with pytest.raises(FeatureError, match="several arrays: 'feats' float32 .500, 1, 5., 'flow'.*feature_key=feats"):
        open_features(Config(**fields), videos)
    with pytest.warns(UserWarning, match=r"hosted: files are i3d/\{video\}_rgb.npz .*of length 1, as in .500, 1, 5."):
        source = open_features(Config(**fields, feature_key="flow"), videos)
    at = round(source.time_grid(videos[1]).to_grid(40.0))
    assert at == round((40.0 * 30 - 8) / 4) == 298
    assert np.array_equal(source.features(source.fetch(videos[1], 298, 299))[1][:, 0], truth["video_1"][298] * 2)


def test_tensors_of_torch_are_read_like_arrays(tmp_path):
    videos, truth = write(tmp_path / "plain", (50, 61))
    (tmp_path / "pt").mkdir()
    for name, rows in truth.items():
        torch.save({"rgb": torch.from_numpy(rows.T.copy())[None]}, tmp_path / "pt" / f"{name}.pt")
    with pytest.warns(UserWarning, match=r"files are \{video\}.pt .*\(C, T\)"):
        source = NpyFeatures(tmp_path / "pt", videos, 4, 16)
    assert np.array_equal(source.features(source.fetch(videos[1], 7, 61))[1].T, truth["video_1"][7:])


def test_a_finished_run_is_judged_on_features_it_was_trained_on(tmp_path):
    """`run` is given at test time: what was not refused when it was trained is not refused afterwards."""
    videos, _ = write(tmp_path, (500, 610))
    config = Config(features=str(tmp_path), feature_stride=2, feature_frames=16, taps="none")
    with pytest.raises(FeatureError, match="0.50 x"):
        open_features(config, videos)
    with pytest.warns(UserWarning, match="0.50 x"):
        assert open_features(config, videos, run="any").num_snippets(videos[0]) == 500
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors",
              {"config": "{}", "classes": "[]", "backbone": '{"dim": 500}'})
    alone = config.replace(feature_stride=None, feature_grid="duration")
    with pytest.raises(FeatureError, match="nothing tells which axis is time"):
        open_features(alone, videos[:1])
    with pytest.warns(UserWarning, match="time is the last axis"):
        assert open_features(alone, videos[:1], run=tmp_path).num_snippets(videos[0]) == 5


def test_what_is_no_folder_or_has_no_stride_is_said(tmp_path):
    videos, _ = write(tmp_path, (50, 60))
    with pytest.raises(FeatureError, match="video_0.npy is a file; give a folder"):
        NpyFeatures(tmp_path / "video_0.npy", videos, 4, 16)
    with pytest.raises(FeatureError, match="has no card.json; say feature_stride, .*-s feature_grid=duration"):
        NpyFeatures(tmp_path, videos, None, 16)


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
