"""Small video files for the tests, written by PyAV: every frame carries its own number as a barcode."""

from fractions import Fraction

import av
import numpy as np

BITS, BLOCK, ROWS = 12, 16, 2
HEIGHT, WIDTH = ROWS * BLOCK, BITS // ROWS * BLOCK


def draw_number(number):
    """Returns a uint8 (H, W, 3) picture of `number`: one black or white block per bit, lowest bit first."""
    bits = (number >> np.arange(BITS)) & 1
    blocks = np.kron(bits.reshape(ROWS, -1), np.ones((BLOCK, BLOCK)))
    return np.repeat((blocks * 220 + 16).astype(np.uint8)[:, :, None], 3, axis=2)


def read_number(frame):
    """Returns the number drawn in one uint8 (H, W, 3) frame."""
    grey = np.asarray(frame).mean(axis=2)
    blocks = grey.reshape(ROWS, BLOCK, -1, BLOCK).mean(axis=(1, 3)).reshape(-1)
    return int(((blocks > 128) << np.arange(BITS)).sum())


X264 = {"g": "12", "bf": "2", "x264-params": "open-gop=0:log-level=none"}


def write_video(path, num_frames=50, fps=25, times_ms=None, codec="libx264", options=X264, faststart=False):
    """Writes barcoded frames and returns `path`; `times_ms` gives each frame's own time (variable rate)."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if faststart else {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv420p"
        time_base = stream.codec_context.time_base = Fraction(1, 1000) if times_ms else Fraction(1, fps)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
            frame.pts, frame.time_base = (times_ms[number] if times_ms else number), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
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
