"""Choose published test sets by name: how large they are, which videos they leave out, and block lists."""

import warnings
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from losa.errors import EvaluationError
from losa.evaluation.records import Records, count_instances, read_json, read_utf8

# What papers leave out of THUMOS-14's 213 test videos, each group other ones.
_NO_INSTANCE = "video_test_0001292"  # has ambiguous stretches only, no instance of a class
_WRONG = "video_test_0000270"  # 22 of its 29 instances lie behind the end of the video
_WRONG_TOO = "video_test_0001496"  # its instances are said not to fit what is seen


class NamedSet(NamedTuple):
    """A test set in use: what it leaves out, and how large those who use it say it is (None: nobody says)."""

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
    """Return the truth without what the test set of this name leaves out.

    Warns where the numbers of videos or instances are not those that are published for the set. Leave out predictions
    in these videos as well: `leave_out(predictions, TEST_SETS[name].left_out)`.

    Raises EvaluationError for an unknown name.
    """
    chosen = select_test_set(truth, name)
    complaint = compare_counts(chosen, name)
    if complaint:
        warnings.warn(complaint, stacklevel=2)
    return chosen


def select_test_set(truth: Records, name: str) -> Records:
    """Do as `choose_test_set`, without a look at the counts. Raises EvaluationError for an unknown name."""
    if name not in TEST_SETS:
        near = get_close_matches(name, TEST_SETS, n=1)
        raise EvaluationError(
            f'no test set "{name}"{f"; did you mean {near[0]}?" if near else ""}. Known: {", ".join(TEST_SETS)}.'
        )
    return leave_out(truth, TEST_SETS[name].left_out)


def compare_counts(chosen: Records, name: str) -> str:
    """Return in what the counts of a truth differ from those published for this test set; empty where they do not."""
    wanted, num_videos, num_instances = TEST_SETS[name], len(chosen), count_instances(chosen)
    if num_videos == wanted.num_videos and wanted.num_instances in (None, num_instances):
        return ""
    instances = f" with {wanted.num_instances:,} instances" if wanted.num_instances else ""
    return (
        f"{name}: this ground truth gives {num_videos:,} videos with {num_instances:,} instances, where {wanted.who} "
        f"have {wanted.num_videos:,} videos{instances}: not the same test set."
        + (f" ({wanted.advice}.)" if wanted.advice else "")
    )


def leave_out(records: Records, ids: Iterable[str]) -> Records:
    """Return the records, truth or predictions, of all other videos; "v_" in front of an id makes no difference."""
    gone = {video_id.removeprefix("v_") for video_id in ids}
    return {video_id: items for video_id, items in records.items() if video_id.removeprefix("v_") not in gone}


def read_block_list(path: str | Path) -> tuple[str, ...]:
    """Read video ids from a file: a JSON list, a JSON object (its keys), or a text with one id a line.

    Raises FileNotFoundError, and EvaluationError where ids are not texts or there is none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a list of video ids. Check the path.")
    lines = [line for line in read_utf8(path).splitlines() if line.strip()]
    if lines and lines[0].lstrip()[0] in "[{":
        content = read_json(path, "a list of video ids")
        ids = list(content) if isinstance(content, list | dict) else []
    else:
        ids = [line.split("#")[0].strip() for line in lines]
        ids = [video_id for video_id in ids if video_id]
    if not ids or not all(isinstance(video_id, str) and video_id for video_id in ids):
        raise EvaluationError(f'{path}: holds no list of ids; expected ["id", ...] or one id a line.')
    return tuple(dict.fromkeys(ids))
