"""Names that people give to stretches without an action, in any spelling."""

from functools import cache

from losa.label_files.table import plain

NOTHING = {"background", "background class", "bg", "no action", "noaction", "none", "null", "nothing", "n/a", "na",
           "action start", "action end", "sil", "unlabeled", "unlabelled", "undefined", "-1"}
AMBIGUOUS = "ambiguous"


@cache
def means_nothing(label: str) -> bool:
    """Return whether a label names no action: background, none, action_start, -1, Ambiguous and their like."""
    return label.strip() == "-1" or plain(label) in NOTHING | {AMBIGUOUS}


def is_ambiguous(label: str) -> bool:
    """Return whether a label marks a stretch in which even people could not tell, as THUMOS-14's Ambiguous does."""
    return plain(label) == AMBIGUOUS
