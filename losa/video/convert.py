"""Re-encode a video so that every browser plays it and every frame can be read in any order."""

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

X264 = "keyint=32:min-keyint=32:scenecut=0:open-gop=0:bframes=0:log-level=none"  # every 32nd frame is a key frame


def normalise(path: str | Path, out: str | Path, *, progress: Callable[[int, int], object] | None = None) -> Path:
    """Write an mp4 with the same pictures at the same times, without sound, and return its path `out`.

    decord and browsers read it right: H.264, upright, a key frame every 32 frames, no frame needs a later one, index at
    the front. A variable frame rate becomes a constant one: the mean rate of the frames that are not held for long, at
    most 60 a second; frames are repeated or left out as `sample_indices` chooses. The file appears under its name once
    it is whole and `probe` finds no risk in it.

    progress: called with (frames done, frames in total) in place of a progress bar.
    Raises VideoError where the file cannot be decoded, or `out` is the file itself.
    """
    path, out = Path(path), Path(out)
    info, reader = probe(path), Reader(path, num_threads=0, backend="av")
    if out.exists() and out.samefile(path):
        raise VideoError(path, "cannot be written over while it is read; give another name for the new file")
    times = reader.timestamps
    if info.variable_rate:
        gaps = np.diff(times)
        usual_gap = float(gaps[gaps <= 2 * np.median(gaps)].mean())  # without frames that are held
        rate = Fraction(min(60.0, 1 / max(usual_gap, 1e-3))).limit_denominator(1001)
        repeats = np.bincount(sample_indices(times, float(rate)), minlength=len(times))
    else:
        rate, repeats = Fraction(info.fps).limit_denominator(1001), np.ones(len(times), np.int64)
    with replacing(out) as temporary:
        with tqdm(total=len(times), desc=f"re-encoding {path.name}", unit="frame", leave=False,
                  disable=progress is not None) as bar:
            show = progress or (lambda done, total: bar.update(done - bar.n))
            _encode(decode(path, 0), temporary, rate, repeats, show)
        written = probe(temporary)
        if written.risks or written.num_frames != repeats.sum():
            raise VideoError(path, f"cannot be normalised: {written.num_frames} of {repeats.sum()} frames, "
                                   f"{written.risks}")
    return out


def _encode(frames: Iterator[av.VideoFrame], out: Path, rate: Fraction, repeats: np.ndarray, show: Callable) -> None:
    """Write the frames upright, frame i `repeats[i]` times, and call show(frames done, frames in total) after each."""
    stream, num_written = None, 0
    with av.open(str(out), "w", options={"movflags": "faststart"}) as container:
        for index, frame in enumerate(frames):
            quarter_turns = round(frame.rotation / 90) % 4
            if stream is None:
                width, height = (frame.height, frame.width) if quarter_turns % 2 else (frame.width, frame.height)
                stream = container.add_stream("libx264", rate=rate, options={
                    "preset": "veryfast", "crf": "18", "x264-params": X264})
                stream.width, stream.height, stream.pix_fmt = max(2, width & ~1), max(2, height & ~1), "yuv420p"
                stream.codec_context.colorspace, stream.codec_context.color_range = frame.colorspace, 1
            if quarter_turns:
                picture = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns))
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(width=stream.width, height=stream.height, format="yuv420p",
                                   dst_colorspace=stream.codec_context.colorspace, dst_color_range=1)
            frame.pict_type, frame.time_base = 0, 1 / rate  # the encoder chooses the kind of picture
            for _ in range(repeats[index] if index < len(repeats) else 0):
                frame.pts, num_written = num_written, num_written + 1
                container.mux(stream.encode(frame))
            show(index + 1, len(repeats))
        container.mux(stream.encode(None))
