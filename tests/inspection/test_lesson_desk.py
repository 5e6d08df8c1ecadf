"""The lesson's controls: what they compute is what the lesson measures."""

import re

import numpy as np
import pytest

from losa.errors import RunError
from losa.inspection.lesson import by_hand, training_step
from losa.inspection.lesson_desk import (
    GateDesk,
    average_map,
    draw_influence,
    draw_kept,
    gate_desk,
    measure_step,
    show_average_map,
    show_gradients,
    try_modes,
)
from losa.inspection.timeline_data import make_rescore


@pytest.fixture(scope="module")
def desk(run):
    return GateDesk(run, next(iter(run.videos)))


@pytest.fixture(scope="module")
def trained(run):
    return run.model.fusion.static_gates().mean(2).detach().cpu().numpy()


def found(desk):
    return [(r["label"], r["score"]) for r in desk.timeline.tracks["by hand"]]


def assert_found(desk, records, name=""):
    """The lane holds these records, in this order, with scores to the 6 decimals that a widget keeps."""
    assert [label for label, _ in found(desk)] == [r["label"] for r in records], name
    np.testing.assert_allclose([score for _, score in found(desk)], [r["score"] for r in records], rtol=0, atol=1e-6)


def stand(desk):
    """Where the sliders stand: (K, R)."""
    return np.array([[slider.value for slider in column] for column in desk.sliders]).T


def test_the_sliders_begin_where_training_left_the_gates(desk, run, trained):
    np.testing.assert_allclose(stand(desk), trained, atol=1e-6)
    assert list(desk.ways) == ["as trained", "none", "all at 1", "no short", "no long"]
    expected = make_rescore(run)(run.config.nms_sigma, desk.timeline.video_id)["records"]
    assert [label for label, _ in found(desk)] == [r["label"] for r in expected]
    np.testing.assert_allclose([score for _, score in found(desk)], [r["score"] for r in expected], atol=1e-3)


def test_a_button_moves_the_sliders_and_what_is_found_is_what_those_gates_give(desk, run, trained):
    gates = {"none": 0 * trained, "all at 1": 0 * trained + 1, "no short": trained * [0, 1],
             "no long": trained * [1, 0], "as trained": trained}
    for name, expected in gates.items():
        desk.ways[name].click()
        np.testing.assert_allclose(stand(desk), expected, atol=1e-6, err_msg=name)
        told = by_hand(run, expected)(run.config.nms_sigma, desk.timeline.video_id)["records"]
        assert_found(desk, told, name)


def test_a_slider_turns_one_gate_and_reset_puts_all_back(desk, run, trained):
    before, turned = found(desk), trained.copy()
    desk.sliders[1][0].value = turned[0, 1] = -0.9
    told = by_hand(run, turned)(run.config.nms_sigma, desk.timeline.video_id)["records"]
    assert_found(desk, told)
    assert found(desk) != before
    desk.ways["as trained"].click()
    np.testing.assert_allclose(stand(desk), trained, atol=1e-6)
    assert found(desk) == before


def test_both_lanes_are_suppressed_and_measured_with_the_same_sigma(desk, run, trained):
    """At another sigma than the run's own the lane as trained is another one too, in its records and its mAP."""
    own = {name: tables["data"] for name, tables in desk.timeline.live_map.items()}
    desk.timeline.min_score = 0.0
    desk.timeline.suppress(0.05, data_set=False)
    expected = make_rescore(run)(0.05, desk.timeline.video_id)["records"]
    kept = desk.timeline.tracks["as trained"]
    np.testing.assert_allclose([r["score"] for r in kept], [r["score"] for r in expected], rtol=0, atol=1e-6)
    desk.whole.click()
    maps = {name: tables["data"] for name, tables in desk.timeline.live_map.items()}
    for name, rescore in {"as trained": make_rescore(run), "by hand": by_hand(run, trained)}.items():
        average = rescore(0.05)["table"]["average"].values()
        assert maps[name] == pytest.approx(np.mean([row[0] for row in average]), abs=1e-6), name
    assert maps["as trained"] != own["as trained"]
    said = [float(number) for number in re.findall(r"([\d.]+) %", desk.said.value)]
    assert said == pytest.approx([100 * value for value in maps.values()], abs=0.05) and "0.05" in desk.said.value
    desk.timeline.min_score = 0.1  # what was said is not of this
    assert desk.said.value == ""
    desk.timeline.min_score = 0.0
    desk.sliders[0][0].value = -0.5  # says nothing of the data set any more, but the other lane's mAP holds
    after = {name: tables["data"] for name, tables in desk.timeline.live_map.items()}
    assert after == {"as trained": maps["as trained"], "by hand": None} and desk.said.value == ""
    desk.ways["as trained"].click()
    desk.timeline.min_score = 0.25


def test_the_table_has_a_row_per_way_and_the_first_is_the_run_s_own(desk, run):
    table = desk.average_map()
    assert list(table.index) == ["as trained", "none", "all at 1", "no short", "no long"]
    own = {label: values[0] for label, values in run.table["average"].items()}
    assert table.loc["as trained"].to_dict() == pytest.approx(own, abs=1e-3)
    shown = show_average_map(run).data
    np.testing.assert_allclose(shown["mean"], 100 * average_map(run).mean(axis=1))


def test_a_run_without_gates_has_no_desk_and_the_lesson_says_why(untrained):
    video = next(iter(untrained.videos))
    with pytest.raises(RunError, match="no gates to turn by hand"):
        GateDesk(untrained, video)
    for told in (gate_desk(untrained, video), show_average_map(untrained)):
        assert "Not for this run" in told.data and "gate sigmoid" in told.data


def test_a_step_is_measured_on_the_first_training_video(run):
    table = measure_step(run, "losa", 2)
    books = training_step(run.config, run.labelled.subset("train")[0], len(run.classes), "losa", 2)
    assert table.to_dict() == {stage: pytest.approx(row) for stage, row in books.items()}
    fig = draw_kept(run, ["head_only", "losa"], 2)
    assert [text.get_text() for text in fig.axes[0].texts][1] == f" {table.loc['kept'].sum():.1f}"
    shown = show_gradients(run, ["head_only", "losa"], 2)
    assert shown.data.loc["losa", "head"] == pytest.approx(table.loc["gradient", "head"])
    assert "never" in shown.to_html()


def test_bars_of_a_length_mean_the_same_in_every_mode(run):
    desk, tables = try_modes(run, ["head_only", "losa"]), {}
    assert desk.mode.options == ("head_only", "losa") and desk.mode.value == "head_only"
    desk.clips.value = 2
    for mode in ("head_only", "losa"):
        desk.mode.value = mode
        tables[mode] = desk.style()
        assert f">{mode}</th>" in desk.table.value and f">{tables[mode].data['kept'].sum():.3f}" not in desk.table.value
        assert f">{tables[mode].data.loc['head', 'kept']:.3f}<" in desk.table.value
    most = max(table.data["kept"].max() for table in tables.values())
    for table in tables.values():
        drawn = [float(width) for width in re.findall(r"linear-gradient\(90deg, #7fb2d680 ([\d.]+)%", table.to_html())]
        kept = table.data["kept"]
        np.testing.assert_allclose(drawn, 100 * kept[kept > 0] / most, atol=0.2)


def test_influence_of_the_short_range_is_near_and_of_the_long_one_everywhere():
    fig = draw_influence({"ours": "temporal"}, num_snippets=24, dim=8)
    short, long = (ax.images[0].get_array() for ax in fig.axes)
    far = np.abs(np.subtract.outer(np.arange(24), np.arange(24)))
    assert (short[far > 12] <= 1.01e-4).all() and (short[far == 0] > 1e-3).all() and (long > 1.01e-4).mean() > 0.9
    assert [ax.get_title() for ax in fig.axes] == ["ours, short range", "ours, long range"]
    with pytest.raises(ValueError, match="temporall"):
        draw_influence({"x": "temporall"}, 8, 8)
