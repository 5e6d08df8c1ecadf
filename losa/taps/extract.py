"""Compute the taps of many videos and write them to a cache, one file per video.

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
from losa.errors import CacheError, LosaError
from losa.taps.cache_files import RowFile, filling, remove_left
from losa.taps.cache_key import TapRecipe, find_file
from losa.taps.cached import CachedTaps
from losa.taps.decoding import decode_here, decode_in_workers, explain
from losa.taps.live import LiveTaps
from losa.video.probe import probe

NUM_PROBED = 16  # files opened at most to guess how large the cache becomes


@dataclass(frozen=True)
class Extraction:
    """What `extract` did: ids of computed videos, {id: why} of those that failed, and where the time went."""

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


def extract(cache: CachedTaps, live: LiveTaps, videos: Sequence[Video], *, copy: int = 0, num_workers: int = 0,
            limit_s: int | float = 120, quiet: bool = False) -> Extraction:
    """Compute with `live` the taps that the cache lacks of these videos, and return what was done and what failed.

    The size of the files is printed before the first byte is written. A file that several videos share is computed
    once; where it fails, each of them is listed. Of several processes that want the same, one computes and the others
    wait for it.

    copy: which copy of the videos, see `losa.taps.augment`.
    num_workers: decoding processes; 0 decodes in this one, where a decoder that hangs cannot be killed.
    limit_s: a decoding process that gives no sign for so many seconds is killed and its video listed as failed.

    Raises CacheError before anything is done if the disk is too small.
    """
    began = time.monotonic()
    remove_left(cache.folder)
    wanted, failed = find_missing(cache, videos, quiet, copy)
    nothing_done = Extraction((), failed, 0, 0, 0.0, 0.0, 0.0)
    if not wanted:
        return nothing_done
    frames = dict(zip(wanted, announce_size(cache, live, [same[0] for same in wanted.values()], quiet), strict=True))
    cache.folder.mkdir(parents=True, exist_ok=True)

    def find_left() -> dict[Path, list[Video]]:
        return {path: same for path, same in wanted.items() if not path.with_suffix(".json").is_file()}

    with filling(cache.folder, cache.stored.key_text, lambda: bool(find_left()), quiet) as is_mine:
        wanted = find_left() if is_mine else {}
        if not wanted:
            return nothing_done
        job = _Job(cache, live, [same[0] for same in wanted.values()], failed, copy)
        job.work(sum(frames[path] for path in wanted), num_workers, limit_s, quiet)
    for first, *others in wanted.values():
        failed |= {video.id: failed[first.id] for video in others if first.id in failed}
    seconds = time.monotonic() - began
    return Extraction(tuple(job.done), failed, job.num_frames, job.num_bytes, seconds, job.waited / seconds,
                      job.worked / seconds)


def fill(cache: CachedTaps, live: LiveTaps, videos: Sequence[Video], quiet: bool = False, *, copy: int = 0,
         num_workers: int = 0, limit_s: int | float = 120) -> None:
    """Do as `extract`, then raise CacheError that lists the videos that failed, if any."""
    done = extract(cache, live, videos, copy=copy, num_workers=num_workers, limit_s=limit_s, quiet=quiet)
    if done.failed:
        raise CacheError(f"{len(done.failed)} of {len(videos)} videos have no taps; the others are in {cache.folder}. "
                         "Repair them, or leave them out with `losa data prepare ... --decode`, which reads every file "
                         f"to its end:\n{list_failed(done.failed)}")


def find_missing(cache: CachedTaps, videos: Sequence[Video], quiet: bool,
                 copy: int = 0) -> tuple[dict[Path, list[Video]], dict[str, str]]:
    """Return the videos without taps, by the file they go to, and {id: why} of those that cannot be read."""
    missing, failed = {}, {}
    for video in tqdm(videos, desc="looking for cached taps", unit="video", delay=2, leave=False, disable=quiet):
        try:
            if not cache.has(video, copy):
                missing.setdefault(cache.path(video, copy), []).append(video)
        except (OSError, LosaError) as error:
            failed[video.id] = explain(error)
    return missing, failed


def announce_size(cache: CachedTaps, live: LiveTaps, videos: Sequence[Video], quiet: bool) -> list[int]:
    """Print how large the taps become, and return how many frames are sampled from each video, about.

    Raises CacheError if the disk has no room.
    """
    frames, guessed = estimate_frames(live.recipe, videos)
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


def estimate_frames(recipe: TapRecipe, videos: Sequence[Video]) -> tuple[list[int], int]:
    """Return how many frames are sampled from each video, and for how many videos the frame rate was guessed."""
    rates, guessed = estimate_rates(recipe, videos)
    return [max(1, int(np.ceil(v.duration * fps - 1e-6))) for v, fps in zip(videos, rates, strict=True)], guessed


def estimate_rates(recipe: TapRecipe, videos: Sequence[Video]) -> tuple[list[int | float], int]:
    """Return how many frames per second are sampled from each video, and for how many the frame rate was guessed.

    Rates come from the annotations. Where these have none, only a few files are opened and the others are taken to be
    like them: a data set may hold 14,000.
    """
    by_file = not (recipe.sample_fps or recipe.frames_per_video)
    unknown = [video for video in videos if by_file and not video.fps]
    probed = {}
    for video in unknown[:: max(1, len(unknown) // NUM_PROBED)][:NUM_PROBED]:
        try:
            probed[video.id] = probe(find_file(video)).fps
        except LosaError:  # told by name once it is computed
            continue
    usual = float(np.median(list(probed.values()))) if probed else 30.0
    rates = [recipe.sampled_fps(video, video.fps or probed.get(video.id, usual)) for video in videos]
    return rates, sum(video.id not in probed for video in unknown)


class _Job:
    """Receives frames in pieces, runs the backbone over them, writes the rows, and counts frames, bytes and seconds."""

    def __init__(self, cache: CachedTaps, live: LiveTaps, videos: list[Video], failed: dict[str, str], copy: int):
        self.cache, self.live, self.videos, self.failed, self.copy = cache, live, videos, failed, copy
        self.files, self.cards, self.pending, self.done = {}, {}, None, []
        self.num_frames = self.num_bytes = 0
        self.waited = self.worked = 0.0

    def work(self, num_frames: int, num_workers: int, limit_s: int | float, quiet: bool) -> None:
        """Decode, compute and write everything, under a progress bar over `num_frames`."""
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
        """Yield the same messages, and count the time until the next one as waiting, the rest as work."""
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
        """Process one message and return how many new frames it held.

        Where a video fails, its file is dropped and its later messages are ignored.
        """
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
        """Write the rows that were computed last."""
        if self.pending is None:
            return
        (index, rows), self.pending = self.pending, None
        if index in self.files:
            try:
                self.files[index].append(to_fp16(rows, self.videos[index].id))
            except CacheError as error:
                self.fail(index, str(error))

    def fail(self, index: int, why: str) -> None:
        self.failed.setdefault(self.videos[index].id, why)
        if index in self.files:
            self.files.pop(index).discard()

    def close(self) -> None:
        for file in self.files.values():
            file.discard()


def to_fp16(rows: Tensor, video_id: str) -> np.ndarray:
    """Return rows as float16. Raises CacheError where a value is not finite or too large for fp16."""
    if not bool(torch.isfinite(rows).all()) or float(rows.abs().max()) > 65504:
        worst = float(rows.nan_to_num(nan=float("inf")).abs().max())
        raise CacheError(f"taps of video {video_id!r} reach {worst:g}, fp16 ends at 65504; check weights and input, "
                         f"or set cache='' to compute on the fly in float32")
    return rows.half().cpu().numpy()


def list_failed(failed: dict[str, str], most: int = 20) -> str:
    """Return one line for each failed video; of many only the first are listed."""
    lines = [f"  {name}: {why}" for name, why in list(failed.items())[:most]]
    return "\n".join([*lines, *([f"  and {len(failed) - most} more"] if len(failed) > most else [])])
