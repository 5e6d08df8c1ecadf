"""That every source answers what the protocol promises, in the shapes it promises, also as a copy in a worker."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.made_sources import Numbers, Waves
from losa.annotations.dataset import load_annotations
from losa.errors import AnnotationError, CacheError, FeatureError, LosaError, VideoError
from losa.presets import PRESETS
from losa.segments import Grid
from losa.taps.cached import CachedTaps
from losa.taps.export import export
from losa.taps.live import LiveTaps
from losa.taps.npy import NpyFeatures
from losa.taps.open import open_features
from losa.taps.resampled import Resampled
from losa.taps.source import FeatureSource
from losa.taps.tuned import TunedTaps

KINDS = {"live": LiveTaps, "cached": CachedTaps, "tuned": TunedTaps, "npy": NpyFeatures}


@pytest.fixture(scope="module")
def videos(tiny):
    return load_annotations(tiny / "world" / "annotations.json").videos[:2]


@pytest.fixture(scope="module")
def open_kind(tiny, videos, tmp_path_factory):
    """A function from the name of a kind of source to one of it, of `videos`."""
    folder = tmp_path_factory.mktemp("kinds")
    config = PRESETS["tiny"](tiny, cache=str(folder / "cache"), frame_stride=4, mode="head_only")

    def open_kind(name, **fields):
        if name == "npy" and not (folder / "npy").exists():
            export(open_features(config, videos, quiet=True), videos, folder / "npy", quiet=True)
        how = {"live": {"cache": ""}, "tuned": {"cache": "", "mode": "inside"}, "cached": {},
               "npy": {"cache": "", "features": str(folder / "npy"), "taps": "none"}}[name]
        return open_features(config.replace(**how, **fields), videos, quiet=True)

    return open_kind


@pytest.mark.parametrize("fields", [{}, {"snippets_per_video": 20}], ids=["", "resampled"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_source_answers_everything(open_kind, videos, kind, fields):
    source, video = open_kind(kind, **fields), videos[0]
    assert isinstance(source, FeatureSource) and isinstance(source, Resampled if fields else KINDS[kind])
    source.ensure(videos)
    assert source.has(video) == (kind in ("cached", "npy")) and not source.has(video, 5)
    assert isinstance(source.time_grid(video), Grid) and source.num_snippets(video) > 9
    assert (source.tuned is not None) == (kind == "tuned")
    assert source.recipe.describe()["dim"] == source.recipe.dim
    assert sum(source.decode_counts(videos).values()) == (0 if kind == "npy" else 2)
    tapped, last = source.features(source.fetch(video, 2, 9))
    assert last.shape == (source.recipe.dim, 7) and last.dtype == tapped.dtype == torch.float32
    assert tapped.shape[:3] == (len(source.recipe.layers), source.recipe.dim, 7) and tapped.dim() == 5


@pytest.mark.parametrize("fields", [{}, {"snippets_per_video": 20}], ids=["", "resampled"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_in_a_worker_fetches_the_same_and_carries_no_weights(open_kind, videos, kind, fields):
    source = open_kind(kind, **fields)
    sent = pickle.dumps(source)
    copy = pickle.loads(sent)
    assert len(sent) < 100_000 and copy.tuned is None
    assert copy.num_snippets(videos[1]) == source.num_snippets(videos[1])
    features = [source.features(x.fetch(videos[1], 3, 8))[1] for x in (source, copy)]
    assert torch.equal(*features)


def test_what_a_source_cannot_have_is_said(open_kind, videos, tmp_path):
    other, gone = replace(videos[0], id="other"), replace(videos[0], path=tmp_path / "gone.mp4")
    for kind, video, error, why in (("live", gone, VideoError, "no such file"), ("npy", other, FeatureError, "other"),
                                    ("tuned", gone, VideoError, "no such file"),
                                    ("cached", gone, CacheError, "1 of 1 videos have no taps"),
                                    ("live", replace(gone, path=None), AnnotationError, "has no file")):
        with pytest.raises(error, match=why) as caught:
            open_kind(kind).ensure([video])
        assert isinstance(caught.value, LosaError)


def test_sources_that_are_made_up_for_tests_keep_to_the_protocol():
    for source in (Numbers(9), Waves(9)):
        assert isinstance(source, FeatureSource)
        assert np.array_equal(source.features(source.fetch(None, 2, 5))[0].shape[2:], (3, 1, 1))
