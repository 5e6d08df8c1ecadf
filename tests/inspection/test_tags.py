"""Tags of a run's segments: kept beside it, found again, proposed, exported, and numbers without them."""

import json
import warnings

import pandas as pd
import pytest

from helpers.made_runs import made_run, made_world
from losa.evaluation.average_precision import evaluate
from losa.evaluation.tagged import FILE, NEAR_S
from losa.inspection.run_folder import open_run
from losa.inspection.tags import COLUMNS, PROPOSED, Tags


@pytest.fixture
def path(tmp_path):
    """A run; its test videos hold jump from 5 to 7 s (test_0; a second later in each next one) and kick, 20 to 25 s."""
    made_run(tmp_path / "run", made_world(tmp_path / "world", 0, num_videos=3), 1.0)
    return tmp_path / "run"


def test_a_tag_is_written_beside_the_run_and_read_when_it_is_opened(path):
    before = (path / "result.json").read_bytes()
    run = open_run(path)
    assert len(run.tags.table()) == 0 and not (path / FILE).exists()
    run.tags.put("test_1", "truth", 0, "ambiguous", " half hidden ")
    run.tags.put("test_1", "prediction", 2, "model wrong")
    run.tags.put("test_1", "prediction", 2, "label wrong")
    row = run.predictions["test_1"][2]
    again = open_run(path).tags
    assert again.table().values.tolist() == [["test_1", "truth", "jump", 6.0, 8.0, "ambiguous", "half hidden", True],
                                             ["test_1", "prediction", row["label"], *row["segment"], "label wrong", "",
                                              True]]
    assert again.places() == {("test_1", "truth", 0): ("ambiguous", "half hidden"),
                              ("test_1", "prediction", 2): ("label wrong", "")}
    again.put("test_1", "truth", 0, "")
    assert [tag["kind"] for tag in json.loads((path / FILE).read_text())["tags"]] == ["prediction"]
    assert (path / "result.json").read_bytes() == before and list(path.glob(".*")) == []


def test_two_who_tag_at_once_keep_both(path):
    one, two = open_run(path).tags, open_run(path).tags
    one.put("test_0", "truth", 0, "ambiguous")
    two.put("test_0", "truth", 1, "model wrong")
    assert len(open_run(path).tags.all) == 2


def test_tags_survive_a_new_test_and_gone_ones_are_counted_and_kept(path):
    tags = open_run(path).tags
    tags.put("test_0", "prediction", 0, "model wrong")
    tags.put("test_2", "prediction", 1, "ambiguous")
    content = json.loads((path / "predictions.json").read_text())
    rows = content["results"]["test_0"]
    rows[0]["segment"] = [t + 0.9 * NEAR_S for t in rows[0]["segment"]]
    rows.insert(0, {"segment": [30.0, 31.0], "label": "kick", "score": 0.5})
    (path / "predictions.json").write_text(json.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_run(path).tags.places()["test_0", "prediction", 1] == ("model wrong", "")
    content["results"]["test_2"] = []
    (path / "predictions.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="1 of 2 tags are about segments that are not there.*in test_2.*forget_gone"):
        again = open_run(path).tags
    assert again.table().there.tolist() == [True, False]
    again.put("test_1", "truth", 0, "ambiguous")
    assert len(again.all) == 3 and again.forget_gone() == 1 and len(again.all) == 2


@pytest.mark.parametrize("words", [("test_0", "truth", 0, "odd"), ("test_0", "truth", 2, "ambiguous"),
                                   ("test_9", "truth", 0, "ambiguous"), ("test_0", "lane", 0, "ambiguous")])
def test_what_cannot_be_tagged_is_refused_and_nothing_written(path, words):
    with pytest.raises(ValueError, match="expected one of label wrong, ambiguous, model wrong"):
        open_run(path).tags.put(*words)
    assert not (path / FILE).exists()


def test_a_damaged_file_is_not_overwritten(path):
    (path / FILE).write_text("{")
    with pytest.raises(ValueError, match="tags.json"):
        open_run(path).tags.table()
    assert (path / FILE).read_text() == "{"


def test_wrong_labels_become_proposals_with_what_overlaps_most(tmp_path):
    record = lambda start, end, label, score=1.0: {"segment": [start, end], "label": label, "score": score}  # noqa: E731
    truth = {"v": [record(0, 10, "a"), record(20, 30, "b")]}
    found = {"v": [record(1, 10, "b", 0.9), record(5, 15, "c", 0.8), record(50, 60, "a", 0.7)]}
    tags = Tags(tmp_path, truth, found)
    tags.put("v", "truth", 0, "label wrong", "look again")
    tags.put("v", "truth", 1, "label wrong")
    tags.put("v", "prediction", 2, "label wrong")
    tags.put("v", "prediction", 1, "model wrong")
    rows = tags.proposals().astype(object).where(tags.proposals().notna(), None).values.tolist()
    assert rows == [["v", 0, 10, "a", "b", 1, 10, 0.9, "look again"], ["v", 20, 30, "b", None, None, None, None, ""],
                    ["v", None, None, None, "a", 50, 60, 0.7, ""]]
    assert tags.export(tmp_path / "out" / "tags.csv") == tmp_path / "out" / "tags.csv"
    written = pd.read_csv(tmp_path / "out" / "tags.csv")
    assert list(written.columns) == COLUMNS and written.tag.tolist() == tags.table().tag.tolist()
    assert list(pd.read_csv(tmp_path / "out" / "tags_proposals.csv").columns) == PROPOSED
    tags.export(tmp_path / "tags.json.d" / "tags.json")
    listed = json.loads((tmp_path / "tags.json.d" / "tags_proposals.json").read_text())
    assert [row["proposed"] for row in listed] == ["b", None, "a"] and listed[2]["start"] is None
    with pytest.raises(ValueError, match=r"tags.txt: expected a name that ends in .csv or .json"):
        tags.export("tags.txt")


def test_numbers_with_and_without_stand_side_by_side(path):
    run = open_run(path)
    run.tags.put("test_0", "truth", 0, "ambiguous")
    run.tags.put("test_1", "truth", 1, "label wrong")
    table = run.evaluate_without()
    assert list(table.columns) == ["everything", "without ambiguous"]
    whole = evaluate(run.truth, run.predictions, tuple(run.config.tiou))
    assert table.everything["average mAP"] == pytest.approx(100 * whole.average_map)
    assert table.loc["instances"].tolist() == [6, 5]
    assert table.loc["predictions forgiven by the tags"].tolist() == [0, 3]
    both = run.evaluate_without("ambiguous", "label wrong")
    assert both.loc["instances"].tolist() == [6, 4] and list(both.columns)[1] == "without ambiguous and label wrong"
