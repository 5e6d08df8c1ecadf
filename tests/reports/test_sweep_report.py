"""The page of a folder of runs: what is said in it against the table, links that lead somewhere, no request."""

import json
import math
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pandas as pd
import pytest

from helpers.made_runs import failed_run, made_run, made_world
from losa.reports.sweep_report import find_axes, report
from losa.sweeps.collect import collect
from losa.sweeps.statistics import compare_groups


class Page(HTMLParser):
    """Headings, rows of cells, links, sources and all text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.headings, self.rows, self.links, self.sources, self.text, self._into = [], [], [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self._into.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "h2":
            self.headings.append("")
        self.links += [attrs["href"]] if tag == "a" else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        if tag in ("meta", "link", "img"):
            self._into.pop()

    def handle_endtag(self, tag):
        self._into.pop()

    def handle_data(self, data):
        if {"script", "style"} & {*self._into}:
            return
        self.text += data
        if "h2" in self._into:
            self.headings[-1] += data
        if {"th", "td"} & {*self._into}:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Windows 4 and 16, head_only and a failed run, each on two worlds; the second world's were tracked on test."""
    folder = tmp_path_factory.mktemp("report")
    for seed in (101, 102):
        world = made_world(folder / f"world_{seed}", seed)
        for name, noise, fields in (("near", 0.8, {}), ("far", 1.6, {"short_window": 16}),
                                    ("head", 2.4, {"mode": "head_only"})):
            made_run(folder / "all runs" / f"{name}_{seed}", world, noise, seconds=60 * noise, seed=seed,
                     tracked=seed == 102, **fields)
    failed_run(folder / "all runs" / "dead", world, "dead", short_window=2, seed=101)
    return folder / "all runs"


@pytest.fixture(scope="module")
def page(runs):
    return Page(report(runs).read_text())


def test_every_part_has_its_section(page):
    assert page.headings == ["Settings compared", "What it costs", "What choosing an epoch by test would claim",
                             "All runs (7)", "Runs without a result"]
    assert "7 runs: 6 ok, 1 dead" in page.text


def test_rows_say_what_the_table_says(runs, page):
    frame = collect(runs).set_index("run")
    rows = {row[0]: row for row in page.rows if row[0] in frame.index and row[1:2] and row[1] in ("ok", "dead")}
    assert {*rows} == {*frame.index}
    for name, row in rows.items():
        mean = frame.loc[name, "average_map"]
        assert row[2] == ("–" if name == "dead" else f"{100 * mean:.1f}")
    assert rows["dead"].count("–") >= 8 and not re.search(r"99\.0|0\.99", page.text)
    found = compare_groups(collect(runs), "short_window", 4).set_index("setting")
    compared = {tuple(row[:2]): row for row in page.rows if row[0] in ("short_window", "mode")}
    assert compared["short_window", "16"][5] == f"{found.loc[16, 'difference']:+.1f}"
    cost = {row[0]: row[2:4] for row in page.rows if len(row) == 8 and row[1] in ("A", "B", "C", row[0])}
    means = collect(runs).groupby(["mode", "short_window"])["average_map"].mean()
    assert cost["losa, short_window 16"] == ["2", f"{100 * means['losa', 16]:.1f}"]
    low, high = found.loc[16, ["videos_low", "videos_high"]]
    assert compared["short_window", "16"][7] == f"{low:+.1f} to {high:+.1f}"
    assert compared["mode", "losa"][2] == "head_only"


def test_links_lead_to_each_notebook_and_nothing_is_fetched(runs, page):
    assert {unquote(link) for link in page.links} == {f"{run}/run.ipynb" for run in collect(runs)["run"]}
    assert len(page.sources) == 2 and all(s.startswith("data:image/svg+xml;base64,") for s in page.sources)


def test_errors_are_text(runs):
    text = (runs / "report.html").read_text()
    assert "ValueError: &lt;b&gt;no&lt;/b&gt;" in text and "<b>no" not in text


def test_optimism_is_told_where_it_was_tracked(page):
    assert "+2.0 points from the last one" in page.text
    assert {row[0] for row in page.rows if row[-1] == "+2.0"} == {"near_102", "far_102", "head_102"}


def test_elsewhere_the_page_has_its_tables_and_links(runs, tmp_path):
    page = report(runs, tmp_path / "new" / "page.html")
    assert len(pd.read_parquet(page.parent / "runs.parquet")) == len(pd.read_csv(page.parent / "runs.csv")) == 7
    assert all((page.parent / unquote(link)).is_file() for link in Page(page.read_text()).links)
    assert page.read_text() == report(runs, page).read_text()  # the same runs, the same page


def test_axes_start_from_head_only_and_the_defaults(runs):
    frame = collect(runs)
    assert find_axes(frame) == {"mode": "head_only", "short_window": 4}
    both = pd.concat([frame, frame.assign(ranges="short")])
    both["adapters"] = both["mode"].where(both["mode"] == "head_only", both["ranges"])
    assert find_axes(both) == {"adapters": "head_only", "short_window": 4}


def test_a_default_of_none_is_a_baseline_like_any_other(runs):
    frame = collect(runs).assign(clip_stride=[8.0, math.nan] * 3 + [8.0])
    assert math.isnan(find_axes(frame)["clip_stride"])
    modes = ["inside", "inside", "inside", "losa", "losa", "full", "full"]
    assert find_axes(collect(runs).assign(mode=modes))["mode"] == "losa"


def test_a_baseline_whose_runs_all_failed_is_none(tmp_path):
    world = made_world(tmp_path / "world", 3)
    failed_run(tmp_path / "runs" / "head", world, mode="head_only")
    for window in (4, 16):
        made_run(tmp_path / "runs" / f"w{window}", world, window / 10, short_window=window)
    page = Page(report(tmp_path / "runs").read_text())
    assert any(row[:3] == ["short_window", "16", "4"] for row in page.rows) and "Runs without a result" in page.headings


def test_one_failed_run_makes_a_page(tmp_path):
    failed_run(tmp_path / "only", made_world(tmp_path / "world", 3), short_window=2)
    page = Page(report(tmp_path).read_text())
    assert page.headings == ["All runs (1)", "Runs without a result"]
    assert json.loads((tmp_path / "only" / "status.json").read_text())["status"] == "error"
