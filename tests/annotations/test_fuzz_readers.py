"""Whatever is in a file, reading it ends in records, in one AnnotationError or VideoError, or in counted warnings."""

import itertools
import json
import math
import os
import sys
import warnings
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from losa.annotations.check import check
from losa.annotations.dataset import load_annotations, save_annotations
from losa.annotations.prepare import prepare
from losa.annotations.repair import fix
from losa.annotations.scan import read_layout
from losa.errors import AnnotationError
from losa.formats.csv_format import read_ranges
from losa.label_files.cells import read_classes
from losa.label_files.times import seconds

LIMITS = {"max_examples": int(os.environ.get("LOSA_FUZZ", 60)),
          "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}

ODD = st.sampled_from([None, True, 0, -1, 1e308, -1e308, 10**400, math.nan, math.inf, "", " ", "1:23.5", "12,5",
                       "NaN", "x", "../x", "/x", "a\x00b", "\ud800", "é" * 300, [], {}, [[]], [1], "9" * 5000,
                       1e-320])  # fmt: skip
ANY = st.recursive(ODD | st.text(max_size=5) | st.floats() | st.integers(), lambda inner: st.lists(inner, max_size=3)
                   | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8)  # fmt: skip
NAMES = st.sampled_from(["v", "v1", "v_v1", "a/b.mp4", "V", "video_test_1", "one.mp4"]) | st.text(max_size=6)


def mostly(good):
    return st.one_of(good, good, good, good, ODD | ANY)


TIMES = mostly(st.floats(0, 30))
LABELS = mostly(st.sampled_from(["jump", "sit", "Jump", "jmup", "long jump"]))


def objects(**values):
    """Dictionaries with most of these keys."""
    return st.fixed_dictionaries({}, optional=values)


INSTANCES = mostly(st.lists(mostly(objects(
    label=LABELS, segment=mostly(st.lists(TIMES, min_size=2, max_size=2)), label_id=mostly(st.integers(0, 9)))),
    max_size=5))
SUBSETS = mostly(st.sampled_from(["train", "test", "Train "]))
VIDEOS = mostly(st.fixed_dictionaries({"subset": SUBSETS, "annotations": INSTANCES}, optional={
    "duration": TIMES, "fps": TIMES, "start": TIMES, "end": TIMES, "path": NAMES}))  # fmt: skip
DATABASES = mostly(st.dictionaries(NAMES, VIDEOS, min_size=1, max_size=4))
ACTIVITYNET = st.fixed_dictionaries({"database": DATABASES}, optional={
    "classes": mostly(st.lists(LABELS, max_size=4)), "version": st.sampled_from(["losa", "VERSION 1.3", 3])})
MULTITHUMOS = st.dictionaries(NAMES, objects(
    subset=SUBSETS, duration=TIMES, actions=mostly(st.lists(mostly(st.tuples(
        mostly(st.integers(0, 5)), TIMES, TIMES)), max_size=4))), max_size=3)  # fmt: skip


def survives(path, tmp_path, videos=None):
    """Every reader on this file; records that come back make sense, a clean copy can be read without a word."""
    out = tmp_path / "clean.json"
    out.unlink(missing_ok=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = check(path, videos)
        assert report.table() and len(report.to_frame()) == len(report.findings) and report.exit_code in (0, 1)
        for found in report.findings:
            assert found.count >= len(found.examples) > 0
            report.table().encode("utf-8")
        loaded = None
        try:
            loaded = load_annotations(path, videos, missing="drop")
        except AnnotationError as error:
            assert str(path) in str(error) or "videos" in str(error)
            str(error).encode("utf-8")
        try:
            fix(path, out, videos)
        except AnnotationError:
            assert report.exit_code == 1 and not out.exists()
    assert all(issubclass(warning.category, UserWarning) for warning in caught), [str(w.message) for w in caught]
    if loaded is not None:
        assert not {found.kind for found in report.findings if found.level == "error"} - {
            "video files are missing", "most segments lie outside their video"}
        for video in loaded.videos:
            assert 0 < video.duration < math.inf and ".." not in video.id.split("/") and not video.id.startswith("/")
            assert ((video.segments[:, 0] >= 0) & (video.segments[:, 0] < video.segments[:, 1])).all()
            assert (video.segments[:, 1] <= video.duration).all()
        save_annotations(loaded, tmp_path / "saved.json")
    if out.exists():
        read_layout(out)
        errors = {found.kind for found in check(out, videos).findings if found.level == "error"}
        assert errors <= {"labels are not in the list of classes"}, errors  # which nobody can choose a name for
        again = tmp_path / "again.json"
        assert len(fix(out, again, videos)) == 1, "a second repair changes nothing"
        assert again.read_text(encoding="utf-8") == out.read_text(encoding="utf-8")


@settings(**LIMITS)
@given(content=ACTIVITYNET | MULTITHUMOS | ANY)
@example(content={"database": {"v": {"subset": "a", "annotations": [{"label": "x", "segment": [10**400, "1:2"]}]}}})
def test_mutated_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    survives(path, tmp_path)


CELLS = st.text(max_size=4) | st.sampled_from([
    "one.mp4", "two", "jump", "sit", "0", "1.5", "2", "1:23.5", "1,5", "nan", "1e999", "", " ", '"', "../x", "/x",
    "train", "test", "9" * 400, "-3", "NaN:NaN", "\x00", "C:\\x"])
HEADERS = st.sampled_from(["video,label,start,end", "video,start,end,label,subset", "Video,Label,Start,End,,",
                           "file,action,begin,stop", ""])
TEXTS = st.sampled_from(["Jump_test.txt", "Dive_val.txt", "Ambiguous_test.txt", "detclasslist.txt", "_test.txt"])
VIDEO_NAMES = st.sampled_from(["good", "bad", "bad.mp4", "v_good", "GOOD.avi", "sub/other", "gone", "text"])


@settings(**LIMITS)
@given(rows=st.lists(st.lists(CELLS, max_size=6), max_size=8), separator=st.sampled_from(",;\t|"), header=HEADERS,
       encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
       newline=st.sampled_from(["\n", "\r\n", "\r"]))
def test_mutated_csv(tmp_path, rows, separator, header, encoding, newline):
    lines = [header.replace(",", separator), *(separator.join(row) for row in rows)]
    path = tmp_path / "a.csv"
    path.write_bytes(newline.join(lines).encode(encoding, errors="replace"))
    survives(path, tmp_path)
    with suppress(AnnotationError):
        read_ranges(path)


@settings(**LIMITS)
@given(content=st.binary(max_size=60), start=st.sampled_from([
    b"", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b'{"database": {', b"video,label,start,end\n"]))
@example(content=b"[" * 100_000, start=b"")
@example(content=b'{"a":' * 100_000, start=b"")
@example(content=b"9" * 100_000, start=b"")
@example(content=b"\xc3\xbcber,a,1,2\nk\xfc,b,1,2", start=b"video,label,start,end\n")
def test_bytes(tmp_path, content, start):
    for name in ("a.json", "a.csv", "a.txt"):
        (tmp_path / name).write_bytes(start + content)
        survives(tmp_path / name, tmp_path)
    with suppress(AnnotationError):
        read_classes(tmp_path / "a.txt")


@settings(**LIMITS)
@given(files=st.dictionaries(TEXTS, st.lists(st.lists(CELLS, max_size=4), max_size=4)))
def test_mutated_text_files(tmp_path, files):
    folder = tmp_path / "texts"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, rows in files.items():
        (folder / name).write_bytes("\n".join("  ".join(row) for row in rows).encode("utf-8", errors="replace"))
    survives(folder, tmp_path)


@settings(**LIMITS | {"max_examples": 300})
@given(value=ANY | st.from_regex(r"[0-9:., +-]{0,12}"))
def test_times(value):
    found = seconds(value)
    assert found is None or (isinstance(found, float) and abs(found) <= 1e7)


@settings(**LIMITS | {"max_examples": 15})
@given(names=st.lists(VIDEO_NAMES, max_size=5), content=ACTIVITYNET)
def test_beside_videos(tmp_path, names, content):
    from helpers.video_files import write_video

    folder = tmp_path / "videos"
    if not folder.exists():
        (folder / "sub").mkdir(parents=True)
        write_video(folder / "good.mp4", 25)
        write_video(folder / "sub/other.mkv", 25)
        (folder / "bad.mp4").write_bytes((folder / "good.mp4").read_bytes()[:700])
        (folder / "text.mp4").write_text("no video")
    path = tmp_path / "a.json"
    if isinstance(content["database"], dict):
        content["database"] |= {name: {"subset": "train", "annotations": [{"label": "x", "segment": [0.1, 0.9]}]}
                                for name in names}
    path.write_text(json.dumps(content), encoding="utf-8")
    survives(path, tmp_path, folder)
    with warnings.catch_warnings(), suppress(AnnotationError):
        warnings.simplefilter("ignore")
        prepare(folder, path, tmp_path / "out")


def many_segments(path, kind, number):
    """Writes a file of that many segments with something that invites a loop in a loop."""
    many = kind in ("one label each", "unlisted")
    labels = [f"label number {i}" if many else f"class {i % 7}" for i in range(number)]
    times = [(i % 500, i % 500 + (0.5 if kind != "wrong" else -1)) for i in range(number)]
    if kind == "csv":
        rows = [f"v{i % 50},{label},{start},{end}" for i, (label, (start, end))
                in enumerate(zip(labels, times, strict=True))]
        path.write_text("\n".join(["video,label,start,end", *rows]))
    else:
        found = [{"label": label, "segment": pair} for label, pair in zip(labels, times, strict=True)]
        video = {"subset": "a", "duration": 100 if kind == "beyond" else 1000, "annotations": found}
        path.write_text(json.dumps({"database": {"v": video}, **({"classes": ["a"]} if kind == "unlisted" else {})}))
    return path


@pytest.mark.parametrize("kind", ["good", "wrong", "one label each", "beyond", "unlisted", "csv"])
def test_work_grows_with_the_number_of_segments_not_its_square(tmp_path, kind):
    calls = []
    for number in (300, 1200):
        path = many_segments(tmp_path / ("a.csv" if kind == "csv" else "a.json"), kind, number)
        count = itertools.count()
        sys.setprofile(lambda *event: next(count))  # noqa: B023
        try:
            survives(path, tmp_path)
        finally:
            sys.setprofile(None)
        calls.append(next(count))
    assert calls[1] < 6 * calls[0], calls
