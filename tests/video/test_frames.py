"""Which frames come out of every kind of file: those that PyAV gives when it decodes the whole file in order."""

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
    OPEN_GOP,
    WIDTH,
    X264,
    X265,
    copy_packets,
    draw_number,
    edit,
    read_number,
    write_two_tracks,
    write_video,
)
from losa.errors import VideoError
from losa.video.convert import normalise
from losa.video.probe import probe
from losa.video.reader import Reader
from losa.video.sampling import sample_indices

NUM = 80
REALTIME = {"g": "12", "deadline": "realtime", "cpu-used": "8"}
MPEG2 = {"codec": "mpeg2video", "options": {"bf": "2"}}
MPEG4B = {"codec": "mpeg4", "options": {"bf": "2"}}
JITTER = [40 * i + 15 * (i % 3) + 2000 * (i > 30) for i in range(NUM)]
INTRA_REFRESH = {"g": "12", "x264-params": "intra-refresh=1:log-level=none"}
SAFE = {  # file: what `write_video` needs
    "h264.mp4": {}, "h264.mkv": {}, "h264.flv": {}, "fragments.mp4": {"flags": "frag_keyframe+empty_moov"},
    "variable.mp4": {"times_ms": JITTER}, "variable.mkv": {"times_ms": JITTER},
    "late.mp4": {"times_ms": [500 + 40 * i for i in range(NUM)]},
    "closed_hevc.mp4": {"codec": "libx265", "options": {**X265, "x265-params": X265["x265-params"] + ":open-gop=0"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": REALTIME}, "mpeg4.avi": {"codec": "mpeg4", "options": {}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}},
    "ten_bits.mp4": {"pix_fmt": "yuv420p10le"}, "one_key.mp4": {"options": {**X264, "g": "1000"}},
}  # fmt: skip
RISKY = {  # file: (what `write_video` needs, what `probe` says)
    "hevc.mp4": ({"codec": "libx265", "options": X265}, {"open GOP"}),
    "hevc.mkv": ({"codec": "libx265", "options": X265}, {"open GOP"}),
    "open.mp4": ({"options": OPEN_GOP}, {"open GOP", "key frames that need earlier frames"}),
    "refresh.mp4": ({"options": INTRA_REFRESH}, {"open GOP", "key frames that need earlier frames"}),
    "mpeg4_b.mp4": (MPEG4B, {"open GOP"}),
    "mpeg4_b.avi": (MPEG4B, {"open GOP", "reordered frames in AVI"}),
    "h264.avi": ({}, {"reordered frames in AVI"}),
    "h264.ts": ({}, {"MPEG-TS"}),
    "mpeg2.mpg": (MPEG2, {"container mpeg", "open GOP", "pts missing or twice"}),
    "raw.h264": ({}, {"container h264", "pts missing or twice"}),
    "vp8.webm": ({"codec": "libvpx", "options": REALTIME}, {"codec vp8"}),
    "wmv.wmv": ({"codec": "wmv2", "options": {}}, {"container asf", "codec wmv2"}),
    "two_tracks.mp4": (None, {"several video tracks"}), "two_tracks.mkv": (None, {"several video tracks"}),
}
CUTS = {  # file: (the file it is cut from, what `copy_packets` or `edit` needs, what `probe` says)
    "cut.mp4": ("h264.mp4", ("key", 1.3), {"edit list"}),
    "cut_hevc.mp4": ("hevc.mp4", ("key", 1.3), {"edit list", "open GOP"}),
    "cut_hevc.mkv": ("hevc.mp4", ("key", 1.3), {"open GOP", "pts missing or twice"}),
    "no_key.mkv": ("h264.mp4", (5,), {"first packet is no key frame"}),
    "no_key.ts": ("h264.mp4", (5,), {"first packet is no key frame", "MPEG-TS"}),
    "end_hidden.mp4": ("h264.mp4", [(1, 0.08)], {"edit list"}),
    "start_hidden.mp4": ("h264.mp4", [(1, 2.08)], {"edit list"}),
    "two_parts.mp4": ("h264.mp4", [(0.6, 0.08), (0.8, 2.08)], {"edit list", "pts missing or twice"}),
}
WRONG_WITH_DECORD = ("hevc.mp4", "open.mp4", "refresh.mp4", "mpeg4_b.avi", "h264.avi", "cut.mp4", "start_hidden.mp4",
                     "two_tracks.mp4")


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


def in_order(path):
    """Numbers and times of all frames, as PyAV decodes them one after the other."""
    with av.open(str(path)) as container:
        frames = [(read_number(frame.to_ndarray(format="rgb24")), frame.time) for frame in container.decode(video=0)]
    return [number for number, _ in frames], [time for _, time in frames]


def asked_for(num):
    """Lists of indices as training and prediction ask for them."""
    random = np.random.default_rng(0).integers(0, num, (4, 5))
    return [np.arange(0, num, 4), *random, np.arange(num // 2, min(num, num // 2 + 16)), np.arange(num)]


def check_frames(reader, numbers):
    assert reader.num_frames == len(numbers) == len(reader.timestamps)
    for indices in asked_for(len(numbers)):
        assert [read_number(frame) for frame in reader.read(indices)] == [numbers[i] for i in indices]


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
    path = write_video(tmp_path / "av1.mp4", 20, codec="libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"})
    assert (probe(path).codec, probe(path).risks, Reader(path).backend) == ("av1", ("codec av1",), "av")
    assert [read_number(frame) for frame in Reader(path).read([0, 19, 7])] == [0, 19, 7]


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
