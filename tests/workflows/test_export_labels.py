"""Labels and predictions go to other tools with what their videos say, and come back."""

import json

import pytest

from helpers.label_cases import CASES, VIDEOS, agree, expected
from losa.annotations.prepare import prepare
from losa.annotations.scan import scan
from losa.errors import AnnotationError
from losa.evaluation.evaluate_file import evaluate_file
from losa.label_files.source import Reading
from losa.workflows.export_labels import export_labels


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared")
    prepare(VIDEOS, CASES / "csv_more" / "boris_fixed.csv", out)
    return out / "annotations.json"


def predictions(path, **scores):
    results = {key: [{"label": label, "segment": [start, end], "score": scores.get(label, 0.9)}
                     for _, label, start, end in expected(key)] for key in ("clip_0000", "clip_0001", "clip_0002")}
    path.write_text(json.dumps({"version": "1", "results": results}))
    return path


@pytest.mark.parametrize("to", ["label-studio", "elan", "boris", "fiftyone"])
def test_annotations_know_their_files_and_need_no_folder(prepared, tmp_path, to):
    paths = export_labels(prepared, to, tmp_path / "out")
    assert agree(scan(paths[0] if len(paths) == 1 else tmp_path / "out", videos=VIDEOS).entries, within=0.05)


def test_predictions_are_written_from_a_score_on_and_the_rest_counted(tmp_path):
    path = predictions(tmp_path / "predictions.json", bounce=0.1)
    with pytest.warns(UserWarning, match="3 of 12 predictions have a score below 0.5 and are not written"):
        export_labels(path, "csv", tmp_path / "out", min_score=0.5)
    written = [row for row in expected() if row[1] != "bounce"]
    entries = scan(next((tmp_path / "out").iterdir())).entries
    assert sum(len(entry.instances) for entry in entries) == len(written) == 9
    with pytest.raises(AnnotationError, match="holds no instance to write of score 0.99 or more; lower --min-score"):
        export_labels(path, "csv", tmp_path / "none", min_score=0.99)


def test_predictions_of_a_run_take_rates_from_its_annotations(prepared, tmp_path):
    predictions(tmp_path / "predictions.json")
    (tmp_path / "config.json").write_text(json.dumps({"annotations": str(prepared)}))
    paths = export_labels(tmp_path, "label-studio", tmp_path / "out")
    assert agree(scan(paths[0], videos=VIDEOS).entries, within=0.05)


def test_frames_need_a_rate_and_subsets_must_be_there(prepared, tmp_path):
    lonely = predictions(tmp_path / "predictions.json")
    with pytest.raises(AnnotationError, match="--videos"):
        export_labels(lonely, "label-studio", tmp_path / "out")
    with pytest.raises(AnnotationError, match="there is no subset 'tset'; there are 'all'"):
        export_labels(prepared, "csv", tmp_path / "out", subset="tset")


def test_the_rate_that_is_given_counts_where_no_video_says_it(tmp_path):
    path = predictions(tmp_path / "predictions.json")
    with pytest.raises(AnnotationError, match=r"the rate \(--fps 25\)"):
        export_labels(path, "label-studio", tmp_path / "none")
    paths = export_labels(path, "label-studio", tmp_path / "out", reading=Reading(fps=25.0))
    assert agree(scan(paths[0]).entries, within=0.05)
    labels = tmp_path / "labels.csv"
    labels.write_text("video,label,start,end\na,jump,1,2\n")
    (tasks, _) = export_labels(labels, "label-studio", tmp_path / "labels", reading=Reading(fps=25.0))
    assert scan(tasks).entries[0].instances == [("jump", 1.0, 2.0)]


def test_predictions_have_no_subset_to_choose(tmp_path):
    with pytest.raises(AnnotationError, match="--subset test: predictions have no subsets; leave it out"):
        export_labels(predictions(tmp_path / "predictions.json"), "csv", tmp_path / "out", subset="test")


def test_predictions_written_as_a_table_still_compare_with_the_truth(prepared, tmp_path):
    (table,) = export_labels(predictions(tmp_path / "predictions.json"), "csv", tmp_path / "out", videos=VIDEOS)
    assert evaluate_file(table, prepared)["average_map"] == 1.0


def read_samples(folder):
    """A small reader of FiftyOne's dataset: {video: {field: [(label, start s, end s, confidence, verdict)]}}."""
    content, read = json.loads((folder / "samples.json").read_text()), {}
    assert json.loads((folder / "metadata.json").read_text())["media_type"] == "video"
    for sample in content["samples"]:
        assert json.loads((folder / sample["frames"]).read_text()) == {"frames": {}}
        told, fields = sample["metadata"], {}
        for name in ("ground_truth", "predictions"):
            assert sample[name]["_cls"] == "TemporalDetections" and told["_cls"] == "VideoMetadata"
            for each in sample[name]["detections"]:
                (first, last), rate = each["support"], told["frame_rate"]
                assert 1 <= first <= last <= told["total_frame_count"] and each["_cls"] == "TemporalDetection"
                assert isinstance(first, int) and isinstance(last, int)
                fields.setdefault(name, []).append((each["label"], (first - 1) / rate, last / rate,
                                                    each.get("confidence"), each.get("verdict"), each.get("tiou")))
        read[sample["filepath"]] = told, fields
    return read


@pytest.fixture
def exported(prepared, tmp_path):
    """The dataset of a run whose predictions are the truth, the first one of another label."""
    file = predictions(tmp_path / "predictions.json")
    content = json.loads(file.read_text())
    content["results"]["clip_0000"][0] |= {"label": "nap", "score": 0.5}
    file.write_text(json.dumps(content))
    (tmp_path / "config.json").write_text(json.dumps({"annotations": str(prepared)}))
    export_labels(tmp_path, "fiftyone", tmp_path / "out")
    return tmp_path / "out"


def test_a_run_goes_to_fiftyone_with_its_ground_truth_and_verdicts(exported):
    read = read_samples(exported)
    assert sorted(read) == [str((VIDEOS / f"clip_000{i}.mp4").resolve()) for i in range(3)]
    for file, (told, fields) in read.items():
        wanted = expected(file.rsplit("/", 1)[1].removesuffix(".mp4"))
        frame = 0.51 / told["frame_rate"]
        for rows in fields.values():
            assert len(rows) == len(wanted)
            for (_, start, end, *_), (_, _, first, last) in zip(sorted(rows, key=lambda r: r[1]), sorted(
                    wanted, key=lambda r: r[2]), strict=True):
                assert start == pytest.approx(first, abs=frame) and end == pytest.approx(last, abs=frame)
        assert {row[3] for row in fields["ground_truth"]} == {None} and told["frame_width"] > 0
        assert told["duration"] == pytest.approx(told["total_frame_count"] / told["frame_rate"], abs=0.1)
        for label, *_, score, verdict, tiou in fields["predictions"]:
            assert (verdict, score) == (("wrong label", 0.5) if label == "nap" else ("true positive", 0.9))
            assert tiou == pytest.approx(1, abs=0.1)


def test_fiftyone_itself_opens_it(exported):
    fiftyone = pytest.importorskip("fiftyone", reason="needs fiftyone: pip install fiftyone")
    data = fiftyone.Dataset.from_dir(str(exported), dataset_type=fiftyone.types.FiftyOneDataset)
    assert data.media_type == "video" and data.count("predictions.detections") == 12
    assert data.count_values("predictions.detections.verdict")["wrong label"] == 1


def test_predictions_without_a_run_go_to_fiftyone_as_before(tmp_path):
    (path,) = export_labels(predictions(tmp_path / "predictions.json"), "fiftyone", tmp_path / "out")
    assert path.name == "labels.json"


def test_fiftyone_needs_a_frame_rate(prepared, tmp_path):
    content = json.loads(prepared.read_text())
    for video in content["database"].values():
        video.pop("fps", None)
        video.pop("path", None)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    predictions(tmp_path / "predictions.json")
    (tmp_path / "config.json").write_text(json.dumps({"annotations": str(tmp_path / "annotations.json")}))
    with pytest.raises(AnnotationError, match="3 videos have no known frame rate, such as 'clip_0000'.*--videos"):
        export_labels(tmp_path, "fiftyone", tmp_path / "out")
