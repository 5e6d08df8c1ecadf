"""Several runs side by side: the numbers of their files in one table, their curves and lanes in one picture."""

import json
from pathlib import Path

import pytest
from matplotlib.colors import to_hex

from helpers.made_runs import made_run, made_world
from losa.errors import RunError
from losa.inspection.compare_runs import beside_head_only, draw_timeline, result_table, training_curves
from losa.inspection.run_folder import open_run
from losa.inspection.timeline_data import TRUTH


@pytest.fixture
def runs(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    made_run(tmp_path / "a", annotations, 0.1, seconds=12.4)
    made_run(tmp_path / "b", annotations, 2.0, seconds=1234.0, short_window=16)
    return {"near": open_run(tmp_path / "a"), "far": open_run(tmp_path / "b")}


def test_the_table_has_what_result_json_says_in_percent(runs):
    table = result_table(runs)
    assert list(table.data.index) == ["near", "far"]
    assert list(table.data.columns) == ["tIoU 0.3", "tIoU 0.5", "average mAP", "trained parameters", "training (s)"]
    for name, run in runs.items():
        told = json.loads((run.path / "result.json").read_text())
        expected = [*(100 * value for value in told["map"]), 100 * sum(told["map"]) / 2, told["trainable_parameters"],
                    told["seconds"]["train"]]
        assert table.data.loc[name].tolist() == pytest.approx(expected)
    shown = table.to_html()
    assert ">2,600<" in shown and ">1,234<" in shown and ">12<" in shown
    assert f">{100 * runs['far'].result['average_map']:.1f}<" in shown


def test_curves_are_those_of_the_logs(runs):
    for i, run in enumerate(runs.values()):
        rows = [{"epoch": e, "cls_loss": 1 / (e + i), "reg_loss": 0.5 / (e + i), "val_map": 0.1 * e if e > 1 else None}
                for e in (1, 2, 3)]
        (run.path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    loss, score = training_curves(runs).axes
    assert [line.get_ydata().tolist() for line in loss.lines[::2]] == [pytest.approx([1 / (e + i) for e in (1, 2, 3)])
                                                                       for i in (0, 1)]
    assert [line.get_ydata().tolist() for line in score.lines] == [pytest.approx([20, 30])] * 2
    assert score.lines[0].get_xdata().tolist() == [2, 3]
    assert [line.get_label() for line in score.lines] == ["near", "far"]
    (runs["far"].path / "log.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        training_curves(runs)


def test_a_timeline_has_the_truth_and_a_lane_per_run_with_what_is_sure_enough(runs):
    fig = draw_timeline(runs, "test_1", min_score=0.4)
    (ax,) = fig.axes
    assert [text.get_text().split("\n")[0] for text in ax.get_yticklabels()] == [TRUTH, "near", "far"]
    assert ax.get_title() == "test_1" and ax.get_xlim() == (0, 40)
    bars = {(round(bar.get_x(), 3), round(bar.get_width(), 3)) for bar in ax.patches}
    shown = [r["segment"] for run in runs.values() for r in run.predictions["test_1"] if r["score"] >= 0.4]
    hidden = [r["segment"] for run in runs.values() for r in run.predictions["test_1"] if r["score"] < 0.4]
    expected = {(round(a, 3), round(b - a, 3)) for a, b in [*shown, (6.0, 8.0), (20.0, 25.0)]}
    assert hidden and expected <= bars and not {(round(a, 3), round(b - a, 3)) for a, b in hidden} & bars
    colours = {to_hex(bar.get_facecolor(), keep_alpha=False) for bar in ax.patches}
    assert len(colours) >= 2, "two classes have two colours"
    with pytest.raises(RunError, match="no test video 'x'"):
        draw_timeline(runs, "x")


def test_the_demo_s_head_only_run_stands_before_a_run_that_is_judged_alike(tmp_path):
    annotations = made_world(tmp_path / "demo" / "world", 0)
    elsewhere = made_world(tmp_path / "other" / "world", 0)
    made_run(tmp_path / "demo" / "losa", annotations, 0.1)
    run = open_run(tmp_path / "demo" / "losa")
    assert beside_head_only(run, "LoSA") == {"LoSA": run}, "there is none"
    head_only = made_run(tmp_path / "demo" / "head_only", annotations, 0.5)
    both = beside_head_only(run)
    assert list(both) == ["head only", "this run"] and both["this run"] is run
    assert both["head only"].path.resolve() == (tmp_path / "demo" / "head_only").resolve()
    assert both["head only"].result["average_map"] == head_only["average_map"] != run.result["average_map"]
    alone = open_run(tmp_path / "demo" / "head_only")
    assert beside_head_only(alone) == {"this run": alone}, "a run is not compared with itself"
    path = tmp_path / "demo" / "head_only" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tiou": [0.3, 0.7]}))
    assert list(beside_head_only(run)) == ["this run"], "judged at other thresholds"
    made_run(tmp_path / "other" / "losa", elsewhere, 0.1)
    assert list(beside_head_only(open_run(tmp_path / "other" / "losa"))) == ["this run"]
    assert Path(run.config.annotations).is_file()
