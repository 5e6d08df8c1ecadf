"""The log beside a clean copy: one row for each instance and each fact of a video that the copy has otherwise.

From copy and log come the original instances again: take from the copy every (new video, new label, new start, new
end), and put back (video, old label, old start, old end). A row without new label says that its instance was left out.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from losa.files import write_text

Instance = tuple[str, float, float]
COLUMNS = ("video", "what", "old_label", "old_start", "old_end", "new_video", "new_label", "new_start", "new_end",
           "field", "old", "new")  # fmt: skip


@dataclass
class ChangeLog:
    """The rows so far, in the order of the file."""

    rows: list[dict] = field(default_factory=list)

    def add_instance(self, video: str, old: Instance, why: list[str], new_video: str = "",
                     new: Instance | None = None) -> None:
        """Log an instance, and what has become of it; without `new` it was left out."""
        row = {"video": video, "what": "; ".join(why)} | dict(zip(COLUMNS[2:5], old, strict=True))
        self.rows.append(row | ({} if new is None else dict(zip(COLUMNS[5:9], (new_video, *new), strict=True))))

    def add_fact(self, video: str, what: str, name: str, old: object, new: object) -> None:
        """Log a fact of a video, such as its "subset", that was `old` in the file; None where there is none."""
        self.rows.append({"video": video, "what": what, "field": name, "old": old, "new": new})

    def write(self, path: Path) -> None:
        """Write the rows as a CSV, times to their last digit."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())


def log_beside(copy: Path) -> Path:
    """Return the path of a copy's log: clean.csv.changes.csv beside clean.csv."""
    return copy.with_name(f"{copy.name}.changes.csv")
