"""What training asks of the model, for pictures of it: which points must find a segment, and what a window looks like.

Each function returns plain values for a figure of `losa.reports.data_figures`; times are in seconds unless a name ends
in `_grid`. Assignment is ActionFormer's (see `losa.model.points`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from losa.annotations.dataset import Video
from losa.config import Config
from losa.model.points import assign, points
from losa.taps.batch import ROUND
from losa.taps.source import FeatureSource
from losa.training.windows import choose_window, clip_segments
from losa.video.reader import get_reader


def video_frames(video: Video) -> dict:
    """Return how to read a video's frames, and when each is shown: keywords of `data_figures.filmstrip`."""
    reader = get_reader(str(video.path))
    return {"read": reader.read, "timestamps": reader.timestamps}


def assign_on_time_grid(source: FeatureSource, video: Video, record: Mapping, num_levels: int,
                        classes: Sequence[str]) -> dict:
    """Return how one segment of a video lies over frames, clips, snippets and the points of all levels.

    The keywords of `data_figures.time_grid`.
    """
    grid, recipe, num_snippets = source.time_grid(video), source.recipe, source.num_snippets(video)
    pyramid, step = points(num_snippets, num_levels), grid.snippet_seconds
    segments_grid = torch.tensor(grid.to_grid(video.segments)).float()
    targets = assign(pyramid, segments_grid, torch.tensor(video.labels), len(classes))
    return {"record": record, "fps": grid.sampled_fps, "clip": recipe.clip_length / grid.sampled_fps, "tubelet": step,
            "snippets": grid.to_seconds(np.arange(num_snippets)), "positive": targets.positive, "margin": 2.5,
            "points": (grid.to_seconds(pyramid.positions_grid), pyramid.strides * step, pyramid.ranges_grid * step),
            "classes": classes}


def find_levels(source: FeatureSource, videos: Sequence[Video], num_levels: int) -> list[int]:
    """Return for every segment, video after video, the pyramid level that most of its positive points lie on; -1: none.
    """
    levels = []
    for video in videos:
        grid = source.time_grid(videos[0])
        pyramid = points(int(video.duration / grid.snippet_seconds) + 1, num_levels)
        for segment_grid in torch.tensor(grid.to_grid(video.segments)).float():
            targets = assign(pyramid, segment_grid[None], torch.zeros(1).long(), 1)
            strides = pyramid.strides[targets.positive]
            levels.append(int(strides.log2().mode().values) if len(strides) else -1)
    return levels


def crop_batch(source: FeatureSource, videos: Sequence[Video], config: Config, classes: Sequence[str],
               seed: int = 0) -> list[dict]:
    """Return where the training window of each video of a batch lies, as one step of training would draw it.

    Rows for `data_figures.batch_windows`, with the window also in snippets: start, length and the padded length, which
    all windows of a batch share.
    """
    grids = [source.time_grid(video) for video in videos]
    crops = [choose_window(np.random.default_rng([seed, i]), source.num_snippets(video), grid.to_grid(video.segments),
                           config.window, config.crop_ratio)
             for i, (video, grid) in enumerate(zip(videos, grids, strict=True))]
    padded = -(-max(length for _, length in crops) // ROUND) * ROUND
    return [{"title": video.id, "duration": video.duration, "segments": video.records(classes),
             "window": grid.to_seconds(np.array([start, start + length, start + padded]) - 0.5),
             "start": start, "length": length, "padded": padded}
            for video, grid, (start, length) in zip(videos, grids, crops, strict=True)]


def window_as_the_model_sees_it(source: FeatureSource, video: Video, crop: Mapping, config: Config,
                                classes: Sequence[str]) -> dict:
    """Return features, mask and targets of one window of `crop_batch`: keywords of `data_figures.window_targets`."""
    start, length, padded = crop["start"], crop["length"], crop["padded"]
    segments_grid, kept = clip_segments(source.time_grid(video).to_grid(video.segments), start, start + length)
    segments_grid, labels = torch.tensor(segments_grid - start).float(), video.labels[kept]
    pyramid = points(padded, config.head_levels)
    targets = assign(pyramid, segments_grid, torch.tensor(labels), len(classes))
    taps, last = source.features(source.fetch(video, start, start + length))
    layer = min(1, len(taps) - 1)
    return {"features": {f"tap of block {source.recipe.layers[layer]}": taps[layer, :, :, 0, 0], "last layer": last},
            "mask": np.arange(padded) < length, "strides": pyramid.strides, "targets": targets.classes,
            "records": [{"segment": segment, "label": classes[label]}
                        for segment, label in zip(segments_grid.tolist(), labels, strict=True)], "classes": classes}
