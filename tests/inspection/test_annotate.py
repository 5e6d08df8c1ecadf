"""Labels of a video and of a run, edited and saved: what is read, written, refused, and read back."""

import json
from pathlib import Path

import pytest

import losa
from helpers.video_files import write_video
from losa.annotations.check import check
from losa.annotations.dataset import load_annotations
from losa.errors import AnnotationError, RunError, VideoError
from losa.inspection.annotate import annotate, free_name, read_document


@pytest.fixture
def video(tmp_path):
    return Path(write_video(tmp_path / "clip.mp4", num_frames=100, fps=25))


def rows(path):
    """(label, start, end) of the only video."""
    data = load_annotations(path)
    (one,) = data.videos
    return [(r["label"], *r["segment"]) for r in one.records(data.classes)]


def test_a_video_alone_gets_a_file_that_reads_back(video, tmp_path):
    shown = annotate(video, classes=["b", "a"])
    assert shown.records == [] and shown.lanes == ["labels"] and shown.duration == 4 and shown.fps == 25
    shown.edit("create", label="a", segment=[1.011, 2])
    shown.edit("create", label="b", segment=[2, 3], free=True)
    path = shown.save()
    assert path == tmp_path / "clip_labels.json" and rows(path) == [("a", 1.0, 2.0), ("b", 2.0, 3.0)]
    data = load_annotations(path)
    assert data.classes == ("b", "a") and data.videos[0].path == video and data.videos[0].fps == 25
    log = [json.loads(line) for line in Path(f"{path}.changes.jsonl").read_text().splitlines()]
    assert [(c["what"], c["video"], c["before"]) for c in log] == [("create", "clip", [])] * 2
    assert log[0]["at"].startswith("20") and log[0]["after"][0]["segment"] == [1.0, 2.0]
    kinds = {finding.kind for finding in check(tmp_path).findings}
    assert "files are not read" not in kinds, "the list of changes beside it is not taken for labels"
    assert shown.save() == tmp_path / "clip_labels_2.json", "a second time takes another name"
    assert not [finding for finding in check(path).findings if finding.level == "error"]


def test_labels_of_a_table_keep_the_other_videos(video, tmp_path):
    write_video(tmp_path / "other.mp4", num_frames=50, fps=25)
    table = tmp_path / "labels.csv"
    table.write_text("video,label,start,end,subset\nclip.mp4,wave,1,2,train\nother.mp4,sit,0.5,1,test\n")
    before = table.read_bytes()
    shown = annotate(video, labels=table)
    assert [r["label"] for r in shown.records] == ["wave"] and shown.classes == ["sit", "wave"]
    shown.edit("move_edge", id=1, edge=1, time=3.0)
    data = load_annotations(shown.save())
    assert {v.id: [(r["label"], *r["segment"]) for r in v.records(data.classes)] for v in data.videos} == {
        "clip": [("wave", 1, 3)], "other": [("sit", 0.5, 1)]}
    assert {v.id: v.subset for v in data.videos} == {"clip": "train", "other": "test"} and table.read_bytes() == before


def test_a_json_file_is_kept_but_for_this_video(video, tmp_path):
    source = tmp_path / "given.json"
    content = {"version": "VERSION 1.3", "taxonomy": ["x"], "database": {
        "clip": {"subset": "training", "url": "u", "duration": 4.0, "annotations": [
            {"label": "a", "segment": [1, 2.123456789], "note": "n"}, {"label": "b", "segment": [2, 3]}]},
        "w": {"subset": "testing", "duration": 9, "resolution": "1x1"}}}
    source.write_text(json.dumps(content))
    shown = annotate(video, labels=source)
    shown.edit("relabel", id=2, label="a")
    saved = json.loads(shown.save(tmp_path / "mine.json").read_text())
    content["database"]["clip"]["annotations"][1]["label"] = "a"
    content["database"]["clip"]["fps"] = 25.0
    content["database"]["w"]["annotations"] = []
    assert saved == content


def test_records_and_predictions_may_be_given(video):
    shown = annotate(video, labels=[{"label": "a", "segment": (1, 2)}], predictions=[
        {"label": "a", "segment": [1, 2], "score": 0.9}])
    assert shown.lanes == ["labels", "predictions"] and shown.has_truth
    assert shown.tracks["predictions"][0]["verdict"] == "true positive"
    assert not annotate(video, predictions={"run": []}).has_truth, "nothing is wrong where nothing is labelled"


def test_nothing_is_written_over(video, tmp_path):
    shown, taken = annotate(video), tmp_path / "taken.json"
    taken.write_text("mine")
    with pytest.raises(AnnotationError, match="taken.json exists, and nothing is written over; give another name"):
        shown.save(taken)
    assert taken.read_text() == "mine"
    with pytest.raises(AnnotationError, match=r"expected a name that ends in .json"):
        shown.save(tmp_path / "a.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "taken.json"]


def test_names_that_are_free(tmp_path):
    source = tmp_path / "labels.csv"
    assert free_name(source).name == "labels_edited.json"
    (tmp_path / "labels_edited.json.changes.jsonl").touch()
    assert free_name(source).name == "labels_edited_2.json"


def test_paths_of_videos_still_lead_there_from_another_folder(video, tmp_path):
    shown = annotate(video)
    shown.edit("create", label="a", segment=[1, 2])
    path = shown.save(tmp_path / "far" / "away" / "labels.json")
    assert load_annotations(path).videos[0].path.resolve() == video.resolve()


def test_a_run_gives_its_truth_and_predictions(untrained, tmp_path):
    run, video_id = untrained, next(iter(untrained.predictions))
    source = Path(run.config.annotations)
    before = source.read_bytes()
    shown = losa.annotate(run, video_id)
    assert shown.lanes == ["ground truth", run.name] and shown.has_truth and not shown.ap
    assert [(r["label"], r["segment"]) for r in shown.records] == [
        (r["label"], r["segment"]) for r in run.truth[video_id]]
    first = run.predictions[video_id][0]
    shown.edit("accept", label=first["label"], segment=first["segment"], **{"from": run.name})
    saved = shown.save(tmp_path / "corrected.json")
    assert source.read_bytes() == before
    was, now = load_annotations(source), load_annotations(saved)
    assert now.classes == was.classes and [v.id for v in now.videos] == [v.id for v in was.videos]
    changed = {v.id: len(v.labels) - len(w.labels) for v, w in zip(now.videos, was.videos, strict=True)}
    assert changed == {v.id: int(v.id == video_id) for v in was.videos}


def test_what_is_not_there_is_refused_in_one_sentence(video, tmp_path, untrained):
    (tmp_path / "labels.csv").write_text("video,label,start,end\nother.mp4,sit,0,1\n")
    with pytest.raises(AnnotationError, match="has no video 'clip'; give video_id=, one of its 1: other"):
        annotate(video, labels=tmp_path / "labels.csv")
    with pytest.raises(VideoError):
        annotate(tmp_path / "gone.mp4")
    run, video_id = untrained, next(iter(untrained.predictions))
    with pytest.raises(RunError, match="no test video 'gone'"):
        annotate(run, "gone")
    with pytest.raises(RunError, match="labels= and predictions= are of a video file"):
        annotate(run, video_id, labels=[])


def test_a_database_of_numbers_is_read_and_put_into_words(tmp_path):
    source = tmp_path / "numbers.json"
    source.write_text(json.dumps({"classes": ["a", "b"], "database": {"v": {
        "subset": "x", "duration": 9.0, "annotations": [{"label": 1, "segment": ["0:01", 2]}]}}}))
    assert read_document(source)["database"]["v"]["annotations"] == [{"label": "b", "segment": [1.0, 2.0]}]
