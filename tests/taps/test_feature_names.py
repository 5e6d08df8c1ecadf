"""Which file is whose: patterns that are recognised, those that are said, and errors that name what is there."""

import re

import pytest

from losa.errors import FeatureError
from losa.taps.feature_names import find_files, match

IDS = ("video_test_0000004", "video_test_0000006", "-aBc_9", "v_x1")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("pattern", ["{video}-rgb.npy", "{video}_rgb.npz", "v_{video}.pt", "i3d_{video}.safetensors",
                                     "{video}.mp4.npy", "{video}.csv", "rgb/{video}.npy", "{video}/feats.npy",
                                     "a/{video}/{video}.npy",
                                     "tsn/v_{video}.NPY"])
def test_the_one_pattern_that_finds_every_video_is_recognised(tmp_path, pattern):
    touch(tmp_path, *(pattern.replace("{video}", name) for name in (*IDS, "no_video")), "a.md", "card.json")
    paths, found = find_files(tmp_path, IDS)
    assert found == pattern and find_files(tmp_path, IDS, pattern) == (paths, pattern)
    assert paths == {name: tmp_path / pattern.replace("{video}", name) for name in IDS}


def test_plain_names_come_first_and_are_not_worth_a_word(tmp_path):
    touch(tmp_path, "video_test_0000004.npy", "v_video_test_0000006.npy", "-aBc_9.npy", "v_x1.npy",
          *(f"{name}-flow.npy" for name in IDS))
    paths, pattern = find_files(tmp_path, IDS)
    assert pattern == "" and paths["video_test_0000006"].name == "v_video_test_0000006.npy"
    assert find_files(tmp_path, IDS, "{video}-flow.npy")[0]["v_x1"].name == "v_x1-flow.npy"


def test_ids_with_folder_prefix_or_ending_are_found_by_their_stem(tmp_path):
    ids = ("train/v_a1.mp4", "train/v_a10.mp4", "test/b2.mp4")
    touch(tmp_path, "a1.npy", "a10.npy", "b2.npy")
    paths, pattern = find_files(tmp_path, ids)
    assert pattern == "{stem}.npy" and [path.name for path in paths.values()] == ["a1.npy", "a10.npy", "b2.npy"]
    with pytest.raises(FeatureError, match="2 videos have the same file c.npy by feature_pattern={stem}.npy: x/c, y/c"):
        touch(tmp_path, "c.npy")
        find_files(tmp_path, ("x/c", "y/c"), "{stem}.npy")


def test_files_spread_over_subfolders_are_found(tmp_path):
    touch(tmp_path, "train/a1-rgb.npy", "train/a10-rgb.npy", "test/b2-rgb.npy", "test/.hidden/a1-rgb.npy")
    paths, pattern = find_files(tmp_path, ("a1", "a10", "b2"))
    assert pattern == "**/{video}-rgb.npy" and paths["b2"] == tmp_path / "test" / "b2-rgb.npy"
    touch(tmp_path, "test/a1-rgb.npy")
    with pytest.raises(FeatureError, match="video 'a1' has several files .*test/a1-rgb.npy, train/a1-rgb.npy; name"):
        find_files(tmp_path, ("a1", "a10", "b2"), pattern)


@pytest.mark.parametrize("patterns", [("{video}-flow.npy", "{video}-rgb.npy"), ("{video}.npz", "{video}.pt"),
                                      ("flow/{video}.npy", "rgb/{video}.npy")])
def test_several_patterns_that_find_every_video_are_an_error_that_names_them(tmp_path, patterns):
    touch(tmp_path, *(pattern.replace("{video}", name) for name in IDS for pattern in patterns))
    with pytest.raises(FeatureError) as caught:
        find_files(tmp_path, IDS)
    said = str(caught.value)
    assert "each of the 4 videos has several files" in said and all(pattern in said for pattern in patterns)
    assert re.search(r"-s feature_pattern=\S*{video}", said)


def test_a_pattern_that_finds_most_says_which_videos_lack_a_file(tmp_path):
    ids = tuple(f"clip_{i:03}" for i in range(40))
    touch(tmp_path, *(f"{name}-rgb.npy" for name in ids[2:]))
    with pytest.raises(FeatureError, match=r"2 of 40 videos have no features in .*: clip_000, clip_001; looked for "
                                           r"\{video\}-rgb.npy. In the folder are 38 .npy: clip_002-rgb.npy, .* and 35 "
                                           "more. Get these files, or leave the videos out"):
        find_files(tmp_path, ids)


@pytest.mark.parametrize("names, why", [
    ((), "The folder is empty"),
    (("x.npy", "y.npy", "z.txt"), "In the folder are 2 .npy, 1 .txt: x.npy, y.npy, z.txt. Say how the files are"),
    (("all.h5",), "In the folder is 1 .h5: all.h5. Files .h5 are not read; write the features of each video as"),
    (tuple(f"{name}.pkl" for name in IDS), "are 4 .pkl: .* Files .pkl are not read")])
def test_errors_say_which_files_are_there(tmp_path, names, why):
    touch(tmp_path, *names)
    with pytest.raises(FeatureError, match=f"4 of 4 videos have no features in .*{why}"):
        find_files(tmp_path, IDS)


def test_a_pattern_that_finds_nothing_names_one_that_would(tmp_path):
    touch(tmp_path, *(f"{name}-rgb.npz" for name in IDS))
    with pytest.raises(FeatureError, match=r"for \{video\}_rgb.npz. .*e.g. -s feature_pattern=\{video\}-rgb.npz"):
        find_files(tmp_path, IDS, "{video}_rgb.npz")


@pytest.mark.parametrize("pattern", ["rgb.npy", "{id}.npy", "{video}*.npy", "*/{video}.npy", "/tmp/{video}.npy", "",
                                     "{video}-rgb", "{video}.pkl"])
def test_a_pattern_that_names_nothing_is_refused(tmp_path, pattern):
    with pytest.raises(FeatureError, match="feature_pattern='.*expected"):
        find_files(tmp_path, IDS, pattern)


def test_short_ids_do_not_take_each_others_files(tmp_path):
    ids = tuple(str(i) for i in range(1, 13))
    touch(tmp_path, *(f"feat_{name}_rgb.npy" for name in ids))
    paths, pattern = find_files(tmp_path, ids)
    assert pattern == "feat_{video}_rgb.npy" and paths["1"].name == "feat_1_rgb.npy"
    assert match(pattern, ("1", "13"), ["feat_1_rgb.npy"]) == {"1": "feat_1_rgb.npy"}
