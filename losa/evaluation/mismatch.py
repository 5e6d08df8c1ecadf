"""One way in which predictions and ground truth do not fit, in words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np

SHOWN = 5  # examples of a kind


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


def many(count: int, noun: str) -> str:
    """Return "1 video", or "2 videos"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def segments(rows: Sequence[dict]) -> np.ndarray:
    """Return the segments of records as float64 (N, 2)."""
    return np.array([row["segment"] for row in rows], dtype=np.float64).reshape(-1, 2)
