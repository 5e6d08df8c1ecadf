"""What `04_own_video.ipynb` does beside its story: paths, the example that is typed wrongly, tables that wrap."""

from collections.abc import Sequence
from pathlib import Path


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


def mistype(rows: Sequence[Sequence]) -> list[list]:
    """Rows [file, start, end, label], 7 or more, with a person's mistakes."""
    rows = [list(row) for row in rows]
    name = rows[1][3]
    rows[0][3], rows[1][3] = rows[0][3].upper(), name[0] + name[2] + name[1] + name[3:]  # capitals; two letters swapped
    rows[2][1], rows[2][2], rows[6][2] = rows[2][2], rows[2][1], round(rows[6][2] + 60, 2)  # backwards; after the end
    rows[4][1:3] = (f"{int(t) // 60}:{t % 60:05.2f}" for t in rows[4][1:3])  # minutes
    file, *_, label = rows[5]
    return [*rows, rows[5], [file, 7, 7, label], ["holiday.mp4", 3, 5, label]]  # twice; lasts no time; no such video
