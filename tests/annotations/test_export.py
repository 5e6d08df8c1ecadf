"""Exporting: every format reads back as what was written, and what a format lacks is said."""

import pytest

from helpers.label_cases import CASES, VIDEOS, agree, expected
from losa.annotations.export import WRITERS, export
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.rows import Item, Labelled

HALF_FRAME = 0.5 / 12


def labelled(score=None) -> list[Labelled]:
    """The twelve instances, of videos of 12 frames per second."""
    return [Labelled(key, [Item(label, start, end, score) for _, label, start, end in expected(key)], "test",
                     f"{key}.mp4", 60.0, 12.0) for key in ("clip_0000", "clip_0001", "clip_0002")]


@pytest.mark.parametrize("to", WRITERS)
def test_what_is_written_reads_back(tmp_path, to):
    paths = export(labelled(), to, tmp_path / "out")
    assert paths and all(path.is_file() for path in paths)
    sheet = scan(paths[0] if len(paths) == 1 else tmp_path / "out", videos=VIDEOS)
    assert agree(sheet.entries, within=HALF_FRAME + 1e-3)
    assert not [finding for finding in sheet.findings.values() if finding.level == "error"]


@pytest.mark.parametrize("to", WRITERS)
def test_a_video_without_instances_and_odd_signs_do_no_harm(tmp_path, to):
    odd = [Labelled("day 1/ü", [Item('a "b" <c> & d, e; f', 1.5, 2.5), Item("zwei", 2, 4)], "", "day 1/ü.mp4", 9.0,
                    12.0),
           Labelled("empty", [], "", None, 9.0, 12.0)]
    paths = export(odd, to, tmp_path / "out")
    entries = scan(paths[0] if len(paths) == 1 else tmp_path / "out").entries
    got = [(label, pytest.approx(start, abs=HALF_FRAME + 1e-3), pytest.approx(end, abs=HALF_FRAME + 1e-3))
           for entry in entries for label, start, end in entry.instances]
    label = 'a "b" ‹c› & d, e; f' if to == "srt" else 'a "b" <c> & d, e; f'  # <c> is a style there
    assert got == [(label, 1.5, 2.5), ("zwei", 2, 4)]


def test_unknown_formats_and_files_in_the_place_of_folders_stop(tmp_path):
    with pytest.raises(AnnotationError, match="--to elam: no such format; did you mean elan\\? there are activitynet"):
        export(labelled(), "elam", tmp_path)
    with pytest.raises(AnnotationError, match="is a file; --out takes a folder"):
        export(labelled(), "csv", CASES / "truth.json")
    with pytest.raises(AnnotationError, match=r"mine.json: looks like a file; .* Give .*labels.json is written"):
        export(labelled(), "fiftyone", tmp_path / "mine.json")
    assert not list(tmp_path.iterdir())
