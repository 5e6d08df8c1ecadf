"""Contract of every fusion."""

import pytest
import torch

from losa.model.fusion import FUSIONS, GatedFusion

B, K, R, C, T = 2, 3, 2, 8, 12
every_kind = pytest.mark.parametrize("kind", FUSIONS)


def inputs():
    torch.manual_seed(0)
    return torch.randn(B, C, T), torch.randn(B, K, R, C, T), torch.ones(B, T).bool()


@every_kind
def test_shapes_and_mask(kind):
    fusion = FUSIONS[kind](C, K, R, kind).eval()
    last, adapted, mask = inputs()
    mask[0, 9:] = mask[1] = False
    features, gates = fusion(last, adapted, mask)
    assert features.shape == (B, C, T) and (features[0, :, 9:] == 0).all() and (features[1] == 0).all()
    assert (gates is None) == (kind == "concat") and (gates is None or gates.shape == (B, K, R, T))
    last[0, :, 9:], adapted[0, ..., 9:] = float("nan"), float("inf")
    assert torch.equal(fusion(last, adapted, mask)[0], features)


@every_kind
def test_gradient_reaches_every_parameter_and_both_inputs(kind):
    fusion = FUSIONS[kind](C, K, R, kind)
    last, adapted, mask = inputs()
    last.requires_grad_(True), adapted.requires_grad_(True)
    (fusion(last, adapted, mask)[0] - torch.randn(B, C, T)).square().mean().backward()
    norms = {n: p.grad.norm() for n, p in fusion.named_parameters()}
    middle = torch.stack(list(norms.values())).median()
    assert all(n > 1e-4 * middle for n in norms.values()), norms
    assert (adapted.grad.flatten(3).norm(dim=3) > 0).all() and last.grad.norm() > 0


@every_kind
def test_state_dict_round_trip(kind):
    one, other = (FUSIONS[kind](C, K, R, kind) for _ in range(2))
    with torch.no_grad():
        for p in one.parameters():
            p.add_(torch.randn_like(p))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(*inputs())[0], other(*inputs())[0])


@pytest.mark.parametrize("kind", ["tanh", "channel", "none"])
def test_static_gates_equal_the_formula(kind):
    fusion = GatedFusion(C, K, R, kind, init=0.5)
    last, adapted, mask = inputs()
    features, gates = fusion(last, adapted, mask)
    gate = 1.0 if kind == "none" else 0.46211715726  # tanh(0.5)
    summed = last + sum(gate * adapted[:, k, r] for k in range(K) for r in range(R))
    expected = (summed - summed.mean(1, keepdim=True)) / (summed.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gates, torch.full((B, K, R, T), gate))


def test_sigmoid_gates_depend_on_the_snippet_and_lie_between_0_and_1():
    gates = GatedFusion(C, K, R, "sigmoid")(*inputs())[1]
    assert (gates > 0).all() and (gates < 1).all() and gates.std(3).min() > 0


def test_unknown_gate_is_refused():
    with pytest.raises(ValueError, match="tanh, channel, sigmoid or none, got 'relu'"):
        GatedFusion(C, K, R, "relu")
