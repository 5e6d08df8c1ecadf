import os
import pickle
import subprocess
import sys

import av
import numpy as np
import pytest
import torch

from helpers.video_files import (
    HEIGHT,
    OPEN_GOP,
    WIDTH,
    X264,
    copy_packets,
    draw_number,
    read_number,
    write_audio,
    write_late,
    write_video,
)
from helpers.video_kinds import VARIABLE_MS
from losa.errors import VideoError
from losa.video.probe import probe
from losa.video.probe_pool import probe_many
from losa.video.reader import Reader, read_through


def cut(path, keep):
    """Writes the first part of a file beside it and returns the new path."""
    short = path.with_stem(f"cut{keep}_{path.stem}")
    short.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return short


def decoded_times(path):
    """Frame times in seconds by decoding with PyAV, from the first frame on."""
    with av.open(str(path)) as container:
        times = np.array([frame.time for frame in container.decode(video=0)])
    return times - times[0]


def test_the_barcode_itself_reads_back():
    assert [read_number(draw_number(n)) for n in (0, 1, 1000, 4095)] == [0, 1, 1000, 4095]


@pytest.mark.parametrize("name", ["constant.mp4", "variable.mp4", "long.mkv", "long.avi"])
def test_probe_agrees_with_decoding_everything(folder, name):
    info = probe(folder / name)
    times = decoded_times(folder / name)
    assert (info.width, info.height, info.num_frames) == (WIDTH, HEIGHT, len(times))
    assert info.duration == pytest.approx(times[-1] + 0.04, abs=0.041)
    assert info.fps == pytest.approx(len(times) / info.duration, rel=0.03)


def test_probe_of_a_constant_rate_is_exact(folder):
    info = probe(str(folder / "constant.mp4"))
    assert (info.fps, info.duration) == (25.0, pytest.approx(2.0, abs=1e-6))


def bad_files(folder, tmp_path):
    text = "1\n00:00:01,000 --> 00:00:02,000\nno video\n" * 30
    files = {
        "missing": (tmp_path / "missing.mp4", "no such file"),
        "folder": (tmp_path, "is a folder"),
        "empty": (tmp_path / "empty.mp4", "0 bytes"),
        "text": (tmp_path / "text.mp4", "no video|no moving pictures"),
        "subtitles": (tmp_path / "subtitles.mp4", "no moving pictures, only subtitle"),
        "picture": (tmp_path / "picture.mp4", "is not a video"),
        "audio": (write_audio(tmp_path / "audio.m4a"), "no moving pictures, only audio"),
        "no index": (cut(folder / "constant.mp4", 0.6), "no moving pictures|damaged"),
        "truncated mp4": (cut(folder / "long.mp4", 0.6), r"truncated: its header says 200 frames, \d+ are there"),
        "truncated mkv": (cut(folder / "long.mkv", 0.6), r"truncated: its header says 8.00 s, 4\.\d+ s"),
        "truncated avi": (cut(folder / "long.avi", 0.6), "truncated: its header says 200 frames"),
    }
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("hello, I am not a video\n" * 99)
    (tmp_path / "subtitles.mp4").write_text(text)
    from PIL import Image

    Image.fromarray(draw_number(5)).save(tmp_path / "picture.mp4", format="png")
    return files


def test_every_bad_file_gets_one_clear_error(folder, tmp_path):
    for name, (path, expected) in bad_files(folder, tmp_path).items():
        with pytest.raises(VideoError, match=expected) as caught:
            probe(path)
        assert caught.value.path == path and str(path) in str(caught.value), name
        assert "\n" not in str(caught.value), name
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.path, again.why) == (caught.value.path, caught.value.why), name


def test_reader_raises_only_video_errors_on_bad_files(folder, tmp_path):
    for name, (path, _) in bad_files(folder, tmp_path).items():
        with pytest.raises(VideoError) as caught:
            Reader(path).read([0])
        assert caught.value.path == path, name


def test_noise_inside_a_file_is_a_video_error_when_read(folder, tmp_path):
    data = bytearray((folder / "long.mp4").read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 3] = np.random.default_rng(0).bytes(len(data) // 3)
    (tmp_path / "noise.mp4").write_bytes(data)
    with pytest.raises(VideoError, match="cannot be decoded"):
        Reader(tmp_path / "noise.mp4").read(range(200))


@pytest.mark.parametrize("options", [X264, OPEN_GOP], ids=["decord", "av"])
def test_reading_through_finds_noise_that_probe_does_not_see(tmp_path, options):
    good, bad = write_video(tmp_path / "good.mp4", 100, options=options), tmp_path / "bad.mp4"
    assert read_through(str(good)) == probe(good)
    data = bytearray(good.read_bytes())
    with av.open(str(good)) as container:
        for packet in list(container.demux(video=0))[50:60]:  # of a group of pictures in the middle
            data[packet.pos : packet.pos + packet.size] = np.random.default_rng(0).bytes(packet.size)
    bad.write_bytes(data)
    assert probe(bad).num_frames == 100
    infos, whys = probe_many([good, bad], work=read_through)
    assert infos == {good: probe(good)} and list(whys) == [bad]
    assert "decoded" in whys[bad] or "damaged" in whys[bad]


@pytest.mark.parametrize("name", ["constant.mp4", "variable.mp4", "long.mp4", "long.mkv", "long.avi"])
def test_any_order_returns_the_frames_asked_for(folder, name):
    reader = Reader(folder / name)
    wanted = np.random.default_rng(1).integers(0, reader.num_frames, 40)
    frames = reader.read(wanted)
    assert frames.dtype == torch.uint8 and frames.shape == (40, HEIGHT, WIDTH, 3)
    assert [read_number(frame) for frame in frames] == wanted.tolist()
    assert [read_number(frame) for frame in reader.read(range(3, 31, 7))] == [3, 10, 17, 24]


def test_colours_are_rgb(tmp_path):
    with av.open(str(tmp_path / "red.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        picture = np.zeros((32, 64, 3), np.uint8) + np.array([200, 40, 10], np.uint8)
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    frame = Reader(tmp_path / "red.mp4").read([2])[0].float()
    torch.testing.assert_close(frame.mean((0, 1)), torch.tensor([200.0, 40.0, 10.0]), atol=6, rtol=0)


def test_timestamps_are_those_of_the_frames(folder):
    for name in ("constant.mp4", "variable.mp4", "long.mkv"):
        np.testing.assert_allclose(Reader(folder / name).timestamps, decoded_times(folder / name), atol=1e-5)
    variable = Reader(folder / "variable.mp4").timestamps
    np.testing.assert_allclose(variable, np.array(VARIABLE_MS) / 1000, atol=1e-5)


def test_time_counts_from_the_first_frame(tmp_path):
    path = write_video(tmp_path / "late.mkv", 30, times_ms=[500 + 40 * i for i in range(30)])
    np.testing.assert_allclose(Reader(path).timestamps, np.arange(30) / 25, atol=1e-5)
    assert probe(path).duration == pytest.approx(1.2, abs=0.04) and probe(path).starts_at == pytest.approx(0.5)
    assert [read_number(frame) for frame in Reader(path).read([0, 7, 29])] == [0, 7, 29]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_video_that_starts_later_than_its_sound(tmp_path, ending):
    late, prompt = write_late(tmp_path / f"late.{ending}", 37), write_late(tmp_path / f"prompt.{ending}", 0)
    assert probe(late).starts_at == pytest.approx(37 / 25, abs=0.07)  # the encoder puts some silence before the sound
    assert probe(prompt).starts_at == pytest.approx(0, abs=0.07)
    np.testing.assert_allclose(Reader(late).timestamps, np.arange(50) / 25, atol=2e-3)
    assert probe(late).duration == pytest.approx(2.0, abs=0.05)


def test_most_videos_start_at_once(folder, tmp_path):
    copy_packets(folder / "constant.mp4", tmp_path / "constant.ts")
    for path in (folder / "constant.mp4", folder / "long.mkv", folder / "long.avi", tmp_path / "constant.ts"):
        assert probe(path).starts_at == pytest.approx(0, abs=0.01), path


def test_indices_are_validated(folder):
    reader = Reader(folder / "constant.mp4")
    for bad in ([-1], [50], [3, 1000]):
        with pytest.raises(IndexError, match="frames 0 to 49"):
            reader.read(bad)
    for bad in ([1.0], [True], [[1]], 3):
        with pytest.raises(TypeError, match="flat list of frame indices"):
            reader.read(bad)
    assert reader.read([]).shape == (0, HEIGHT, WIDTH, 3)


def test_a_reader_is_pickled_without_its_open_file(folder):
    reader = Reader(folder / "constant.mp4", num_threads=2)
    reader.read([0])
    again = pickle.loads(pickle.dumps(reader))
    assert (again.path, again.num_threads) == (reader.path, 2)
    assert again._handle is None and read_number(again.read([9])[0]) == 9


class Frames(torch.utils.data.Dataset):
    def __init__(self, path):
        self.reader = Reader(path)

    def __len__(self):
        return 50

    def __getitem__(self, index):
        return read_number(self.reader.read([index])[0])


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "opened in the parent"])
def test_two_forked_workers_read_their_own_frames(folder, opened):
    frames = Frames(folder / "constant.mp4")
    if opened:
        assert frames[4] == 4
    loader = torch.utils.data.DataLoader(
        frames, batch_size=5, num_workers=2, timeout=15, multiprocessing_context="fork"
    )
    assert torch.cat(list(loader)).tolist() == list(range(50))


def test_decord_is_imported_late_and_with_its_retry_limit_set(folder):
    code = "import os, sys; from losa.video.reader import Reader; print('decord' in sys.modules); "
    code += f"Reader({str(folder / 'constant.mp4')!r}).read([0]); print(os.environ['DECORD_EOF_RETRY_MAX'])"
    clean = {name: value for name, value in os.environ.items() if name != "DECORD_EOF_RETRY_MAX"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, check=True)
    assert done.stdout.split() == ["False", "4096"] and not done.stderr


def test_frames_that_decord_would_silently_repeat_are_an_error(folder, tmp_path):
    path = copy_packets(folder / "long.mp4", tmp_path / "part.mp4", earlier=2.0)
    reader = Reader(path, backend="decord")
    with pytest.raises(VideoError, match="cannot be decoded"):
        reader.read(range(reader.num_frames))


def test_real_files(shared_data):
    for path in [p for kind in ("mkv", "avi", "mp4") for p in sorted((shared_data / "videos").rglob(f"*.{kind}"))]:
        info, reader = probe(path), Reader(path)
        assert reader.backend == ("av" if path.parent.name == "hard" else "decord"), path
        assert abs(info.num_frames - reader.num_frames) <= 1, path
        assert reader.read([0, 5]).shape == (2, info.height, info.width, 3), path
    assert info.duration == pytest.approx(139.4, abs=0.15)
