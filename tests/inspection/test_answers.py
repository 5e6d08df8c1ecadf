"""Folded answers hold the numbers of the run they are asked of, and say it where there is nothing to tell."""

import re

import numpy as np
import pandas as pd
import pytest

from losa.inspection import answers
from losa.inspection.error_table import COLUMNS, SEGMENTS, list_segments
from losa.inspection.model_internals import gates_view
from losa.inspection.run_folder import open_run


def read(shown):
    """The words of a folded answer."""
    assert shown.data.startswith("<details><summary>Answer</summary><p>") and shown.data.endswith("</p></details>")
    return re.sub("<[^>]+>", "", shown.data)


def table(*rows):
    """Errors as `list_errors` gives them: (predicted, error, really)."""
    return pd.DataFrame([["v", 0.0, 1.0, predicted, 0.5, error, really] for predicted, error, really in rows],
                        columns=COLUMNS)


def test_pairs_are_counted_both_ways_and_wrong_labels_alone():
    errors = table(("throw", "wrong label", "catch"), ("catch", "wrong label", "throw"), ("sit", "wrong label", "a<b"),
                   ("sit", "confusion", "a<b"), ("sit", "confusion", "a<b"))
    said = read(answers.answer_confusion(errors))
    assert "catch and throw: 2 of 3 wrong labels. Then a&lt;b and sit (1)." in said and "backwards" in said
    assert "backwards" not in read(answers.answer_confusion(errors[2:]))
    assert "None: no prediction" in read(answers.answer_confusion(errors[3:]))


def test_what_happens_in_the_background_of_a_label():
    errors = table(("jump", "background", "hop"), ("jump", "background", "hop"), ("jump", "background", "dip"),
                   ("sit", "background", answers.NOTHING))
    said = read(answers.answer_background(errors, "jump"))
    assert "Of 3 times that jump is found where no action is labelled: 2 x hop, 1 x dip." in said
    assert "Of 3 times that jump" in read(answers.answer_background(errors, "no such class"))
    assert "look at some" in read(answers.answer_background(errors, "sit"))
    assert "None is" in read(answers.answer_background(errors[:0]))


def test_misses_by_length_are_those_of_the_table_of_segments(untrained):
    said = read(answers.answer_lengths(untrained, 0.04))
    truth = list_segments(untrained, 0.04).query("kind == 'truth'")
    told = re.findall(r"(\d+) of (\d+) (?:up to|of|over)", said)
    assert [sum(int(pair[i]) for pair in told) for i in (0, 1)] == [(truth.error == "missed").sum(), len(truth)]
    short = truth[truth.end - truth.start <= 1.5]
    assert f"{(short.error == 'missed').sum()} of {len(short)} up to 1.5 s" in said


def test_what_one_run_wins_and_loses(untrained, monkeypatch):
    def tell(*kinds):
        rows = [["w", "truth", i, 10.0 + i, 12.0, "", f"act {i}", np.nan, kind] for i, kind in enumerate(kinds)]
        return pd.DataFrame([*rows, ["w", "prediction", 0, 1, 2, "a", "a", 0.5, "true positive"]], columns=SEGMENTS)

    tables = {"untrained": tell("found", "missed", "found", "found"),
              "other": tell("missed", "found", "found", "missed")}
    monkeypatch.setattr(answers, "list_segments", lambda run, min_score: tables[run.name])
    monkeypatch.setattr(answers, "_tell_sources", lambda run, video: f"from {video}")
    other = open_run(untrained.path, "other")
    said = read(answers.answer_won(untrained, other))
    assert "In w: act 0 at 10.0 s, act 3 at 13.0 s. In all videos 2 actions are won so, and 1 are lost" in said
    tables["untrained"] = tables["other"]
    assert "finds no action that other misses; 0 the other way." in read(answers.answer_won(untrained, other))
    assert "compare_dir" in read(answers.answer_won(untrained, None))


def test_sources_are_shares_of_what_the_gates_let_through(untrained):
    video = next(iter(untrained.videos))
    view, said = gates_view(untrained, video), answers._tell_sources(untrained, video)
    added = (np.abs(view["gates"]) * view["norms"]).mean(2)
    told = [int(share) for share in re.findall(r"block \d+: (\d+) %", said)]
    assert told == pytest.approx(100 * added.sum(1) / added.sum(), abs=0.51)
    assert sum(int(share) for share in re.findall(r"range (\d+) %", said)) == pytest.approx(100, abs=1)


def test_the_control_is_asked_for_until_it_has_run():
    frame = pd.DataFrame({"model": ["head only"] * 2 + ["mine"] * 2 + ["no time"] * 2,
                          "average_map": [0.5, 0.52, 0.6, 0.7, 0.58, 0.6]})
    said = read(answers.answer_control(frame))
    assert "Head only 51.0 % (50.0, 52.0); mine 65.0 % (60.0, 70.0); no time 59.0 %" in said.replace("head", "Head", 1)
    assert "+14.0 points of mine over the head alone, +8.0 come without time" in said
    assert "not among them: add no time to models" in read(answers.answer_control(frame[:4]))
