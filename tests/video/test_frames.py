"""Which frames come out of every kind of file: those that PyAV gives when it decodes the whole file in order."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import losa.video.probe
import losa.video.reader
from helpers.video_files import (
    HEIGHT,
    WIDTH,
    X264,
    draw_number,
    read_number,
    write_av1,
    write_video,
)
from helpers.video_kinds import CUTS, NUM, RISKY, SAFE, asked_for, check_frames, in_order
from losa.errors import VideoError
from losa.video.convert import normalise
from losa.video.probe import probe
from losa.video.reader import Reader

WRONG_WITH_DECORD = ("hevc.mp4", "open.mp4", "refresh.mp4", "mpeg4_b.avi", "h264.avi", "cut.mp4", "start_hidden.mp4",
                     "two_tracks.mp4")


@pytest.mark.parametrize("name", [*SAFE, *RISKY, *CUTS])
def test_every_kind_gives_the_frames_of_decoding_in_order(make, name):
    path, (numbers, times) = make(name), in_order(make(name))
    reader, risks = Reader(path), probe(path).risks
    assert set(risks) == (set() if name in SAFE else (RISKY | CUTS)[name][-1])
    assert reader.backend == ("decord" if name in SAFE else "av")
    assert len(numbers) > 20
    check_frames(reader, numbers)
    if None not in times:
        np.testing.assert_allclose(reader.timestamps, np.sort(times) - min(times), atol=1e-3)
    else:
        np.testing.assert_allclose(reader.timestamps, np.arange(NUM) / 25, atol=1e-6)
    assert probe(path).variable_rate == (name.startswith(("variable", "no_key", "two_parts", "mpeg2")))


@pytest.mark.parametrize("name", WRONG_WITH_DECORD)
def test_decord_alone_would_give_other_frames(make, name):
    """Why there is a probe; a new decord that reads one of these right may be trusted with it."""
    path, (numbers, _) = make(name), in_order(make(name))
    right = 0
    for indices in asked_for(len(numbers))[:-1]:
        try:
            found = [read_number(frame) for frame in Reader(path, backend="decord").read(indices)]
        except VideoError:
            continue
        right += found == [numbers[i] for i in indices]
    assert right < len(asked_for(len(numbers))) - 1


@pytest.mark.parametrize("name", ["h264.mp4", "variable.mkv", "vp9.webm", "mjpeg.avi"])
def test_both_backends_give_the_same_pictures_and_times(make, name):
    with_decord, with_av = Reader(make(name), backend="decord"), Reader(make(name), backend="av")
    assert (with_decord.backend, with_av.backend) == ("decord", "av")
    np.testing.assert_array_equal(with_decord.read([3, 40, 7]), with_av.read([3, 40, 7]))
    np.testing.assert_allclose(with_decord.timestamps, with_av.timestamps, atol=1e-5)
    assert with_decord.fps == with_av.fps == probe(make(name)).fps


def test_what_an_old_decoder_lacks_is_decoded_all_the_same(tmp_path):
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("needs an AV1 encoder in PyAV")
    path = write_av1(tmp_path / "av1.mp4", 20)
    assert (probe(path).codec, probe(path).risks, Reader(path).backend) == ("av1", ("codec av1",), "av")
    assert [read_number(frame) for frame in Reader(path).read([0, 19, 7])] == [0, 19, 7]
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER  # the encoder's own priority stays in its process


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_phone_is_shown_upright(tmp_path, turned):
    path = write_video(tmp_path / "phone.mp4", 12, turned=turned)
    frames = {backend: Reader(path, backend=backend).read([7]) for backend in ("decord", "av")}
    assert (frames["av"] == frames["decord"]).all()
    info = probe(path)
    assert (info.height, info.width) == frames["av"].shape[1:3]
    assert (info.height, info.width) == ((HEIGHT, WIDTH) if turned == 180 else (WIDTH, HEIGHT))
    straight = np.rot90(frames["av"][0].numpy(), -round(turned / 90))
    assert read_number(straight) == 7
    again = Reader(normalise(path, tmp_path / "again.mp4", progress=print)).read([7])
    assert abs(again.float() - frames["av"].float()).mean() < 3


def test_reading_on_continues_and_going_back_begins_again(make, monkeypatch):
    begun, real = [], losa.video.reader.decode
    monkeypatch.setattr(losa.video.reader, "decode", lambda *args: (begun.append(1), real(*args))[1])
    reader = Reader(make("hevc.mp4"))
    for start in (0, 20, 40):
        reader.read(range(start, start + 20))
    assert len(begun) == 1
    reader.read([30])
    assert len(begun) == 2


@pytest.mark.parametrize("name", ["h264.ts", "hevc.mp4", "two_tracks.mp4"])
def test_signs_are_given_while_frames_are_passed_over(make, monkeypatch, name):
    monkeypatch.setattr(losa.video.probe.Signs, "EVERY_S", 0.0)
    signs = []
    reader = Reader(make(name), alive=lambda: signs.append("packet"))
    assert reader.num_frames == NUM and len(signs) >= NUM  # to open it takes reading, and of a TS decoding, all of it
    reader.alive = lambda: signs.append("frame")
    reader.read([0])
    before = signs.count("frame")
    assert read_number(reader.read([NUM - 1])[0]) == NUM - 1 and signs.count("frame") - before > NUM // 2
    again = pickle.loads(pickle.dumps(reader))
    assert again.alive is None and read_number(again.read([7])[0]) == 7


@pytest.mark.parametrize("name", ["h264.mp4", "h264.ts"])
def test_names_that_look_like_addresses(make, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    odd = Path(f"http:x %03d ü {name}")
    odd.write_bytes(make(name).read_bytes())
    assert [read_number(frame) for frame in Reader(odd).read([5, 70])] == [5, 70]


class Numbers(torch.utils.data.Dataset):
    def __init__(self, path):
        self.reader = Reader(path, num_threads=2)

    def __len__(self):
        return NUM

    def __getitem__(self, index):
        return read_number(self.reader.read([index])[0])


def test_forked_workers_decode_for_themselves_what_the_parent_has_open(make):
    numbers = Numbers(make("hevc.mp4"))
    assert numbers[4] == 4 and numbers.reader.backend == "av"
    loader = torch.utils.data.DataLoader(numbers, batch_size=20, num_workers=2, timeout=20,
                                         multiprocessing_context="fork")
    assert torch.cat(list(loader)).tolist() == list(range(NUM))
    assert numbers[60] == 60


def test_another_picture_than_the_probed_one_is_not_trusted(make, monkeypatch):
    info = probe(make("h264.mp4"))
    monkeypatch.setattr(losa.video.reader, "probe", lambda *_: replace(info, width=2 * info.width))
    assert Reader(make("h264.mp4")).backend == "av"


def test_a_cover_is_no_track(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=25, options=X264)
        cover = container.add_stream("mjpeg", rate=25)
        cover.disposition = av.stream.Disposition.attached_pic
        for stream, pix_fmt in ((cover, "yuvj420p"), (film, "yuv420p")):
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, pix_fmt
        for stream, num in ((cover, 1), (film, 20)):
            for number in range(num):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")))
            container.mux(stream.encode(None))
    assert (probe(path).risks, Reader(path).backend) == ((), "decord")
    assert [read_number(frame) for frame in Reader(path).read([0, 19, 7])] == [0, 19, 7]


def test_unknown_backends_are_refused():
    with pytest.raises(ValueError, match="'auto', 'decord' or 'av'"):
        Reader("x.mp4", backend="opencv")


def test_numbers_are_drawn_right():
    assert draw_number(5).shape == (HEIGHT, WIDTH, 3)
