"""Tables of EPIC-KITCHENS, C2-Action-Detection, HACS Clips, Charades and TRACE."""

import pytest

from helpers.annotation_files import instances
from helpers.annotation_files import write_text as write
from helpers.label_cases import CASES, assert_same, damaged_text, errors, expected, found, survives
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.label_files.source import Reading

EPIC = """narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,\
narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
P01_11_0,P01,P01_11,00:00:00.560,00:00:00.00,00:00:01.89,1,113,take plate,take,0,plate,2,['plate'],[2]
P01_11_1,P01,P01_11,00:00:01.700,00:00:01.56,00:00:02.45,93,147,put down the board,put,1,board:chopping,17,"['board:chopping']",[17]
P37_103_9,P37,P37_103,01:00:01.700,01:02:03.56,01:02:04.5,1,2,wash it,wash,2,hand,11,"['hand', 'water']","[11, 27]"
"""  # noqa: E501


@pytest.mark.parametrize(("name", "layout", "within", "aside"), [
    ("epic_csv/epic.csv", "EPIC-KITCHENS", 0.006, 0), ("epic_csv/renamed.csv", "CSV", 0.006, 0),
    ("epic_bmn_frames/training.csv", "C2-Action-Detection", 1e-3, 0),
    ("hacs_clips/HACS_clips.csv", "HACS Clips", 0.11, 4), ("hacs_clips/renamed.csv", "HACS Clips", 0.11, 4),
    ("charades/Charades_v1_train.csv", "Charades", 0.006, 0)])
def test_the_twelve_instances(name, layout, within, aside):
    sheet = scan(CASES / name, videos=CASES / "videos")
    assert sheet.layout == layout and not errors(sheet) and sum(sheet.set_aside.values()) == aside
    assert_same(found(sheet), expected(), within)


# --- EPIC-KITCHENS ----------------------------------------------------------------------------------------------------


def test_the_verb_is_epics_class_unless_another_column_is_named(tmp_path):
    path = write(tmp_path / "EPIC_100_validation.csv", EPIC)
    sheet = scan(path)
    assert instances(sheet.entries) == {"P01_11": [("take", 0, 1.89), ("put", 1.56, 2.45)],
                                        "P37_103": [("wash", 3723.56, 3724.5)]}
    assert {entry.subset for entry in sheet.entries} == {"validation"}
    note = sheet.findings["the file has other labels as well"].examples[0]
    assert "'verb' is the class" in note and "--label-column noun or" in note and "--label-column verb,noun" in note
    assert sheet.unread["narration"] == 3 and sheet.unread["all_nouns".replace("_", " ")] == 3

    def labels(column):
        return [row[1] for row in found(scan(path, reading=Reading(label_column=column)))]

    assert labels("noun") == ["board:chopping", "plate", "hand"] and labels("verb_class") == ["0", "1", "2"]
    assert labels("verb,noun") == ["put:board:chopping", "take:plate", "wash:hand"]
    assert labels("Narration") == ["put down the board", "take plate", "wash it"]
    assert labels("12") == labels("noun")
    assert "the file has other labels as well" not in scan(path, reading=Reading(label_column="noun")).findings
    with pytest.raises(AnnotationError, match=r"--label-column vreb: there is no such column; there are narration_id,"):
        scan(path, reading=Reading(label_column="vreb"))


def test_columns_that_are_given_count_more_than_epics_own(tmp_path):
    reading = Reading(columns={"start": "start_frame", "end": "stop_frame", "label": "noun"}, fps=50.0)
    sheet = scan(write(tmp_path / "a.csv", EPIC), reading=reading)
    assert instances(sheet.entries)["P01_11"][0] == ("plate", 0.02, 2.26)


def test_epics_first_release_and_its_sounds_are_read_and_its_test_set_has_no_labels(tmp_path):
    first = ("uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,verb,verb_class\n"
             "0,P01,P01_01,open door,00:00:00.14,00:00:03.37,open,2\n")
    sheet = scan(write(tmp_path / "a.csv", first))
    assert sheet.layout == "EPIC-KITCHENS" and found(sheet) == [("P01_01", "open", 0.14, 3.37)]
    sounds = ("annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,start_sample,stop_sample,"
              "description,class,class_id\nP01_01_0,P01,P01_01,00:00:02.466,00:00:05.315,59184,127560,chopping,"
              "cut / chop,11\n")
    assert found(scan(write(tmp_path / "b.csv", sounds))) == [("P01_01", "cut / chop", 2.466, 5.315)]
    test = "\n".join(",".join(line.split(",")[:8]) for line in EPIC.splitlines())
    with pytest.raises(AnnotationError, match=r"EPIC-KITCHENS without labels(.|\n)*EPIC_100_train.csv"):
        scan(write(tmp_path / "test.csv", test))


def test_a_row_of_epic_that_cannot_be_read_is_told_with_its_line(tmp_path):
    text = EPIC.replace("00:00:01.89", "soon").replace("00:00:02.45", "").replace(",wash,", ",,")
    sheet = scan(write(tmp_path / "a.csv", text))
    assert found(sheet) == [] and sheet.findings["instances have no end"].count == 1
    assert [text.split(":")[0] for text in sheet.findings["rows cannot be understood"].examples] == ["line 2", "line 4"]
    with pytest.raises(AnnotationError, match=r"a column is there more than once: verb"):
        scan(write(tmp_path / "b.csv", EPIC.replace("narration,verb,", "verb,verb,", 1)))


def test_repeated_rows_of_a_published_table_are_kept(tmp_path):
    row = "P01_11_7,P01,P01_11,00:00:00.560,00:00:00.00,00:00:01.89,1,113,take cup,take,0,cup,3,['cup'],[3]\n"
    entries, _ = read_layout(write(tmp_path / "a.csv", EPIC + row))
    assert instances(entries)["P01_11"].count(("take", 0, 1.89)) == 2


# --- C2-Action-Detection ----------------------------------------------------------------------------------------------

C2 = "narration_id,video,start,stop,verb,noun,action\n" \
     "P01_01_0,P01_01,4,101,3,3,2413\nP01_01_1,P01_01,131,185,6,114,3331\n"


def test_c2_counts_frames(tmp_path):
    path = write(tmp_path / "training.csv", C2)
    sheet = scan(path, reading=Reading(fps=30.0))
    assert_same(found(sheet), [("P01_01", "2413", 4 / 30, 101 / 30), ("P01_01", "3331", 131 / 30, 185 / 30)], 1e-5)
    assert sheet.entries[0].subset == "training" and "frames may be counted at another rate" not in sheet.findings
    sheet = scan(path)
    assert found(sheet) == [] and errors(sheet) == ["times are frames, and the frame rate is not known"]
    assert "--fps 30" in sheet.findings["frames may be counted at another rate"].examples[0]
    pairs = scan(path, reading=Reading(fps=30.0, label_column="verb,noun"))
    assert [row[1] for row in found(pairs)] == ["3:3", "6:114"]
    assert [row[1] for row in found(scan(path, reading=Reading(fps=30.0, columns={"label": "verb"})))] == ["3", "6"]


def test_c2_with_a_time_that_is_no_frame_says_so_and_one_in_seconds_is_no_c2(tmp_path):
    rows = "".join(f"x,P01_01,{number},{number + 9},1,1,7\n" for number in range(300))
    sheet = scan(write(tmp_path / "a.csv", C2 + rows + "y,P01_01,12.5,20,1,1,7\n"), reading=Reading(fps=30.0))
    assert sheet.findings["rows cannot be understood"].examples == [
        "line 304: P01_01,7,frame 12.5,Frames(number=20.0, seconds=0, drop=False)"]
    assert len(found(sheet)) == 302
    assert scan(write(tmp_path / "b.csv", C2.replace("131", "131.5"))).layout == "CSV"


# --- HACS Clips -------------------------------------------------------------------------------------------------------

HACS = ("classname,youtube_id,subset,start,end,label\nArchery,-9bUSGdY7hA,training,10.5,12.5,1\n"
        "Archery,-9bUSGdY7hA,training,20.0,22.0,-1\nSurfing,abc,validation,0.0,2.0,-1\n")


def test_negative_samples_of_hacs_are_set_aside_and_counted(tmp_path):
    sheet = scan(write(tmp_path / "HACS_clips_v1.1.1.csv", HACS))
    assert instances(sheet.entries) == {"-9bUSGdY7hA": [("Archery", 10.5, 12.5)], "abc": []}
    assert {entry.id: entry.subset for entry in sheet.entries} == {"-9bUSGdY7hA": "training", "abc": "validation"}
    assert sheet.counts == "3 instances read = 1 kept + 2 set aside (2: samples are negative)"
    assert "'classname' is label; 'label' is 1 or -1" in sheet.findings["columns have another name"].examples[0]


def test_a_file_of_hacs_may_hold_positives_alone_have_other_columns_or_milliseconds(tmp_path):
    text = "video,class,label,start (ms),end (ms)\na.mp4,dive,1,1500,2500\nb.mp4,run,+1,0,900\n"
    sheet = scan(write(tmp_path / "a.csv", text))
    assert sheet.layout == "HACS Clips" and found(sheet) == [("a", "dive", 1.5, 2.5), ("b", "run", 0, 0.9)]
    sheet = scan(write(tmp_path / "a.csv", text), reading=Reading(columns={"label": "label"}))
    assert [row[1] for row in found(sheet)] == ["1", "+1"] and sheet.layout == "CSV"


def test_class_numbers_are_not_mistaken_for_signs(tmp_path):
    text = "video,class,label,start,end\na,dive,1,1,2\na,run,2,3,4\n"
    assert found(scan(write(tmp_path / "a.csv", text))) == [("a", "1", 1, 2), ("a", "2", 3, 4)]
    text = "video,label,start,end\na,1,1,2\na,-1,3,4\n"
    assert scan(write(tmp_path / "a.csv", text)).counts.endswith("(1: labels mean that nothing happens)")


# --- Charades ---------------------------------------------------------------------------------------------------------

CHARADES = ('id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n'
            '46GP8,HR43,Kitchen,6,7,Yes,"A person cooks, then smiles.",food;stove,"Pouring.;Smiling.",'
            'c092 11.90 21.20;c147 0.00 12.60,24.83\n'
            'N11GT,0KZ7,Stairs,,,No,x,,x,,33.50\n')


def test_charades_packed_actions_get_names_from_its_list_of_classes(tmp_path):
    path = write(tmp_path / "Charades_v1_test.csv", CHARADES)
    sheet = scan(path)
    assert instances(sheet.entries) == {"46GP8": [("c092", 11.9, 21.2), ("c147", 0, 12.6)], "N11GT": []}
    assert [(entry.subset, entry.duration) for entry in sheet.entries] == [("test", 24.83), ("test", 33.5)]
    listed = write(tmp_path / "classes.txt", "c092 Holding a dish\nc147 Someone is cooking something\nc000 Holding\n")
    sheet = scan(path, reading=Reading(classes=listed))
    assert instances(sheet.entries)["46GP8"] == [("Holding a dish", 11.9, 21.2),
                                                 ("Someone is cooking something", 0, 12.6)]
    assert set(sheet.classes) == {"Holding", "Holding a dish", "Someone is cooking something"}


def test_a_charades_action_without_its_times_is_a_finding(tmp_path):
    text = CHARADES.replace("c147 0.00 12.60", "c147 0.00").replace("33.50", "long")
    sheet = scan(write(tmp_path / "a.csv", text))
    assert found(sheet) == [("46GP8", "c092", 11.9, 21.2)]
    assert sheet.findings["rows cannot be understood"].count == 2


# --- TRACE ------------------------------------------------------------------------------------------------------------


def test_a_table_of_trace_is_of_the_video_with_its_name(tmp_path):
    text = "# trace-meta: behaviors=groom:g,rear:r\nlabelId,timestamp,endTimestamp\ngroom,0.0,2.25\nrear,40.0,42.0\n"
    path = write(tmp_path / "session01.csv", text)
    sheet = scan(path)
    assert sheet.layout == "TRACE" and found(sheet) == [("session01", "groom", 0, 2.25), ("session01", "rear", 40, 42)]
    assert "session01.csv is of 'session01'" in sheet.findings["videos are named by their files"].examples
    write(tmp_path / "session02.csv", "labelId,timestamp,endTimestamp\n")
    assert instances(scan(tmp_path).entries) == {"session01": [("groom", 0, 2.25), ("rear", 40, 42)], "session02": []}


# --- other tables -----------------------------------------------------------------------------------------------------


def test_a_table_like_afsds_keeps_ambiguous_stretches_apart(shared_data, tmp_path):
    lines, number = ["video,type,type_idx,start,end,startFrame,endFrame"], 0
    for file in sorted((shared_data / "thumos14/official_txt").glob("*_test.txt")):
        for row in filter(None, map(str.split, file.read_text().splitlines())):
            times = [f"{float(time):.2f}" for time in row[1:]], [f"{float(time) * 30:.1f}" for time in row[1:]]
            lines.append(",".join([row[0], file.stem.removesuffix("_test"), "0", *times[0], *times[1]]))
            number += 1
    sheet = scan(write(tmp_path / "thumos_test.csv", "\n".join(lines)))
    assert len(found(sheet)) == 3358 and len({row[1] for row in found(sheet)}) == 20 and number == 3457
    assert sheet.set_aside == {"stretches are ambiguous": 99} and not errors(sheet)
    assert sum(map(len, sheet.ambiguous.values())) == 99


@pytest.mark.parametrize(("name", "text"), [
    ("epic-kitchens", EPIC), ("c2-action-detection", C2), ("hacs-clips", HACS), ("charades", CHARADES),
    ("trace", "labelId,timestamp,endTimestamp\ngroom,0.0,2.25\nrear,40.0,42.0\n")])
def test_damaged_tables_end_in_a_sheet_or_in_one_error(tmp_path, name, text):
    for seed in range(40):
        path = tmp_path / "a.csv"
        path.write_bytes(damaged_text(text, seed).encode(errors="replace"))
        survives(path, name, label_column="label" if name == "hacs-clips" else "")
