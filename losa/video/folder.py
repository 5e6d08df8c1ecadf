"""Find the videos in a folder and name them."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from losa.errors import OwnVideoError

VIDEO_SUFFIXES = frozenset([".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4",
                            ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
                            ".y4m"])  # fmt: skip


def find_videos(what: Path) -> dict[str, Path]:
    """Return {id: file} of one video file, or of all videos in a folder and its sub-folders, without hidden ones.

    The id is the path inside the folder without its ending. Where two ids would be the same (also on a disk that
    ignores capitals), they keep their ending or get a number. Raises OwnVideoError where there is no video.
    """
    if what.is_file():
        return {readable(what.stem): what}
    if not what.is_dir():
        raise OwnVideoError(f"{what}: there is no such file or folder; give a video, or a folder of videos")
    inside = [(path.relative_to(what), path) for path in what.rglob("*")]
    inside = sorted((name, path) for name, path in inside
                    if not any(part.startswith(".") for part in name.parts) and path.is_file())
    videos = [(name, path) for name, path in inside if name.suffix.lower() in VIDEO_SUFFIXES]
    if not videos:
        raise OwnVideoError(f"{what} holds no video, only {len(inside)} other files; looked in all its sub-folders for "
                            f"{', '.join(sorted(VIDEO_SUFFIXES))}")
    counts = Counter(fold(readable(name.with_suffix("").as_posix())) for name, _ in videos)
    videos_by_id, taken = {}, set()
    for name, path in videos:
        short = readable(name.with_suffix("").as_posix())
        own = short if counts[fold(short)] == 1 else readable(name.as_posix())
        unique, number = own, 2
        while fold(unique) in taken:
            unique, number = f"{own}~{number}", number + 1
        taken.add(fold(unique))
        videos_by_id[unique] = path
    return videos_by_id


def fold(name: str) -> str:
    """Return the name as disks compare it that ignore capitals and the two ways to write an ü."""
    return unicodedata.normalize("NFC", name).casefold()


def readable(path: str | Path) -> str:
    """Return the path as text that can be written as UTF-8, even where its own bytes cannot."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def find_given_paths(here: Path, *, videos: str, labels: str, new_videos: str = "") -> list[Path | None]:
    """Return the three paths as `Path`, below the folder `here` where they exist there; None for an empty one.

    Raises OwnVideoError if only one of `videos` and `labels` is set, FileNotFoundError for what does not exist.
    """
    if bool(videos) != bool(labels):
        raise OwnVideoError(f"set the parameter `{'labels' if videos else 'videos'}`, too: `videos` is the folder of "
                            "your videos, `labels` the CSV about them, and they go together")
    return find_paths(here, (videos, labels, new_videos))


def find_paths(here: Path, texts: Sequence[str]) -> list[Path | None]:
    """Return paths as they are meant: "~" is the home, a relative one counts from `here` if it is there; None for "".

    Raises FileNotFoundError that names all that do not exist.
    """
    paths = [Path(text).expanduser() if text else None for text in texts]
    paths = [here / path if path and (here / path).exists() else path for path in paths]
    missing = [str(path) for path in paths if path and not path.exists()]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: neither in {here} nor in {Path.cwd()}; give the whole path")
    return paths
