"""A run epoch by epoch: the slider shows each snapshot, and an old run says that it has none."""

import json
import shutil

import numpy as np
import pytest

from losa.errors import RunError
from losa.inspection.epochs import EpochDesk, draw_gates, epoch_desk, read_epochs
from losa.inspection.run_folder import open_run
from losa.training.snapshots import FILE, keep_snapshot, read_snapshots


def test_the_slider_shows_the_predictions_and_gates_of_each_epoch(run):
    rows, desk = read_snapshots(run.path), run.epochs()
    assert isinstance(desk, EpochDesk) and len(rows) == 2 and desk.epoch.max == 1 and desk.epoch.value == 1
    logged = [json.loads(row) for row in (run.path / "log.jsonl").read_text().splitlines()]
    for place, (row, log) in enumerate(zip(rows, logged, strict=True)):
        desk.epoch.value = place
        shown = desk.timeline.tracks[run.name]
        assert [[*r["segment"], r["label"], r["score"]] for r in shown] == row["records"]
        assert f"epoch {row['epoch']} of 2" in desk.said.value
        assert f"mAP of validation {100 * log['val_map']:.1f} %" in desk.said.value
    video = next(v for v in run.labelled.videos if v.id == rows[0]["video"])
    truth = [r["segment"] for r in desk.timeline.tracks["ground truth"]]
    np.testing.assert_allclose(truth, video.segments)
    picture = bytes(desk.picture.value)
    desk.epoch.value = 0
    assert picture.startswith(b"\x89PNG") and desk.picture.value != picture


def test_gates_are_lines_over_the_epochs():
    gates = np.arange(12).reshape(3, 2, 2) / 12
    epochs = [{"epoch": i + 1, "gates": gates[i]} for i in range(3)]
    fig = draw_gates(epochs, 1, ["block 0", "block 5"], ["short", "long"])
    assert [ax.get_title() for ax in fig.axes] == ["short range", "long range"]
    np.testing.assert_array_equal(fig.axes[1].lines[2].get_ydata(), gates[:, 1, 1])
    assert fig.axes[0].lines[1].get_xdata() == [2] and draw_gates([{"epoch": 1, "gates": None}], 0, [], []) is None


def test_a_run_of_before_says_that_it_kept_none(run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "old")
    (folder / FILE).unlink()
    old = open_run(folder)
    with pytest.raises(RunError, match="train it anew into another folder"):
        read_epochs(old)
    assert "old has no snapshots.jsonl" in epoch_desk(old).data
    keep_snapshot(folder, 1, {"video": "gone", "gates": None, "records": []})
    with pytest.raises(RunError, match="of gone, which its annotations do not hold"):
        read_epochs(old)
