"""VIA 3: projects and CSV files, options and free text, several attributes; and what is written comes back."""

import csv
import io
import json

import pytest

from helpers.tool_cases import found, same, truth, write
from losa.annotations.scan import read_layout, scan
from losa.errors import AnnotationError
from losa.formats.via import write_via
from losa.label_files.rows import Item, Labelled
from losa.label_files.source import Reading


def attribute(name="action", kind=4, anchor="FILE1_Z2_XY0", **options):
    return {"aname": name, "anchor_id": anchor, "type": kind, "desc": "", "default_option_id": "",
            "options": {key.lstrip("_"): text for key, text in options.items()}}


ACTION = attribute(_0="run", _1="sit down")


def item(*z, vid="1", xy=(), **av):
    return {"vid": vid, "flg": 0, "z": list(z), "xy": list(xy), "av": {key.lstrip("_"): av[key] for key in av}}


def project(*items, names=("a.mp4",), **attributes):
    ids = [str(number) for number, _ in enumerate(names, 1)]
    return {"project": {"pid": "x", "rev": "1", "pname": "p", "data_format_version": "3.1.2", "vid_list": ids},
            "config": {"file": {}, "ui": {}},
            "attribute": {key.lstrip("_"): value for key, value in (attributes or {"_1": ACTION}).items()},
            "file": {n: {"fid": n, "fname": name, "type": 4, "loc": 1, "src": ""}
                     for n, name in zip(ids, names, strict=True)},
            "metadata": {f"1_{number:08d}": each for number, each in enumerate(items)},
            "view": {n: {"fid_list": [n]} for n in ids}}


def test_the_twelve_instances_of_the_samples_as_project_and_as_csv(tmp_path):
    rows = truth()
    names, labels = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    options = {str(number): label for number, label in enumerate(labels)}
    items = [item(start, end, vid=str(names.index(name) + 1), _1=str(labels.index(label)))
             for name, label, start, end in rows]
    content = project(*items, names=[f"{name}.mp4" for name in names], _1={**ACTION, "options": options})
    assert same(found(scan(write(tmp_path, "p.json", content))), rows)
    lines = [[f"1_{number}", json.dumps([f"{name}.mp4"]), 0, json.dumps([start, end]), "[]",
              json.dumps({"1": str(labels.index(label))})] for number, (name, label, start, end) in enumerate(rows)]
    assert same(found(scan(write(tmp_path, "p.csv", via_csv(lines, {"1": {**ACTION, "options": options}})))), rows)


def test_values_are_keys_of_options_of_text_and_of_ticked_boxes(tmp_path):
    sheet = scan(write(tmp_path, "p.json", project(
        item(1, 2, _1="1"), item(3, 4, _1="jumps"), item(5, 6, _1=""), item(7, 8, _1="_DEFAULT"), item(9, 10))))
    assert found(sheet) == [("a", "jumps", 3, 4), ("a", "sit down", 1, 2)]
    assert sheet.set_aside == {"instances have no label": 3}
    boxes = project(item(1, 2, _1="0,1"), item(3, 4, _1={"0": True, "1": 0}), _1=attribute("w", 2, _0="run", _1="sit"))
    assert found(scan(write(tmp_path, "b.json", boxes))) == [("a", "run", 1, 2), ("a", "run", 3, 4), ("a", "sit", 1, 2)]
    text = project(item(1, 2, _1=" run, then sit "), _1=attribute("action", 1))
    assert found(scan(write(tmp_path, "c.json", text))) == [("a", "run, then sit", 1, 2)]


def test_frames_and_boxes_are_set_aside_and_files_without_items_are_told(tmp_path):
    content = project(item(1, 2, _1="0"), item(5, _1="0"), item(6, xy=[2, 1, 1, 9, 9], _1="1"), item(_1="0"),
                      item(3, 4, xy=[2, 1, 1, 9, 9], vid="2", _1="1"), names=("a.mp4", "b.mkv", "c.mp4"))
    sheet = scan(write(tmp_path, "p.json", content))
    assert found(sheet) == [("a", "run", 1, 2), ("b", "sit down", 3, 4)]
    assert sheet.set_aside == {"events are points in time": 1, "items are no segments": 2}
    assert sheet.counts.startswith("5 instances read = 2 kept + 3 set aside")
    assert sheet.findings["videos are not labelled yet"].examples == ["c.mp4"]


def test_several_attributes_are_a_choice_unless_the_others_are_numbers(tmp_path):
    content = project(item(1, 2, _1="0", _2="0"), item(3, 4, _1="1"), _1=attribute("verb", _0="take", _1="put"),
                      _2=attribute("noun", _0="cup"))
    path = write(tmp_path, "p.json", content)
    with pytest.raises(AnnotationError, match=r"several attributes.*'verb' \(2\), 'noun' \(1\).*--label-column verb"):
        scan(path)
    assert found(scan(path, reading=Reading(label_column="noun"))) == [("a", "cup", 1, 2)]
    scores = project(item(1, 2, _1="0", _9="0.5"), _1=ACTION, _9=attribute("confidence", 1))
    sheet = scan(write(tmp_path, "s.json", scores))
    assert found(sheet) == [("a", "run", 1, 2)]
    note, = sheet.findings["several could be the label"].examples
    assert note == "'action' is taken; there are also 'confidence' (1)"


def test_old_projects_without_views_and_views_of_several_files(tmp_path):
    content = project(item(1, 2, _1="0"))
    del content["view"]
    assert found(scan(write(tmp_path, "p.json", content))) == [("a", "run", 1, 2)]
    content = project(item(1, 2, _1="0"), names=("left.mp4", "right.mp4"))
    content["view"]["1"]["fid_list"] = ["1", 2]
    sheet = scan(write(tmp_path, "q.json", content))
    assert found(sheet) == [("left", "run", 1, 2)]
    assert sheet.findings["items name several videos"].examples[0].endswith("left.mp4, right.mp4")
    content["file"]["1"] |= {"fname": "", "src": "https://host/x/left%20side.mp4"}
    assert found(scan(write(tmp_path, "q.json", content))) == [("left side", "run", 1, 2)]


def test_options_that_are_gone_and_times_that_are_none_are_findings(tmp_path):
    path = write(tmp_path, "p.json", project(item(1, 2, _1="7"), item("x", 2, _1="0"), item(1, 2, vid="9", _1="0"), 3))
    with pytest.raises(AnnotationError, match=r"4 rows cannot be understood:\n  metadata 1_00000003: expected an "
                                              r"object, got 3\n  metadata 1_00000000: 'action' has no option 7, "
                                              r"only 0, 1"):
        read_layout(path)


def test_via_2_is_refused_by_name(tmp_path):
    with pytest.raises(AnnotationError, match="is of VIA 2, which has regions of images and no times"):
        scan(write(tmp_path, "a.json", {"_via_settings": {}, "_via_img_metadata": {"a.jpg1": {"regions": []}}}))


# --- CSV ------------------------------------------------------------------------------------------------------------


def via_csv(rows, attributes, head="metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata",
            name="ATTRIBUTE", separator=","):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    return "\n".join(["# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)", "# Notes:",
                      '# - metadata of {""1"":""3""} indicates attribute with id "1" set to an option with id "3"',
                      '# SHAPE_ID = {"POINT":1,"RECTANGLE":2}', f"# {name} = {json.dumps(attributes)}",
                      f"# CSV_HEADER = {head}", text.getvalue()])


ROWS = [["1_a", '["a, b.mp4"]', "0", "[1.5,2.25]", "[]", '{"1":"1"}'],
        ["1_b", '["a, b.mp4"]', "0", "[3]", "[2,1,1,9,9]", '{"1":"0"}'],
        ["1_c", '["c.mp4"]', "0", "[4,5]", "[]", '{"1":"say \\"hi\\", go"}']]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_csv_with_comments_and_json_in_its_cells(tmp_path, separator):
    sheet = scan(write(tmp_path, "a.csv", via_csv(ROWS, {"1": ACTION}, separator=separator)))
    assert found(sheet) == [("a, b", "sit down", 1.5, 2.25), ("c", 'say "hi", go', 4, 5)]
    assert sheet.set_aside == {"items are no segments": 1} and sheet.layout == "VIA"


def test_csv_after_a_spreadsheet_has_quoted_its_comments(tmp_path):
    lines = via_csv(ROWS[:1], {"1": ACTION}).splitlines()
    text = io.StringIO()
    csv.writer(text).writerows([[line, "", ""] if line.startswith("#") else next(csv.reader([line])) for line in lines])
    assert '"# ATTRIBUTE = {""1""' in text.getvalue()
    assert found(scan(write(tmp_path, "a.csv", text.getvalue()))) == [("a, b", "sit down", 1.5, 2.25)]


def test_old_csv_with_two_columns_of_times_and_names_of_attributes(tmp_path):
    head = "metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata"
    rows = [["1", '["a.mp4"]', "1.5", "2.5", '{"1":"run"}'], ["2", '["a.mp4"]', "7", "", '{"1":"run"}'],
            ["3", '["a.mp4"]', "7"], ["4", '["a.mp4"]', "7", "8", "run"]]
    sheet = scan(write(tmp_path, "a.csv", via_csv(rows, {"1": "action"}, head, "ATTRIBUTES")))
    assert found(sheet) == [("a", "run", 1.5, 2.5)] and sheet.set_aside == {"events are points in time": 1}
    short = sheet.findings["rows do not have as many cells as the first line"]
    assert short.examples[0].startswith("line 9: 3 instead")
    assert sheet.findings["rows cannot be understood"].examples[0].startswith("line 10: expected times and metadata")


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [None, 0.25])
def test_what_is_written_comes_back(tmp_path, score):
    items = [Item("jump", 1.0, 2.5, score), Item('"sit", é', 3.21, 3.22, score), Item("42", 4.0, 5.0, score)]
    videos = [Labelled("day 1/a", items, file="day 1/a.mp4"), Labelled("b", [])]
    path = write(tmp_path, "via.json", write_via(videos)["via.json"])
    assert found(scan(path)) == sorted(("day 1/a", *each[:3]) for each in items)
    assert scan(path).entries[0].name == "day 1/a.mp4"
