"""Labels of each frame: MS-TCN's folders and single files of them."""

import pytest

from helpers.annotation_files import instances
from helpers.annotation_files import write_text as write
from helpers.label_cases import CASES, assert_same, damaged_text, errors, expected, found, survives
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.source import Reading

AT_10 = Reading(fps=10.0)


def make_salads(root, splits=2):
    """Make a data set of three videos: P1 is cut, background, cut; P2 peel alone; P3 with Windows' line ends."""
    (root / "groundTruth").mkdir(parents=True)
    (root / "splits").mkdir()
    cut, nothing = "cut_tomato\n", "background\n"
    write(root / "groundTruth/P1.txt", "action_start\n" * 5 + cut * 10 + nothing * 5 + cut * 2)
    write(root / "groundTruth/P2.txt", "peel\n" * 4)
    write(root / "groundTruth/P3.txt", "SIL\r\n" * 2 + "peel\r\n" * 6 + "cut_tomato\r\n" * 3 + "\r\n\r\n")
    write(root / "mapping.txt", "0 peel\n1 cut_tomato\n2 background\n3 action_start\n")
    for number in range(1, splits + 1):
        write(root / f"splits/train.split{number}.bundle", "P1.txt\nP2.txt\n")
        write(root / f"splits/test.split{number}.bundle", "P3.txt\n")
    return root


SALADS = {"P1": [("cut_tomato", 0.5, 1.5), ("cut_tomato", 2, 2.2)], "P2": [("peel", 0, 0.4)],
          "P3": [("peel", 0.2, 0.8), ("cut_tomato", 0.8, 1.1)]}


@pytest.mark.parametrize("path", ["mstcn", "mstcn/groundTruth"])
def test_the_twelve_instances(path):
    sheet = scan(CASES / path, videos=CASES / "videos")
    assert sheet.layout == "MS-TCN" and not errors(sheet)
    assert_same(found(sheet), expected(), 1e-3)
    assert sheet.set_aside == {"labels mean that nothing happens": 15}
    assert sheet.classes == ["bounce", "catch", "jump", "throw", "wave"]


def test_one_file_of_the_folder_is_one_video():
    sheet = scan(CASES / "mstcn/groundTruth/clip_0001.txt", videos=CASES / "videos")
    assert_same(found(sheet), [row for row in expected() if row[0] == "clip_0001"], 1e-3)
    assert sheet.classes[0] == "bounce"


def test_neighbouring_frames_of_one_label_are_one_instance(tmp_path):
    sheet = scan(make_salads(tmp_path / "50salads"), reading=AT_10)
    assert instances(sheet.entries) == SALADS and sheet.classes == ["peel", "cut_tomato"]
    assert sheet.set_aside == {"labels mean that nothing happens": 3}
    assert sheet.counts.startswith("8 instances read = 5 kept + 3 set aside")
    note = sheet.findings["the file has other labels as well"].examples[0]
    assert note.startswith("split1, split2 divide") and "--tier split1" in note
    assert {entry.subset for entry in sheet.entries} == {"all"}


def test_a_split_gives_the_subsets(tmp_path):
    sheet = scan(make_salads(tmp_path / "a"), reading=Reading(fps=10.0, tier="split2"))
    assert {entry.id: entry.subset for entry in sheet.entries} == {"P1": "train", "P2": "train", "P3": "test"}
    write(make_salads(tmp_path / "b", splits=1) / "groundTruth/P4.txt", "peel\npeel\n")
    sheet = scan(tmp_path / "b", reading=AT_10)
    assert [(entry.id, entry.subset) for entry in sheet.entries] == [("P1", "train"), ("P2", "train"), ("P3", "test"),
                                                                     ("P4", "all")]
    assert sheet.findings["videos have no subset"].examples == ["P4 is in no file of the split"]
    with pytest.raises(AnnotationError, match="--tier split9: there is no such split; there are split1, split2"):
        scan(tmp_path / "a", reading=Reading(tier="split9"))


def test_without_a_frame_rate_the_advice_names_those_of_the_data_sets(tmp_path):
    sheet = scan(make_salads(tmp_path))
    finding = sheet.findings["times are frames, and the frame rate is not known"]
    assert finding.level == "error" and finding.count == 8 and "--fps 25" in finding.advice
    assert "Breakfast and GTEA have 15, 50Salads has 30" in finding.advice


def test_class_numbers_are_named_by_mapping(tmp_path):
    (tmp_path / "groundTruth").mkdir()
    write(tmp_path / "groundTruth/P1.txt", "1\n" * 10 + "0\n" * 10 + "7\n" * 2)
    write(tmp_path / "mapping.txt", "0 peel\n1 cut\n")
    assert [row[:1] for row in scan(tmp_path, reading=AT_10).entries[0].instances] == [("cut",), ("peel",), ("7",)]


def test_breakfasts_own_files_have_first_and_last_frames(tmp_path):
    text = "1-30 SIL  \n31-150 take_cup  \n151-300 pour_milk  \n301-310 SIL\n"
    path = write(tmp_path / "P03_cam01_P03_cereals.txt", text)
    for given in (path, tmp_path):
        sheet = scan(given, reading=Reading(fps=15.0))
        assert instances(sheet.entries) == {"P03_cam01_P03_cereals": [("take_cup", 2, 10), ("pour_milk", 10, 20)]}
        assert sheet.set_aside == {"labels mean that nothing happens": 2}
    sheet = scan(write(path, text + "311 - take\n"), reading=Reading(format="ms-tcn", fps=15.0))
    assert sheet.findings["rows cannot be understood"].examples == ["P03_cam01_P03_cereals.txt line 5: 311 - take"]


def test_a_folder_of_several_data_sets_is_refused_with_their_names(tmp_path):
    for name in ("gtea", "breakfast"):
        make_salads(tmp_path / name)
    with pytest.raises(AnnotationError, match=r"holds 2 data sets; give one of them:\n.*breakfast\n.*gtea"):
        scan(tmp_path, reading=AT_10)
    assert instances(scan(tmp_path / "gtea", reading=AT_10).entries) == SALADS


@pytest.mark.parametrize("text", [
    "a\nb\nc\n", "jump\n", "", "1 Jump\n2 Jump\n2 Jump\n", "a,b\na,b\n", "v 1 2\nv 1 2\n", "0.5,1,x\n0.5,1,x\n"])
def test_what_is_no_label_a_frame_is_not_taken_for_it(tmp_path, text):
    with pytest.raises(AnnotationError, match="no column"):
        scan(write(tmp_path / "a.txt", text))


def test_damaged_files_end_in_a_sheet_or_in_one_error(tmp_path):
    make_salads(tmp_path)
    for seed in range(20):
        name = ["groundTruth/P1.txt", "groundTruth/P3.txt", "mapping.txt", "splits/test.split1.bundle"][seed % 4]
        before = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(damaged_text(before.decode(), seed, " ").encode(errors="replace"))
        survives(tmp_path / "groundTruth/P1.txt", "ms-tcn")
        survives(tmp_path, "ms-tcn", tier="split1", fps=25.0)
        (tmp_path / name).write_bytes(before)
