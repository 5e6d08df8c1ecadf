"""Files of annotation tools for tests: the twelve instances that samples hold, and random changes to any file."""

import json
import random
from pathlib import Path

from helpers.paths import ROOT

CASES = ROOT / "tests" / "annotations" / "cases"
ODD = [None, True, 0, -1, 10**400, 1e308, float("nan"), "", " ", "1:23", "x", "../x", "/x", "a\0b", "\ud800", "9" * 500,
       [], {}, [[]], [None], {"a": 1}, "é" * 300]  # fmt: skip


def truth(*videos: str) -> list[tuple]:
    """Return the sorted (video, label, start, end) that the sample files hold; of some videos only, if named."""
    held = json.loads((CASES / "truth.json").read_text())
    return sorted((key, *item) for key, items in held.items() if not videos or key in videos for item in items)


def found(sheet) -> list[tuple]:
    """Return the sorted (video, label, start, end) of a sheet."""
    return sorted((entry.id, *item) for entry in sheet.entries for item in entry.instances)


def same(got: list[tuple], want: list[tuple], within: float = 1e-3) -> bool:
    """Return whether both have the same videos and labels, and times that differ by less than `within` seconds."""
    return [row[:2] for row in got] == [row[:2] for row in want] and all(
        abs(a - b) < within for one, two in zip(got, want, strict=True) for a, b in zip(one[2:], two[2:], strict=True))


def mutate(content: object, random: random.Random, rate: float = 0.03) -> object:
    """Return JSON with some nodes replaced by odd values, dropped or doubled."""
    if random.random() < rate:
        return random.choice(ODD)
    if isinstance(content, dict):
        return {key: mutate(value, random, rate) for key, value in content.items() if random.random() > rate}
    if isinstance(content, list):
        kept = [mutate(value, random, rate) for value in content if random.random() > rate]
        return kept * 2 if random.random() < rate else kept
    return content


def mutate_text(text: str, random: random.Random) -> str:
    """Return a text with some stretches cut, doubled or replaced."""
    for _ in range(random.randint(1, 4)):
        at, length = random.randrange(len(text) + 1), random.randint(0, 30)
        text = text[:at] + random.choice(["", text[at:at + length] * 2, '"', ",", "\n", "{", "9" * 30, "-", "0x"]) \
            + text[at + length:]
    return text


def write(folder: Path, name: str, content: object) -> Path:
    """Write text, or anything else as JSON, to a file of the folder."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_bytes(text.encode("utf-8", "replace"))
    return folder / name
