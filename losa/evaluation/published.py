"""The protocol cards of published results, to compare one's own numbers with."""

from collections.abc import Sequence

Number = int | float
UNKNOWN = "unknown"
AWARE, AGNOSTIC = "told apart", "class-agnostic"  # `ap.classes`
LAST, BEST_ON_TEST = "last epoch", "best epoch on the test set"  # the part of `selection` before a comma decides
_THUMOS, _ACTIVITYNET = [0.3, 0.4, 0.5, 0.6, 0.7], [round(0.5 + 0.05 * i, 2) for i in range(10)]
_OPENTAD = {"nms_sigma": 0.7, "max_segments": 2000, "pre_nms_topk": 2000, "topk_per_level": False, "min_score": 0.001}
_ACTIONFORMER = {**_OPENTAD, "nms_sigma": 0.5, "max_segments": 200, "topk_per_level": True}


def _paper(
    average: Number, backbone: str, tiou: Sequence[Number], *, name: str = UNKNOWN, counts: tuple = (UNKNOWN, UNKNOWN),
    style: str = UNKNOWN, post: dict | str = UNKNOWN, classifier: dict | str | None = None, source: str = UNKNOWN,
    sampling: str = UNKNOWN, selection: str = UNKNOWN, per_tiou: Sequence[Number] = (),
) -> dict:  # fmt: skip
    """Return the card of what a paper and its code say; percent become fractions, what they do not say "unknown"."""
    return {
        "test_set": {"name": name, "num_videos": counts[0], "num_instances": counts[1]},
        "ap": {"style": style, "tiou": list(tiou), "num_classes": 20 if tiou == _THUMOS else 200, "classes": AWARE},
        "post": post,
        "classifier": classifier,
        "input": {"source": source, "backbone": backbone, "sampling": sampling},
        "selection": selection,
        "seed": UNKNOWN,
        "result": {"average_map": average / 100, "map": [x / 100 for x in per_tiou] or UNKNOWN},
        "versions": UNKNOWN,
        "machine": UNKNOWN,
    }


def _adatad(sizes: dict[str, Number], data: str) -> dict[str, dict]:
    """Return AdaTAD's cards of one data set, "thumos" or "anet", from {backbone size: average mAP}."""
    shared = {
        "thumos": dict(tiou=_THUMOS, name="thumos14-211", counts=(211, 3325), post=_OPENTAD,
                       sampling="768 frames, stride 4, 160 px"),
        "anet": dict(tiou=_ACTIVITYNET, name="activitynet-4728", counts=(4728, 7271), classifier=UNKNOWN,
                     sampling="768 frames of the whole video, 160 px"),
    }[data]  # fmt: skip
    return {f"adatad-{size}" + ("-anet" if data == "anet" else ""): _paper(
        average, f"VideoMAE{'v2' if size == 'g' else ''}-{size}", style="activitynet-dedup", source="video",
        selection=BEST_ON_TEST, **shared) for size, average in sizes.items()}  # fmt: skip


PUBLISHED: dict[str, dict] = {
    "losa": _paper(71.0, "VideoMAEv2-g", _THUMOS, source="video", per_tiou=(85.0, 81.1, 74.5, 65.1, 49.3)),
    "losa-anet": _paper(38.6, "VideoMAEv2-g", _ACTIVITYNET, source="video", classifier=UNKNOWN),
    "actionformer-videomaev2-g": _paper(
        69.6, "VideoMAEv2-g", _THUMOS, name="thumos14-212", counts=(212, 3358), style="activitynet-dedup",
        post=_ACTIONFORMER, source="features", per_tiou=(84.0, 79.6, 73.0, 63.5, 47.7)),
    **_adatad({"s": 69.03, "b": 71.14, "l": 73.51, "g": 75.06}, "thumos"),
    **_adatad({"s": 37.81, "b": 38.35, "l": 39.21, "g": 39.77}, "anet"),
    "adatad-dagger-g": _paper(
        74.65, "VideoMAEv2-g", _THUMOS, name="thumos14-211", counts=(211, 3325), style="activitynet-dedup",
        post=_OPENTAD, source="video", sampling="1536 frames, 224 px", selection=BEST_ON_TEST,
        per_tiou=(88.43, 84.72, 77.88, 68.51, 53.72)),
}  # fmt: skip
