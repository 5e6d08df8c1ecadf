"""The measurements themselves: the plain loop by hand, and that each measures what it says. No time is asserted."""

import pytest

from losa.studies.speed import (
    decode_speed,
    extraction_share,
    interleaved,
    map_speed,
    nms_speed,
    plain_map,
    random_detections,
    speed_table,
)


def row(start, end, score=None, label="a"):
    return {"segment": [start, end], "label": label} | ({} if score is None else {"score": score})


def test_the_plain_loop_by_hand():
    truth = {"v": [row(0, 4), row(10, 14), row(0, 1, label="b")], "w": [row(0, 2)]}
    predictions = {"v": [row(0, 4, 0.9), row(0, 4, 0.8), row(11, 14, 0.7)], "w": [row(5, 6, 0.6), row(0, 2, 0.5)]}
    # a at 0.5: right, double, right, wrong, right -> precisions 1, 2/3, 3/5; at 0.8 the third is wrong: 1, 2/5
    assert plain_map(truth, predictions, (0.5, 0.8)) == {
        "a": pytest.approx([(1 + 2 / 3 + 3 / 5) / 3, (1 + 2 / 5) / 3]), "b": [0.0, 0.0]}  # fmt: skip


def test_functions_are_called_in_turns():
    calls = []
    found = interleaved({"x": lambda: calls.append("x"), "y": lambda: calls.append("y")}, 3)
    assert calls == ["x", "y"] * 3 and all(seconds >= 0 for seconds in found.values())


def test_both_ways_to_the_map_agree_on_made_up_detections():
    found = map_speed(*random_detections(12, 6, 40), repeats=1)
    assert found["num_predictions"] == 480 and found["largest_difference"] < 1e-12 and found["times_faster"] > 0


def test_decoding_and_extraction_are_measured_on_a_video(tiny):
    video = next((tiny / "world" / "videos").glob("*.mp4"))
    decode = decode_speed(video, num_windows=2, window_frames=16, repeats=1)
    extraction = extraction_share(video, num_workers=0)
    assert decode["backend"] == "decord" and decode["num_frames"] == 32 and decode["times_slower"] > 0
    assert extraction["num_frames"] > 50
    assert 0 <= extraction["share_in_backbone"] + extraction["share_waiting_for_frames"] <= 1.001
    found = {"map": map_speed(*random_detections(2, 2, 4), repeats=1), "nms": nms_speed(3, 50, repeats=1),
             "decode": decode, "extraction": extraction}  # fmt: skip
    lines = speed_table(found).splitlines()
    assert [line.split()[0] for line in lines] == ["mAP", "soft-NMS", "decode", "extraction"]
    assert "3 classes x 50" in lines[1] and video.name in lines[2] and "gap on cpu" in lines[3]
