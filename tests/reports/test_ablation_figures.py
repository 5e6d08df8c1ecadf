"""Figures of ablations: the numbers in them against means and fronts counted by hand, failed runs left out."""

import itertools
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from losa.reports.ablation_figures import (
    as_text,
    cost_bars,
    explore,
    find_front,
    gate_maps,
    heat_maps,
    interval_plot,
    length_panels,
    list_values,
    narrow,
    pareto_plot,
    restrict,
)
from widgets.figures import run_colours

NAN = float("nan")


@pytest.fixture
def runs() -> pd.DataFrame:
    """Windows 1 and 4 by strides 1 and 4, two seeds; all of (4, 4) and one of (1, 1) failed."""
    rows = [{"run": f"run {i}", "short_window": w, "long_stride": s, "gate": "tanh", "seed": seed,
             "average_map": 0.5 + 0.01 * i, "val_map": 0.4, "train_seconds": 10.0 + i}
            for i, (w, s, seed) in enumerate(itertools.product((1, 4), (1, 4), (0, 1)))]
    for i in (1, 6, 7):
        rows[i] |= {"average_map": NAN, "val_map": NAN, "train_seconds": NAN}
    return pd.DataFrame(rows)


def cells(ax) -> dict:
    """Text and hatch of a matrix's cells by (column, row)."""
    texts = {tuple(map(int, t.get_position())): t.get_text() for t in ax.texts}
    hatches = {(round(p.get_x() + 0.5), round(p.get_y() + 0.5)): p.get_hatch() for p in ax.patches}
    return {place: (text, hatches[place]) for place, text in texts.items()}


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=9)


@given(points)
def test_the_front_is_what_no_other_point_beats(items):
    costs, gains = [c for c, _ in items], [g for _, g in items]
    kept = find_front(costs, gains)
    assert [costs[i] for i in kept] == sorted(costs[i] for i in kept)
    unbeaten = {(c, g) for c, g in items
                if not any((a, b) != (c, g) and a <= c and b >= g for a, b in items)}
    assert {items[i] for i in kept} == unbeaten and len(kept) == len(unbeaten)


def test_values_are_in_order_where_there_is_one():
    assert list_values(pd.Series([16, 1, 4, 1])) == [1, 4, 16]
    assert list_values(pd.Series(["tanh", None, "none", "tanh"])) == ["tanh", "none"]
    assert [as_text(v) for v in (4.0, 0.5, True, "$x", [0, 5])] == ["4", "0.5", "True", r"\$x", "[0, 5]"]
    assert [as_text(v) for v in (None, NAN, 1234567)] == ["None", "None", "1234567"]


def test_runs_beside_the_default_differ_in_nothing_else(runs):
    base = {"short_window": 4, "long_stride": 1, "gate": "tanh"}
    assert restrict(runs, base)["run"].tolist() == ["run 4", "run 5"]
    assert restrict(runs, base, "short_window")["run"].tolist() == ["run 0", "run 1", "run 4", "run 5"]
    whole = runs.assign(clip_stride=[NAN] * 7 + [8.0])  # None and 8 in a table
    assert restrict(whole, base | {"clip_stride": None})["run"].tolist() == ["run 4", "run 5"]
    assert restrict(whole, {"clip_stride": 8})["run"].tolist() == ["run 7"]
    assert len(restrict(runs, base, *base)) == len(runs) and restrict(runs, base | {"gate": "none"}).empty


def test_heat_maps_show_means_and_no_failed_run(runs):
    fig = heat_maps(runs, "short_window", "long_stride", {"average_map": "test", "val_map": "val"})
    test, val = map(cells, fig.axes)
    assert {place: text for place, (text, _) in test.items()} == {
        (0, 0): "50.0", (0, 1): "52.5\n± 0.7", (1, 0): "54.5\n± 0.7", (1, 1): ""}
    assert [hatch for _, hatch in test.values()].count("////") == 1 and test[1, 1][1] == "////"
    assert val[0, 1][0] == "40.0\n± 0.0"
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["1", "4"]
    nothing = heat_maps(runs.assign(average_map=NAN), "short_window", "long_stride", {"average_map": ""})
    assert {hatch for _, hatch in cells(nothing.axes[0]).values()} == {"////"}
    assert {patch.get_facecolor()[3] for patch in nothing.axes[0].patches} == {0}  # no white on a dark page


def test_a_dot_is_full_where_its_interval_leaves_zero_out():
    rows = pd.DataFrame([
        {"axis": "ranges", "setting": "short", "difference": 3.0, "seeds_low": 1.0, "seeds_high": 5.0,
         "videos_low": -1.0, "videos_high": 7.0},
        {"axis": "taps", "setting": "last", "difference": -2.0, "seeds_low": NAN, "seeds_high": NAN,
         "videos_low": -3.0, "videos_high": -1.0}])
    fig = interval_plot(rows, {"seeds": "over seeds", "videos": "over videos"}, baseline="the default")
    for ax, full in zip(fig.axes, ([True, False], [False, True]), strict=True):
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert [dot.get_xdata()[0] for dot in dots] == [3.0, -2.0]
        assert [to_hex(dot.get_markerfacecolor()) != "#ffffff" for dot in dots] == full
    spans = [tuple(line.get_xdata()) for line in fig.axes[0].lines if line.get_linewidth() == 2]
    assert spans == [(1.0, 5.0)]  # one run tells no spread
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["ranges = short", "taps = last"]


def test_length_panels_join_the_means():
    bounds = {"S": (1.5, 3.0, 7), "XS": (0.0, 1.5, 5), "M": (3.0, 6.0, 0), "XL": (12.0, float("inf"), 1)}
    parts = pd.DataFrame([{"short_window": w, "length": length, "average_map": value,
                           **dict(zip(("above", "up_to", "num_ground_truth"), bounds[length], strict=True))}
                          for w, length, value in ((4, "S", 0.2), (4, "XS", 0.5), (4, "XS", 0.7), (16, "XS", 0.4),
                                                   (1, "XS", NAN), (1, "XL", 0.2), (4, "M", NAN))])
    fig = length_panels(parts, "short_window", baseline={"XS": 0.3})
    assert [ax.get_title() for ax in fig.axes] == [
        "XS: 0 to 1.5 s\n5 actions", "S: 1.5 to 3 s\n7 actions", "XL: 12 s and more\n1 actions"]
    dots, mean, baseline = fig.axes[0].lines
    assert sorted(dots.get_ydata()) == pytest.approx([40, 50, 70])
    assert mean.get_xdata().tolist() == [1, 2] and mean.get_ydata() == pytest.approx([60, 40])
    assert baseline.get_ydata() == pytest.approx([30, 30])


def test_gate_maps_leave_out_what_is_not_there():
    gates = pd.DataFrame([{"setting": "both", "range": "short", "block": 0, "gate": 0.2},
                          {"setting": "both", "range": "short", "block": 0, "gate": 0.4},
                          {"setting": "both", "range": "long", "block": 5, "gate": -0.5},
                          {"setting": "short", "range": "short", "block": 5, "gate": 0.1}])
    short, long = map(cells, gate_maps(gates).axes)
    assert {p: t for p, (t, _) in short.items()} == {(0, 0): "0.30", (1, 0): "", (0, 1): "", (1, 1): "0.10"}
    assert long[1, 0][0] == "-0.50" and [hatch for _, hatch in long.values()].count("////") == 3
    gate_maps(gates[:0]).draw_without_rendering()


def test_pareto_shows_means_per_group_and_marks_the_beaten(runs):
    modes = runs.assign(mode=["losa", "losa", "full", "full", "inside", "inside", "broken", "broken"])
    fig = pareto_plot(modes, "mode", {"train_seconds": "training (s)"})
    drawn = {line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0]) for line in fig.axes[0].lines[1:2]}
    assert drawn == {"o": (10, pytest.approx(50))}  # losa: the seed that finished
    assert len(fig.axes[0].lines) == 1 + 3  # the front and three modes; nothing for the one that failed
    grey = pareto_plot(modes, "mode", {"train_seconds": "s"}, order=["broken", "inside", "full", "losa"])
    assert [t.get_text() for t in grey.legends[0].get_texts()] == ["inside", "full", "losa", "beaten"]
    assert len({line.get_color() for line in grey.axes[0].lines[1:]} - {run_colours(["a"])["a"]}) == 3
    beaten = pareto_plot(modes.assign(train_seconds=-runs["train_seconds"] + 30), "mode", {"train_seconds": "s"})
    assert [line.get_marker() for line in beaten.axes[0].lines[1:]] == ["s", "s", "o"]


def test_cost_bars_say_how_many_times_the_first():
    fig = cost_bars({"head_only": 2.0, "full": 1000.0, "full, checkpointing": 30.0}, "MiB")
    bars = fig.axes[0].patches
    assert [bar.get_width() for bar in bars] == [2, 1000, 30]
    assert [t.get_text() for t in fig.axes[0].texts] == ["2.0  (1.0 x)", "1,000.0  (500.0 x)", "30.0  (15.0 x)"]
    assert bars[1].get_facecolor() == bars[2].get_facecolor() and bars[2].get_hatch()


@pytest.mark.parametrize("costs", [(187, 230), (5, 3537), (0.7, 7), (393e3, 404e3), (80e3, 10e6)])
def test_a_logarithmic_axis_has_two_to_six_numbers(costs):
    runs = pd.DataFrame({"mode": ["a", "b"], "average_map": [0.5, 0.6], "cost": costs})
    (ax,) = pareto_plot(runs, "mode", {"cost": "cost"}).axes
    low, high = ax.get_xlim()
    assert 2 <= len(ax.get_xticks()) <= 6 and all(low <= t <= high for t in ax.get_xticks())
    assert len({t.get_text() for t in ax.get_xticklabels()}) == len(ax.get_xticks())


def test_exploring_shows_every_finished_run_on_every_axis(runs):
    fig = explore(runs, ["short_window", "gate"])
    finished = runs.dropna(subset=["average_map"])
    assert sorted(y for trace in fig.data for y in trace.y) == pytest.approx(sorted(100 * finished["average_map"]))
    for button in fig.layout.updatemenus[0].buttons:
        xs, layout = button.args[0]["x"], button.args[1]
        assert sum(map(len, xs)) == len(finished) == 5
        assert {v for x in xs for v in x} == set(layout["xaxis.categoryarray"])
    name, text = finished.iloc[0]["run"], fig.data[0].text[0]
    assert name in text and "gate = tanh" in text and "short_window = 1" in text
    assert "http" not in fig.to_json().replace("http://www.w3.org", "")
    assert fig.layout.paper_bgcolor == fig.layout.plot_bgcolor == "rgba(0,0,0,0)", "it lies on dark pages, too"
    assert len(explore(runs.assign(average_map=NAN), ["gate"]).data) == 0


def test_exploring_fits_the_page_and_marks_the_head_alone(runs):
    """A run without adapters has a window in its config, but it is no run with that window."""
    mixed = runs.assign(mode=["head_only"] * 3 + ["losa"] * 5)
    fig = explore(mixed, ["short_window", "mode"])
    assert fig.layout.width is None and fig.layout.autosize and fig.layout.showlegend
    shown = {trace.name: (trace.marker.symbol, trace.marker.color, len(trace.y)) for trace in fig.data}
    circles, crosses = ({name: mark for name, mark in shown.items() if ("head" in name) == alone}
                        for alone in (False, True))
    assert {name: num for name, (_, _, num) in shown.items()} == {
        "seed 0": 1, "seed 1": 2, "head_only, seed 0": 2}  # runs 4; 3 and 5; 0 and 2
    assert {mark[0] for mark in circles.values()} == {"circle"} and {mark[0] for mark in crosses.values()} == {"x"}
    assert shown["seed 0"][1] == shown["head_only, seed 0"][1] != shown["seed 1"][1]
    _, by_mode = fig.layout.updatemenus[0].buttons
    assert [set(xs) for xs in by_mode.args[0]["x"]] == [{"losa"}, {"losa"}, {"head_only"}]


def test_a_narrow_table_says_the_same_at_every_execution():
    frame = pd.DataFrame({"run": ["<b>a</b>", None], "average_map": [0.12345, float("nan")], "epochs": [3, 30]})
    page = narrow(frame, digits=3).to_html()
    assert page == narrow(frame, digits=3).to_html()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    assert cells == ["&lt;b&gt;a&lt;/b&gt;", "0.123", "3", "", "", "30"]
    assert "white-space: normal" in page
