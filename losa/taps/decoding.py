"""Decode the frames of videos for an extraction: in this process, or in worker processes that can be killed."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial

import numpy as np
import torch

from losa.annotations.dataset import Video
from losa.errors import LosaError, VideoError
from losa.taps.live import LiveTaps
from losa.video.workers import Lost, run_in_workers

PIECE_FRAMES = 256  # decoded and computed at a time, so that memory does not grow with the video


def decode_in_pieces(live: LiveTaps, video: Video, alive: Callable | None = None, copy: int = 0) -> Iterator[dict]:
    """Yield the messages about one video: its length and rate, its frames piece by piece in order, and {"done": True}.

    First {"total": snippets, "sampled_fps", "decode": backend}; then what `LiveTaps.fetch` returns, with "new": the
    number of frames that no piece before held.

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


def decode_here(live: LiveTaps, videos: Sequence[Video], copy: int = 0) -> Iterator[tuple[int, dict]]:
    """Yield (index of the video, message) for every video, decoded in this process.

    The last message of a video is {"done": True}, or {"why": reason} where it cannot be decoded.
    """
    for index, video in enumerate(videos):
        try:
            yield from ((index, message) for message in decode_in_pieces(live, video, copy=copy))
        except (LosaError, ValueError, OSError, IndexError) as error:
            yield index, {"why": explain(error)}
        live.close()


def decode_in_workers(live: LiveTaps, videos: Sequence[Video], num_workers: int, limit_s: int | float,
                      copy: int = 0) -> Iterator[tuple[int, dict]]:
    """Yield the same messages as `decode_here` from worker processes, a video each.

    A process that gives no sign for `limit_s` seconds is killed. On Linux workers are forked: they share the memory of
    this process and start at no cost.
    """
    with closing(run_in_workers(partial(_serve_pieces, live, copy), videos, num_workers, limit_s,
                                fork=sys.platform == "linux")) as answers:
        for index, answer in answers:
            if isinstance(answer, Lost):
                died = f"its decoder died (exit code {answer.exit_code})"
                answer = {"why": f"decoding gave no frame for {limit_s:g} s and was ended"
                          if answer.exit_code is None else died}
            elif "frames" in answer:
                answer["frames"] = torch.from_numpy(answer["frames"])
            yield index, answer


def _serve_pieces(live: LiveTaps, copy: int, video: Video, alive: Callable) -> Iterator[dict]:
    """Yield the messages about one video with frames as arrays, which a pipe takes without a copy. Runs in a worker."""
    torch.set_num_threads(1)
    try:
        for message in decode_in_pieces(live, video, alive, copy):
            if "frames" in message:
                message["frames"] = np.ascontiguousarray(message["frames"].numpy())
            yield message
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this video's, and the parent lists it
        yield {"why": explain(error)}
    live.close()


def explain(error: Exception) -> str:
    """Return one line about an error; the name of its class stands before it where losa did not raise it on purpose."""
    text = error.why if isinstance(error, VideoError) else " ".join(str(error).split())
    return text if isinstance(error, LosaError | ValueError) else f"{type(error).__name__}: {text}"
