"""Files of annotation tools for tests, and what was read of them in plain lists."""

import json
import warnings
from contextlib import suppress
from pathlib import Path

from helpers.paths import ROOT
from losa.annotations.check import check
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.rows import Item, Labelled
from losa.label_files.source import AS_RECOGNISED, Reading

CASES = ROOT / "tests" / "annotations" / "cases"


def truth(*videos: str) -> dict:
    """{video: [(label, start, end)]} of the twelve instances, or of those of these videos."""
    whole = json.loads((CASES / "truth.json").read_text())
    return {key: [tuple(row) for row in whole[key]] for key in videos or whole}


def found(path: Path, reading: Reading = AS_RECOGNISED) -> dict:
    """{video: [(label, start, end)]} as a file is read, in order of time; a finding of level error fails the test."""
    sheet = scan(path, reading=reading)
    errors = {f.kind: f.examples for f in sheet.findings.values() if f.level == "error"}
    assert not errors, errors
    return {entry.id: sorted(entry.instances, key=lambda row: row[1:]) for entry in sheet.entries}


def same(a: dict, b: dict, within: float = 1e-3) -> bool:
    """Whether videos and labels are the same and times nearly are."""
    rows = [[(key, *row) for key, rows in sorted(d.items()) for row in sorted(rows, key=lambda r: (r[1], r[2], r[0]))]
            for d in (a, b)]
    return a.keys() == b.keys() and len(rows[0]) == len(rows[1]) and all(
        x[:2] == y[:2] and abs(x[2] - y[2]) <= within and abs(x[3] - y[3]) <= within
        for x, y in zip(*rows, strict=True))


def labelled(videos: dict, **more) -> list[Labelled]:
    """Videos to be written, of {video: [(label, start, end)]}."""
    return [Labelled(key, [Item(*row) for row in rows], file=f"{key}.mp4", **more) for key, rows in videos.items()]


def written(folder: Path, files: dict) -> Path:
    """Write {relative name: text} below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def survives(path: Path, reading: Reading = AS_RECOGNISED) -> None:
    """Every reader ends in a sheet or in one AnnotationError that can be printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            sheet = scan(path, reading=reading)
        except AnnotationError as error:
            str(error).encode()
        else:
            for entry in sheet.entries:
                assert all(isinstance(label, str) and isinstance(start, float) and isinstance(end, float)
                           for label, start, end in entry.instances)
        report = check(path)
    with suppress(UnicodeEncodeError):
        report.table().encode()
