"""Small models and inputs for them, made by the tests of more than one module."""

import torch

from losa.config import Config
from losa.model.head import Head, Residual
from losa.model.losa import build

CLASSES = ("a", "b", "c", "d")
SMALL_PRESET = dict(weights="random", input_size=32, epochs=1, warmup_epochs=0, head_dim=32, adapter_dim=16,
                    taps=[5, 11], num_workers=0, compute_dtype="float32", train_subset="train", test_subset="test",
                    test_set="")  # of a real data set, on the tiny world
FACTS = dict(dim=24, layers=[0, 1, 2], clip_length=16, tubelet=2)  # of the backbone, as a checkpoint names it


def small_head(in_dim=12, num_classes=3, dim=16, num_levels=4, window=5, drop_path=0.0, seed=0, **sizes):
    """A head whose residual branches count: scales of 1 instead of 1e-4."""
    torch.manual_seed(seed)
    model = Head(in_dim, num_classes, dim, num_levels, num_heads=2, window=window, drop_path=drop_path, **sizes)
    for module in model.modules():
        if isinstance(module, Residual):
            module.scale.data.fill_(1.0)
    return model


def small_losa(**fields):
    """A LoSA for backbone width 24 with 3 taps and 4 classes, and its config."""
    config = Config.make(head_dim=16, head_levels=3, adapter_dim=8, drop_path=0.0, **fields)
    torch.manual_seed(0)
    return build(config, dim=24, num_taps=0 if config.taps == "none" else 3, num_classes=4, clip_snippets=8), config


def losa_inputs(num_taps=3, grid=1, length=32):
    """Taps, last layer and mask for `small_losa`."""
    torch.manual_seed(1)
    return (torch.randn(2, num_taps, 24, length, grid, grid), torch.randn(2, 24, length),
            torch.ones(2, length).bool())


def shaken(module):
    """The module with other values in all its parameters."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return module
