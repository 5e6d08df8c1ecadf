"""Moments that are alike across videos, by the features that the model sees: to find labels that may be wrong.

A moment is an annotated segment of any subset, or a prediction on a test video. It is described by the mean of the
features at its snippets: those of a tap (averaged over space), of the last layer, or the fused ones, for which the
model runs over every video. Moments are compared by the cosine of these, each number standardised over all moments,
for what all share tells none apart. Only features that are in the cache, or were computed by others, are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from tqdm.auto import tqdm

from losa.annotations.dataset import Video
from losa.errors import CacheError, RunError
from losa.evaluation.ap_by_score import counted
from losa.evaluation.ground_truth import as_judged
from losa.inspection.model_internals import look_inside
from losa.inspection.run_data import RunData
from losa.machine import best_device
from losa.model.checkpoint import model_file, read_metadata
from losa.taps.open import open_features
from losa.taps.source import FeatureSource

Number = int | float
FOUND = ["video", "subset", "kind", "index", "start", "end", "predicted", "really", "score", "error", "value"]
ROWS_AT_ONCE = 1024  # of the matrix of all similarities
LAST, FUSED = "last layer", "fused"
_collected: WeakKeyDictionary[RunData, dict[bool, "Moments"]] = WeakKeyDictionary()  # as long as a run is open


@dataclass(frozen=True, eq=False)
class Moments:
    """table: a row per moment, columns `FOUND` without value. features: of each kind (N, C), means over a moment."""

    table: pd.DataFrame
    features: dict[str, Float[np.ndarray, "N C"]]
    source: FeatureSource

    def compare(self, given: Mapping[str, np.ndarray], tap: str) -> Float[np.ndarray, "M N"]:
        """Return the cosine of features (M, C) with those of all moments, standardised over all moments."""
        if tap not in self.features:
            raise RunError(f"tap {tap!r}: expected one of {', '.join(self.features)}")
        mean, std = self.features[tap].mean(0), np.maximum(self.features[tap].std(0), 1e-6)
        one, two = ((x - mean) / std for x in (given[tap], self.features[tap]))
        lengths = [np.maximum(np.linalg.norm(x, axis=1), 1e-6) for x in (one, two)]
        return one @ two.T / np.outer(*lengths).astype(np.float32)


# --- what one asks for -------------------------------------------------------------------------------------


def find_similar(run: RunData, video: str, kind: str, index: int, *, k: int = 10, tap: str = LAST) -> pd.DataFrame:
    """Return the k moments most like a segment, of all subsets, the most similar first; none that it overlaps.

    kind: "truth" or "prediction" of a test video, index: in the run's list; or "truth" of another video of the run's
    annotations. tap: "last layer", "block NUMBER" or "fused". A row each: video, subset, kind, index, start, end (s),
    predicted, really, score, error (what it is), value (cosine, -1 to 1).

    Raises CacheError that says how to get features that are not in the cache, and RunError for an unknown segment or
    tap.
    """
    moments = collect_moments(run, tap == FUSED)
    table = moments.table
    start, end = _find_segment(run, table, video, kind, index)
    known = np.flatnonzero((table.video == video) & (table.kind == kind) & (table["index"] == index))
    own = ({name: x[known[:1]] for name, x in moments.features.items()} if len(known) else
           _describe(run, moments.source, _all_videos(run)[video], np.array([[start, end]], float), tap == FUSED))
    alike = moments.compare(own, tap)[0]
    near = ((table.video == video) & (table.start < end) & (table.end > start)).to_numpy()
    order = np.argsort(-np.where(near, -np.inf, alike), kind="stable")[: min(k, int((~near).sum()))]
    return table.iloc[order].assign(value=alike[order]).reset_index(drop=True)


def find_doubts(run: RunData, *, k: int = 10, tap: str = LAST) -> pd.DataFrame:
    """Return the ground truth of all subsets most of whose k nearest neighbours have one other label.

    Its neighbours are other annotated moments that it does not overlap. As `find_similar`, but predicted is the
    neighbours' label, really the one annotated, and value the share of neighbours with other labels than that; the
    largest first, of equal ones those whose neighbours are nearest. Raises RunError where there is only one class.
    """
    moments = collect_moments(run, tap == FUSED)
    chosen = np.flatnonzero(moments.table.kind == "truth")
    table, features = moments.table.iloc[chosen], {name: x[chosen] for name, x in moments.features.items()}
    labels, names = pd.factorize(table.really)
    if len(names) < 2:
        raise RunError(f"{run.name} knows one class only ({', '.join(names)}): no label can be doubted")
    rows = []
    for begin in range(0, len(table), ROWS_AT_ONCE):
        part = slice(begin, begin + ROWS_AT_ONCE)
        alike = moments.compare({tap: features.get(tap, np.zeros((0, 1)))[part]}, tap)[:, chosen]
        alike[_overlapping(table, part)] = -np.inf
        rows += [(begin + i, *_vote(row, labels, begin + i, k)) for i, row in enumerate(alike)]
    doubted = sorted((row for row in rows if row[1] != labels[row[0]]), key=lambda row: (-row[2], -row[3]))
    found = table.iloc[[i for i, *_ in doubted]]
    return found.assign(predicted=[names[label] for _, label, *_ in doubted], value=[row[2] for row in doubted]
                        ).reset_index(drop=True)


def _vote(alike: Float[np.ndarray, " N"], labels: Int[np.ndarray, " N"], own: int, k: int) -> tuple[int, float, float]:
    """Return the most frequent label of the k nearest, which share has another than `own`, how alike they are."""
    nearest = np.argsort(-alike, kind="stable")[:k]
    nearest = nearest[np.isfinite(alike[nearest])]
    if not len(nearest):
        return int(labels[own]), 0.0, 0.0
    counts = np.bincount(labels[nearest])
    label = int(labels[own]) if labels[own] < len(counts) and counts[labels[own]] == counts.max() else counts.argmax()
    return int(label), float((labels[nearest] != labels[own]).mean()), float(alike[nearest].mean())


def _overlapping(table: pd.DataFrame, part: slice) -> Bool[np.ndarray, "M N"]:
    """Return which moments of the table overlap those of a part of it, themselves among them."""
    video, start, end = (table[name].to_numpy() for name in ("video", "start", "end"))
    video = pd.factorize(video)[0]
    return ((video[part, None] == video) & (start[part, None] <= end) & (end[part, None] >= start))


def _find_segment(run: RunData, table: pd.DataFrame, video: str, kind: str, index: int) -> tuple[float, float]:
    """Return start and end of a segment. Raises RunError where it is not there."""
    rows = {"truth": run.truth, "prediction": run.predictions}.get(kind, {}).get(video)
    if rows is None:
        found = table[(table.video == video) & (table.kind == kind)].sort_values("index")
        rows = [{"segment": segment} for segment in found[["start", "end"]].values.tolist()]
    if not 0 <= index < len(rows):
        raise RunError(f"{run.name} has no {kind} {index} in {video!r}, which has {len(rows)}; kind is truth or "
                       "prediction")
    start, end = rows[index]["segment"]
    return float(start), float(end)


# --- the features of all moments ---------------------------------------------------------------------------


def name_features(run: RunData) -> list[str]:
    """Return what moments can be compared by: "last layer", "block NUMBER" for every tap of the model, and "fused"."""
    path = model_file(run.path)
    layers = read_metadata(path).get("backbone", {}).get("layers", ()) if path.is_file() else ()
    return [LAST, *(f"block {layer}" for layer in (layers if run.config.tapped != "none" else ())), FUSED]


def collect_moments(run: RunData, fused: bool = False, min_score: Number = 0.25) -> Moments:
    """Return the moments of a run: ground truth of all its subsets, and predictions with at least `min_score`.

    fused: with the fused features, for which the model runs over every video; else with taps and last layer. Read once
    while the run is open, with a bar of progress. Raises CacheError where videos have no features that could
    be had without computing them.
    """
    known = _collected.setdefault(run, {})
    if fused not in known:
        videos = _all_videos(run)
        source = _open_source(run, list(videos.values()))
        parts, described = [], []
        for video in tqdm(videos.values(), desc="features of moments", unit="video", leave=False):
            rows = _list_moments(run, video, min_score)
            if len(rows):
                parts.append(rows)
                described.append(_describe(run, source, video, rows[["start", "end"]].to_numpy(float), fused))
        if not parts:
            raise RunError(f"{run.name} has neither ground truth nor predictions of a score of {min_score:g}: there is "
                           "nothing to compare")
        features = {name: np.concatenate([part[name] for part in described]) for name in described[0]}
        known[fused] = Moments(pd.concat(parts, ignore_index=True), features, source)
    return known[fused]


def _all_videos(run: RunData) -> dict[str, Video]:
    """Return the videos that the run trained, validated or tested on."""
    subsets = {run.config.train_subset, run.config.val_subset} - {"", run.config.test_subset}
    return {video.id: video for video in as_judged(run.config, run.labelled).videos
            if video.subset in subsets} | run.videos


def _open_source(run: RunData, videos: Sequence[Video]) -> FeatureSource:
    """Return a source that has the features of all these videos. Raises CacheError where it would have to compute."""
    if run.config.features:
        return open_features(run.config, videos, device=best_device(), quiet=True, run=run.path)
    if not run.config.cache or run.config.mode in ("inside", "full"):
        raise CacheError(f"{run.name} keeps no taps (mode {run.config.mode}, cache {run.config.cache or 'none'!r}): "
                         "similar moments are looked up in a cache; train a run with -s cache=FOLDER for them")
    source = open_features(run.config, (), device=best_device(), quiet=True, run=run.path)
    if missing := [video.id for video in videos if not source.has(video)]:
        raise CacheError(f"{len(missing)} of {len(videos)} videos of {run.name} have no taps in {run.config.cache}: "
                         f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}; compute them with `losa data "
                         f"extract --config {run.path / 'config.json'}`, which takes as long as before training")
    return source


def _list_moments(run: RunData, video: Video, min_score: Number) -> pd.DataFrame:
    """Return a row per moment of a video, columns `FOUND` without value."""
    tested = video.id in run.videos
    truth = (counted(run.truth.get(video.id, []), run.config.protocol) if tested else
             video.records(as_judged(run.config, run.labelled).classes))
    rows = [[video.id, video.subset, "truth", i, *record["segment"], "", record["label"], np.nan,
             f"annotated, {video.subset}"] for i, record in enumerate(truth)]
    rows += [[video.id, video.subset, "prediction", i, *record["segment"], record["label"], "", record["score"],
              f"predicted, {video.subset}"] for i, record in enumerate(run.predictions.get(video.id, []) if tested
                                                                       else []) if record["score"] >= min_score]
    return pd.DataFrame(rows, columns=FOUND[:-1]).astype({"start": float, "end": float, "score": float})


@torch.no_grad()
def _describe(run: RunData, source: FeatureSource, video: Video, segments: Float[np.ndarray, "M 2"], fused: bool
              ) -> dict[str, Float[np.ndarray, "M C"]]:
    """Return the mean of each kind of features over the snippets of segments in seconds, or over the nearest one."""
    if fused:
        windows = list(look_inside(run, video, source))
        times, features = (torch.cat([window[name] for window in windows], -1).double().numpy()
                           for name in ("times", "fused"))
        return {FUSED: (_snippets(times, segments) @ features.T).astype(np.float32)}
    total = source.num_snippets(video)
    taps, last = source.features(source.fetch(video, 0, total))
    shares = torch.from_numpy(_snippets(source.time_grid(video).to_seconds(np.arange(total)), segments)).float()
    rows = {LAST: last, **{f"block {layer}": tap.mean((2, 3)) for layer, tap in
                           zip(getattr(source.recipe, "layers", ()), taps, strict=False)}}
    return {name: (shares @ row.float().cpu().T).numpy() for name, row in rows.items()}


def _snippets(times: Float[np.ndarray, " T"], segments: Float[np.ndarray, "M 2"]) -> Float[np.ndarray, "M T"]:
    """Return the share of each snippet in the mean of each segment."""
    inside = (times >= segments[:, :1]) & (times <= segments[:, 1:])
    nearest = np.abs(times - segments.mean(1, keepdims=True)).argmin(1)
    inside[np.arange(len(segments)), nearest] |= ~inside.any(1)
    return inside / inside.sum(1, keepdims=True)
