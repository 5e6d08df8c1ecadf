"""Training windows: where they lie, what they keep, and that only (seed, epoch, video) decides."""


import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.made_sources import Numbers, a_video
from losa.segments import Grid
from losa.training.windows import Windows, batch_indices, choose_window, clip_segments, loader


@given(st.integers(0, 10**6), st.integers(20, 300), st.integers(8, 200))
def test_window_lies_in_the_video_and_keeps_an_action(seed, total, window):
    segments = np.array([[total * 0.4, total * 0.4 + 5]])
    start, length = choose_window(np.random.default_rng(seed), total, segments, window, (0.9, 1.0))
    assert start >= 0 and start + length <= total
    assert length == window if total > window else 0.89 * total <= length <= total
    inside = max(0, min(segments[0, 1], start + length - 0.5) - max(segments[0, 0], start - 0.5))
    assert inside >= 2.5


def test_segments_are_clipped_dropped_below_half_and_keep_their_labels():
    segments = np.array([[-3.0, 4.0], [0.0, 5.0], [5.0, 30.0], [8.0, 12.0]])
    clipped, kept = clip_segments(segments, 0, 10)
    assert kept.tolist() == [True, True, False, False] and clipped.tolist() == [[-0.5, 4.0], [0.0, 5.0]]


def test_what_lies_before_the_first_feature_of_others_is_not_cut_off():
    """ActionFormer's features: the first is centred 8 frames after the video's start, 2 snippets before it."""
    grid = Grid(30, 4, offset=8)
    segments = grid.to_grid(np.array([[0.0, 4.0], [10.0, 13.0]]))
    assert segments[0, 0] == -2
    clipped, kept = clip_segments(segments, 0, 96, total=96)
    assert kept.all() and clipped.tolist() == segments.tolist()
    clipped, _ = clip_segments(segments, 50, 90, total=96)
    assert clipped.tolist() == [[73.0, 89.5]]


def test_targets_stay_on_the_frames_they_label():
    """A window's snippet t shows video snippet start + t, and segments move by the same shift."""
    source, video = Numbers(400), a_video()
    windows = Windows([video], source, 60, seed=1)
    for epoch in range(20):
        item = windows[epoch, 0]
        start = int(item["fetched"]["at"][0])
        back = item["segments_grid"].double().numpy() + start
        expected, kept = clip_segments(source.time_grid(video).to_grid(video.segments), start, start + 60)
        np.testing.assert_allclose(back, expected, atol=1e-5)
        assert item["labels"].tolist() == video.labels[kept].tolist()


def test_sample_depends_on_seed_epoch_and_video_alone():
    source, one, other = Numbers(400), a_video("a"), a_video("b")
    where = lambda videos, seed, epoch, i: int(Windows(videos, source, 60, seed=seed)[epoch, i]["fetched"]["at"][0])  # noqa: E731
    assert where([one, other], 0, 3, 1) == where([other], 0, 3, 0)
    assert len({where([one], seed, epoch, 0) for seed in range(3) for epoch in range(5)}) > 5


def test_aligned_windows_start_at_clip_borders():
    starts = {int(Windows([a_video()], Numbers(400), 60, align=8)[e, 0]["fetched"]["at"][0]) for e in range(30)}
    assert all(s % 8 == 0 for s in starts) and len(starts) > 3


class Copied(Numbers):
    """Tells which copy was asked for: nothing, if none was."""

    def fetch(self, video, start, stop, *copy):
        return {"at": torch.arange(start, stop), "copy": copy}


def test_copies_are_drawn_after_the_window_or_follow_the_epoch():
    def fetched(copies, epoch):
        found = Windows([a_video()], Copied(400), 60, seed=2, copies=copies)[epoch, 0]["fetched"]
        return int(found["at"][0]), found["copy"]

    plain = [fetched(1, epoch) for epoch in range(40)]
    drawn, live = ([fetched(copies, epoch) for epoch in range(40)] for copies in (3, 0))
    assert [start for start, _ in plain] == [start for start, _ in drawn] == [start for start, _ in live]
    assert all(copy == () for _, copy in plain) and [copy for _, copy in live] == [(epoch,) for epoch in range(40)]
    counts = torch.bincount(torch.tensor([copy for _, (copy,) in drawn]), minlength=3)
    assert len(counts) == 3 and counts.min() >= 6 and drawn == [fetched(3, epoch) for epoch in range(40)]


def test_batches_cover_every_video_once_and_can_be_skipped():
    batches = batch_indices(7, 3, seed=0, epoch=2)
    assert sorted(i for b in batches for _, i in b) == list(range(7)) and [len(b) for b in batches] == [3, 3, 1]
    assert batch_indices(7, 3, 0, 2, skip=2) == batches[2:] and batch_indices(7, 3, 0, 3) != batches
    assert {e for b in batches for e, _ in b} == {2}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_leaves_the_global_random_state_alone(num_workers):
    windows = Windows([a_video("a"), a_video("b")], Numbers(300), 40)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    samples = list(loader(windows, batch_indices(2, 2, 0, 0), num_workers))
    assert torch.equal(torch.rand(3), expected) and len(samples) == 1 and len(samples[0]) == 2
