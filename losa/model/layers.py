"""Masked convolution, attention and pooling along time, shared by adapters and head.

B sequences, T steps, C channels, h heads of width D, S keys; sequences are (B, T, C), `mask` (B, T) is True where a
step is valid. All keep three rules: values beyond the mask change nothing (NaN included), no row of a softmax is ever
empty, and memory grows linearly with T (with T x S for `attend`).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

NEVER = -1e4  # logit of a key that must not be attended; finite, so that a fully masked row stays free of NaN


def zero_masked(x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
    """Return x with zeros where the mask is False, NaN included."""
    return x.masked_fill(~mask.unsqueeze(2), 0)


class DepthwiseConv3(nn.Module):
    """Depthwise convolution of width 3 over time, as a 2-D convolution in channels-last memory.

    A grouped Conv1d is slow on long sequences on CPU; this is not. Identity at initialisation.
    """

    def __init__(self, dim: int, bias: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dim))
        nn.init.normal_(self.weight, std=0.02)
        with torch.no_grad():
            self.weight[1] += 1
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
        image = zero_masked(x, mask).transpose(1, 2).unsqueeze(2)  # (B, C, 1, T) in channels-last memory
        y = F.conv2d(image, self.weight.t()[:, None, None], self.bias, padding=(0, 1), groups=image.shape[1])
        return zero_masked(y.squeeze(2).transpose(1, 2), mask)


def split_heads(x: Float[Tensor, "B T C"], heads: int) -> Float[Tensor, "B h T D"]:
    """Return x with its channels split among the heads, C = h x D."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def attend(q: Float[Tensor, "B h T D"], k: Float[Tensor, "B h S D"], v: Float[Tensor, "B h S D"],
           key_mask: Bool[Tensor, "B S"]) -> Float[Tensor, "B T C"]:
    """Let every query attend to every valid key."""
    bias = torch.zeros_like(key_mask, dtype=q.dtype).masked_fill(~key_mask, NEVER)[:, None, None]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(-1, -1, q.shape[2], -1))
    return out.transpose(1, 2).flatten(2)


def attend_locally(q: Float[Tensor, "B h T D"], k: Float[Tensor, "B h T D"], v: Float[Tensor, "B h T D"],
                   mask: Bool[Tensor, "_ T"], reach: int, block: int = 32) -> Float[Tensor, "B T C"]:
    """Let each query attend to the valid keys at most `reach` steps away, in O(T x reach) memory.

    Queries are cut into blocks, whose keys are the block and `reach` steps on either side of it. The mask may have
    fewer rows than there are sequences; its rows are then repeated, all of them, as often as needed.
    """
    block, steps = max(2 * reach, block), q.shape[2]
    at = torch.arange(block + 2 * reach, device=q.device)
    if steps <= block:
        near = (at[:steps, None] - at[:steps]).abs() <= reach
        return attend_where(q, k, v, near & mask[:, None]).transpose(1, 2).flatten(2)
    num = -(-steps // block)
    tail = num * block - steps
    shift = (reach, tail + block - reach)
    queries = pad_steps(q.transpose(1, 2), (0, tail)).unflatten(1, (num, block))  # (B, n, c, h, D)
    keys, values = (Stretches.apply(pad_steps(x.transpose(1, 2), shift), block, 2 * reach) for x in (k, v))
    valid = Stretches.apply(F.pad(mask, shift), block, 2 * reach)[:, :, None]  # (B, n, 1, c + 2 reach)
    near = (at - at[:block, None] - reach).abs() <= reach
    return attend_blocks(queries, keys, values, valid & near)[:, :steps]


def attend_in_blocks(q: Float[Tensor, "B h T D"], k: Float[Tensor, "B h T D"], v: Float[Tensor, "B h T D"],
                     mask: Bool[Tensor, "_ T"], block: int) -> Float[Tensor, "B T C"]:
    """Let each query attend to the valid keys of its own block of `block` steps (a clip)."""
    steps, tail = q.shape[2], -q.shape[2] % block
    q, k, v = (pad_steps(x.transpose(1, 2), (0, tail)).unflatten(1, (-1, block)) for x in (q, k, v))
    valid = F.pad(mask, (0, tail)).unflatten(1, (-1, block))[:, :, None].expand(-1, -1, block, -1)
    return attend_blocks(q, k, v, valid)[:, :steps]


def pad_steps(x: Float[Tensor, "B T h D"], margins: tuple[int, int]) -> Float[Tensor, "B _ h D"]:
    """Return x with zeros added before and after; x itself where there are none to add."""
    return F.pad(x, (0, 0, 0, 0, *margins)) if any(margins) else x


class Stretches(torch.autograd.Function):
    """Cut (B, (n + 1) * c, ...) into (B, n, c + extra, ...): blocks of c steps with the first `extra` of the next.

    The backward pass adds both parts in place, where that of slices would allocate and add whole tensors.
    """

    @staticmethod
    def forward(x: Tensor, block: int, extra: int) -> Tensor:
        blocks = x.unflatten(1, (-1, block))
        return torch.cat((blocks[:, :-1], blocks[:, 1:, :extra]), 2)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.block, ctx.extra = inputs[1:]

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        size, num, _, *rest = grad.shape
        x = grad.new_empty(size, num + 1, ctx.block, *rest)
        x[:, :-1], x[:, -1] = grad[:, :, :ctx.block], 0
        x[:, 1:, :ctx.extra] += grad[:, :, ctx.block:]
        return x.flatten(1, 2), None, None


def attend_blocks(q: Float[Tensor, "B n c h D"], k: Float[Tensor, "B n s h D"], v: Float[Tensor, "B n s h D"],
                  allowed: Bool[Tensor, "_ n c s"]) -> Float[Tensor, "B T C"]:
    """Attend inside each of n blocks of c queries and s keys; T = n x c."""
    size = len(q)
    q, k, v = (x.flatten(0, 1).transpose(1, 2) for x in (q, k, v))
    out = attend_where(q, k, v, allowed.flatten(0, 1)).transpose(1, 2)  # (B * n, c, h, D)
    return out.unflatten(0, (size, -1)).flatten(1, 2).flatten(2)


def attend_where(q: Float[Tensor, "B h T D"], k: Float[Tensor, "B h S D"], v: Float[Tensor, "B h S D"],
                 allowed: Bool[Tensor, "_ T S"]) -> Float[Tensor, "B h T D"]:
    """Let each query attend to the keys that `allowed` marks; its rows are repeated where there are fewer than B."""
    bias = torch.zeros_like(allowed, dtype=q.dtype).masked_fill(~allowed, NEVER)
    bias = bias.repeat(len(q) // len(bias), 1, 1) if len(q) > len(bias) else bias
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(1))


def mean_pool(x: Float[Tensor, "B T C"], mask: Bool[Tensor, "B T"],
              stride: int) -> tuple[Float[Tensor, "B S C"], Bool[Tensor, "B S"]]:
    """Return the mean over the valid steps of each `stride` steps (zero if none is) and whether any was valid."""
    tail = -x.shape[1] % stride
    x = F.pad(zero_masked(x, mask), (0, 0, 0, tail)).unflatten(1, (-1, stride))
    count = F.pad(mask, (0, tail)).unflatten(1, (-1, stride)).sum(2)
    return x.sum(2) / count.clamp(min=1).unsqueeze(2), count > 0
