"""Find videos that only the predictions or only the ground truth have, and ids that are written otherwise."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping

from losa.evaluation.mismatch import SHOWN, Mismatch, many
from losa.evaluation.records import Records, Truth
from losa.label_files.cells import without_suffix


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


def find_video_mismatches(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return the videos of predictions that the ground truth does not know, or knows by another spelling."""
    unknown = {video_id: len(items) for video_id, items in predictions.items() if video_id not in truth.records}
    if not unknown:
        return []
    whole = len(unknown) == len(predictions)
    pairs, found = match_loosely(truth.records, unknown), []
    others = {v: n for v, n in unknown.items() if v not in pairs}
    if pairs:
        count = sum(unknown[video_id] for video_id in pairs)
        said = (f"{'all' if whole and not others else f'{len(pairs)} of'} {many(len(predictions), 'video')} in the "
                f"predictions, with {many(count, 'prediction')}, named otherwise than in the ground truth, by "
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
    said = (f"none of the {many(len(predictions), 'video')} in the predictions is in the ground truth, so that mAP is "
            f"0{where}" if whole else f"{many(len(others), 'video')} of {len(predictions)} in the predictions, with "
            f"{many(sum(others.values()), 'prediction')}, unknown to the ground truth{where}")  # fmt: skip
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


def find_missed_videos(truth: Truth, predictions: Records) -> list[Mismatch]:
    """Return the videos with instances that have no prediction."""
    wanted = {video_id: sum(not row.get("ambiguous") for row in items) for video_id, items in truth.records.items()}
    wanted = {video_id: count for video_id, count in wanted.items() if count}
    missed = {video_id: count for video_id, count in wanted.items() if not predictions.get(video_id)}
    if not missed or not any(predictions.values()) or not predictions.keys() & wanted.keys():
        return []  # said by others
    said = (f"no prediction in {len(missed)} of {many(len(wanted), 'video')} with ground truth, "
            f"{many(sum(missed.values()), 'instance')} missed")  # fmt: skip
    advice = "Is the predictions file complete? To leave videos out of the ground truth: --block-list FILE"
    return [Mismatch("videos without a prediction", "warning", len(missed), len(wanted), said,
                     [f"'{video_id}'" for video_id in list(missed)[:SHOWN]], advice)]  # fmt: skip
