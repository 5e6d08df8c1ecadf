"""Find actions in videos with a trained run: files in; JSON, CSV, subtitles and a page out.

One video after the other: its taps are computed piece by piece into a file, read window by window, and the file is
removed. So memory does not grow with a video's length, nor disk with the number of videos. What is finished is kept
under a name made of the model and the video's content, and never done again.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from losa.annotations.dataset import Video
from losa.config import Config
from losa.errors import CacheError, OwnVideoError
from losa.files import content_id, hold, is_left, write_text
from losa.inference.postprocess import suppress
from losa.inference.predict import predict_video
from losa.taps.cache_files import close_files
from losa.taps.extract import extract
from losa.taps.open import count_decoders
from losa.video.folder import find_videos, readable
from losa.video.probe import VideoInfo
from losa.video.probe_pool import probe_many
from losa.workflows.detector import Detector, load_detector
from losa.workflows.write_predictions import Number, counts, write_all

LONG_VIDEO = 600  # seconds from which a video has a progress bar of its own
LIMIT_S = 120  # a decoder that gives nothing for so long is ended, its video listed
MOST_TIMES = 12  # a long video may hold so many times the segments of a short one


class Job(NamedTuple):
    """A video to predict: `kept` is the file its finished prediction goes to."""

    id: str
    path: Path
    kept: Path
    info: VideoInfo | None = None


def predict_videos(what: str | Path, run: str | Path, out: str | Path, *, weights: str = "", min_score: Number = 0.25,
                   post: str = "", fields: Mapping | None = None, quiet: bool = False) -> dict:
    """Find actions in videos; write predictions, subtitles and a page to `out`, and return what was done.

    Returned: {"videos": {id: {path, duration, fps, num_segments, num_shown, best_score}}, "failed": {path: why}};
    best_score is None where nothing at all was found. Written:
    predictions.json (ActivityNet's results format), predictions.csv, subtitles/<id>.srt and .vtt, index.html, and
    failed.csv if some files could not be used. Stopped or called again, it does only what is not done yet.

    what: a video, or a folder with videos in it and its sub-folders; ids are paths inside it, without ending.
    run: the folder of a trained run. weights: its backbone's checkpoint, where that lies elsewhere now.
    min_score: of the segments in subtitles, and where the page's slider stands; JSON and CSV hold all.
    post, fields: post-processing of a peer, and fields of prediction to replace, see `evaluate_run.test`.

    Raises OwnVideoError if there is no video, none can be used, or the run was trained on pre-extracted features;
    ConfigError for fields that are fixed once a run is trained.
    """
    out, files = Path(out), find_videos(Path(what))
    detector = load_detector(run, weights, post, fields or {})
    (out / ".finished").mkdir(parents=True, exist_ok=True)
    finished, failed = {}, {}
    jobs = list(to_jobs(files, out / ".finished", detector.id, failed))
    try:
        with workplace(out) as folder:
            for job in probe_jobs(jobs, failed, quiet):
                try:
                    kept = predict_one(detector, job, folder / "taps", quiet)
                    write_text(job.kept, json.dumps(kept, allow_nan=False))
                except (ValueError, RuntimeError, OSError) as error:  # whatever it is, the other videos go on
                    failed[str(job.path)] = " ".join(str(getattr(error, "why", error)).split())[:500]
    except KeyboardInterrupt:
        finished = read_finished(jobs)
        if finished:
            write_all(out, finished, failed, detector, Path(run), min_score)
        raise KeyboardInterrupt(f"after {len(finished)} of {len(files)} videos; the same command continues "
                                "there") from None
    finished, whys = read_finished(jobs), {job.kept: failed[str(job.path)] for job in jobs if str(job.path) in failed}
    failed |= {str(job.path): whys[job.kept] for job in jobs if job.kept in whys}  # copies of a bad file, too
    write_all(out, finished, failed, detector, Path(run), min_score)
    warn_of_failed(out, failed, len(files))
    return {"videos": {name: {"path": readable(video["path"]), "duration": video["duration"], "fps": video["fps"],
                              **counts(video, min_score)} for name, video in finished.items()},
            "failed": {readable(path): why for path, why in failed.items()}}


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """Make a folder in `out` for this process alone, and remove it at the end, as well as those of killed processes."""
    for old in (path for path in out.glob(".taps-*-*") if path.name.split("-")[1].isdigit()):
        if is_left(old / "lock", int(old.name.split("-")[1])):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".taps-{os.getpid()}-", dir=out))
    try:
        with open(folder / "lock", "wb") as lock:
            hold(lock)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- which videos ---------------------------------------------------------------------------------------------------


def to_jobs(files: Mapping[str, Path], kept: Path, detector_id: str, failed: dict[str, str]) -> Iterator[Job]:
    """Yield a job for each file that can be read; adds the others to `failed`."""
    for name, path in files.items():
        try:
            key = hashlib.sha256(f"{detector_id} {content_id(str(path))}".encode()).hexdigest()[:32]
        except OSError as error:
            failed[str(path)] = f"cannot be read ({error.strerror})"
            continue
        yield Job(name, path, kept / f"{key}.json")


def probe_jobs(jobs: Sequence[Job], failed: dict[str, str], quiet: bool) -> Iterator[Job]:
    """Yield the jobs that are not done yet, with their files probed, under a progress bar in seconds of video."""
    todo = {job.kept: job for job in jobs if not read_kept(job.kept)}  # of copies of a file, one
    infos, whys = probe_many([job.path for job in todo.values()])
    failed |= {str(path): why for path, why in whys.items()}
    good = [job._replace(info=infos[job.path]) for job in todo.values() if job.path in infos]
    total = sum(job.info.duration for job in good)
    with tqdm(total=round(total), desc="predict", unit=" s of video", disable=quiet or not good) as bar:
        for number, job in enumerate(good, start=1):
            bar.set_postfix_str(f"{number} of {len(good)}: {job.id[-40:]}")
            yield job
            bar.update(round(job.info.duration))


# --- one video ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def predict_one(detector: Detector, job: Job, folder: Path, quiet: bool) -> dict:
    """Predict one video; return its records, best first, duration, fps and decoder. Raises CacheError without taps."""
    cache, source = detector.cached(folder)
    device = next(detector.model.parameters()).device.type
    video = Video(id=job.id, subset="own", path=job.path, start=0.0, duration=job.info.duration,
                  segments=np.zeros((0, 2)), labels=np.zeros(0, dtype=np.int64), fps=job.info.fps)
    try:
        done = extract(cache, detector.live, [video], num_workers=count_decoders(detector.config, device),
                       limit_s=LIMIT_S, quiet=quiet or job.info.duration < LONG_VIDEO)
        if done.failed:
            raise CacheError(done.failed[video.id])
        config = raise_limits(detector.config, video.duration)
        raw = predict_video(detector.model, source, video, config)
        records = suppress({video.id: raw}, config, detector.classes)[video.id]
        return {"duration": job.info.duration, "fps": job.info.fps, "decode": cache.card(video)["decode"],
                "records": records}
    finally:
        close_files()  # one that is still mapped would keep its place on the disk
        shutil.rmtree(folder, ignore_errors=True)


def raise_limits(config: Config, duration: Number) -> Config:
    """Return the config with the limits on candidates and segments raised for every ten minutes of a long video."""
    times = min(MOST_TIMES, math.ceil(duration / 600))
    return config.replace(pre_nms_topk=times * config.pre_nms_topk, max_segments=times * config.max_segments)


def read_finished(jobs: Sequence[Job]) -> dict[str, dict]:
    """Return {id: path, duration, fps, decode, records} of every job that is done."""
    kept = ((job, read_kept(job.kept)) for job in jobs)
    return {job.id: {"path": str(job.path), **found} for job, found in kept if found}


def read_kept(path: Path) -> dict:
    """Read what was kept of a finished video; empty if it is not finished, or its file was cut short."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


# --- what is written ------------------------------------------------------------------------------------------------


def warn_of_failed(out: Path, failed: Mapping[str, str], num_files: int) -> None:
    """Warn of files that could not be used. Raises OwnVideoError if there are no others."""
    if not failed:
        return
    some = "\n".join(f"  {readable(path)}: {why}" for path, why in list(failed.items())[:10])
    if len(failed) == num_files:
        raise OwnVideoError(f"not one of {num_files} videos can be used:\n{some}")
    warnings.warn(f"{len(failed)} of {num_files} videos could not be used (all are in {out / 'failed.csv'}):\n{some}",
                  stacklevel=3)
