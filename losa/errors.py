"""The errors that losa raises on purpose: their message says what was given, what was expected and what to do."""

from pathlib import Path


class LosaError(Exception):
    """The base of every error below. The `losa` command prints these as one line, without a traceback."""


class Note(UserWarning):
    """What was understood otherwise than written, or chosen; nothing is lost. Commands print it as "note: ..."."""


class ConfigError(LosaError, ValueError):
    """A field is unknown, has a wrong value, or contradicts another."""


class CheckpointError(LosaError, ValueError):
    """A checkpoint belongs to another backbone or class list, or cannot be read."""


class FeatureError(LosaError, ValueError):
    """Feature files are missing, do not fit each other, or contradict what was said of them."""


class EvaluationError(LosaError, ValueError):
    """Predictions, ground truth, a protocol or a test set cannot be used to evaluate."""


class NoTruthError(EvaluationError):
    """A ground truth file has no instance in the subset that is asked for."""


class CardError(LosaError, ValueError):
    """There is no card to be had from what was given."""


class AnnotationError(LosaError, ValueError):
    """What is wrong with an annotation file, where, and what to do."""


class RunError(LosaError, ValueError):
    """A folder holds no run, one that has not ended, or one whose data are not where they were."""


class OwnVideoError(LosaError, ValueError):
    """There is nothing to predict on, or the run cannot predict on videos."""


class CacheError(LosaError, RuntimeError):
    """A cached file is damaged, values cannot be kept in fp16, or videos could not be computed."""


class VideoError(LosaError, ValueError):
    """Says which file cannot be used and why: `path`, `why`."""

    def __init__(self, path, why: str):
        super().__init__(str(path), why)  # both are args, so that it leaves a worker process whole
        self.path, self.why = Path(path), why

    def __str__(self):
        return f"{self.path}: {self.why}"


class TrainingError(LosaError, RuntimeError):
    """Training cannot go on; the message says where and what to change."""


class ClassifierError(LosaError, ValueError):
    """What is wrong with a file of video-level scores, or with using it here."""


class SweepError(LosaError, ValueError):
    """A sweep that cannot begin: what was given, what was expected, what to do."""


class StudyError(LosaError, ValueError):
    """A part is unknown, or what it builds on is missing."""
