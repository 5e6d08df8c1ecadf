"""Check that a user's adapter keeps the contract: try each rule on random taps, for both spans and two grids."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from losa.model.adapters import find_adapter

DIM, STEPS, VALID, BATCH = 24, 40, 29, 2  # channels, snippets, snippets that are no padding, videos
SETTINGS = dict(adapter_dim=16, num_heads=2, window=4, scope="sliding", clip_snippets=8, long_stride=4, long_keys=256,
                query="self")  # fmt: skip


def check_adapter(adapter: type[nn.Module] | str) -> list[dict[str, object]]:
    """Return a row for each rule: {"rule": text, "keeps it": bool, "otherwise": what is wrong, or ""}.

    adapter: a class, or its name as a config has it, such as FILE.py:NAME. It is made as `build` makes it, with `dim`,
    `span`, `grid` and the keywords of SETTINGS. An error inside it counts as breaking the rule and is reported in the
    row, never raised. Raises FileNotFoundError or ConfigError where the name leads to no class.
    """
    adapter = find_adapter(adapter) if isinstance(adapter, str) else adapter
    rows = []
    for rule, test in RULES.items():
        broken = [f"{span}, grid {grid}: {why}" for span in ("short", "long") for grid in (1, 2)
                  if (why := try_rule(test, partial(adapter, DIM, span=span, grid=grid, **SETTINGS), grid))]
        rows.append({"rule": rule, "keeps it": not broken, "otherwise": "; ".join(broken)})
    return rows


def try_rule(test: Callable, make: Callable[[], nn.Module], grid: int) -> str:
    """Return why the rule is broken, "" where it is kept. Leaves torch's global random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tap, last = torch.randn(BATCH, DIM, STEPS, grid, grid), torch.randn(BATCH, DIM, STEPS)
        mask = torch.arange(STEPS).expand(BATCH, -1) < torch.tensor([[VALID], [STEPS]])  # the first video is shorter
        try:
            return test(make, tap, last, mask)
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def gives_features(make: Callable, tap: Tensor, last: Tensor, mask: Tensor) -> str:
    out = make()(tap, last, mask)
    if out.shape != last.shape:
        return f"gives {tuple(out.shape)}, (B, C, T) = {tuple(last.shape)} is expected"
    return "" if out.isfinite().all() else "gives numbers that are not finite"


def ignores_padding(make: Callable, tap: Tensor, last: Tensor, mask: Tensor) -> str:
    adapter = make().eval()
    before = adapter(tap, last, mask)
    tap[0, :, VALID:], last[0, :, VALID:] = float("nan"), float("inf")
    after = adapter(tap, last, mask)
    if not torch.equal(before[0, :, :VALID], after[0, :, :VALID]):
        return "what stands in the padding changes the answer; zero it by `masked_fill` before snippets meet"
    return "" if (after[0, :, VALID:] == 0).all() else "the padding is not zero in the end; `masked_fill` it once more"


def ignores_other_videos(make: Callable, tap: Tensor, last: Tensor, mask: Tensor) -> str:
    adapter = make().eval()
    together = adapter(tap, last, mask)[:1, :, :VALID]
    alone = adapter(tap[:1, :, :VALID], last[:1, :, :VALID], mask[:1, :VALID])
    off = float((together - alone).detach().abs().max())
    return "" if off < 1e-4 else f"padding or other videos of the batch change the answer by {off:.2g}"


def survives_empty_video(make: Callable, tap: Tensor, last: Tensor, mask: Tensor) -> str:
    adapter = make()
    out = adapter(tap, last, mask & (torch.arange(len(mask)) > 0)[:, None])
    out.square().sum().backward()
    bad = [name for name, p in adapter.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    return "" if out.isfinite().all() and not bad else f"no finite gradient for {', '.join(bad) or 'the output'}"


def trains_every_parameter(make: Callable, tap: Tensor, last: Tensor, mask: Tensor) -> str:
    adapter = make()
    (adapter(tap, last, mask) - torch.randn_like(last)).square().mean().backward()
    untrained = [name for name, p in adapter.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    return f"no gradient reaches {', '.join(untrained)}; is a layer before or after it all zeros?" if untrained else ""


def is_deterministic(make: Callable, tap: Tensor, last: Tensor, mask: Tensor) -> str:
    adapter = make().eval()
    return "" if torch.equal(adapter(tap, last, mask), adapter(tap, last, mask)) else "gives something else each time"


RULES = {
    "gives features for every snippet: (B, C, T)": gives_features,
    "what lies in the padding changes nothing": ignores_padding,
    "a video in a batch gives what it gives alone": ignores_other_videos,
    "a video that is all padding gives no NaN": survives_empty_video,
    "every parameter learns from the first step on": trains_every_parameter,
    "gives the same twice in eval mode": is_deterministic,
}
