"""What people say of a run's segments: "label wrong", "ambiguous" or "model wrong", and a note; kept beside the run."""

import warnings
from pathlib import Path

import pandas as pd

from losa.errors import RunError
from losa.evaluation.records import Records
from losa.evaluation.tagged import FILE, KINDS, TAGS, find_tagged, read_tags
from losa.files import write_json, write_text
from losa.inspection.error_table import find_most_overlapping

Number = int | float
COLUMNS = ["video", "kind", "label", "start", "end", "tag", "note", "there"]
PROPOSED = ["video", "start", "end", "label", "proposed", "proposed_start", "proposed_end", "score", "note"]


class Tags:
    """The tags of a run, read from tags.json in its folder and written there at every change.

    A tag belongs to a video, a kind ("truth" or "prediction"), a label and a segment, so that it survives a new
    `losa test`. Warns of tags whose segment is not there any more; they stay in the file. truth, predictions: what the
    run holds. Raises EvaluationError where tags.json cannot be read.
    """

    def __init__(self, run: str | Path, truth: Records, predictions: Records) -> None:
        self.run, self.records = Path(run), {"truth": truth, "prediction": predictions}
        self.gone: list[dict] = []
        self._read()
        if self.gone:
            shown = "; ".join(f"{tag['label']!r} in {tag['video']}" for tag in self.gone[:3])
            warnings.warn(f"{self.run / FILE}: {len(self.gone)} of {len(self.all)} tags are about segments that are "
                          f"not there any more ({shown}{', ...' if len(self.gone) > 3 else ''}); they are kept, and "
                          "run.tags.forget_gone() takes them out", stacklevel=2)

    def _read(self) -> None:
        """Read the file, which somebody else may have changed, and find what its tags are about."""
        self.all = read_tags(self.run)
        self._found = find_tagged(self.all, self.records["truth"], self.records["prediction"])
        self.gone = [tag for tag, i in zip(self.all, self._found, strict=True) if i is None]

    def places(self) -> dict[tuple[str, str, int], tuple[str, str]]:
        """Return {(video, kind, index): (tag, note)} of all tagged segments that are there."""
        return {(tag["video"], tag["kind"], i): (tag["tag"], tag["note"])
                for tag, i in zip(self.all, self._found, strict=True) if i is not None}

    def put(self, video: str, kind: str, index: int, tag: str, note: str = "") -> None:
        """Tag a segment, or take its tag away with tag "", and write the file.

        index: its place in the run's `truth` or `predictions` of that video. Raises RunError for an unknown tag or
        segment.
        """
        rows = self.records.get(kind, {}).get(video, [])
        if tag not in (*TAGS, "") or not 0 <= index < len(rows):
            raise RunError(f"tag {tag!r} for {kind} {index} of {video!r}: expected one of {', '.join(TAGS)} or '' for "
                           f"none, kind {' or '.join(KINDS)}, and the index of a segment, here below {len(rows)}")
        self._read()
        kept = [old for old, i in zip(self.all, self._found, strict=True)
                if (old["video"], old["kind"], i) != (video, kind, index)]
        new = {"video": video, "kind": kind, "label": rows[index]["label"],
               "segment": list(map(float, rows[index]["segment"])), "tag": tag, "note": note.strip()}
        self._write([*kept, new] if tag else kept)

    def forget_gone(self) -> int:
        """Take the tags whose segment is gone out of the file; return how many."""
        self._read()
        count = len(self.gone)
        self._write([tag for tag, i in zip(self.all, self._found, strict=True) if i is not None])
        return count

    def _write(self, tags: list[dict]) -> None:
        write_json(self.run / FILE, {"version": 1, "tags": tags})
        self._read()

    def table(self) -> pd.DataFrame:
        """Return a row per tag: video, kind, label, start, end (s), tag, note, there (whether its segment is)."""
        return pd.DataFrame([[tag["video"], tag["kind"], tag["label"], *tag["segment"], tag["tag"], tag["note"],
                              i is not None] for tag, i in zip(self.all, self._found, strict=True)], columns=COLUMNS)

    def proposals(self) -> pd.DataFrame:
        """Return a row per segment tagged "label wrong": what is annotated there, and what might be right.

        video; start, end, label: of the ground truth, empty where there is none; proposed, proposed_start,
        proposed_end, score: of the prediction. The other one of the two is that which overlaps the tagged one most.
        """
        rows = [[place[0], *self._propose(*place), note] for place, (tag, note) in self.places().items()
                if tag == "label wrong"]
        return pd.DataFrame(rows, columns=PROPOSED)

    def _propose(self, video: str, kind: str, index: int) -> list:
        """Return start, end and label of the ground truth, label, start, end and score of the prediction, or None."""
        record = self.records[kind][video][index]
        others = self.records["prediction" if kind == "truth" else "truth"].get(video, [])
        other = find_most_overlapping(record["segment"], others)
        truth, found = (record, other) if kind == "truth" else (other, record)
        return [*(truth["segment"] if truth else (None, None)), truth and truth["label"],
                found and found["label"], *(found["segment"] if found else (None, None)), found and found["score"]]

    def export(self, path: str | Path) -> Path:
        """Write all tags as a .csv or .json file, and the proposals beside it as NAME_proposals; return the path.

        Raises RunError for another ending.
        """
        path = Path(path)
        if path.suffix not in (".csv", ".json"):
            raise RunError(f"{path}: expected a name that ends in .csv or .json")
        path.parent.mkdir(parents=True, exist_ok=True)
        for place, table in ((path, self.table()), (path.with_stem(f"{path.stem}_proposals"), self.proposals())):
            if path.suffix == ".json":
                write_json(place, table.astype(object).where(table.notna(), None).to_dict("records"))
            else:
                write_text(place, table.to_csv(index=False))
        return path
