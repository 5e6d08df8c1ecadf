"""The timeline: a video and under it lanes of ground truth and predictions, judged and scored live."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import traitlets
from matplotlib.figure import Figure

from widgets import figures
from widgets.base import View, parts, plain_json
from widgets.share import POSTERS, video_source
from widgets.verdicts import verdicts


class Timeline(View):
    """A video and its segments: `tracks` is {name: [{"segment": [start, end], "label", "score"}]}, truth first.

    video: path of the file, or None. duration: of the video, seconds. fps: frames per second, for steps of a frame.
    classes: labels in the order that fixes their colours. ap: {track: {"video": table, "data": table}} for the live
    mAP; a table is {"thresholds": [0, 0.01, ...], "average": {label: [average AP of the records with score >= it]}}.
    rescore: {track: f}, soft-NMS with another sigma: f(sigma, video_id) -> {"records", "table"} of this video,
    f(sigma, None, progress=g) -> {"table"} of the data set, g(done, total). frames: times in seconds -> JPEG bytes,
    for a strip of pictures where the video cannot be shown.

    Traits. source, video_bytes, poster: the video, as `widgets.share` gets it to the browser. lanes: names from the
    top. tracks: as given, and for each record `verdict` (see `widgets.verdicts`; of a ground truth "found" or
    "missed"), `tiou`, `other` (index of the ground truth it is about), `row`, for a ground truth `found`
    {track: score of the prediction that finds it}. colours: {label: #rrggbb}. duration, fps. tiou: needed to be
    right. min_score: less is hidden. shown_classes: labels. sigma: of soft-NMS; set it by `suppress`. selected:
    [track, index in its records] or None. speed: of playing. loop: the selected segment. ap. title.
    """

    _esm, _css = parts("timeline", "js"), parts("timeline", "css")
    title = traitlets.Unicode("").tag(sync=True)
    source = traitlets.Dict({"kind": "none", "path": "", "message": ""}).tag(sync=True)
    video_bytes = traitlets.Bytes(b"").tag(sync=True)
    poster = traitlets.List().tag(sync=True)
    lanes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tracks = traitlets.Dict().tag(sync=True)
    colours = traitlets.Dict().tag(sync=True)
    duration = traitlets.Float(1.0).tag(sync=True)
    fps = traitlets.Float(None, allow_none=True).tag(sync=True)
    tiou = traitlets.Float(0.5).tag(sync=True)
    min_score = traitlets.Float(0.25).tag(sync=True)
    shown_classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sigma = traitlets.Float(0.5).tag(sync=True)
    suppressible = traitlets.Bool(False).tag(sync=True)
    selected = traitlets.List(None, allow_none=True).tag(sync=True)
    speed = traitlets.Float(1.0).tag(sync=True)
    loop = traitlets.Bool(False).tag(sync=True)
    ap = traitlets.Dict().tag(sync=True)

    def __init__(self, video: str | Path | None, tracks: Mapping, *, duration: float, fps: float | None = None,
                 classes: Sequence[str] | None = None, title: str = "", tiou: float = 0.5, min_score: float = 0.25,
                 ap: Mapping | None = None, rescore: Mapping[str, Callable] | None = None, sigma: float = 0.5,
                 frames: Callable | None = None, video_id: str = "") -> None:
        super().__init__()
        self.on_msg(self._answer)
        self.show(video, tracks, duration=duration, fps=fps, classes=classes, title=title, tiou=tiou, ap=ap,
                  min_score=min_score, rescore=rescore, sigma=sigma, frames=frames, video_id=video_id)

    def show(self, video: str | Path | None, tracks: Mapping, *, duration: float, fps: float | None = None,
             classes: Sequence[str] | None = None, title: str = "", tiou: float = 0.5, min_score: float = 0.25,
             ap: Mapping | None = None, rescore: Mapping[str, Callable] | None = None, sigma: float = 0.5,
             frames: Callable | None = None, video_id: str = "") -> None:
        """Puts another video in place of this one; arguments as in making one. Raises ValueError."""
        if not tracks or not (math.isfinite(duration) and duration > 0):
            raise ValueError(f"{len(tracks)} tracks over {duration} seconds; give at least one track (the first is the "
                             "ground truth, its list may be empty) and the duration of the video in seconds")
        if strange := sorted({*(ap or {}), *(rescore or {})} - {*list(tracks)[1:]}):
            raise ValueError(f"ap or rescore of {', '.join(map(repr, strange))}: no prediction track has this name; "
                             f"the tracks are {', '.join(map(repr, tracks))}, the first being the ground truth")
        given = {str(name): plain_json(list(records)) for name, records in tracks.items()}
        ap, labels = plain_json(ap or {}), {str(r["label"]) for records in given.values() for r in records}
        rest = labels | {label for tables in ap.values() for t in tables.values() if t for label in t["average"]}
        self.classes = [*(classes or ()), *sorted(rest - {*(classes or ())})]
        self.video, self.frames, self.video_id, self.rescore = video, frames, video_id, dict(rescore or {})
        source, data = video_source(video)
        self.selected = None  # before the records that it is about
        with self.hold_sync():
            self.tiou, self.min_score, self.sigma, self.title = tiou, min_score, sigma, title
            self.duration, self.fps, self.current_time, self.span = duration, fps, 0.0, [0.0, float(duration)]
            self.colours = figures.class_colours(self.classes)
            self.shown_classes, self.suppressible, self.ap = list(self.classes), bool(self.rescore), ap
            self.lanes, self.tracks = list(given), judged(given, tiou)
            self.source, self.video_bytes = source, data
            self.poster = self._strip() if source["kind"] == "none" and video is not None else []

    @traitlets.observe("tiou")
    def _judge_again(self, change: Mapping) -> None:
        self.tracks = judged({name: self.tracks[name] for name in self.lanes if name in self.tracks}, change["new"])

    @property
    def selected_record(self) -> dict | None:
        """The selected segment's record, with its verdict."""
        return dict(self.tracks[self.selected[0]][self.selected[1]]) if self.selected else None

    @property
    def frame(self) -> int | None:
        """Index of the video's frame at the playhead; None where `fps` is not known."""
        return math.floor(self.current_time * self.fps + 1e-6) if self.fps else None

    @property
    def live_map(self) -> dict[str, dict[str, float | None]]:
        """{track: {"video", "data"}}: average mAP (0..1) of the shown classes from the score threshold on, or None."""
        return {name: {kind: self._mean_ap(tables.get(kind)) for kind in ("video", "data")}
                for name, tables in self.ap.items()}

    def _mean_ap(self, table: Mapping | None) -> float | None:
        if not table:
            return None
        at = [i for i, t in enumerate(table["thresholds"]) if t >= self.min_score - 1e-9]
        shown, place = set(self.shown_classes), (at or [len(table["thresholds"]) - 1])[0]
        values = [row[place] for label, row in table["average"].items() if label in shown]
        return sum(values) / len(values) if values else None

    def suppress(self, sigma: float, data_set: bool = True) -> None:
        """Runs soft-NMS with this sigma again: of this video's tracks, and for the mAP of the whole data set."""
        done = {name: f(sigma, self.video_id) for name, f in self.rescore.items()}
        tracks = {name: plain_json(list(done[name]["records"])) if name in done else self.tracks[name]
                  for name in self.lanes}
        self.selected = None
        with self.hold_sync():
            self.sigma, self.tracks = sigma, judged(tracks, self.tiou)
            self.ap = self.ap | {name: {"video": plain_json(found["table"]), "data": None}
                                 for name, found in done.items()}
        for i, (name, f) in enumerate(self.rescore.items() if data_set else ()):
            told = lambda n, total, i=i: self.send({"kind": "progress", "done": i + n / total,  # noqa: E731
                                                    "total": len(self.rescore)})
            table = plain_json(f(sigma, None, progress=told)["table"])
            self.ap = self.ap | {name: self.ap[name] | {"data": table}}

    def figure(self) -> Figure:
        """The lanes as they are shown, all of the video, as a matplotlib figure."""
        shown = set(self.shown_classes)
        return figures.timeline({name: [r for r in self.tracks[name] if r["label"] in shown] for name in self.lanes},
                                self.duration, classes=self.classes, min_score=self.min_score, tiou=self.tiou,
                                title=self.title)

    def save(self, path: str | Path) -> Path:
        """The path of that figure as a .png, .svg or .pdf file."""
        if Path(path).suffix.lower() not in {".png", ".svg", ".pdf"}:
            raise ValueError(f"{path}: expected a name that ends in .png, .svg or .pdf; for a page use to_html")
        self.figure().savefig(path, dpi=200, bbox_inches="tight")
        return Path(path)

    def _strip(self) -> list[dict]:
        times = [(i + 0.5) * self.duration / POSTERS for i in range(POSTERS)]
        pictures = self.frames(times) if self.frames else []
        return [{"time": time, "jpeg": bytes(jpeg)} for time, jpeg in zip(times, pictures, strict=False)]

    def _answer(self, _: View, content: Mapping, buffers: Sequence) -> None:
        try:
            if content.get("kind") == "suppress":
                self.suppress(float(content["sigma"]), bool(content["data_set"]))
            elif content.get("kind") == "poster":
                self.poster = self._strip()
        except Exception as error:
            self.send({"kind": "failed", "text": f"{type(error).__name__}: {error}"})
            raise
        self.send({"kind": "done"})


def judged(tracks: Mapping[str, Sequence[Mapping]], tiou: float) -> dict[str, list[dict]]:
    """The tracks with each record's verdict, tIoU, other and row, the first track being the ground truth."""
    name, *others = tracks
    truth = [{**r, "score": figures.score_of(r), "tiou": None, "other": None, "found": {}} for r in tracks[name]]
    done = {name: truth}
    for other in others:
        verdict, found = verdicts(truth, tracks[other], tiou)
        done[other] = [{**r, "score": figures.score_of(r), **v} for r, v in zip(tracks[other], verdict, strict=True)]
        for record, by in zip(truth, found, strict=True):
            record["found"] |= {} if by is None else {other: figures.score_of(tracks[other][by])}
    for records in done.values():
        for record, row in zip(records, figures.stack_rows(records), strict=True):
            record["row"] = row
    for record in truth:
        record["verdict"] = "found" if record["found"] else "missed"
    return done
