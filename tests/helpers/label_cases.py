"""Small label files of many tools, all with the same twelve instances, and the videos that they belong to."""

import json
from pathlib import Path

from helpers.paths import ROOT

CASES = ROOT / "tests" / "annotations" / "cases"
VIDEOS = CASES / "videos"  # three videos of 12 frames per second


def truth(video: str = "") -> list[tuple[str, str, float, float]]:
    """The twelve instances, or those of one video: (video, label, start, end), sorted."""
    listed = json.loads((CASES / "truth.json").read_text())
    return sorted((key, *item) for key, items in listed.items() for item in items if video in ("", key))


def found(entries) -> list[tuple[str, str, float, float]]:
    """The instances of entries in the same form; "v_" before an id does not count."""
    return sorted((entry.id.removeprefix("v_"), *item) for entry in entries for item in entry.instances)


def agree(entries, video: str = "", within: float = 1e-3) -> bool:
    """Whether entries are the twelve instances, or those of one video, with times off by at most `within` seconds."""
    pairs = list(zip(found(entries), expected := truth(video), strict=False))
    return len(found(entries)) == len(expected) and all(
        one[:2] == two[:2] and abs(one[2] - two[2]) <= within and abs(one[3] - two[3]) <= within for one, two in pairs)


def copy_of(name: str, folder: Path) -> Path:
    """A copy of a case, to be changed."""
    path = folder / Path(name).name
    path.write_bytes((CASES / name).read_bytes())
    return path
