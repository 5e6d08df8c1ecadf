"""What BORIS exports as tables, in its versions from 6 to 9."""

import pytest

from helpers.annotation_files import write_text
from helpers.annotator_files import CASES, found, same, truth
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.source import Reading

NEW = ["Observation id", "Observation date", "Description", "Observation duration", "Observation type", "Source",
       "Time offset (s)", "Media duration (s)", "FPS", "Subject", "Behavior", "Behavioral category", "Modifier #1",
       "Behavior type", "Time", "Media file name", "Image index", "Image file path", "Comment"]
AGGREGATED = ["Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)",
              "Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject",
              "Observation duration by subject by observation", "Behavior", "Behavioral category", "Modifier #1",
              "Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start",
              "Image index stop", "Image file path start", "Image file path stop", "Comment start", "Comment stop"]
OLD = ["Time", "Media file path", "Total length", "FPS", "Subject", "Behavior", "Behavioral category", "Comment",
       "Status"]
EXPECTED = {"clip": [("jump", 1.0, 2.5), ("jump", 3.0, 4.0)]}


def table(path, names, *rows, separator="\t", above=()):
    """Write rows of {column: cell}; other cells are empty."""
    lines = [*above, separator.join(names), *(separator.join(row.get(name, "") for name in names) for row in rows)]
    return write_text(path, "\n".join(lines) + "\n")


def event(time, kind, behavior="jump", file="/data/clip.mp4", subject="No focal subject", **more):
    return {"Observation id": "obs 1", "Observation type": "Media file(s)", "Source": f"player #1:{file}",
            "Time offset (s)": "0", "Media duration (s)": "60.000", "FPS": "25.000", "Subject": subject,
            "Behavior": behavior, "Behavior type": kind, "Time": time, "Media file name": file} | more


def test_a_file_of_the_kind():
    sheet = scan(CASES / "boris_aggregated" / "boris.tsv")
    assert same({entry.id: entry.instances for entry in sheet.entries}, truth())
    assert sheet.counts == "13 instances read = 12 kept + 1 set aside (1: events are points in time)"
    assert not [f for f in sheet.findings.values() if f.level == "error"]


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_starts_and_stops_of_newer_versions(tmp_path, separator):
    path = table(tmp_path / "obs 1.tsv", NEW, event("1.000", "START"), event("1.200", "START", subject="ann"),
                 event("1.500", "POINT", "bell"), event("2.500", "STOP"), event("3.000", "START"),
                 event("4.000", "STOP"), event("5.000", "STOP", subject="ann"), separator=separator)  # fmt: skip
    sheet = scan(path)
    assert sheet.layout == "BORIS tabular events"
    assert sorted(sheet.entries[0].instances, key=lambda row: row[1]) == [("jump", 1.0, 2.5), ("jump", 1.2, 5.0),
                                                                          ("jump", 3.0, 4.0)]
    assert sheet.set_aside == {"events are points in time": 1}


def test_unpaired_starts_and_stops_are_listed(tmp_path):
    path = table(tmp_path / "a.tsv", NEW, event("0.500", "STOP"), event("1.000", "START"), event("2.500", "STOP"),
                 event("2.700", "START"), event("3.000", "START"), event("4.000", "STOP"), event("9.000", "START"))
    sheet = scan(path)
    assert {e.id: e.instances for e in sheet.entries} == EXPECTED
    alone = sheet.findings["starts or stops have no partner"]
    assert alone.level == "warning" and alone.examples == [
        "line 2: STOP of 'jump' at 0.5 s", "line 5: START of 'jump' at 2.7 s", "line 8: START of 'jump' at 9 s"]


def test_lines_of_title_of_older_versions(tmp_path):
    above = ["Observation id,observation #1,,", ",,,", "Media file(s),,,", ",,,", "Player #1,clip.mp4,,", ",,,",
             "Observation date,2016-11-27 01:57:26,,", ",,,", "Description,,,", ",,,", "Time offset (s),0.0,,", ",,,",
             "independent variables,,,", "variable,value,,", "a,12,,", ",,,"]
    rows = [{"Time": time, "Media file path": "clip.mp4", "Total length": "60.0", "FPS": "25.0", "Subject": "s",
             "Behavior": "jump", "Status": kind} for time, kind in
            [("1.000", "START"), ("2.500", "STOP"), ("3.0", "START"), ("4.0", "STOP")]]
    path = table(tmp_path / "a.csv", OLD, *rows, separator=",", above=above)
    sheet = scan(path)
    assert {e.id: e.instances for e in sheet.entries} == EXPECTED
    path.write_text(path.read_text().replace("Time offset (s),0.0", "Time offset (s),0.5"))
    assert found(path) == {"clip": [("jump", 0.5, 2.0), ("jump", 2.5, 3.5)]}


def aggregated(start, stop, kind="STATE", behavior="jump", **more):
    return {"Observation id": "obs 1", "Source": "player #1:clip.mp4", "Time offset (s)": "0.000",
            "Media duration (s)": "60.000", "Subject": "No focal subject", "Behavior": behavior,
            "Behavioral category": "Not defined", "Behavior type": kind, "Start (s)": start, "Stop (s)": stop,
            "Media file name": "clip.mp4"} | more


def test_aggregated_events_of_newer_versions(tmp_path):
    path = table(tmp_path / "a.tsv", AGGREGATED, aggregated("1.000", "2.500"), aggregated("3.000", "4.000"),
                 aggregated("3.000", "3.000", "POINT", "bell"), aggregated("5.000", "NA"))
    sheet = scan(path)
    assert [(e.id, e.instances, e.duration) for e in sheet.entries] == [("clip", EXPECTED["clip"], 60.0)]
    assert sheet.set_aside == {"events are points in time": 1, "starts or stops have no partner": 1}


@pytest.mark.parametrize("names", [
    ["Media file", "Behavior", "Start (s)", "Stop (s)", "Behavior type"],
    ["Media file path", "Behaviour", "Start (seconds)", "Stop (seconds)", "Behaviour type"],
    ["Media file name", "Behavior", "start", "stop", "Observation id"],
])
def test_names_of_columns_of_other_versions(tmp_path, names):
    rows = [dict(zip(names, ("1:/media/disk/clip.mp4", "jump", start, stop, "STATE"), strict=True))
            for start, stop in [("1,000", "2,5"), ("3", "4")]]
    assert found(table(tmp_path / "a.csv", names, *rows, separator=";")) == EXPECTED


def test_files_that_play_one_after_the_other(tmp_path):
    both = {"Source": "player #1:a.mp4;b.mp4|player #2:c.mp4;d.mp4", "Media duration (s)": "100.000;50.000|100.0;50.0",
            "Time offset (s)": "2.0"}
    path = table(tmp_path / "a.tsv", AGGREGATED, aggregated("3.0", "4.0", **both | {"Media file name": "a.mp4"}),
                 aggregated("112.0", "115.5", **both | {"Media file name": "b.mp4"}))
    assert found(path) == {"a": [("jump", 1.0, 2.0)], "b": [("jump", 10.0, 13.5)]}
    path = table(tmp_path / "t.tsv", NEW, *(event(time, kind, **both) for time, kind in [
        ("3.0", "START"), ("4.0", "STOP"), ("112.0", "START"), ("115.5", "STOP")]))
    assert found(path) == {"a": [("jump", 1.0, 2.0)], "b": [("jump", 10.0, 13.5)]}


def test_files_of_unknown_length_before_others_are_an_error_not_a_guess(tmp_path):
    """As in an export of version 6: two files, whose times go on, and only their common length."""
    names = ["Observation id", "Media file", "Total length", "Behavior", "Behavior type", "Start (s)", "Stop (s)"]
    rows = [dict(zip(names, ("o2", file, "539.9", "s", "STATE", start, stop), strict=True)) for file, start, stop in
            [("a.mp4", "1.8", "8.125"), ("a.mp4", "26.775", "31.475"), ("b.mp4", "227.765", "253.490")]]
    sheet = scan(table(tmp_path / "a.tsv", names, *rows))
    told = sheet.findings["rows cannot be understood"]
    assert told.level == "error" and told.count == 1
    assert told.examples[0].startswith("line 4: b.mp4 seems to play after other files of 'o2'")
    assert [(e.id, len(e.instances), e.duration) for e in sheet.entries] == [("a", 2, None)]
    rows[2]["Start (s)"] = "2.0"  # begins before a.mp4's last: each has a clock of its own
    assert found(table(tmp_path / "a.tsv", names, *rows))["b"] == [("s", 2.0, 253.49)]


def test_other_columns_as_labels_are_told_and_taken(tmp_path):
    more = {"Modifier #1": "high", "Behavioral category": "play", "Subject": "ann"}
    path = table(tmp_path / "a.tsv", AGGREGATED, aggregated("1.0", "2.5", **more), aggregated("3.0", "4.0"))
    told = scan(path).findings["columns are not read that may be labels"].examples
    assert told == ["'Subject' (1 different: ann): --label-column 'Subject' takes it",
                    "'Behavioral category' (1 different: play): --label-column 'Behavioral category' takes it",
                    "'Modifier #1' (1 different: high): --label-column 'Modifier #1' takes it"]
    sheet = scan(path, reading=Reading(label_column="Modifier #1"))
    assert sheet.entries[0].instances == [("high", 1.0, 2.5)] and sheet.set_aside == {"instances have no label": 1}
    with pytest.raises(AnnotationError, match="--label-column colour: there is no such column; there are 'Observation"):
        scan(path, reading=Reading(label_column="colour"))


def test_columns_given_by_name_read_it_as_any_table(tmp_path):
    path = table(tmp_path / "a.tsv", AGGREGATED, aggregated("1.000", "2.500"))
    given = Reading(columns={"label": "Modifier #1", "video": "Observation id"})
    assert scan(path, reading=given).layout == "CSV"
    path = table(tmp_path / "t.tsv", NEW, event("1.0", "START"))
    with pytest.raises(AnnotationError, match="--label-column NAME takes another one for the label"):
        scan(path, reading=given)


def test_live_observations_are_named_by_themselves(tmp_path):
    live = {"Observation type": "Live observation", "Source": "NA", "Media file name": "NA", "Media duration (s)": "NA",
            "FPS": "NA", "Time offset (s)": "0"}
    path = table(tmp_path / "a.tsv", NEW, event("1.0", "START", **live), event("2.0", "STOP", **live))
    assert found(path) == {"obs 1": [("jump", 1.0, 2.0)]}
    assert scan(path).findings["observations have no media"].count == 2


def test_events_without_a_kind_or_a_time_are_errors(tmp_path):
    path = table(tmp_path / "a.tsv", NEW, event("1.0", ""), event("NA", "START"))
    assert scan(path).findings["rows cannot be understood"].examples == [
        "line 2: 1.0,jump,; expected a time and START, STOP or POINT",
        "line 3: NA,jump,START; expected a time and START, STOP or POINT"]
