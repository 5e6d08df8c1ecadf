"""The kinds of error of a detection, named once for evaluation, widgets and their JavaScript.

After Alwassel et al., Diagnosing Error in Temporal Action Detectors, ECCV 2018. Needs the standard library only.
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What a prediction is, by the ground truth it overlaps most. The values are what is shown and stored."""

    TRUE_POSITIVE = "true positive"
    DOUBLE_DETECTION = "double detection"  # label and place are right, but another prediction found the instance
    WRONG_LABEL = "wrong label"  # the place is right
    LOCALISATION = "localisation"  # the label is right, the boundaries are off
    CONFUSION = "confusion"  # the label is wrong and the boundaries are off
    BACKGROUND = "background"  # hardly overlaps an instance, or none
    LEFT_OUT = "left out"  # counts for nothing: forgiven by the protocol, or below the least score


COUNTED = tuple(kind for kind in ErrorKind if kind is not ErrorKind.LEFT_OUT)
WRONG = tuple(kind for kind in COUNTED if kind is not ErrorKind.TRUE_POSITIVE)


def name_error(tiou: float, same_label: bool, *, enough: float, low: float) -> ErrorKind:
    """Return what is wrong with a prediction that matches no ground truth.

    tiou and same_label: of the ground truth it overlaps most. enough: the tIoU of a match. low: the tIoU below which it
    is background.
    """
    if tiou < low:
        return ErrorKind.BACKGROUND
    if tiou >= enough:
        return ErrorKind.DOUBLE_DETECTION if same_label else ErrorKind.WRONG_LABEL
    return ErrorKind.LOCALISATION if same_label else ErrorKind.CONFUSION
