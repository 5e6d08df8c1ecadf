"""Subtitles: a player's own parser reads them, cues never overlap, and say what goes on."""

import re

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from losa.formats.cues import FLICKER_MS, MOST_LINES, make_cues, srt, vtt

JUMP = [{"segment": [1.0, 4.0], "label": "jump", "score": 0.9}, {"segment": [3.0, 6.5], "label": "wave", "score": 0.5},
        {"segment": [3600.25, 3725.0], "label": "jump", "score": 0.3}]
HOSTILE = [{"segment": [0.0, 2.0], "label": "a --> b\n\n2\n<b>{\\an8}&amp; ü", "score": 0.5}]


def parsed(path, text):
    """(begin ms, end ms, text) of every cue, as ffmpeg's demuxer takes the file."""
    path.write_text(text, encoding="utf-8")
    with av.open(str(path)) as container:
        unit = 1000 * container.streams[0].time_base
        return [(round(p.pts * unit), round((p.pts + p.duration) * unit), bytes(p).decode())
                for p in container.demux() if p.size]


@pytest.mark.parametrize("write, ending", [(srt, ".srt"), (vtt, ".vtt")])
def test_a_player_reads_what_was_written(tmp_path, write, ending):
    found = parsed(tmp_path / f"x{ending}", write(JUMP))
    assert found == [(1000, 3000, "jump 0.90"), (3000, 4000, "jump 0.90\nwave 0.50"), (4000, 6500, "wave 0.50"),
                     (3600250, 3725000, "jump 0.30")]


def test_clocks_are_written_as_each_format_wants_them():
    assert "\n01:00:00,250 --> 01:02:05,000\n" in srt(JUMP) and srt(JUMP).startswith("1\n00:00:01,000 --> ")
    assert "\n01:00:00.250 --> 01:02:05.000\n" in vtt(JUMP) and vtt(JUMP).startswith("WEBVTT\n\n")


def test_labels_are_text(tmp_path):
    (in_srt,), (in_vtt,) = parsed(tmp_path / "x.srt", srt(HOSTILE)), parsed(tmp_path / "x.vtt", vtt(HOSTILE))
    assert in_srt == (0, 2000, "a --› b 2 ‹b›(\\an8)&amp; ü 0.50")
    assert in_vtt == (0, 2000, "a --&gt; b 2 &lt;b&gt;{\\an8}&amp;amp; ü 0.50")


def test_nothing_to_say():
    assert srt([]) == "" and vtt([]) == "WEBVTT\n"
    assert make_cues(JUMP, min_score=0.95) == [] and len(make_cues(JUMP, min_score=0.6)) == 1


def test_one_line_per_label_the_strongest_first_and_not_too_many():
    crowd = [{"segment": [0, 1], "label": name, "score": score} for name, score in
             [("e", 0.1), ("d", 0.2), ("a", 0.4), ("c", 0.3), ("a", 0.5)]]
    assert make_cues(crowd) == [(0, 1000, ("a 0.50", "c 0.30", "d 0.20", "+ 1 more"))]
    assert len(make_cues(crowd)[0][2]) == MOST_LINES + 1


segment = st.tuples(st.integers(0, 40), st.integers(1, 30), st.sampled_from("abcde"), st.integers(0, 100))


@given(st.lists(segment, max_size=12), st.integers(0, 100))
def test_every_moment_shows_what_goes_on_then(rows, percent):
    """Against looking at each moment alone; with times on a grid wider than flicker."""
    step = 2 * FLICKER_MS / 1000
    records = [{"segment": [step * a, step * (a + n)], "label": c, "score": s / 100} for a, n, c, s in rows]
    found = make_cues(records, min_score=percent / 100)
    assert all(a[1] <= b[0] for a, b in zip(found, found[1:], strict=False)) and all(a < b for a, b, _ in found)
    for k in range(71):
        now = step * (k + 0.5)
        here = {}
        for r in records:
            if r["segment"][0] < now < r["segment"][1] and r["score"] >= percent / 100:
                here[r["label"]] = max(r["score"], here.get(r["label"], 0))
        shown = [lines for a, b, lines in found if a < 1000 * now < b]
        said = {line.split()[0]: float(line.split()[1]) for lines in shown for line in lines if line[0] != "+"}
        best = sorted(here.items(), key=lambda item: (-item[1], item[0]))[:MOST_LINES]
        assert said == pytest.approx(dict(best), abs=0.006) and len(shown) == bool(here)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 50), st.sampled_from("ab"), st.floats(0, 1)), max_size=20))
def test_any_times_give_ordered_cues_of_some_length(rows):
    records = [{"segment": [a, a + n], "label": c, "score": s} for a, n, c, s in rows]
    spans = re.findall(r"(\d\d+):(\d\d):(\d\d),(\d{3})", srt(records))
    times = [((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(t) for h, m, s, t in spans]
    assert times == sorted(times) and all(a < b for a, b in zip(times[::2], times[1::2], strict=True))
