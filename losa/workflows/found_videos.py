"""Look through the videos that `predict_videos` found actions in: a choice of videos, and the timeline of one."""

import html
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as w

from losa.errors import VideoError
from losa.reports.score_notes import describe_none_shown, find_best
from losa.video.convert import normalise
from widgets.base import Quiet
from widgets.share import unplayable, video_source
from widgets.shown import Shown
from widgets.timeline import Timeline

Number = int | float
SLIDER = "lower the slider `score at least`"


class FoundVideos(Shown, w.VBox):
    """A choice of videos and the timeline of the chosen one; Python may also set `choice.value`.

    lanes: {video: {lane: records}}, see `own_videos.list_lanes`; where a video has several, the first is the truth.
    videos: {video: {"path", "duration", "fps"}}, as `predict_videos` returns. copies: a folder for copies of videos
    that a notebook's browser does not get or does not play: made once, when the video is chosen.
    Attributes. choice: the dropdown. timeline: the widget. message: what is said above it.
    """

    def __init__(self, lanes: Mapping[str, Mapping[str, Sequence[Mapping]]], videos: Mapping[str, Mapping],
                 copies: str | Path, *, classes: Sequence[str] = (), min_score: Number = 0.25) -> None:
        self._lanes, self._videos, self._copies = lanes, videos, Path(copies)
        self._said, self._copied = w.HTML(), ""
        self._kept = {"classes": list(classes), "tiou": 0.5}
        options = [(f"{name}: {self._count(name, min_score)}", name) for name in lanes]
        self.choice = w.Dropdown(description="video", options=options, layout={"width": "auto"})
        self.timeline = Timeline(**self._view(self.choice.value), min_score=min_score)
        super().__init__([*([self.choice] if len(lanes) > 1 else []), self._said, self.timeline, Quiet()])
        self.choice.observe(self._show, "value")
        self.timeline.observe(self._say, "min_score")
        self._say()

    def _view(self, name: str) -> dict:
        """Return the keywords of the video's timeline."""
        video, lanes = self._videos[name], self._lanes[name]
        path, self._copied = make_watchable(Path(video["path"]), self._copies / f"{name}.mp4")
        return {"video": path, "tracks": {lane: [{"score": 1.0, **r} for r in records]
                                          for lane, records in lanes.items()},
                "duration": float(video["duration"]), "fps": video["fps"], "title": name, "video_id": name,
                "has_truth": len(lanes) > 1, **self._kept}

    def _show(self, _change: Mapping) -> None:
        self.timeline.show(**self._view(self.choice.value), min_score=self.timeline.min_score)
        self._say()

    def _say(self, _change: Mapping | None = None) -> None:
        """Say that the threshold hides everything, and that a copy is shown, where that is so."""
        best, least = find_best(self._found(self.choice.value)), self.timeline.min_score
        self.message = "\n".join(filter(None, (describe_none_shown(best, least, SLIDER), self._copied)))
        self._said.value = "".join(f'<p role="status">{html.escape(line)}</p>' for line in self.message.splitlines())

    def _found(self, name: str) -> Sequence[Mapping]:
        """Return what was found in a video: its last lane."""
        return [*self._lanes[name].values()][-1]

    def _count(self, name: str, min_score: Number) -> str:
        records = self._found(name)
        number = sum(record["score"] >= min_score for record in records)
        if number:
            return f"{number} segment{'s' * (number != 1)}"
        return describe_none_shown(find_best(records), min_score, "").rstrip(": ")


def make_watchable(path: Path, copy: Path) -> tuple[Path, str]:
    """Return a file that a notebook's browser can show, and what was done: the video itself where it can, else `copy`.

    What browsers do not play is encoded anew, once. What is only too large to be sent, and lies where Jupyter does not
    look, is linked. Where that fails, the video itself comes back with the reason.
    """
    if not path.is_file() or video_source(path)[0]["kind"] != "none":
        return path, ""
    strange = unplayable(path)
    try:
        if not copy.exists() or copy.stat().st_mtime < path.stat().st_mtime:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            normalise(path, copy) if strange else link_or_copy(path, copy)
    except (VideoError, OSError) as error:
        return path, f"no playable copy of {path.name} could be made: {getattr(error, 'why', error)}"
    if video_source(copy)[0]["kind"] == "none":
        return path, ""  # the timeline says why
    why = strange or "lies where Jupyter does not look, and is too large to be sent"
    return copy, f"{path.name} {why}: shown is a copy, {copy}"


def link_or_copy(path: Path, copy: Path) -> None:
    """Make `copy` a second name of the file, or copy it where the disk has no such thing."""
    try:
        os.link(path, copy)
    except OSError:
        shutil.copy(path, copy)
