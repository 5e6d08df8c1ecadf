"""Find where predictions and ground truth do not speak of the same things: labels, video ids, units of time, scores.

Nothing is changed here: mAP stays what the public evaluators give, and what they pass over in silence is said.
`losa.evaluation.amend` changes what is asked for.
"""

import re
import shlex
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Literal

import numpy as np

from losa.evaluation.records import Records, Truth
from losa.label_files.cells import without_suffix
from losa.segments import tiou

Number = int | float

SHOWN = 5  # examples of a kind
BEYOND = 1.0  # seconds after the end of a video that are nothing to speak of
UNITS = {"frames": "frames", "ms": "milliseconds", "minutes": "minutes", "shares": "shares of the video"}


class MismatchWarning(UserWarning):
    """Predictions and ground truth do not fit each other."""


@dataclass(frozen=True)
class Mismatch:
    """One way in which predictions and ground truth do not fit.

    said: a sentence with the counts. count: of predictions or videos, as `said` says; `of` so many. examples: the
    first ones, or the most frequent. advice: what to type or change. level: "error" where nothing can match,
    "warning" where numbers suffer, "note" where they do not.
    """

    kind: str
    level: Literal["error", "warning", "note"]
    count: int
    of: int
    said: str
    examples: list[str] = field(default_factory=list)
    advice: str = ""

    def __str__(self) -> str:
        more = f" and {self.count - len(self.examples)} more" if self.kind.startswith("video") and (
            self.count > len(self.examples)) else ""  # fmt: skip
        listed = f": {'; '.join(self.examples)}{more}" if self.examples else ""
        stop = " " if listed.endswith("?") else ". "
        return f"{self.said}{listed}{stop if self.advice else ''}{self.advice}"

    def to_dict(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


def find_mismatches(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return how predictions and ground truth do not fit each other, the worst first."""
    found = [
        *find_nothing(truth.records, predictions),
        *_labels(truth, predictions),
        *_video_ids(truth, predictions),
        *_times(truth, predictions),
        *_missed_videos(truth, predictions),
        *_confused_labels(truth, predictions),
        *_odd_segments(predictions),
        *_repeated(predictions),
        *_scores(predictions),
    ]
    return sorted(found, key=lambda mismatch: ("error", "warning", "note").index(mismatch.level))


def find_nothing(truth: Records, predictions: Records) -> list[Mismatch]:
    """Return the mismatch that there is no prediction at all, if so."""
    if any(predictions.values()):
        return []
    said = f"there is no prediction, so that mAP is 0: the file holds {len(predictions)} videos, all of them empty"
    return [Mismatch("no predictions", "error", 0, len(truth), said, advice="Was the right file given?")]


def warn_if_nothing_fits(truth: Records, predictions: Records) -> None:
    """Warn where no prediction has a label, or none lies in a video, of the ground truth: mAP is 0 then."""
    bare, judged = Truth(truth, ""), {row["label"] for items in truth.values() for row in items}
    some_label = any(row["label"] in judged for items in predictions.values() for row in items)
    if some_label and predictions.keys() & truth.keys():
        return
    for mismatch in (*_labels(bare, predictions), *_video_ids(bare, predictions)):
        if mismatch.level == "error":
            warnings.warn(str(mismatch), MismatchWarning, stacklevel=3)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


# --- labels -----------------------------------------------------------------------------------------------


def _labels(truth: Truth, predictions: Records) -> list[Mismatch]:
    given = Counter(row["label"] for items in predictions.values() for row in items)
    judged = {row["label"] for items in truth.records.values() for row in items if not row.get("ambiguous")}
    known = judged.union(truth.classes)
    unknown = {label: count for label, count in given.most_common() if label not in known}
    elsewhere = {label: count for label, count in given.most_common() if label in known - judged}
    total, found = sum(given.values()), []
    if unknown:
        found.append(_unknown_labels(truth, predictions, unknown, sorted(known), total))
    if elsewhere:
        count = sum(elsewhere.values())
        said = (f"{count:,} of {_many(total, 'prediction')} with a label that has no instance in subset "
                f'"{truth.subset}", and counts for nothing')  # fmt: skip
        examples = [f"'{label}' ({count})" for label, count in list(elsewhere.items())[:SHOWN]]
        found.append(Mismatch("labels without an instance", "note", count, total, said, examples))
    return found


def _unknown_labels(truth: Truth, predictions: Records, unknown: Mapping[str, int], known: Sequence[str],
                    total: int) -> Mismatch:  # fmt: skip
    count = sum(unknown.values())
    whole = count == total
    said = (f"none of the {_many(total, 'prediction')} has a label that the ground truth knows, so that mAP is 0"
            if whole else f"{count:,} of {_many(total, 'prediction')} with a label that the ground truth does not "
            "know, and that counts for nothing")  # fmt: skip
    level: Literal["error", "warning"] = "error" if whole else "warning"
    if all(re.fullmatch(r"-?\d{1,9}", label, re.ASCII) for label in unknown):
        examples = [f"'{label}' ({number})" for label, number in list(unknown.items())[:SHOWN]]
        advice = _advise_numbers(truth, predictions, {int(label) for label in unknown})
        return Mismatch("class numbers", level, count, total, f"{said}: labels are class numbers", examples, advice)
    near = {label: nearest_label(label, known) for label in list(unknown)[:200]}
    examples = [f"'{label}' ({number})" + (f": did you mean '{near[label]}'?" if near.get(label) else "")
                for label, number in list(unknown.items())[:SHOWN]]  # fmt: skip
    if len(unknown) > SHOWN:
        examples.append(f"and {len(unknown) - SHOWN} more labels")
    return Mismatch("unknown labels", level, count, total, said, examples, _advise_labels(near, known))


def _advise_labels(near: Mapping[str, str], known: Sequence[str]) -> str:
    """Return what to type for labels that the ground truth does not know."""
    if all(re.fullmatch(r"class_\d+", label) for label in known):
        return ("The ground truth has class numbers only: give the names, one a line, with --classes FILE")
    pairs = [_quote(f"{label}={name}") for label, name in near.items() if name]
    listed = ", ".join(known[:20]) + (f", ... ({len(known)})" if len(known) > 20 else "")
    renamed = f": {' '.join(f'--rename {pair}' for pair in pairs[:10])}" if pairs else ""
    return (f"Write labels as the ground truth does{renamed}{' ...' if len(pairs) > 10 else ''}. It has {listed}")


def _quote(text: str) -> str:
    """Return a text as a shell takes it, in double quotes where these are enough."""
    plain = re.fullmatch(r"[\w=.,:/+-]+", text)
    return text if plain else shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'


def nearest_label(label: str, known: Sequence[str]) -> str:
    """Return the known label that this one most likely means; "" without one."""
    def plain(text: str) -> str:
        return re.sub(r"[\W_]+", "", text).casefold()

    same = next((name for name in known if plain(name) == plain(label) != ""), "")
    return same or next(iter(get_close_matches(label, known, n=1, cutoff=0.7)), "")


def _advise_numbers(truth: Truth, predictions: Records, numbers: Collection[int]) -> str:
    """Return which name each class number would be, as far as that can be told, and how to say so."""
    names, how = propose_names(truth, predictions, numbers)
    if not names:
        return ('Give the name of each number, in a file with lines such as "3 jump": --classes FILE')
    listed = ", ".join(f'"{number} {name}"' for number, name in list(names.items())[:20])
    return f"They could be {how}. If so, write the lines {listed} to a file and give it: --classes FILE"


def propose_names(truth: Truth, predictions: Records, numbers: Collection[int]) -> tuple[dict[int, str], str]:
    """Return the names that class numbers could mean, and how they are counted; empty where nothing fits.

    Of the orders that are common, counted from 0 or 1, the one by which most predictions lie on an instance of their
    class. A proposal: nothing follows from it by itself.
    """
    labels = sorted({row["label"] for items in truth.records.values() for row in items if not row.get("ambiguous")})
    orders = {"classes as the file lists them": truth.classes, "classes in alphabetical order": sorted(truth.classes),
              "classes of this subset in alphabetical order": labels}  # fmt: skip
    best, how, most = {}, "", 0
    for title, order in orders.items():
        for first in (0, 1):
            names = dict(enumerate(order, first))
            hits, total = _count_hits(truth, predictions, names) if {*numbers} <= {*names} else (0, 0)
            if hits > most:
                best, most = names, hits
                how = f"{title}, counted from {first}: then {hits:,} of {total:,} lie on an instance of their class"
    votes = _vote_names(truth, predictions)
    enough = sum(count for counts in votes.values() for count in counts.values()) / 2
    if most >= enough:
        return best, how
    names = {number: counts.most_common(1)[0][0] for number, counts in sorted(votes.items()) if counts}
    hits, total = _count_hits(truth, predictions, names)
    if hits < enough or len({*names.values()}) < len(names):
        return {}, ""
    return names, (f"those on whose instances they lie, in none of the usual orders: then {hits:,} of {total:,} lie on "
                   "an instance of their class")  # fmt: skip


def _vote_names(truth: Truth, predictions: Records) -> dict[int, Counter[str]]:
    """Return how often the predictions of each class number overlap instances of each label by half."""
    votes: dict[int, Counter[str]] = {}
    for video_id, items in predictions.items():
        rows, instances = [row for row in items if row["label"].lstrip("-").isdecimal()], truth.records.get(video_id)
        if rows and instances:
            for i, j in np.argwhere(tiou(_segments(rows), _segments(instances)) >= 0.5):
                if not instances[j].get("ambiguous"):
                    votes.setdefault(int(rows[i]["label"]), Counter())[instances[j]["label"]] += 1
    return votes


def _count_hits(truth: Truth, predictions: Records, names: Mapping[int, str]) -> tuple[int, int]:
    """Count the predictions with a class number, and those that by `names` overlap an instance of it by half."""
    hits = total = 0
    for video_id, items in predictions.items():
        rows = [row for row in items if row["label"].lstrip("-").isdecimal()]
        instances = truth.records.get(video_id, [])
        total += len(rows)
        if rows and instances:
            named = np.array([names.get(int(row["label"]), "") for row in rows])
            same = named[:, None] == np.array([row["label"] for row in instances])[None]
            overlap = tiou(_segments(rows), _segments(instances))
            hits += int(((overlap >= 0.5) & same).any(axis=1).sum())
    return hits, total


def _confused_labels(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return that the surest prediction on an instance hardly ever has its label, as when class numbers are shifted."""
    judged = {row["label"] for items in truth.records.values() for row in items if not row.get("ambiguous")}
    known, right, pairs = 0, 0, Counter[tuple[str, str]]()
    for video_id, items in predictions.items():
        rows = [row for row in items if row["label"] in judged]
        instances = [row for row in truth.records.get(video_id, ()) if not row.get("ambiguous")]
        if not rows or not instances:
            continue
        scores = np.where(tiou(_segments(instances), _segments(rows)) >= 0.5, [row["score"] for row in rows], -np.inf)
        for row, on_it in zip(instances, scores, strict=True):
            if np.isfinite(on_it.max()):
                sure = {rows[i]["label"] for i in np.flatnonzero(on_it == on_it.max())}
                known, right = known + 1, right + (row["label"] in sure)
                pairs[min(sure), row["label"]] += row["label"] not in sure
    if len(judged) < 3 or known < 5 or right > 0.1 * known:
        return []
    said = (f"the surest prediction on an instance has its label for {right} of {_many(known, 'instance')} that one "
            "overlaps by half")  # fmt: skip
    examples = [f"'{given}' on '{label}' ({count})" for (given, label), count in pairs.most_common(SHOWN)]
    return [Mismatch("labels of other instances", "warning", known - right, known, said, examples,
                     "Are classes counted from 0 in one file and from 1 in the other, or listed in another order?")]


def _segments(rows: Sequence[dict]) -> np.ndarray:
    return np.array([row["segment"] for row in rows], dtype=np.float64).reshape(-1, 2)


# --- ids of videos ----------------------------------------------------------------------------------------


def loose_id(video_id: str) -> str:
    """Return the id of a video without folder, file ending, "v_" in front, and in lower case."""
    name = video_id.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].strip()
    name = re.sub(r"\.(npy|npz|pt|pth|json|csv|txt|srt|vtt)$", "", without_suffix(name), flags=re.IGNORECASE)
    return name.casefold().removeprefix("v_")


def match_loosely(truth: Iterable[str], unknown: Iterable[str]) -> dict[str, str]:
    """Return {id: id in the truth} of the unknown ids that are those of one video of the truth, loosely compared."""
    loose: dict[str, list[str]] = {}
    for video_id in truth:
        loose.setdefault(loose_id(video_id), []).append(video_id)
    found = {video_id: loose.get(loose_id(video_id), []) for video_id in unknown}
    return {video_id: names[0] for video_id, names in found.items() if len(names) == 1}


def _differences(pairs: Mapping[str, str]) -> str:
    """Return in what ids written in two ways differ."""
    def have(test) -> bool:
        return any(test(a) != test(b) for a, b in pairs.items())

    ends = [name for name, test in {
        '"v_" in front': lambda i: i.replace("\\", "/").rsplit("/", 1)[-1].startswith("v_"),
        "a folder": lambda i: "/" in i.replace("\\", "/"),
        "a file ending": lambda i: bool(re.search(r"\.\w{2,4}$", i)),
    }.items() if have(test)]  # fmt: skip
    return " and ".join(ends) or "upper case or spaces"


def _video_ids(truth: Truth, predictions: Records) -> list[Mismatch]:
    unknown = {video_id: len(items) for video_id, items in predictions.items() if video_id not in truth.records}
    if not unknown:
        return []
    whole = len(unknown) == len(predictions)
    pairs, found = match_loosely(truth.records, unknown), []
    others = {v: n for v, n in unknown.items() if v not in pairs}
    if pairs:
        count = sum(unknown[video_id] for video_id in pairs)
        said = (f"{'all' if whole and not others else f'{len(pairs)} of'} {_many(len(predictions), 'video')} in the "
                f"predictions, with {_many(count, 'prediction')}, named otherwise than in the ground truth, by "
                f"{_differences(pairs)}")  # fmt: skip
        examples = [f"'{a}' is '{b}' there" for a, b in list(pairs.items())[:SHOWN]]
        advice = (f"{'mAP is 0' if whole else 'They count as wrong'}. {len(pairs)} would match without that: write ids "
                  "as the ground truth does, or give --match-ids")  # fmt: skip
        found.append(Mismatch("video ids written otherwise", "error" if whole else "warning", len(pairs),
                              len(predictions), said, examples, advice))  # fmt: skip
    if others:
        found.append(_foreign_videos(truth, predictions, others, whole and not pairs))
    return found


def _foreign_videos(truth: Truth, predictions: Records, others: Mapping[str, int], whole: bool) -> Mismatch:
    subsets = Counter(truth.subsets[video_id] for video_id in others if video_id in truth.subsets)
    where = "".join(f'; {count} of them are in its subset "{name}"' for name, count in subsets.most_common())
    said = (f"none of the {_many(len(predictions), 'video')} in the predictions is in the ground truth, so that mAP is "
            f"0{where}" if whole else f"{_many(len(others), 'video')} of {len(predictions)} in the predictions, with "
            f"{_many(sum(others.values()), 'prediction')}, unknown to the ground truth{where}")  # fmt: skip
    examples = [f"'{video_id}'" for video_id in list(others)[:SHOWN]]
    first = next(iter(truth.records), "")
    only = next(iter(subsets), "") if len(subsets) == 1 and subsets.total() == len(others) == len(predictions) else ""
    if only:
        return Mismatch("videos unknown to the ground truth", "error", len(others), len(predictions), said, examples,
                        f"To compare with that subset: --subset {shlex.quote(only)}")  # fmt: skip
    advice = (f"They count as wrong. The ground truth has '{first}', ...: is it the right file and subset? To leave "
              "videos out: --block-list FILE")  # fmt: skip
    return Mismatch("videos unknown to the ground truth", "error" if whole else "warning", len(others),
                    len(predictions), said, examples, advice)  # fmt: skip


def _missed_videos(truth: Truth, predictions: Records) -> list[Mismatch]:
    wanted = {video_id: sum(not row.get("ambiguous") for row in items) for video_id, items in truth.records.items()}
    wanted = {video_id: count for video_id, count in wanted.items() if count}
    missed = {video_id: count for video_id, count in wanted.items() if not predictions.get(video_id)}
    if not missed or not any(predictions.values()) or not predictions.keys() & wanted.keys():
        return []  # said by others
    said = (f"no prediction in {len(missed)} of {_many(len(wanted), 'video')} with ground truth, "
            f"{_many(sum(missed.values()), 'instance')} missed")  # fmt: skip
    advice = "Is the predictions file complete? To leave videos out of the ground truth: --block-list FILE"
    return [Mismatch("videos without a prediction", "warning", len(missed), len(wanted), said,
                     [f"'{video_id}'" for video_id in list(missed)[:SHOWN]], advice)]  # fmt: skip


# --- times ------------------------------------------------------------------------------------------------


def _times(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return segments beyond the known end of their video, and times that look like another unit than seconds."""
    known = {v: items for v, items in predictions.items() if items and truth.durations.get(v)}
    total = sum(map(len, known.values()))
    beyond = [(v, row["segment"]) for v, items in known.items() for row in items
              if row["segment"][1] > truth.durations[v] + BEYOND]  # fmt: skip
    if beyond:
        examples = [f"'{v}' {start:g} to {end:g} s, video of {truth.durations[v]:g} s"
                    for v, (start, end) in beyond[:SHOWN]]  # fmt: skip
        said = f"{len(beyond):,} of {_many(total, 'prediction')} with an end beyond the video's"
        often = len(beyond) > total / 4
        advice = _advise_unit(truth, known) if often else ""
        return [Mismatch("segments beyond their video", "warning" if often else "note", len(beyond), total, said,
                         examples, advice)]  # fmt: skip
    early = [v for v, items in known.items() if max(row["segment"][1] for row in items) <= truth.durations[v] / 25]
    if len(early) < len(known) or not known or total < 3:
        return _apart(truth, predictions)
    said = f"all {_many(total, 'prediction')} lie in the first 4 % of their videos"
    examples = [f"'{v}' ends at {max(row['segment'][1] for row in known[v]):g} s of {truth.durations[v]:g} s"
                for v in early[:SHOWN]]  # fmt: skip
    return [Mismatch("segments in no part but the first", "warning", total, total, said, examples,
                     _advise_unit(truth, known))]  # fmt: skip


def _apart(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return that no prediction lies on an instance of its video by half, with the unit in which some do."""
    judged = {v: items for v, items in predictions.items() if items and truth.records.get(v)}
    total = sum(map(len, judged.values()))
    if total < 3 or any(_count_overlapping(truth, v, items, 1) for v, items in judged.items()):
        return []
    best, most = "", total / 100
    for unit in UNITS:
        scales = {v: seconds_per(unit, truth.durations.get(v), truth.fps.get(v)) for v in judged}
        hits = sum(_count_overlapping(truth, v, items, scales[v] or 0) for v, items in judged.items() if scales[v])
        if hits > most:
            best, most = unit, hits
    (video, items), *_ = judged.items()
    examples = [f"'{video}' has predictions to {max(row['segment'][1] for row in items):g} s and instances to "
                f"{max(row['segment'][1] for row in truth.records[video]):g} s"]  # fmt: skip
    advice = (f"Are they {UNITS[best]}? Read so, {int(most):,} of {total:,} do. If so, give --predicted-times {best}"
              if best else "Expected seconds from the start of the video. If they are frames: --predicted-times frames "
              "--fps 30, with the frame rate of the videos")  # fmt: skip
    return [Mismatch("segments on no instance", "warning", total, total, f"none of the {_many(total, 'prediction')} "
                     "overlaps an instance of its video by half, whatever its label", examples, advice)]  # fmt: skip


def _advise_unit(truth: Truth, predictions: Records) -> str:
    unit, how = propose_unit(truth, predictions)
    if unit:
        return f"Are they {UNITS[unit]}? Read so, {how}. If so, give --predicted-times {unit}"
    return "Expected seconds from the start of the video"


def propose_unit(truth: Truth, predictions: Records) -> tuple[str, str]:
    """Return the unit in which the times could be, and how it fits; "" for none.

    Nearly all videos have to hold their predictions then, and fill with them. Of several units it is the one by which
    most predictions lie on an instance.
    """
    best, how, most = "", "", (-1, 0.1)
    for unit in UNITS:
        scales = {v: seconds_per(unit, truth.durations.get(v), truth.fps.get(v)) for v, items in predictions.items()
                  if items and v in truth.durations}  # fmt: skip
        if not scales or None in scales.values():
            continue
        ends = {v: max(row["segment"][1] for row in predictions[v]) * (scale or 0) for v, scale in scales.items()}
        fit = sum(end <= truth.durations[v] + BEYOND for v, end in ends.items())
        filled = float(np.median([end / truth.durations[v] for v, end in ends.items()]))
        if fit < 0.95 * len(ends) or filled < 0.1:
            continue
        hits = sum(_count_overlapping(truth, v, predictions[v], scale or 0) for v, scale in scales.items())
        if (hits, filled) > most:
            best, most = unit, (hits, filled)
            how = (f"{fit} of {_many(len(ends), 'video')} hold all of theirs, and {hits:,} of "
                   f"{_many(sum(len(predictions[v]) for v in ends), 'prediction')} lie on an instance")  # fmt: skip
    return best, how


def _count_overlapping(truth: Truth, video_id: str, items: Sequence[dict], scale: Number) -> int:
    """Count the predictions of a video, times multiplied, that overlap any instance of it by half."""
    instances = truth.records.get(video_id, [])
    return int((tiou(_segments(items) * scale, _segments(instances)) >= 0.5).any(axis=1).sum()) if instances else 0


def seconds_per(unit: str, duration: Number | None, fps: Number | None) -> float | None:
    """Return how many seconds one of a unit is; None where that is not known."""
    if unit == "frames":
        return 1 / fps if fps else None
    return {"ms": 0.001, "minutes": 60.0, "shares": float(duration) if duration else None}[unit]


def _odd_segments(predictions: Records) -> list[Mismatch]:
    rows = [(v, row["segment"]) for v, items in predictions.items() for row in items]
    kinds = {
        "segments before the start": ("with a start before the video's", [r for r in rows if r[1][0] < 0]),
        "segments of no length": ("without length, which match nothing that has one",
                                  [r for r in rows if r[1][0] == r[1][1]]),
    }  # fmt: skip
    return [Mismatch(kind, "note", len(odd), len(rows), f"{len(odd):,} of {_many(len(rows), 'prediction')} {text}",
                     [f"'{v}' {start:g} to {end:g} s" for v, (start, end) in odd[:SHOWN]], "They count as they are")
            for kind, (text, odd) in kinds.items() if odd]  # fmt: skip


def _repeated(predictions: Records) -> list[Mismatch]:
    """Return how many predictions are there more than once, with the same label, times and score."""
    seen = {v: Counter((row["label"], *row["segment"], row["score"]) for row in items)
            for v, items in predictions.items()}  # fmt: skip
    total, again = sum(map(len, predictions.values())), sum(c.total() - len(c) for c in seen.values())
    if not again:
        return []
    examples = [f"'{v}' has {label} from {start:g} to {end:g} s {count} times"
                for v, counts in seen.items() for (label, start, end, _), count in counts.items() if count > 1][:SHOWN]
    said = f"{again:,} of {_many(total, 'prediction')} repeat another one, with its label, times and score"
    return [Mismatch("repeated predictions", "warning" if again > total / 4 else "note", again, total, said, examples,
                     "A repeat counts as wrong where the first one is right: was a file written, or joined, twice?")]


# --- scores -----------------------------------------------------------------------------------------------


def _scores(predictions: Records) -> list[Mismatch]:
    scores = np.array([row["score"] for items in predictions.values() for row in items], dtype=np.float64)
    outside = int(((scores < 0) | (scores > 1)).sum())
    found = []
    if outside:
        said = (f"{outside:,} of {_many(len(scores), 'score')} outside 0 to 1, from {scores.min():g} to "
                f"{scores.max():g}")  # fmt: skip
        found.append(Mismatch("scores outside 0 to 1", "note", outside, len(scores), said, [],
                              "mAP asks only for their order, so it holds"))  # fmt: skip
    if len(scores) > 2 and (scores == scores[0]).all():
        said = f"all {len(scores):,} scores are {scores[0]:g}, so that the order of predictions, and mAP, is by chance"
        found.append(Mismatch("one score for all", "warning", len(scores), len(scores), said, [],
                              "Give the confidence of each prediction as its score"))  # fmt: skip
    return found
