"""Inside an adapter: equal to what the model itself computes, and what is added up adds up."""

import numpy as np
import pytest
import torch

from helpers.small_runs import small_run
from losa.errors import RunError
from losa.inspection.adapter_steps import add_up, find_moment, trace_adapter
from losa.inspection.model_internals import look_inside
from losa.model.adapters import spans

KINDS = ["world", "image", "side_tokens", "short", "last", "clip", "channel", "sigmoid", "none", "concat", "features",
         "head_only"]


def looked(tiny, kind, time=3.0):
    run = small_run(tiny, kind)
    video = next(iter(run.videos.values()))
    return run, video, find_moment(run, video, time)


@pytest.mark.parametrize("kind", ["world", "image", "side_tokens", "last", "clip"])
def test_the_steps_lead_to_the_adapters_own_output_and_the_weights_stay_in_its_range(tiny, kind):
    run, _, moment = looked(tiny, kind)
    num = len(moment.times)
    far = np.abs(np.subtract.outer(np.arange(num), np.arange(num)))
    for k, row in enumerate(run.model.adapters):
        for name, adapter in zip(spans(run.config.ranges), row, strict=True):
            trace = trace_adapter(adapter, moment, k)
            own = adapter(moment.taps[:, k], moment.last, moment.mask)[0, :, :num].detach().cpu()
            np.testing.assert_allclose(trace["output"], own, atol=1e-4)
            weights = trace["weights"]
            np.testing.assert_allclose(weights.sum(1), 1, atol=1e-4)
            if name == "short":
                clip = np.arange(num) // adapter.clip_snippets
                inside = clip[:, None] == clip if kind == "clip" else far <= adapter.window
                assert weights.shape == (num, num) and not weights[~inside].any() and (weights[inside] > 0).all()
            else:
                assert len(weights[0]) == len(trace["keys"]) == -(-num // adapter.long_stride)
                assert trace["keys"][0].tolist() == [0, adapter.long_stride - 1] and trace["keys"].max() == num - 1
            here = float(np.linalg.norm(trace["output"][:, moment.at]))
            assert trace["steps"][-1]["size"] == pytest.approx(here, rel=1e-3)
            assert "attention" in {step["step"] for step in trace["steps"]}


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_add_up_to_what_the_head_reads(tiny, kind):
    run, video, moment = looked(tiny, kind)
    table = add_up(run, video, moment)
    parts = table.iloc[:-2]
    assert len(parts) == 1 + len(run.model.adapters) * len(spans(run.config.ranges)) + (kind == "concat")
    assert parts["share"].sum() == pytest.approx(1, abs=1e-4)
    for channel in [name for name in table if name.startswith("channel")]:
        assert parts[channel].sum() == pytest.approx(table.loc["sum", channel], abs=1e-4)
    window = next(iter(look_inside(run, video)))  # the model's own numbers, from elsewhere
    at = int(np.abs(np.array(window["times"]) - moment.times[moment.at]).argmin())
    fused = window["fused"][:, at].numpy()
    assert table.iloc[-1]["norm"] == pytest.approx(np.linalg.norm(fused), abs=1e-3)
    for channel in [name for name in table if name.startswith("channel")]:
        assert table.iloc[-1][channel] == pytest.approx(fused[int(channel.split()[1])], abs=1e-3)


def test_a_moment_is_the_nearest_snippet_also_beyond_the_ends(tiny):
    run, video, moment = looked(tiny, "world", time=4.0)
    assert abs(moment.times[moment.at] - 4.0) <= 0.5 * run.source(video).time_grid(video).snippet_seconds + 1e-6
    assert find_moment(run, video, -5).at == 0
    last = find_moment(run, video, 1e6)
    assert last.at == len(last.times) - 1


def test_adapters_and_fusions_of_other_kinds_are_refused(tiny):
    run, video, moment = looked(tiny, "world")
    with pytest.raises(RunError, match="Identity is no TemporalAdapter"):
        trace_adapter(torch.nn.Identity(), moment, 0)
    other = torch.nn.Module()
    other.forward = lambda last, adapted, mask: (last, None)
    fusion, run.model.fusion = run.model.fusion, other
    try:
        with pytest.raises(RunError, match="no fusion of this package"):
            add_up(run, video, moment)
    finally:
        run.model.fusion = fusion
