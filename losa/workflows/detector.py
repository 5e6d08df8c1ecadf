"""A trained run that finds actions in any video: model, features and classes together."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from losa.config import Config, Role, list_fields, replace_late
from losa.errors import OwnVideoError
from losa.files import file_id
from losa.machine import best_device
from losa.model.checkpoint import load_model
from losa.model.losa import LoSA
from losa.presets import postprocess
from losa.taps.cached import CachedTaps
from losa.taps.live import LiveTaps
from losa.taps.open import open_live, resample
from losa.taps.source import FeatureSource

FORMAT = 1  # of what is kept of a finished video; part of its name


class Detector(NamedTuple):
    """A trained model, its classes, and the backbone that feeds it."""

    model: LoSA
    config: Config
    classes: tuple[str, ...]
    live: LiveTaps
    id: str  # of everything a prediction depends on beside the video

    def cached(self, folder: Path) -> tuple[CachedTaps, FeatureSource]:
        """Return a cache of taps in `folder`, and the source of features that reads it."""
        cache = CachedTaps(folder, self.live.recipe)
        return cache, resample(cache, self.config)


def load_detector(run: str | Path, weights: str, post: str, fields: Mapping) -> Detector:
    """Load the run's model and backbone onto the best device, with the config to predict with.

    Raises OwnVideoError for a run that was trained on pre-extracted features.
    """
    run = Path(run)
    _, trained, _ = load_model(run)
    config = replace_late(postprocess(trained, post) if post else trained, dict(fields))
    if config.features:
        raise OwnVideoError(f"{run} was trained on features that others computed ({config.features}): nothing here can "
                            f"compute them from a video. Train a run on taps of a backbone (features='')")
    if config.classifier:
        warnings.warn(f"{run} takes its classes from {config.classifier}, which knows nothing of these videos: every "
                      f"segment is called by what the model itself knows", stacklevel=3)
    device = best_device()
    config = config.replace(weights=weights or config.weights, cache="", classifier="")
    live = open_live(config, device=device, run=run)
    described = resample(live, config).recipe.describe()
    model, _, classes = load_model(run, backbone=described)
    file = run / "model.safetensors" if run.is_dir() else run
    changed = {name: getattr(config, name) for name in list_fields(Role.POST)
               if getattr(config, name) != getattr(trained, name)}
    key = json.dumps([FORMAT, file_id(str(file)), described, *([changed] if changed else [])], sort_keys=True)
    return Detector(model.to(device), config, classes, live, hashlib.sha256(key.encode()).hexdigest())
