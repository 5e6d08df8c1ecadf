"""Taps of a whole data set or of a folder of videos, and features for others."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from losa.annotations.dataset import load_annotations
from losa.errors import VideoError
from losa.presets import PRESETS
from losa.taps import decoding
from losa.taps.live import LiveTaps
from losa.taps.npy import NpyFeatures
from losa.workflows.extract_dataset import extract_all, list_folder_videos


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos[:4]


def contents(folder):
    return {p.name: p.read_bytes() for p in Path(folder).glob("[!.]*")}  # but the lock


def test_a_folder_of_videos_becomes_features_for_others(tiny, videos, tmp_path, capsys):
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(videos[0].path, folder / "one.mp4")
    shutil.copy(videos[1].path, folder / "sub" / "two.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    config = PRESETS["tiny"](tiny, cache=str(tmp_path / "c"), frame_stride=4)
    failed = extract_all(config, videos=folder, export=tmp_path / "out")
    said = capsys.readouterr().out
    assert list(failed) == ["broken"] and f"  broken: {failed['broken']}" in said and "frames/s" in said
    assert said.index("MiB in") < said.index("frames/s")
    source = NpyFeatures(tmp_path / "out", list_folder_videos(folder, {}))
    two = replace(videos[1], id="sub/two")
    assert source.num_snippets(two) == len(np.load(tmp_path / "out" / "sub" / "two.npy")) > 10
    assert extract_all(config, videos=folder) == failed and "all 2 videos are in" in capsys.readouterr().out


def test_copies_of_a_bad_file_cost_no_export(tiny, videos, tmp_path, monkeypatch):
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, video in (("good", videos[0]), ("bad", videos[1]), ("copy", videos[1])):
        shutil.copy(video.path, folder / f"{name}.mp4")
    read = LiveTaps.read

    def fails_later(self, video, indices, alive, copy=0):
        if video.id in ("bad", "copy") and indices[0] > 0:
            raise VideoError(video.path, "is damaged in its middle")
        return read(self, video, indices, alive, copy)

    monkeypatch.setattr(LiveTaps, "read", fails_later)
    monkeypatch.setattr(decoding, "PIECE_FRAMES", 16)
    config = PRESETS["tiny"](tiny, cache=str(tmp_path / "c"), frame_stride=4)
    failed = extract_all(config, videos=folder, export=tmp_path / "out", quiet=True)
    assert failed == {"bad": "is damaged in its middle", "copy": "is damaged in its middle"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["card.json", "good.npy"]
    (folder / "good.mp4").unlink()
    assert set(extract_all(config, videos=folder, export=tmp_path / "none", quiet=True)) == {"bad", "copy"}
    assert not (tmp_path / "none").exists()


def test_annotated_videos_are_extracted_and_what_cannot_be_is_said(tiny, videos, tmp_path):
    config = PRESETS["tiny"](tiny, cache=str(tmp_path / "c"), frame_stride=8)
    assert extract_all(config, quiet=True) == {}
    assert len(contents(tmp_path / "c")) == 2 * len(load_annotations(config.annotations).videos)
    with pytest.raises(ValueError, match="keeps nothing"):
        extract_all(config.replace(cache=""))
    with pytest.raises(ValueError, match="are there already"):
        extract_all(config.replace(features="f", feature_stride=4, taps="none"))
