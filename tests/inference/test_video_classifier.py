"""Video-level scores of others: formats, refusals, and both ways to fuse them with segments."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from losa.errors import ClassifierError
from losa.inference.video_classifier import VideoScores, fuse, read_scores

SEGMENTS = {"v_one": [{"segment": [0.0, 2.0], "label": "action", "score": 0.64},
                      {"segment": [5.0, 9.0], "label": "action", "score": 0.25}], "two": []}  # fmt: skip


def write(tmp_path, content):
    path = tmp_path / "scores.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


LISTED = {"class": ["a", "b", "c"], "results": {"one": [0.1, 0.36, 0.25], "two": [1, 0, 0]}}
NAMED = {"one": {"a": 0.1, "b": 0.36, "c": 0.25}, "two": {"a": 1}}


NESTED = {**LISTED, "results": {v: [row] for v, row in LISTED["results"].items()}}
OPENTADS = {"classes": LISTED["class"], "results": LISTED["results"]}


@pytest.mark.parametrize("content", [LISTED, NAMED, NESTED, OPENTADS])
def test_every_format_is_the_same_scores(tmp_path, content):
    got = read_scores(write(tmp_path, content), ["c", "b", "a", "d"])
    assert got.classes == ("a", "b", "c") and set(got.scores) == {"one", "two"}
    assert np.array_equal(got.of("v_one"), [0.1, 0.36, 0.25]) and np.array_equal(got.of("two"), [1, 0, 0])
    assert got.of("three") is None


def test_fusion_by_hand(tmp_path):
    scores = read_scores(write(tmp_path, LISTED))
    got = fuse(SEGMENTS, scores, topk=2, how="product")
    assert [(r["label"], r["segment"][0]) for r in got["v_one"]] == [("b", 0.0), ("c", 0.0), ("b", 5.0), ("c", 5.0)]
    assert np.allclose([r["score"] for r in got["v_one"]], [0.64 * 0.36, 0.16, 0.09, 0.0625]) and got["two"] == []
    rooted = fuse(SEGMENTS, scores, topk=2)
    assert np.allclose([r["score"] for r in rooted["v_one"]], [0.48, 0.4, 0.3, 0.25])
    assert [r["label"] for r in fuse(SEGMENTS, scores, topk=9)["v_one"]].count("a") == 2
    assert SEGMENTS["v_one"][0]["label"] == "action"


def actionformers(video_scores, segments, scores, topk):
    """(class, start, score) of every row of ActionFormer's fusion, transcribed to array operations."""
    best = np.argsort(video_scores)[::-1][:topk]
    fused = np.sqrt(video_scores[best][:, None] @ scores[None, :]).flatten()
    return sorted(zip(np.repeat(best, len(scores)), np.tile(segments[:, 0], topk), fused, strict=True))


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), topk=st.integers(1, 4))
def test_sqrt_is_actionformers(seed, topk):
    rng = np.random.default_rng(seed)
    of_video, segments, scores = rng.random(6), np.sort(rng.random((9, 2))), rng.random(9)
    pairs = zip(segments.tolist(), scores.tolist(), strict=True)
    records = [{"segment": segment, "label": "x", "score": score} for segment, score in pairs]
    got = fuse({"v": records}, VideoScores(tuple("abcdef"), {"v": of_video}), topk)["v"]
    rows = sorted(("abcdef".index(r["label"]), r["segment"][0], r["score"]) for r in got)
    assert np.allclose(rows, actionformers(of_video, segments, scores, topk), rtol=1e-12)
    assert [r["score"] for r in got] == sorted((r["score"] for r in got), reverse=True)


@pytest.mark.parametrize(
    "content, message",
    [
        ("[1]", "expected an object of videos"),
        ("{", "cannot be read as JSON"),
        ({}, "it is empty"),
        ({"results": {"v": [0.5]}}, 'no "class"'),
        ({"class": ["a", "a"], "results": {"v": [0.5, 0.5]}}, "named more than once: a"),
        ({"class": ["a", "b"], "results": {"v": [0.5]}}, "1 videos do not have one number per class: v: 1 scores"),
        ({"class": ["a"], "results": {"v": [1.5], "w": [float("nan")], "x": [1]}}, "2 videos have scores outside 0..1"),
        ({"v": {"a": -3.2}}, "softmax"),
        ({"v": {"a": "0.5"}}, "one number per class"),
        ({"v": 0.5}, "no {label: score}"),
        ({str(i): {str(i): 0.5} for i in range(10_001)}, "expected a few classes"),
        ({"v": {"Divign": 0.5}}, 'did you mean "Diving"'),
    ],
)
def test_refused(tmp_path, content, message):
    with pytest.raises(ClassifierError, match=message):
        read_scores(write(tmp_path, content), ["Diving", "a", "b"])


def test_refusals_of_fusion():
    scores = VideoScores(("a",), {"one": np.ones(1)}, "scores.json")
    with pytest.raises(ClassifierError, match=r"scores\.json: 1 of 2 videos have no scores: two"):
        fuse(SEGMENTS, scores)
    with pytest.raises(ClassifierError, match="negative"):
        fuse({"one": [{"segment": [0, 1], "label": "x", "score": -1.0}]}, scores)
    with pytest.raises(ClassifierError, match="no such file"):
        read_scores("nowhere.json")


LEAF = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-(10**400), 10**400), st.text(max_size=3))
KEY = st.one_of(st.sampled_from(["class", "results", "v"]), st.text(max_size=2))
JSON = st.recursive(LEAF, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEY, x, max_size=3), max_leaves=8)


@settings(max_examples=150)
@given(content=JSON)
def test_mutated_files_are_read_or_refused(tmp_path_factory, content):
    try:
        assert isinstance(read_scores(write(tmp_path_factory.mktemp("fuzz"), content)), VideoScores)
    except ClassifierError as error:
        assert "scores.json" in str(error)
