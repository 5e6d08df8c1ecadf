"""Timelines of finished runs: tracks, live mAP equal to evaluate, rescoring, pictures, and the table of videos."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.made_runs import made_run, made_world
from helpers.made_sources import a_video
from helpers.video_files import read_number, write_video
from losa.evaluation.ap_by_score import ap_table, counted
from losa.evaluation.average_precision import evaluate
from losa.inference.candidates import Raw, load_raw, save_raw
from losa.inference.postprocess import suppress
from losa.inspection.run_folder import open_run
from losa.inspection.timeline_data import (
    choose_colours,
    frames,
    make_pictures,
    make_rescore,
    timeline_view,
    video_ap,
    video_table,
)
from widgets.figures import RUN_PALETTE


@pytest.mark.filterwarnings("ignore:a. average mAP")
def test_what_does_not_count_is_no_truth_of_a_timeline(tmp_path):
    """An ambiguous instance and one that is there twice come after those that count, where the diagnosis has them."""
    annotations, truth = made_world(tmp_path / "world", 0), {"database": {}}
    rows = [["jump", 5.0, 7.0], ["jump", 5.0, 7.0005], ["kick", 20.0, 25.0]]
    for i in range(8):
        truth["database"][f"test_{i}"] = {"subset": "test", "duration": 40.0, "annotations": [
            {"label": label, "segment": segment} for label, *segment in rows]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    made_run(tmp_path / "a", annotations, 0.3, protocol="activitynet-dedup", ground_truth=str(tmp_path / "truth.json"))
    run = open_run(tmp_path / "a")
    assert [r["segment"] for r in run.truth["test_1"]] == [[5, 7], [20, 25], [5, 7.0005]]
    view = timeline_view({"a": run}, "test_1")
    assert [r["segment"] for r in view["tracks"]["ground truth"]] == [[5, 7], [20, 25]]
    vague = {"label": "Ambiguous", "segment": [0.0, 4.0], "ambiguous": True}
    assert counted([vague, *run.truth["test_1"]], "activitynet") == run.truth["test_1"]
    run.truth["test_1"].append(vague)
    assert len(timeline_view({"a": run}, "test_1")["tracks"]["ground truth"]) == 2
    forgiving = replace(run, config=run.config.replace(protocol="thumos14"))
    assert timeline_view({"a": forgiving}, "test_1", live=False)["tracks"]["ground truth"][-1] == vague | {"score": 1.0}
    table = video_table(run)
    assert (table.num_truth == 2).all()


def test_a_timeline_of_runs_without_videos_or_candidates(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    runs = {}
    for name, noise in {"near": 0.1, "far": 3.0}.items():
        made_run(tmp_path / name, annotations, noise)
        runs[name] = open_run(tmp_path / name)
    view = timeline_view(runs, "test_1")
    assert list(view["tracks"]) == ["ground truth", "near", "far"] and len(view["tracks"]["near"]) == 6
    assert view["video"] is view["rescore"] is view["frames"] is None
    assert (view["duration"], view["fps"], view["classes"]) == (40.0, 12.0, ["jump", "kick"])
    for name, run in runs.items():
        one = {"test_1": run.truth["test_1"]}, {"test_1": run.predictions["test_1"]}
        assert view["ap"][name] == {"video": ap_table(*one, run.config.tiou), "data": run.table}
    table = video_table(runs["far"], min_score=0.4).set_index("video")
    assert len(table) == 8 and (table.num_truth == 2).all() and table.duration.unique() == [40.0]
    for video, row in table.iterrows():
        one = {video: runs["far"].truth[video]}, {video: runs["far"].predictions[video]}
        shown = [r for r in one[1][video] if r["score"] >= 0.4]
        found = evaluate(one[0], {video: shown}, tuple(runs["far"].config.tiou)).average_map
        assert row.average_map == pytest.approx(found)
        at_threshold = [aps[40] for aps in video_ap(runs["far"], video, one[1])["average"].values()]
        assert row.average_map == pytest.approx(np.mean(at_threshold))
        assert row["true positive"] + row.wrong == len(shown) and row["true positive"] + row.missed == 2
        assert row.wrong == row["double detection":"background"].sum()


@pytest.mark.filterwarnings("ignore:a. average mAP")
def test_a_run_has_the_colour_and_side_of_what_it_is_and_not_of_its_place(tmp_path):
    """The head alone is grey and the first track, LoSA blue; further runs follow as they are named."""
    annotations, grey, blue, red, green = made_world(tmp_path / "world", 0), *RUN_PALETTE[:4]
    made_run(tmp_path / "a", annotations, 0.1)
    full = open_run(tmp_path / "a")
    plain = replace(full, config=full.config.replace(mode="head_only"))
    for order in ({"x": full, "y": plain}, {"y": plain, "x": full}):
        view = timeline_view(order, "test_1", live=False)
        assert list(view["tracks"]) == ["ground truth", "y", "x"] and view["run_colours"] == {"y": grey, "x": blue}
    assert choose_colours({"one": full}) == {"one": blue} and choose_colours({"one": plain}) == {"one": grey}
    assert choose_colours({"x": full, "y": plain, "z": full, "w": plain}) == {
        "x": blue, "y": grey, "z": red, "w": green}


def test_rescoring_is_what_the_run_does_with_another_sigma(untrained):
    video_id = list(untrained.videos)[1]
    view = timeline_view({"a": untrained}, video_id)
    again = view["rescore"]["a"](0.6, video_id)
    assert again["records"] == view["tracks"]["a"] and again["table"] == view["ap"]["a"]["video"]
    assert view["sigma"] == 0.6 and Path(view["video"]).is_file() and view["fps"] == 12
    raw, classes = load_raw(untrained.path / "raw_predictions.npz")
    expected = suppress(raw, untrained.config.replace(nms_sigma=0.2), classes)
    assert view["rescore"]["a"](0.2, video_id)["records"] == expected[video_id] != again["records"]
    seen = []
    whole = view["rescore"]["a"](0.2, None, progress=lambda *counts: seen.append(counts))
    assert whole["table"] == ap_table(untrained.truth, expected, untrained.config.tiou)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert timeline_view({"a": untrained}, video_id, live=False)["rescore"] is None
    pictures = [Image.open(io.BytesIO(data)) for data in view["frames"]([0.0, 3.0])]
    assert [picture.height for picture in pictures] == [96, 96]


def test_rescoring_gives_a_classifiers_classes(tmp_path):
    annotations, scores = made_world(tmp_path / "world", 0), tmp_path / "scores.json"
    scores.write_text(json.dumps({f"test_{i}": {"jump": 0.9 - i / 10, "kick": 0.5} for i in range(8)}))
    made_run(tmp_path / "run", annotations, 0.3, class_agnostic=True, classifier=str(scores))
    raw = {f"test_{i}": Raw(20 * torch.rand(9, 2).cumsum(1), torch.rand(9), torch.zeros(9).long()) for i in range(8)}
    save_raw(tmp_path / "run" / "raw_predictions.npz", raw, ("action",))
    run = open_run(tmp_path / "run")
    expected = suppress(run.raw[0], run.config.replace(nms_sigma=0.3), ("action",), run.labelled.classes)
    for video_id in ("test_0", "test_7"):
        assert make_rescore(run)(0.3, video_id)["records"] == expected[video_id]
    assert make_rescore(run)(0.3)["table"] == ap_table(run.truth, expected, run.config.tiou)


def test_frames_are_those_shown_at_the_times(tmp_path):
    path = write_video(tmp_path / "numbers.mp4", num_frames=50, fps=25)
    pictures = frames(path, [0.0, 0.5, 0.5199, 1.23, 99.0], height=48)
    found = [np.array(Image.open(io.BytesIO(data))) for data in pictures]
    assert [read_number(picture) for picture in found] == [0, 12, 12, 30, 49] and found[0].shape[0] == 48


def test_a_damaged_file_gives_no_pictures(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert make_pictures(replace(a_video(), path=tmp_path / "broken.mp4"))([0.0]) == []
