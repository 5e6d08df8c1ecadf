"""The lesson's controls: what they compute is what the lesson measures."""

import numpy as np
import pytest

from losa.errors import RunError
from losa.inspection.lesson import by_hand, training_step
from losa.inspection.lesson_desk import GateDesk, draw_influence, draw_truth, measure_step, try_modes
from losa.inspection.timeline_data import make_rescore


@pytest.fixture(scope="module")
def desk(run):
    return GateDesk(run, next(iter(run.videos)))


def found(desk):
    return [(r["label"], round(r["score"], 4)) for r in desk.timeline.tracks["by hand"]]


def test_the_sliders_begin_where_training_left_the_gates(desk, run):
    trained = run.model.fusion.static_gates().mean(2).detach().cpu().numpy()
    assert [[slider.value for slider in column] for column in desk.sliders] == [
        pytest.approx(column.tolist(), abs=1e-6) for column in trained.T]
    assert list(desk.let.options) == ["all", "none", "all at 1", "no short", "no long"]
    expected = make_rescore(run)(run.config.nms_sigma, desk.timeline.video_id)["records"]
    assert [label for label, _ in found(desk)] == [r["label"] for r in expected]
    np.testing.assert_allclose([score for _, score in found(desk)], [r["score"] for r in expected], atol=1e-3)


def test_letting_through_and_turning_give_what_those_gates_give(desk, run):
    trained = np.array([[slider.value for slider in column] for column in desk.sliders]).T
    gates = {"all": trained, "none": 0 * trained, "all at 1": 0 * trained + 1, "no short": trained * [0, 1],
             "no long": trained * [1, 0]}
    for (name, value), expected in zip(desk.let.options.items(), gates.values(), strict=True):
        desk.let.value = value
        told = by_hand(run, expected)(run.config.nms_sigma, desk.timeline.video_id)["records"]
        assert found(desk) == [(r["label"], round(r["score"], 4)) for r in told], name
    desk.let.value = desk.let.options["all"]
    before = found(desk)
    desk.sliders[1][0].value = -0.9
    turned = trained.copy()
    turned[0, 1] = -0.9
    told = by_hand(run, turned)(run.config.nms_sigma, desk.timeline.video_id)["records"]
    assert found(desk) == [(r["label"], round(r["score"], 4)) for r in told] != before
    desk.sliders[1][0].value = float(trained[0, 1])
    assert found(desk) == before


def test_the_table_has_a_row_per_way_and_the_first_is_the_run_s_own(desk, run):
    table = desk.average_map()
    assert list(table.index) == ["all", "none", "all at 1", "no short", "no long"]
    own = {label: values[0] for label, values in run.table["average"].items()}
    assert table.loc["all"].to_dict() == pytest.approx(own, abs=1e-3)


def test_a_run_without_gates_has_no_desk(untrained):
    with pytest.raises(RunError, match="no gates to turn by hand"):
        GateDesk(untrained, next(iter(untrained.videos)))


def test_a_step_is_measured_on_the_first_training_video(run):
    table = measure_step(run, "losa", 2)
    books = training_step(run.config, run.labelled.subset("train")[0], len(run.classes), "losa", 2)
    assert table.to_dict() == {stage: pytest.approx(row) for stage, row in books.items()}
    chosen = try_modes(run, ["head_only", "losa"])
    assert [child.description for child in chosen.children[:2]] == ["mode", "clips"]
    assert chosen.children[0].options == ("head_only", "losa") and chosen.children[0].value == "head_only"


def test_what_happens_is_drawn_over_the_seconds_of_the_video(run):
    import matplotlib.pyplot as plt

    video = next(iter(run.videos.values()))
    fig, ax = plt.subplots()
    plt.close(fig)
    draw_truth(run, video, ax)
    drawn = {(round(bar.get_x(), 3), round(bar.get_x() + bar.get_width(), 3)) for bar in ax.patches}
    assert {tuple(round(x, 3) for x in r["segment"]) for r in run.truth[video.id]} <= drawn
    assert ax.get_xlim() == (0, pytest.approx(video.duration))


def test_influence_of_the_short_range_is_near_and_of_the_long_one_everywhere():
    fig = draw_influence({"ours": "temporal"}, num_snippets=24, dim=8)
    short, long = (ax.images[0].get_array() for ax in fig.axes)
    far = np.abs(np.subtract.outer(np.arange(24), np.arange(24)))
    assert (short[far > 12] <= 1.01e-4).all() and (short[far == 0] > 1e-3).all() and (long > 1.01e-4).mean() > 0.9
    assert [ax.get_title() for ax in fig.axes] == ["ours, short range", "ours, long range"]
    with pytest.raises(ValueError, match="temporall"):
        draw_influence({"x": "temporall"}, 8, 8)
