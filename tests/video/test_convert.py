"""A re-encoded file holds the same frames at the same times, and decord reads it right."""

import av
import numpy as np
import pytest

from helpers.video_files import (
    read_number,
    write_video,
)
from helpers.video_kinds import JITTER, SAFE, check_frames, in_order
from losa.errors import VideoError
from losa.video.convert import normalise
from losa.video.probe import probe
from losa.video.reader import Reader
from losa.video.sampling import sample_indices


@pytest.mark.parametrize("name", ["hevc.mp4", "cut.mp4", "no_key.ts", "h264.avi", "mjpeg.avi", "raw.h264"])
def test_a_normalised_file_is_safe_and_holds_the_same_frames(make, tmp_path, name):
    numbers, calls = in_order(make(name))[0], []
    path = normalise(make(name), tmp_path / "new.mp4", progress=lambda *seen: calls.append(seen))
    info, reader = probe(path), Reader(path)
    assert (info.risks, info.variable_rate, reader.backend) == ((), False, "decord")
    assert info.fps == pytest.approx(25.0, rel=1e-3)
    check_frames(reader, numbers)
    with av.open(str(path)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert np.flatnonzero(keys).tolist() == list(range(0, len(numbers), 32))
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")
    assert calls == [(i + 1, len(numbers)) for i in range(len(numbers))]
    assert [p.name for p in tmp_path.iterdir()] == ["new.mp4"]


def test_a_variable_rate_becomes_a_constant_one_with_every_frame_at_its_time(make, tmp_path):
    before, path = Reader(make("variable.mp4")), normalise(make("variable.mp4"), tmp_path / "new.mp4")
    after = Reader(path)
    assert not probe(path).variable_rate and probe(path).duration == pytest.approx(before.timestamps[-1], abs=0.1)
    for start in (0.0, 0.7, 1.9, 3.3):
        chosen = [(reader, sample_indices(reader.timestamps, 5, start, start + 1)) for reader in (before, after)]
        seen = [[JITTER[read_number(frame)] for frame in reader.read(indices)] for reader, indices in chosen]
        assert np.abs(np.subtract(*seen)).max() <= 80  # ms: half a gap before and half a gap after the re-encoding


def test_colours_survive(tmp_path):
    colours = np.random.default_rng(0).integers(20, 236, (2, 4, 3))

    def draw(number):
        return np.kron(np.roll(colours, number, 1), np.ones((16, 24, 1))).astype(np.uint8)

    for name, how in {"a.avi": SAFE["mjpeg.avi"], "b.mp4": {}, "c.mp4": SAFE["ten_bits.mp4"]}.items():
        path = write_video(tmp_path / name, 6, draw=draw, **how)
        before, after = Reader(path).read([2]), Reader(normalise(path, tmp_path / f"{name}.new.mp4")).read([2])
        assert abs(before.float() - after.float()).mean() < 4, name
        assert abs(before[0].float().numpy() - draw(2)).mean() < 12, name


def test_a_failing_normalise_leaves_nothing(make, tmp_path):
    data = bytearray(make("hevc.mp4").read_bytes())
    start = data.index(b"mdat") + 3000
    data[start : start + 4000] = np.random.default_rng(0).bytes(4000)
    (tmp_path / "noise.mp4").write_bytes(data)
    with pytest.raises(VideoError, match="noise.mp4.*(cannot be decoded|damaged)"):
        normalise(tmp_path / "noise.mp4", tmp_path / "new.mp4")
    with pytest.raises(ValueError, match="another name"):
        normalise(make("h264.ts"), make("h264.ts"))
    assert [path.name for path in tmp_path.iterdir()] == ["noise.mp4"]
