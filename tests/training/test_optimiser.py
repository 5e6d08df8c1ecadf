"""Parameter groups by role, and the learning rate of a step."""

import pytest
from torch import nn

from losa.config import Config
from losa.presets import PRESETS
from losa.training import train as training
from losa.training.optimiser import learning_rate, make_optimiser


def tiny_config(tiny, **fields):
    return PRESETS["tiny"](tiny, **{"epochs": 1, "val_every": 2, "save_every": 2, "drop_path": 0.2, **fields})


def test_learning_rate_warms_up_then_falls_to_zero():
    config = Config.make(learning_rate=1e-2, warmup_epochs=2, epochs=4)
    rates = [learning_rate(config, step, 10) for step in range(60)]
    assert rates[:20] == pytest.approx([1e-2 * (i + 1) / 20 for i in range(20)])
    assert rates[20] == pytest.approx(1e-2) and rates[-1] == pytest.approx(1e-8)
    assert rates[40] == pytest.approx(0.5e-2, rel=0.05) and rates[20:] == sorted(rates[20:], reverse=True)


def test_optimiser_groups_by_role(tiny):
    from losa.model.losa import build

    config = tiny_config(tiny, gate_lr_scale=5.0)
    model = build(config, dim=96, num_taps=2, num_classes=10, clip_snippets=8)
    groups = training.make_optimiser(model, config).param_groups
    assert groups[0]["params"][0] is model.fusion.gate and groups[0]["scale"] == 5.0
    assert [g["weight_decay"] for g in groups] == [0.0, 0.0, 0.05]
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_the_optimiser_takes_what_is_tuned_at_its_own_rate():
    from losa.model.losa import build

    config = Config.make(backbone_lr_scale=0.2, weight_decay=0.3)
    model = build(config, dim=8, num_taps=0, num_classes=2, clip_snippets=8)
    tuned = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5).requires_grad_(False))
    optimiser = make_optimiser(model, config, tuned)
    last = [(g["scale"], g["weight_decay"], [tuple(p.shape) for p in g["params"]]) for g in optimiser.param_groups[-2:]]
    assert last == [(0.2, 0.3, [(4, 3)]), (0.2, 0.0, [(4,)])]
    assert sum(len(g["params"]) for g in optimiser.param_groups) == len(list(model.parameters())) + 2
