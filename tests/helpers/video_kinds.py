"""A video file of every kind that decord reads right or wrong, with the frames that decoding in order gives."""

import av
import numpy as np

from helpers.video_files import (
    OPEN_GOP,
    X264,
    X265,
    read_number,
)

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

VARIABLE_MS = [40 * i + 15 * (i % 3) + 3000 * (i > 30) for i in range(50)]  # jitter, and frame 30 held for 3 s
