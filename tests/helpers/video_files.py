"""Small video files for the tests, written by PyAV: every frame carries its own number as a barcode."""

import os
import signal
import struct
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context

import av
import numpy as np

from losa.video.probe import VideoInfo

NASTY = "quotes \"x\" 'y' <b>&amp; ü #1?"  # a file may be called so

BITS, BLOCK, ROWS = 12, 16, 2
HEIGHT, WIDTH = ROWS * BLOCK, BITS // ROWS * BLOCK


def draw_number(number):
    """Returns a uint8 (H, W, 3) picture of `number`: one black or white block per bit, lowest bit first."""
    bits = (number >> np.arange(BITS)) & 1
    blocks = np.kron(bits.reshape(ROWS, -1), np.ones((BLOCK, BLOCK)))
    return np.repeat((blocks * 220 + 16).astype(np.uint8)[:, :, None], 3, axis=2)


def read_number(frame):
    """Returns the number drawn in one uint8 (H, W, 3) frame of any size."""
    grey = np.asarray(frame).mean(axis=2)
    block = len(grey) // ROWS
    blocks = grey.reshape(ROWS, block, -1, block).mean(axis=(1, 3)).reshape(-1)
    return int(((blocks > 128) << np.arange(BITS)).sum())


X264 = {"g": "12", "bf": "2", "x264-params": "open-gop=0:log-level=none"}
X265 = {"g": "12", "x265-params": "log-level=none:pools=1:frame-threads=1:rc-lookahead=10"}  # open GOP is its default
OPEN_GOP = {"g": "12", "bf": "3", "x264-params": "open-gop=1:log-level=none:scenecut=0"}


def write_video(path, num_frames=50, fps=25, times_ms=None, codec="libx264", options=X264, faststart=False,
                pix_fmt="yuv420p", flags="", draw=draw_number, turned=0):
    """Writes barcoded frames and returns `path`; `times_ms` gives each frame's own time (variable rate)."""
    flags = "faststart" if faststart else flags
    with av.open(str(path), "w", options={"movflags": flags} if flags else {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = draw(0).shape[:2]
        stream.pix_fmt = pix_fmt
        if turned:
            stream.set_display_rotation(turned)
        time_base = stream.codec_context.time_base = Fraction(1, 1000) if times_ms else Fraction(1, fps)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts, frame.time_base = (times_ms[number] if times_ms else number), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_av1(path, num_frames):
    """Writes a barcoded AV1 file in a process of its own and returns `path`.

    Run as root, SVT-AV1 gives the thread that opens it real-time priority and never takes it back: every kernel,
    browser and training that this process began later would keep the rest of the machine from running.
    """
    options = {"preset": "11", "svtav1-params": "lp=1"}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one_process:
        return one_process.submit(write_video, path, num_frames, codec="libsvtav1", options=options).result()


def write_two_tracks(path, num_frames, sizes=(1, 4)):
    """Writes barcodes 0, 1, ... in the first track and 1000, 1001, ... in the second, each `sizes` times as large."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25, options=X264) for _ in sizes]
        for stream, size in zip(streams, sizes, strict=True):
            stream.height, stream.width, stream.pix_fmt = HEIGHT * size, WIDTH * size, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 25)
        for number in range(num_frames):
            for first, stream, size in zip((0, 1000), streams, sizes, strict=True):
                picture = np.kron(draw_number(first + number), np.ones((size, size, 1), np.uint8))
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def copy_packets(source, path, skip=0, earlier=0.0, drop=(), format=None):
    """Writes the packets of `source` from number `skip` on, `earlier` seconds before their time, and returns `path`.

    skip: "key" starts at the last key packet at or before `earlier`, as a cut without new encoding does.
    """
    with av.open(str(source)) as whole, av.open(str(path), "w", format=format) as part:
        stream = whole.streams.video[0]
        packets = [packet for packet in whole.demux(stream) if packet.dts is not None]
        if skip == "key":
            skip = max(i for i, p in enumerate(packets) if p.is_keyframe and float(p.pts * p.time_base) <= earlier)
        copy, shift = part.add_stream_from_template(stream), round(earlier / float(stream.time_base))
        for number, packet in enumerate(packets):
            if number >= skip and number not in drop:
                packet.stream, packet.pts, packet.dts = copy, packet.pts - shift, packet.dts - shift
                part.mux(packet)
    return path


def edit(source, path, rows):
    """Writes an mp4 again with another edit list: rows of (seconds shown, first second of the media; -1: nothing)."""
    data = source.read_bytes()
    with av.open(str(source)) as container:
        ticks = container.streams.video[0].time_base.denominator
    entries = b"".join(struct.pack(">IiHH", round(length * 1000), -1 if start < 0 else round(start * ticks), 1, 0)
                       for length, start in rows)
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(rows)) + entries
    new = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    at = data.index(b"edts") - 4
    old = struct.unpack(">I", data[at : at + 4])[0]
    assert data.index(b"moov") > data.index(b"mdat"), "the index must come last, or its offsets would be wrong"
    data = data[:at] + new + data[at + old :]
    for name in (b"moov", b"trak"):
        where = data.index(name) - 4
        size = struct.unpack(">I", data[where : where + 4])[0] + len(new) - old
        data = data[:where] + struct.pack(">I", size) + data[where + 4 :]
    path.write_bytes(data)
    return path


def mutate(data, changes):
    """Returns bytes with changes made one after the other: (where 0..1, what: "set", "cut", "add" or "end", bytes)."""
    data = bytearray(data)
    for where, what, new in changes:
        at = int(where * len(data))
        if what == "set":
            data[at : at + len(new)] = new
        elif what == "cut":
            del data[at : at + 4 * len(new)]
        elif what == "add":
            data[at:at] = new
        else:
            del data[at:]
    return bytes(data)


def sleep_on_slow(path):
    """Returns a VideoInfo; takes an hour for a file called slow, ends the process for crash, fails for odd."""
    if path.stem == "slow":
        time.sleep(3600)
    if path.stem == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.stem == "odd":
        raise KeyError("something nobody thought of")
    return VideoInfo(path, 2, 2, 25.0, 1, 0.04)


def sign_on_long(path, alive):
    """Returns a VideoInfo; takes 3 s for a file called long, with a sign every half second."""
    for _ in range(6 if path.stem == "long" else 0):
        time.sleep(0.5)
        alive()
    return VideoInfo(path, 2, 2, 25.0, 1, 0.04)


def write_late(path, first):
    """Writes 4 s of sound and 50 barcodes, the first of them `first` frames of 1/25 s after the sound begins."""
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("libx264", rate=25, options=X264), container.add_stream("aac", rate=16000)
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        sound.layout, video.codec_context.time_base = "mono", Fraction(1, 25)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 64000), np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = 16000, 0
        for piece in av.AudioResampler(format=sound.format, layout="mono", rate=16000).resample(silence):
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.pts, frame.time_base = number + first, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def write_audio(path, seconds=1.0, rate=16000, codec="aac"):
    """Writes a sound-only file and returns `path`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        samples = (np.sin(np.arange(int(seconds * rate)) / 9) * 9000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        for piece in av.AudioResampler(format=stream.format, layout="mono", rate=rate).resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path
