"""Read the frames of a video file by index: with decord in any order, or with PyAV forward from the start."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from losa.errors import VideoError
from losa.video.probe import DAMAGED, Signs, VideoInfo, check_file, frame_times, open_container, probe, video_stream

FEW_FRAMES = 16  # read at a time: with more, decord decodes ahead without bound
_LEFT_BY_FORK: list = []  # open files of the parent process: to close them in the child would never end

_readers, _left = {}, []
MAX_OPEN = 8  # video files a process holds open


class Reader:
    """Reads frames of one file by index. The file is opened at first use, in whichever process that happens.

    Safe to hand to the workers of a data loader: a copy (pickled or forked) opens the file again for itself.

    num_threads: of the decoder; 0 uses every core.
    backend: "decord" seeks, and returns wrong frames of some files. "av" is PyAV, which decodes forward from the start,
        and begins again to go back. "auto" is decord where `probe` finds no risk, else PyAV.
    alive: called now and then, while packets are read and frames decoded; may be set later. To open a file without
        times, or to read far ahead with PyAV, takes as long as to decode everything in between.

    Every failure is a VideoError; an index out of range is an IndexError.
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
        """The function that is called now and then, while packets are read and frames decoded."""
        return self._signs.alive

    @alive.setter
    def alive(self, call: Callable | None) -> None:
        self._signs.alive = call

    @property
    def backend(self) -> str:
        """What reads this file: "decord" or "av"."""
        if self._backend is None:
            self._open()
        return self._backend

    @property
    def num_frames(self) -> int:
        """The number of frames that `read` can return."""
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
        """Return the frames at `indices` (integers in any order, also repeated): RGB, upright, at the file's own size.
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
        except VideoError:  # on a busy machine decord sometimes gives up on a good file: try once more
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
        """Open the file with decord where that is safe, else with PyAV, and remember which."""
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
    """A file opened by decord, which seeks to key frames."""

    def __init__(self, path: Path, num_threads: int, signs: Signs):
        signs()  # decord itself gives none
        self.path, name = path, str(path.absolute())  # a relative "a:b.mp4" would be read as a protocol
        # fault_tol: raise an error once more than one frame was replaced by a copy of its neighbour
        self.video = self._call(_import_decord().VideoReader, name, num_threads=num_threads, fault_tol=1)
        if not len(self.video):
            raise VideoError(path, "holds no frame that can be decoded")

    def __len__(self):
        return len(self.video)

    def times(self) -> np.ndarray:
        times = self._call(self.video.get_frame_timestamp, range(len(self)))
        return np.asarray(times, dtype=np.float64)[:, 0]

    def size(self) -> tuple[int, int] | None:
        """Return width and height of the first frame, None where it cannot be decoded."""
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
    """A file decoded by PyAV from its first packet on: slow, but right where seeking is not."""

    def __init__(self, path: Path, num_threads: int, signs: Signs):
        self.path, self.num_threads, self._signs = path, num_threads, signs
        self._frames, self._next, self._size = iter(()), 0, None
        times = frame_times(path, signs)
        self._tolerance = np.inf if times is None else 1e-3
        self._times = self._decoded_times() if times is None else times

    def __len__(self):
        return len(self._times)

    def times(self) -> np.ndarray:
        return self._times

    def read(self, unique: np.ndarray) -> Tensor:
        """Return the frames at increasing indices."""
        out = None
        for place, index in enumerate(unique.tolist()):
            picture = self._picture(self._frame(index))
            if out is None:
                out = np.empty((len(unique), *picture.shape), np.uint8)
            out[place] = picture
        return torch.from_numpy(out)

    def pass_through(self) -> None:
        """Decode to the last frame, unless that was done already to learn the frames' times."""
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
                                            f"{self._times[self._next]:.3f} s; copy it with `losa data playable`")
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
    """Yield all frames in order. What comes before the first whole picture is skipped; later damage is a VideoError.

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
    """Decode every frame of a file, keep none, and return what `probe` says.

    Finds damage in the middle of a file, which `probe` does not see. Frames are decoded by the backend that `Reader`
    chooses and by PyAV, because decord's threads may lose an error on a busy machine.

    alive: called now and then. Raises VideoError where a frame cannot be decoded.
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
    """Import decord with a limit on its waiting set, which it reads only at its import, and return it.

    Without the limit it may wait without end. It counts turns of a busy wait: 64 refuses good files, 1024 refuses some
    on a busy machine.
    """
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "4096")
    import decord

    return decord


# --- the files that a process has open ------------------------------------------------------------------------------


def get_reader(path: str, threads: int = 1) -> Reader:
    """Return this process's reader of a file. Only a few stay open, since each holds decoded frames."""
    if (path, threads) not in _readers:
        _readers[path, threads] = Reader(path, num_threads=threads)
        if len(_readers) > MAX_OPEN:
            del _readers[next(iter(_readers))]
    return _readers[path, threads]


def close_readers() -> None:
    """Close every file that this process has open."""
    _readers.clear()


def _leave_readers() -> None:
    """In a forked child, set the parent's readers aside unclosed: their decoders' threads exist only in the parent."""
    _left.extend(_readers.values())
    _readers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_readers)
