"""`losa data extract`: the taps of a whole data set or of a folder of videos, and features for other people's code."""

from pathlib import Path

import numpy as np

from losa.annotations.dataset import Video, load_annotations
from losa.config import Config
from losa.errors import ConfigError
from losa.machine import best_device
from losa.taps.export import export as export_features
from losa.taps.extract import extract, list_failed
from losa.taps.open import count_decoders, open_cache, resample
from losa.video.folder import find_videos
from losa.video.probe_pool import probe_many


def extract_all(config: Config, *, videos: str | Path | None = None, export: str | Path | None = None,
                quiet: bool = False) -> dict[str, str]:
    """Compute the taps of all videos into the config's cache; return {id: why} of those that failed.

    Stopped and called again, it continues. videos: a folder of videos, in place of the config's annotations.
    export: a folder to write the last layer's features into as well, <id>.npy (T, C), see `losa.taps.export.export`.

    Raises ConfigError for a config with `features` or without a cache, OwnVideoError for a folder without videos.
    """
    if config.features:
        raise ConfigError(f"features={config.features!r} are there already; leave them out to compute some from videos")
    if not config.cache:
        raise ConfigError("cache='' keeps nothing; give the folder that the taps are to be kept in")
    failed = {}
    if videos is None:
        chosen = load_annotations(config.annotations, missing="drop").videos
    else:
        chosen = list_folder_videos(videos, failed)
    device = best_device()
    cache, live = open_cache(config, device)
    done = extract(cache, live, chosen, num_workers=count_decoders(config, device), quiet=quiet)
    failed |= done.failed
    trained = [video for video in chosen if video.subset == config.train_subset]
    for copy in range(1, config.copies):
        failed |= extract(cache, live, trained, copy=copy, num_workers=count_decoders(config, device),
                          quiet=quiet).failed
    kept = [video for video in chosen if video.id not in failed and cache.has(video)]
    if export is not None and kept:
        export_features(resample(cache, config), kept, export, quiet=quiet)
    if not quiet:
        print(done if done.done or done.failed else f"taps cache: all {len(chosen)} videos are in {cache.folder}")
        if failed:
            print(f"{len(failed)} videos failed:\n{list_failed(failed, len(failed))}")
    return failed


def list_folder_videos(folder: str | Path, failed: dict[str, str]) -> tuple[Video, ...]:
    """Return a record without segments of every video in a folder; adds unreadable files to `failed`."""
    files = find_videos(Path(folder))
    infos, whys = probe_many(files.values())
    failed |= {name: whys[path] for name, path in files.items() if path in whys}
    none, labels = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    return tuple(Video(name, "", path, 0.0, infos[path].duration, none, labels, infos[path].fps)
                 for name, path in files.items() if path in infos)
