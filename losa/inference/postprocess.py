"""From candidates to predictions: soft-NMS, voting, and the scores of an external classifier."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from losa.config import Config
from losa.inference.candidates import Raw
from losa.inference.nms import soft_nms, vote
from losa.inference.video_classifier import fuse, read_scores


def suppress(raw: dict[str, Raw], config: Config, classes: Sequence[str],
             named: Sequence[str] = ()) -> dict[str, list[dict]]:
    """Return prediction records by video after soft-NMS, voting and fusion with an external classifier, best first.

    named: the classes of the annotations; a classifier's file that names others is an error (ClassifierError).
    """
    records = {}
    for video_id, candidates in raw.items():
        kept = Raw(*soft_nms(*candidates, sigma=config.nms_sigma, min_score=config.min_score,
                             max_segments=config.max_segments, class_wise=config.class_wise_nms))
        if config.voting:
            kept = kept._replace(segments=vote_on_ends(kept, candidates, config))
        records[video_id] = to_records(*kept, classes)
    if not config.classifier:
        return records
    return fuse(records, read_scores(config.classifier, named), config.classifier_topk, config.classifier_fusion)


def vote_on_ends(kept: Raw, candidates: Raw, config: Config) -> Float[Tensor, "K 2"]:
    """Move the kept segments by the votes of all candidates, of their own class with `config.class_wise_nms`."""
    segments = kept.segments.clone()
    for label in kept.labels.unique() if config.class_wise_nms else [None]:
        rows, voters = (slice(None) if label is None else r.labels == label for r in (kept, candidates))
        segments[rows] = vote(kept.segments[rows], candidates.segments[voters], candidates.scores[voters],
                              tiou=config.voting, use_tiou=config.voting_weight == "score_tiou")
    return segments


def to_records(
    segments: Float[Tensor, "M 2"] | Float[np.ndarray, "M 2"],
    scores: Float[Tensor, " M"] | Float[np.ndarray, " M"],
    labels: Int[Tensor, " M"] | Int[np.ndarray, " M"],
    classes: Sequence[str],
) -> list[dict]:
    """Return {"segment": [start, end], "label": name, "score": number} for each segment, in order, as plain Python."""
    return [
        {"segment": segment, "label": classes[label], "score": score}
        for segment, label, score in zip(segments.tolist(), labels.tolist(), scores.tolist(), strict=True)
    ]
