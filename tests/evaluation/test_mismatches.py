"""What does not fit between ground truth and predictions is found, counted and answered; what fits is silent."""

import pytest

from helpers.eval_files import CLASSES, DURATIONS, ROWS, results
from losa.evaluation.mismatches import (
    MismatchWarning,
    find_mismatches,
    loose_id,
    match_loosely,
    nearest_label,
    propose_names,
    propose_unit,
    warn_if_nothing_fits,
)
from losa.evaluation.records import Truth

RECORDS = {v: [{"label": label, "segment": [start, end]} for name, label, start, end in ROWS if name == v]
           for v in DURATIONS}  # fmt: skip
TRUTH = Truth(RECORDS, "test", DURATIONS, dict.fromkeys(DURATIONS, 12.0), CLASSES, dict.fromkeys(DURATIONS, "test"))


def found(predictions, truth=TRUTH):
    return {m.kind: m for m in find_mismatches(truth, predictions)}


def relabelled(names):
    return results(lambda v, r: (v, {**r, "label": names(r["label"])}))


def scaled(scale, duration=None):
    return results(lambda v, r: (v, {**r, "segment": [t * scale / (DURATIONS[v] if duration else 1)
                                                      for t in r["segment"]]}))


def test_what_fits_is_silent():
    assert find_mismatches(TRUTH, results()) == []


def test_no_label_that_is_known_comes_first_and_names_the_nearest():
    only = found(relabelled(str.title))["unknown labels"]
    assert (only.level, only.count, only.of) == ("error", 12, 12)
    assert str(only).startswith("none of the 12 predictions has a label that the ground truth knows, so that mAP is 0: "
                                "'Jump' (4): did you mean 'jump'?; 'Throw' (3): did you mean 'throw'?")
    assert "--rename Jump=jump" in only.advice and "It has bounce, catch, jump, throw, wave" in only.advice


def test_some_labels_that_are_unknown_are_counted():
    some = found(relabelled(lambda name: {"jump": "Jump", "wave": "yawning"}.get(name, name)))["unknown labels"]
    assert (some.level, some.count, some.of) == ("warning", 5, 12)
    assert some.examples == ["'Jump' (4): did you mean 'jump'?", "'yawning' (1)"]
    many = found(relabelled(lambda name: name)) | found({"clip_0000": [
        {"label": f"odd{i}", "segment": [1, 2], "score": 0.5} for i in range(9)]})
    assert many["unknown labels"].examples[-1] == "and 4 more labels"


def test_a_class_of_another_subset_is_not_unknown():
    truth = Truth(RECORDS, "test", DURATIONS, {}, (*CLASSES, "spin"))
    only = found(relabelled(lambda name: "spin" if name == "wave" else name), truth)
    assert only["labels without an instance"].level == "note" and "unknown labels" not in only
    assert only["labels without an instance"].count == 1


@pytest.mark.parametrize(("first", "how"), [(0, "counted from 0"), (1, "counted from 1")])
def test_class_numbers_get_the_names_by_which_predictions_lie_on_instances(first, how):
    only = found(relabelled(lambda name: str(CLASSES.index(name) + first)))["class numbers"]
    assert only.level == "error" and how in only.advice and "12 of 12 lie on" in only.advice
    assert f'"{first} bounce", "{first + 1} catch"' in only.advice and "--classes FILE" in only.advice


def test_class_numbers_in_the_order_of_the_file_are_told_from_the_alphabet():
    order = ("wave", "throw", "jump", "catch", "bounce")
    truth = Truth(RECORDS, "test", DURATIONS, {}, order)
    names, how = propose_names(truth, relabelled(lambda name: str(order.index(name))), {0, 1, 2, 3, 4})
    assert names == dict(enumerate(order)) and "as the file lists them" in how
    assert propose_names(truth, relabelled(lambda name: "77"), {77}) == ({}, "")


def test_a_truth_with_numbers_only_asks_for_the_classes():
    records = {v: [{**r, "label": f"class_{CLASSES.index(r['label'])}"} for r in items] for v, items in RECORDS.items()}
    only = found(results(), Truth(records, "test"))["unknown labels"]
    assert "class numbers only" in only.advice and "--classes FILE" in only.advice


@pytest.mark.parametrize(("write", "by"), [
    (lambda v: f"v_{v}", '"v_" in front'), (lambda v: f"{v}.mp4", "a file ending"), (str.upper, "upper case"),
    (lambda v: f"videos/{v}.mp4", "a folder and a file ending"), (lambda v: f"a\\b\\{v}.MKV", "a folder and a file"),
    (lambda v: f"{v}.npy", "a file ending")])
def test_ids_written_otherwise_are_told_with_what_differs(write, by):
    whole = found(results(lambda v, r: (write(v), r)))
    assert set(whole) == {"video ids written otherwise"}
    only = whole["video ids written otherwise"]
    assert (only.level, only.count, only.of) == ("error", 3, 3) and by in only.said and "--match-ids" in only.advice
    assert "all 3 videos in the predictions, with 12 predictions" in only.said and "mAP is 0" in only.advice
    some = found(results(lambda v, r: (write(v) if v == "clip_0001" else v, r)))
    only = some["video ids written otherwise"]
    assert (only.level, only.count) == ("warning", 1) and "1 of 3 videos" in only.said
    assert some["videos without a prediction"].count == 1
    back = Truth({write(v): items for v, items in RECORDS.items()}, "test")
    assert found(results(), back)["video ids written otherwise"].count == 3


def test_ids_that_could_be_two_videos_are_left_alone():
    assert loose_id("a/V_Clip.0.mp4") == "clip.0"
    assert match_loosely(["clip", "v_clip"], ["clip.mp4"]) == {} and match_loosely(["x"], ["y"]) == {}


def test_videos_of_another_subset_are_said_to_be_there():
    truth = Truth(RECORDS, "test", subsets={"clip_0007": "train"})
    only = found({**results(), "clip_0007": [{"label": "jump", "segment": [0, 1], "score": 1.0}], "x": []}, truth)
    mismatch = only["videos unknown to the ground truth"]
    assert (mismatch.count, mismatch.of, mismatch.level) == (2, 5, "warning")
    assert 'with 1 prediction, unknown to the ground truth; 1 of them are in its subset "train"' in mismatch.said


def test_videos_without_a_prediction_are_counted_and_empty_ones_are_not_missed():
    predictions = {v: items for v, items in results().items() if v != "clip_0002"}
    vague = [{"segment": [0, 1], "label": "Ambiguous", "ambiguous": True}]
    truth = Truth(RECORDS | {"empty": [], "vague": vague}, "test")
    for given in (predictions, predictions | {"clip_0002": []}):
        only = found(given, truth)["videos without a prediction"]
        assert (only.count, only.of, only.examples) == (1, 3, ["'clip_0002'"])
        assert only.said == "no prediction in 1 of 3 videos with ground truth, 4 instances missed"


@pytest.mark.parametrize("nothing", [{}, dict.fromkeys(DURATIONS, [])])
def test_no_prediction_at_all_is_one_error(nothing):
    (only,) = find_mismatches(TRUTH, nothing)
    assert only.level == "error" and "there is no prediction" in str(only)


@pytest.mark.parametrize(("unit", "predictions"), [
    ("frames", scaled(12)), ("ms", scaled(1000)), ("minutes", scaled(1 / 60)), ("shares", scaled(1, duration=True))])
def test_the_unit_is_the_one_in_which_times_fill_their_videos(unit, predictions):
    (only,) = find_mismatches(TRUTH, predictions)
    assert propose_unit(TRUTH, predictions)[0] == unit and f"give --predicted-times {unit}" in only.advice
    assert "3 of 3 videos hold all of theirs" in only.advice and only.level == "warning"


def test_no_unit_is_proposed_where_none_fits_or_few_are_beyond():
    no_fps = Truth(RECORDS, "test", DURATIONS)
    assert propose_unit(no_fps, scaled(12)) == ("", "")
    assert propose_unit(TRUTH, scaled(12 * 1000)) == ("", "")
    late = results()
    late["clip_0000"][0]["segment"] = [50.0, 60.0]
    only = found(late)["segments beyond their video"]
    assert (only.count, only.of, only.level, only.advice) == (1, 12, "note", "")
    assert only.examples == ["'clip_0000' 50 to 60 s, video of 45.0833 s"]


def test_odd_segments_and_scores_are_noted():
    odd = results()
    odd["clip_0000"][0] |= {"segment": [-0.5, 2.0], "score": 95.0}
    odd["clip_0001"][0] |= {"segment": [2.0, 2.0], "score": -4.0}
    notes = found(odd)
    assert {m.level for m in notes.values()} == {"note"} and len(notes) == 3
    assert notes["segments before the start"].count == notes["segments of no length"].count == 1
    assert "2 of 12 scores outside 0 to 1, from -4 to 95" in notes["scores outside 0 to 1"].said
    same = results(lambda v, r: (v, {**r, "score": 1.0}))
    assert "all 12 scores are 1" in found(same)["one score for all"].said


def test_the_worst_comes_first_and_json_has_the_counts():
    odd = relabelled(str.title)
    odd["clip_0000"][0]["score"] = 95.0
    levels = [m.level for m in find_mismatches(TRUTH, odd)]
    assert levels == ["error", "note"]
    assert set(find_mismatches(TRUTH, odd)[0].to_dict()) >= {"kind", "count", "examples", "advice"}


def test_evaluation_itself_warns_where_nothing_fits(recwarn):
    warn_if_nothing_fits(RECORDS, results())
    warn_if_nothing_fits(RECORDS, relabelled(lambda name: "Jump" if name == "jump" else name))
    warn_if_nothing_fits(RECORDS, {})
    assert not recwarn
    with pytest.warns(MismatchWarning, match="so that mAP is 0"):
        warn_if_nothing_fits(RECORDS, relabelled(str.upper))


@pytest.mark.parametrize(("label", "name"), [("Pole Vault", "PoleVault"), ("pole_vault", "PoleVault"), ("jmp", "jump"),
                                             ("yawn", ""), ("", "")])
def test_the_nearest_label(label, name):
    assert nearest_label(label, ["PoleVault", "jump", "-"]) == name


def test_class_numbers_in_no_usual_order_get_the_names_on_whose_instances_they_lie():
    order = ["wave", "jump", "bounce", "throw", "catch"]
    only = found(relabelled(lambda name: str(order.index(name) + 7)))["class numbers"]
    assert "in none of the usual orders: then 12 of 12" in only.advice
    assert '"7 wave", "8 jump", "9 bounce", "10 throw", "11 catch"' in only.advice


def test_labels_that_are_shifted_by_one_are_said():
    shifted = found(relabelled(lambda name: sorted(CLASSES)[sorted(CLASSES).index(name) - 1]))
    assert (shifted["labels of other instances"].level, shifted["labels of other instances"].of) == ("warning", 12)
    assert "'catch' on 'jump' (4)" in shifted["labels of other instances"].examples


def test_times_in_frames_are_said_where_no_duration_is_known():
    bare = Truth(RECORDS, "test", classes=CLASSES)
    only = found(scaled(1000), bare)["segments on no instance"]
    assert only.count == only.of == 12 and "Are they milliseconds? Read so, 12 of 12 do" in only.advice
    assert "--predicted-times frames --fps 30" in found(scaled(12), bare)["segments on no instance"].advice
    assert find_mismatches(bare, results()) == []


def test_predictions_that_are_there_twice_are_counted():
    only = found({v: [*items, *items] for v, items in results().items()})["repeated predictions"]
    assert (only.level, only.count, only.of) == ("warning", 12, 24)
    assert "repeated predictions" not in found({v: [*items, *({**r, "score": 0.01} for r in items)]
                                                for v, items in results().items()})


def test_videos_of_one_other_subset_name_it_as_an_option():
    truth = Truth({"other": [{"label": "jump", "segment": [0, 1]}]}, "test", classes=CLASSES,
                  subsets={**dict.fromkeys(DURATIONS, "my val"), "other": "test"})
    assert "--subset 'my val'" in found(results(), truth)["videos unknown to the ground truth"].advice


def test_a_renaming_is_quoted_for_a_shell():
    advice = found(relabelled(lambda name: "$jump" if name == "jump" else name))["unknown labels"].advice
    assert "--rename '$jump=jump'" in advice
