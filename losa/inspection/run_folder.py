"""Finished runs on disk: find them, open one, and look at its curves, timeline and gates."""

from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from ipywidgets import VBox
from matplotlib.figure import Figure

from losa.annotations.dataset import Annotations, load_annotations
from losa.config import Config, Mark, list_fields
from losa.errors import AnnotationError, ConfigError, RunError
from losa.evaluation.ap_by_score import counted
from losa.evaluation.ground_truth import as_judged, choose_truth
from losa.evaluation.records import read_predictions
from losa.evaluation.tagged import TAGS, evaluate_without
from losa.files import read_object
from losa.inspection.error_table import diagnose_run, list_errors
from losa.inspection.model_internals import features_view, gate_profile, gates_view, mean_gates, tapped_layers
from losa.inspection.run_data import RunData
from losa.inspection.run_figures import gate_bars, training_curves
from losa.inspection.segments_view import segment_pictures, segments_view
from losa.inspection.similar_moments import LAST, find_doubts, find_similar
from losa.inspection.tags import Tags
from losa.inspection.timeline_data import timeline_view, video_table
from losa.model.adapters import spans
from widgets.compare import Compare
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.segments import Segments
from widgets.timeline import Timeline

FILES = ("cache", *(name for name in list_fields(Mark.FILE) if name not in ("start", "adapter")))  # looked for anew


class Run(RunData):
    """A finished run as `open_run` returns it, with the views that notebooks show first."""

    def curves(self) -> Figure:
        """Draw the losses and the val mAP (%) over the epochs, and the test mAP where the run tracked it.

        Raises RunError where the run has no log.jsonl.
        """
        rows = self.read_log()
        figure = training_curves({self.name: rows})
        tracked = [row for row in rows if row.get("test_map") is not None]
        if tracked:
            axis = figure.axes[1]
            axis.plot([row["epoch"] for row in tracked], [100 * row["test_map"] for row in tracked], "s--",
                      color="#888888", markersize=4, label="test, never chosen by")
            axis.set_title("validation and test")
            axis.legend(frameon=False, fontsize=8)
        return figure

    def epochs(self) -> VBox:
        """Return how this run learnt: gates and predictions of one video of validation, on a slider over the epochs.

        Raises RunError for a run that kept no snapshots.
        """
        from losa.inspection.epochs import EpochDesk  # needs all that trains, which takes seconds to import

        return EpochDesk(self)

    def timeline(self, video_id: str, *, min_score: float = 0.25) -> Timeline:
        """Return a clickable timeline of a test video: its ground truth and this run's predictions.

        min_score: predictions below it are hidden at first. Raises RunError for an unknown video.
        """
        return Timeline(**timeline_view({self.name: self}, video_id), min_score=min_score)

    def compare(self, other: RunData, video_id: str, *, min_score: float = 0.25) -> Compare:
        """Return a timeline of a test video with another run's predictions beside these, and where they differ."""
        name = other.name if other.name != self.name else str(other.path)
        return Compare(**timeline_view({name: other, self.name: self}, video_id), min_score=min_score)

    def gates(self, video_id: str) -> Gates:
        """Return the gates of this run's model over a test video, and by class and length over all of them.

        Raises RunError for an unknown video.
        """
        return Gates(**gates_view(self, video_id, gate_profile(self)))

    def gate_means(self, video_id: str) -> pd.DataFrame:
        """Return how far each gate is open over a test video, on average: block, range, gate; no row without gates."""
        gates, layers = mean_gates(self, video_id), tapped_layers(self, self.video(video_id))
        rows = [] if gates is None else [(layer, name, gate) for layer, row in zip(layers, gates.tolist(), strict=True)
                                         for name, gate in zip(spans(self.config.ranges), row, strict=True)]
        return pd.DataFrame(rows, columns=["block", "range", "gate"])

    def gate_bars(self, video_id: str) -> Figure:
        """Draw `gate_means` as bars."""
        layers = tapped_layers(self, self.video(video_id))
        return gate_bars(mean_gates(self, video_id), layers, spans(self.config.ranges))

    def features(self, video_id: str) -> Features:
        """Return what the model sees in a test video: taps, last layer and fused features, and what is alike."""
        return Features(**features_view(self, video_id))

    def errors(self, min_score: float = 0.25) -> pd.DataFrame:
        """Return a row per wrong prediction with at least `min_score`, see `error_table.list_errors`."""
        return list_errors(self, min_score)

    def diagnosis(self, min_score: float = 0.25) -> Diagnosis:
        """Return the kinds of error of all predictions with at least `min_score`, and what mending each would add."""
        shown = Diagnosis(diagnose_run(self, min_score), truth=self.truth, predictions=self.predictions,
                          classes=self.classes, title=self.name, frames=segment_pictures(self))
        shown.let_tag(TAGS, self.tags.put, self.tags.places())
        return shown

    def segments(self, min_score: float = 0.25) -> Segments:
        """Return a table of all test segments: predictions with at least `min_score`, and ground truth, to be tagged.

        It is filtered, sorted, and looked through for moments that are alike; see `losa.inspection.segments_view`.
        """
        shown = Segments(**segments_view(self, min_score))
        shown.let_tag(TAGS, self.tags.put, self.tags.places())
        return shown

    def similar(self, video: str, kind: str, index: int, *, k: int = 10, tap: str = LAST) -> pd.DataFrame:
        """Return the k moments of all subsets that are most like a segment, see `find_similar`."""
        return find_similar(self, video, kind, index, k=k, tap=tap)

    def doubtful_labels(self, *, k: int = 10, tap: str = LAST) -> pd.DataFrame:
        """Return the ground truth whose nearest neighbours have another label, see `find_doubts`."""
        return find_doubts(self, k=k, tap=tap)

    @cached_property
    def tags(self) -> Tags:
        """What people said of this run's segments: `table`, `put`, `proposals`, `export`; kept in its tags.json."""
        return Tags(self.path, self.truth, self.predictions)

    def evaluate_without(self, *tags: str) -> pd.DataFrame:
        """Return mAP (%) and counts of everything, and without the segments that have one of these tags.

        tags: by default "ambiguous". See `losa.evaluation.tagged.evaluate_without`; result.json stays as it is.
        """
        found = evaluate_without(self.truth, self.predictions, self.tags.all, self.config.tiou, self.config.protocol,
                                 tags or ("ambiguous",))
        return compare_without(found)

    def video_table(self, *, min_score: float = 0.25) -> pd.DataFrame:
        """Return a row per test video with its mAP and errors, see `losa.inspection.timeline_data.video_table`."""
        return video_table(self, min_score=min_score)


def compare_without(found: dict) -> pd.DataFrame:
    """Return both evaluations of `evaluate_without` side by side: mAP (%) by tIoU and on average, and the counts."""
    sides = {"everything": found["all"], f"without {' and '.join(found['tags'])}": found["without"]}
    rows = {name: {**{f"mAP at tIoU {t:g}": 100 * value for t, value in zip(side["tiou"], side["map"], strict=True)},
                   "average mAP": 100 * side["average_map"], "instances": side["num_ground_truth"],
                   "classes": len(side["per_class"]), "predictions": side["num_predictions"],
                   "predictions forgiven by the tags": 0 if side is found["all"] else found["num_forgiven"]}
            for name, side in sides.items()}  # fmt: skip
    return pd.DataFrame(rows)


def find_runs(folder: str | Path) -> dict[str, Path]:
    """Return every finished run at or below a folder, by its path below it. Raises RunError for a missing folder."""
    folder = find_folder(folder)
    places = sorted(path.parent for path in folder.rglob("result.json"))
    return {place.relative_to(folder).as_posix() if place != folder else folder.resolve().name: place
            for place in places if not why_unfinished(place)}


def find_folder(folder: str | Path) -> Path:
    """Return a folder, looked for in the current folder and those above it: notebooks lie beside runs, not above.

    Raises RunError where there is none.
    """
    for place in (Path(), *Path.cwd().parents):
        if (place / folder).is_dir():
            return place / folder
    raise RunError(f"{folder} is no folder (looked for in {Path.cwd()} and above); give one with runs in it, or make "
                   "some with `make demo`")


def why_unfinished(path: Path) -> str:
    """Return why a folder is no finished run; "" where it is one."""
    missing = [name for name in ("config.json", "result.json", "predictions.json") if not (path / name).is_file()]
    if missing:
        return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there"
    status = read_object(path / "status.json").get("status", "ok")
    if status != "ok":
        return f"status.json says {status!r}"
    return "" if "average_map" in read_object(path / "result.json") else "result.json holds no average_map"


def open_run(path: str | Path, name: str = "") -> Run:
    """Open the finished run in a folder; `name` is what pictures call it, by default its folder's name.

    Relative paths in its config are looked for in the current folder, then in the folders above the run.
    Raises RunError where there is no run, it has not ended, another version of losa wrote it in a way that this one
    cannot read, or its annotations have moved.
    """
    path = Path(path)
    if not (path / "config.json").is_file():
        raise RunError(f"there is no run at {path} (no config.json); give the folder of one, such as runs/demo/losa "
                       "after `make demo`")
    why = why_unfinished(path)
    if why:
        raise RunError(f"the run at {path} is not finished: {why}; go on with it by `losa train {path}`, as it was "
                       "begun")
    try:
        config = Config.load(path / "config.json")
    except ConfigError as error:
        raise RunError(f"the run at {path} cannot be opened: {error}. {explain_version(path)}") from error
    config = find_files(config, path)
    try:
        labelled = read_annotations(config.annotations, Path(config.annotations).stat().st_mtime_ns)
        truth, left_out = choose_truth(config, labelled, config.test_subset)
    except (AnnotationError, ConfigError, FileNotFoundError) as error:
        raise RunError(f"the data of the run at {path} are not as they were: {error}") from error
    videos = {v.id: v for v in labelled.subset(config.test_subset, need_labels=False) if v.id not in left_out}
    for video_id, records in truth.items():
        first = counted(records, config.protocol)
        counts = set(map(id, first))
        truth[video_id] = first + [r for r in records if id(r) not in counts]
    return Run(name or path.resolve().name, path, config, labelled, as_judged(config, labelled).classes, videos, truth,
               read_predictions(path / "predictions.json"), read_object(path / "result.json"))


@lru_cache(maxsize=4)
def read_annotations(path: str, changed: int) -> Annotations:
    """Read an annotation file; `changed`, its time of change, is part of the cache's key."""
    return load_annotations(path)


def explain_version(path: Path) -> str:
    """Return a sentence on which version of losa wrote a run, as far as known, and what to do."""
    wrote = read_object(path / "status.json").get("version")
    writer = f"losa {wrote}" if wrote else "a version of losa that it does not name"
    return f"It was written by {writer}, this is losa {version('losa')}: open it with that version, or train it anew"


def find_files(config: Config, path: Path) -> Config:
    """Return the config with paths that lead to its files from the current folder, wherever above the run they start.

    Raises RunError where the annotations are not found.
    """
    for base in (Path(), *path.resolve().parents):
        if (base / config.annotations).exists():
            moved = {name: str(base / value) for name in FILES if (value := getattr(config, name))
                     and (base / value).exists()}
            return config.replace(**moved)
    raise RunError(f"the run at {path} names annotations at {config.annotations}, which are not there: looked for in "
                   f"{Path.cwd()} and above the run; work in the folder it was trained from, or put them back")
