"""Taps of many videos onto disk: decoding in processes that may hang or die, the backbone here, one file a video.

A worker process decodes one video after the other and sends its frames in pieces; this process runs the backbone
over a piece while the workers decode the next ones. A video that fails, kills its worker, or keeps it silent for
too long is listed with the reason, and the rest goes on. What is finished stays: the same call continues there.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from losa.annotations.dataset import Video
from losa.errors import CacheError, VideoError
from losa.taps.cache_files import RowFile, filling, remove_left
from losa.taps.decoding import decode_here, decode_in_workers, explain
from losa.video.probe import probe

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
    copy: which copy of the videos, see `losa.taps.augment`.
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
            failed[video.id] = explain(error)
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
        messages = (decode_in_workers(self.live, self.videos, num_workers, limit_s, self.copy) if num_workers else
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


def listed(failed: dict[str, str], most: int = 20) -> str:
    """One line for each failed video, of many the first."""
    lines = [f"  {name}: {why}" for name, why in list(failed.items())[:most]]
    return "\n".join([*lines, *([f"  and {len(failed) - most} more"] if len(failed) > most else [])])
