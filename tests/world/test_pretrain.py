"""Pretraining learns, says how it was made, and the shipped weights are what their cards describe."""

import hashlib
import json

import pytest
import torch

from losa.backbones.load import WEIGHTS, load_backbone, load_video_vit
from losa.world import pretrain as P
from losa.world import render as world
from losa.world.motions import PRESETS


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    out = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(P.MODEL, "depth", 2)
        patch.setitem(P.MODEL, "dim", 48)
        return P.pretrain("gap", out, seed=1, steps=50, batch_size=16, num_clips=40, num_held_out=20,
                          num_workers=0), out


def test_a_short_run_lowers_the_loss_and_writes_weights_that_load(card):
    card, out = card
    assert card["loss_last"] < card["loss_first"] - 0.2
    weights = out / "world_gap.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == card["sha256"]
    assert json.loads((out / "world_gap.json").read_text()) == card
    assert sorted(p.name for p in out.iterdir()) == ["world_gap.json", "world_gap.safetensors"]  # nothing temporary
    model = load_video_vit(weights)
    assert (model.dim, model.depth) == (48, 2)


def test_pretraining_again_gives_the_same_weights(tmp_path):
    small = dict(steps=2, batch_size=4, num_clips=8, num_held_out=10, num_workers=0)
    first, again, other = (P.pretrain("gap", tmp_path / str(i), seed=seed, **small)
                           for i, seed in enumerate((0, 0, 1)))
    state = [load_video_vit(tmp_path / f"{i}/world_gap.safetensors").state_dict() for i in range(3)]
    assert all(torch.equal(state[0][k], state[1][k]) for k in state[0])
    assert first["loss_last"] == again["loss_last"] != other["loss_last"]


def test_an_unknown_preset_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="covered, gap"):
        P.pretrain("most", tmp_path)


def test_augmentation_keeps_shape_and_range_and_differs_between_clips():
    clips = torch.from_numpy(world.render_clips(("kick",), 1, 0, num_workers=0)[0]).repeat(4, 1, 1, 1, 1)
    out = P.augment(clips, torch.Generator().manual_seed(0))
    assert out.shape == clips.shape and out.dtype == torch.uint8
    assert len({o.numpy().tobytes() for o in out}) == 4
    assert (out.float().mean() - clips.float().mean()).abs() < 12


def test_muon_steps_are_nearly_orthogonal():
    for shape in ((6, 20), (20, 6), (8, 3, 1, 2, 2)):
        weight = torch.nn.Parameter(torch.zeros(shape))
        weight.grad = torch.randn(shape)
        P.Muon([weight], lr=1.0, weight_decay=0.0).step()
        values = torch.linalg.svdvals(weight.detach().flatten(1)) / max(1, shape[0] / weight[0].numel()) ** 0.5
        assert values.min() > 0.4 and values.max() < 1.4


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_shipped_weights_match_their_card_and_know_held_out_clips(preset):
    card = json.loads((WEIGHTS / f"world_{preset}.json").read_text())
    path = WEIGHTS / f"world_{preset}.safetensors"
    assert path.stat().st_size < 3_100_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert tuple(card["classes_seen"]) == PRESETS[preset] and card["world_version"] == world.VERSION
    backbone = load_backbone(preset)
    # without the classifier: same motion, nearer features than another motion, on clips no training has seen
    clips, labels = map(torch.from_numpy, world.render_clips(card["classes_seen"], 60, 77, num_workers=0))
    with torch.no_grad():
        features = torch.nn.functional.normalize(backbone(clips), dim=1)
    features = features - features.mean(0)
    like = features @ features.T - 2 * torch.eye(60)
    assert (labels[like.argmax(1)] == labels).float().mean() > 0.6
