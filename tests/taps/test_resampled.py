"""Features at another rate against torch's interpolation."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from helpers.clock import clock_video
from helpers.made_sources import Numbers, whole
from losa.segments import Grid
from losa.taps.cache_key import TapRecipe
from losa.taps.resampled import Resampled


class Rows(Numbers):
    """A source of given rows with one tap, 2 x 2, that is the last layer scaled by place."""

    def __init__(self, rows, tubelet=2):
        super().__init__(rows.shape[1])
        self.rows, self.grid = rows, Grid(8.0, tubelet)
        self.recipe = replace(RECIPE, dim=rows.shape[0])

    def time_grid(self, video):
        return self.grid

    def fetch(self, video, start, stop, copy=0):
        assert 0 <= start < stop <= self.rows.shape[1]
        return {"rows": self.rows[:, start:stop]}

    def features(self, fetched):
        rows = fetched["rows"]
        return rows[None, :, :, None, None] * torch.arange(1, 5).view(2, 2), rows


ANY = clock_video()


RECIPE = TapRecipe("x", 3, (0,), 2, 16, 2, 16, None, 1, None, 48, "squeeze", (0.5,), (0.5,), "float32")


@given(st.integers(1, 300), st.integers(8, 400), st.data())
def test_fixed_length_is_torchs_interpolation_and_windows_are_pieces_of_it(total, wanted, data):
    rows = torch.randn(3, total, generator=torch.Generator().manual_seed(total))
    source = Resampled(Rows(rows), snippets_per_video=wanted)
    tapped, last = whole(source, ANY)
    expected = F.interpolate(rows[None].double(), size=wanted, mode="linear", align_corners=False)[0]
    assert last.shape == (3, wanted) and tapped.shape == (1, 3, wanted, 2, 2)
    torch.testing.assert_close(last.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tapped[0, :, :, 1, 1], last * 4)
    start = data.draw(st.integers(0, wanted - 1))
    stop = data.draw(st.integers(start + 1, wanted))
    part = source.features(source.fetch(ANY, start, stop))
    assert torch.equal(part[0], tapped[:, :, start:stop]) and torch.equal(part[1], last[:, start:stop])


@given(st.integers(1, 200), st.sampled_from([0.5, 1, 1.5, 2, 3, 0.7]))
def test_another_step_keeps_the_time_covered(total, step):
    source = Resampled(Rows(torch.randn(3, total)), snippet_frames=step)
    grid, before = source.time_grid(ANY), source.source.grid
    num = source.num_snippets(ANY)
    assert num * step >= total * 2 - 1e-6 > (num - 1) * step
    assert grid.snippet_seconds == pytest.approx(step / 8)
    assert grid.to_seconds(-0.5) == pytest.approx(before.to_seconds(-0.5))
    if step == 2:
        assert torch.equal(whole(source, ANY)[1], source.source.rows)


def test_the_recipe_of_another_rate_is_another():
    rows = Rows(torch.randn(3, 20))
    recipes = {rows.recipe, Resampled(rows, 1).recipe, Resampled(rows, 0.5).recipe, Resampled(rows, None, 192).recipe}
    assert len(recipes) == 4 and Resampled(rows, 1).recipe.describe()["snippet_frames"] == 1
    with pytest.raises(ValueError, match="give one"):
        Resampled(rows)
