"""Taps of many videos onto disk: decoding in processes that may hang or die, the backbone here, one file a video.

A worker process decodes one video after the other and sends its frames in pieces; this process runs the backbone
over a piece while the workers decode the next ones. A video that fails, kills its worker, or keeps it silent for
too long is listed with the reason, and the rest goes on. What is finished stays: the same call continues there.
"""

import multiprocessing
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from losa.annotations.dataset import Video
from losa.cache_files import RowFile, filling, remove_left
from losa.errors import CacheError, VideoError
from losa.video.probe import probe

PIECE_FRAMES = 256  # decoded and computed at a time, so that memory does not grow with the video
NUM_PROBED = 16  # files opened at most to guess how large the cache becomes


@dataclass(frozen=True)
class Extraction:
    """What `extract` did: ids of the videos it computed, {id: why} of those it could not, and where the time went."""

    done: tuple[str, ...]
    failed: dict[str, str]
    num_frames: int
    num_bytes: int
    seconds: float
    waiting: float  # share of the seconds in which nothing could be computed because frames were not decoded yet
    computing: float  # share of the seconds in the backbone, and writing

    def __str__(self) -> str:
        rate = self.num_frames / max(self.seconds, 1e-9)
        return (f"{len(self.done)} videos, {self.num_frames:,} frames in {self.seconds:.1f} s ({rate:,.0f} frames/s), "
                f"{self.num_bytes / 2**20:,.1f} MiB; {self.computing:.0%} of the time in the backbone, "
                f"{self.waiting:.0%} waiting for decoded frames; {len(self.failed)} videos failed")


# --- the call -------------------------------------------------------------------------------------------------------


def extract(cache, live, videos: Sequence[Video], *, copy: int = 0, num_workers: int = 0, limit_s: int | float = 120,
            quiet: bool = False) -> Extraction:
    """Computes what the `cache` (CachedTaps) lacks of these videos with `live` (LiveTaps); says what failed.

    How large the files become is printed before the first byte is written. One file under several names is computed
    once; where that fails, each is listed. Of several processes one computes, the others wait and take what it did.
    copy: which copy of the videos, see `losa.copies`.
    num_workers: decoding processes; 0 decodes in this one, where a decode that hangs cannot be ended.
    limit_s: a worker that gives no sign for so long is ended and its video listed as failed.
    Raises CacheError before anything is done if the disk is too small.
    """
    began = time.monotonic()
    remove_left(cache.folder)
    wanted, failed = missing_videos(cache, videos, quiet, copy)
    nothing = Extraction((), failed, 0, 0, 0.0, 0.0, 0.0)
    if not wanted:
        return nothing
    frames = dict(zip(wanted, announce_size(cache, live, [same[0] for same in wanted.values()], quiet), strict=True))
    cache.folder.mkdir(parents=True, exist_ok=True)

    def left() -> dict[Path, list[Video]]:
        return {path: same for path, same in wanted.items() if not path.with_suffix(".json").is_file()}

    with filling(cache.folder, cache.stored.text, lambda: bool(left()), quiet) as mine:
        wanted = left() if mine else {}
        if not wanted:
            return nothing
        job = _Job(cache, live, [same[0] for same in wanted.values()], failed, copy)
        job.work(sum(frames[path] for path in wanted), num_workers, limit_s, quiet)
    for first, *others in wanted.values():
        failed |= {video.id: failed[first.id] for video in others if first.id in failed}
    seconds = time.monotonic() - began
    return Extraction(tuple(job.done), failed, job.num_frames, job.num_bytes, seconds, job.waited / seconds,
                      job.worked / seconds)


def missing_videos(cache, videos: Sequence[Video], quiet: bool,
                   copy: int = 0) -> tuple[dict[Path, list[Video]], dict[str, str]]:
    """Videos whose taps are not there yet, by the file they go to, and {id: why} of those that cannot be read."""
    missing, failed = {}, {}
    for video in tqdm(videos, desc="looking for cached taps", unit="video", delay=2, leave=False, disable=quiet):
        try:
            if not cache.has(video, copy):
                missing.setdefault(cache.path(video, copy), []).append(video)
        except (OSError, ValueError) as error:
            failed[video.id] = _reason(error)
    return missing, failed


def announce_size(cache, live, videos: Sequence[Video], quiet: bool) -> list[int]:
    """Sampled frames to come of each video. Prints the size of their taps; CacheError if the disk has no room."""
    frames, guessed = expected_frames(live.recipe, videos)
    snippets = sum(-(-num // live.recipe.tubelet) for num in frames)
    size = snippets * cache.row_size() * 2 / 2**20
    place = next(p for p in (cache.folder.absolute(), *cache.folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free / 2**20
    if size > free:
        raise CacheError(f"taps of {len(videos)} videos need {size:,.0f} MiB, {cache.folder} has {free:,.0f} MiB "
                         f"free; tap fewer layers, lower `grid`, or set cache='' to compute them on the fly")
    if not quiet:
        about = f" (about: {guessed} frame rates are guessed)" if guessed else ""
        print(f"taps cache: {len(videos)} videos, {snippets:,} snippets, {size:,.1f} MiB in {cache.folder}{about}",
              flush=True)
    return frames


def expected_frames(recipe, videos: Sequence[Video]) -> tuple[list[int], int]:
    """How many frames are sampled from each video, and of how many videos the frame rate was guessed.

    Rates come from the annotations; where these have none, from a few of the files: 14,000 are not opened for this.
    """
    by_file = not (recipe.sample_fps or recipe.frames_per_video)
    unknown = [video for video in videos if by_file and not video.fps]
    probed = {}
    for video in unknown[:: max(1, len(unknown) // NUM_PROBED)][:NUM_PROBED]:
        try:
            probed[video.id] = probe(video.path).fps
        except VideoError:
            continue
    usual = float(np.median(list(probed.values()))) if probed else 30.0
    rates = [recipe.sampled_fps(video, video.fps or probed.get(video.id, usual)) for video in videos]
    return ([max(1, int(np.ceil(v.duration * fps - 1e-6))) for v, fps in zip(videos, rates, strict=True)],
            sum(video.id not in probed for video in unknown))


class _Job:
    """Receives frames in pieces, runs the backbone over them and writes the rows; keeps the accounts."""

    def __init__(self, cache, live, videos: list[Video], failed: dict[str, str], copy: int):
        self.cache, self.live, self.videos, self.failed, self.copy = cache, live, videos, failed, copy
        self.files, self.cards, self.pending, self.done = {}, {}, None, []
        self.num_frames = self.num_bytes = 0
        self.waited = self.worked = 0.0

    def work(self, num_frames: int, num_workers: int, limit_s: int | float, quiet: bool) -> None:
        """Decodes, computes and writes all of it, under a progress bar over `num_frames`."""
        self.live.threads = max(1, num_workers // len(self.videos))
        messages = (decode_apart(self.live, self.videos, num_workers, limit_s, self.copy) if num_workers else
                    decode_here(self.live, self.videos, self.copy))
        try:
            with tqdm(total=num_frames, desc=f"taps, copy {self.copy}" if self.copy else "taps", unit="frame",
                      unit_scale=True, disable=quiet) as bar:
                for index, message in self.timed(messages):
                    bar.update(self.take(index, message))
                    bar.set_postfix_str(f"{len(self.done)} of {len(self.videos)} videos, {len(self.failed)} failed",
                                        False)
        finally:
            messages.close()
            self.close()

    def timed(self, messages: Iterator) -> Iterator:
        """The same messages; what passes until the next one comes is waiting, the rest is work."""
        while True:
            asked = time.monotonic()
            message = next(messages, None)
            came = time.monotonic()
            self.waited += came - asked
            if message is None:
                return
            yield message
            self.worked += time.monotonic() - came

    def take(self, index: int, message: dict) -> int:
        """New frames in this message. A video that fails is noted, its file dropped, what still comes of it ignored."""
        video = self.videos[index]
        try:
            if "frames" in message and index in self.files:
                rows = self.cache.pack(*self.live.features(message))
                self.flush()  # of the piece before: an accelerator already works on this one
                self.pending, self.num_frames = (index, rows), self.num_frames + message["new"]
                return message["new"]
            self.flush()
            if "why" in message:
                raise CacheError(message["why"])
            if "total" in message:
                self.cards[index] = {"video": video.id, "num_snippets": message["total"],
                                     "sampled_fps": message["sampled_fps"], "decode": message["decode"]}
                self.files[index] = RowFile(self.cache.path(video, self.copy), message["total"], self.cache.row_size())
            elif "done" in message and index in self.files:
                which = {"copy": self.copy} if self.copy else {}
                card = {**self.cards[index], **which, "recipe": self.cache.stored.describe()}
                self.num_bytes += self.files[index].finish(card)
                self.done.append(self.videos[index].id)
                del self.files[index]
        except CacheError as error:
            self.fail(index, str(error))
        return 0

    def flush(self) -> None:
        """Writes the rows that were computed last."""
        if self.pending is None:
            return
        (index, rows), self.pending = self.pending, None
        if index in self.files:
            try:
                self.files[index].append(as_fp16(rows, self.videos[index].id))
            except CacheError as error:
                self.fail(index, str(error))

    def fail(self, index: int, why: str) -> None:
        self.failed.setdefault(self.videos[index].id, why)
        if index in self.files:
            self.files.pop(index).discard()

    def close(self) -> None:
        for file in self.files.values():
            file.discard()


def as_fp16(rows: Tensor, video_id: str) -> np.ndarray:
    """Rows as float16. Raises CacheError where a value is not finite or too large for fp16."""
    if not bool(torch.isfinite(rows).all()) or float(rows.abs().max()) > 65504:
        worst = float(rows.nan_to_num(nan=float("inf")).abs().max())
        raise CacheError(f"taps of video {video_id!r} reach {worst:g}, fp16 ends at 65504; check weights and input, "
                         f"or set cache='' to compute on the fly in float32")
    return rows.half().cpu().numpy()


# --- decoding -------------------------------------------------------------------------------------------------------


def pieces(live, video: Video, alive=None, copy: int = 0) -> Iterator[dict]:
    """What a video has to say: its length and rate, its frames in order, and that this is all.

    alive: called now and then, while the file is opened and frames are read.
    """
    live.reader(video, alive)
    r, total = live.recipe, live.num_snippets(video)
    yield {"total": total, "sampled_fps": live.time_grid(video).sampled_fps, "decode": live.backend(video)}
    unit = max(r.clip_stride // r.tubelet, 1)
    step = max(1, PIECE_FRAMES // r.tubelet // unit) * unit  # whole clips
    num_frames = live.num_frames(video)
    for start in range(0, total, step):
        stop = min(total, start + step)
        new = min(stop * r.tubelet, num_frames) - start * r.tubelet
        yield {**live.fetch(video, start, stop, copy, alive), "new": new}
    yield {"done": True}


def decode_here(live, videos: Sequence[Video], copy: int = 0) -> Iterator[tuple[int, dict]]:
    """(index of the video, message) of every piece of every video, decoded in this process."""
    for index, video in enumerate(videos):
        try:
            yield from ((index, message) for message in pieces(live, video, copy=copy))
        except (VideoError, ValueError, OSError, IndexError, RuntimeError) as error:
            yield index, {"why": _reason(error)}
        live.close()


def decode_apart(live, videos: Sequence[Video], num_workers: int, limit_s: int | float,
                 copy: int = 0) -> Iterator[tuple[int, dict]]:
    """The same messages from worker processes, a video each; those of one video in order."""
    todo, workers = deque(range(len(videos))), []
    try:
        for _ in range(min(num_workers, len(videos))):
            workers.append(_Worker(live, videos, copy))
        while todo or any(worker.index is not None for worker in workers):
            for i, worker in enumerate(workers):
                if worker.index is None and todo:
                    if not worker.process.is_alive():
                        workers[i] = worker = _Worker(live, videos, copy)
                    worker.give(todo.popleft(), limit_s)
            busy = [worker for worker in workers if worker.index is not None]
            left = min(worker.deadline for worker in busy) - time.monotonic()
            wait([worker.pipe for worker in busy], max(0.0, left))
            for worker in busy:
                index, message = worker.index, worker.message(limit_s)
                if message is not None:
                    yield index, message
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that decodes; `index` is the video it is at, None when it has nothing to do."""

    def __init__(self, live, videos: Sequence[Video], copy: int):
        # A forked child shares the parent's memory at no cost; it uses no accelerator and one thread.
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(live, videos, copy, theirs, self.pipe), daemon=True)
        self.process.start()
        theirs.close()
        self.index, self.deadline = None, 0.0

    def give(self, index: int, limit_s: int | float) -> None:
        self.index, self.deadline = index, time.monotonic() + limit_s
        with suppress(OSError):  # if it died, reading from it says so
            self.pipe.send(index)

    def message(self, limit_s: int | float) -> dict | None:
        """What it has to say, if anything; ends it, and says why, if it died or was silent for too long."""
        try:
            if self.pipe.poll(0):
                return self._receive(limit_s)
        except (EOFError, OSError):
            self.process.join(5)
            return self._lost(f"its decoder died (exit code {self.process.exitcode})")
        if time.monotonic() > self.deadline:
            return self._lost(f"decoding gave no frame for {limit_s:g} s and was ended")
        return None

    def _receive(self, limit_s: int | float) -> dict | None:
        message = self.pipe.recv()
        if message is not None and "shape" in message:
            data = np.frombuffer(bytearray(self.pipe.recv_bytes()), dtype=np.uint8)
            message["frames"] = torch.from_numpy(data).reshape(message.pop("shape"))
        self.deadline = time.monotonic() + limit_s
        if message is not None and ("why" in message or "done" in message):
            self.index = None
        return message

    def _lost(self, why: str) -> dict:
        self.end()
        self.index = None
        return {"why": why}

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(live, videos: Sequence[Video], copy: int, pipe, theirs) -> None:
    """What a worker does: decodes the videos it is told, until the other end is closed."""
    theirs.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    torch.set_num_threads(1)
    try:
        while True:
            index = pipe.recv()
            try:
                for message in pieces(live, videos[index], lambda: pipe.send(None), copy):
                    frames = message.pop("frames", None)
                    pipe.send(message if frames is None else {**message, "shape": tuple(frames.shape)})
                    if frames is not None:
                        pipe.send_bytes(memoryview(np.ascontiguousarray(frames.numpy()).reshape(-1)))
            except (EOFError, ConnectionError):
                raise
            except Exception as error:  # whatever it is, it is this video's, and the parent lists it
                pipe.send({"why": _reason(error)})
            live.close()
    except (EOFError, OSError):
        return


def listed(failed: dict[str, str], most: int = 20) -> str:
    """One line for each failed video, of many the first."""
    lines = [f"  {name}: {why}" for name, why in list(failed.items())[:most]]
    return "\n".join([*lines, *([f"  and {len(failed) - most} more"] if len(failed) > most else [])])


def _reason(error: Exception) -> str:
    """One line about it; errors that are not ours carry their name."""
    text = error.why if isinstance(error, VideoError) else " ".join(str(error).split())
    known = isinstance(error, VideoError | ValueError | CacheError)
    return text if known else f"{type(error).__name__}: {text}"
