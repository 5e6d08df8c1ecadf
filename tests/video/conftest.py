"""Files of every kind, written once."""

import pytest

from helpers.video_files import (
    copy_packets,
    edit,
    write_two_tracks,
    write_video,
)
from helpers.video_kinds import CUTS, NUM, RISKY, SAFE


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
