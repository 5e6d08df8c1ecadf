"""The timeline widget: a video and under it lanes of ground truth and predictions, judged and scored live."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import compress, pairwise
from pathlib import Path

from matplotlib.figure import Figure
from traitlets import Bool, Bytes, Dict, Float, List, Unicode, observe

from widgets import figures
from widgets.base import View, pack, parts, plain_json
from widgets.html import Html, element
from widgets.share import strip, video_source
from widgets.still import draw_lanes, explain, list_segments
from widgets.verdicts import judged, label_of, unjudged


def steps_only(ap: Mapping) -> dict:
    """Return the tables of a `Timeline` without the thresholds at which no AP changes before the next one."""
    ap = plain_json(ap)
    for table in [table for tables in ap.values() for table in tables.values() if table]:
        columns = [*zip(*table["average"].values(), strict=True)] or [()] * len(table["thresholds"])
        kept = [now != then for now, then in pairwise(columns)] + [True]
        table |= {"thresholds": [*compress(table["thresholds"], kept)],
                  "average": {label: [*compress(row, kept)] for label, row in table["average"].items()}}
    return ap


class Timeline(View):
    """A video with its segments: `tracks` is {name: [{"segment": [start, end], "label", "score"}]}, truth first.

    video: path of the file, or None. duration: of the video, seconds. fps: frames per second, for steps of a frame.
    classes: labels in the order that fixes their colours. ap: {track: {"video": table, "data": table}} for the live
    mAP; a table is {"thresholds": [0, 0.01, ...], "average": {label: [average AP of the records with score >= it]}}.
    rescore: {track: f}, soft-NMS with another sigma: f(sigma, video_id) -> {"records", "table"} of this video,
    f(sigma, None, progress=g) -> {"table"} of the data set, g(done, total). frames: times in seconds -> JPEG bytes,
    a strip of pictures where the video cannot be shown. has_truth: False where all tracks are predictions and none is
    right or wrong. run_colours: {prediction track: #rrggbb}, of what marks it; by default `figures.run_colours`.

    Traits. source, video_bytes, poster: the video, as `widgets.share` gets it to the browser. lanes: names from the
    top. tracks: as given, and of each record what `widgets.verdicts.judged` adds. colours: {label: #rrggbb}.
    run_colours. duration, fps. tiou: needed to be right. min_score: less is hidden. shown_classes: labels. sigma: of
    soft-NMS, set by `suppress`. selected: [track, index in its records] or None. speed, loop: how it plays. ap. title.
    """

    _esm, _css = parts("timeline", "js"), parts("timeline", "css")
    title, lanes = Unicode("").tag(sync=True), List(Unicode()).tag(sync=True)
    source = Dict({"kind": "none", "path": "", "message": ""}).tag(sync=True)
    video_bytes, poster = Bytes(b"").tag(sync=True), List().tag(sync=True)
    (tracks, ap), (colours, run_colours) = (pack(Dict()), pack(Dict())), (Dict().tag(sync=True), Dict().tag(sync=True))
    duration, fps = Float(1.0).tag(sync=True), Float(None, allow_none=True).tag(sync=True)
    tiou, min_score = Float(0.5).tag(sync=True), Float(0.25).tag(sync=True)
    has_truth = Bool(True).tag(sync=True)
    shown_classes, selected = List(Unicode()).tag(sync=True), List(None, allow_none=True).tag(sync=True)
    sigma, suppressible = Float(0.5).tag(sync=True), Bool(False).tag(sync=True)
    speed, loop = Float(1.0).tag(sync=True), Bool(False).tag(sync=True)

    def show(self, video: str | Path | None, tracks: Mapping, *, duration: float, fps: float | None = None,
             classes: Sequence[str] | None = None, title: str = "", tiou: float = 0.5, min_score: float = 0.25,
             ap: Mapping | None = None, rescore: Mapping[str, Callable] | None = None, sigma: float = 0.5,
             frames: Callable | None = None, video_id: str = "", has_truth: bool = True,
             run_colours: Mapping[str, str] | None = None) -> None:
        """Show another video in place of this one; arguments as in making one. Raises ValueError."""
        if not tracks or not (math.isfinite(duration) and duration > 0):
            raise ValueError(f"{len(tracks)} tracks over {duration} seconds; give at least one track (the first is the "
                             "ground truth, its list may be empty) and the duration of the video in seconds")
        runs = [*tracks][bool(has_truth):]
        strange = {*(ap or {}), *(rescore or {})} - {*[*tracks][1:]} | {*(run_colours or {})} - {*runs}
        if strange:
            raise ValueError(f"ap, rescore or run_colours of {', '.join(map(repr, sorted(strange)))}: no prediction "
                             f"track has this name; the tracks are {', '.join(map(repr, tracks))}, the first being the "
                             "ground truth")
        ap, given = steps_only(ap or {}), {str(name): plain_json(list(records)) for name, records in tracks.items()}
        labels = {label_of(name, r) for name, records in given.items() for r in records}
        labels |= {label for tables in ap.values() for table in tables.values() if table for label in table["average"]}
        self.classes = [*(classes or ()), *sorted(labels - {*(classes or ())})]
        self.video, self.frames, self.video_id, self.rescore = video, frames, video_id, dict(rescore or {})
        self.selected = None  # before the records that it is about
        with self.hold_sync():
            self.tiou, self.min_score, self.sigma, self.duration = map(float, (tiou, min_score, sigma, duration))
            self.title, self.fps, self.current_time, self.span = title, fps and float(fps), 0.0, [0.0, self.duration]
            self.shown_classes, self.colours = list(self.classes), figures.class_colours(self.classes)
            self.has_truth, self.lanes = bool(has_truth), list(given)
            self.run_colours = figures.run_colours(runs) | dict(run_colours or {})
            self.tracks = judged(given, tiou) if has_truth else unjudged(given)
            self.suppressible, self.ap = bool(self.rescore), ap
            (self.source, self._bytes), self.video_bytes = video_source(video), b""  # until a browser asks
            self.poster = strip(self) if self.source["kind"] == "none" else []

    @observe("tiou")
    def _judge_again(self, _change: Mapping) -> None:
        self.tracks = judged(self.tracks, self.tiou) if self.tracks and self.has_truth else self.tracks

    @property
    def selected_record(self) -> dict | None:
        """The selected segment's record, with its verdict, or None."""
        name, index = self.selected or ("", 0)
        return next(map(dict, self.tracks.get(name, ())[index:]), None)  # None, too, if fewer took its track's place

    @property
    def frame(self) -> int | None:
        """Index of the video's frame at the playhead, the last one at its end; None where `fps` is not known."""
        return math.floor(min(self.current_time, self.duration - 1e-6) * self.fps + 1e-6) if self.fps else None

    @property
    def live_map(self) -> dict[str, dict[str, float | None]]:
        """{track: {"video", "data"}}: average mAP (0..1) of the shown classes from the score threshold on, or None."""
        return {name: {kind: self._look_up(tables.get(kind)) for kind in ("video", "data")}
                for name, tables in self.ap.items()}

    def _look_up(self, table: Mapping | None) -> float | None:
        at = next((i for i, t in enumerate((table or {}).get("thresholds", ())) if t >= self.min_score - 1e-9), -1)
        values = [row[at] for label, row in table["average"].items() if label in self.shown_classes] if table else []
        return sum(values) / len(values) if values else None

    def suppress(self, sigma: float, data_set: bool = True) -> None:
        """Run soft-NMS again with this sigma, for this video and, if `data_set`, for the mAP of the whole data set."""
        results = {name: plain_json(dict(f(sigma, self.video_id))) for name, f in self.rescore.items()}
        tables = steps_only({name: {"video": found["table"], "data": None} for name, found in results.items()})
        self.selected = None
        with self.hold_sync():
            self.sigma, self.ap = sigma, self.ap | tables
            self.tracks = judged(self.tracks | {name: found["records"] for name, found in results.items()}, self.tiou)
        for i, (name, f) in enumerate(self.rescore.items() if data_set else ()):
            told = lambda n, of, i=i: self.send(  # noqa: E731
                {"kind": "progress", "done": (i + n / max(of, 1)) / len(self.rescore)})
            data = steps_only({name: {"data": f(sigma, None, progress=told)["table"]}})
            self.ap = self.ap | {name: tables[name] | data[name]}
        self.send({"kind": "done"})

    def figure(self) -> Figure:
        """Return the lanes of the whole video, as they are shown, as a matplotlib figure; without ignored segments."""
        shown = {name: [r for r in self.tracks[name] if r["label"] in self.shown_classes
                        and r.get("verdict") not in ("ambiguous", "left out")] for name in self.lanes}
        return figures.timeline(shown, self.duration, classes=self.classes, min_score=self.min_score, tiou=self.tiou,
                                title=self.title, has_truth=self.has_truth)

    def line(self) -> str:
        """Return the title, the length and how many segments of each lane are shown."""
        shown = {name: sum(r["score"] >= self.min_score for r in self.tracks[name]) for name in self.lanes}
        lanes = ", ".join(f"{number} in {name}" for name, number in shown.items())
        return f"{type(self).__name__} {self.title or self.video_id}, {self.duration:.0f} s; segments: {lanes}"

    def save(self, path: str | Path) -> Path:
        """Save that figure as a .png, .svg or .pdf file and return its path. Raises ValueError for another ending."""
        if Path(path).suffix.lower() not in {".png", ".svg", ".pdf"}:
            raise ValueError(f"{path}: expected a name that ends in .png, .svg or .pdf; for a page use to_html")
        self.figure().savefig(path, dpi=200, bbox_inches="tight")
        return Path(path)

    def still(self, alone: bool = True) -> Html:
        """Return what an offline page shows where scripts are off: the lanes as a drawing, and a table of the segments.

        alone: with title and legend; else the page has them, and the table is folded away.
        """
        if alone:
            return element("div", element("p", self.title, class_="title"), draw_lanes(self), explain(self),
                           list_segments(self), class_="losa still")
        folded = element("details", element("summary", "as a table"), list_segments(self, tell=False))
        return element("div", draw_lanes(self), folded, class_="losa still")

    def _answer(self, _: View, content: Mapping, buffers: Sequence) -> None:
        if content.get("kind") == "poster":
            if self.video is not None and not Path(self.video).is_file():  # moved: a browser cannot tell
                self.source = video_source(self.video)[0]
            self.poster = strip(self)
        elif content.get("kind") == "video":
            self.video_bytes = self._bytes
        elif content.get("kind") == "suppress":
            try:
                self.suppress(float(content["sigma"]), bool(content["data_set"]))
            except Exception as error:
                self.send({"kind": "done", "failed": f"{type(error).__name__}: {error}"})
                raise
