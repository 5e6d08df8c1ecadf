"""Protocol cards: what they hold, where they are read from, and which differences forbid comparing."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from losa.config import Config
from losa.errors import CardError
from losa.evaluation.average_precision import evaluate
from losa.evaluation.card import (
    GROUPS,
    POST,
    SAMPLING,
    card_line,
    checksum,
    compare,
    describe_method,
    evaluation_card,
    make_card,
    read_card,
)
from losa.evaluation.published import PUBLISHED
from losa.segments import write_predictions

TRUTH = {"v": [{"segment": [0.0, 2.0], "label": "a"}], "w": [{"segment": [1.0, 2.0], "label": "a"}]}
FOUND = {"v": [{"segment": [0.0, 2.0], "label": "a", "score": 0.5}]}
HOW = {"post": {"sigma": 0.5, "max_segments": 200}, "classifier": None, "seed": 3,
       "input": {"source": "video", "backbone": "gap", "decode": {"decord": 2, "av": 0}},
       "selection": "last epoch, EMA weights"}  # fmt: skip


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text("{}")
    return path


@pytest.fixture
def card(annotations):
    return make_card(evaluate(TRUTH, FOUND).to_dict(), annotations=annotations, subset="test", **HOW)


def changed(card, path, value):
    card, (*groups, last) = copy.deepcopy(card), path.split(".")
    place = card
    for group in groups:
        place = place[group]
    place[last] = value
    return card


def test_a_card_says_what_the_result_was_measured_on(card, annotations):
    assert set(card) == set(GROUPS) and json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["test_set"]["num_videos"] == 2 and card["test_set"]["num_instances"] == 2
    assert card["test_set"]["sha256"] == checksum(annotations) and len(checksum(annotations)) == 64
    assert card["ap"] == {"style": "activitynet", "tiou": [0.3, 0.4, 0.5, 0.6, 0.7], "num_classes": 1,
                          "classes": "told apart"}  # fmt: skip
    assert card["test_set"]["num_ambiguous"] == 0
    assert card["result"]["average_map"] == 0.5 and card["classifier"] is None
    assert {"python", "numpy", "torch"} <= set(card["versions"]) and card["machine"]["system"]
    assert "2 videos, 2 instances; AP activitynet; classifier none" in card_line(card)


def test_a_classifier_file_is_known_by_its_checksum(annotations):
    given_ = {"file": str(annotations), "topk": 2, "fusion": "sqrt"}
    made = make_card(evaluate(TRUTH, FOUND).to_dict(), annotations="nowhere", subset="test", classifier=given_)
    assert made["classifier"] == {**given_, "file": "annotations.json", "sha256": checksum(annotations)}
    assert made["test_set"]["sha256"] == made["post"] == made["selection"] == "unknown"


def test_every_field_of_a_config_that_makes_a_result_is_on_its_card(annotations):
    config = Config(nms_sigma=0.7, classifier=str(annotations), class_agnostic=True, weights="w/x.pth").to_dict()
    assert {*POST, *SAMPLING} <= set(config)
    found = describe_method(config, {"decord": 1})
    assert found["post"]["nms_sigma"] == 0.7 and found["classifier"]["fusion"] == "sqrt" and found["seed"] == 0
    assert found["input"]["weights"] == "x.pth" and found["input"]["decode"] == {"decord": 1}
    made = make_card(evaluate(TRUTH, FOUND).to_dict(), annotations=annotations, subset="test", **found)
    assert made["classifier"]["sha256"] == checksum(annotations) and made["selection"] == "unknown"


def test_checksum_of_a_folder_follows_its_files(tmp_path):
    (tmp_path / "Diving_test.txt").write_text("v 0 1\n")
    before = checksum(tmp_path)
    (tmp_path / "Diving_test.txt").write_text("v 0 2\n")
    assert len({before, checksum(tmp_path), "unknown"}) == 3


def test_cards_are_read_from_every_file_that_carries_one(tmp_path, card, annotations):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text(json.dumps({"map": [0.5], "card": card}))
    (tmp_path / "bare.json").write_text(json.dumps(card))
    write_predictions(tmp_path / "p.json", FOUND, {"card": card})
    assert [read_card(tmp_path / "run"), read_card(str(tmp_path / "bare.json"))] == [card, card]
    assert read_card(tmp_path / "p.json") == card
    again = evaluation_card(evaluate(TRUTH, FOUND).to_dict(), tmp_path / "p.json", annotations, subset="test")
    assert again == card and compare(again, card).comparable
    write_predictions(tmp_path / "other.json", FOUND)
    unknown = evaluation_card(evaluate(TRUTH, FOUND).to_dict(), tmp_path / "other.json", annotations, subset="test")
    assert unknown["classifier"] == unknown["post"] == "unknown" and not compare(unknown, card).comparable


@pytest.mark.parametrize(
    "text, message",
    [("[", "cannot be read"), ("{}", "no protocol card"), ("[1]", "no protocol card"),
     ('{"card": {"test_set": 1, "ap": {}}}', "no protocol card")],
)  # fmt: skip
def test_files_without_a_card(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CardError, match=message):
        read_card(tmp_path / "x.json")


def test_cards_that_are_not_there(tmp_path):
    with pytest.raises(CardError, match="no such file"):
        read_card(tmp_path)
    with pytest.raises(CardError, match="did you mean adatad-g"):
        read_card("published:adatad_g")


@pytest.mark.parametrize(
    "path, value, reason",
    [
        ("test_set.num_videos", 3, "test videos: 2 | 3"),
        ("test_set.num_instances", 3, "test instances: 2 | 3"),
        ("test_set.sha256", "0", "are different files"),
        ("test_set.left_out", ["x"], "other videos left out"),
        ("test_set.subset", "val", "another subset"),
        ("ap.style", "thumos14", "AP style: activitynet | thumos14"),
        ("ap.tiou", [0.5], "tIoU thresholds"),
        ("ap.num_classes", 20, "classes: 1, told apart | 20, told apart"),
        ("ap.classes", "class-agnostic", "classes: 1, told apart | 1, class-agnostic"),
        ("classifier", {"file": "x"}, "external classifier: none | used"),
        ("selection", "best epoch on the test set", "rule that chose the weights: last epoch | best"),
    ],
)
def test_what_forbids_comparing(card, path, value, reason):
    found = compare(card, changed(card, path, value))
    assert not found.comparable and len(found.reasons) == 1 and reason in found.reasons[0] and not found.undecided
    assert "50.00 and 50.00 average mAP: NOT COMPARABLE" in str(found)
    assert all(path.split(".")[0] in item for item in found.other_differences)


@pytest.mark.parametrize(
    "path, value",
    [("post.sigma", 0.7), ("input.backbone", "x"), ("seed", 4), ("machine.device", "H"), ("input.decode.av", 1),
     ("versions.numpy", "9"), ("selection", "last epoch, plain weights")],
)  # fmt: skip
def test_what_is_part_of_the_method_is_listed(card, path, value):
    found = compare(card, changed(card, path, value))
    assert found.comparable and len(found.other_differences) == 1 and found.other_differences[0].startswith(path)
    assert ": COMPARABLE" in str(found)


def test_duplicates_kept_or_dropped_is_one_style_where_the_counts_are_equal(card):
    assert compare(card, changed(card, "ap.style", "activitynet-dedup")).comparable
    other = changed(changed(card, "ap.style", "activitynet-dedup"), "test_set.num_instances", 1)
    assert len(compare(card, other).reasons) == 2


def test_named_test_sets_need_not_be_the_same_file(card):
    named = changed(card, "test_set.name", "thumos14-212")
    assert compare(named, changed(named, "test_set.sha256", "0")).comparable
    other = changed(named, "test_set.name", "thumos14-211")
    assert compare(named, other).reasons == ["test set: thumos14-212 | thumos14-211"]


def test_one_class_of_all_is_another_number_than_the_mean_over_classes(annotations):
    """Where every class has its instances found equally well, merging them changes everything but the counts."""
    truth = {f"v{i}": [{"segment": [1.0, 5.0], "label": "ab"[i % 2]}] for i in range(10)}
    found = {video: [{"segment": [1.0, 5.0], "label": "a", "score": 0.5}] for video in truth}
    merged = ({v: [{**r, "label": "action"} for r in rs] for v, rs in records.items()} for records in (truth, found))
    apart, one = (make_card(evaluate(*pair, (0.5,)).to_dict(), annotations=annotations, subset="val", **HOW)
                  for pair in ((truth, found), tuple(merged)))  # fmt: skip
    told = compare(one, apart)
    assert told.reasons == ["classes: 1, class-agnostic | 2, told apart"] and not told.comparable
    assert not any("classes" in item for item in told.other_differences)
    older = copy.deepcopy(apart)
    del older["ap"]["num_classes"], older["ap"]["classes"]
    assert compare(older, apart).undecided == ["classes: unknown | 2, told apart"]


def test_the_challenge_s_style_needs_the_same_ambiguous_instances(card):
    named = changed(changed(card, "test_set.name", "thumos14-212"), "test_set.num_ambiguous", 37)
    other = changed(named, "test_set.num_ambiguous", 0)
    assert compare(named, other).comparable and not compare(named, other).other_differences
    told = compare(*(changed(one, "ap.style", "thumos14") for one in (named, other)))
    assert told.reasons == ["ambiguous instances, which the style forgives: 37 | 0"]
    fewer = changed(other, "test_set.num_videos", 1)
    assert compare(other, fewer).reasons == ["test videos: 2 | 1"]  # though the names are the same


LEAF = st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=3), st.just("unknown"))
KEY = st.text(max_size=3)
JSON = st.recursive(LEAF, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEY, x, max_size=3), max_leaves=5)
GROUP = st.dictionaries(st.sampled_from(["name", "sha256", "num_videos", "style", "tiou", "average_map"]), JSON)


@settings(max_examples=100)
@given(mutated=st.dictionaries(st.sampled_from(GROUPS), GROUP | JSON, max_size=5))
def test_any_card_can_be_compared(tmp_path_factory, mutated):
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    path.write_text(json.dumps({"card": mutated}))
    try:
        read = read_card(path)
    except CardError:
        return
    assert str(compare(read, PUBLISHED["losa"])) and card_line(read)
