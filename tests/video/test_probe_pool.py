"""Many files probed at once: broken ones, those that hang or crash, and what is left of the processes."""

import os

import pytest

from helpers.video_files import sign_on_long, sleep_on_slow, write_audio
from losa.video.probe import VideoInfo, probe
from losa.video.probe_pool import probe_many


def test_many_files_broken_ones_listed(small, tmp_path):
    good = [small / name for name in ("small.mp4", "small.mkv", "small.avi", "small.ts")]
    write_audio(tmp_path / "audio.mp4")
    bad = [tmp_path / "missing.mp4", tmp_path / "audio.mp4", tmp_path]
    infos, whys = probe_many([good[0], *bad, *good])
    assert list(infos) == good and all(isinstance(info, VideoInfo) for info in infos.values())
    assert infos == {path: probe(path) for path in good}
    assert "no such file" in whys[bad[0]] and "no moving pictures" in whys[bad[1]] and "folder" in whys[bad[2]]
    assert probe_many([]) == ({}, {})


def test_a_file_that_hangs_or_crashes_is_listed_and_the_others_are_done(tmp_path):
    names = ["a", "slow", "b", "crash", "c", "odd", "d", "e"]
    paths = [tmp_path / f"{name}.mp4" for name in names]
    infos, whys = probe_many(paths, limit_s=2, work=sleep_on_slow)
    assert [path.name for path in infos] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"]
    assert "no answer within 2 s" in whys[paths[1]]
    assert "exit code -9" in whys[paths[3]]
    assert "KeyError: 'something nobody thought of'" in whys[paths[5]]


def test_the_limit_counts_from_the_last_sign_of_progress(tmp_path):
    paths = [tmp_path / "long.mp4", tmp_path / "a.mp4"]
    infos, whys = probe_many(paths, limit_s=2, work=sign_on_long)
    assert (list(infos), whys) == (paths, {})


def test_no_process_is_left_behind(tmp_path):
    before = set(children())
    probe_many([tmp_path / "slow.mp4", tmp_path / "a.mp4"], limit_s=1, work=sleep_on_slow)
    assert set(children()) <= before


def children():
    """Ids of the processes that this one started and that still run."""
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc")
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    if file.read().rpartition(")")[2].split()[1] == str(os.getpid()):
                        yield int(name)
            except OSError:
                continue


def test_no_file_is_no_work_and_no_bar(capfd):
    assert probe_many([]) == ({}, {}) and capfd.readouterr().err == ""
