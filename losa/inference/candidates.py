"""Candidates before suppression: scored segments of a video, kept in a file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Raw(NamedTuple):
    """Candidates of one video before suppression, best first; segments in seconds."""

    segments: Float[Tensor, "M 2"]
    scores: Float[Tensor, " M"]
    labels: Int[Tensor, " M"]


def save_raw(path: str | Path, raw: dict[str, Raw], classes: Sequence[str]) -> Path:
    """Writes all candidates as arrays (`video` indexes `videos`, `label` indexes `classes`), atomically."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    counts = [len(r.scores) for r in raw.values()]
    np.savez_compressed(
        temporary, videos=np.array(list(raw), dtype=str), classes=np.array(classes, dtype=str),
        video=np.repeat(np.arange(len(raw)), counts).astype(np.int32),
        segments=np.concatenate([r.segments.numpy() for r in raw.values()]).astype(np.float32),
        scores=np.concatenate([r.scores.numpy() for r in raw.values()]).astype(np.float32),
        labels=np.concatenate([r.labels.numpy() for r in raw.values()]).astype(np.int32))
    os.replace(temporary, path)
    return path


def load_raw(path: str | Path) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """(candidates per video, classes) as `save_raw` wrote them."""
    with np.load(path) as stored:
        data = {name: stored[name] for name in stored.files}
    chosen = {str(name): data["video"] == i for i, name in enumerate(data["videos"])}
    raw = {name: Raw(torch.from_numpy(data["segments"][rows]), torch.from_numpy(data["scores"][rows]),
                     torch.from_numpy(data["labels"][rows]).long()) for name, rows in chosen.items()}
    return raw, tuple(map(str, data["classes"]))
