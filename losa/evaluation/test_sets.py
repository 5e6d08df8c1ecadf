"""Published test sets by name: their counts, the videos they leave out, and block lists."""

import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from losa.evaluation.records import Records, _lines, count_instances, read_json

_NO_INSTANCE, _WRONG, _WRONG_TOO = "video_test_0001292", "video_test_0000270", "video_test_0001496"


class NamedSet(NamedTuple):
    """A test set in use: what it leaves out, and how large its users say it is (None: nobody counted)."""

    left_out: tuple[str, ...]
    num_videos: int
    num_instances: int | None
    who: str
    advice: str = ""


TEST_SETS = {
    "thumos14-213": NamedSet((), 213, 3358, "the papers' prose"),
    "thumos14-212": NamedSet((_NO_INSTANCE,), 212, 3358, "ActionFormer, TriDet, VideoMAEv2"),
    "thumos14-211": NamedSet(
        (_NO_INSTANCE, _WRONG), 211, 3325, "OpenTAD, AdaTAD",
        "3,329 instances are ActionFormer's file: OpenTAD's has the 4 less that end after their video",
    ),
    "thumos14-210": NamedSet((_NO_INSTANCE, _WRONG, _WRONG_TOO), 210, 3311, "AFSD, BasicTAD, ViT-TAD"),
    "activitynet-4926": NamedSet((), 4926, None, "ActivityNet's evaluator"),
    "activitynet-4728": NamedSet((), 4728, 7293, "OpenTAD, AdaTAD", "leave out the ids of OpenTAD's block list"),
}  # fmt: skip


def choose_test_set(truth: Records, name: str) -> Records:
    """The truth less what the test set of this name leaves out.

    Warns where the videos or instances left are not as many as those who use the set count. Predictions in the
    videos left out are to be left out as well: `leave_out(predictions, TEST_SETS[name].left_out)`.

    Raises ValueError for an unknown name.
    """
    chosen = named_part(truth, name)
    differs = other_counts(chosen, name)
    if differs:
        warnings.warn(differs, stacklevel=2)
    return chosen


def named_part(truth: Records, name: str) -> Records:
    """The truth less what the test set of this name leaves out, not counted. ValueError for an unknown name."""
    if name not in TEST_SETS:
        near = get_close_matches(name, TEST_SETS, n=1)
        raise ValueError(
            f'no test set "{name}"{f"; did you mean {near[0]}?" if near else ""}. Known: {", ".join(TEST_SETS)}.'
        )
    return leave_out(truth, TEST_SETS[name].left_out)


def other_counts(chosen: Records, name: str) -> str:
    """What the counts of a truth have against being this test set; empty where they are as published."""
    wanted, found = TEST_SETS[name], (len(chosen), count_instances(chosen))
    if found[0] == wanted.num_videos and wanted.num_instances in (None, found[1]):
        return ""
    instances = f" with {wanted.num_instances:,} instances" if wanted.num_instances else ""
    return (
        f"{name}: this ground truth gives {found[0]:,} videos with {found[1]:,} instances, where {wanted.who} "
        f"have {wanted.num_videos:,} videos{instances}: not the same test set."
        + (f" ({wanted.advice}.)" if wanted.advice else "")
    )


def leave_out(records: Records, ids: Iterable[str]) -> Records:
    """The records, truth or predictions, of all other videos; "v_" in front of an id makes no difference."""
    gone = {video_id.removeprefix("v_") for video_id in ids}
    return {video_id: items for video_id, items in records.items() if video_id.removeprefix("v_") not in gone}


def read_block_list(path: str | Path) -> tuple[str, ...]:
    """Video ids of a file: a JSON list, a JSON object (its keys), or a text with one id a line.

    Raises FileNotFoundError, and ValueError where ids are no texts or there is none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a list of video ids. Check the path.")
    lines = _lines(path)
    if lines and lines[0].lstrip()[0] in "[{":
        content = read_json(path, "a list of video ids")
        ids = list(content) if isinstance(content, list | dict) else []
    else:
        ids = [line.split("#")[0].strip() for line in lines]
        ids = [video_id for video_id in ids if video_id]
    if not ids or not all(isinstance(video_id, str) and video_id for video_id in ids):
        raise ValueError(f'{path}: holds no list of ids; expected ["id", ...] or one id a line.')
    return tuple(dict.fromkeys(ids))
