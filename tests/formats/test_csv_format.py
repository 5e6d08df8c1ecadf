"""CSV as people write it: every way to save it says the same, and what says too little stops."""


import pytest

from helpers.annotation_files import by_id, instances, write_csv
from helpers.annotation_files import write_text as write
from helpers.label_cases import CASES, VIDEOS, agree
from helpers.paths import SHARED
from losa.annotations.dataset import load_annotations
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError, Note
from losa.formats.csv_format import read_ranges
from losa.label_files.source import Reading

pytestmark = pytest.mark.usefixtures("no_unexpected_warning")


ROWS = "video,label,start,end,subset\none.mp4,jump,0.5,1.5,train\ntwo,sit,3,83.5,test\nthree,,,,test\n"


@pytest.mark.parametrize("text", [
    ROWS, "\ufeff" + ROWS, ROWS.replace("\n", "\r\n"), ROWS.replace("\n", "\r"), ROWS.replace("\n", "\n\n"),
    "\n\n" + ROWS, ROWS.replace(",", ";"), ROWS.replace(",", "\t"), "sep=;\n" + ROWS.replace(",", ";"),
    ROWS.replace(",", ";").replace(".5", ",5"), ROWS.replace("83.5", "1:23.5"), ROWS.replace("83.5", "00:01:23.5"),
    ROWS.replace(",", " , "), ROWS.replace("video", "Video").replace("end", "END"), ROWS.replace("\n", ",,\n"),
    ROWS.replace("three,,,,test", "three"), ROWS.replace(",,,,test", ",,,,"), ROWS.replace("0.5", '"0,5"'),
    ROWS + ",,,,\n",
])  # fmt: skip
def test_csv_is_read_however_it_was_saved(tmp_path, text):
    expected = {"one": [("jump", 0.5, 1.5)], "two": [("sit", 3, 83.5)], "three": []}
    for name, encoding in (("a.csv", "utf-8"), ("a.txt", "utf-8"), ("b.csv", "utf-16")):
        entries, classes = read_layout(write(tmp_path / name, text.removeprefix("\ufeff" * (encoding == "utf-16")),
                                             encoding))
        assert instances(entries) == expected and classes is None
    assert [entry.name for entry in entries] == ["one.mp4", "two", "three"]


@pytest.mark.parametrize(("text", "expected"), [
    ("", "no column video, label, start, end; the first line is ''"),
    ("a,b\n1,2\n", "no column video"),
    ("video,label,start,end\n\"one,a,1,2\n", "1 rows do not have"),
    ("video,label,start,end\n\"" + "x" * 200_000, "line .* cannot be read as CSV .*never closed"),
    ("video,label,start,end\na.mp4,x,1,2\na.avi,x,3,4\n", "a: a.mp4, a.avi would be one video"),
    ("video,label,start,end\n../a.mp4,x,1,2\n", r"lead out of the folder:\n  line 2: '../a.mp4'"),
    ("video,label,start,end\na,x,1,5,2,5\n", r"6 instead of 4: a,x,1,5,2,5\nWrite a decimal point"),
])  # fmt: skip
def test_csv_that_says_too_little_stops(tmp_path, text, expected):
    with pytest.raises(AnnotationError, match=expected):
        read_layout(write(tmp_path / "a.csv", text))


def test_csv_rows_become_records(folder, tmp_path):
    path = write_csv(tmp_path / "a.csv", "video, label, start, end, subset", "one.mp4, jump, 0.5, 1.5, train",
                     'one,"sit, stand",2,3,train', "", "more/three.mp4,,,,test", "two,jump,0,0.25,test")  # fmt: skip
    found = load_annotations(path, folder)
    assert by_id(found) == {"one": [("jump", 0.5, 1.5), ("sit, stand", 2, 3)], "more/three": [],
                            "two": [("jump", 0, 0.25)]}
    assert {v.id: (v.subset, v.path.name) for v in found.videos} == {
        "one": ("train", "one.mp4"), "more/three": ("test", "three.mp4"), "two": ("test", "two.mkv")}
    assert [v.duration for v in found.videos] == pytest.approx([4.0, 2.0, 2.0], abs=0.01)
    plain = write_csv(tmp_path / "b.csv", "video,label,start,end", "one,a,0,1")
    assert load_annotations(plain, folder).subsets == {"all": (1, 1)}


@pytest.mark.parametrize(("lines", "expected"), [
    (["video/label/start/end"], "no column video, label, start, end; the first line is 'video/label/start/end'"),
    (["one,0,1,a"], "1 header line missing:\n  the first line is 'one,0,1,a', read as video,start,end,label"),
    (["video,label,start,end,end", "one,a,0,1,1"], "a column is there more than once"),
    (["video,label,start", "one,a,1"], "no column end"),
    (["video,label,start,end", "one,a,0:61,2", "one,a,,2", ",a,1,2", "one,a,nan,2"],
     r"4 rows cannot be understood:\n  line 2: one,a,0:61,2"),
    (["video,label,start,end", "one,a,1,2,3"],
     r"1 rows do not have as many cells as the first line:\n  line 2: 5 instead of 4"),
    (["video,label,start,end,subset", "one,a,1,2,train", "one.mp4,a,2,3,test"],
     r"in more than one subset:\n  one: test, train"),
    (["video,label,start,end", "one,a,2,1"], r"one: 'a' \[2.0, 1.0\]: ends before it starts"),
    (["video,label,start,end", "one,a,1,2", "nine,a,1,2"], "1 of 2 video files are missing"),
    (["video,label,start,end", "one,,,"], "no ground truth"),
])  # fmt: skip
def test_bad_csv_stops(folder, tmp_path, lines, expected):
    with pytest.raises(AnnotationError, match=expected):
        load_annotations(write_csv(tmp_path / "a.csv", *lines), folder)


def test_repeated_csv_rows_are_kept_once_and_counted(folder, tmp_path):
    path = write_csv(tmp_path / "a.csv", "video,label,start,end", "one,a,1,2", "one.mp4,a,1.0,2", "one,b,1,2")
    with pytest.warns(UserWarning, match="1 instances are there more than once"):
        assert by_id(load_annotations(path, folder)) == {"one": [("a", 1, 2), ("b", 1, 2)]}


def test_ranges_are_rows_with_their_line_and_open_ends(tmp_path):
    path = write_csv(tmp_path / "r.csv", "id,file,start,end,subset", "a, one.mp4 ,0:30,1:00,train", "", "b,one.mp4,,,")
    assert read_ranges(path) == [
        {"id": "a", "file": "one.mp4", "start": 30.0, "end": 60.0, "subset": "train", "line": 2},
        {"id": "b", "file": "one.mp4", "start": 0.0, "end": float("inf"), "subset": "", "line": 4}]
    path = write_csv(tmp_path / "r.csv", "id;file;start;end", "a;one.mp4;2;1", "../b;one.mp4;0;1", "c;one.mp4;-1;1",
                     "d;one.mp4;0;1", "e;one.mp4;zero;1", "f;one.mp4;0;1;2;3")
    with pytest.raises(AnnotationError, match="ranges cannot be understood") as caught:
        read_ranges(path)
    said = str(caught.value)
    assert all(f"line {line}: " in said for line in (2, 3, 4, 6))
    assert "line 5" not in said and "0 <= start < end" in said


# --- tables as people really have them: the same twelve instances in each ---------------------------------------------


@pytest.mark.parametrize("name", [
    "csv_more/boris_fixed.csv", "csv_more/comment_lines.csv", "csv_more/createml.csv", "csv_more/labels.jsonl",
    "csv_more/ls_upload.csv", "csv_more/title_rows.csv", "csv_more/video_starts_at.csv", "csv_more/windows_paths.csv",
    "csv_more/youtube.csv", "csv_more/background_rows.csv", "excel/duration.csv", "excel/frames_columns.csv",
    "excel/id_is_row.csv", "excel/ids_float.csv", "excel/semicolon_comma.csv", "excel/thousands_ms.csv",
    "excel/timecode_colon.csv", "excel/timecode_semicolon.csv", "excel/units.csv", "excel/units_in_header.csv",
    "excel/utf16.txt"])  # fmt: skip
def test_tables_as_people_have_them_give_the_twelve_instances(name):
    sheet = scan(CASES / name, videos=VIDEOS)
    assert agree(sheet.entries, within=0.05)
    assert not [finding for finding in sheet.findings.values() if finding.level == "error"]


@pytest.mark.parametrize(("name", "said", "reading"), [
    ("csv_more/headerless4.csv", "1 header line missing.*\n.*--columns video=1,start=2,end=3,label=4",
     {"columns": {"video": "1", "start": "2", "end": "3", "label": "4"}}),
    ("csv_more/headerless_space.txt", "1 header line missing.*\n.*--columns video=1,start=2,end=3,label=4",
     {"columns": {"video": "1", "start": "2", "end": "3", "label": "4"}}),
    ("csv_more/empty_end.csv", "12 instances have no end", {}),
    ("csv_more/excel_date.csv", "1 times are dates:\n  line 12: clip_0002,throw,14. Mai,15. Apr\nA spread", {}),
    ("csv_more/labels.xlsx", 'save its sheet as "CSV UTF-8"', {}),
    ("csv_more/start_duration.csv", "", {"columns": {"duration": "end"}}),
])  # fmt: skip
def test_tables_that_leave_a_choice_name_the_option_that_makes_it(name, said, reading):
    if said:
        with pytest.raises(AnnotationError, match=said):
            read_layout(CASES / name, videos=VIDEOS)
    if reading:
        assert agree(read_layout(CASES / name, reading=Reading(**reading), videos=VIDEOS)[0], within=0.05)


def test_columns_are_taken_by_name_number_or_unit_and_wrong_ones_listed(tmp_path):
    text = "who,what,start_ms,end_ms,start_frame\none,jump,500,1500,15\n"
    path = write(tmp_path / "a.csv", text)
    reading = Reading(columns={"video": "who", "label": "2"})
    with pytest.warns(Note, match="2 columns have another name:\n  'start_ms' is start, in ms"):
        assert instances(read_layout(path, reading=reading)[0]) == {"one": [("jump", 0.5, 1.5)]}
    with pytest.raises(AnnotationError, match="no column video, label; the columns are 'who', 'what'.* --columns "
                                              "video=NAME,label=NAME"):
        read_layout(path)
    with pytest.raises(AnnotationError, match=r"there is no column 'Who\?' \(for video\); there are 'who', 'what'"):
        read_layout(path, reading=Reading(columns={"video": "Who?"}))
    with pytest.raises(AnnotationError, match="--columns foo=who: expected video, label, start"):
        read_layout(path, reading=Reading(columns={"foo": "who"}))


def test_a_table_without_a_video_is_of_the_video_that_has_its_name(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / f"{name}.csv", "label,start,end\njump,0.5,1.5\n")
    sheet = scan(tmp_path)
    assert instances(sheet.entries) == {"one": [("jump", 0.5, 1.5)], "two": [("jump", 0.5, 1.5)]}
    assert sheet.findings["videos are named by their files"].count == 2


def test_columns_that_look_like_labels_are_mentioned(tmp_path):
    rows = "".join(f"one,{'ab'[i % 2]},{i},{i + 1},{'fast' if i % 3 else 'slow'},{i}.jpg,note {i}\n" for i in range(9))
    path = write(tmp_path / "a.csv", "video,label,start,end,speed,thumb,remark\n" + rows)
    found = scan(path).findings["columns are not read that may be labels"]
    assert found.level == "note" and found.examples == [
        "'speed' (2 different: fast, slow): --label-column 'speed' takes it"]
    taken = scan(path, reading=Reading(label_column="speed")).entries
    assert {label for entry in taken for label, _, _ in entry.instances} == {"fast", "slow"}


def test_the_table_of_afsd_gives_thumos_without_its_ambiguous_stretches(tmp_path):
    folder = SHARED / "thumos14" / "official_txt"
    if not folder.is_dir():
        pytest.skip("needs THUMOS-14's text files in ../shared/data")
    rows = ["video,type,type_idx,start,end,startFrame,endFrame"]
    for file in sorted(folder.glob("*_test.txt")):
        for line in file.read_text().splitlines():
            video, start, end = line.split()
            rows.append(f"{video},{file.stem.removesuffix('_test')},0,{start},{end},{float(start) * 30:.0f},0")
    sheet = scan(write(tmp_path / "test_Annotation.csv", "\n".join(rows)))
    labels = {label for entry in sheet.entries for label, _, _ in entry.instances}
    assert len(labels) == 20 and sheet.set_aside == {"stretches are ambiguous": 99}
    assert sum(len(entry.instances) for entry in sheet.entries) == 3358


def test_a_table_that_names_several_videos_in_a_column_of_another_name_is_not_one_video(tmp_path):
    text = "label,start,end,Footage\njump,1,2,a.mp4\nrun,3,4,{}\n"
    with pytest.raises(AnnotationError, match="'Footage' names 2 files, such as 'a.mp4'.*--columns video=\"Footage\""):
        scan(write(tmp_path / "a.csv", text.format("b.mp4")))
    given = Reading(columns={"video": "Footage"})
    assert instances(read_layout(write(tmp_path / "a.csv", text.format("b.eaf")), reading=given)[0]) == {
        "a": [("jump", 1.0, 2.0)], "b": [("run", 3.0, 4.0)]}
    alike = text.format("a.mp4")
    assert [entry.id for entry in scan(write(tmp_path / "a.csv", alike)).entries] == ["a"]
    with pytest.raises(AnnotationError, match="'Footage' names 1 files"):
        scan(write(tmp_path / "labels.csv", alike))


@pytest.mark.parametrize(("header", "rows", "read"), [
    ("Videodatei;Aktion;Beginn [s];Ende [s]", "one;jump;1,5;2,5", (1.5, 2.5)),
    ("Vidéo;Étiquette;Début (s);Fin (s)", "one;jump;1,5;2,5", (1.5, 2.5)),
    ("video;label;frame_start;frame_end", "one;jump;15;25", (1.5, 2.5)),
    ("video;label;Start in ms;End, ms", "one;jump;1500;2500", (1.5, 2.5)),
    ("video;label;start (ms);end (ms)", "one;jump;900;1.500", (0.9, 1.5)),
    ("video;label;start (ms);end (ms)", "one;jump;1'500;12'500", (1.5, 12.5)),
    ("video;label;start;duration", "one;jump;00:00:01:08;00:00:02:07", (1.8, 4.5)),
    ("video;label;start_frame;duration (s)", "one;jump;15;2,5", (1.5, 4)),
    ("video;label;start;end", "one;jump;0 days 00:00:01.500000;0 days 00:01:02", (1.5, 62)),
    (r"Path;label;timestamp_start;timestamp_end", r".\one.mp4;jump;1.5;2,5 Sek.", (1.5, 2.5)),
])  # fmt: skip
def test_units_names_and_digits_of_spreadsheets_are_understood(tmp_path, header, rows, read):
    sheet = scan(write(tmp_path / "a.csv", f"{header}\n{rows}\n"), reading=Reading(fps=10))
    assert instances(sheet.entries) == {"one": [("jump", *map(pytest.approx, read))]}


def test_decimals_in_milliseconds_are_no_thousands(tmp_path):
    path = write(tmp_path / "a.csv", "video,label,start_ms,end_ms\none,jump,1.166,2333.25\n")
    assert instances(scan(path).entries) == {"one": [("jump", pytest.approx(0.001166), pytest.approx(2.33325))]}


def test_a_unit_that_is_asked_for_is_not_applied_on_top_of_the_columns_own(tmp_path):
    path = write(tmp_path / "a.csv", "video,label,start_ms,end_ms\none,jump,90,120\n")
    sheet = scan(path, reading=Reading(times="decimal-minutes"))
    assert instances(sheet.entries) == {"one": [("jump", 5400, 7200)]}
    assert sheet.findings["columns state another unit than is asked for"].examples[0] == (
        "'start_ms' is read as decimal-minutes, not ms")
    assert instances(scan(path, reading=Reading(times="ms")).entries) == {"one": [("jump", 0.09, 0.12)]}


def test_a_unit_in_the_name_of_a_column_counts_where_it_is_given_by_number(tmp_path):
    path = write(tmp_path / "a.csv", "video,label,start_ms,end_ms\none,jump,500,1500\n")
    reading = Reading(columns={"start": "3", "end": "4"})
    assert instances(scan(path, reading=reading).entries) == {"one": [("jump", 0.5, 1.5)]}


def test_hundredths_that_could_all_be_frames_are_told(tmp_path):
    rows = [f"one,jump,00:00:{i:02d}.{i:02d},00:00:{i + 1:02d}.{i + 1:02d}" for i in range(8)]
    path = write(tmp_path / "a.csv", "\n".join(["video,label,start,end", *rows]))
    assert scan(path).findings["hundredths may be frames"].examples == ["00:00:08.08, and 16 like it"]
    path = write(path, "\n".join(["video,label,start,end", *rows, "one,jump,00:00:01.00,00:00:02.75"]))
    assert "hundredths may be frames" not in scan(path).findings


def test_what_a_table_lacks_is_told_with_the_option_to_type(tmp_path):
    with pytest.raises(AnnotationError, match="no column video, .*--columns video=NAME,label=NAME,start=NAME,end=NAME"):
        scan(write(tmp_path / "a.csv", "film;was;von;bis\none;jump;1;2\n"))
    path = write(tmp_path / "a.csv", "film,label,start,end\none,jump,1,2\none,sit,1,2\ntwo,jump,1,2\ntwo,sit,1,2\n")
    assert scan(path).findings["columns are not read that may be labels"].examples == [
        "'film' (2 different: one, two): --label-column 'film' takes it; --columns video='film', if it names the "
        "videos"]
    with pytest.raises(AnnotationError, match="--tier x: a table has no tiers; --label-column"):
        scan(path, reading=Reading(tier="x"))
