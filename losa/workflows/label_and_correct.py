"""Label videos in rounds, with a model trained after each: from scratch, or by correcting what the model proposes.

A round is some of the unlabelled videos. Its sessions (see `labelling_effort`) lie in OUT/WAY-ROUND.json as soon as it
is labelled, the annotation file and the run in the folder of that name. What is there is read back, so all of it
continues where it stopped. The first round has no model yet, so both ways share it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from losa.annotations.dataset import Annotations, Video, load_annotations, save_annotations
from losa.config import Config
from losa.errors import OwnVideoError
from losa.evaluation.ground_truth import make_truth
from losa.evaluation.records import read_predictions
from losa.files import read_object, write_json
from losa.workflows.evaluate_run import test
from losa.workflows.extract_dataset import list_folder_videos
from losa.workflows.labelling_effort import follow
from losa.workflows.own_videos import DINO, IMAGE_FPS, name_run
from losa.workflows.run import run
from losa.workflows.simulated_annotator import TIMES, check_times, simulate
from losa.world.render import make_world

Number = int | float
WAYS = ("from scratch", "propose and correct")
POOL = "pool"  # the subset of videos that have no label yet


class Project(NamedTuple):
    """What is labelled, what it is measured on, and how. `truth` is empty where nobody knows it."""

    batches: list[list[Video]]
    held_out: tuple[Video, ...]
    classes: tuple[str, ...]
    truth: dict[str, list[dict]]
    config: Config
    times: dict[str, Number]
    min_score: Number
    out: Path


class Round(NamedTuple):
    """One round of one way: its videos, what a model proposes for each, and what was done if it has been."""

    way: str
    number: int
    videos: list[Video]
    proposals: dict[str, list[dict]]
    sessions: list[dict]

    @property
    def title(self) -> str:
        return f"round {self.number}, {self.way}"


# --- what there is --------------------------------------------------------------------------------------------------


def begin(*, annotations: str = "", videos: str = "", out: str | Path, annotator: str = "simulated",
          size: str | Sequence[int] = (12, 0, 6), rounds: int = 4, classes: Sequence[str] = (),
          times: Mapping[str, Number] | None = None, min_score: Number = 0.25,
          settings: Mapping | None = None) -> Project:
    """Find the videos to label and those to measure on, and return the project.

    annotations: its test videos measure, its train videos are to be labelled, as if they had no label; "" renders the
    embedded world. videos: a folder to label in place of its train videos. size: of the world, see `make_world`.
    annotator: "simulated" knows the labels, "you" works in the widget. classes: beside those of `annotations`. times:
    of the simulated annotator, see `simulate`. min_score: of what is proposed. settings: fields of the config. Each
    combination of all this has a folder of its own in `out`.

    Raises OwnVideoError for what cannot be labelled or measured, ConfigError for wrong times or settings.
    """
    if annotator not in ("simulated", "you"):
        raise OwnVideoError(f"annotator={annotator!r}: expected 'simulated', or 'you' to label in the widget")
    out, times = Path(out).expanduser(), {**TIMES, **(times or {})}
    check_times(times)
    if videos and not annotations:
        raise OwnVideoError(f"videos={videos!r} without annotations: mAP is measured on the test videos of "
                            "annotations, which `losa data prepare` makes of labels; give them as well")
    is_example = not annotations
    file = make_world(out / "world", size) if is_example else Path(annotations).expanduser()
    known = load_annotations(file)
    pool, truth = _find_pool(known, Path(videos).expanduser() if videos else None)
    if annotator == "simulated" and not all(truth.values()):
        raise OwnVideoError("the simulated annotator types what is known to be true, and of "
                            f"{sum(not found for found in truth.values())} of {len(pool)} videos nothing is known; "
                            "label them yourself: annotator='you'")
    if not 2 <= rounds <= len(pool):
        raise OwnVideoError(f"rounds={rounds}: expected 2 to {len(pool)}, the number of videos to label")
    names = tuple(dict.fromkeys((*known.classes, *classes)))
    own = {} if is_example else {"backbone": DINO, "sample_fps": IMAGE_FPS}
    config = Config.make(**{"annotations": "", "cache": str(out / "taps"), "val_subset": "", **own, **(settings or {})})
    key = {"annotator": annotator, "pool": [video.id for video in pool], "file": str(file.resolve()),
           "rounds": rounds, "classes": names, "times": times, "min_score": min_score, "config": config.to_dict()}
    place = out / f"{annotator}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]}"
    batches = [[pool[i] for i in part] for part in np.array_split(np.arange(len(pool)), rounds)]
    return Project(batches, known.subset("test"), names, truth, config, times, min_score, place)


def _find_pool(known: Annotations, folder: Path | None) -> tuple[list[Video], dict[str, list[dict]]]:
    """Return the videos to label without their labels, and their true records, none where nobody knows them."""
    if folder is None:
        pool = list(known.subset("train", need_labels=False))
    else:
        failed: dict[str, str] = {}
        measured = {video.id for video in known.subset("test")}
        pool = [video for video in list_folder_videos(folder, failed) if video.id not in measured]
    cut = [video.id for video in pool if video.path is None or video.start]
    if cut or not pool:
        raise OwnVideoError(f"{len(pool)} videos to label, of which {len(cut)} are no whole files "
                            f"({', '.join(cut[:3])}); expected whole video files: give their folder as `videos`")
    truth = make_truth(pool, known.classes)
    none = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    return [replace(video, subset=POOL, segments=none[0], labels=none[1]) for video in pool], truth


# --- one round ------------------------------------------------------------------------------------------------------


def open_round(project: Project, way: str, number: int, *, quiet: bool = False) -> Round:
    """Return a round, counted from 1, with what the model of the rounds before proposes to correct."""
    kept = read_object(_file(project, way, number)).get("sessions", [])
    videos = project.batches[number - 1]
    proposals = propose(project, way, number - 1, quiet) if way == WAYS[1] and number > 1 else {}
    return Round(way, number, videos, {video.id: proposals.get(video.id, []) for video in videos}, kept)


def next_round(project: Project, ways: Sequence[str] = WAYS) -> Round | None:
    """Return the first round that is not labelled yet, of the last way first; None where all are."""
    todo = [(way, number) for way in reversed(ways) for number in range(1, len(project.batches) + 1)
            if not _file(project, way, number).is_file()]
    return open_round(project, *todo[0]) if todo else None


def finish_round(project: Project, job: Round, sessions: Sequence[Mapping], *, quiet: bool = False) -> dict:
    """Keep a round's sessions, train on all labels up to it, and return the run's result.

    Raises OwnVideoError where nothing was labelled in it.
    """
    if not any(session["records"] for session in sessions):
        raise OwnVideoError(f"{job.title}: nothing is labelled yet. Label its videos in the widget above (press ? in "
                            "it for the keys), then run from this cell on")
    if list(sessions) != job.sessions:
        project.out.mkdir(parents=True, exist_ok=True)
        write_json(_file(project, job.way, job.number), {"sessions": list(sessions)})
    return train(project, job.way, job.number, quiet)


def train(project: Project, way: str, number: int, quiet: bool = False) -> dict:
    """Train on the labels of a way's rounds up to this one, measure on the held-out videos, and return the result."""
    return run(*prepare_run(project, way, number), quiet=quiet)


def prepare_run(project: Project, way: str, number: int) -> tuple[Config, Path]:
    """Write the annotation file with the labels of a way's rounds up to this one: the run's config and folder."""
    labels = {session["video"]: session["records"] for i in range(1, number + 1)
              for session in read_object(_file(project, way, i)).get("sessions", [])}
    names = tuple(dict.fromkeys((*project.classes, *(r["label"] for records in labels.values() for r in records))))
    videos = [_labelled(video, labels[video.id], names) if video.id in labels else video
              for batch in project.batches for video in batch]
    place = _file(project, way, number).with_suffix("")
    place.mkdir(parents=True, exist_ok=True)
    file = save_annotations(Annotations(names, (*videos, *project.held_out)), place / "annotations.json")
    config = project.config.replace(annotations=str(file))
    return config, name_run(place, config)


def propose(project: Project, way: str, number: int, quiet: bool = False) -> dict[str, list[dict]]:
    """Return what the model of a round finds in the videos without labels, from `min_score` on."""
    config, folder = prepare_run(project, way, number)
    run(config, folder, quiet=quiet)
    if not (predictions := folder / f"predictions_{POOL}.json").is_file():
        predictions = Path(test(folder, POOL, quiet=quiet)["predictions"])
    return {video: [record for record in records if record["score"] >= project.min_score]
            for video, records in read_predictions(predictions).items()}


def _file(project: Project, way: str, number: int) -> Path:
    """Return the file with the sessions of a round; both ways share the first."""
    return project.out / (f"{way.replace(' ', '_')}-{number}.json" if number > 1 else "first-1.json")


def _labelled(video: Video, records: Sequence[Mapping], classes: Sequence[str]) -> Video:
    return replace(video, subset="train",
                   segments=np.array([r["segment"] for r in records], dtype=np.float64).reshape(-1, 2),
                   labels=np.array([classes.index(r["label"]) for r in records], dtype=np.int64))


# --- all rounds -----------------------------------------------------------------------------------------------------


def simulate_round(project: Project, job: Round) -> list[dict]:
    """Return the sessions of a round as the simulated annotator does it, one video after the other on one clock."""
    sessions, clock = [], 0.0
    for video in job.videos:
        fps = None if video.fps is None else float(video.fps)
        facts = {"id": video.id, "duration": float(video.duration), "fps": fps}
        sessions.append(simulate(facts, project.truth[video.id], job.proposals[video.id], classes=project.classes,
                                 times=project.times, began=clock))
        clock = sessions[-1]["ended"]
    return sessions


def label_all(project: Project, label: Callable[[Project, Round], list[dict]] = simulate_round, *,
              quiet: bool = False) -> None:
    """Do all rounds of both ways that are not done yet: label, train, propose, correct. label: does the work of one."""
    while job := next_round(project):
        finish_round(project, job, label(project, job), quiet=quiet)


def read_ways(project: Project, *, quiet: bool = False) -> dict[str, list[dict]]:
    """Return the finished rounds of each way as rows of effort and mAP, see `labelling_effort.follow`."""
    ways = {}
    for way in WAYS:
        done = [number for number in range(1, len(project.batches) + 1) if _file(project, way, number).is_file()]
        ways[way] = follow([{"sessions": read_object(_file(project, way, number))["sessions"],
                             "average_map": train(project, way, number, quiet)["average_map"]} for number in done])
    return ways
