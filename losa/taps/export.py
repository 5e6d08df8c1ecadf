"""Write last-layer features as .npy files, in the layout that ActionFormer and OpenTAD read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from losa.annotations.dataset import Video
from losa.errors import FeatureError
from losa.files import replacing, write_json
from losa.taps.feature_names import check_name
from losa.taps.npy import CARD
from losa.taps.source import FeatureSource


def export(source: FeatureSource, videos: Sequence[Video], out: str | Path, *, quiet: bool = False) -> Path:
    """Write the last layer's features of every video into the folder `out`, and return it.

    <id>.npy holds (T, C) float32. card.json holds what to enter in ActionFormer and OpenTAD: `stride` (feat_stride,
    feature_stride), `frames` (num_frames; OpenTAD's offset_frames is half of it) and `fps` per video. Both count the
    video's own frames where every n-th was read, else the sampled ones.

    Raises FeatureError where stride and offset are not the same for all videos, as with `snippets_per_video`.
    """
    out, grids = Path(out), {video.id: source.time_grid(video) for video in videos}
    r = source.recipe
    native = getattr(r, "frame_stride", 1) if not (getattr(r, "sample_fps", None) or
                                                   getattr(r, "frames_per_video", None)) else 1
    spacings = {(round(g.tubelet * native, 6), round(2 * g.centre * native, 6)) for g in grids.values()}
    if len(spacings) != 1:
        raise FeatureError(f"{len(videos)} videos have {len(spacings)} different strides and offsets, a folder of "
                           f"features has one; export without snippets_per_video, the reader resamples by itself")
    stride, frames = spacings.pop()
    out.mkdir(parents=True, exist_ok=True)
    (out / CARD).unlink(missing_ok=True)
    for video in tqdm(videos, desc="export", unit="video", disable=quiet):
        _write_features(source, video, out / f"{check_name(video.id)}.npy")
    described = source.recipe.describe()
    card = {"stride": stride, "frames": frames, "offset": frames / 2, "dim": source.recipe.dim, "layout": "(T, C)",
            "fps": {name: grid.sampled_fps * native for name, grid in grids.items()},
            "source": described.get("weights") or described.get("source", ""), "recipe": described}
    write_json(out / CARD, card)
    return out


def _write_features(source: FeatureSource, video: Video, path: Path, few: int = 1024) -> None:
    """Write one file, whole or not at all, with `few` snippets in memory at a time."""
    total = source.num_snippets(video)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        shape = (total, source.recipe.dim)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, total, few):
            last = source.features(source.fetch(video, start, min(total, start + few)))[1]
            file.write(last.T.float().cpu().contiguous().numpy().astype("<f4").tobytes())
