"""Files of every kind, written once."""

import pytest

from helpers.video_files import (
    copy_packets,
    edit,
    write_two_tracks,
    write_video,
)
from helpers.video_kinds import CUTS, NUM, RISKY, SAFE, VARIABLE_MS


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A function from a name to the file of that kind, written once."""
    folder = tmp_path_factory.mktemp("kinds")

    def make(name):
        path = folder / name
        if not path.exists() and name in CUTS:
            source, how, _ = CUTS[name]
            edit(make(source), path, how) if isinstance(how, list) else copy_packets(make(source), path, *how)
        elif not path.exists() and name.startswith("two_tracks"):
            write_two_tracks(path, NUM)
        elif not path.exists():
            write_video(path, NUM, **(SAFE[name] if name in SAFE else RISKY[name][0]))
        return path

    return make


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files with a constant and a variable frame rate, and longer ones in three containers."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "constant.mp4", 50, fps=25)
    write_video(folder / "variable.mp4", 50, times_ms=VARIABLE_MS)
    write_video(folder / "long.mp4", 200, faststart=True)
    write_video(folder / "long.mkv", 200)
    write_video(folder / "long.avi", 200, codec="mpeg4", options={})
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The same 12 frames in four containers."""
    folder = tmp_path_factory.mktemp("small")
    write_video(folder / "small.mp4", 12)
    write_video(folder / "small.mkv", 12)
    write_video(folder / "small.avi", 12, codec="mpeg4", options={})
    copy_packets(folder / "small.mp4", folder / "small.ts")
    return folder
