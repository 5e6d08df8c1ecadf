"""Label videos in rounds, with a model trained after each: from scratch, or by correcting what the model proposes.

A round is some of the unlabelled videos. Its sessions (see `labelling_effort`) lie in OUT/WAY-ROUND.json from the
first label on, the annotation file and the runs in the folder of that name. What is there is read back, so all of it
continues where it stopped. The first round has no model yet, so both ways share it.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
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
    """What is labelled, by whom, what it is measured on, and how. `truth` is empty where nobody knows it."""

    annotator: str
    ways: tuple[str, ...]
    batches: list[list[Video]]
    held_out: tuple[Video, ...]
    classes: tuple[str, ...]
    truth: dict[str, list[dict]]
    config: Config
    times: dict[str, Number]
    min_score: Number
    out: Path

    @property
    def who(self) -> str:
        """Whose seconds these are: what tables and figures have to say."""
        return "simulated, not measured on a person" if self.annotator == "simulated" else "by the timeline's clock"

    def __str__(self) -> str:
        pool = [video for batch in self.batches for video in batch]
        return (f"{len(pool)} videos to label ({sum(video.duration for video in pool) / 60:.1f} minutes) in "
                f"{len(self.batches)} rounds, {len(self.held_out)} others to measure on; {len(self.classes)} classes; "
                f"seconds of labelling: {self.who}; all of it is kept in {self.out}")


class Round(NamedTuple):
    """One round of one way: its videos, what a model proposes for each, what was done so far, and where it is kept.

    The simulated annotator's sessions are whole before they are kept.
    """

    way: str
    number: int
    videos: list[Video]
    proposals: dict[str, list[dict]]
    sessions: list[dict]
    file: Path

    @property
    def title(self) -> str:
        return f"round {self.number}, {self.way if self.number > 1 else WAYS[0]}"

    def keep(self, sessions: Sequence[Mapping], *, finished: bool = False) -> None:
        """Write the sessions, so that nothing is lost; a round that was finished stays so."""
        finished = finished or is_finished(self.file)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, {"finished": finished, "sessions": list(sessions)})


# --- what there is --------------------------------------------------------------------------------------------------


def begin(*, annotations: str = "", videos: str = "", out: str | Path, annotator: str = "simulated",
          size: str | Sequence[int] = (12, 0, 10), rounds: int = 4, ways: Sequence[str] = WAYS,
          classes: Sequence[str] = (), times: Mapping[str, Number] | None = None, min_score: Number = 0.25,
          settings: Mapping | None = None) -> Project:
    """Find the videos to label and those to measure on, and return the project.

    annotations: its test videos measure, its train videos are to be labelled, as if they had no label; "" renders the
    embedded world. videos: a folder to label in place of its train videos. size: of the world, see `make_world`.
    annotator: "simulated" knows the labels, "you" works in the widget. ways: some of WAYS, what is done after the first
    round. classes: beside those of `annotations`. times: of the simulated annotator, see `simulate`. min_score: of what
    is proposed. settings: fields of the config. Other videos or rounds have another folder in `out`; so has all that
    the simulated annotator does otherwise. What you labelled is trained on anew with other settings, and not lost.

    Raises OwnVideoError for what cannot be labelled or measured, ConfigError for wrong times or settings.
    """
    if annotator not in ("simulated", "you"):
        raise OwnVideoError(f"annotator={annotator!r}: expected 'simulated', or 'you' to label in the widget")
    if not ways or not {*ways} <= {*WAYS}:
        raise OwnVideoError(f"ways={list(ways)}: expected one or both of {', '.join(map(repr, WAYS))}")
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
    key = {"pool": [video.id for video in pool], "file": str(file.resolve()), "rounds": rounds}
    if annotator == "simulated":
        key |= {"classes": names, "times": times, "min_score": min_score, "config": config.to_dict()}
    place = out / f"{annotator}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]}"
    batches = [[pool[i] for i in part] for part in np.array_split(np.arange(len(pool)), rounds)]
    ways = tuple(way for way in WAYS if way in ways)
    return Project(annotator, ways, batches, known.subset("test"), names, truth, config, times, min_score, place)


def _find_pool(known: Annotations, folder: Path | None) -> tuple[list[Video], dict[str, list[dict]]]:
    """Return the videos to label without their labels, and their true records, none where nobody knows them."""
    if folder is None:
        pool = list(known.subset("train", need_labels=False))
    else:
        failed: dict[str, str] = {}
        measured = {video.id for video in known.subset("test")}
        pool = [video for video in list_folder_videos(folder, failed) if video.id not in measured]
        if failed:
            whys = "; ".join(f"{name}: {why}" for name, why in [*failed.items()][:3])
            warnings.warn(f"{folder}: {len(pool)} videos to label; {len(failed)} cannot be read and are left out, "
                          f"{whys}", stacklevel=3)
    cut = [video.id for video in pool if video.path is None or video.start]
    if cut or not pool:
        raise OwnVideoError(f"{len(pool)} videos to label, of which {len(cut)} are no whole files "
                            f"({', '.join(cut[:3])}); expected whole video files: give their folder as `videos`")
    truth = make_truth(pool, known.classes)
    none = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    return [replace(video, subset=POOL, segments=none[0], labels=none[1]) for video in pool], truth


# --- one round ------------------------------------------------------------------------------------------------------


def open_round(project: Project, number: int, way: str = "", *, quiet: bool = False) -> Round:
    """Return a round, counted from 1, of the project's last way or another one, with what was done in it so far.

    What the simulated annotator does is done at once. From the second on, the model of the rounds before proposes.
    """
    way = way or project.ways[-1]
    file, videos = name_file(project, way, number), project.batches[number - 1]
    found = propose(project, way, number - 1, quiet) if way == WAYS[1] and number > 1 else {}
    job = Round(way, number, videos, {video.id: found.get(video.id, []) for video in videos},
                read_object(file).get("sessions", []), file)
    return job if job.sessions or project.annotator == "you" else job._replace(sessions=simulate_round(project, job))


def next_round(project: Project, *, quiet: bool = False) -> Round | None:
    """Return the first round that is not finished yet, of the last way first; None where all are."""
    todo = list_left(project)
    return open_round(project, todo[0][1], todo[0][0], quiet=quiet) if todo else None


def list_left(project: Project) -> list[tuple[str, int]]:
    """Return (way, number) of the rounds that are not finished yet, of the last way first."""
    return [(way, number) for way in reversed(project.ways) for number in range(1, len(project.batches) + 1)
            if not is_finished(name_file(project, way, number))]


def finish_round(project: Project, job: Round, sessions: Sequence[Mapping], *, quiet: bool = False) -> dict:
    """Keep a round's sessions, train on all labels up to it, and return the run's result.

    A video that was looked at and in which nothing is labelled is learnt from as well: nothing happens in it. Raises
    OwnVideoError where nothing is labelled, or a video was never opened.
    """
    if not any(session["records"] for session in sessions):
        raise OwnVideoError(f"{job.title}: nothing is labelled yet. Label its videos in the widget above (press ? in "
                            "it for the keys), then run from this cell on")
    if unseen := [session["video"] for session in sessions if not session["ended"]]:
        raise OwnVideoError(f"{job.title}: {len(unseen)} of its {len(sessions)} videos were never opened "
                            f"({', '.join(unseen[:3])}). What you labelled is kept. Choose them above the timeline, "
                            "label what happens in them, then run from this cell on")
    if list(sessions) != job.sessions or not is_finished(job.file):
        job.keep(sessions, finished=True)
    result = train(project, job.way, job.number, quiet)
    if not quiet:
        print(f"{job.title} (annotator: {project.annotator}): instances {sum(len(s['records']) for s in sessions)}, "
              f"average mAP after training {result['average_map']:.1%}; rounds left: {len(list_left(project))}")
    return result


def train(project: Project, way: str, number: int, quiet: bool = False) -> dict:
    """Train on the labels of a way's rounds up to this one, measure on the held-out videos, and return the result."""
    return run(*prepare_run(project, way, number), quiet=quiet)


def prepare_run(project: Project, way: str, number: int) -> tuple[Config, Path]:
    """Write the annotation file with the labels of a way's rounds up to this one: the run's config and folder."""
    labels = {session["video"]: session["records"] for i in range(1, number + 1)
              for session in read_object(name_file(project, way, i)).get("sessions", [])}
    names = tuple(dict.fromkeys((*project.classes, *(r["label"] for records in labels.values() for r in records))))
    videos = [_labelled(video, labels[video.id], names) if video.id in labels else video
              for batch in project.batches for video in batch]
    place = name_file(project, way, number).with_suffix("")
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


def name_file(project: Project, way: str, number: int) -> Path:
    """Return the file with the sessions of a round; both ways share the first."""
    return project.out / (f"{way.replace(' ', '_')}-{number}.json" if number > 1 else "first-1.json")


def is_finished(file: Path) -> bool:
    """Return whether the round of this file was finished, so that it is not the next one."""
    return bool(read_object(file).get("finished"))


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


def label_all(project: Project, *, quiet: bool = False) -> None:
    """Do all rounds that are not finished yet: label, train, propose, correct. Of your own it does none."""
    while project.annotator == "simulated" and (job := next_round(project, quiet=True)):
        finish_round(project, job, job.sessions, quiet=quiet)


def read_ways(project: Project, *, quiet: bool = True) -> dict[str, list[dict]]:
    """Return the finished rounds of each way as rows of effort and mAP, see `labelling_effort.follow`."""
    ways = {}
    for way in project.ways:
        files = {number: name_file(project, way, number) for number in range(1, len(project.batches) + 1)}
        ways[way] = follow([{"sessions": read_object(file)["sessions"],
                             "average_map": train(project, way, number, quiet)["average_map"]}
                            for number, file in files.items() if is_finished(file)])
    return ways
