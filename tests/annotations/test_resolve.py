"""Rows of annotation files beside classes and video files: labels exist, files are there, times fit."""

import re
from pathlib import Path

import pytest

from helpers.annotation_files import by_id, record, write_json
from helpers.label_cases import CASES
from helpers.video_files import write_video
from losa.annotations.dataset import load_annotations
from losa.annotations.resolve import (
    check_instances,
    check_units,
    clip,
    durations_differ,
    find_entry,
    index_folder,
    mixed_units,
    nearest,
    rates_differ,
    shortened,
)
from losa.annotations.scan import read_layout
from losa.errors import AnnotationError
from losa.label_files.sheet import Entry

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


def test_all_wrong_instances_come_in_one_error(tmp_path):
    bad = [("jmup", 0, 1), ("jump", 4, 3), (" jump", 0, 1), *[("run", 5, 4.5)] * 4]
    path = write_json(tmp_path / "a.json", {"v": record(("jump", 0, 1), *bad)}, classes=["jump", "run", " jump"])
    with pytest.raises(AnnotationError) as caught:
        load_annotations(path)
    text = str(caught.value)
    assert f"{path}: 7 instances are wrong" in text and "and 2 more" in text
    assert "v: 'jmup' [0.0, 1.0]: unknown label; did you mean 'jump'?" in text
    assert "v: 'jump' [4.0, 3.0]: ends before it starts" in text and "spaces around it" in text


def test_segments_beyond_the_video_are_clipped_with_one_warning(tmp_path):
    path = write_json(tmp_path / "a.json", {
        "v": record(("a", 8, 12), ("a", -1, 2), ("a", 11, 12), ("a", 9, 10.0004)), "w": record(("a", 0, 99))})
    with pytest.warns(UserWarning, match=r"4 segments pass an end of their video; clipped \(1 of them lie") as caught:
        found = load_annotations(path)
    assert len(caught) == 1 and "v: 'a' [8.0, 12.0] of 10.00 s" in str(caught[0].message)
    assert by_id(found) == {"v": [("a", 8, 10), ("a", 0, 2), ("a", 9, 10)], "w": [("a", 0, 10)]}


def test_zero_length_is_dropped_and_counted(tmp_path):
    path = write_json(tmp_path / "a.json", {"v": record(("a", 3, 3), ("a", 3, 4), ("b", 20, 20))})
    with pytest.warns(UserWarning, match="2 instances have zero length; dropped") as caught:
        found = load_annotations(path)
    assert len(caught) == 1 and by_id(found) == {"v": [("a", 3, 4)]} and found.classes == ("a", "b")


def test_files_are_found_by_path_id_or_prefixed_id(folder, tmp_path):
    database = {"one": record(("a", 0, 1)), "x": record(("a", 0, 1), path="more/three.mp4"), "three": record()}
    (folder / "one.txt").write_text("a side file of the same name")
    path = write_json(tmp_path / "a.json", database)
    found = load_annotations(path, videos=folder)
    assert [v.path.relative_to(folder).as_posix() for v in found.videos] == ["one.mp4", "more/three.mp4",
                                                                            "more/three.mp4"]
    (folder / "one.mp4").rename(folder / "v_one.mp4")
    assert load_annotations(path, videos=str(folder)).videos[0].path == folder / "v_one.mp4"
    write_video(folder / "more" / "v_one.mkv", 5)
    with pytest.raises(AnnotationError, match="2 files could be the video 'one'"):
        load_annotations(path, videos=folder)
    with pytest.raises(AnnotationError, match="no such folder"):
        load_annotations(path, videos=tmp_path / "nowhere")


def test_missing_files_stop_or_are_dropped_with_a_count(folder, tmp_path):
    database = {"one": record(("a", 0, 1))} | {f"gone{i}": record(("b", 0, 1)) for i in range(7)}
    path = write_json(tmp_path / "a.json", database)
    with pytest.raises(AnnotationError, match=r"7 of 8 video files are missing:(.|\n)*gone0(.|\n)*and 2 more"):
        load_annotations(path, videos=folder)
    with pytest.warns(UserWarning, match="7 of 8 videos dropped"):
        found = load_annotations(path, videos=folder, missing="drop")
    assert [v.id for v in found.videos] == ["one"] and found.classes == ("a", "b")
    stated = write_json(tmp_path / "b.json", {"v": record(("a", 0, 1), path="videos/nine.mp4")})
    with pytest.raises(AnnotationError, match=f"no file {re.escape(str(tmp_path))}/videos/nine.mp4"):
        load_annotations(stated)


def test_an_unstated_duration_is_the_file_s(folder, tmp_path):
    database = {"v": record(("a", 0, 1), duration=None, path="videos/one.mp4"),
                "w": record(("a", 0, 1), duration=None, path="videos/one.mp4", start=1.0),
                "x": record(("a", 0, 1), duration=None, path="videos/one.mp4", start=1.0, end=3.5)}
    found = load_annotations(write_json(tmp_path / "a.json", database))
    assert [v.duration for v in found.videos] == pytest.approx([4.0, 3.0, 2.5])


def test_stated_times_may_differ_from_the_file_s_by_rounding_only():
    differ = [durations_differ(stated, real) for stated, real in (
        (10.4, 10.0), (10.6, 10.0), (100.9, 100.0), (101.1, 100.0))]
    assert differ == [False, True, False, True]
    assert [rates_differ(stated, 30000 / 1001) for stated in (None, 29.97, 30.0, 29.9)] == [False, False, True, True]


def test_segments_are_clipped_one_by_one():
    """By hand: inside, rounded beyond the end, before the start, of no length, and wholly outside."""
    given = [("x", 1.0, 2.0), ("x", 9.0, 10.0005), ("x", -1.0, 1.0), ("x", 3.0, 3.0), ("y", 11.0, 12.0)]
    entry = Entry("v", "a", given, duration=10.0)
    with pytest.warns(UserWarning) as caught:
        (clipped,) = clip([entry], Path("a.json"))
    assert clipped.instances == [("x", 1, 2), ("x", 9, 10.0), ("x", 0.0, 1)] and len(entry.instances) == 5
    told = [str(warning.message) for warning in caught]
    assert "1 instances have zero length" in told[0] and "2 segments pass an end" in told[1] and "(1 of them" in told[1]


def test_unknown_names_get_the_nearest_known_one_and_long_lists_end():
    assert nearest("Jmup", ["jump", "sit"]) == "; did you mean 'jump'?" and nearest("zzz", ["jump"]) == "."
    assert shortened(["a", "b", "c"], 2) == "a, b and 1 more" and shortened(["a", "b"], 2) == "a, b"


def test_names_that_lead_out_of_the_folder_find_nothing(folder, tmp_path):
    write_video(tmp_path / "secret.mp4", 5)
    find = index_folder(folder)
    assert find("../secret.mp4") == find("../secret") == find(str(tmp_path / "secret.mp4")) == find("nine") == []
    assert find("three") == find("three.mp4") == find("more/three") == find("more/three.mp4") == [
        folder / "more" / "three.mp4"]


def test_ends_that_are_durations_are_recognised_and_nothing_is_swapped():
    entries, _ = read_layout(CASES / "csv_more" / "start_duration.csv")
    with pytest.raises(AnnotationError, match="11 instances are wrong:(.|\\n)*--columns duration=end"):
        check_instances(entries, None, CASES / "csv_more" / "start_duration.csv")


def test_ids_find_files_that_have_no_v_before_them(tmp_path):
    (tmp_path / "clip.mp4").touch()
    find = index_folder(tmp_path)
    assert find_entry(Entry("v_clip", ""), tmp_path / "a.json", tmp_path, find) == [tmp_path / "clip.mp4"]


def test_units_that_are_mixed_in_one_file_are_told():
    rows = [("a", 1.0, 2.0), ("a", 3.0, 4.0), ("a", 5000.0, 6500.0)]
    assert "1 of 3 instances lie wholly outside their videos, and all of these would lie inside as ms" in mixed_units(
        [Entry("one", "", rows, duration=10.0)])
    assert mixed_units([Entry("one", "", rows[:2], duration=10.0)]) == ""
    assert mixed_units([Entry("one", "", [*rows[:1] * 20, rows[2]], duration=10.0)]) == ""
    with pytest.warns(UserWarning, match="1 segments pass .* would lie inside as ms: are units mixed"):
        clip([Entry("one", "", rows, duration=10.0)], Path("a.csv"))


def test_a_duration_that_is_the_whole_videos_is_told():
    entry = Entry("one", "", [("a", 3.0, 13.0), ("b", 5.0, 15.0)], duration=10.0)
    with pytest.raises(AnnotationError, match="the whole length of the video is the duration of 2 of 2 instances.*"
                                              "\n.*one: 'a'(.|\n)*--columns end=NAME"):
        check_units([entry], Path("a.csv"))
    check_units([Entry("one", "", [("a", 0.0, 10.0), ("b", 5.0, 10.0)], duration=10.0)], Path("a.csv"))


def test_names_are_found_however_a_mac_writes_their_accents(tmp_path):
    (tmp_path / "Ku\u0308che.mp4").write_bytes(b"")
    assert index_folder(tmp_path)("K\u00fcche") == [tmp_path / "Ku\u0308che.mp4"]
