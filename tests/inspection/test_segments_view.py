"""What the table shows of a run, and the line that says why there is nothing."""

from dataclasses import replace

import pytest

from helpers.made_runs import made_run, made_world
from helpers.video_files import write_video
from losa.inspection.error_table import diagnose_run, list_segments
from losa.inspection.run_folder import open_run
from losa.inspection.segments_view import segment_pictures, segments_view, why_nothing
from widgets.segments import Segments


@pytest.fixture
def run(tmp_path):
    made_run(tmp_path / "run", made_world(tmp_path / "world", 0, num_videos=2), 2.0)
    return open_run(tmp_path / "run")


def test_the_table_has_every_segment_of_the_run(run):
    given = segments_view(run, 0.0)
    assert given["rows"]["error"] == list_segments(run, 0.0).error.tolist() and given["frames"] is None
    assert [s is None for s in given["rows"]["score"]] == [kind == "truth" for kind in given["rows"]["kind"]]
    assert given["taps"] == ["last layer", "fused"]
    table = run.segments(0.0)
    assert isinstance(table, Segments) and len(table.rows["start"]) == 12 + 4 and "ambiguous" in table.tags
    table.hear_tag({"kind": "tag", "video": "test_0", "of": "truth", "index": 1, "tag": "ambiguous", "note": ""})
    assert run.tags.places() == {("test_0", "truth", 1): ("ambiguous", "")}


def test_pictures_are_those_of_the_video_and_a_moved_file_is_named(run, tmp_path):
    path = write_video(tmp_path / "v.mp4", num_frames=24, fps=12)
    run.videos["test_0"] = replace(run.videos["test_0"], path=path, duration=2.0)
    show = segment_pictures(run)
    assert [picture[:2] for picture in show("test_0", [0.0, 1.0, 9.0])] == [b"\xff\xd8"] * 3
    run.videos["test_0"] = replace(run.videos["test_0"], path=tmp_path / "gone.mp4")
    with pytest.raises(ValueError, match="gone.mp4.*is not there"):
        segment_pictures(run)("test_0", [0.0])


def test_a_line_says_why_there_is_nothing_and_what_to_do(run):
    assert why_nothing(run, 0.0, diagnose_run(run, 0.0)) == ""
    perfect = {video: [{**r, "score": 0.9} for r in rows] for video, rows in run.truth.items()}
    right = replace(run, predictions=perfect)
    assert "No error among the predictions" in why_nothing(right, 0.25, diagnose_run(right, 0.25))
    assert "the best 0.900: lower the score" in why_nothing(right, 0.95)
    assert "predicted nothing at all" in why_nothing(replace(run, predictions={}), 0.25)
    assert "have no ground truth" in why_nothing(replace(run, truth={"test_0": []}), 0.25)
