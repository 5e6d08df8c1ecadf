"""LoSA as a whole: what learns, what the frozen backbone keeps for backward (nothing), files."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from helpers.small_models import losa_inputs, small_losa
from losa.backbones import vit as backbones
from losa.backbones.clips import extract_taps
from losa.backbones.load import freeze_backbone


def test_output_shapes_and_gates():
    model, _ = small_losa()
    output = model(*losa_inputs())
    assert output.logits.shape == (2, 32 + 16 + 8, 4) and output.offsets.shape == (2, 56, 2)
    assert output.gates.shape == (2, 3, 2, 32)


def test_head_only_has_no_adapter_and_the_same_head():
    alone, _ = small_losa(taps="none")
    both, _ = small_losa()
    assert not list(alone.adapters.parameters())
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    assert count(alone.head) == count(both.head) and count(alone) < count(both)
    output = alone(torch.randn(2, 0, 24, 32, 1, 1), *losa_inputs()[1:])
    assert output.gates.shape == (2, 0, 0, 32)


@pytest.mark.parametrize("fields", [{}, {"gate": "sigmoid"}, {"gate": "concat"}, {"gate": "channel"}, {"grid": 2},
                                    {"query": "last"}, {"ranges": "short"}, {"taps": "none"}])
def test_every_parameter_is_in_exactly_one_group_and_gets_a_gradient(fields):
    model, config = small_losa(**fields)
    groups = model.groups()
    listed = [p for params in groups.values() for p in params]
    assert len(listed) == len(set(listed)) == len(list(model.parameters()))
    assert all(p.dim() >= 2 for p in groups["decay"])
    if config.gate in ("tanh", "channel") and config.taps != "none":
        assert len(groups["gate"]) == 1 and groups["gate"][0] is model.fusion.gate
    output = model(*losa_inputs(0 if config.taps == "none" else 3, config.grid))
    (output.logits.square().mean() + (output.offsets - 2).square().mean()).backward()
    assert all(p.grad is not None for p in listed)
    ours = {*model.adapters.parameters(), *model.fusion.parameters()}  # ActionFormer's head has biases softmax cancels
    for role, params in groups.items():
        norms = torch.stack([p.grad.norm() for p in params if p in ours] or [torch.ones(())])
        assert (norms > 1e-4 * norms.median()).all(), role


def test_standardisation_uses_the_stored_statistics():
    model, _ = small_losa()
    model.eval()
    taps, last, mask = losa_inputs()
    before = model(taps, last, mask).logits
    model.set_statistics(torch.full((3, 24), 2.0), torch.full((3, 24), 3.0), torch.full((24,), -1.0),
                         torch.full((24,), 0.5))
    torch.testing.assert_close(model(taps * 3 + 2, last * 0.5 - 1, mask).logits, before, rtol=1e-3, atol=1e-4)


def test_backbone_saves_nothing_for_backward_and_losa_does():
    backbone = freeze_backbone(backbones.VideoViT(dim=24, depth=3, num_heads=2))
    frames = torch.randint(0, 255, (32, 3, 48, 48), dtype=torch.uint8)
    kept = []
    with saved_tensors_hooks(lambda x: kept.append(x.nbytes) or x, lambda x: x):
        tapped, last = extract_taps(backbone, frames, (0, 1, 2))
        assert kept == []
        model, _ = small_losa()
        model(tapped[None], last[None], torch.ones(1, 16).bool()).logits.sum().backward()
    assert sum(kept) > 0 and all(p.grad is None for p in backbone.parameters())
