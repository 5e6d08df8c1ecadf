"""Clean copies of annotation files: what is repaired, what is said of it, and what stops it."""

import csv
import json
import random
import re
import shutil
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helpers.annotation_files import CLEAN, make_mixed_videos, record, write_json
from helpers.annotation_files import write_text as write
from losa.annotations.check import check
from losa.annotations.dataset import load_annotations
from losa.annotations.prepare import prepare
from losa.annotations.repair import fix
from losa.annotations.scan import scan
from losa.errors import AnnotationError

CASES = Path(__file__).parent / "cases"


def counts(report):
    return {found.kind: found.count for found in report.findings}


@pytest.fixture
def folder(tmp_path):
    return make_mixed_videos(tmp_path / "videos")


MISTAKES = """Video;Label;Start;End;Subset
one.avi;cut onion;0,5;1,75;train
one.avi; cut onion ;2,0;2,5;train
one.avi;Cut Onion;2,6;3,0;train
one.avi;cut onoin;3;3,5;train
one.avi;pour water;0:00;0:01,5;train
one.avi;pour water;0:00;0:01,5;train

;;;;
C:\\clips\\two.mp4;pour water;2;1;Train
C:\\clips\\two.mp4;pour water;3;33;Train
more/two.mp4;cut onion;1;1;train
three;cut onion;-1;1;test
three;cut onion;20;21;test
three;pour water;soon;2 s;test
broken;pour water;1;2;test
gone;pour water;1;2;test
"""
REPAIRED = {
    "one": ("train", [("cut onion", 0.5, 1.75), ("cut onion", 2, 2.5), ("cut onion", 2.6, 3), ("cut onion", 3, 3.5),
                      ("pour water", 0, 1.5)]),
    "more/two": ("train", [("pour water", 1, 2), ("pour water", 3, 4.04)]),
    "three": ("test", [("cut onion", 0, 1)]),
}  # fmt: skip


def records(annotations):
    return {video.id: (video.subset, [(annotations.classes[k], *pair) for k, pair in zip(
        video.labels, np.round(video.segments, 6).tolist(), strict=True)]) for video in annotations.videos}


@pytest.mark.parametrize("name", ["clean.csv", "clean.json", "sub/clean.json"])
def test_a_csv_full_of_ordinary_mistakes_becomes_a_clean_copy(folder, tmp_path, name):
    path = write(tmp_path / "mine.csv", "\ufeff" + MISTAKES.replace("\n", "\r\n"))
    before = path.read_bytes()
    with pytest.raises(AnnotationError, match="--fix"):
        load_annotations(path, folder)
    changed = "\n".join(fix(path, tmp_path / name, folder, rename=["cut onoin=cut onion"]))
    assert path.read_bytes() == before and not list(tmp_path.rglob(".*"))
    for told in ("9 decimal commas", "1 rows left out that cannot", "1 names of videos cut", "1 names of video files",
                 "1 videos left out, their files are missing: gone", "1 videos left out, their files cannot be used",
                 "read 14 instances = 8 kept", "1 labels of instances written as the commonest", "1 repeated instances",
                 "1 labels of instances renamed as asked for: one: 'cut onoin' [3.0, 3.5] is 'cut onion'",
                 "1 segments turned round", "1 instances of zero length", "1 segments wholly outside",
                 "2 segments clipped"):
        assert told in changed, (told, changed)
    report = check(tmp_path / name, folder)
    assert {found.kind for found in report.findings} <= {"files in the folder have no annotations"}, report.table()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = records(load_annotations(tmp_path / name, folder))
        prepared = records(prepare(folder, tmp_path / name, tmp_path / "out"))
    expected = REPAIRED if name.endswith("csv") else {key if key != "more/two" else "two": value
                                                      for key, value in REPAIRED.items()}
    assert found == prepared == expected
    if name.endswith("json"):
        assert load_annotations(tmp_path / name).videos[0].path.resolve() == folder / "one.mp4"


def test_a_clean_copy_of_a_json_keeps_what_was_right(tmp_path):
    database = CLEAN | {"x": record(("jump", 1, 2), ("jmup", 3, 4), ("fly", 5, 6), ("sit", 9, 11), ("sit", 1, 2),
                                    ("sit", 1, 2), fps=25.0, start=3.0), "y": record(path="videos/y.mp4")}
    path = write_json(tmp_path / "a.json", database, classes=["sit", "jump"])
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/y.mp4").touch()
    (tmp_path / "sub").mkdir()
    lines = fix(path, tmp_path / "sub" / "b.json")
    assert lines[0] == "read 10 instances = 9 kept + 1 repeated"
    left = {found.kind: found.examples for found in check(tmp_path / "sub" / "b.json").findings}
    assert left["labels are not in the list of classes"] == [
        "'fly' (1 instances)", "'jmup' (1 instances); did you mean 'jump'? --rename jmup=jump"]
    fix(path, tmp_path / "sub" / "b.json", rename=["jmup=jump", "fly=jump"])
    found = load_annotations(tmp_path / "sub" / "b.json")
    assert found.classes == ("sit", "jump") and records(found) == {
        "v": ("train", [("jump", 1, 2), ("sit", 3, 4)]), "w": ("val", [("jump", 1, 2), ("sit", 4, 5)]),
        "x": ("train", [("jump", 1, 2), ("jump", 3, 4), ("jump", 5, 6), ("sit", 9, 10), ("sit", 1, 2)]),
        "y": ("train", [])}
    x, y = found.videos[2:]
    assert (x.fps, x.start, x.duration) == (25, 3, 10) and y.path.resolve() == tmp_path / "videos" / "y.mp4"
    assert fix(tmp_path / "sub" / "b.json", tmp_path / "c.json") == ["read 9 instances = 9 kept"]
    assert records(load_annotations(tmp_path / "c.json")) == records(found)


def test_what_a_clean_copy_does_not_carry_over_is_named(tmp_path):
    table = write(tmp_path / "a.csv", "video,label,start,end,subset,Annotator,score,empty\n"
                                      "one,jump,1,2,train,Ann,0.5,\none,sit,3,4,train,Bob,,\n")
    assert fix(table, tmp_path / "b.csv")[1:] == ["2 columns not carried over: 'annotator' (2), 'score' (1)"]
    database = {"v": record(("jump", 1, 2), ("sit", 3, 4), url="x")}
    for number, item in enumerate(database["v"]["annotations"]):
        item |= {"label_id": number, "segment(frames)": [1, 2]}
    _, *lines = fix(write_json(tmp_path / "a.json", database, taxonomy=[], version="1.3"), tmp_path / "b.json")
    assert len(lines) == 1 and lines[0].startswith("4 keys not carried over: 'label_id' (2), 'segment(frames)' (2), ")
    assert "'taxonomy' (1)" in lines[0] and "'url' (1)" in lines[0]
    many = {"v": record(("jump", 1, 2), **{f"key{i:02}": 1 for i in range(12)})}
    assert fix(write_json(tmp_path / "c.json", many), tmp_path / "d.json")[1].endswith(" and 2 more")


def test_ambiguous_stretches_that_a_clean_copy_leaves_out_are_counted(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    write(texts / "Jump_test.txt", "one 1 2\ntwo 3 4\n")
    write(texts / "Ambiguous_test.txt", "one 5 6\ntwo 5 6\ntwo 8 9\n")
    total, *lines = fix(texts, tmp_path / "b.json")
    assert total == "read 5 instances = 2 kept + 3 ambiguous, of no class"
    assert len(lines) == 2 and lines[0].startswith("3 ambiguous stretches left out") and "one [5.0, 6.0]" in lines[0]
    assert sum(len(video["annotations"]) for video in json.loads((tmp_path / "b.json").read_text())["database"].values()
               ) == 2  # fmt: skip


def test_fix_never_writes_over_its_input_nor_writes_nothing(tmp_path):
    path = write_json(tmp_path / "a.json", CLEAN)
    (tmp_path / "link.json").symlink_to(path)
    before = path.read_bytes()
    for out in (path, tmp_path / "link.json", tmp_path):
        with pytest.raises(AnnotationError, match="name of its own"):
            fix(path, out)
    with pytest.raises(AnnotationError, match="written as .json"):
        fix(path, tmp_path / "b.csv")
    empty = write_json(tmp_path / "e.json", {"v": record(("x", 3, 3))})
    with pytest.raises(AnnotationError, match="nothing would be left"):
        fix(empty, tmp_path / "b.json")
    assert path.read_bytes() == before and not (tmp_path / "b.json").exists()


def test_a_clean_copy_of_thumos_is_clean(shared_data, tmp_path):
    lines = fix(shared_data / "thumos14" / "thumos14.json", tmp_path / "clean.json")
    assert [line.split(":")[0] for line in lines] == [
        "read 6365 instances = 6335 kept + 30 wholly outside their video",
        "30 segments wholly outside their video left out", "2 keys not carried over",
        "30 changes one by one, old and new"]
    assert lines[2].endswith(": 'label_id' (6365), 'segment(frames)' (6365)")
    assert check(tmp_path / "clean.json").exit_code == 0
    assert sum(len(video.labels) for video in load_annotations(tmp_path / "clean.json").videos) == 6335


# --- nothing is destroyed -------------------------------------------------------------------------------------------

VERBS = re.findall(r"\S+", """
take bake make put pull push put-in put-on put-into put-down put-out put-over turn turn-on turn-off turn-down take-off
take-out take-on hold fold wash mash mix move remove cut out insert invert flip clip fill feel peel open pour pat eat
season search scoop stop stir shake share switch-on switch-off set-up let-go""")


def skewed(numbers, labels):
    """Draw rows (video, label, start, end) in which few labels make most of the instances, as verbs in kitchens do."""
    return [(f"P{i % 7:02}", numbers.choices(labels, [1 / (1 + k) for k in range(len(labels))])[0],
             round(i / 3, 2), round(i / 3 + numbers.uniform(0.05, 9), 2)) for i in range(2000)]


def instances(path):
    """Return the instances of a file as {(video, label, start, end): how many}."""
    return Counter((entry.id, *item) for entry in scan(path).entries for item in entry.instances)


def put_back(copy, kept=None):
    """Return the instances that the file of a copy had, from those of the copy and its log alone."""
    found = (kept or instances(copy)).copy()
    with open(f"{copy}.changes.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["new_start"]:
                new = (row["new_video"], row["new_label"], float(row["new_start"]), float(row["new_end"]))
                assert found[new] > 0, row
                found[new] -= 1
            if row["old_start"]:
                found[row["video"], row["old_label"], float(row["old_start"]), float(row["old_end"])] += 1
    return +found


def check_repair(path, out, **options):
    """Repair a file; the copy and its log give the instances back, and a second repair changes nothing."""
    lines = fix(path, out, **options)
    kept, read = instances(out), instances(path)
    assert put_back(out, kept) == read
    numbers = [int(part.split()[0]) for part in lines[0].removeprefix("read ").replace("= ", "+ ").split(" + ")]
    assert numbers[0] == sum(numbers[1:]) == read.total() and numbers[1] == kept.total()
    again = out.with_name("again" + out.suffix)
    assert fix(out, again, **options)[1:] == [] and again.read_text() == out.read_text()
    return kept


def test_verbs_that_differ_by_a_letter_or_two_stay_as_they_are(tmp_path):
    rows = skewed(random.Random(1), random.Random(2).sample(VERBS, len(VERBS)))
    assert len({row[1] for row in rows}) == len(VERBS)
    table = write(tmp_path / "a.csv", "\n".join(["video,label,start,end", *(",".join(map(str, row)) for row in rows)]))
    assert check_repair(table, tmp_path / "b.csv") == Counter(rows)
    found = {found.kind: found for found in check(tmp_path / "b.csv").findings}["labels look misspelt"]
    assert found.count >= 10 and all("--rename " in example for example in found.examples)


def test_labels_that_look_misspelt_are_merged_on_request_only(tmp_path):
    given = instances(CASES / "misspelt.csv")
    assert check_repair(CASES / "misspelt.csv", tmp_path / "b.csv") == given
    fix(CASES / "misspelt.csv", tmp_path / "c.csv", rename=["bake=take", "put-on = put on"])
    names = {"bake": "take", "put-on": "put on"}
    expected = Counter((video, names.get(label, label), *times) for video, label, *times in given)
    assert instances(tmp_path / "c.csv") == expected and put_back(tmp_path / "c.csv") == given
    log = list(csv.DictReader((tmp_path / "c.csv.changes.csv").open()))
    assert [(row["old_label"], row["new_label"]) for row in log] == [("bake", "take")] * 2 + [("put-on", "put on")]
    with pytest.raises(AnnotationError, match=r"no instance has the label 'bak'; did you mean 'bake'\?"):
        fix(CASES / "misspelt.csv", tmp_path / "d.csv", rename=["bak=take"])
    assert not (tmp_path / "d.csv").exists() and not (tmp_path / "d.csv.changes.csv").exists()


def test_a_list_of_allowed_classes_decides_case_and_reports_the_rest(tmp_path):
    table = write(tmp_path / "a.csv", "video,label,start,end\na,Take,1,2\na,TAKE,2,3\na,tale,3,4\na,take  off,4,5\n")
    classes = write(tmp_path / "classes.txt", "take\ntake off\nbake\n")
    kept = check_repair(table, tmp_path / "b.json", classes=classes)
    assert sorted(label for _, label, *_ in kept) == ["take", "take", "take off", "tale"]
    assert json.loads((tmp_path / "b.json").read_text())["classes"] == ["take", "take off", "bake"]
    left = {found.kind: found.examples for found in check(tmp_path / "b.json").findings if found.level == "error"}
    assert list(left.values()) == [["'tale' (1 instances); did you mean 'take'? --rename tale=take"]]
    fix(table, tmp_path / "c.csv", classes=classes, rename=["tale=take"])
    assert Counter(row[1] for row in instances(tmp_path / "c.csv")) == {"take": 3, "take off": 1}


def test_classes_of_a_list_that_differ_only_in_case_stay_two(tmp_path):
    database = {"v": record(("a", 1, 2), ("A", 1, 2), ("a", 3, 4), ("jump ", 5, 6))}
    path = write_json(tmp_path / "a.json", database, classes=["A", "a", "jump"])
    assert sorted(row[1] for row in check_repair(path, tmp_path / "b.json")) == ["A", "a", "a", "jump"]


def test_fractions_of_a_day_are_not_repeats(tmp_path):
    assert check_repair(CASES / "dayfraction.csv", tmp_path / "b.csv") == instances(CASES / "dayfraction.csv")
    assert check_repair(CASES / "dayfraction.csv", tmp_path / "b.json").total() == 12


def test_durations_in_the_column_end_are_not_turned_round(tmp_path):
    with pytest.raises(AnnotationError, match=r"11 of 12 segments end before they start(.|\n)*--columns duration=end"):
        fix(CASES / "start_duration.csv", tmp_path / "b.csv")
    assert not list(tmp_path.iterdir())


def test_a_segment_is_turned_round_only_inside_its_video(tmp_path):
    rows = [("x", 9, 8), ("x", 15, 2), *[("y", i / 2, i) for i in range(1, 14)]]
    path = write_json(tmp_path / "a.json", {"v": record(*rows, duration=14.0),
                                            "w": record(("x", 99, 98), ("y", 5, 6), duration=None)})
    kept = check_repair(path, tmp_path / "b.json")
    assert {row for row in kept if row[1] == "x"} == {("v", "x", 8, 9), ("w", "x", 98, 99)}


@pytest.mark.parametrize(("database", "told"), [
    ({"v": record(*[("x", i, i + 2) for i in range(9, 20)])}, "10 of 11 instances lie wholly outside their videos, "
     r"first v: 'x' \[10, 12\] of 10.00 s; no copy is written. All of them fit with --times frames"),
    ({"v": record(("x", 3, 3), ("x", 4, 4), ("x", 5, 6))},
     "deleting most of the file: read 3 instances = 1 kept [+] 2 of zero length"),
    ({"v": record(("", 3, 4), ("", 4, 5), (" ", 5, 6), ("x", 5, 5), ("x", 1, 2))},
     "read 5 instances = 1 kept [+] 3 without a label [+] 1 of zero length"),
    ({"v": record(("x", 1, "soon"), ("x", 2, None), ("x", 5, 6))}, "read 3 instances = 1 kept [+] 2 not understood"),
])  # fmt: skip
def test_most_of_a_file_is_never_left_out(tmp_path, database, told):
    with pytest.raises(AnnotationError, match=told.replace("[10, 12]", "[10.0, 12.0]").replace("10, 12", "10.0, 12.0")):
        fix(write_json(tmp_path / "a.json", database), tmp_path / "b.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_exact_repeats_may_be_most_of_a_file(tmp_path):
    path = write_json(tmp_path / "a.json", {"v": record(*[("x", 1, 2)] * 5, ("y", 3, 4))})
    assert fix(path, tmp_path / "b.json")[0] == "read 6 instances = 2 kept + 4 repeated"
    assert check_repair(path, tmp_path / "b.json").total() == 2


def test_most_videos_missing_stops_a_repair_beside_videos(folder, tmp_path):
    table = write(tmp_path / "a.csv", "video,label,start,end\none,x,1,2\ngone,x,1,2\nlost,x,1,2\n")
    with pytest.raises(AnnotationError, match=r"1 kept \+ 2 in videos without a usable file(.|\n)*leave out --videos"):
        fix(table, tmp_path / "b.csv", folder)
    assert check_repair(table, tmp_path / "b.csv").total() == 3


def test_the_log_has_what_becomes_of_videos(folder, tmp_path):
    (folder / "copy.mp4").symlink_to(folder / "one.mp4")
    path = write_json(tmp_path / "a.json", {
        "one": record(("x", 1, 2), duration=9.0, fps=30.0, subset="Train "), "ONE": record(("x", 2, 3), path="one.mp4"),
        "three": record(("x", 1, 2), duration=4.08, fps=25.0), "gone": record(("y", 1, 2)),
        "half": record(("x", 0, 1), path="more/two.mp4", start=0, end=2.0, duration=2.0)})  # fmt: skip
    fix(path, tmp_path / "b.json", folder)
    log = {(row["video"], row["field"]): (row["old"], row["new"]) for row in csv.DictReader(
        (tmp_path / "b.json.changes.csv").open())}
    assert log["one", "subset"] == ("Train ", "train") and log["one", "duration"] == ("9.0", "4.0")
    assert log["one", "fps"] == ("30.0", "25.0") and log["ONE", "video"] == ("ONE", "one")
    assert log["gone", "duration"] == ("10.0", "") and log["gone", "subset"] == ("train", "")
    assert put_back(tmp_path / "b.json") == instances(path)
    half = json.loads((tmp_path / "b.json").read_text())["database"]["half"]
    assert half["end"] == half["duration"] == 2, "a stretch does not become the whole file"
    assert fix(tmp_path / "b.json", tmp_path / "c.json", folder) == ["read 4 instances = 4 kept"]


@pytest.mark.parametrize("seed", range(25))
def test_many_drawn_files_are_repaired_once_and_can_be_put_back(tmp_path, seed):
    """Labels, times and subsets as tired people write them; some with durations, or a list of classes, or in hours."""
    draw = random.Random(seed)
    labels = ["take", "Take", " take", "TAKE ", "bake", "take-off", "take off", "Take  off", "hold", "fold", "Straße",
              "strasse", "x=y", "a,\"b\""]
    unit = draw.choice([1, 1, 1e-5, 1 / 3600])
    database = {}
    for video in range(draw.randint(1, 6)):
        rows, long = [], draw.choice([10.0, 10.0, None])
        for _ in range(draw.randint(0, 30)):
            start = draw.choice([draw.uniform(0, 9), draw.randint(0, 9), round(draw.uniform(0, 9), 3)])
            end = start + draw.choice([0.0004, 0.05, 0.2, 1, draw.uniform(0, 1)])
            oddity = draw.random()
            start, end = ((end, start) if oddity < 0.05 else (start, start) if oddity < 0.1
                          else (start - 9, end) if oddity < 0.15 else (start + 9, end + 9) if oddity < 0.2
                          else (start, end))
            rows += [(draw.choice(labels), start * unit, end * unit)] * draw.choice([1, 1, 1, 2])
            rows += [(rows[-1][0], rows[-1][1] + 0.0004 * unit, rows[-1][2])] * draw.choice([0, 0, 0, 1])
        database[f"v{video}"] = record(("hold", 0.5, 1.5), *rows, duration=long, subset=draw.choice(["train", "Train"]))
    listed = {"classes": ["Take", "bake", "take off", "x=y"]} if draw.random() < 0.5 else {}
    check_repair(write_json(tmp_path / "a.json", database, **listed), tmp_path / "b.json")


@pytest.mark.parametrize(("name", "key", "rows", "left_out"), [
    ("thumos14/thumos14.json", "database", "annotations", 30),
    ("activitynet13/activity_net.v1-3.rebuilt.json", "database", "annotations", 62),
    ("multithumos/multithumos.json", None, "actions", 67)])
def test_the_field_s_files_are_repaired_once_and_can_be_put_back(shared_data, tmp_path, name, key, rows, left_out):
    """All that is odd about them is in few of their videos: these are repaired here, beside a few others."""
    content = json.loads((shared_data / name).read_text())

    def is_odd(video):
        segments = [tuple(row["segment"]) if key else tuple(row[1:]) for row in video[rows]]
        close = {(round(start, 2), round(end, 2)) for start, end in segments}
        return len(close) < len(segments) or any(end > video["duration"] or start == end for start, end in segments)

    videos = content[key] if key else content
    some = {name: video for i, (name, video) in enumerate(videos.items()) if i < 50 or is_odd(video)}
    if not key:  # dense labels: most videos have two at a time
        some = {name: video for name, video in some.items() if is_odd(video | {"actions": [
            [0, *row[1:]] for row in video["actions"] if row[2] > video["duration"] or row[1] == row[2]]})}
    path = write(tmp_path / "a.json", json.dumps({key: some} if key else some))
    assert instances(path).total() - check_repair(path, tmp_path / "b.json").total() == left_out


def test_an_input_that_would_be_overwritten_by_the_log_is_kept(tmp_path):
    path = tmp_path / "b.csv.changes.csv"
    shutil.copy(CASES / "misspelt.csv", path)
    with pytest.raises(AnnotationError, match="name of its own"):
        fix(path, tmp_path / "b.csv")
    assert path.read_bytes() == (CASES / "misspelt.csv").read_bytes()
