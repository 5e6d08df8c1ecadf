"""Decode the frames of a video for an extraction: in this process, or in one that can be ended."""

import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import wait

import numpy as np
import torch

from losa.annotations.dataset import Video
from losa.errors import CacheError, VideoError

PIECE_FRAMES = 256  # decoded and computed at a time, so that memory does not grow with the video


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


def _reason(error: Exception) -> str:
    """One line about it; errors that are not ours carry their name."""
    text = error.why if isinstance(error, VideoError) else " ".join(str(error).split())
    known = isinstance(error, VideoError | ValueError | CacheError)
    return text if known else f"{type(error).__name__}: {text}"
