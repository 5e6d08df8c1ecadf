"""What training asks of the model, as pictures are told: against rules in plain words and training's own windows."""

import numpy as np
import pytest
import torch

from helpers.made_sources import Waves
from helpers.video_files import read_number, write_video
from losa.annotations.dataset import Video
from losa.config import Config
from losa.inspection.training_targets import (
    assign_on_time_grid,
    crop_batch,
    find_levels,
    video_frames,
    window_as_the_model_sees_it,
)
from losa.training.windows import choose_window

CLASSES = ("jump", "wave")
STEP = 0.25  # seconds from one snippet to the next: 8 frames a second, 2 a snippet


class Source(Waves):
    """Made-up features of blocks 3 and 7."""

    class recipe:
        layers, clip_length, tubelet = (3, 7), 16, 2


def a_video(name="v", duration=16.0, *rows):
    segments = np.array([row[1:] for row in rows], float).reshape(-1, 2)
    labels = np.array([CLASSES.index(row[0]) for row in rows], int)
    return Video(name, "train", None, 0.0, duration, segments, labels)


def owners(start, end, num_snippets, num_levels):
    """The points (place in seconds, level) that must find a segment, by ActionFormer's rule: {(place, level)}."""
    first, last, found = start / STEP - 0.25, end / STEP - 0.25, set()  # snippet 0 lies at 0.0625 s
    for level in range(num_levels):
        low = 0 if level == 0 else 4 * 2 ** (level - 1)
        high = 4 * 2**level if level < num_levels - 1 else 1e4
        for place in range(0, num_snippets, 2**level):
            left, right, far = place - first, last - place, abs(place - (first + last) / 2)
            if left > 0 and right > 0 and far < 1.5 * 2**level and low <= max(left, right) <= high:
                found.add((place, level))
    return found


def test_frames_are_those_of_the_file(tmp_path):
    path = write_video(tmp_path / "v.mp4", num_frames=20, fps=10)
    told = video_frames(Video("v", "train", path, 0.0, 2.0, np.zeros((0, 2)), np.zeros(0, int)))
    np.testing.assert_allclose(told["timestamps"], np.arange(20) / 10, atol=1e-3)
    assert [read_number(frame) for frame in told["read"]([3, 17])] == [3, 17]


@pytest.mark.parametrize("segment", [(2.0, 3.0), (1.1, 4.6), (0.0, 12.0), (5.0, 5.3)])
def test_points_that_must_find_a_segment_are_those_of_the_rule(segment):
    video = a_video("v", 16.0, ("wave", *segment))
    record = video.records(CLASSES)[0]
    told = assign_on_time_grid(Source(64), video, record, 3, CLASSES)
    assert (told["fps"], told["clip"], told["tubelet"], told["record"]) == (8.0, 2.0, STEP, record)
    np.testing.assert_allclose(told["snippets"], 0.0625 + STEP * np.arange(64))
    times, strides, ranges = told["points"]
    assert len(times) == 64 + 32 + 16 and ranges[:, 0].unique().tolist() == [0, 1, 2]  # 0, 4 and 8 snippets
    where = {(round((t - 0.0625) / STEP), round(np.log2(s / STEP)))
             for t, s in zip(times[told["positive"]].tolist(), strides[told["positive"]].tolist(), strict=True)}
    assert where == owners(*segment, 64, 3) and where


def test_levels_are_where_most_points_lie_or_none():
    rows = [("jump", 2.0, 2.9), ("jump", 1.0, 4.0), ("wave", 1.0, 9.0), ("wave", 5.0, 5.05)]
    videos = [a_video("a", 16.0, *rows[:2]), a_video("b", 16.0, *rows[2:])]
    expected = []
    for _, *segment in rows:
        levels = [level for _, level in owners(*segment, 65, 4)]
        expected.append(max(set(levels), key=lambda level: (levels.count(level), -level)) if levels else -1)
    assert find_levels(Source(64), videos, 4) == expected and expected[0] == 0 and expected[-1] == -1
    assert len(set(expected)) > 2 and find_levels(Source(64), [], 4) == []


def test_windows_of_a_batch_are_drawn_as_training_does_and_share_their_length():
    videos = [a_video("a", 16.0, ("jump", 2.0, 3.0)), a_video("b", 16.0, ("wave", 9.0, 10.0), ("jump", 0.0, 1.0))]
    config, source = Config.make(window=24), Source(64)
    rows = crop_batch(source, videos, config, CLASSES, seed=5)
    for i, (row, video) in enumerate(zip(rows, videos, strict=True)):
        drawn = choose_window(np.random.default_rng([5, i]), 64, source.time_grid(video).to_grid(video.segments), 24,
                              config.crop_ratio)
        assert (row["start"], row["length"]) == drawn and row["padded"] >= 24 and row["padded"] == rows[0]["padded"]
        edges = [row["start"], row["start"] + 24, row["start"] + row["padded"]]
        assert row["window"].tolist() == pytest.approx([STEP * edge - 0.0625 for edge in edges])
        assert (row["title"], row["duration"], row["segments"]) == (video.id, 16.0, video.records(CLASSES))
    again = [crop_batch(source, videos, config, CLASSES, seed=seed) for seed in (5, *range(9))]
    starts = [[row["start"] for row in batch] for batch in again]
    assert starts[0] == [row["start"] for row in rows] and len({tuple(each) for each in starts}) > 3


def test_a_window_has_its_own_features_segments_and_targets():
    """A segment inside, one cut by the edge and one with less than half inside, which is no target."""
    video = a_video("v", 16.0, ("jump", 5.0, 6.0), ("wave", 3.0, 4.9), ("jump", 8.5, 14.0))
    source, crop = Source(64), {"start": 14, "length": 24, "padded": 32}  # from 3.4375 to 9.4375 s
    told = window_as_the_model_sees_it(source, video, crop, Config.make(head_levels=3), CLASSES)
    assert told["mask"].tolist() == [True] * 24 + [False] * 8 and told["classes"] == CLASSES
    assert [r["label"] for r in told["records"]] == ["jump", "wave"]
    np.testing.assert_allclose([r["segment"] for r in told["records"]],
                               [[5 / STEP - 14.25, 6 / STEP - 14.25], [-0.5, 4.9 / STEP - 14.25]], atol=1e-5)
    taps, last = source.features(source.fetch(video, 14, 38))
    assert list(told["features"]) == ["tap of block 7", "last layer"]
    assert torch.equal(told["features"]["tap of block 7"], taps[1, :, :, 0, 0])
    assert torch.equal(told["features"]["last layer"], last)
    expected = owners(5.0, 6.0, 64, 3)
    places = {(int(place) + 14, int(level)) for place, level in zip(
        np.concatenate([np.arange(0, 32, 2**level) for level in range(3)])[told["targets"][:, 0] > 0],
        told["strides"].log2()[told["targets"][:, 0] > 0], strict=True)}
    assert {point for point in places if point[1] == 0} == {point for point in expected if point[1] == 0} and places
    assert set(told["targets"].unique().tolist()) == {0, 1} and told["targets"][:, 1].any()
