"""Annotation files for tests, and what was read of them in plain lists."""

import json
from pathlib import Path

from helpers.video_files import write_video


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def write_json(path: Path, database: dict, **more) -> Path:
    """Write a file in ActivityNet's layout."""
    return write_text(path, json.dumps({"database": database, **more}))


def record(*instances, subset="train", duration=10.0, **more) -> dict:
    """Return a video of such a file, from (label, start, end) of its instances."""
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in instances]
    return {"subset": subset, "duration": duration, "annotations": annotations, **more}


CLEAN = {"v": record(("jump", 1, 2), ("sit", 3, 4)), "w": record(("jump", 1, 2), ("sit", 4, 5), subset="val")}


def by_id(annotations) -> dict:
    """Return {video id: [(label name, start, end)]}, written independently of how records are stored."""
    return {
        video.id: [(annotations.classes[i], *s) for i, s in zip(video.labels, video.segments.tolist(), strict=True)]
        for video in annotations.videos
    }


def write_csv(path: Path, *lines: str) -> Path:
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_three_videos(folder: Path) -> Path:
    """Make three good barcoded videos of 4, 2 and 2 s at 25 fps, one of them in a sub-folder."""
    (folder / "more").mkdir(parents=True)
    write_video(folder / "one.mp4", 100)
    write_video(folder / "two.mkv", 50)
    write_video(folder / "more" / "three.mp4", 50)
    return folder


def make_mixed_videos(folder: Path) -> Path:
    """Make files of 4 s at 25 fps: one.mp4, more/two.mp4, three.mkv; a broken one, and one nobody names."""
    (folder / "more").mkdir(parents=True)
    for name, length in (("one.mp4", 100), ("more/two.mp4", 101), ("three.mkv", 102), ("extra.mp4", 25)):
        write_video(folder / name, length)
    (folder / "broken.mp4").write_bytes((folder / "one.mp4").read_bytes()[:900])
    return folder


def instances(entries) -> dict:
    """Return {video id: its instances} of entries."""
    return {entry.id: entry.instances for entry in entries}
