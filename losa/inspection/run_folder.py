"""Finished runs, read back from their folders: videos, truth, predictions, model, and mAP at every score threshold."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from losa.annotations.dataset import Annotations, Video, load_annotations
from losa.config import Config
from losa.errors import AnnotationError, ConfigError, RunError
from losa.evaluation.records import Records, read_predictions
from losa.evaluation.targets import judged_by, seen_by, truth_for
from losa.evaluation.thresholds import ap_table, counted
from losa.files import read_object
from losa.inference.candidates import Raw, load_raw
from losa.machine import best_device
from losa.model.checkpoint import load_model
from losa.model.losa import LoSA
from losa.taps.open import open_features
from losa.taps.source import FeatureSource

FILES = ("annotations", "cache", "features", "weights", "ground_truth", "block_list", "classifier")  # fields with paths


@dataclass(eq=False)
class Run:
    """A finished run: its test videos, what happens in them and what was predicted, per video; model on demand.

    truth: of each video first the instances that count by the run's protocol (`counted`), then the others.
    """

    name: str
    path: Path
    config: Config = field(repr=False)
    labelled: Annotations = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    videos: dict[str, Video] = field(repr=False)
    truth: Records = field(repr=False)
    predictions: Records = field(repr=False)
    result: dict = field(repr=False)

    @cached_property
    def raw(self) -> tuple[dict[str, Raw], tuple[str, ...]] | None:
        """(candidates before suppression per video, the model's classes); None where they were not kept."""
        path = self.path / "raw_predictions.npz"
        try:
            return load_raw(path) if path.is_file() else None
        except (BadZipFile, ValueError, KeyError, EOFError) as error:
            raise RunError(f"{path} is damaged ({error}); make it again with `losa test {self.path}`, or remove it: "
                           "soft-NMS then cannot be tried anew") from error

    @cached_property
    def table(self) -> dict:
        """The `ap_table` of all videos; warns where it is not what the run was told when it ended."""
        table = ap_table(self.truth, self.predictions, self.config.tiou, self.config.protocol)
        now, told = np.mean([row[0] for row in table["average"].values()] or [0.0]), self.result.get("average_map")
        if told is not None and abs(now - told) > 1e-3:
            warnings.warn(f"{self.name}: average mAP is {100 * now:.2f}, result.json says {100 * told:.2f}: "
                          "annotations or predictions have changed since; put back those it was made with, or train "
                          "anew", stacklevel=2)
        return table

    @cached_property
    def model(self) -> LoSA:
        """The trained model in eval mode, on the best device."""
        known = seen_by(self.config, self.labelled).classes
        return load_model(self.path, classes=known)[0].to(best_device())

    @cached_property
    def _features(self) -> FeatureSource:
        needed = tuple(self.videos.values()) if self.config.features else ()  # without any, no frames stay in memory
        return open_features(self.config, needed, device=best_device(), quiet=True, run=self.path)

    def source(self, video: Video) -> FeatureSource:
        """Return the source of the model's features, with the video in its cache if it has one."""
        if not self._features.has(video):
            self._features.ensure((video,))
        return self._features

    def video(self, video_id: str) -> Video:
        """The test video of this id. Raises RunError where there is none."""
        if video_id not in self.videos:
            raise RunError(f"{self.name} has no test video {video_id!r}; choose one of {len(self.videos)}: "
                           f"{', '.join(list(self.videos)[:5])}, ...")
        return self.videos[video_id]


# --- runs on disk ---------------------------------------------------------------------------------------------------


def find_runs(folder: str | Path) -> dict[str, Path]:
    """Every finished run at or below a folder, by its path below it. Raises RunError where there is no such folder."""
    folder = folder_of(folder)
    places = sorted(path.parent for path in folder.rglob("result.json"))
    return {place.relative_to(folder).as_posix() if place != folder else folder.resolve().name: place
            for place in places if not lacking(place)}


def folder_of(folder: str | Path) -> Path:
    """The folder, a relative one from here or from the nearest folder above: notebooks lie beside runs, not above.

    Raises RunError where there is none.
    """
    places = [place / folder for place in (Path(), *Path.cwd().parents)]
    if found := next((place for place in places if place.is_dir()), None):
        return found
    raise RunError(f"{folder} is no folder (looked for in {Path.cwd()} and above); give one with runs in it, or make "
                   "some with `make demo`")


def lacking(path: Path) -> str:
    """What a folder lacks to be a finished run; empty where it is one."""
    missing = [name for name in ("config.json", "result.json", "predictions.json") if not (path / name).is_file()]
    if missing:
        return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there"
    status = read_object(path / "status.json").get("status", "ok")
    if status != "ok":
        return f"status.json says {status!r}"
    return "" if "average_map" in read_object(path / "result.json") else "result.json holds no average_map"


def open_run(path: str | Path, name: str = "") -> Run:
    """The finished run in a folder; `name` is what it is called in pictures, its folder's name by default.

    Relative paths in its config are looked for here, then in the folders above the run.
    Raises RunError where there is no run, it has not ended, or its annotations or videos have moved.
    """
    path = Path(path)
    if not (path / "config.json").is_file():
        raise RunError(f"there is no run at {path} (no config.json); give the folder of one, such as runs/demo/losa "
                       "after `make demo`")
    why = lacking(path)
    if why:
        raise RunError(f"the run at {path} is not finished: {why}; go on with it by `losa train {path}`, as it was "
                       "begun")
    config = located(Config.load(path / "config.json"), path)
    try:
        labelled = annotations_of(config.annotations, Path(config.annotations).stat().st_mtime_ns)
        truth, left_out = truth_for(config, labelled, config.test_subset)
    except (AnnotationError, ConfigError, FileNotFoundError) as error:
        raise RunError(f"the data of the run at {path} are not as they were: {error}") from error
    videos = {v.id: v for v in labelled.subset(config.test_subset) if v.id not in left_out}
    for video_id, records in truth.items():
        first = counted(records, config.protocol)
        known = set(map(id, first))
        truth[video_id] = first + [r for r in records if id(r) not in known]
    return Run(name or path.resolve().name, path, config, labelled, judged_by(config, labelled).classes, videos, truth,
               read_predictions(path / "predictions.json"), read_object(path / "result.json"))


@lru_cache(maxsize=4)
def annotations_of(path: str, changed: int) -> Annotations:
    """The checked content of an annotation file that was changed at this time."""
    return load_annotations(path)


def located(config: Config, path: Path) -> Config:
    """The config with paths that lead from here to its files, wherever above the run they start."""
    for base in (Path(), *path.resolve().parents):
        if (base / config.annotations).exists():
            moved = {name: str(base / value) for name in FILES if (value := getattr(config, name))
                     and (base / value).exists()}
            return config.replace(**moved)
    raise RunError(f"the run at {path} names annotations at {config.annotations}, which are not there: looked for in "
                   f"{Path.cwd()} and above the run; work in the folder it was trained from, or put them back")


# --- average precision at every threshold -----------------------------------------------------------------------------
