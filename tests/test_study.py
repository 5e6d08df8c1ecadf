"""The studies behind the README's tables, at their smallest, and their arithmetic."""

import json

import numpy as np
import pytest
from scipy import stats

from losa.bench import MODES, memory, saved_mib
from losa.config import PRESETS, Config
from losa.folds import leave_one_out
from losa.study import late_gain, modes, num_parameters, paired, study


def test_preset_study_runs_all_modes_and_pairs_them(tmp_path):
    small = dict(epochs=1, warmup_epochs=0, head_dim=16, head_levels=3, adapter_dim=8, val_every=1, window=96)
    table = study(tmp_path, presets=("gap",), seeds=(5,), size="tiny", num_processes=1, **small)
    rows = json.loads((tmp_path / "study.json").read_text())
    assert {r["mode"] for r in rows} == {"head_only", "losa", "last_block", "wide_head"}
    assert table.count("\n") == 7 and (tmp_path / "study.md").read_text().strip() == table
    by_mode = {r["mode"]: r for r in rows}
    assert by_mode["wide_head"]["trainable_parameters"] >= by_mode["losa"]["trainable_parameters"]
    assert by_mode["losa"]["trainable_parameters"] == num_parameters(Config.make(**by_mode["losa"]["config"]))


def test_wide_head_control_is_the_next_width_up():
    config = Config()
    wide = modes(config)["wide_head"]
    narrower = wide.replace(head_dim=wide.head_dim - wide.head_heads)
    assert num_parameters(narrower) < num_parameters(config) <= num_parameters(wide)


def test_interval_and_convergence_arithmetic():
    values = np.array([5.0, 7.0, 9.0])
    low, high = stats.t.interval(0.95, 2, loc=7, scale=stats.sem(values))
    assert paired(values) == f"+7.0 ± {(high - low) / 2:.1f}"
    assert late_gain({"10": 0.40, "15": 0.50, "20": 0.51}) == pytest.approx(1.0)


def test_leave_one_out_pools_every_video_once(tiny, tmp_path):
    from losa.data import Annotations, load_annotations, save_annotations

    annotations = load_annotations(tiny / "world" / "annotations.json")
    save_annotations(Annotations(annotations.classes, annotations.videos[:3]), tmp_path / "annotations.json")
    config = PRESETS["tiny"](tmp_path, annotations=str(tmp_path / "annotations.json"), epochs=1, warmup_epochs=0)
    table = leave_one_out(config, tmp_path / "folds", seeds=(0,), num_processes=1)
    rows = json.loads((tmp_path / "folds" / "folds.json").read_text())
    assert [r["mode"] for r in rows] == ["head_only", "losa", "noise_features", "shuffled_labels"]
    parameters = {m: json.loads((tmp_path / "folds" / f"{m}_0_0" / "result.json").read_text())["trainable_parameters"]
                  for m in ("head_only", "losa", "noise_features", "shuffled_labels")}
    assert parameters["head_only"] == parameters["noise_features"] == parameters["shuffled_labels"] < parameters["losa"]
    assert {r["num_ground_truth"] for r in rows} == {sum(len(v.labels) for v in annotations.videos[:3])}
    assert "3 folds" in table
    shuffled = load_annotations(tmp_path / "folds" / "annotations" / "shuffled_labels_0_1.json")
    true = load_annotations(tmp_path / "folds" / "annotations" / "losa_0_1.json")
    assert [v.subset for v in true.videos] == ["train", "test", "train"]
    pool = lambda a: sorted(int(x) for v in a.videos if v.subset == "train" for x in v.labels)  # noqa: E731
    assert pool(shuffled) == pool(true)
    assert any((a.labels != b.labels).any() for a, b in zip(shuffled.videos, true.videos, strict=True))


def test_memory_bench_at_vit_s_orders_the_modes():
    found = memory(num_clips=1, size="videomae_s", input_size=64)["modes"]
    saved = [found[m]["saved_mib"] for m in MODES]
    assert saved[0] < saved[1] < saved[2] / 5 and found["full"]["trainable_parameters"] > 22e6


def test_saved_bytes_are_counted_once_and_without_parameters():
    import torch

    weight, x = torch.randn(64, 64, requires_grad=True), torch.randn(256, 64)
    loss = lambda: ((x @ weight).exp() * (x @ weight)).sum()  # noqa: E731
    expected = (x.numel() + 3 * 256 * 64) * 4 / 2**20  # x once; exp's result and both factors
    assert saved_mib(loss, {weight.untyped_storage().data_ptr()}) == pytest.approx(expected, rel=0.35)
