"""Single values and task data of Label Studio."""

from base64 import urlsafe_b64encode

import pytest

from losa.formats.label_studio_items import (
    duration_of,
    find_rate,
    find_regions,
    find_video,
    holder_of,
    labels_of,
    remarks_of,
)
from losa.label_files.sheet import KINDS, Findings
from losa.label_files.times import Frames

CLOUD = urlsafe_b64encode(b"gs://bucket/a/b.mp4").decode()


@pytest.mark.parametrize(("data", "video"), [
    ({"id": "7", "video": "/data/upload/1/abcd1234-a.mp4"}, "/data/upload/1/abcd1234-a.mp4"),
    ({"title": "the clip", "media": "https://host/x/a.webm?sig=1"}, "https://host/x/a.webm?sig=1"),
    ({"file_upload": "0123abcd-a.mp4"}, "a.mp4"), ({"video_url": "rtsp"}, "rtsp"), ({"url": "youtu"}, "youtu"),
    ({"video": "<video src='/data/upload/1/a.mp4' width='9'/>"}, "/data/upload/1/a.mp4"),
    ({"video": f"/tasks/3/presign/?fileuri={CLOUD}"}, "gs://bucket/a/b.mp4"),
    ({"video": "/data/local-files/?d=x/a%20b.mp4", "file": "x/a b.mp4"}, "x/a b.mp4"),
    ({"video": "/data/local-files/?d=x/a.mp4"}, "/data/local-files/?d=x/a.mp4"),
    ({"video": "http://localhost:8080/data/upload/3/0123abcd-a.mp4"}, "/data/upload/3/0123abcd-a.mp4"),
    ({"video": "upload/3/0123abcd-a.mp4"}, "/data/upload/3/0123abcd-a.mp4"),
    ({"video": "https://ls.org/data/local-files/?d=a.mp4"}, "/data/local-files/?d=a.mp4"),
    ({"note": "hello", "n": 3}, ""), ({"video": ["a.mp4"]}, ""),
])  # fmt: skip
def test_the_video_of_a_task(data, video):
    assert find_video(data) == video


def test_the_player_of_the_results_says_which_of_two_videos():
    data = {"left": "l.mp4", "right": "r.mp4"}
    assert find_video(data) == "l.mp4" and find_video(data, ["right"]) == "r.mp4"


def test_the_frame_rate_is_that_of_the_timeline_else_of_the_task():
    assert find_rate({"fps": 25}, [{"framesCount": 240, "duration": 10.02}]) == 24
    assert find_rate({}, [{"framesCount": 2997, "duration": 100.0}]) == 29.97
    assert find_rate({"frameRate": "30"}, [{"framesCount": 0, "duration": 3}]) == 30
    assert find_rate({"fps": "fast", "frame_rate": 0}, [{}]) is None and find_rate({"fps": 1e6}, []) is None
    assert duration_of({"duration": -1}) is None and duration_of({"duration": "2"}) == 2


def test_what_holds_times_and_what_only_looks_like_it():
    assert holder_of({"ranges": []}) == "ranges" and holder_of({"sequence": []}) == "sequence"
    assert holder_of({"start": 1, "end": 2, "labels": ["a"]}) == "start" and holder_of({"start": 1}) == ""
    assert holder_of({"start": 1, "end": 2, "text": "word"}) == ""
    assert holder_of({"start": 1, "end": 2, "timeserieslabels": ["a"]}) == ""
    assert labels_of({"timelinelabels": ["a", 3]}) == ["a", "3"] and labels_of({"choices": ["a"]}) == []
    assert remarks_of({"text": ["b"]}) == ["b"] and remarks_of({"labels": ["b"]}) == []


def test_results_of_one_id_are_one_region_and_frames_count_from_one():
    value = {"ranges": [{"start": 0, "end": 5}], "timelinelabels": ["a"]}
    items = [("r1", {"id": "x", "from_name": "t", "value": value}),
             ("r2", {"id": "x", "from_name": "c", "value": {"choices": ["b"]}}), ("r3", {"type": "relation"})]
    findings = Findings(KINDS)
    region, = find_regions(items, findings)
    assert region.labels == {"t": ["a"]} and region.remarks == {"c": ["b"]}
    assert region.spans == [(Frames(0.0), Frames(5.0))]
    assert findings["items are no segments"].examples == ["r3: relation"]
