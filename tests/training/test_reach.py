"""What training cannot learn is foretold: compared with the windows that are drawn and the points that are assigned."""

import math

import numpy as np
import pytest
import torch

from helpers.made_sources import Numbers
from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.model.points import assign, points
from losa.segments import Grid, TimeAxis
from losa.training.reach import (
    describe_absent,
    describe_reach,
    list_actions,
    measure_reach,
    propose,
    reached_levels,
    write_settings,
)
from losa.training.windows import Windows

CLASSES = ("clap", "walk", "wedding")


def a_video(segments, labels=None, name="a", duration=100.0, subset="train", fps=30.0):
    labels = [0] * len(segments) if labels is None else labels
    return Video(name, subset, None, 0.0, duration, np.array(segments, dtype=np.float64).reshape(-1, 2),
                 np.array(labels, dtype=np.int64), fps)


def axes_of(config, videos, tubelet=1):
    """Time axes of videos that are read at the config's own number of frames per second."""
    grids = [Grid(config.sample_fps, tubelet) for _ in videos]
    axes = [TimeAxis(grid, grid.num_snippets(math.ceil(video.duration * config.sample_fps - 1e-6)))
            for grid, video in zip(grids, videos, strict=True)]
    return [axis.resampled(tubelet / config.snippet_frames) for axis in axes] if config.snippet_frames else axes


class Timed(Numbers):
    """A source with the time axis of its only video."""

    def __init__(self, axis):
        self.axis, self.total = axis, axis.num_snippets

    def time_grid(self, video):
        return self.axis.grid


def draw(config, videos, axes, align=1, epochs=150):
    """Per action: whether a window ever kept it, showed it whole, gave it a positive point, and on which levels."""
    found = []
    for video, axis in zip(videos, axes, strict=True):
        seen = np.zeros((len(video.labels), 3 + config.head_levels), bool)
        grid = axis.grid.to_grid(video.segments)
        numbered = Video(**{**video.__dict__, "labels": np.arange(len(video.labels))})
        windows = Windows([numbered], Timed(axis), config.window, crop_ratio=config.crop_ratio, align=align)
        for epoch in range(epochs):
            item = windows[epoch, 0]
            where, kept = points(item["length"], config.head_levels), item["labels"].numpy()
            lengths = (item["segments_grid"][:, 1] - item["segments_grid"][:, 0]).numpy()
            seen[kept, 0] = True
            seen[kept, 1] |= lengths > grid[kept, 1] - grid[kept, 0] - 1
            targets = assign(where, item["segments_grid"], item["labels"], len(video.labels))
            for level in range(config.head_levels):
                there = targets.classes[where.strides == 2**level].sum(0).numpy() > 0
                seen[there, 2] = seen[there, 3 + level] = True
        found.append(seen)
    return np.concatenate(found)


SITUATIONS = {  # config, segments, duration, kinds
    "long": (dict(window=32, sample_fps=1, head_levels=3),
             [(1, 8), (20, 51), (100, 140), (150, 213.9), (220, 288), (300, 390)], 400.0,
             ["", "", "clipped", "clipped", "long", "long"]),
    "short": (dict(window=64, sample_fps=2, head_levels=3),
              [(3.1, 3.4), (10.2, 10.45), (20.4, 20.6), (30.0, 30.5), (40.0, 40.6), (50, 53)], 100.0,
              ["short", "short", "", "short", "", ""]),
    "short video": (dict(window=384, sample_fps=1, head_levels=4, crop_ratio=(0.3, 0.4)),
                    [(0, 100), (20, 50), (10, 18)], 100.0, ["cut", "", ""]),
    "one level": (dict(window=64, sample_fps=1, head_levels=1), [(10.2, 10.4), (20, 70), (80, 85)], 120.0,
                  ["short", "", ""]),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_exactly_the_actions_that_are_named_never_get_a_positive_point(name):
    fields, segments, duration, kinds = SITUATIONS[name]
    config, videos = Config.make(**fields), [a_video(segments, duration=duration)]
    axes = axes_of(config, videos)
    reach, seen = measure_reach(config, list_actions(videos, axes)), draw(config, videos, axes)
    assert list(reach.kinds) == kinds
    assert [kind in ("", "clipped") for kind in kinds] == seen[:, 2].tolist()
    if name != "short video":
        assert [kind in ("clipped", "long") for kind in kinds] == (~seen[:, 1]).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_foretold_equals_drawn_on_random_annotations(seed):
    """Lengths from a tenth of a snippet to three windows, one action a video so that none hides another."""
    rng = np.random.default_rng(seed)
    align, fps = (1, 1, 8)[seed % 3], (1, 2.5, 5)[seed // 2]
    config = Config.make(window=24, sample_fps=fps, head_levels=3)
    videos = []
    for i, length in enumerate(np.exp(rng.uniform(np.log(0.1), np.log(75), 24)) / fps):
        duration = float(rng.uniform(80, 200) / fps)
        start = float(rng.uniform(0, duration - min(length, duration)))
        videos.append(a_video([(start, min(start + length, duration))], name=f"v{i}", duration=duration))
    axes = axes_of(config, videos)
    reach, seen = measure_reach(config, list_actions(videos, axes), align), draw(config, videos, axes, align, epochs=80)
    assert [kind in ("", "clipped") for kind in reach.kinds] == seen[:, 2].tolist()
    assert not (seen[:, 3:] & ~reach.levels).any(), "a level took an action that it was not said to take"
    assert {"", "short", "long"} <= {*reach.kinds}


def test_a_level_takes_the_lengths_it_is_said_to_take():
    """Segments alone at every place of their first point: the levels of `assign` lie within those foretold."""
    where, half = points(256, 5), np.linspace(0.6, 90, 60)
    foretold = reached_levels(half, half, 5)
    for row, h in zip(foretold, half, strict=True):
        taken = set()
        for centre in np.linspace(120, 136, 33):
            segment = torch.tensor([[centre - h, centre + h]]).float()
            taken |= {*where.strides[assign(where, segment, torch.tensor([0]), 1).positive].log2().int().tolist()}
        assert taken <= {*np.flatnonzero(row)} and taken


def test_what_lies_beyond_the_features_is_named():
    config = Config.make(window=32, sample_fps=1, head_levels=3)
    videos = [a_video([(10, 15), (60, 70), (95, 99)])]
    axes = [TimeAxis(Grid(1, 1), 50)]
    reach = measure_reach(config, list_actions(videos, axes))
    assert reach.kinds.tolist() == ["", "outside", "outside"]
    assert draw(config, videos, axes)[:, 2].tolist() == [True, False, False]


PROPOSED = {
    "a class of 60 s in windows of 19 s": (dict(window=96, sample_fps=5, head_levels=4),
                                           [(5, 9), (20, 80), (100, 105), (130, 189)], 300.0),
    "actions between two snippets": (dict(window=96, sample_fps=1, head_levels=2),
                                     [(5.1, 5.4), (20.2, 20.8), (40, 50)], 60.0),
    "more than the native rate": (dict(window=96, sample_fps=25, head_levels=2),
                                  [(5.005, 5.025), (5.1, 5.12), (20, 20.4)], 60.0),
    "no sampling rate": (dict(window=64, frame_stride=8, head_levels=3), [(5.15, 5.25), (20, 60)], 100.0),
    "only long actions": (dict(window=1024, sample_fps=10, head_levels=5), [(5, 25), (40, 70)], 100.0),
    "a very long one": (dict(window=384, sample_fps=25, head_levels=6), [(5, 7), (300, 900)], 1000.0),
    "too many levels": (dict(window=384, sample_fps=10, head_levels=8, head_window=[7] * 8), [(5, 7), (10, 11)], 100.0),
    "a window per level": (dict(window=64, sample_fps=10, head_levels=3, head_window=[7, 7, 0]), [(5, 7), (9, 59)],
                           100.0),
    "a set number of snippets": (dict(snippets_per_video=32, head_levels=2), [(5.1, 5.3), (10, 30)], 100.0),
    "a set number of frames": (dict(frames_per_video=64, head_levels=2), [(5.0, 5.4), (10, 30)], 100.0),
    "frames per snippet": (dict(sample_fps=8, snippet_frames=8, head_levels=2), [(5.6, 5.9), (10, 30)], 100.0),
    "small crops": (dict(window=384, sample_fps=2, crop_ratio=(0.2, 0.3), head_levels=3), [(5, 90)], 100.0),
}


def axes_under(config, videos, tubelet=1):
    """Time axes as sampling by any field gives them."""
    axes = []
    for video in videos:
        rate = (config.frames_per_video / video.duration if config.frames_per_video else
                config.sample_fps or video.fps / config.frame_stride)
        grid = Grid(rate, tubelet)
        axis = TimeAxis(grid, grid.num_snippets(math.ceil(video.duration * rate - 1e-6)))
        factor = (config.snippets_per_video / axis.num_snippets if config.snippets_per_video else
                  tubelet / config.snippet_frames if config.snippet_frames else 1)
        axes.append(axis.resampled(factor))
    return axes


@pytest.mark.parametrize("name", PROPOSED)
def test_with_what_is_proposed_nothing_is_left_to_say(name):
    fields, segments, duration = PROPOSED[name]
    config, videos = Config.make(**fields), [a_video(segments, duration=duration)]
    annotations = Annotations(("clap",), tuple(videos))
    axes = axes_under(config, videos)
    proposed, _ = propose(config, list_actions(videos, axes), axes[0].grid.tubelet, native=30)
    said = describe_reach(config, annotations, axes_under(config, videos))
    assert proposed and said.endswith(f"what fits all of the {len(segments)} actions: {write_settings(proposed)}")
    fits = config.replace(**proposed)
    axes = axes_under(fits, videos)
    assert describe_reach(fits, annotations, axes) == "", proposed
    if max(axis.num_snippets for axis in axes) < 4000:
        assert draw(fits, videos, axes, epochs=200)[:, 2].all()


def test_the_message_counts_by_class_with_lengths_and_reach():
    config = Config.make(window=96, sample_fps=5, head_levels=4)
    videos = [a_video([(5, 9), (20, 80), (100, 125), (140, 141)], [1, 2, 2, 0], duration=300.0),
              a_video([(5.05, 5.15), (20, 30)], [0, 1], "b"),
              a_video([(5, 9)], [1], "c", subset="test")]
    said = describe_reach(config, Annotations(CLASSES, tuple(videos)), axes_of(config, videos[:2]))
    assert said.splitlines() == [
        "before training on 'train' (2 videos, 6 actions, windows of 96 snippets):",
        "  1 of 6 actions longer than two windows (38.4 s), never learnt: 1 of 2 'wedding'; the longest lasts 60 s, "
        "in 'a' from 20.00 s",
        "  1 of 6 actions longer than a window (19.2 s), never seen whole: 1 of 2 'wedding'; the longest lasts 25 s, "
        "in 'a' from 100.00 s",
        "  1 of 6 actions between the centres of two snippets (0.2 s), never learnt: 1 of 2 'clap'; the shortest lasts "
        "0.1 s, in 'b' from 5.05 s",
        "  what fits all of the 6 actions: -s sample_fps=11 -s window=832 -s head_levels=7",
        "  no instance of clap, wedding in 'test': not measured there",
    ]


def test_absent_classes_are_named_with_where_they_are_asked_for():
    videos = (a_video([(1, 2)], [0]), a_video([(1, 2), (3, 4)], [1, 1], "b", subset="test"),
              a_video([], [], "c", subset="hidden"))
    said = describe_absent(Annotations(CLASSES, videos), "train", "val", "test", "hidden")
    assert said == [
        "no instance of walk, wedding in 'train': never learnt, and AP 0 where it occurs ('walk' 2 times in 'test')",
        "no instance of clap, wedding in 'test': not measured there"]


def test_nothing_is_said_where_all_is_well():
    config = Config.make(window=96, sample_fps=5, head_levels=4)
    videos = [a_video([(5, 6), (20, 24), (30, 40)], [0, 1, 2]), a_video([(5, 6), (9, 13), (50, 60)], [0, 1, 2], "b",
                                                                        subset="test")]
    annotations = Annotations(CLASSES, tuple(videos))
    assert describe_reach(config, annotations, axes_of(config, videos[:1])) == ""
    assert propose(config, list_actions(videos[:1], axes_of(config, videos[:1]))).fields == {}


def test_a_few_odd_labels_do_not_decide_what_is_proposed():
    """One of 0.01 s among hundreds would ask for 100 frames per second; where all are so short, these are proposed."""
    config = Config.make(window=96, sample_fps=5, head_levels=4)
    many = [(i, i + 3.0) for i in range(0, 990, 5)] + [(50.0, 65.0)]
    videos = [a_video([*many, (3.02, 3.03)], duration=1000.0)]
    axes = axes_of(config, videos)
    assert propose(config, list_actions(videos, axes)).fields == {}
    said = describe_reach(config, Annotations(("clap",), tuple(videos)), axes)
    assert "1 of 200 actions between the centres" in said and said.endswith(
        "the settings fit the other 199; are the labels of these right?")
    videos = [a_video([*many[:-1], (3.02, 3.03)], [0] * 198 + [1], duration=1000.0)]
    assert propose(config, list_actions(videos, axes)).fields["sample_fps"] == 102, "a class of its own"


def test_settings_are_written_as_a_shell_takes_them():
    assert write_settings({"window": 64, "crop_ratio": [0.9, 1.0], "short_scope": "sliding"}) == (
        "-s window=64 -s 'crop_ratio=[0.9, 1.0]' -s short_scope=sliding")
