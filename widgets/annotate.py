"""The timeline in which one can label: its first lane is edited by keys and mouse, and saved as a new file."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from traitlets import Dict, Int, List, Unicode, observe

from widgets import edits, figures
from widgets.base import HERE, View, parts, plain_json
from widgets.timeline import Timeline, unjudged
from widgets.verdicts import judged

PAGE_MB = 1.0  # of an annotation file that goes into the browser as a whole; of a larger one, this video
STATE = ("records", "changes", "undone", "made")


class Annotate(Timeline):
    """A `Timeline` whose first lane is edited; predictions below it can be accepted. Nothing is written before `save`.

    document: an annotation file in ActivityNet's layout that has `video_id`; saving puts the records in. write:
    f(document, changes, path or None) -> path of the new file, ValueError where it cannot. The other arguments are
    those of `Timeline`.

    Traits. records, changes, undone, made: see `widgets.edits`; a change also has "at" (seconds since 1970), "by" (key,
    mouse, button, python) and "presses", the keys and clicks since the change before. saved: the records on disk.
    classes: labels, the first nine by the keys 1 to 9. document, answer: of what the browser saves and is told.
    """

    _esm = "".join([parts("timeline", "js").replace("export default { render };", ""),
                    *((HERE / name).read_text("utf8") for name in ("edits.js", "annotate.js"))])
    _css = parts("timeline", "css") + (HERE / "annotate.css").read_text("utf8")
    records, changes, undone, saved = (List().tag(sync=True) for _ in range(4))
    made, classes, palette = Int(0).tag(sync=True), List(Unicode()).tag(sync=True), List(Unicode()).tag(sync=True)
    video_id, document, answer = Unicode("").tag(sync=True), Dict().tag(sync=True), Dict().tag(sync=True)

    def __init__(self, video, tracks, *, document, write, **given) -> None:
        self._whole, self._write = document, write
        super().__init__(video, tracks, **given)

    def show(self, video: str | Path | None, tracks: Mapping, *, document: Mapping | None = None,
             write: Callable | None = None, **given) -> None:
        """Show another video in place of this one, as `Timeline.show`; what was not saved of the one before is gone."""
        self._whole, self._write, self.lanes = document or self._whole, write or self._write, []
        state = edits.start(plain_json(list(next(iter(tracks.values()), ())), decimals=12))
        super().show(video, {name: records if i else state["records"] for i, (name, records) in
                             enumerate(tracks.items())}, **given)
        self._take(state)
        self.saved, self.palette = state["records"], [*figures.class_colours([*map(str, range(24))]).values()]
        this = {"database": {self.video_id: self._whole["database"][self.video_id]}}
        self.document = {**self._whole, **(this if len(json.dumps(self._whole)) > PAGE_MB * 1e6 else {})}

    def _take(self, state: Mapping) -> None:
        with self.hold_trait_notifications():
            for name in STATE:
                setattr(self, name, state[name])

    @observe("records")
    def _judge_edited(self, _change: Mapping) -> None:
        if self.lanes:
            tracks = {**{name: self.tracks[name] for name in self.lanes}, self.lanes[0]: self.records}
            self.tracks = judged(tracks, self.tiou) if self.has_truth else unjudged(tracks)

    @property
    def unsaved(self) -> int:
        """Number of records added, changed or removed since they were saved."""
        return edits.count_unsaved(self.records, self.saved)

    def edit(self, what: str, **values: object) -> list[dict]:
        """Do one operation of `widgets.edits.apply`, which raises ValueError, and return the records."""
        op = {"what": what, "at": time.time(), "by": "python", **values}
        self._take(edits.apply({name: getattr(self, name) for name in STATE}, op,
                               {"duration": self.duration, "fps": self.fps}))
        fresh = sorted({record["label"] for record in self.records} - {*self.classes})
        self.classes, self.shown_classes = [*self.classes, *fresh], [*self.shown_classes, *fresh]
        self.colours = figures.class_colours(self.classes)
        return self.records

    def save(self, path: str | Path | None = None) -> Path:
        """Write the labels as a new annotation file, the changes beside it, and return its path.

        path: by default a name beside the source that is still free. A name that ends in .png, .svg or .pdf gets the
        figure. Raises what `write` does where it cannot.
        """
        if path is not None and Path(path).suffix.lower() in {".png", ".svg", ".pdf"}:
            return super().save(path)
        changes = [{"video": self.video_id, **change} for change in self.changes]
        done = self._write(edits.filled(self._whole, self.video_id, self.records, self.classes), changes, path)
        self.saved = list(self.records)
        return done

    def _answer(self, view: View, content: Mapping, buffers: Sequence) -> None:
        if content.get("kind") != "save":
            return super()._answer(view, content, buffers)
        try:
            text = f"Saved as {self.save()}"
        except (ValueError, OSError) as error:
            text = f"Not saved: {error}"
        self.answer = {"number": self.answer.get("number", 0) + 1, "text": text}
        return None
