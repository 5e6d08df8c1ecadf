"""A snapshot of each epoch, to look back at how a run learnt: its gates, and what it finds in one and the same video.

They are kept in snapshots.jsonl, a line per epoch, and never enter a decision: the video is one of validation (without
any, of training), never one of the test. Nothing random is drawn, and nothing that trains is touched.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from losa.annotations.dataset import Video
from losa.config import Config
from losa.files import write_text
from losa.inference.postprocess import suppress
from losa.inference.predict import predict_video, read_windows
from losa.model.losa import LoSA
from losa.taps.batch import padded
from losa.taps.source import FeatureSource

FILE = "snapshots.jsonl"
MOST = 50  # predictions in a snapshot: about 2 kB


def choose_video(validation_sets: dict, train_videos: Sequence[Video]) -> Video:
    """Return the video of all snapshots of a run: the first of validation, without any the first of training."""
    return (*validation_sets.get("val_map", ((), {}))[0], *train_videos)[0]


def take_snapshot(model: LoSA, source: FeatureSource, video: Video, config: Config, classes: Sequence[str]) -> dict:
    """Return {"video", "gates": (K, R) or None, "records": [start, end, label, score]} of a model in eval mode.

    The records are the best `MOST` after suppression.
    """
    found = suppress({video.id: predict_video(model, source, video, config)}, config.replace(classifier=""), classes)
    records = [[*(round(t, 3) for t in r["segment"]), r["label"], round(r["score"], 4)] for r in found[video.id][:MOST]]
    gates = mean_gates(model, source, video, config) if len(model.adapters) else None
    return {"video": video.id, "records": records,
            "gates": None if gates is None else gates.double().cpu().numpy().round(4).tolist()}


@torch.no_grad()
def mean_gates(model: LoSA, source: FeatureSource, video: Video, config: Config) -> Float[Tensor, "K R"] | None:
    """Return the gates, those that depend on the features as means over the video's first window; None without any."""
    own = getattr(model.fusion, "static_gates", lambda: None)()
    if own is not None:
        return own.mean(2)
    taps, last, mask = padded([next(read_windows(source, video, config)).features], next(model.parameters()).device)
    gates = model.features(taps, last, mask)[1]
    return None if gates is None else gates[0][..., mask[0]].mean(2)


def keep_snapshot(out: Path, epoch: int, snapshot: dict) -> None:
    """Write the snapshot of an epoch, counted from 1, after those of the epochs before; later ones are dropped."""
    rows = [row for row in read_snapshots(out) if row["epoch"] < epoch]
    write_text(out / FILE, "".join(f"{json.dumps(row)}\n" for row in (*rows, {"epoch": epoch, **snapshot})))


def read_snapshots(out: Path) -> list[dict]:
    """Return the snapshots of a run in order, none for a run without; a line that cannot be read ends them."""
    path, rows = out / FILE, []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
            rows.append({name: row[name] for name in ("epoch", "video", "gates", "records")})
        except (ValueError, KeyError, TypeError):
            break
    return rows
