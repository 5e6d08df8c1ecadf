"""THUMOS-14's official text files: rows as they are written, and entries made of them."""

from collections import Counter

import pytest

from helpers.annotation_files import instances
from helpers.annotation_files import write_text as write
from helpers.label_cases import damaged_text, survives
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.formats.thumos import AMBIGUOUS, find_thumos_files, parse_thumos_text
from losa.label_files.times import seconds


def test_thumos_text_files_become_entries_with_ambiguous_apart(tmp_path):
    write(tmp_path / "Jump_test.txt", "video_test_2  1.5 2.0\nvideo_test_1  3 4\n")
    write(tmp_path / "Dive_test.txt", "video_test_2  0.5 1\n\n")
    write(tmp_path / "Dive_val.txt", "video_validation_9  0.5 1\n")
    write(tmp_path / "Ambiguous_test.txt", "video_test_2  7 8\nvideo_test_7  1 2\n")
    write(tmp_path / "readme.txt", "something else")
    sheet = scan(tmp_path)
    assert instances(sheet.entries) == {"video_test_1": [("Jump", 3, 4)], "video_validation_9": [("Dive", 0.5, 1)],
                                        "video_test_2": [("Dive", 0.5, 1), ("Jump", 1.5, 2)]}
    assert {entry.id: entry.subset for entry in sheet.entries}["video_validation_9"] == "val"
    assert sheet.ambiguous == {"video_test_2": [(7, 8)], "video_test_7": [(1, 2)]} and sheet.classes == ["Dive", "Jump"]
    write(tmp_path / "detclasslist.txt", "3 Jump\n8 Dive\n")
    assert scan(tmp_path).classes == ["Jump", "Dive"]
    write(tmp_path / "Run_test.txt", "video_test_1  3\n../video  1 2\n")
    with pytest.raises(AnnotationError, match=r"Run_test.txt line 1: video_test_1  3(.|\n)*Run_test.txt line 2"):
        read_layout(tmp_path)


def test_a_folder_without_such_files_says_what_is_expected(tmp_path):
    with pytest.raises(AnnotationError, match="files like BaseballPitch_test.txt"):
        read_layout(tmp_path)


def test_the_official_text_and_the_json_of_thumos_agree(shared_data):
    text, classes = read_layout(shared_data / "thumos14" / "official_txt")
    table, names = read_layout(shared_data / "thumos14" / "thumos14.json")
    assert classes == names and len(text) == 212 and len(scan(shared_data / "thumos14/official_txt").ambiguous) == 37
    table = [entry for entry in table if entry.subset == "Test"]
    ours, theirs = ({e.id: Counter((label, round(s, 1), round(t, 1)) for label, s, t in e.instances) for e in entries}
                    for entries in (text, table))
    assert ours == theirs and {entry.fps for entry in table} == {24.0, 25.0, 29.97, 30.0}


def test_files_of_classes_and_subsets_are_found_and_no_others(tmp_path):
    for name in ("Jump_test.txt", "Dive_val.txt", "High_Jump_test.txt", "Ambiguous_val.txt", "detclasslist.txt",
                 "Jump_train.txt", "Jump_test.csv", "test.txt"):
        write(tmp_path / name, "")
    found = [(path.name, label, subset) for path, label, subset in find_thumos_files(tmp_path)]
    assert found == [("Ambiguous_val.txt", AMBIGUOUS, "val"), ("Dive_val.txt", "Dive", "val"),
                     ("High_Jump_test.txt", "High_Jump", "test"), ("Jump_test.txt", "Jump", "test")]


def test_lines_keep_their_number_and_say_when_they_are_no_row():
    text = "  v 1.5  2\n\nw 3 four\nx 1 2 3\ny 1:00 2\nz\n"
    rows = [tuple(row) for row in parse_thumos_text(text, seconds)]
    assert rows == [(1, "v 1.5  2", "v", 1.5, 2.0), (3, "w 3 four", None, 0, 0), (4, "x 1 2 3", None, 0, 0),
                    (5, "y 1:00 2", "y", 60.0, 2.0), (6, "z", None, 0, 0)]


# --- MultiTHUMOS' text files ------------------------------------------------------------------------------------------


def test_a_folder_of_multithumos_has_a_file_for_each_class(tmp_path):
    for folder in (tmp_path / "annotations", tmp_path):
        folder.mkdir(exist_ok=True)
        write(folder / "BaseballPitch.txt", "video_validation_0000266 72.80 76.40\nvideo_test_0000004 1.2 3\n")
        write(folder / "Stand.txt", "video_test_0000004 0.0 9.5\n")
    write(tmp_path / "class_list.txt", "1 Stand\n2 BaseballPitch\n")
    for folder in (tmp_path / "annotations", tmp_path):
        sheet = scan(folder)
        assert sheet.layout == "MultiTHUMOS" and sheet.classes == ["Stand", "BaseballPitch"]
        assert instances(sheet.entries) == {
            "video_validation_0000266": [("BaseballPitch", 72.8, 76.4)],
            "video_test_0000004": [("BaseballPitch", 1.2, 3), ("Stand", 0, 9.5)]}
        assert [entry.subset for entry in sheet.entries] == ["val", "test"]


def test_videos_of_other_names_need_a_list_of_classes(tmp_path):
    write(tmp_path / "Jump.txt", "one 1 2\nsub/two 3 4\n")
    with pytest.raises(AnnotationError, match="no column"):
        scan(tmp_path)
    write(tmp_path / "class_list.txt", "Jump\nSit\n")
    assert instances(scan(tmp_path).entries) == {"one": [("Jump", 1, 2)], "sub/two": [("Jump", 3, 4)]}
    write(tmp_path / "Jump.txt", "one 1 2\none 1\n../x 1 2\n")
    sheet = scan(tmp_path)
    assert sheet.findings["rows cannot be understood"].examples[0] == "Jump.txt line 2: one 1"
    assert sheet.findings["ids or paths lead out of the folder"].count == 1


def test_a_damaged_folder_of_multithumos_ends_in_a_sheet_or_in_one_error(tmp_path):
    text = "video_validation_0000266 72.80 76.40\nvideo_test_0000004 1.2 3\n"
    write(tmp_path / "Stand.txt", text)
    for seed in range(20):
        (tmp_path / "Jump.txt").write_bytes(damaged_text(text, seed, " ").encode(errors="replace"))
        survives(tmp_path, "multithumos-text")
        survives(tmp_path, "thumos")
