"""What is trained inside the backbone: its arithmetic, its blocks and its first weights."""

import torch
from torch.nn import functional as F

from helpers.small_models import shaken
from losa.backbones.tuning import InsideAdapter, tune
from losa.presets import PRESETS
from losa.taps.open import open_features


def test_inside_adapter_equals_loops_over_tokens_and_time():
    adapter = shaken(InsideAdapter(6, 4, 3)).double()
    x = torch.randn(2, 3 * 5, 6, dtype=torch.float64)
    got = adapter(x).unflatten(1, (3, 5))
    for n in range(2):
        for s in range(5):
            down = [F.gelu(adapter.down(x[n, t * 5 + s])) for t in range(3)]
            for t in range(3):
                through = down[t] + sum(adapter.time[k] * down[t + k - 1] for k in range(3) if 0 <= t + k - 1 < 3)
                torch.testing.assert_close(got[n, t, s], adapter.up(down[t] + adapter.mix(through)))


def test_taps_choose_the_blocks_and_the_config_the_first_weights(tiny):
    names = []
    for taps, seed in (("all", 0), ([1, -1], 0), ([1, -1], 0), ([1, -1], 5)):
        config = PRESETS["tiny"](tiny, mode="inside", taps=taps, seed=seed, adapter_dim=8)
        torch.manual_seed(seed + 3)
        names.append(tune(open_features(config.replace(mode="head_only", cache=""), ()).backbone, config).state_dict())
    assert {k.split(".")[0] for k in names[0]} == set("012345") and {k.split(".")[0] for k in names[1]} == {"1", "5"}
    same = [torch.equal(names[1]["1.down.weight"], other["1.down.weight"]) for other in names[2:]]
    assert same == [True, False] and names[1]["1.down.weight"].shape == (8, 96)
