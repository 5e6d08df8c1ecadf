"""Find the videos in a folder and name them."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

from losa.errors import OwnVideoError

VIDEO_SUFFIXES = frozenset([".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4",
                            ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
                            ".y4m"])  # fmt: skip


def find_videos(what: Path) -> dict[str, Path]:
    """{id: file} of one file, or of all videos in a folder and below; hidden files and folders are left out.

    The id is the path in the folder without its ending; where two would be the same, also on a disk that takes no
    notice of capitals, it keeps the ending or gets a number.
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
    plain = Counter(same(readable(name.with_suffix("").as_posix())) for name, _ in videos)
    found, taken = {}, set()
    for name, path in videos:
        short = readable(name.with_suffix("").as_posix())
        own = short if plain[same(short)] == 1 else readable(name.as_posix())
        unique, number = own, 2
        while same(unique) in taken:
            unique, number = f"{own}~{number}", number + 1
        taken.add(same(unique))
        found[unique] = path
    return found


def same(name: str) -> str:
    """The name as disks compare it that know neither capitals nor two ways to write an ü."""
    return unicodedata.normalize("NFC", name).casefold()


def readable(path: str | Path) -> str:
    """The path as text that every file can hold, also where its bytes are no UTF-8."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def given_paths(here: Path, *, videos: str, labels: str, new_videos: str = "") -> list[Path | None]:
    """The three paths, seen from `here` where they exist there; None for an empty one.

    Raises ValueError if only one of `videos` and `labels` is set, FileNotFoundError for what is nowhere.
    """
    if bool(videos) != bool(labels):
        raise ValueError(f"set the parameter `{'labels' if videos else 'videos'}`, too: `videos` is the folder of your "
                         "videos, `labels` the CSV about them, and they go together")
    found = [Path(text).expanduser() if text else None for text in (videos, labels, new_videos)]
    found = [here / path if path and (here / path).exists() else path for path in found]
    lost = [str(path) for path in found if path and not path.exists()]
    if lost:
        raise FileNotFoundError(f"{', '.join(lost)}: neither in {here} nor in {Path.cwd()}; give the whole path")
    return found
