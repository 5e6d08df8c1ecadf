"""Names of subsets: what people call the ones for training, for choosing and for testing."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

SPELLINGS = {"train": ("train", "training"), "val": ("val", "validation", "valid"), "test": ("test", "testing")}
NAMES = frozenset(name for spellings in SPELLINGS.values() for name in spellings)


def subset_of_file(path: Path) -> str:
    """Return the only subset that a file's name has as a word ("train", "validation", ...); "" for none or several."""
    words = [word for word in re.split(r"[^a-z]+", path.stem.lower()) if word in NAMES]
    return words[0] if len(words) == 1 else ""


def subsets_named_twice(names: Iterable[str]) -> list[str]:
    """Return the spellings of each subset that has several: ["'Train' and 'training'"]."""
    groups = defaultdict(list)
    for name in dict.fromkeys(names):
        for meant, spellings in SPELLINGS.items():
            if name.strip().casefold() in spellings:
                groups[meant].append(name)
    return [" and ".join(map(repr, same)) for same in groups.values() if len(same) > 1]
