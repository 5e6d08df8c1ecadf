"""Datasets made of a folder of videos and a file of labels."""

import re
from pathlib import Path

import numpy as np
import pytest

from helpers.annotation_files import by_id, record, write_csv, write_json
from helpers.video_files import OPEN_GOP, read_number, write_audio, write_video
from losa.annotations.dataset import load_annotations
from losa.annotations.prepare import prepare
from losa.errors import AnnotationError
from losa.video.probe import probe
from losa.video.reader import Reader

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


def test_prepare_finishes_the_good_and_lists_the_broken(folder, tmp_path):
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video at all\n" * 50)
    write_audio(folder / "sound.m4a").rename(folder / "sound.mp4")
    whole = (folder / "one.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    names = ["one", "two", "empty", "text", "sound", "cut", "gone"]
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", *[f"{name},a,0.5,1.5" for name in names])
    with pytest.warns(UserWarning, match="5 of 7 videos left out") as caught:
        found = prepare(folder, table, tmp_path / "out")
    text = str(caught[0].message)
    for name, why in {"empty": "0 bytes", "sound": "only audio", "text": "", "cut": "", "gone": "no file gone"}.items():
        assert re.search(f"{name}: .*{why}", text), text
    assert [v.id for v in found.videos] == ["one", "two"] and len(caught) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations.json", "skipped.csv"]
    assert (tmp_path / "out" / "skipped.csv").read_text().count("\n") == 6
    assert by_id(load_annotations(tmp_path / "out" / "annotations.json")) == by_id(found)

    for name in names[2:]:
        (folder / f"{name}.mp4").unlink(missing_ok=True)
        write_video(folder / f"{name}.mp4", 50)
    assert len(prepare(folder, table, tmp_path / "out").videos) == 7
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["annotations.json"]


def test_prepare_with_nothing_usable_writes_nothing(folder, tmp_path):
    path = write_json(tmp_path / "a.json", {"gone": record(("a", 0, 1))})
    with pytest.raises(AnnotationError, match="1 videos, and not one can be used"):
        prepare(folder, path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prepare_takes_the_file_s_duration_and_says_so(folder, tmp_path):
    path = write_json(tmp_path / "a.json", {"one": record(("a", 3, 5), duration=10.0)})
    with pytest.warns(UserWarning) as caught:
        found = prepare(folder, path, tmp_path / "out")
    told = sorted(str(w.message) for w in caught)
    assert "1 durations differ" in told[0] and "10.00 s stated, 4.00 s in the file" in told[0]
    assert "1 segments pass" in told[1] and len(told) == 2
    assert by_id(found)["one"] == [("a", 3, pytest.approx(4))]


def test_prepare_takes_the_file_s_frame_rate_and_says_so(folder, tmp_path):
    database = {"one": record(("a", 0, 1), duration=4.0, fps=30.0), "two": record(("a", 0, 1), duration=2.0, fps=25.0),
                "three": record(("a", 0, 1), duration=2.0)}  # fmt: skip
    with pytest.warns(UserWarning) as caught:
        found = prepare(folder, write_json(tmp_path / "a.json", database), tmp_path / "out")
    assert len(caught) == 1 and "1 frame rates differ" in str(caught[0].message)
    assert "one: 30 fps stated, 25 in the file" in str(caught[0].message)
    again = load_annotations(tmp_path / "out" / "annotations.json")
    assert [v.fps for v in found.videos] == [v.fps for v in again.videos] == [25, 25, 25]


def test_risky_files_are_announced_or_encoded_anew(folder, tmp_path):
    write_video(folder / "more" / "open.mkv", 40, options=OPEN_GOP)
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,0.5,0.9", "more/open,a,0.4,1.2")
    with pytest.warns(UserWarning, match=r"1 video files would give wrong frames(.|\n)*open.mkv") as caught:
        found = prepare(folder, table, tmp_path / "out")
    assert len(caught) == 1 and found.videos[1].path == folder / "more" / "open.mkv"
    found = prepare(folder, table, tmp_path / "out", normalise=True)
    path = load_annotations(tmp_path / "out" / "annotations.json").videos[1].path.resolve()
    assert path == found.videos[1].path == (tmp_path / "out/videos/more/open.mkv.mp4").resolve()
    assert found.videos[0].path == folder / "one.mp4" and not probe(path).risks
    assert [read_number(frame) for frame in Reader(path).read([0, 17, 39])] == [0, 17, 39]


def test_a_prepared_file_can_be_prepared_again(folder, tmp_path):
    write_video(folder / "three.mp4", 25)
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "more/three.mp4,a,0.5,1.9", "one,b,0,1")
    first = prepare(folder, table, tmp_path / "out")
    again = prepare(folder, tmp_path / "out" / "annotations.json", tmp_path / "two")
    assert [v.path.resolve() for v in again.videos] == [v.path.resolve() for v in first.videos]


def test_ranges_cut_a_file_into_videos(folder, tmp_path):
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,0.5,0.9", "one,b,0.8,2.2", "one,a,3,3.5",
                      "two,a,0,1")  # fmt: skip
    ranges = write_csv(tmp_path / "r.csv", "id,file,start,end,subset", "first,one.mp4,,1.0,train",
                       "last,one,2.0,,test", "mid,one.mp4,1,2,train")  # fmt: skip
    with pytest.warns(UserWarning, match="3 times a segment crosses an edge"):
        found = prepare(folder, table, tmp_path / "out", ranges=ranges)
    expected = {"first": [("a", 0.5, 0.9), ("b", 0.8, 1.0)], "mid": [("b", 0.0, 1.0)],
                "last": [("b", 0.0, 0.2), ("a", 1.0, 1.5)], "two": [("a", 0, 1)]}
    again = load_annotations(tmp_path / "out" / "annotations.json")
    for annotations in (found, again):
        got = by_id(annotations)
        assert list(got) == ["first", "mid", "last", "two"]
        for key, rows in expected.items():
            assert [row[0] for row in got[key]] == [row[0] for row in rows]
            np.testing.assert_allclose([row[1:] for row in got[key]], [row[1:] for row in rows], atol=1e-9)
    info = {v.id: (v.subset, v.start, round(v.duration, 6)) for v in again.videos}
    assert info == {"first": ("train", 0, 1), "mid": ("train", 1, 1), "last": ("test", 2, 2), "two": ("all", 0, 2)}
    last = again.subset("test")[0]
    assert read_number(Reader(last.path).read([round(last.start * 25)])[0]) == 50


@pytest.mark.parametrize(("lines", "expected"), [
    (["x,one,0,1", "x,one,1,2"], "x .2 times"),
    (["two,one,0,1"], "two .2 times"),
    (["x,one,2,1"], "1 ranges cannot be understood"),
    (["x,one,0,2,train", "y,one,1,3,test"], "y, one from 1.0 to 3.0 s: overlaps x"),
    (["x,one,4.5,6"], "starts after the file's end, 4.00 s"),
    (["x,three,0,1"], "no such file among the annotated whole ones"),
    (["x,one,0,zwei"], "cannot be understood"),
])  # fmt: skip
def test_bad_ranges_stop(folder, tmp_path, lines, expected):
    table = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,0.1,0.2", "two,a,0,1")
    header = "id,file,start,end" + ",subset" * (lines[0].count(",") == 4)
    with pytest.raises(AnnotationError, match=expected):
        prepare(folder, table, tmp_path / "out", ranges=write_csv(tmp_path / "r.csv", header, *lines))
    assert not (tmp_path / "out").exists()


def test_the_real_video_is_prepared(shared_data, tmp_path):
    labels = shared_data / "videos/cc_by_4/one-by-one-person-detection.annotations.json"
    found = prepare(shared_data / "videos", labels, tmp_path)
    assert (len(found.videos), len(found.videos[0].labels)) == (1, 18)
    assert Path(load_annotations(tmp_path / "annotations.json").videos[0].path).resolve().is_file()


def many_videos(folder, tmp_path, *lines):
    """A folder of six videos of 2 s, and a table with these lines."""
    for i in range(6):
        write_video(folder / f"v{i}.mp4", 50)
    return write_csv(tmp_path / "a.csv", "video,label,start,end", *lines)


def test_a_drawn_split_has_every_class_everywhere_and_says_nothing(folder, tmp_path):
    rows = [f"v{i},{label},0.{label},1" for i, label in enumerate([1, 1, 1, 2, 2, 2])]
    table = many_videos(folder, tmp_path, *rows)
    for seed in range(8):
        found = prepare(folder, table, tmp_path / "out", split=(1 / 3, 1 / 3, 1 / 3), seed=seed)
        assert {(v.subset, name) for v in found.videos for name, *_ in by_id(found)[v.id]} == {
            (part, label) for part in ("train", "val", "test") for label in "12"}


def test_a_drawn_split_that_lacks_a_class_warns_and_one_that_is_given_stays(folder, tmp_path):
    table = many_videos(folder, tmp_path, *[f"v{i},a,0,1" for i in range(6)], "v0,rare,1,1.5", "v0,rare,1.5,1.9")
    with pytest.warns(UserWarning, match=r"test: not measured: 'rare' \(2 instances in 1 video: train\)") as caught:
        prepare(folder, table, tmp_path / "out", split=(0.5, 0.0, 0.5))
    assert len(caught) == 1
    given = write_csv(tmp_path / "b.csv", "video,label,start,end,subset",
                      *[f"v{i},{'a' if i < 5 else 'b'},0,1,{'train' if i < 5 else 'test'}" for i in range(6)])
    found = prepare(folder, given, tmp_path / "given")
    assert [v.subset for v in found.videos] == ["train"] * 5 + ["test"]


def test_too_few_videos_leave_ranges_that_the_same_call_then_takes(folder, tmp_path):
    lines = [f"one,{'ab'[i % 2]},{0.1 + 0.6 * i:.1f},{0.4 + 0.6 * i:.1f}" for i in range(6)]
    table, wanted = write_csv(tmp_path / "a.csv", "video,label,start,end", *lines), (0.5, 0.0, 0.5)
    ranges = tmp_path / "my data" / "ranges.csv"
    with pytest.raises(AnnotationError, match=r"^1 video is too few for the 2 parts(.|\n)*--ranges '.*ranges.csv'$"):
        prepare(folder, table, ranges.parent, split=wanted)
    assert [path.name for path in ranges.parent.iterdir()] == ["ranges.csv"]
    edited = ranges.read_text().replace("one_01", "first")
    ranges.write_text(edited)
    with pytest.raises(AnnotationError, match="ranges.csv is there from before"):
        prepare(folder, table, ranges.parent, split=wanted)
    assert ranges.read_text() == edited
    found = prepare(folder, table, ranges.parent, split=wanted, ranges=ranges)
    assert len(found.videos) > 1 and sum(len(v.labels) for v in found.videos) == 6
    with pytest.raises(AnnotationError, match="Add videos, or cut"):  # nothing to cut: one action all the time
        prepare(folder, write_csv(tmp_path / "b.csv", "video,label,start,end", "two,a,0,2"), tmp_path / "x",
                split=wanted)
    assert not (tmp_path / "x").exists()
