"""What the notebook about videos of one's own does beside its story: the files it takes, and what it makes of them."""

import csv
import os
import shlex
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from helpers.annotation_files import write_csv
from helpers.command import losa
from losa.annotations.check import check
from losa.annotations.dataset import Annotations, Video, load_annotations
from losa.config import Config
from losa.errors import AnnotationError, OwnVideoError, VideoError
from losa.segments import write_predictions
from losa.video.probe import probe
from losa.workflows.own_videos import (
    Inputs,
    choose_input,
    choose_new_videos,
    draw_durations,
    example_renames,
    find_files,
    find_inputs,
    link_to,
    list_lanes,
    make_example,
    name_copy,
    name_run,
    note_test_videos,
    prepare_own,
    print_warnings,
)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Where an example lies, its folder of videos and its CSV."""
    out = tmp_path_factory.mktemp("own") / "example"
    return out, *make_example(out, [3, 0, 0])


def a_video(name, subset, rows, classes=("jump", "wave")):
    segments = np.array([row[1:] for row in rows], float).reshape(-1, 2)
    return Video(name, subset, None, 0.0, 40.0, segments, np.array([classes.index(row[0]) for row in rows], int))


# --- the files ------------------------------------------------------------------------------------------------------


def test_given_files_are_found_from_the_notebook_and_results_go_to_a_folder_of_their_labels(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "clips").mkdir(parents=True)
    (tmp_path / "notebooks" / "my labels.csv").touch()
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    given = find_inputs(videos="clips", labels="my labels.csv", new_videos=str(tmp_path / "new"), out="runs/own")
    here = tmp_path / "notebooks"
    assert given == Inputs(here / "clips", here / "my labels.csv", tmp_path / "new", Path("runs/own/my labels"), here,
                           False)
    other = find_inputs(videos="clips", labels="my labels.csv", new_videos="", out="~/own")
    assert other.new_videos is None and other.out == Path.home() / "own" / "my labels"


def test_from_inside_a_clone_results_go_to_its_root(tmp_path, monkeypatch):
    (tmp_path / "losa").mkdir()
    (tmp_path / "losa" / "config.py").touch()
    (tmp_path / "notebooks" / "clips").mkdir(parents=True)
    (tmp_path / "labels.csv").touch()
    monkeypatch.chdir(tmp_path / "notebooks")
    given = find_inputs(videos="clips", labels="labels.csv", new_videos="", out="runs")
    assert Path.cwd() == tmp_path and given.videos.resolve() == tmp_path / "notebooks" / "clips"
    assert given.labels.resolve() == tmp_path / "labels.csv" and given.notebook_folder == tmp_path / "notebooks"


def test_half_of_the_files_or_what_is_nowhere_stops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").touch()
    for files, error, message in (
            ({"labels": "labels.csv"}, OwnVideoError, "set the parameter `videos`, too"),
            ({"videos": "clips"}, OwnVideoError, "set the parameter `labels`, too"),
            ({"videos": "clips", "labels": "labels.csv"}, FileNotFoundError, "^clips: neither in"),
            ({"new_videos": "gone"}, FileNotFoundError, "^gone: neither in")):
        with pytest.raises(error, match=message):
            find_inputs(**{"videos": "", "labels": "", "new_videos": "", "out": "runs"} | files)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]


def test_the_example_has_every_mistake_that_the_check_is_to_find(example):
    out, folder, table = example
    world = load_annotations(out / "world" / "annotations.json")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(video.labels) for video in world.videos) + 3
    kinds = {found.kind for found in check(table, folder).findings}
    assert kinds >= {"segments end before they start", "segments pass the end of their video",
                     "times are written as minutes:seconds", "instances are there more than once",
                     "instances have zero length", "video files are missing", "video files cannot be used",
                     "labels differ only in case or spaces"}
    with pytest.raises(VideoError):
        probe(world.videos[-1].path)
    assert all(probe(video.path).duration > 1 for video in world.videos[:-1])


def test_without_files_the_example_is_taken(example, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(example[0], tmp_path / "runs" / "example")
    given = find_inputs(videos="", labels="", new_videos="", out="runs", size=[3, 0, 0])
    assert given == Inputs(Path("runs/example/world/videos"), Path("runs/example/world/labels.csv"), None,
                           Path("runs/example"), tmp_path, True)
    assert given.labels.read_bytes() == example[2].read_bytes()  # a second time it is the same


# --- what is predicted, and how it is shown -------------------------------------------------------------------------


def test_new_videos_are_the_users_or_rendered_for_the_example(tmp_path):
    data = Annotations(("jump", "wave"), (a_video("a", "test", [("jump", 1, 2)]),))
    given = Inputs(tmp_path / "clips", tmp_path / "labels.csv", tmp_path / "new", tmp_path / "out", tmp_path, False)
    folder, labels = choose_new_videos(given, data, "tiny")
    assert folder == tmp_path / "new" and labels.classes == data.classes and labels.videos == ()
    folder, labels = choose_new_videos(given._replace(new_videos=None), data, "tiny")
    assert folder == tmp_path / "clips" and labels is data
    folder, labels = choose_new_videos(given._replace(new_videos=None, is_example=True), data, [9, 9, 9])
    assert sorted(path.stem for path in folder.glob("*.mp4")) == sorted(video.id for video in labels.videos)
    assert len(labels.videos) == 3 and {video.path.parent for video in labels.videos} == {folder}


def test_lanes_are_of_test_videos_first_and_have_the_truth_where_it_is_known(tmp_path):
    labelled = Annotations(("jump", "wave"), (a_video("b", "train", [("jump", 1, 2)]),
                                              a_video("c", "test", [("wave", 3, 5), ("jump", 7, 8)])))
    found = {name: [{"segment": [float(i), i + 1.0], "label": "jump", "score": 0.5}] for i, name in enumerate("abc")}
    write_predictions(tmp_path / "predictions.json", found)
    lanes = list_lanes({"videos": found}, tmp_path, labelled)
    assert list(lanes) == ["c", "a", "b"] and [list(lane) for lane in lanes.values()] == [
        ["what happens", "found"], ["found"], ["what happens", "found"]]
    assert {name: lane["found"] for name, lane in lanes.items()} == found
    assert lanes["c"]["what happens"] == [{"segment": [3.0, 5.0], "label": "wave"},
                                          {"segment": [7.0, 8.0], "label": "jump"}]


def test_ranges_of_a_file_are_put_together_on_its_lane(tmp_path):
    """Found in the whole file, labelled in two pieces of it: each segment is where it is in the file."""
    path = tmp_path / "day.mp4"
    first, second = a_video("day_01", "train", [("jump", 1, 2)]), a_video("day_02", "test", [("wave", 3, 5)])
    labelled = Annotations(("jump", "wave"), (replace(first, path=path), replace(second, path=path, start=40.0)))
    write_predictions(tmp_path / "predictions.json", {"day": [], "other": []})
    found = {"videos": {"other": {"path": str(tmp_path / "other.mp4")}, "day": {"path": str(path)}}}
    assert list_lanes(found, tmp_path, labelled) == {
        "day": {"what happens": [{"segment": [1.0, 2.0], "label": "jump"}, {"segment": [43.0, 45.0], "label": "wave"}],
                "found": []}, "other": {"found": []}}


def test_test_videos_that_show_nothing_are_said(tmp_path, capsys):
    data = Annotations(("jump",), (a_video("a", "train", []), a_video("b", "test", []), a_video("c", "test", [])))
    records = {name: [{"segment": [0.0, 1.0], "label": "jump", "score": score}]
               for name, score in {"a": 0.01, "b": 0.18, "c": 0.6}.items()}
    write_predictions(tmp_path / "predictions.json", records)
    some = "nothing above 0.30 in 1 of 2 videos: b (best 0.18): lower `min_score`"
    none = "nothing above 0.70; the best is 0.60: lower `min_score` (2 videos)"
    for least, said in ((0.1, ""), (0.3, f"note: on the test videos, {some}\n"),
                        (0.7, f"note: on the test videos, {none}\n")):
        note_test_videos(tmp_path, data, least)
        assert capsys.readouterr().out == said


# --- how it is prepared and looked at -------------------------------------------------------------------------------


@pytest.fixture
def long_one(folder, tmp_path):
    """Inputs of one video of 4 s with six actions, seen from another folder."""
    (folder / "two.mkv").unlink()
    (folder / "more" / "three.mp4").unlink()
    lines = [f"one,{'ab'[i % 2]},{0.1 + 0.6 * i:.1f},{0.4 + 0.6 * i:.1f}" for i in range(6)]
    table = write_csv(tmp_path / "labels.csv", "video,label,start,end", *lines)
    return Inputs(folder, table, None, tmp_path / "own", tmp_path, False)


def test_one_long_video_is_cut_and_the_command_does_the_same(long_one, capsys):
    data = prepare_own(long_one, long_one.labels, [0.5, 0.0, 0.5])
    assert set(data.subsets) == {"train", "test"} and sum(len(v.labels) for v in data.videos) == 6
    said, ranges = capsys.readouterr().out, long_one.out / "ranges.csv"
    assert ranges.read_text() in said and "fewer videos than parts" in said
    command = next(line for line in said.splitlines() if line.startswith("  losa data prepare "))
    before = (long_one.out / "annotations.json").read_text()
    assert losa(*shlex.split(command)[1:]).returncode == 0
    assert (long_one.out / "annotations.json").read_text() == before


def test_ranges_that_are_given_or_were_edited_are_taken_as_they_are(long_one, capsys):
    prepare_own(long_one, long_one.labels, [0.5, 0.0, 0.5])
    ranges = long_one.out / "ranges.csv"
    ranges.write_text("id,file,start,end\nfirst,one.mp4,0,2\nsecond,one.mp4,2,4\n")
    data = prepare_own(long_one, long_one.labels, [0.5, 0.0, 0.5])
    assert [v.id for v in data.videos] == ["first", "second"]
    ranges.rename(long_one.notebook_folder / "mine.csv")
    capsys.readouterr()
    data = prepare_own(long_one, long_one.labels, [0.5, 0.0, 0.5], "mine.csv")  # as seen from the notebook
    assert [v.id for v in data.videos] == ["first", "second"] and capsys.readouterr().out == ""
    with pytest.raises(FileNotFoundError, match="^theirs.csv: neither in"):
        prepare_own(long_one, long_one.labels, [], "theirs.csv")


def test_without_a_split_nothing_is_cut(long_one, capsys):
    long_one.out.mkdir()
    (long_one.out / "ranges.csv").write_text("id,file,start,end\nfirst,one.mp4,0,2\n")  # of an earlier split
    assert [v.id for v in prepare_own(long_one, long_one.labels, []).videos] == ["one"]
    wrong = long_one.labels.with_name("wrong.csv")
    wrong.write_text("video,label,start,end\none,a,3,1\n")
    with pytest.raises(AnnotationError, match="wrong.csv"):
        prepare_own(long_one, wrong, [])
    (long_one.out / "ranges.csv").unlink()
    assert [v.id for v in prepare_own(long_one, long_one.labels, []).videos] == ["one"]
    assert capsys.readouterr().out == "" and not (long_one.out / "ranges.csv").exists()


@pytest.mark.parametrize(("is_example", "backbone", "settings", "chosen"), [
    (True, "", {}, {}), (False, "", {}, {"backbone": "timm/vit_small_patch16_224.dino", "sample_fps": 4.0}),
    (False, "timm/resnet18", {}, {"backbone": "timm/resnet18", "sample_fps": 4.0}),
    (True, "timm/resnet18", {"window": 64}, {"backbone": "timm/resnet18", "sample_fps": 4.0}),
    (False, "timm/resnet18", {"sample_fps": 15}, {"backbone": "timm/resnet18"}),
    (False, "timm/resnet18", {"frame_stride": 3}, {"backbone": "timm/resnet18"}),
    (False, "videomae_b", {}, {"backbone": "videomae_b"}),
    (False, "", {"backbone": "videomae_b"}, {"backbone": "timm/vit_small_patch16_224.dino"})])
def test_single_images_are_looked_at_four_times_a_second_unless_said_otherwise(tmp_path, is_example, backbone, settings,
                                                                               chosen):
    given = Inputs(tmp_path, tmp_path / "a.csv", None, tmp_path, tmp_path, is_example)
    assert choose_input(given, backbone, settings) == chosen


def test_files_in_settings_are_found_from_the_notebook_the_repository_and_home(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    for name in ("notebooks/here.safetensors", "there.txt", "home.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    given = Inputs(tmp_path, tmp_path / "a.csv", None, tmp_path, tmp_path / "notebooks", False)
    found = find_files(given, {"weights": "here.safetensors", "block_list": "there.txt", "classifier": "~/home.txt",
                               "window": 64, "start": ""})
    assert found == {"weights": str(tmp_path / "notebooks" / "here.safetensors"), "block_list": "there.txt",
                     "classifier": str(tmp_path / "home.txt"), "window": 64, "start": ""}
    assert find_files(given, {"weights": "random"}) == {"weights": "random"}
    with pytest.raises(FileNotFoundError, match="^gone.pt: neither in"):
        find_files(given, {"weights": "gone.pt"})


def test_durations_are_those_of_each_class():
    data = Annotations(("jump", "wave"), (a_video("a", "train", [("wave", 1, 2), ("jump", 1, 4)]),
                                          a_video("b", "test", [("wave", 3, 5.5)])))
    (ax,) = draw_durations(data).axes
    assert [dots.get_offsets()[:, 0].tolist() for dots in ax.collections if len(dots.get_offsets())
            and hasattr(dots, "get_sizes") and len(dots.get_sizes())] == [[3.0], [1.0, 2.5]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["jump  (1)", "wave  (2)"]


def test_a_run_s_folder_follows_config_and_files(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    config = Config.make(annotations=str(tmp_path / "a.json"))
    first = name_run(tmp_path, config)
    assert name_run(tmp_path, config) == first and first.parent == tmp_path and not first.exists()
    assert name_run(tmp_path, config.replace(epochs=7)) != first
    (tmp_path / "a.json").write_text("{ }")
    assert name_run(tmp_path, config) != first


def test_warnings_become_one_plain_line_and_links_lead_to_their_page(tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        print_warnings()
        warnings.warn("3 videos left out", stacklevel=1)
    assert capsys.readouterr() == ("note: 3 videos left out\n", "")
    page = tmp_path / "runs" / "my \"own\" & ü#1" / "index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    (tmp_path / "notebooks").mkdir()
    address = link_to(page, tmp_path / "notebooks").data.split('href="')[1].split('"')[0]
    assert os.path.samefile(tmp_path / "notebooks" / unquote(address), page)


def test_the_clean_copy_is_a_table_of_a_table_and_json_of_the_rest(tmp_path):
    (tmp_path / "labels.tsv").touch()
    given = Inputs(tmp_path, tmp_path / "labels.tsv", None, tmp_path / "out", tmp_path, False)
    assert name_copy(given) == tmp_path / "out" / "labels_clean.csv" and example_renames(given) == []
    for name in ("a.eaf", "folder.txt"):
        (tmp_path / "folder.txt").mkdir(exist_ok=True)
        assert name_copy(given._replace(labels=tmp_path / name)).name == "labels_clean.json"


def test_the_misspelt_label_of_the_example_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = find_inputs(videos="", labels="", new_videos="", out="own", size="tiny")
    (pair,) = example_renames(given)
    wrong, right = pair.split("=")
    assert sorted(wrong) == sorted(right) and wrong != right
    assert wrong in given.labels.read_text()
