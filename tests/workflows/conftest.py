"""What the tests of workflows share."""

import shutil
from pathlib import Path

import pytest

from helpers.video_files import NASTY, write_video
from losa.presets import PRESETS
from losa.workflows.predict_videos import predict_videos
from losa.workflows.run import run as run_config


@pytest.fixture(scope="session")
def run(tiny, tmp_path_factory) -> Path:
    """A run on the tiny world, with its own predictions of the test subset."""
    out = tmp_path_factory.mktemp("own") / "run"
    run_config(PRESETS["tiny"](tiny, epochs=1, warmup_epochs=0), out, quiet=True)
    return out


@pytest.fixture(scope="session")
def world(tiny) -> list[Path]:
    return sorted((tiny / "world" / "videos").glob("*.mp4"))


@pytest.fixture(scope="session")
def made(run, world, tmp_path_factory):
    """(folder of videos, result); predicted into a folder inside, with broken files among the good ones."""
    folder = tmp_path_factory.mktemp("phone") / "my videos"
    for source, name in zip(world, ("day 1/IMG_1.mp4", "day 2/IMG_1.MP4", f"{NASTY}.mp4"), strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    shutil.copy(folder / "day 1/IMG_1.mp4", folder / "copy.mp4")
    write_video(folder / "one frame.mp4", num_frames=1)
    (folder / "empty.mov").write_bytes(b"")
    (folder / "text.mp4").write_text("no video")
    (folder / "._text.mp4").write_text("what another system leaves behind")
    (folder / "notes.txt").write_text("no video")
    with pytest.warns(UserWarning, match="2 of 7 videos could not be used") as told:
        result = predict_videos(folder, run, folder / "out", quiet=True)
    assert "text.mp4" in str(told[0].message) and "is empty (0 bytes)" in str(told[0].message)
    return folder, result
