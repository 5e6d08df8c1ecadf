"""Leave-one-out at its smallest: every video is tested once, and chance is what it says."""

import json

from losa.annotations.dataset import load_annotations
from losa.presets import PRESETS
from losa.studies.folds import leave_one_out


def test_leave_one_out_pools_every_video_once(tiny, tmp_path):
    from losa.annotations.dataset import Annotations, save_annotations

    annotations = load_annotations(tiny / "world" / "annotations.json")
    save_annotations(Annotations(annotations.classes, annotations.videos[:3]), tmp_path / "annotations.json")
    config = PRESETS["tiny"](tmp_path, annotations=str(tmp_path / "annotations.json"), epochs=1, warmup_epochs=0)
    table = leave_one_out(config, tmp_path / "folds", seeds=(0,),
                          modes=("losa", "noise_features", "shuffled_labels"), num_processes=1)
    rows = json.loads((tmp_path / "folds" / "folds.json").read_text())
    assert [r["mode"] for r in rows] == ["losa", "noise_features", "shuffled_labels"]
    parameters = {m: json.loads((tmp_path / "folds" / f"{m}_0_0" / "result.json").read_text())["trainable_parameters"]
                  for m in ("losa", "noise_features", "shuffled_labels")}
    assert parameters["noise_features"] == parameters["shuffled_labels"] < parameters["losa"]
    assert {r["num_ground_truth"] for r in rows} == {sum(len(v.labels) for v in annotations.videos[:3])}
    assert "3 folds" in table
    shuffled = load_annotations(tmp_path / "folds" / "annotations" / "shuffled_labels_0_1.json")
    true = load_annotations(tmp_path / "folds" / "annotations" / "losa_0_1.json")
    assert [v.subset for v in true.videos] == ["train", "test", "train"]
    pool = lambda a: sorted(int(x) for v in a.videos if v.subset == "train" for x in v.labels)  # noqa: E731
    assert pool(shuffled) == pool(true)
    assert any((a.labels != b.labels).any() for a, b in zip(shuffled.videos, true.videos, strict=True))
