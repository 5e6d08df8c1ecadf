"""The desk of one moment shows what `adapter_steps` computes there."""

import numpy as np
import pytest

from helpers.small_runs import small_run
from losa.inspection.adapter_steps import add_up, find_moment, trace_adapter
from losa.inspection.moment_desk import MomentDesk, moment_desk


@pytest.mark.parametrize("kind", ["world", "short", "image"])
def test_another_moment_and_block_are_looked_into(tiny, kind):
    run = small_run(tiny, kind)
    video = next(iter(run.videos.values()))
    desk = MomentDesk(run, video.id)
    before = desk.picture.value
    desk.time.value, desk.block.value = 2.0, 0
    moment = find_moment(run, video, desk.time.value)
    assert desk.picture.value != before and bytes(desk.picture.value).startswith(b"\x89PNG")
    for name, adapter in zip(desk.traces, run.model.adapters[0], strict=True):
        expected = trace_adapter(adapter, moment, 0)
        np.testing.assert_array_equal(desk.traces[name]["weights"], expected["weights"])
    assert desk.parts.equals(add_up(run, video, moment))
    assert f"{desk.parts.iloc[0]['norm']:.3f}" in desk.added.value and "nan" not in desk.added.value
    assert desk.line() == f"MomentDesk, {video.id} at {moment.times[moment.at]:.2f} s, tap of {desk.block.label}"
    assert f"at {moment.times[moment.at]:.2f} s" in desk.added.value and "image/png" in desk._repr_mimebundle_()
    bars = desk.draw(moment).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx(next(iter(desk.traces.values()))["weights"][moment.at])


def test_a_run_without_adapters_says_so(tiny):
    run = small_run(tiny, "head_only")
    assert "no adapters to look into" in moment_desk(run, next(iter(run.videos))).data
