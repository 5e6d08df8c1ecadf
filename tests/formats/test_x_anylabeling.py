"""X-AnyLabeling's JSON of a video, and a folder of them."""

from helpers.tool_cases import found, write
from losa.annotations.scan import scan


def sidecar(video, *segments, **more):
    return {"version": "1", "type": "video_classification", "video": video, "fps": 25.0, "duration_ms": 20000,
            "labels": ["run", "sit"], **more, "segments": [
                {"id": "s1", "label": label, "start_ms": start, "end_ms": end, "start_frame": 0, "end_frame": 0}
                for label, start, end in segments]}


def test_a_folder_of_them_with_milliseconds(tmp_path):
    write(tmp_path, "a.json", sidecar("a.mp4", ("run", 1500, 2750), ("", 1, 2)))
    write(tmp_path, "b.json", sidecar("", ("sit", "0", "40.5")))
    write(tmp_path, "c.json", sidecar("c.mp4"))
    sheet = scan(tmp_path)
    assert found(sheet) == [("a", "run", 1.5, 2.75), ("b", "sit", 0, 0.0405)] and sheet.layout == "X-AnyLabeling"
    assert [entry.id for entry in sheet.entries] == ["a", "b", "c"] and sheet.entries[0].duration == 20
    assert sheet.set_aside == {"instances have no label": 1}


def test_frames_where_there_are_no_milliseconds_and_findings_where_neither(tmp_path):
    segments = [{"label": "run", "start_frame": 25, "end_frame": 50}, {"label": "run", "start_ms": "0:01", "end_ms": 2},
                {"label": "run", "start_ms": 5}, 7]
    sheet = scan(write(tmp_path, "a.json", sidecar("a.mp4") | {"segments": segments}))
    assert found(sheet) == [("a", "run", 1, 2)] and sheet.findings["rows cannot be understood"].count == 3


def test_rows_of_create_ml_are_a_table(tmp_path):
    rows = [{"video": "a.mp4", "label": "run", "start": 1.5, "end": 2.75},
            {"video": "b.mov", "label": "sit", "start": "0:03", "end": "0:04.5"}]
    assert found(scan(write(tmp_path, "a.json", rows))) == [("a", "run", 1.5, 2.75), ("b", "sit", 3, 4.5)]
