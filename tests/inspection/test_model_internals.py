"""Inside a model: gates, norms, profiles and features equal to their plain twins."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.made_sources import Waves, a_video
from losa.annotations.dataset import Annotations
from losa.config import Config
from losa.evaluation.average_precision import LENGTHS
from losa.evaluation.ground_truth import make_truth
from losa.inference.predict import read_windows, video_gates
from losa.inspection.model_internals import features_view, gate_profile, gates_view, look_inside
from losa.inspection.run_folder import Run
from losa.model.losa import build


def test_the_model_is_looked_into_as_it_predicts(untrained):
    video = untrained.video(list(untrained.videos)[0])
    found = list(look_inside(untrained, video))
    windows = list(read_windows(untrained.source(video), video, untrained.config))
    assert len(found) == len(windows) > 2
    for window, seen in zip(windows, found, strict=True):
        taps, last = (x[None] for x in window.features)
        with torch.no_grad():
            fused, gates = untrained.model.features(taps, last, torch.ones(1, last.shape[2], dtype=torch.bool))
        at = window.start + np.arange(last.shape[2])
        mine = (at >= window.first) & (at < window.last)
        np.testing.assert_allclose(seen["times"], window.grid.to_seconds(at[mine].astype(float)))
        np.testing.assert_allclose(seen["fused"], fused[0][..., mine], atol=1e-4)
        np.testing.assert_allclose(seen["gates"], gates[0][..., mine], atol=1e-5)
    times = gates_view(untrained, video.id)["times"]
    assert len(times) == untrained.source(video).num_snippets(video)
    np.testing.assert_allclose(np.diff(times), times[1] - times[0])


class Tapped(Waves):
    """Waves that say which blocks they are of."""

    recipe = SimpleNamespace(clip_length=8, tubelet=2, layers=(3, 7))


class Untapped(Waves):
    """The last layer alone."""

    recipe = SimpleNamespace(clip_length=8, tubelet=2, layers=())

    def features(self, fetched):
        taps, last = super().features(fetched)
        return taps[:0], last


class Twice(torch.nn.Module):
    """An adapter that gives its tap's mean over space times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, tap, last, mask):
        return self.factor * tap.mean((3, 4))


def inside(gate: str, adapters: bool = True) -> Run:
    """A run in memory on 390 snippets of 0.25 s, 2 taps, whose adapters double or halve."""
    config = Config.make(gate=gate, head_dim=16, head_levels=2, window=600, mode="losa" if adapters else "head_only")
    model = build(config, dim=8, num_taps=2 if adapters else 0, num_classes=3, clip_snippets=8).eval()
    for row in model.adapters:
        row[0], row[1] = Twice(2.0), Twice(-0.5)
    if hasattr(model.fusion, "gate"):
        torch.nn.init.normal_(model.fusion.gate)
    video, classes = a_video(segments=((4.0, 9.0), (30.0, 31.0))), ("x", "y", "z")
    run = Run("made", Path("none"), config, Annotations(classes, (video,)), classes, {"a": video},
              make_truth([video], classes), {}, {})
    run.__dict__.update(model=model, _features=Tapped(390) if adapters else Untapped(390))
    return run


@pytest.mark.parametrize("gate", ["tanh", "channel", "sigmoid", "none", "concat"])
def test_gates_and_sizes_of_what_adapters_add(gate):
    run = inside(gate)
    view, video = gates_view(run, "a", {"made": 1}), run.videos["a"]
    tapped, last = Tapped(390).features({"at": torch.arange(390.0)})
    tap = tapped[0].mean((2, 3))
    ratio = (tap.norm(dim=0) / last.norm(dim=0)).nan_to_num().numpy()
    sizes = np.broadcast_to(np.array([2, 0.5])[:, None] * ratio, (2, 2, 390))
    np.testing.assert_allclose(view["norms"], sizes, rtol=1e-4)
    expected = video_gates(run.model, Tapped(390), video)
    assert (view["gates"] is None) == (expected is None) == (gate == "concat")
    if expected is not None:
        np.testing.assert_allclose(view["gates"], expected, atol=1e-6)
    assert view["static"] == (gate in ("tanh", "channel", "none")) and view["profile"] == {"made": 1}
    assert (view["layers"], view["ranges"]) == ([3, 7], ["short", "long"]) and view["times"][4] == 1.0625


def test_a_model_without_adapters_has_no_gates():
    run = inside("tanh", adapters=False)
    view = gates_view(run, "a")
    assert view["gates"] is None and view["norms"].shape == (0, 2, 390) and gate_profile(run) is None
    assert len(features_view(run, "a", 10)["taps"]) == 2


def test_the_profile_is_the_mean_over_snippets_inside_instances():
    run = inside("sigmoid")
    view, profile = gates_view(run, "a"), gate_profile(run)
    added, times = np.abs(view["gates"]) * view["norms"], view["times"]
    parts = {("by_class", 0): (4, 9), ("by_class", 1): (30, 31), ("by_length", 2): (4, 9), ("by_length", 0): (30, 31)}
    for (name, row), (start, end) in parts.items():
        mine = [i for i, t in enumerate(times) if start <= t < end]
        np.testing.assert_allclose(profile[name]["gate"][row], view["gates"][..., mine].mean(-1), rtol=1e-5)
        np.testing.assert_allclose(profile[name]["contribution"][row], added[..., mine].mean(-1), rtol=1e-5)
        assert profile["snippets"][name][row] == len(mine)
    others = [i for i, t in enumerate(times) if not (4 <= t < 9 or 30 <= t < 31)]
    np.testing.assert_allclose(profile["background"]["contribution"], added[..., others].mean(-1), rtol=1e-5)
    assert profile["by_class"]["gate"][2] is profile["by_length"]["gate"][4] is None
    assert profile["lengths"] == list(LENGTHS) and json.loads(json.dumps(profile)) == profile


def test_features_are_compared_as_the_model_sees_them():
    run = inside("tanh")
    run.model.tap_mean.normal_()
    run.model.tap_std.uniform_(0.5, 2)
    view = features_view(run, "a", 50)
    assert [tap["name"] for tap in view["taps"]] == ["block 3", "block 7", "last layer", "fused"]
    chosen = np.linspace(0, 389, 50).round().astype(int)
    np.testing.assert_allclose(view["times"], (chosen * 2 + 0.5) / 8)
    tapped, _ = Tapped(390).features({"at": torch.arange(390.0)})
    x = ((tapped[1].mean((2, 3)) - run.model.tap_mean[1][:, None]) / run.model.tap_std[1][:, None])[:, chosen].T
    cosine = torch.cosine_similarity(x[:, None], x[None], dim=2)
    np.testing.assert_allclose(view["taps"][1]["similarity"], 0.5 + 0.5 * cosine, atol=1e-5)
    shares = np.sort(np.linalg.eigvalsh(np.cov(x.numpy().T)))[::-1]
    np.testing.assert_allclose(view["taps"][1]["explained"], (shares / shares.sum())[:2], rtol=1e-4)
    np.testing.assert_allclose(np.cov(view["taps"][1]["xy"].T), np.diag(shares[:2]), atol=1e-4)
    assert view["labels"] == ["x" if 4 <= t < 9 else "y" if 30 <= t < 31 else "" for t in view["times"]]
