"""Ranges proposed for long videos: they cover them, cut no action, and are what `prepare` takes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losa.annotations.dataset import Annotations, Video
from losa.annotations.prepare import prepare
from losa.annotations.ranges import MARGIN, find_cuts, find_gaps, propose_ranges, write_ranges
from losa.formats.csv_format import read_ranges


def a_video(*segments, duration=100.0, name="day", start=0.0, path=Path("videos/sub/day.mp4")):
    return Video(name, "all", path, start, duration, np.array(segments, float).reshape(-1, 2),
                 np.zeros(len(segments), np.int64))


def test_stretches_without_action_keep_a_distance_from_actions_and_may_last_no_time():
    video = a_video((10, 20), (15, 18), (20, 30), (30.5, 40), duration=40.0)
    assert find_gaps(video) == [(MARGIN, 9.5), (20, 20), (30.25, 30.25), (40, 40)]


@given(st.lists(st.tuples(st.floats(0, 95), st.floats(0.5, 20)), max_size=15), st.integers(2, 10))
def test_no_cut_lies_inside_an_action_and_no_piece_is_tiny(rows, pieces):
    video = a_video(*[(start, min(start + long, 100.0)) for start, long in rows])
    cuts = find_cuts(video, pieces)
    for cut in cuts:
        assert not [s for s in video.segments.tolist() if s[0] + 1e-3 < cut < s[1] - 1e-3]
    assert np.diff([0.0, *cuts, 100.0]).min() >= 0.5 * 100 / pieces - 1e-3 and len(cuts) < pieces


def test_pieces_are_about_equal_where_there_is_room():
    video = a_video(*[(10 * i + 2, 10 * i + 6) for i in range(10)])
    assert find_cuts(video, 5) == [20, 40, 60, 80]
    assert find_cuts(a_video((0, 100)), 5) == []  # one action all the time
    assert find_cuts(a_video((0, 50), (50, 70), (75, 100)), 2) == [70.5]  # a rest is better than a change of action
    assert find_cuts(a_video((0, 50), (50, 100)), 2) == [50]


def test_rows_name_the_file_inside_its_folder_and_only_whole_files_are_cut(tmp_path):
    long = a_video(*[(10 * i + 2, 10 * i + 6) for i in range(10)])
    data = Annotations(("a",), (long, a_video(start=5.0, name="part"), a_video(path=None, name="none")))
    rows = propose_ranges(data, "videos")
    assert [row["id"] for row in rows] == [f"day_0{i}" for i in range(1, 6)]
    assert {row["file"] for row in rows} == {"sub/day.mp4"}
    assert rows[0]["start"] == 0 and rows[-1]["end"] == 100
    assert [row["end"] for row in rows[:-1]] == [row["start"] for row in rows[1:]]
    again = read_ranges(write_ranges(rows, tmp_path / "new" / "ranges.csv"))
    assert [{name: row[name] for name in rows[0]} for row in again] == rows


@pytest.mark.filterwarnings("ignore:classes are missing")
def test_one_real_long_video_is_cut_and_split(shared_data, tmp_path):
    """No segment is lost or cut, and train and test both have some."""
    folder = shared_data / "videos" / "cc_by_4"
    labels = folder / "one-by-one-person-detection.annotations.json"
    whole = prepare(folder, labels, tmp_path / "whole")
    ranges = write_ranges(propose_ranges(whole, folder), tmp_path / "ranges.csv")
    cut = prepare(folder, labels, tmp_path / "cut", ranges=ranges, split=(0.6, 0.2, 0.2))
    absolute = sorted((round(v.start + s, 3), round(v.start + e, 3)) for v in cut.videos for s, e in v.segments)
    assert absolute == sorted((round(s, 3), round(e, 3)) for s, e in whole.videos[0].segments)
    assert all(instances for _, instances in cut.subsets.values()) and set(cut.subsets) == {"train", "val", "test"}
