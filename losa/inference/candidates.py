"""Candidates: scored segments of each video before non-maximum suppression, and the file that keeps them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from losa.files import replacing


class Raw(NamedTuple):
    """Candidates of one video before suppression, best first; segments in seconds."""

    segments: Float[Tensor, "M 2"]
    scores: Float[Tensor, " M"]
    labels: Int[Tensor, " M"]


def save_raw(path: str | Path, raw: dict[str, Raw], classes: Sequence[str]) -> Path:
    """Write all candidates as arrays, `video` indexing `videos` and `labels` indexing `classes`; return the path."""
    path = Path(path)
    counts = [len(r.scores) for r in raw.values()]
    with replacing(path) as temporary:
        np.savez_compressed(
            temporary, videos=np.array(list(raw), dtype=str), classes=np.array(classes, dtype=str),
            video=np.repeat(np.arange(len(raw)), counts).astype(np.int32),
            segments=np.concatenate([r.segments.numpy() for r in raw.values()]).astype(np.float32),
            scores=np.concatenate([r.scores.numpy() for r in raw.values()]).astype(np.float32),
            labels=np.concatenate([r.labels.numpy() for r in raw.values()]).astype(np.int32))
    return path


def load_raw(path: str | Path) -> tuple[dict[str, Raw], tuple[str, ...]]:
    """Read (candidates by video, classes) as `save_raw` wrote them."""
    with np.load(path) as stored:
        data = {name: stored[name] for name in stored.files}
    chosen = {str(name): data["video"] == i for i, name in enumerate(data["videos"])}
    raw = {name: Raw(torch.from_numpy(data["segments"][rows]), torch.from_numpy(data["scores"][rows]),
                     torch.from_numpy(data["labels"][rows]).long()) for name, rows in chosen.items()}
    return raw, tuple(map(str, data["classes"]))
