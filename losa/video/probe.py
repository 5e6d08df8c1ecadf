"""Find out what a video file holds, and whether decord reads the right frames of it, from its packets.

decord seeks to key frames and counts from there. In some files that count is wrong, and it returns other frames than
those asked for, without an error. `probe` names the risks of such files. It decodes only one picture.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float64

from losa.errors import VideoError

DECORD_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv")  # of these decord reads the right frames
DECORD_CODECS = ("h264", "hevc", "vp9", "mjpeg", "mpeg4", "mpeg2video", "mpeg1video", "msmpeg4v3", "ffv1", "prores")
LONGEST = 1000 * 3600.0  # seconds; a file that claims to be longer has damaged time stamps
_NOT_VIDEO = ("image2", "tty")  # ffmpeg's names of pictures and text art; other pictures' names end in _pipe
_ELSEWHERE = {"hls", "dash", "concat", "imf", "sdp", "rtsp", "rtp", "webm_dash_manifest", "lavfi"}  # name other files
_FORMATS = ",".join(sorted(av.formats_available - _ELSEWHERE))
DAMAGED = (av.FFmpegError, OSError, ArithmeticError, LookupError, MemoryError, ValueError)  # PyAV raises on bad bytes


class Signs:
    """Calls `alive` at most once a second, as a sign that work goes on: `losa.video.workers` kills silent work."""

    EVERY_S = 1.0

    def __init__(self, alive: Callable | None = None):
        self.alive, self._last = alive, 0.0

    def __call__(self) -> None:
        if self.alive is not None and time.monotonic() - self._last >= self.EVERY_S:
            self.alive()
            self._last = time.monotonic()


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    width, height: in pixels as shown (upright). fps: mean frames per second. duration: seconds from the first frame to
        the end of the last.
    variable_rate: frames do not follow each other evenly; read them by their time, never by index / fps.
    risks: why decord may return wrong frames of this file without an error; () where it does not.
    starts_at: when the first frame is shown, in seconds of the container, above 0 where the sound begins first. All
        times in losa count from the first frame; those that a player shows are this much later.
    """

    path: Path
    width: int
    height: int
    fps: float
    num_frames: int
    duration: float
    codec: str = ""
    variable_rate: bool = False
    risks: tuple[str, ...] = ()
    starts_at: float = 0.0


@dataclass
class _Packets:
    """The packets of one video stream in the order they are stored, and what the container says about them."""

    container: str
    codec: str
    declared: int  # number of frames by the header; 0 where it names none
    rate: float  # fps by the header; 0 where it names none
    tick: float  # seconds of one time unit
    width: int
    height: int
    pts: Float64[np.ndarray, " P"]  # seconds; NaN where a packet has none
    dts: Float64[np.ndarray, " P"]
    length: Float64[np.ndarray, " P"]
    key: np.ndarray  # bool, as the next two
    fresh: np.ndarray  # False for a key packet whose pictures need earlier ones
    hidden: np.ndarray  # decoded but not shown, because of an edit list
    num_empty: int  # packets without data
    num_tracks: int  # streams of moving pictures; this one is the first
    zero: float  # seconds at which the container's time begins
    stated_end: float  # seconds by the container's header; 0 where it names none
    last_end: float  # seconds at which the last packet of any stream ends


def probe(path: str | Path, alive: Callable | None = None) -> VideoInfo:
    """Return what the file holds. The answer is kept until the file changes.

    Every byte of the file is read and one picture decoded, which takes milliseconds for a short file and as long as the
    disk takes for a large one.

    alive: called now and then, while packets are read.
    Raises VideoError where the file is missing, empty, truncated, or has no moving pictures.
    """
    path = check_file(Path(path))
    stat = path.stat()
    answer = _kept_answer(path, stat.st_size, stat.st_mtime_ns)
    if not answer:
        answer.append(_probe(path, stat.st_size, Signs(alive)))
    return answer[0]


@lru_cache(maxsize=20_000)
def _kept_answer(path: Path, size: int, changed: int) -> list[VideoInfo]:
    """Return the list that keeps the answer for a file in this state; empty at first."""
    return []


def _probe(path: Path, size: int, signs: Signs) -> VideoInfo:
    packets = _read_packets(path, size, signs)
    shown = ~packets.hidden
    if not shown.any():
        raise VideoError(path, "shows none of its frames: its edit list leaves nothing")
    cut = _check_complete(path, size, packets, signs)
    times = _shown_times(packets)
    gaps = np.diff(times)
    span = float(times[-1] - times[0])
    fps = (len(times) - 1) / span if span > 0 else packets.rate
    if packets.rate and abs(packets.rate - fps) < 0.01 * fps:  # a header that agrees is exact, time stamps are rounded
        fps = packets.rate
    last = packets.length[shown][np.argmax(np.nan_to_num(packets.pts[shown], nan=-np.inf))]
    duration = span + (float(last) or (1 / fps if fps else 0.0))
    if not 0 <= span <= duration <= LONGEST or not 0 < fps < 1e5:
        raise VideoError(path, f"its time stamps are damaged: {len(times)} frames in {duration:.3g} s, {fps:.3g} a "
                               f"second; copy it again or re-encode it")
    step = float(np.median(gaps)) if len(gaps) else 0.0
    uneven = bool(len(gaps)) and bool(np.abs(gaps - step).max() > max(2.01 * packets.tick, 0.1 * step))
    timed = packets.container != "avi" and not np.isnan(packets.pts[shown]).any()
    starts_at = max(0.0, float(times[0]) - packets.zero) if timed else 0.0
    return VideoInfo(path, packets.width, packets.height, fps, len(times), duration, packets.codec, uneven,
                     _risks(packets, cut), starts_at)


def frame_times(path: str | Path, alive: Callable | None = None) -> Float64[np.ndarray, " F"] | None:
    """Return when each frame is shown, in seconds of the container; None where only decoding can tell which are shown.
    """
    path = check_file(Path(path))
    packets = _read_packets(path, path.stat().st_size, Signs(alive))
    shown = packets.pts[~packets.hidden]
    reliable = packets.container in DECORD_CONTAINERS and packets.container != "avi" and packets.key[0]
    whole = reliable and not np.isnan(packets.pts).any() and 0 < len(shown) == len(np.unique(shown))
    leading = _leading(packets)
    first = np.flatnonzero(packets.key)[1:2].tolist() or [len(leading)]
    return np.sort(shown) if whole and not leading[: first[0]].any() else None


def check_file(path: Path) -> Path:
    """Return the path. Raises VideoError where it is missing, empty, a folder, or cannot be read."""
    try:
        if path.is_dir():
            raise VideoError(path, "is a folder, expected a video file")
        if not path.is_file():
            raise VideoError(path, "there is no such file")
        if path.stat().st_size == 0:
            raise VideoError(path, "is empty (0 bytes): copy or download it again")
    except OSError as error:
        raise VideoError(path, f"cannot be read ({error.strerror})") from error
    return path


# --- packets --------------------------------------------------------------------------------------------------------


def open_container(path: Path, **options: str):
    """Return PyAV's container of a local file. A playlist that looks like a video cannot make it wait for a network."""
    safe = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    return av.open(str(path.absolute()), metadata_errors="replace", options={**safe, **options})


def video_stream(container, path: Path):
    """Return the first stream of moving pictures. Raises VideoError where there is none."""
    if container.format.name.endswith("_pipe") or container.format.name in _NOT_VIDEO:
        raise VideoError(path, f"is not a video but {container.format.long_name!r}")
    streams = _moving(container)
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoError(path, f"has no moving pictures, only {kinds} (read as {container.format.long_name!r})")
    if streams[0].codec_context is None:
        raise VideoError(path, "its pictures are stored in a way that cannot be decoded here; re-encode it as H.264")
    return streams[0]


def _moving(container) -> list:
    """Return the streams of moving pictures, without a song's cover."""
    return [stream for stream in container.streams.video if not stream.disposition & av.stream.Disposition.attached_pic]


def upright(width: int, height: int, rotation: int) -> tuple[int, int]:
    """Return width and height of a picture turned by `rotation` degrees."""
    return (height, width) if rotation % 180 == 90 else (width, height)


def _read_packets(path: Path, size: int, signs: Signs, **options: str) -> _Packets:
    try:
        with open_container(path, **options) as container:
            return _demux(container, video_stream(container, path), path, size, signs)
    except VideoError:
        raise
    except DAMAGED as error:
        why = getattr(error, "strerror", None) or str(error)
        raise VideoError(path, f"cannot be opened as a video, it is damaged or no video ({why})") from error


def _demux(container, stream, path: Path, size: int, signs: Signs) -> _Packets:
    rows, ends, data, count, num_empty, first = [], {}, 0, 0, 0, None
    starts_fresh = _fresh_start(stream.codec_context)
    for packet in container.demux():
        signs()
        count, data = count + 1, data + packet.size
        if count > size + 1000 or data > 4 * size + 10**6:
            raise VideoError(path, "is damaged: its index names the same data again and again")
        if not packet.size:
            num_empty += packet.stream_index == stream.index and packet.dts is not None
            continue
        pts, dts, length, index = packet.pts, packet.dts, packet.duration or 0, packet.stream_index
        when = dts if pts is None else pts
        if when is not None and when + length > ends.get(index, 0):
            ends[index] = when + length
        if index == stream.index:
            key = packet.is_keyframe
            rows.append((np.nan if pts is None else pts, np.nan if dts is None else dts, length, key,
                         not key or starts_fresh(packet), packet.is_discard))
            if first is None and len(rows) < 30:
                first = _decode_one(packet)
    if not rows:
        raise VideoError(path, "holds no frame: the file is damaged or cut short")
    table, tick = np.array(rows, dtype=np.float64).T, float(stream.time_base)
    width, height = (stream.codec_context.width, stream.codec_context.height) if first is None else upright(*first)
    if width < 1 or height < 1:
        raise VideoError(path, "its video stream has no picture size: the file is damaged or cut short")
    counts_from_0 = container.format.name.startswith(("mov", "matroska"))  # broadcasts begin at any time
    zero = 0.0 if counts_from_0 else (container.start_time or 0) / av.time_base
    stated_end = ((container.start_time or 0) + container.duration) / av.time_base if container.duration else 0.0
    last_end = max((float(end * container.streams[index].time_base) for index, end in ends.items()), default=0.0)
    codec = stream.codec_context.codec.canonical_name
    return _Packets(container.format.name, codec, stream.frames, float(stream.average_rate or 0), tick, width, height,
                    *(table[:3] * tick), *(table[3:] > 0), num_empty, len(_moving(container)), zero,
                    stated_end, last_end)


def _decode_one(packet) -> tuple[int, int, int] | None:
    """Return width, height and rotation of the first picture in the packet, None where none can be decoded."""
    try:
        return next(((frame.width, frame.height, frame.rotation) for frame in packet.decode()), None)
    except DAMAGED:
        return None


def _fresh_start(codec) -> Callable:
    """Return a function that tells whether a key packet needs no earlier picture (H.264: IDR, HEVC: types 16 to 23)."""
    extra = codec.extradata or b""
    if codec.codec.canonical_name == "h264":
        length, kinds = (extra[4] & 3) + 1 if len(extra) > 4 and extra[0] == 1 else 0, _h264_kinds
    elif codec.codec.canonical_name == "hevc":
        length, kinds = (extra[21] & 3) + 1 if len(extra) > 21 and extra[0] == 1 else 0, _hevc_kinds
    else:
        return lambda packet: True
    return lambda packet: kinds(_unit_heads(bytes(packet), length))


def _h264_kinds(heads: Iterable[int]) -> bool:
    return next((head & 31 for head in heads if 1 <= head & 31 <= 5), 5) == 5


def _hevc_kinds(heads: Iterable[int]) -> bool:
    return 16 <= next((head >> 1 & 63 for head in heads if head >> 1 & 63 < 32), 16) <= 23


def _unit_heads(data: bytes, length: int) -> Iterable[int]:
    """Yield the first byte of every unit of a packet.

    length: bytes of the size that stands before each unit; 0 where start codes separate them.
    """
    if not length:
        yield from (data[match.end()] for match in re.finditer(b"\0\0\1", data) if match.end() < len(data))
        return
    at = 0
    while at + length < len(data):
        yield data[at + length]
        at += length + int.from_bytes(data[at : at + length], "big")


# --- checks ---------------------------------------------------------------------------------------------------------


def _check_complete(path: Path, size: int, packets: _Packets, signs: Signs) -> bool:
    """Return whether an edit list shows only a part. Raises VideoError where the file is shorter than its header."""
    steps = len(packets.pts) + packets.num_empty
    if packets.container == "avi":  # its header counts time steps, of which some may carry no packet
        steps = round(np.nanmax(packets.dts, initial=0) / packets.tick) + 1
    if steps < packets.declared:
        if packets.container.startswith("mov"):
            whole = _read_packets(path, size, signs, ignore_editlist="1")
            if len(whole.pts) + whole.num_empty >= packets.declared:
                return True
        raise VideoError(path, f"is truncated: its header says {packets.declared} frames, {steps} are there")
    if packets.last_end < packets.stated_end - max(1.0, 0.02 * packets.stated_end):
        raise VideoError(path, f"is truncated: its header says {packets.stated_end:.2f} s, {packets.last_end:.2f} s "
                               f"are there")
    return False


def _shown_times(packets: _Packets) -> Float64[np.ndarray, " F"]:
    """Return the sorted seconds of the shown frames; without time stamps they follow the header's rate."""
    times = packets.pts[~packets.hidden]
    if np.isnan(times).any():
        times = packets.dts[~packets.hidden]
    if np.isnan(times).any():
        times = np.arange(len(times)) / (packets.rate or 25.0)
    return np.sort(times)


def _leading(packets: _Packets) -> np.ndarray:
    """Return which packets are stored after a key packet but shown before it, so that they need earlier pictures."""
    last_key = np.maximum.accumulate(np.where(packets.key, np.arange(len(packets.key)), -1))
    return (last_key >= 0) & ~packets.key & (packets.pts < packets.pts[np.maximum(last_key, 0)])


def _risks(packets: _Packets, cut: bool) -> tuple[str, ...]:
    """Return why decord may return wrong frames. cut: an edit list shows only a part."""
    pts = packets.pts
    listed = packets.declared if packets.container.startswith("mov") else 0
    risks = {
        "MPEG-TS": packets.container == "mpegts",
        f"container {packets.container}": packets.container not in (*DECORD_CONTAINERS, "mpegts"),
        f"codec {packets.codec}": packets.codec not in DECORD_CODECS,
        "first packet is no key frame": not packets.key[0],
        "pts missing or twice": bool(np.isnan(pts).any()) or len(np.unique(pts)) < len(pts),
        "open GOP": bool(_leading(packets).any()),
        "key frames that need earlier frames": not packets.fresh.all(),
        "edit list": cut or bool(packets.hidden.any()) or 0 < listed != len(pts) + packets.num_empty,
        "several video tracks": packets.num_tracks > 1,  # decord takes the one that ffmpeg likes best
        "packets without data": packets.num_empty > 0 and packets.container != "avi",
        "times below 0": bool((pts < 0).any() and not packets.hidden.any()),
        "reordered frames in AVI": packets.container == "avi" and bool((pts != packets.dts).any()),
    }
    return tuple(name for name, is_there in risks.items() if is_there)
