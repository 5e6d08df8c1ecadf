"""The memory study: the order of the modes, and frozen weights in lower precision."""

import pytest
import torch

from losa.studies.memory import MODES, ROWS, forward, make_parts, memory

CLIPS = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_memory_of_the_modes_is_ordered():
    found = memory(num_clips=1, size="videomae_s", input_size=64)["modes"]
    saved = {name: row["saved_mib"] for name, row in found.items()}
    assert list(found) == list(ROWS) and found["head_only"]["ratio"] == 1
    assert saved["head_only"] < saved["losa"] < saved["side_tokens"]
    assert saved["losa"] < saved["inside"] < saved["full"]
    assert all(saved[f"{mode}, checkpointing"] < saved[mode] / 3 for mode in ("inside", "full"))
    trained = {name: row["trainable_parameters"] for name, row in found.items()}
    assert trained["losa"] == trained["side_tokens"] and trained["full"] > 22e6 > trained["losa"] > trained["inside"]
    assert trained["inside"] > trained["head_only"]


@pytest.mark.parametrize("mode", MODES)
def test_lower_precision_of_frozen_weights_runs_under_autocast(mode):
    parts = make_parts(mode, "videomae_s", 32, "cpu", dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = forward(parts, CLIPS, chunk=1)
    loss.backward()
    assert all(p.dtype == torch.float32 and p.grad is not None for p in parts.trained())
    assert bool(loss.isfinite())
