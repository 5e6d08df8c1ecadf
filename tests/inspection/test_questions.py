"""The lesson's questions: nothing is told before a choice, and the answer is what this run's numbers say."""

import re

import pytest

from helpers.small_runs import small_run
from losa.inspection import questions
from losa.inspection.lesson import sight
from losa.inspection.lesson_desk import average_map, measure_steps
from losa.inspection.lesson_figures import reach


def answered(question, choice):
    """What a question says to this choice."""
    question.choice.value = choice
    question.check.click()
    return question.said.value


def test_first_choose_then_check_and_solve_once():
    solved = []
    question = questions.Question("Which?", ["a <b>", "c"], lambda: solved.append(1) or ("a <b>", "1 < 2"))
    question.check.click()
    assert "Choose first" in question.said.value and not solved
    assert answered(question, "c") == "<b>No: a &lt;b&gt;.</b> 1 &lt; 2"
    question.choice.value = "a <b>"
    assert question.said.value == "", "what was said is about another choice"
    assert answered(question, "a <b>") == "<b>Right.</b> 1 &lt; 2" and solved == [1]
    assert "Which? a <b> / c" in question._repr_mimebundle_()["text/plain"]
    assert "ZeroDivisionError" in answered(questions.Question("?", ["a"], lambda: 1 / 0), "a")


def test_answers_are_this_runs_numbers(run):
    video, maps = next(iter(run.videos.values())), 100 * average_map(run).mean(axis=1)
    said = answered(questions.ask_which_range(run), "closing long")
    worst = "short" if maps["no short"] < maps["no long"] else "long"
    assert ("Right." in said) == (worst == "long") and f"{maps['no short']:.1f} %" in said
    far = reach(sight(run, video, 2, 3)["short"])
    said = answered(questions.ask_how_far(run, video, 2, 3), f"{far} snippets")
    assert "Right." in said and far == run.config.short_window + 1
    said = answered(questions.ask_what_a_tap_keeps(run), "a quarter of it or less")
    assert "Right." in said and "8 time steps x 4 x 4 tokens x 96 channels = 12,288" in said and "= 768." in said
    modes = ["head_only", "losa"]
    kept = measure_steps(run, tuple(modes), 1).xs("kept", level=1).sum(axis=1)
    said = answered(questions.ask_who_keeps_most(run, modes, 1), "losa")
    assert "Right." in said and [float(x) for x in re.findall(r"\w+ ([\d.]+) MiB", said)] == pytest.approx(
        kept.round(1).tolist())


def test_what_cannot_be_asked_of_a_run_is_said(tiny, run):
    video = next(iter(run.videos.values()))
    for kind, ask, why in [("features", questions.ask_what_a_tap_keeps, "no backbone"),
                           ("head_only", lambda r: questions.ask_how_far(r, video, 2, 1), "no short range"),
                           ("short", questions.ask_which_range, "one range alone"),
                           ("world", questions.ask_closed_or_never_there, "no head-only run")]:
        assert why in ask(small_run(tiny, kind)).data, kind
    kept = questions.ask_what_a_tap_keeps(small_run(tiny, "side_tokens"))
    assert kept.solve()[0] in ("all of it", "a quarter of it or less")
