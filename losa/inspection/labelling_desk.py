"""Label several videos, one after the other, in a timeline each; keep what was done and when."""

import time
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as w

from losa.annotations.dataset import Video
from losa.inspection.annotate import annotate
from widgets.annotate import Annotate
from widgets.base import Quiet
from widgets.shown import Shown


class LabellingDesk(Shown, w.VBox):
    """A choice of videos, and below it the timeline in which the chosen one is labelled; Python may set `choice.value`.

    proposals: {video: records with a score}, a lane to accept from. classes: to choose from. sessions: of what was
    done before, which is shown as it was left: its operations ("ops") are done once more, or its records loaded. keep:
    is given all sessions after every change, and when another video is chosen, so that they can be written.
    Attributes. choice: the dropdown. desks: {video: the timeline}, made when it is first chosen.
    """

    def __init__(self, videos: Sequence[Video], classes: Sequence[str], *, title: str = "",
                 proposals: Mapping[str, Sequence[Mapping]] | None = None, sessions: Sequence[Mapping] = (),
                 keep: Callable[[list[dict]], object] | None = None) -> None:
        self._videos, self._classes, self._proposals = {v.id: v for v in videos}, list(classes), proposals or {}
        self._keep, self._times = keep, {}
        self._before = {session["video"]: dict(session) for session in sessions if session.get("ended", True)}
        self.desks: dict[str, Annotate] = {}
        options = [(f"{i} of {len(self._videos)}: {name}", name) for i, name in enumerate(self._videos, start=1)]
        self.choice = w.Dropdown(description="video", options=options, layout={"width": "auto"})
        head = w.HBox([self.choice, w.Label(title)], layout={"flex_flow": "row wrap"})
        super().__init__([head, self._open(self.choice.value), Quiet()])
        self.choice.observe(self._show, "value")

    @property
    def timeline(self) -> Annotate:
        """The timeline of the chosen video."""
        return self.desks[self.choice.value]

    def _show(self, change: Mapping) -> None:
        self._times[change["old"]][1] = time.time()
        self.children = (self.children[0], self._open(change["new"]), self.children[2])
        self._kept(self.desks[change["new"]])

    def _kept(self, desk: Annotate) -> None:
        if self._keep:
            self._keep(self.sessions())
            desk.saved = list(desk.records)

    def _open(self, name: str) -> Annotate:
        """Return the timeline of a video, made when it is first asked for: then its time begins."""
        if name in self.desks:
            self._times[name][1] = 0.0
            return self.desks[name]
        before, found = self._before.get(name, {}), self._proposals.get(name)
        ops = before.get("ops", [])
        desk = annotate(self._videos[name].path, name, labels=[] if ops else before.get("records", []),
                        classes=self._classes, predictions={"proposals": found} if found else None, min_score=0.0)
        for op in ops:
            desk.edit(**op)
        desk.saved = list(desk.records) if self._keep else desk.saved  # as every change from now on
        self.desks[name], self._times[name] = desk, [time.time(), 0.0]
        desk.observe(lambda _: self._kept(desk), "changes")
        return desk

    def sessions(self) -> list[dict]:
        """Return what was done to each video by now; what was done before and not touched comes back as it was."""
        return [self._session(name) for name in self._videos]

    def _session(self, name: str) -> dict:
        before, desk = self._before.get(name), self.desks.get(name)
        if before and (desk is None or not desk.changes or "ops" in before):
            return before
        video, (began, ended) = self._videos[name], self._times.get(name, (0.0, 0.0))
        fps = None if video.fps is None else float(video.fps)
        facts = {"video": name, "duration": float(video.duration), "fps": fps}
        if desk is None:
            return facts | {"began": began, "ended": began, "records": [], "changes": []}
        changes = [*(before or {}).get("changes", []), *desk.changes]
        last = max([began, ended, *(change["at"] for change in changes)])
        return facts | {"began": (before or {}).get("began", began), "ended": last, "records": list(desk.records),
                        "changes": changes}
