"""Adapters on every token instead of on a pooled tap: the side network of the mode `side_tokens`.

The idea of AdaTAD's variant with a frozen backbone (arXiv 2311.17241), with our adapters.
"""

from functools import cache

from jaxtyping import Bool, Float
from torch import Tensor, nn


class OnTokens:
    """Run an adapter on each of the tap's g x h tokens by itself, through time, and return the mean over the tokens.

    `on_tokens` puts it before an adapter class; weights and their names are that adapter's.
    """

    def forward(self, tap: Float[Tensor, "B C T g h"], last: Float[Tensor, "B C T"],
                mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B C T"]:
        per_video = tap.shape[3] * tap.shape[4]
        tokens = tap.permute(0, 3, 4, 1, 2).flatten(0, 2)[..., None, None]  # (B g h, C, T, 1, 1)
        last, mask = (x.repeat_interleave(per_video, 0) for x in (last, mask))
        per_token = super().forward(tokens, last, mask)  # type: ignore[misc]  # of the adapter class behind it
        return per_token.unflatten(0, (-1, per_video)).mean(1)


@cache
def on_tokens(adapter: type[nn.Module]) -> type[nn.Module]:
    """Return a subclass of the adapter (to be made with grid=1) that is run on every token."""
    return type(f"{adapter.__name__}OnTokens", (OnTokens, adapter), {"__doc__": OnTokens.__doc__})
