"""Videos found in a folder and their names; paths given to a notebook."""
import pytest

from losa.video.folder import find_given_paths, find_videos, fold


def test_ids_are_unique_whatever_the_disk_thinks(tmp_path):
    names = ["a.mp4", "a.mov", "b.mp4", "sub/a.mp4", ".hidden/c.mp4", "u\u0308.mp4", "B.mkv", "a.mp4.mp4", "x.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_videos(tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in found.values()} == set(names) - {".hidden/c.mp4", "x.txt"}
    assert found["sub/a"].parent.name == "sub" and found["a.mov"].suffix == ".mov" and "u\u0308" in found
    assert len({fold(name) for name in found}) == 7
    assert find_videos(tmp_path) == found


def test_paths_are_seen_from_where_the_notebook_runs_and_what_is_forgotten_is_told(tmp_path):
    for name in ("films", "t.csv"):
        (tmp_path / name).mkdir()
    assert find_given_paths(tmp_path, videos="films", labels="t.csv") == [tmp_path / "films", tmp_path / "t.csv", None]
    assert find_given_paths(tmp_path, videos="", labels="") == [None, None, None]
    with pytest.raises(ValueError, match="set the parameter `labels`"):
        find_given_paths(tmp_path, videos="films", labels="")
    with pytest.raises(ValueError, match="set the parameter `videos`"):
        find_given_paths(tmp_path, videos="", labels="t.csv")
    with pytest.raises(FileNotFoundError, match="nowhere.csv: neither in"):
        find_given_paths(tmp_path, videos="films", labels="nowhere.csv")
