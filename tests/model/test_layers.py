"""Masked attention and pooling along time against dense twins."""

import torch

from losa.model.layers import attend, attend_in_blocks, attend_locally, mean_pool


def dense_attention(q, k, v, allowed):
    """softmax(q k / sqrt(d)) v with a boolean (B, T, S) table of who may see whom, written out."""
    out = torch.zeros_like(q)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for t in range(q.shape[2]):
                seen = allowed[b, t].nonzero()[:, 0]
                if len(seen):
                    weights = (k[b, h, seen] @ q[b, h, t] / q.shape[-1] ** 0.5).softmax(0)
                    out[b, h, t] = weights @ v[b, h, seen]
    return out.transpose(1, 2).flatten(2)


def test_attention_equals_dense_attention_with_a_table():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 21, 4)
    mask = torch.rand(2, 21) > 0.3
    mask[:, ::7] = True
    step = torch.arange(21)
    near = (step[:, None] - step).abs() <= 3
    same = step[:, None] // 6 == step // 6
    seen = mask[:, None, :].expand(-1, 21, -1)
    rows = mask[..., None]
    for got, allowed in [(attend(q, k, v, mask), seen), (attend_locally(q, k, v, mask, 3), seen & near),
                         (attend_in_blocks(q, k, v, mask, 6), seen & same)]:
        torch.testing.assert_close(got * rows, dense_attention(q, k, v, allowed) * rows, rtol=1e-4, atol=1e-5)


def test_large_attention_takes_the_other_path_with_the_same_result(monkeypatch):
    torch.manual_seed(0)
    q, k, v = torch.randn(1, 2, 700, 8), torch.randn(1, 2, 500, 8), torch.randn(1, 2, 500, 8)
    mask = torch.rand(1, 500) > 0.2
    logits = (q @ k.transpose(2, 3) / 8**0.5).masked_fill(~mask[:, None, None], -float("inf"))
    torch.testing.assert_close(attend(q, k, v, mask), (logits.softmax(-1) @ v).transpose(1, 2).flatten(2),
                               rtol=1e-4, atol=1e-5)


def test_mean_pool_averages_valid_steps_only():
    x = torch.arange(10.0)[None, :, None]
    mask = torch.tensor([[True, True, True, False, False, False, True, False, True, True]])
    pooled, valid = mean_pool(x, mask, 3)
    assert pooled[0, :, 0].tolist() == [1.0, 0.0, 7.0, 9.0] and valid[0].tolist() == [True, False, True, True]
