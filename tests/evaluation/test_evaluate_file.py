"""Predictions against ground truth, file against file: right numbers, or a sentence that says what is wrong."""

import json
import warnings

import pytest

from helpers.eval_files import CLASSES, results, truth_content, write
from losa.errors import EvaluationError, LosaError, Note
from losa.evaluation.evaluate_file import evaluate_file
from losa.label_files.source import Reading


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "truth.json", truth_content())


def evaluated(tmp_path, truth, records, **options):
    """The average mAP (%) and all that was said, in its order."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = evaluate_file(write(tmp_path / "p.json", {"results": records}), truth, "test", **options)
    return round(100 * found["average_map"], 2), [str(w.message) for w in said], found


def test_what_fits_scores_100_in_silence(tmp_path, truth):
    score, said, found = evaluated(tmp_path, truth, results())
    assert (score, said, found["mismatches"], found["subset"]) == (100, [], [], "test")
    assert found["card"]["test_set"]["subset"] == "test"


def test_what_makes_mAP_0_is_the_first_thing_said_and_said_once(tmp_path, truth):
    records = results(lambda v, r: (v, {"label": r["label"].title(), "segment": r["segment"], "conf": r["score"]}))
    score, said, found = evaluated(tmp_path, truth, records)
    assert score == 0 and len(said) == 2 and "so that mAP is 0: 'Jump' (4)" in said[0] and '"conf" is read' in said[1]
    (counted,) = found["mismatches"]
    assert counted["kind"] == "unknown labels" and counted["count"] == 12 and counted["examples"] and counted["advice"]


@pytest.mark.parametrize(("change", "options"), [
    (lambda v, r: (v, {**r, "label": r["label"].title()}), {"rename": [f"{c.title()}={c}" for c in CLASSES]}),
    (lambda v, r: (f"videos/v_{v}.mp4", r), {"match_ids": True}),
    (lambda v, r: (v, {**r, "segment": [12 * t for t in r["segment"]]}), {"times": "frames"}),
    (lambda v, r: (v, {**r, "label": str(CLASSES.index(r["label"]) + 1)}), {"reading": Reading(classes=CLASSES)}),
    (lambda v, r: (v, {"verb": r["label"], "noun": 3, "segment": r["segment"], "score": r["score"]}),
     {"label_key": "verb"}),
    (lambda v, r: (v, {**r, "label": "anything"}), {"class_agnostic": True}),
])
def test_what_is_asked_for_mends_it(tmp_path, truth, change, options):
    assert evaluated(tmp_path, truth, results(change), **options)[0] == 100


def test_videos_left_out_are_neither_missed_nor_unknown(tmp_path, truth):
    block = write(tmp_path / "block.txt", "clip_0002")
    score, said, found = evaluated(tmp_path, truth, results(), block_list=block)
    assert score == 100 and found["mismatches"] == [] and "4 predictions lie in videos that are left out" in said[0]
    assert found["card"]["test_set"]["left_out"] == ["clip_0002"]


def test_a_cleaned_truth_is_the_one_that_training_reads(tmp_path):
    content = truth_content()
    content["database"]["clip_0000"]["annotations"] += [{"label": "jump", "segment": [60, 61]},
                                                        {"label": "jump", "segment": [9, 9]}]
    path = write(tmp_path / "truth.json", content)
    assert evaluated(tmp_path, path, results())[2]["num_ground_truth"] == 14
    score, said, found = evaluated(tmp_path, path, results(), cleaned=True)
    assert found["num_ground_truth"] < 14 and score > evaluated(tmp_path, path, results())[0]
    with pytest.raises(EvaluationError, match='no subset "tset".* Did you mean "test"'):
        evaluate_file(tmp_path / "p.json", path, "tset", cleaned=True)


def test_mismatches_never_change_the_number(tmp_path, truth):
    """As the reference evaluators: a class or video that only the predictions have counts as they count it."""
    records = results() | {"clip_9": [{"label": "jump", "segment": [0, 1], "score": 0.99}]}
    records["clip_0000"] = [{"label": "yawn", "segment": [1, 2], "score": 0.99}, *records["clip_0000"]]
    score, said, _ = evaluated(tmp_path, truth, records)
    assert score == 96 and len(said) == 2  # jump: 4 found behind one that is wrong, 4/5; mean of 5 classes


# --- the shared cases: a file per oddity ------------------------------------------------------------------

PREDICTIONS = {  # file: (average mAP in %, what is said of it) or the error
    "af_rows.json": (0, "class numbers"), "bare_results.json": (100, 'there is no "results"'),
    "big_scores.json": (100, "12 of 12 scores outside 0 to 1, from 92 to 95"),
    "confidence_key.json": (100, '"confidence" is read as the score'), "duration_key.json": (100, ""),
    "empty_lists.json": (0, "there is no prediction"), "empty_results.json": (0, "there is no prediction"),
    "epic_c2.json": "choose one, e.g. --label-key verb", "eval_results.pkl": "a pickle, which is never loaded",
    "exact.json": (100, ""), "ext.json": (0, "by a file ending"), "extra_keys.json": (100, ""),
    "frames.json": (0, "give --predicted-times frames"), "inf_score.json": "its score is inf",
    "int_labels.json": (0, "0 bounce"),
    "label_case.json": (0, "'Jump' (4): did you mean 'jump'?"), "label_case_one.json": (80, "'Jump' (4): did you mean"),
    "missing_video.json": (61.67, "no prediction in 1 of 3 videos with ground truth, 4 instances missed: 'clip_0002'"),
    "nan_score.json": "its score is nan", "negative_scores.json": (100, "12 of 12 scores outside 0 to 1"),
    "negative_start.json": (88.89, "1 of 12 predictions with a start before"), "no_score.json": 'it has no "score"',
    "null_score.json": "its score is None", "path.json": (0, "by a folder and a file ending"), "pred.csv": (100, ""),
    "start_after_end.json": "it ends before it starts", "str_int_labels.json": (0, '"0 bounce", "1 catch", "2 jump"'),
    "string_scores.json": (100, "numbers written as text"), "string_segments.json": (100, "numbers written as text"),
    "unknown_class.json": (100, "1 of 13 predictions with a label"), "v_prefix.json": (0, 'by "v_" in front'),
    "v_prefix_one.json": (67.22, "1 of 3 videos"), "zero_len.json": (88.89, "without length"),
}
TRUTHS = {
    "gt.csv": (100, ""), "gt.tsv": (100, ""), "gt.txt": (100, ""), "gt_ambiguous.json": (100, "mbiguous"),
    "gt_empty_video.json": (100, ""), "gt_mp4.csv": (100, ""), "gt_multithumos.json": (0, "--classes FILE"),
    "gt_no_subset.json": (100, "names no subsets; all of it, 12 instances, is taken"),
    "gt_reversed.json": "before they start", "gt_string_times.json": (100, ""),
    "gt_testing.json": (100, ""),
}


@pytest.mark.parametrize("name", [*PREDICTIONS, *TRUTHS])
def test_every_oddity_is_read_right_or_said(shared_data, name):
    folder = shared_data / "cases" / "labels" / "eval"
    wanted = {**PREDICTIONS, **TRUTHS}[name]
    files = (folder / "exact.json", folder / name) if name in TRUTHS else (folder / name, folder / "truth.json")
    if isinstance(wanted, str):
        with pytest.raises(LosaError) as caught:
            evaluate_file(*files)
        assert wanted in str(caught.value) and name in str(caught.value)
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = evaluate_file(*files)
    heard = [str(w.message) for w in said if 'is taken, with 12 instances' not in str(w.message)]
    assert round(100 * found["average_map"], 2) == wanted[0]
    assert any(wanted[1] in text for text in heard) if wanted[1] else all(
        issubclass(w.category, Note) for w in said), heard


def test_no_shared_case_is_left_out(shared_data):
    there = {path.name for path in (shared_data / "cases" / "labels" / "eval").iterdir()}
    assert there - {"README", "truth.json"} == {*PREDICTIONS, *TRUTHS}


def test_real_detections_keep_their_number_whatever_is_said(shared_data):
    folder = shared_data / "thumos14"
    expected = json.loads("[0.535995011319573, 0.44027512289060755, 0.334806987195665, 0.22918213049456077, "
                          "0.12232773289046087]")
    with pytest.warns(Note, match='subset "Test" is taken, with 3358 instances'):
        found = evaluate_file(folder / "predictions" / "co2net_base_test_from_PMIL.json", folder / "thumos14.json")
    assert found["map"] == pytest.approx(expected, abs=1e-12)
    assert [m["kind"] for m in found["mismatches"]] == ["scores outside 0 to 1"]


def test_segments_without_a_class_count_as_one_class(tmp_path, truth):
    records = results(lambda v, r: (v, {"segment": r["segment"], "score": r["score"]}))
    assert evaluated(tmp_path, truth, records, class_agnostic=True)[0] == 100
    with pytest.raises(EvaluationError, match="--class-agnostic evaluates segments without one"):
        evaluated(tmp_path, truth, records)
    numbers = results(lambda v, r: (v, {"segment": r["segment"], "score": r["score"], "label_id": 3}))
    with pytest.raises(EvaluationError, match="--label-key label_id --classes FILE"):
        evaluated(tmp_path, truth, numbers)


def test_a_frame_rate_that_is_given_reads_predictions_in_frames(tmp_path):
    truth = write(tmp_path / "truth.json", truth_content(fps=None))
    records = results(lambda v, r: (v, {**r, "segment": [12 * t for t in r["segment"]]}))
    assert evaluated(tmp_path, truth, records, times="frames", reading=Reading(fps=12))[0] == 100
    with pytest.raises(EvaluationError, match="--fps 30"):
        evaluated(tmp_path, truth, records, times="frames")


def test_a_block_list_that_blocks_nothing_is_said(tmp_path, truth):
    (tmp_path / "blocked.txt").write_text("v_clip_0000\n")
    _, said, _ = evaluated(tmp_path, truth, results(), block_list=tmp_path / "blocked.txt")
    assert any("none of its 1 ids, 'v_clip_0000' the first" in text for text in said)


def test_predictions_as_pandas_writes_them_are_read(tmp_path, truth):
    rows = [{"video-id": v, "t-start": r["segment"][0], "t-end": r["segment"][1], "label": r["label"],
             "score": r["score"]} for v, items in results().items() for r in items]  # fmt: skip
    columns = {name: {str(i): row[name] for i, row in enumerate(rows)} for name in rows[0]}
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    comma = [";".join(str(cell).replace(".", ",") if name != "label" else cell for name, cell in row.items())
             for row in rows]  # fmt: skip
    (tmp_path / "comma.csv").write_text("\n".join([";".join(rows[0]), *comma]))
    for name in ("columns.json", "lines.jsonl", "comma.csv"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert evaluate_file(tmp_path / name, truth, "test")["average_map"] == pytest.approx(1), name
