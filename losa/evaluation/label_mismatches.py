"""Find labels of predictions that are not those of the ground truth: unknown, numbers, of another class."""

import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np

from losa.evaluation.mismatch import SHOWN, Mismatch, many, segments
from losa.evaluation.records import Records, Truth
from losa.segments import tiou


def find_label_mismatches(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return labels that the ground truth does not know, and those that have no instance in its subset."""
    given = Counter(row["label"] for items in predictions.values() for row in items)
    judged = _judged_labels(truth)
    known = judged.union(truth.classes)
    unknown = {label: count for label, count in given.most_common() if label not in known}
    elsewhere = {label: count for label, count in given.most_common() if label in known - judged}
    total, found = sum(given.values()), []
    if unknown:
        found.append(_unknown_labels(truth, predictions, unknown, sorted(known), total))
    if elsewhere:
        count = sum(elsewhere.values())
        said = (f"{count:,} of {many(total, 'prediction')} with a label that has no instance in subset "
                f'"{truth.subset}", and counts for nothing')  # fmt: skip
        examples = [f"'{label}' ({count})" for label, count in list(elsewhere.items())[:SHOWN]]
        found.append(Mismatch("labels without an instance", "note", count, total, said, examples))
    return found


def _unknown_labels(truth: Truth, predictions: Records, unknown: Mapping[str, int], known: Sequence[str],
                    total: int) -> Mismatch:  # fmt: skip
    count = sum(unknown.values())
    whole = count == total
    said = (f"none of the {many(total, 'prediction')} has a label that the ground truth knows, so that mAP is 0"
            if whole else f"{count:,} of {many(total, 'prediction')} with a label that the ground truth does not "
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
    orders = {"classes as the file lists them": truth.classes, "classes in alphabetical order": sorted(truth.classes),
              "classes of this subset in alphabetical order": sorted(_judged_labels(truth))}  # fmt: skip
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
        rows, instances = _numbered(items), truth.records.get(video_id)
        if rows and instances:
            for i, j in np.argwhere(tiou(segments(rows), segments(instances)) >= 0.5):
                if not instances[j].get("ambiguous"):
                    votes.setdefault(int(rows[i]["label"]), Counter())[instances[j]["label"]] += 1
    return votes


def _count_hits(truth: Truth, predictions: Records, names: Mapping[int, str]) -> tuple[int, int]:
    """Count the predictions with a class number, and those that by `names` overlap an instance of it by half."""
    hits = total = 0
    for video_id, items in predictions.items():
        rows, instances = _numbered(items), truth.records.get(video_id, [])
        total += len(rows)
        if rows and instances:
            named = np.array([names.get(int(row["label"]), "") for row in rows])
            same = named[:, None] == np.array([row["label"] for row in instances])[None]
            overlap = tiou(segments(rows), segments(instances))
            hits += int(((overlap >= 0.5) & same).any(axis=1).sum())
    return hits, total


def _judged_labels(truth: Truth) -> set[str]:
    """Return the labels that have an instance in the ground truth."""
    return {row["label"] for items in truth.records.values() for row in items if not row.get("ambiguous")}


def _numbered(items: Sequence[dict]) -> list[dict]:
    """Return the predictions whose label is a class number."""
    return [row for row in items if row["label"].lstrip("-").isdecimal()]


def find_confused_labels(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return that the surest prediction on an instance hardly ever has its label, as when class numbers are shifted."""
    judged = _judged_labels(truth)
    known, right, pairs = 0, 0, Counter[tuple[str, str]]()
    for video_id, items in predictions.items():
        rows = [row for row in items if row["label"] in judged]
        instances = [row for row in truth.records.get(video_id, ()) if not row.get("ambiguous")]
        if not rows or not instances:
            continue
        scores = np.where(tiou(segments(instances), segments(rows)) >= 0.5, [row["score"] for row in rows], -np.inf)
        for row, on_it in zip(instances, scores, strict=True):
            if np.isfinite(on_it.max()):
                sure = {rows[i]["label"] for i in np.flatnonzero(on_it == on_it.max())}
                known, right = known + 1, right + (row["label"] in sure)
                pairs[min(sure), row["label"]] += row["label"] not in sure
    if len(judged) < 3 or known < 5 or right > 0.1 * known:
        return []
    said = (f"the surest prediction on an instance has its label for {right} of {many(known, 'instance')} that one "
            "overlaps by half")  # fmt: skip
    examples = [f"'{given}' on '{label}' ({count})" for (given, label), count in pairs.most_common(SHOWN)]
    return [Mismatch("labels of other instances", "warning", known - right, known, said, examples,
                     "Are classes counted from 0 in one file and from 1 in the other, or listed in another order?")]
