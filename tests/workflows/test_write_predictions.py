"""Predictions as files: JSON, CSV, subtitles and a page that say the same, under names that every disk takes."""

import csv
import json
import os
from urllib.parse import unquote

import numpy as np
import pytest

from helpers.page_data import page_states
from losa.evaluation.card import read_card
from losa.video.folder import find_videos
from losa.workflows.write_predictions import as_csv, subtitle_path


def test_json_and_csv_say_the_same(made):
    folder, result = made
    content = json.loads((folder / "out" / "predictions.json").read_text())
    rows = list(csv.DictReader((folder / "out" / "predictions.csv").open(encoding="utf-8", newline="")))
    assert list(rows[0]) == ["video", "start", "end", "label", "score"]
    flat = [(name, *r["segment"], r["label"], r["score"]) for name, rs in content["results"].items() for r in rs]
    assert [(r["video"], r["label"]) for r in rows] == [(f[0], f[3]) for f in flat]
    np.testing.assert_allclose([[float(r[k]) for k in ("start", "end", "score")] for r in rows],
                               [[f[1], f[2], f[4]] for f in flat], atol=6e-4)
    assert {name: len(rs) for name, rs in content["results"].items()} == {
        name: video["num_segments"] for name, video in result["videos"].items()}
    card = read_card(folder / "out" / "predictions.json")
    assert card["post"]["nms_sigma"] == 0.5 and card["classifier"] is None
    assert card["test_set"]["num_videos"] == 5 and sum(card["input"]["decode"].values()) == 5


def test_subtitles_lie_as_the_videos_do_and_the_page_finds_the_files(made):
    folder, result = made
    for name in result["videos"]:
        assert (folder / "out" / "subtitles" / f"{name}.srt").is_file()
        assert (folder / "out" / "subtitles" / f"{name}.vtt").read_text().startswith("WEBVTT\n")
    page = (folder / "out" / "index.html").read_text(encoding="utf-8")
    assert page.count('class="video one-of-many"') == 5 and "is empty (0 bytes)" in page
    sources = [state["source"]["path"] for state in page_states(page)]
    assert len(sources) == 5 and all(sources)
    for source in sources:
        assert source.startswith("data:video/mp4;base64,") or (folder / "out" / unquote(source)).is_file()


def test_names_that_are_no_utf8_still_make_valid_files(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    try:
        os.close(os.open(raw, os.O_CREAT))
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    (name,) = find_videos(tmp_path)
    assert name == "caf\ufffd" and as_csv([(name, "x")]).encode("utf-8")


def test_subtitle_names_stay_short_and_inside(tmp_path):
    long = [subtitle_path(tmp_path, f"day/{'字' * 80}{i}", ".srt") for i in range(2)]
    assert all(len(path.name.encode()) < 230 and path.parent == tmp_path / "subtitles" / "day" for path in long)
    assert long[0] != long[1] and subtitle_path(tmp_path, "a.b", ".vtt").name == "a.b.vtt"
