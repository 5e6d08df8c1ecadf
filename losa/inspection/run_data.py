"""What a finished run holds: its test videos, ground truth, predictions and, on demand, its model and features."""

import json
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from losa.annotations.dataset import Annotations, Video
from losa.config import Config
from losa.errors import RunError
from losa.evaluation.ap_by_score import ap_table
from losa.evaluation.ground_truth import as_learnt
from losa.evaluation.records import Records
from losa.inference.candidates import Raw, load_raw
from losa.machine import best_device
from losa.model.checkpoint import load_model
from losa.model.losa import LoSA
from losa.taps.open import open_features
from losa.taps.source import FeatureSource


@dataclass(eq=False)
class RunData:
    """A finished run: test videos, ground truth and predictions per video; model and features are loaded on demand.

    `losa.inspection.run_folder.Run` adds pictures to it. truth: of each video first the instances that count by the
    run's protocol (`counted`), then the others. classes: those that AP is computed for.
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
        """Candidates before non-maximum suppression by video, and the model's classes; None if they were not kept."""
        path = self.path / "raw_predictions.npz"
        try:
            return load_raw(path) if path.is_file() else None
        except (BadZipFile, ValueError, KeyError, EOFError) as error:
            raise RunError(f"{path} is damaged ({error}); make it again with `losa test {self.path}`, or remove it: "
                           "soft-NMS then cannot be tried anew") from error

    @cached_property
    def table(self) -> dict:
        """The `ap_table` of all videos. Warns where its average mAP is not that of the run's result.json."""
        table = ap_table(self.truth, self.predictions, self.config.tiou, self.config.protocol)
        now, before = np.mean([row[0] for row in table["average"].values()] or [0.0]), self.result.get("average_map")
        if before is not None and abs(now - before) > 1e-3:
            warnings.warn(f"{self.name}: average mAP is {100 * now:.2f}, result.json says {100 * before:.2f}: "
                          "annotations or predictions have changed since; put back those it was made with, or train "
                          "anew", stacklevel=2)
        return table

    @cached_property
    def model(self) -> LoSA:
        """The trained model in eval mode, on the best device."""
        classes = as_learnt(self.config, self.labelled).classes
        return load_model(self.path, classes=classes)[0].to(best_device())

    @cached_property
    def _features(self) -> FeatureSource:
        needed = tuple(self.videos.values()) if self.config.features else ()  # without any, no frames stay in memory
        return open_features(self.config, needed, device=best_device(), quiet=True, run=self.path)

    def read_log(self) -> list[dict]:
        """Return the rows of log.jsonl, one an epoch. Raises RunError where the run has none that can be read."""
        path = self.path / "log.jsonl"
        try:
            return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({error}), so there are no curves; train the run anew for them"
                           ) from None

    def source(self, video: Video) -> FeatureSource:
        """Return the source of the model's features, with the video in its cache if it has one."""
        if not self._features.has(video):
            self._features.ensure((video,))
        return self._features

    def video(self, video_id: str) -> Video:
        """Return the test video with this id. Raises RunError where there is none."""
        if video_id not in self.videos:
            raise RunError(f"{self.name} has no test video {video_id!r}; choose one of {len(self.videos)}: "
                           f"{', '.join(list(self.videos)[:5])}, ...")
        return self.videos[video_id]
