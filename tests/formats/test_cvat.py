"""CVAT: tracks, gaps, frame steps, projects, attributes and tags; images are refused by name."""

import pytest

from helpers.tool_cases import CASES, found, same, truth, write
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.label_files.source import Reading

FPS_10 = Reading(fps=10.0)


def box(frame, outside=0, **attributes):
    inside = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return f'<box frame="{frame}" keyframe="1" outside="{outside}" xtl="1" ytl="1" xbr="9" ybr="9">{inside}</box>'


def track(label, *shapes, more=""):
    return f'<track id="0" label="{label}" {more}>{"".join(shapes)}</track>'


def task(name="walk.mp4", size=100, start=0, stop=99, step=1, id=1, more=""):
    frame_filter = f"<frame_filter>step={step}</frame_filter>" if step > 1 else "<frame_filter></frame_filter>"
    return (f"<task><id>{id}</id><name>task {id}</name><size>{size}</size><mode>interpolation</mode>"
            f"<start_frame>{start}</start_frame><stop_frame>{stop}</stop_frame>{frame_filter}{more}"
            f"<source>{name}</source></task>")


def cvat(*inside, meta=None):
    return (f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
            f"<meta>{task() if meta is None else meta}</meta>{''.join(inside)}</annotations>")


def test_the_four_instances_of_the_sample():
    path = CASES / "cvat_xml" / "annotations.xml"
    assert same(found(scan(path, reading=Reading(fps=12.0))), truth("clip_0000"))
    assert same(found(scan(path, videos=CASES / "videos")), truth("clip_0000"))


def test_a_track_may_come_back_and_end_with_the_video(tmp_path):
    text = cvat(track("run", box(10), box(11), box(20, 1), box(30), box(40, 1)),
                track("sit", box(97), box(98), box(99)), track("nod", box(5, 1)))
    sheet = scan(write(tmp_path, "a.xml", text), reading=FPS_10)
    assert found(sheet) == [("walk", "run", 1, 2), ("walk", "run", 3, 4), ("walk", "sit", 9.7, 10)]
    assert "tracks do not end" not in sheet.findings and sheet.set_aside == {"items are no segments": 1}


def test_a_track_that_stops_before_the_task_does_is_told(tmp_path):
    sheet = scan(write(tmp_path, "a.xml", cvat(track("run", box(10), box(19)))), reading=FPS_10)
    assert found(sheet) == [("walk", "run", 1, 2)]
    assert sheet.findings["tracks do not end"].examples == ["track 0 (run): last in frame 19 of 99"]


def test_polygons_masks_and_skeletons_are_shapes_as_well(tmp_path):
    skeleton = ('<skeleton frame="{}" keyframe="1"><points label="1" outside="{}"/><points label="2" outside="{}"/>'
                "</skeleton>")
    text = cvat(track("run", '<polygon frame="0" outside="0" points="1,2"/>', '<polygon frame="10" outside="1"/>'),
                track("sit", skeleton.format(20, 0, 1), skeleton.format(30, 1, 1)))
    assert found(scan(write(tmp_path, "a.xml", text), reading=FPS_10)) == [("walk", "run", 0, 1), ("walk", "sit", 2, 3)]


def test_every_nth_frame_keeps_the_numbers_of_the_video(tmp_path):
    meta = task(size=20, start=5, stop=100, step=5)
    sheet = scan(write(tmp_path, "a.xml", cvat(track("run", box(15), box(30, 1)), track("sit", box(95), box(100)),
                                               meta=meta)), reading=FPS_10)
    assert found(sheet) == [("walk", "run", 1.5, 3), ("walk", "sit", 9.5, 10.5)]
    assert "frames are counted in steps" not in sheet.findings


def test_numbers_that_are_none_of_the_video_count_the_task(tmp_path):
    meta = task(size=20, start=5, stop=100, step=5)
    sheet = scan(write(tmp_path, "a.xml", cvat(track("run", box(1), box(3, 1)), track("sit", box(18), box(19)),
                                               meta=meta)), reading=FPS_10)
    assert found(sheet) == [("walk", "run", 1, 2), ("walk", "sit", 9.5, 10.5)]
    assert sheet.findings["frames are counted in steps"].examples == ["walk.mp4: every 5, from frame 5"]


def test_tracks_of_a_project_go_to_their_videos_and_subsets(tmp_path):
    meta = (f"<project><id>3</id><name>p</name><tasks>{task('a.mp4', id=7, more='<subset>train</subset>')}"
            f"{task('b.mp4', id=8, more='<subset>test</subset>')}{task('c.mp4', id=9)}</tasks></project>")
    text = cvat(track("run", box(10), box(20, 1), more='task_id="7"'),
                track("sit", box(10), box(20, 1), more='task_id="8"'), meta=meta)
    sheet = scan(write(tmp_path, "a.xml", text), reading=FPS_10)
    assert found(sheet) == [("a", "run", 1, 2), ("b", "sit", 1, 2)]
    assert [(entry.id, entry.subset) for entry in sheet.entries] == [("a", "train"), ("b", "test"), ("c", "all")]


def test_a_job_and_a_file_without_meta_are_of_a_video(tmp_path):
    job = task().replace("task>", "job>").replace("<source>walk.mp4</source>", "") + "<source>run.mp4</source>"
    text = cvat(track("run", box(0), box(10, 1)), meta=job.replace("<name>task 1</name>", ""))
    assert found(scan(write(tmp_path, "a.xml", text), reading=FPS_10)) == [("run", "run", 0, 1)]
    bare = f"<annotations>{track('run', box(0), box(10, 1))}</annotations>"
    assert found(scan(write(tmp_path, "clip.xml", bare), reading=FPS_10)) == [("clip", "run", 0, 1)]


def test_an_attribute_can_be_the_label_and_ends_a_segment_where_it_changes(tmp_path):
    text = cvat(track("person", box(0, action="walk", sits="false"), box(1, action="walk", sits="false"),
                      box(10, action="run", sits="true"), box(15, action="__undefined__", sits="true"), box(20, 1)))
    path = write(tmp_path, "a.xml", text)
    sheet = scan(path, reading=FPS_10)
    assert found(sheet) == [("walk", "person", 0, 2)]
    assert sheet.findings["several could be the label"].examples[0].startswith(
        "the tracks' own labels are taken; --label-column 'action' takes the attribute")
    sheet = scan(path, reading=Reading(fps=10.0, label_column="action"))
    assert found(sheet) == [("walk", "run", 1, 1.5), ("walk", "walk", 0, 1)]
    assert sheet.set_aside == {"instances have no label": 1}
    assert found(scan(path, reading=Reading(fps=10.0, label_column="sits"))) == [("walk", "sits", 1, 2)]
    with pytest.raises(AnnotationError, match=r"column verb: there is no such attribute; there are 'action' \(1\)"):
        scan(path, reading=Reading(fps=10.0, label_column="verb"))


def test_tags_of_a_videos_frames_make_a_segment_for_each_run(tmp_path):
    tags = "".join(f'<image id="{n}" name="frame_{n:06d}"><tag label="run"/></image>' for n in (3, 4, 5, 8, 9))
    boxes = '<image id="6" name="frame_000006"><box label="car"/></image>'
    sheet = scan(write(tmp_path, "a.xml", cvat(tags, boxes)), reading=FPS_10)
    assert found(sheet) == [("walk", "run", 0.3, 0.6), ("walk", "run", 0.8, 1)]
    assert sheet.set_aside == {"items are no segments": 1}


@pytest.mark.parametrize("meta", [task(), task().replace("interpolation", "annotation")])
def test_images_are_refused_by_name(tmp_path, meta):
    tag = '<tag label="run"/>' if "annotation" in meta else ""
    text = cvat(f'<image id="0" name="a.jpg" width="9" height="9"><box label="car" xtl="1"/>{tag}</image>', meta=meta)
    with pytest.raises(AnnotationError, match='is "CVAT for images", which has no segments; export .*"CVAT for video'):
        scan(write(tmp_path, "a.xml", text))


def test_shapes_without_a_frame_and_tracks_without_a_label_are_findings(tmp_path):
    text = cvat(track("run", box("x"), box(-1), box("1:02"), box(10), box(20, 1)), track("", box(1), box(2, 1)))
    sheet = scan(write(tmp_path, "a.xml", text), reading=FPS_10)
    wrong = sheet.findings["rows cannot be understood"]
    assert wrong.count == 4 and wrong.examples[0] == "track 0: <box> in frame 'x'" and len(found(sheet)) == 1


def test_a_zip_says_what_to_unpack(tmp_path):
    (tmp_path / "task.zip").write_bytes(b"PK\3\4\0\0")
    with pytest.raises(AnnotationError, match="is a ZIP file, as CVAT and others export; unpack it and give the label"):
        scan(tmp_path / "task.zip")
