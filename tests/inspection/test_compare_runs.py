"""Several runs side by side: the numbers of their files in one table, their curves and lanes in one picture."""

import json

import pytest
from matplotlib.colors import to_hex

from helpers.made_runs import made_run, made_world
from losa.errors import RunError
from losa.inspection.compare_runs import beside_demo, draw_timeline, result_table, tell_apart, training_curves
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
    assert list(table.data.columns) == ["tIoU 0.3", "tIoU 0.5", "average mAP", "epochs + warm-up", "seed",
                                        "trained parameters", "training (s)"]
    for name, run in runs.items():
        told = json.loads((run.path / "result.json").read_text())
        expected = [*(100 * value for value in told["map"]), 100 * sum(told["map"]) / 2, told["config"]["seed"],
                    told["trainable_parameters"], told["seconds"]["train"]]
        row = table.data.loc[name]
        assert row["epochs + warm-up"] == f"{told['config']['epochs']} + {told['config']['warmup_epochs']}"
        assert row.drop("epochs + warm-up").tolist() == pytest.approx(expected)
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
    with pytest.raises(RunError, match="log.jsonl cannot be read"):
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


def test_the_demo_s_runs_stand_before_a_run_that_is_judged_alike(tmp_path):
    annotations, demo = made_world(tmp_path / "demo" / "world", 0), tmp_path / "demo"
    made_run(tmp_path / "mine", annotations, 0.1)
    run = open_run(tmp_path / "mine")
    assert beside_demo(run, "mine") == {"mine": run}, "there is no demo"
    told = {name: made_run(demo / name, annotations, noise) for name, noise in (("head_only", 0.5), ("losa", 0.3))}
    found = beside_demo(run)
    assert list(found) == ["head only", "LoSA", "this run"] and found["this run"] is run
    for title, name in (("head only", "head_only"), ("LoSA", "losa")):
        assert found[title].path.resolve() == (demo / name).resolve()
        assert found[title].result["average_map"] == told[name]["average_map"] != run.result["average_map"]
    assert list(beside_demo(open_run(demo / "losa"))) == ["head only", "this run"], "not compared with itself"
    for field, value in (("tiou", [0.3, 0.7]), ("protocol", "thumos14"), ("test_set", "thumos14-212")):
        path = demo / "losa" / "config.json"
        before = path.read_text()
        path.write_text(json.dumps(json.loads(before) | {field: value}))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("losa.inspection.run_folder.choose_truth", lambda *_: ({}, set()))
            assert list(beside_demo(run)) == ["head only", "this run"], field
        path.write_text(before)
    elsewhere = made_world(tmp_path / "other" / "world", 0)
    made_run(tmp_path / "other" / "losa", elsewhere, 0.1)
    assert list(beside_demo(open_run(tmp_path / "other" / "losa"))) == ["this run"]


def test_what_differs_is_told_and_that_several_things_do(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    for name, fields in {"head only": {"mode": "head_only"}, "LoSA": {}, "same": {}, "one": {"ranges": "short"},
                         "many": {"epochs": 3, "seed": 1, "cache": "x"}}.items():
        made_run(tmp_path / name, annotations, 0.1, **fields)
    runs = {path.name: open_run(path) for path in tmp_path.iterdir() if path.name != "world"}

    def told(*names: str) -> list[str]:
        return tell_apart({name: runs[name] for name in names}).splitlines()

    assert told("LoSA", "same") == ["same against LoSA: the same settings."]
    assert told("head only", "LoSA", "one") == ["one against head only: mode 'losa', not 'head_only'.",
                                                "one against LoSA: ranges 'short', not 'both'."]
    (line,) = told("LoSA", "many")
    assert line.startswith("many against LoSA: seed 1, not 0; epochs 3, not 30. Several things differ")
    assert told("many") == []
