"""One video file: probe it without decoding (PyAV), read its frames (decord), choose frames by time."""

import os
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

_NOT_VIDEO = ("image2", "tty")  # what ffmpeg's prober calls pictures and text art; pictures also end in _pipe
_LEFT_BY_FORK: list = []  # decord handles of a parent process: closing them in the child would wait for ever


class VideoError(ValueError):
    """Says which file cannot be used and why: `path`, `why`."""

    def __init__(self, path, why: str):
        super().__init__(str(path), why)  # both are args, so that it leaves a DataLoader worker whole
        self.path, self.why = Path(path), why

    def __str__(self):
        return f"{self.path}: {self.why}"


@dataclass(frozen=True)
class VideoInfo:
    """What the container says: pixels, mean fps, frames, and seconds from the first frame to the end."""

    path: Path
    width: int
    height: int
    fps: float
    num_frames: int
    duration: float


def probe(path: str | Path) -> VideoInfo:
    """Returns what the file holds, from its packets alone (nothing is decoded: milliseconds per file).

    Raises VideoError where the file is missing, empty, truncated, or has no moving pictures.
    """
    path = _check_file(Path(path))
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = _video_stream(container, path)
            packets, last_end = _demux(container, stream)
            _check_complete(path, container, stream, packets, last_end)
            pts, lengths = packets
            fps = float(stream.average_rate or 0)
            width, height = stream.codec_context.width, stream.codec_context.height
    except (av.FFmpegError, OSError) as error:
        raise VideoError(path, f"cannot be opened as a video, it is damaged or no video ({error.strerror})") from error
    if width < 1 or height < 1:
        raise VideoError(path, "its video stream has no picture size: the file is damaged or cut short")
    last = int(pts.argmax())
    duration = float(pts[last] - pts.min() + (lengths[last] or (1 / fps if fps else 0.0)))
    return VideoInfo(path, width, height, fps or len(pts) / max(duration, 1e-6), len(pts), duration)


def _check_file(path: Path) -> Path:
    if path.is_dir():
        raise VideoError(path, "is a folder, expected a video file")
    if not path.is_file():
        raise VideoError(path, "there is no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "is empty (0 bytes): copy or download it again")
    return path


def _video_stream(container, path: Path):
    if container.format.name.endswith("_pipe") or container.format.name in _NOT_VIDEO:
        raise VideoError(path, f"is not a video but {container.format.long_name!r}")
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        kind = container.format.long_name
        raise VideoError(path, f"has no moving pictures, only {kinds} (read as {kind!r})")
    return streams[0]


def _demux(container, stream):
    """Returns (pts, duration) of every packet of `stream` in float64 seconds, and the latest end of any stream."""
    ends, rows = [0.0], []
    for packet in container.demux():
        when = packet.pts if packet.pts is not None else packet.dts
        if packet.size == 0 or when is None:
            continue
        start, length = float(when * packet.time_base), float((packet.duration or 0) * packet.time_base)
        ends.append(start + length)
        if packet.stream_index == stream.index:
            rows.append((start, length))
    return np.array(rows, dtype=np.float64).reshape(-1, 2).T, max(ends)


def _check_complete(path: Path, container, stream, packets, last_end: float) -> None:
    """Raises VideoError where the file holds less than its header promises."""
    pts, _ = packets
    if not len(pts):
        raise VideoError(path, "holds no frame: the file is damaged or cut short")
    # An avi header counts time steps, of which some may carry no packet; every other header counts packets.
    steps = round(pts.max() / float(stream.time_base)) + 1 if container.format.name == "avi" else len(pts)
    if steps < stream.frames:
        raise VideoError(path, f"is truncated: its header says {stream.frames} frames, {steps} are there")
    if container.duration:
        end = ((container.start_time or 0) + container.duration) / av.time_base
        if last_end < end - max(1.0, 0.02 * end):
            raise VideoError(path, f"is truncated: its header says {end:.2f} s, {last_end:.2f} s are there")


class Reader:
    """Reads frames of one file by index; opens it at first use, in whichever process that happens.

    Safe to hand to DataLoader workers: a copy (pickled or forked) opens the file again for itself.
    Every failure is a VideoError, indices out of range an IndexError.
    """

    def __init__(self, path: str | Path, num_threads: int = 1):
        if num_threads < 0:
            raise ValueError(f"num_threads={num_threads}: expected 1 or more, or 0 for every core")
        self.path, self.num_threads = Path(path), num_threads
        self._handle = self._pid = self._timestamps = None

    def __getstate__(self):
        return self.__dict__ | {"_handle": None, "_pid": None}

    def __repr__(self):
        return f"Reader({str(self.path)!r}, num_threads={self.num_threads})"

    @property
    def num_frames(self) -> int:
        """As the file declares them."""
        return len(self._open())

    @property
    def fps(self) -> float:
        """Mean frames per second; use `timestamps` for when a frame is shown."""
        return self._call(self._open().get_avg_fps)

    @property
    def timestamps(self) -> np.ndarray:
        """Float64 (num_frames,): when each frame begins, in seconds after the first frame."""
        if self._timestamps is None:
            times = self._call(self._open().get_frame_timestamp, range(self.num_frames))
            starts = np.asarray(times, dtype=np.float64)[:, 0]
            self._timestamps = starts - starts[0]
            self._timestamps.flags.writeable = False
        return self._timestamps

    def read(self, indices) -> UInt8[Tensor, "F H W 3"]:
        """Returns the frames at `indices` (integers, any order, repeats too) in RGB at the file's own size."""
        wanted = np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise TypeError(f"expected a flat list of frame indices, got {wanted.dtype} {wanted.shape}")
        handle = self._open()
        bad = wanted[(wanted < 0) | (wanted >= len(handle))]
        if bad.size:
            raise IndexError(f"{self.path}: no frame {bad[0]}, there are frames 0 to {len(handle) - 1}")
        unique, place = np.unique(wanted.astype(np.int64), return_inverse=True)
        if not unique.size:
            height, width = self._call(lambda: handle[0].shape[:2])
            return torch.empty(0, height, width, 3, dtype=torch.uint8)
        try:
            frames = self._batch(unique)
        except VideoError:  # on a busy machine decord now and then gives up on a good file
            self._handle = None
            frames = self._batch(unique)
        return frames if np.array_equal(unique, wanted) else frames[torch.from_numpy(place)]

    def _batch(self, unique: np.ndarray) -> Tensor:
        handle = self._open()
        return torch.from_numpy(self._call(lambda: handle.get_batch(unique).asnumpy()))

    def _open(self):
        if self._handle is not None and self._pid != os.getpid():
            _LEFT_BY_FORK.append(self._handle)
            self._handle = None
        if self._handle is None:
            _check_file(self.path)
            decord = _import_decord()
            # fault_tol: an error once more than one frame was replaced by a copy of its neighbour, not silence
            settings = {"num_threads": self.num_threads, "fault_tol": 1}
            self._handle = self._call(decord.VideoReader, str(self.path), **settings)
            self._pid = os.getpid()
            if not len(self._handle):
                raise VideoError(self.path, "holds no frame that can be decoded")
        return self._handle

    def _call(self, function, *args, **settings):
        decord = _import_decord()
        try:
            return function(*args, **settings)
        except (RuntimeError, decord.DECORDError, decord.DECORDLimitReachedError) as error:
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            why = first.rpartition(f"[{self.path}]")[2].strip()
            raise VideoError(self.path, f"cannot be decoded, it is damaged or no video ({why})") from error


def _import_decord():
    """Returns decord, imported late: only at its import does it read the limit that ends an endless wait.

    The limit counts turns of a busy wait. 64 refuses good files, 1024 refuses some on a busy machine.
    """
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "4096")
    import decord

    return decord


def sample_indices(timestamps, sampled_fps: float, start: float = 0.0, end: float | None = None) -> np.ndarray:
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
