"""One video file: read its frames by index (decord, or PyAV from the start), choose them by time, re-encode it."""

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from tqdm.auto import tqdm

from losa.errors import VideoError
from losa.probe import DAMAGED, Signs, VideoInfo, check_file, frame_times, open_container, probe, video_stream
from losa.probe_many import probe_many

__all__ = ["Reader", "VideoError", "VideoInfo", "normalise", "probe", "probe_many", "read_through", "sample_indices"]

FEW_FRAMES = 16  # that decord is asked for at a time: with more it decodes ahead without bound
_LEFT_BY_FORK: list = []  # open files of a parent process: closing them in the child would wait for ever
X264 = "keyint=32:min-keyint=32:scenecut=0:open-gop=0:bframes=0:log-level=none"  # any frame is 31 or less from a key


class Reader:
    """Reads frames of one file by index; opens it at first use, in whichever process that happens.

    Safe to hand to DataLoader workers: a copy (pickled or forked) opens the file again for itself.
    Every failure is a VideoError, indices out of range an IndexError.

    backend: "decord" seeks, and returns wrong frames of some files; "av" decodes from the start, forward as far as
    it is asked for, and again from the start to go back; "auto" is decord where `probe` finds no risk, else PyAV.
    alive: called now and then, while packets are read and frames decoded; may be set later. Opening a file without
    times, and reading far ahead with PyAV, takes as long as decoding all that lies between.
    """

    def __init__(self, path: str | Path, num_threads: int = 1, backend: str = "auto", alive: Callable | None = None):
        if num_threads < 0:
            raise ValueError(f"num_threads={num_threads}: expected 1 or more, or 0 for every core")
        if backend not in ("auto", "decord", "av"):
            raise ValueError(f"backend={backend!r}: expected 'auto', 'decord' or 'av'")
        self.path, self.num_threads = Path(path), num_threads
        self._asked, self._backend = backend, None if backend == "auto" else backend
        self._handle = self._pid = self._timestamps = None
        self._signs = Signs(alive)  # shared with the open file

    def __getstate__(self):
        return self.__dict__ | {"_handle": None, "_pid": None, "_signs": Signs()}

    def __repr__(self):
        return f"Reader({str(self.path)!r}, num_threads={self.num_threads}, backend={self._asked!r})"

    @property
    def alive(self) -> Callable | None:
        """What is called now and then, while packets are read and frames decoded."""
        return self._signs.alive

    @alive.setter
    def alive(self, call: Callable | None) -> None:
        self._signs.alive = call

    @property
    def backend(self) -> str:
        """Which one reads this file: "decord" or "av"."""
        if self._backend is None:
            self._open()
        return self._backend

    @property
    def num_frames(self) -> int:
        """As many as `read` can return."""
        return len(self._open())

    @property
    def fps(self) -> float:
        """Mean frames per second; use `timestamps` for when a frame is shown."""
        return probe(self.path).fps

    @property
    def timestamps(self) -> np.ndarray:
        """Float64 (num_frames,): when each frame begins, in seconds after the first frame."""
        if self._timestamps is None:
            starts = np.sort(self._open().times())  # some containers mix up the times of frames they reorder
            self._timestamps = starts - starts[0]
            self._timestamps.flags.writeable = False
        return self._timestamps

    def read(self, indices) -> UInt8[Tensor, "F H W 3"]:
        """Returns the frames at `indices` (integers, any order, repeats too) in RGB, upright, at the file's own size.
        """
        wanted = np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise TypeError(f"expected a flat list of frame indices, got {wanted.dtype} {wanted.shape}")
        handle = self._open()
        bad = wanted[(wanted < 0) | (wanted >= len(handle))]
        if bad.size:
            raise IndexError(f"{self.path}: no frame {bad[0]}, there are frames 0 to {len(handle) - 1}")
        unique, place = np.unique(wanted.astype(np.int64), return_inverse=True)
        if not unique.size:
            return handle.read(np.zeros(1, np.int64))[:0]
        try:
            frames = handle.read(unique)
        except VideoError:  # on a busy machine decord now and then gives up on a good file
            self._handle = None
            if self._backend == "av":
                raise
            frames = self._open().read(unique)
        return frames if np.array_equal(unique, wanted) else frames[torch.from_numpy(place)]

    def _open(self):
        if self._handle is not None and self._pid != os.getpid():
            _LEFT_BY_FORK.append(self._handle)
            self._handle = None
        if self._handle is None:
            check_file(self.path)
            if self._backend is None:
                self._handle = self._choose()
            else:
                kind = _Decord if self._backend == "decord" else _Sequential
                self._handle = kind(self.path, self.num_threads, self._signs)
            self._pid = os.getpid()
        return self._handle

    def _choose(self):
        """Opens the file with decord where that is safe, else with PyAV, and remembers which."""
        info = probe(self.path, self._signs)
        if not info.risks:
            try:
                handle = _Decord(self.path, self.num_threads, self._signs)
            except VideoError:  # an old decoder may lack what a new file needs
                handle = ()
            if len(handle) == info.num_frames and handle.size() == (info.width, info.height):
                self._backend = "decord"
                return handle
        handle, self._backend = _Sequential(self.path, self.num_threads, self._signs), "av"
        return handle


class _Decord:
    """A file opened by decord: random access by key frames."""

    def __init__(self, path: Path, num_threads: int, signs: Signs):
        signs()  # it gives none itself
        self.path, name = path, str(path.absolute())  # a relative "a:b.mp4" would be read as a protocol
        # fault_tol: an error once more than one frame was replaced by a copy of its neighbour, not silence
        self.video = self._call(_import_decord().VideoReader, name, num_threads=num_threads, fault_tol=1)
        if not len(self.video):
            raise VideoError(path, "holds no frame that can be decoded")

    def __len__(self):
        return len(self.video)

    def times(self) -> np.ndarray:
        times = self._call(self.video.get_frame_timestamp, range(len(self)))
        return np.asarray(times, dtype=np.float64)[:, 0]

    def size(self) -> tuple[int, int] | None:
        """Width and height of the first frame, None where it cannot be decoded."""
        try:
            height, width, _ = self.read(np.zeros(1, np.int64))[0].shape
        except VideoError:
            return None
        return width, height

    def read(self, unique: np.ndarray) -> Tensor:
        return torch.from_numpy(self._call(lambda: self.video.get_batch(unique).asnumpy()))

    def _call(self, function: Callable, *args, **settings):
        decord = _import_decord()
        try:
            return function(*args, **settings)
        except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            why = first.rpartition(f"[{self.path.absolute()}]")[2].strip()
            raise VideoError(self.path, f"cannot be decoded, it is damaged or no video ({why})") from error


class _Sequential:
    """A file decoded by PyAV from its first packet on: slow, and right where seeking is not."""

    def __init__(self, path: Path, num_threads: int, signs: Signs):
        self.path, self.num_threads, self._signs = path, num_threads, signs
        self._frames, self._next, self._size = iter(()), 0, None
        known = frame_times(path, signs)
        self._tolerance = np.inf if known is None else 1e-3
        self._times = self._decoded_times() if known is None else known

    def __len__(self):
        return len(self._times)

    def times(self) -> np.ndarray:
        return self._times

    def read(self, unique: np.ndarray) -> Tensor:
        """Frames at increasing indices."""
        out = None
        for place, index in enumerate(unique.tolist()):
            picture = self._picture(self._frame(index))
            if out is None:
                out = np.empty((len(unique), *picture.shape), np.uint8)
            out[place] = picture
        return torch.from_numpy(out)

    def pass_through(self) -> None:
        """Decodes to the last frame; a file whose times had to be decoded has been already."""
        if self._tolerance < np.inf:
            self._frame(len(self) - 1)

    def _frame(self, index: int):
        if index < self._next or not self._next:
            self._frames, self._next = decode(self.path, self.num_threads, self._signs), 0
        while self._next <= index:
            frame = next(self._frames, None)
            if frame is None:
                raise VideoError(self.path, f"is damaged: {len(self)} frames expected, {self._next} can be decoded")
            if self._tolerance < np.inf and abs((frame.time or 0.0) - self._times[self._next]) > self._tolerance:
                raise VideoError(self.path, f"frame {self._next} is shown at {frame.time} s, its packet says "
                                            f"{self._times[self._next]:.3f} s; re-encode it (losa.video.normalise)")
            if not self._next:
                self._size = frame.width, frame.height
            self._next += 1
        return frame

    def _picture(self, frame) -> np.ndarray:
        width, height = self._size
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.rot90(picture, round(frame.rotation / 90))

    def _decoded_times(self) -> np.ndarray:
        times = [frame.time for frame in decode(self.path, self.num_threads, self._signs)]
        if not times:
            raise VideoError(self.path, "holds no frame that can be decoded")
        if None in times:
            times = np.arange(len(times)) / probe(self.path).fps
        return np.asarray(times, dtype=np.float64)


def decode(path: Path, num_threads: int = 1, alive: Callable = lambda: None) -> Iterator[av.VideoFrame]:
    """All frames in order. What comes before the first whole picture is passed over; later damage is a VideoError.

    alive: called at every packet.
    """
    begun = False
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            stream.thread_type, stream.codec_context.thread_count = "AUTO", num_threads
            for packet in container.demux(stream):
                alive()
                try:
                    frames = packet.decode()
                except DAMAGED:
                    if begun:
                        raise
                    continue
                begun = begun or bool(frames)
                yield from frames
    except VideoError:
        raise
    except DAMAGED as error:
        why = getattr(error, "strerror", None) or str(error)
        raise VideoError(path, f"cannot be decoded, it is damaged or no video ({why})") from error


def read_through(path: str | Path, alive: Callable | None = None) -> VideoInfo:
    """What `probe` says, after every frame was decoded by the backend that `Reader` chooses and by PyAV, keeping none.

    PyAV because decord's threads may lose an error on a busy machine. alive: called now and then.
    Raises VideoError where a frame does not come out: a file damaged in its middle passes `probe`.
    """
    signs = Signs(alive)
    info, reader = probe(path, signs), Reader(path, alive=signs)
    if reader.backend != "av":
        for start in range(0, reader.num_frames, FEW_FRAMES):
            reader.read(range(start, min(start + FEW_FRAMES, reader.num_frames)))
            signs()
        reader = Reader(path, backend="av", alive=signs)
    reader._open().pass_through()
    return info


def _import_decord():
    """Returns decord, imported late: only at its import does it read the limit that ends an endless wait.

    The limit counts turns of a busy wait. 64 refuses good files, 1024 refuses some on a busy machine.
    """
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "4096")
    import decord

    return decord


# --- a file that every reader gets right ----------------------------------------------------------------------------


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
    temporary = out.with_name(f".{out.stem}.{os.getpid()}.tmp.mp4")
    try:
        with tqdm(total=len(times), desc=f"re-encoding {path.name}", unit="frame", leave=False,
                  disable=progress is not None) as bar:
            show = progress or (lambda done, total: bar.update(done - bar.n))
            _encode(decode(path, 0), temporary, rate, repeats, show)
        again = probe(temporary)
        if again.risks or again.num_frames != repeats.sum():
            raise VideoError(path, f"cannot be normalised: {again.num_frames} of {repeats.sum()} frames, {again.risks}")
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
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


def sample_indices(timestamps, sampled_fps: int | float, start: int | float = 0.0,
                   end: int | float | None = None) -> np.ndarray:
    """Returns int64 frame indices; sample k is the frame at `start` + k / `sampled_fps` seconds, up to `end`.

    The grid is uniform in time, so a variable frame rate needs no special care. The frame at a time is the
    nearest one, except that a frame held for long stays until its successor is due within half a usual frame.
    `end` (not included) defaults to the end of the last frame; a little more repeats the last frame.

    timestamps: (num_frames,) seconds from the first frame, increasing, as `Reader.timestamps`.
    """
    times = np.asarray(timestamps, dtype=np.float64)
    if times.ndim != 1 or not times.size or (np.diff(times) < 0).any():
        raise ValueError(f"timestamps: expected a flat, increasing list of seconds, got shape {times.shape}")
    if not (np.isfinite(sampled_fps) and sampled_fps > 0):
        raise ValueError(f"sampled_fps={sampled_fps}: expected frames per second above 0")
    gaps = np.diff(times) if times.size > 1 else np.array([1 / sampled_fps])
    step = float(np.median(gaps))
    last = float(times[-1]) + step
    end = last if end is None else end
    if not 0 <= start < min(end, last) or end > last + max(1.0, 0.02 * last, float(gaps.max())):
        raise ValueError(f"start={start}, end={end}: expected 0 <= start < end within the {last:.3f} s of video")
    num = max(1, int(np.ceil((end - start) * sampled_fps - 1e-6)))
    wanted = start + np.arange(num) / sampled_fps
    return np.maximum(np.searchsorted(times, wanted + 0.499 * step, side="right") - 1, 0)
