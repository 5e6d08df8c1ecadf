"""Small label files of other tools and data sets, all with the same twelve instances; and ways to damage such files."""

import copy
import json
import random
import re
import warnings
from pathlib import Path

from helpers.paths import ROOT
from losa.annotations.check import check
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.source import Reading

CASES = ROOT / "tests" / "annotations" / "cases"
VIDEOS = CASES / "videos"  # three videos of 12 frames per second
ODD = [None, True, 0, -1, 10**400, 1e308, float("nan"), float("inf"), "", "x", "1:23.5", "NaN", "../x", "a\x00b",
       "\ud800", "9" * 5000, [], {}, [[]], [1, 2], {"label": 3}, -5.5]  # fmt: skip
ODD_CELLS = ["", "x", "-1", "nan", "1e999", "9" * 400, "../x", '"', "\x00", "1:99", "12,5", "é" * 300, " ", "0"]


def expected(video: str = "") -> list[tuple]:
    """Return (video, label, start, end) of the twelve instances, or of those of one video."""
    truth = json.loads((CASES / "truth.json").read_text())
    return sorted((key, *row) for key, rows in truth.items() for row in rows if video in ("", key))


def agree(entries, video: str = "", within: float = 1e-3) -> bool:
    """Return whether entries are the twelve instances, or those of one video; times may be off by `within` seconds."""
    ours = sorted((entry.id.removeprefix("v_"), *item) for entry in entries for item in entry.instances)
    theirs = expected(video)
    return len(ours) == len(theirs) and all(
        one[:2] == other[:2] and abs(one[2] - other[2]) <= within and abs(one[3] - other[3]) <= within
        for one, other in zip(ours, theirs, strict=True))


def found(sheet) -> list[tuple]:
    """Return (video, label, start, end) of all instances of a sheet, sorted."""
    return sorted((entry.id, *instance) for entry in sheet.entries for instance in entry.instances)


def assert_same(ours: list[tuple], theirs: list[tuple], within: float) -> None:
    """Compare two sorted lists of (video, label, start, end)."""
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert abs(one[2] - other[2]) <= within and abs(one[3] - other[3]) <= within, (one, other)


def errors(sheet) -> list[str]:
    """Return the kinds of findings of a sheet that are errors."""
    return [finding.kind for finding in sheet.findings.values() if finding.level == "error"]


def survives(path: Path, name: str, **options) -> None:
    """Reading ends in a sheet or in an AnnotationError, recognised or forced to be of the format `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for reading in (Reading(), Reading(format=name, fps=25.0), Reading(format=name, **options)):
            try:
                sheet = scan(path, reading=reading)
            except AnnotationError as error:
                str(error).encode()
                continue
            aside = sum(sheet.set_aside.values())
            assert not aside or str(aside + len(found(sheet))) in sheet.counts
        check(path).table().encode()


def damaged_json(content: object, seed: int) -> str:
    """Return the JSON of content with some of its parts removed or replaced."""
    chance, content = random.Random(seed), {"": copy.deepcopy(content)}
    for _ in range(chance.randint(1, 3)):
        places = list(_places(content))
        holder, key = chance.choice(places)
        if isinstance(holder, dict) and key and chance.random() < 0.3:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(chance.choice(ODD))
    return json.dumps(content[""])


def _places(content):
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(pairs):
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def damaged_text(text: str, seed: int, separator: str = ",") -> str:
    """Return a table with some of its cells replaced, or lines removed or cut."""
    chance = random.Random(seed)
    lines = [re.split(f"({re.escape(separator)})", line) for line in text.splitlines()]
    for _ in range(chance.randint(1, 4)):
        line = chance.choice(lines) if lines else []
        if line and chance.random() < 0.8:
            line[chance.randrange(len(line))] = chance.choice(ODD_CELLS)
        elif lines:
            lines.remove(line)
    return "\n".join(map("".join, lines))[: chance.choice([None, None, None, 200])]
