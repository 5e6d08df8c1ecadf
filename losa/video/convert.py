"""Re-encode a video, so that every browser plays it and every frame can be read at random."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from tqdm.auto import tqdm

from losa.errors import VideoError
from losa.files import replacing
from losa.video.probe import probe
from losa.video.reader import Reader, decode
from losa.video.sampling import sample_indices

X264 = "keyint=32:min-keyint=32:scenecut=0:open-gop=0:bframes=0:log-level=none"  # any frame is 31 or less from a key


def normalise(path: str | Path, out: str | Path, *, progress: Callable[[int, int], object] | None = None) -> Path:
    """`out`, an mp4 with the same pictures at the same times, which decord and browsers read right; without sound.

    H.264, a key frame every 32, no picture needs a later one, index in front, upright. A variable rate becomes a
    constant one: that of its frames where none is held, at most 60; frames repeat or go as in `sample_indices`.
    The file appears under its name once it is whole and `probe` finds no risk in it.

    progress: called with (frames done, frames in all) instead of a bar on the screen.
    """
    path, out = Path(path), Path(out)
    info, reader = probe(path), Reader(path, num_threads=0, backend="av")
    if out.exists() and out.samefile(path):
        raise ValueError(f"out={str(out)!r} is the file to be read; give another name")
    times = reader.timestamps
    if info.variable_rate:
        gaps = np.diff(times)
        usual = float(gaps[gaps <= 2 * np.median(gaps)].mean())  # without frames that are held
        rate = Fraction(min(60.0, 1 / max(usual, 1e-3))).limit_denominator(1001)
        repeats = np.bincount(sample_indices(times, float(rate)), minlength=len(times))
    else:
        rate, repeats = Fraction(info.fps).limit_denominator(1001), np.ones(len(times), np.int64)
    with replacing(out) as temporary:
        with tqdm(total=len(times), desc=f"re-encoding {path.name}", unit="frame", leave=False,
                  disable=progress is not None) as bar:
            show = progress or (lambda done, total: bar.update(done - bar.n))
            _encode(decode(path, 0), temporary, rate, repeats, show)
        again = probe(temporary)
        if again.risks or again.num_frames != repeats.sum():
            raise VideoError(path, f"cannot be normalised: {again.num_frames} of {repeats.sum()} frames, {again.risks}")
    return out


def _encode(frames: Iterator[av.VideoFrame], out: Path, rate: Fraction, repeats: np.ndarray, show: Callable) -> None:
    stream, shown = None, 0
    with av.open(str(out), "w", options={"movflags": "faststart"}) as container:
        for index, frame in enumerate(frames):
            turned = round(frame.rotation / 90) % 4
            if stream is None:
                width, height = (frame.height, frame.width) if turned % 2 else (frame.width, frame.height)
                stream = container.add_stream("libx264", rate=rate, options={
                    "preset": "veryfast", "crf": "18", "x264-params": X264})
                stream.width, stream.height, stream.pix_fmt = max(2, width & ~1), max(2, height & ~1), "yuv420p"
                stream.codec_context.colorspace, stream.codec_context.color_range = frame.colorspace, 1
            if turned:
                picture = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turned))
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(width=stream.width, height=stream.height, format="yuv420p",
                                   dst_colorspace=stream.codec_context.colorspace, dst_color_range=1)
            frame.pict_type, frame.time_base = 0, 1 / rate  # the encoder chooses the kind of picture
            for _ in range(repeats[index] if index < len(repeats) else 0):
                frame.pts, shown = shown, shown + 1
                container.mux(stream.encode(frame))
            show(index + 1, len(repeats))
        container.mux(stream.encode(None))
