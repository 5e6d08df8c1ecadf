"""Evaluate a predictions file against a file of ground truth, and say first in what they do not fit."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from losa.annotations.dataset import load_annotations
from losa.errors import Note
from losa.evaluation import amend
from losa.evaluation.average_precision import evaluate
from losa.evaluation.card import evaluation_card
from losa.evaluation.ground_truth import describe_truth
from losa.evaluation.mismatch import Mismatch, MismatchWarning
from losa.evaluation.mismatches import find_mismatches
from losa.evaluation.records import Records, Truth, choose_subset, read_predictions, read_truth
from losa.evaluation.test_sets import TEST_SETS, choose_test_set, leave_out, read_block_list
from losa.label_files.source import AS_RECOGNISED, Reading


def evaluate_file(
    predictions: str | Path, ground_truth: str | Path, subset: str = "", *,
    tiou: Sequence[int | float] = (0.3, 0.4, 0.5, 0.6, 0.7), protocol: str = "activitynet", test_set: str = "",
    block_list: str | Path | None = None, class_agnostic: bool = False, cleaned: bool = False,
    reading: Reading = AS_RECOGNISED, label_key: str = "", rename: Sequence[str] = (), match_ids: bool = False,
    times: str = "",
) -> dict:  # fmt: skip
    """Return the evaluation as a dict, with its "subset", its "card" and its "mismatches".

    predictions: a file, or a run's folder. subset, label_key: see `records`. reading: how to read the ground truth;
    its classes name class numbers of both files. class_agnostic: all classes count as one. cleaned: the ground truth
    as training reads it (segments clipped to their video, none of zero length or repeated), not as published. rename,
    match_ids, times (of the predictions): see `amend`.

    Warns of what does not fit, the worst first, then of what was read otherwise than written. Raises what the readers
    raise, and EvaluationError for an unknown protocol, test set or threshold.
    """
    predictions = Path(predictions) / "predictions.json" if Path(predictions).is_dir() else Path(predictions)
    with warnings.catch_warnings(record=True) as said:  # shown after what does not fit
        warnings.simplefilter("always")
        given = (read_cleaned if cleaned else read_truth)(ground_truth, subset, reading=reading)
        if reading.fps:  # where the file says none, for times of predictions
            given = replace(given, fps={**dict.fromkeys(given.records, float(reading.fps)), **given.fps})
        found = read_predictions(predictions, classes=reading.classes, label_key=label_key,
                                 need_label=not class_agnostic)
        records = _amended(given, found, rename, match_ids, times)
        truth, records = _select(given, records, test_set, block_list)
    if class_agnostic:
        truth = replace(truth, records=amend.merge_classes(truth.records), classes=("action",))
        records = amend.merge_classes(records)
    mismatches = find_mismatches(truth, records)
    warn_of(mismatches)
    for warning in said:
        warnings.warn(warning.message, stacklevel=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MismatchWarning)  # said above
        result = evaluate(truth.records, records, tiou, protocol).to_dict()
    result["subset"], result["mismatches"] = truth.subset, [mismatch.to_dict() for mismatch in mismatches]
    result["card"] = evaluation_card(result, predictions, ground_truth, subset=truth.subset, test_set=test_set,
                                     left_out=given.records.keys() - truth.records.keys())  # fmt: skip
    return result


def warn_of(mismatches: Sequence[Mismatch]) -> None:
    """Warn of every mismatch, in their order."""
    for mismatch in mismatches:
        warnings.warn(str(mismatch), Note if mismatch.level == "note" else MismatchWarning, stacklevel=3)


def read_cleaned(path: str | Path, subset: str, *, reading: Reading = AS_RECOGNISED) -> Truth:
    """Read the ground truth of a subset as training reads it. Raises AnnotationError and EvaluationError."""
    annotations = load_annotations(path, reading=reading)
    chosen = choose_subset(path, subset, {name: count for name, (_, count) in annotations.subsets.items()})
    return describe_truth(annotations, annotations.subset(chosen), chosen)


def _amended(truth: Truth, predictions: Records, rename: Sequence[str], match_ids: bool, times: str) -> Records:
    """Return the predictions, changed as asked for."""
    if rename:
        predictions = amend.rename_labels(predictions, rename)
    if match_ids:
        predictions, count = amend.match_ids(truth, predictions)
        warnings.warn(f"--match-ids: {count} of {len(predictions)} video ids are taken for those of the ground truth",
                      stacklevel=3)  # fmt: skip
    return amend.convert_times(truth, predictions, times) if times else predictions


def _select(truth: Truth, predictions: Records, test_set: str, block_list: str | Path | None
            ) -> tuple[Truth, Records]:  # fmt: skip
    """Return both without the videos that are left out."""
    left_out = set(read_block_list(block_list) if block_list else ())
    if left_out and not left_out & (truth.records.keys() | predictions.keys()):
        warnings.warn(f"--block-list {block_list}: none of its {len(left_out)} ids, '{min(left_out)}' the first, is a "
                      f"video of the ground truth or the predictions, so nothing is left out; expected ids such as "
                      f"'{next(iter(truth.records), '')}'", stacklevel=3)  # fmt: skip
    kept = leave_out(truth.records, left_out)
    if test_set:
        kept = choose_test_set(kept, test_set)
        left_out |= set(TEST_SETS[test_set].left_out)
    records = leave_out(predictions, left_out)
    dropped = sum(map(len, predictions.values())) - sum(map(len, records.values()))
    if dropped:
        warnings.warn(f"{dropped} predictions lie in videos that are left out; they do not count", stacklevel=3)
    return replace(truth, records=kept), records
