"""A browser of runs: choose runs, a class and a video; see timeline, errors, gates, features; tag what is wrong."""

import html
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import ipywidgets as w

from losa.errors import RunError
from losa.evaluation.tagged import TAGS
from losa.files import read_object
from losa.inspection import model_internals
from losa.inspection import timeline_data as timeline
from losa.inspection.error_table import diagnose_run
from losa.inspection.run_folder import Run, find_folder, find_runs, open_run
from losa.inspection.segments_view import segment_pictures, segments_view, why_nothing
from losa.inspection.tag_bar import TagBar
from widgets.base import Quiet, link
from widgets.compare import Compare
from widgets.diagnosis import Diagnosis
from widgets.features import Features
from widgets.gates import Gates
from widgets.segments import Segments
from widgets.shown import Shown, parts_of
from widgets.timeline import Timeline

ALL, ALONE = "all classes", "no second run"
ORDERS = {"name": None, "difficulty": "average_map", "errors": "errors"}  # columns of the table of videos
TABS = {"diagnosis": Diagnosis, "gates": Gates, "features": Features, "segments": Segments}
LISTS = ("diagnosis", "segments")  # tabs about all videos, in which a click opens one


class Explore(Shown, w.VBox):
    """Controls, a timeline and tabs; a tab is computed when it is opened. Python may also set the controls' `value`.

    root: a folder with runs at or below it. run, second, video: what is shown first, by default the best run. Raises
    RunError where one of them is not there.
    Attributes. controls: {"run", "compare", "class", "sort", "video"}. tabs. run, second: the open runs (second may be
    None). timeline, diagnosis, gates, features, segments: the widgets, None before they are shown. tag_bar: the tag of
    the segment selected in the timeline. message: what went wrong, "". note: why there is nothing to see, "".
    """

    def __init__(self, root: str | Path = "runs/", *, run: str = "", second: str = "", video: str = "") -> None:
        root = find_folder(root)
        paths, self._busy, self._keys = find_runs(root), True, {}
        if not paths or {run, second} - {*paths, ""}:
            raise RunError(f"asked for {[run, second]}; finished below {root}: {', '.join(paths) or 'no run'}; take "
                           "one of these, go on with one that has begun, or make some with `make demo`")
        best = max(paths, key=lambda name: read_object(paths[name] / "result.json").get("average_map") or 0)
        begun = [path.parent for path in sorted(root.rglob("config.json")) if path.parent not in paths.values()]
        paths |= {f"{path.relative_to(root).as_posix()} (not finished)": path for path in begun}
        few = lru_cache(4)  # runs with their models, which are large
        self._opened, self._profile = few(lambda name: open_run(paths[name], name)), few(model_internals.gate_profile)
        self._diagnosed = few(diagnose_run)
        self._table = few(lambda run: timeline.video_table(run).set_index("video"))
        self.run = self.second = self.timeline = self.diagnosis = self.gates = self.features = self.segments = None
        self.note, self._least, self._lowered, self.tag_bar = "", None, None, TagBar(TAGS)
        options = {"run": [*paths], "compare": [ALONE, *paths], "class": [ALL], "sort": [*ORDERS], "video": [video]}
        self.controls = {name: w.Dropdown(description=name, options=rows, layout={"width": "auto"})
                         for name, rows in options.items()}
        self.controls["run"].value, self.controls["compare"].value = run or best, second or ALONE
        self.profiled = w.Checkbox(description="gates by class and length, over all videos", indent=False)
        self.tabs = w.Tab([w.VBox() for _ in TABS], titles=[name.title() for name in TABS], selected_index=0)
        self._said, self._place = w.HTML(), w.VBox()
        super().__init__([w.HBox([*self.controls.values()], layout={"flex_flow": "row wrap"}), self._said, self._place,
                          Quiet()])
        self.add_class("losa-explore")
        for control in (*self.controls.values(), self.profiled):
            control.observe(self._update, "value")
        self.tabs.observe(self._update, "selected_index")
        self._busy = False
        self._update()
        if video and self.run and self.controls["video"].value != video:
            self.run.video(video)

    def line(self) -> str:
        """Return the run and what its timeline says."""
        return f"Explore {self.run.name if self.run else ''}, {self.timeline.line() if self.timeline else self.message}"

    def _update(self, _change: dict | None = None) -> None:
        """Show what the controls say, or why that is not possible: nobody would see an error in a callback."""
        if self._busy:
            return
        part, self._busy, self.message, self.note, self._said.value = self._place, True, "", "", "<i>working ...</i>"
        if _change and _change["owner"] is self.tabs and self.timeline and self.timeline.min_score != self._lowered:
            self._least = None
        try:
            self._choose()
            self._show()
            part = self.tabs.children[self.tabs.selected_index or 0]
            self._fill(part)
        except Exception as error:
            part.children, self.message = (), f"{type(error).__name__}: {error}"
        said = f'<p role="alert">{html.escape(self.message)}</p>' if self.message else ""
        self._busy, self._said.value = False, said or (f"<p>{html.escape(self.note)}</p>" if self.note else "")

    def _choose(self) -> None:
        """Open the runs, list the first one's classes and, in the chosen order, the videos that have the class."""
        first, second, label, order, video = (control.value for control in self.controls.values())
        self.run, self.second = self._opened(first), None if second in (ALONE, first) else self._opened(second)
        label = label if label in self.run.classes else ALL
        names = [v for v in self.run.videos if label in (ALL, *(r["label"] for r in self.run.truth.get(v, [])))]
        if not names:
            raise RunError(f"no test video of {first} has {label!r}; choose another class")
        rows = [(v, v) for v in names]
        if ORDERS[order]:
            table = self._table(self.run).loc[names]
            table = table.assign(errors=-table.missed - table.wrong).sort_values(ORDERS[order], kind="stable")
            rows = [(f"{row.Index}: {row.missed} missed, {row.wrong} wrong", row.Index) for row in table.itertuples()]
        self.controls["class"].options, self.controls["video"].options = [ALL, *self.run.classes], rows
        self.controls["class"].value, self.controls["video"].value = label, video if video in names else rows[0][1]

    def _show(self) -> None:
        """Show the video in the timeline; with two runs in one that compares them."""
        runs, shown = {run.name: run for run in (self.run, self.second) if run}, self.timeline
        label, video = self.controls["class"].value, self.controls["video"].value
        if self._keys.get("timeline") != (wanted := (*runs.values(), video)):
            given = timeline.timeline_view(runs, video)
            if (path := self.run.video(video).path) and not path.is_file():
                given["video"] = path  # for the timeline says that it is not there
            given |= {"min_score": shown.min_score} if shown else {}
            at = shown and shown.video_id == video and (shown.current_time, shown.span)
            if shown and isinstance(shown, Compare) == bool(self.second):
                shown.show(**given)
            else:
                self.timeline = (Compare if self.second else Timeline)(**given)
                self.timeline.observe(self._show_tag, "selected")
                self.timeline.observe(self._look_again, "min_score")
                link(self.timeline, *filter(None, (self.gates, self.features, self.segments)))
            if at:
                self.timeline.current_time, self.timeline.span = at
            self._keys["timeline"] = wanted
        self.timeline.shown_classes = self.timeline.classes if label == ALL else [label]
        self._place.children = [self.timeline, self.tag_bar, self.tabs]
        self._show_tag()
        if shown and shown is not self.timeline:
            for part in parts_of(shown):
                part.close()

    def _fill(self, page: w.VBox) -> None:
        """Compute what the open tab shows, unless it is there."""
        name, run, video = [*TABS][self.tabs.selected_index or 0], self.run, self.controls["video"].value
        self._least = self.timeline.min_score if self._least is None else self._least
        wanted, view = (run, name in LISTS or video, name == "gates" and self.profiled.value), getattr(self, name)
        wanted += (self._least,) if name in LISTS else ()
        if name in LISTS and not any(run.truth.values()):
            self.note, page.children = why_nothing(run, self._least), ()
            return
        if self._keys.get(name) != wanted:
            given = self._given(name, run, video)
            if view:
                view.show(**given)
            else:
                setattr(self, name, view := TABS[name](**given))
                view.observe(self._go, "selected") if name in LISTS else None
                link(self.timeline, view) if name != "diagnosis" else None
            if name in LISTS:
                view.let_tag(TAGS, self._tag, run.tags.places())
            view.span, self._keys[name] = list(self.timeline.span), wanted  # as it is zoomed
        self.note = why_nothing(run, self._least, self._diagnosed(run, self._least)) if name in LISTS else ""
        page.children = [self.profiled, view] if name == "gates" else [view]

    def _look_again(self, _change: dict) -> None:
        """Fill the open list anew at the timeline's least score, where it had nothing to show."""
        if self.note and any(self.run.truth.values()) and [*TABS][self.tabs.selected_index or 0] in LISTS:
            self._least = None
            self._update()

    def _given(self, name: str, run: Run, video: str) -> dict:
        """Return the keywords of a tab's widget."""
        if name not in LISTS:
            return model_internals.features_view(run, video) if name == "features" else model_internals.gates_view(
                run, video, self._profile(run) if self.profiled.value else None)
        diagnosis = self._diagnosed(run, self._least)
        if name == "segments":
            return segments_view(run, self._least, diagnosis)
        return {"diagnosis": diagnosis, "truth": run.truth, "predictions": run.predictions, "classes": run.classes,
                "frames": segment_pictures(run), "title": run.name}

    def _tag(self, video: str, kind: str, index: int, tag: str, note: str = "") -> None:
        """Tag a segment of the first run, and show it everywhere."""
        self.run.tags.put(video, kind, index, tag, note)
        for view in filter(None, (self.diagnosis, self.segments)):
            view.show_tags(self.run.tags.places())
        self._show_tag()

    def _show_tag(self, _change: dict | None = None) -> None:
        """Show the tag of the segment that is selected in the timeline, of whichever run it is."""
        shown, record = self.timeline, self.timeline.selected_record
        if record is None:
            self.tag_bar.show("", None)
            return
        lane = shown.lanes.index(shown.selected[0])
        run, kind = (self.run, self.second)[lane == 2], "prediction" if lane else "truth"
        video, name = shown.video_id, f"{shown.selected[0]}: {record['label']}"
        rows = (run.predictions if lane else run.truth).get(video, [])
        index = _find_same(rows, record, shown.selected[1])
        if index is None:
            self.tag_bar.show(f"{name} is of another soft-NMS than the run's and cannot be tagged", None)
            return
        put = self._tag if run is self.run else run.tags.put
        tag, note = run.tags.places().get((video, kind, index), ("", ""))
        self.tag_bar.show(f"{name}, {record['segment'][0]:.2f} to {record['segment'][1]:.2f} s", lambda tag, note: put(
            video, kind, index, tag, note), tag, note)

    def _go(self, change: dict) -> None:
        """Show a segment chosen in a list: its video, 15 s around it, the playhead at its start."""
        if (at := change["new"]).get("video") not in self.run.videos:
            if at:
                self._said.value = f"<p>{html.escape(at['video'])} is no test video; only those are in the timeline</p>"
            return
        self._busy, self.controls["class"].value, self.controls["video"].options = True, ALL, [at["video"]]
        self._busy = False  # and now at once, whatever class was chosen before
        self._update()
        if self.message:
            return
        shown, kind = self.timeline, at["kind"] == "prediction"
        track = self.run.name if kind else shown.lanes[0]
        record = (self.run.truth, self.run.predictions)[kind][at["video"]][at["index"]]
        index, (start, end) = _find_same(shown.tracks[track], record, at["index"]), record["segment"]
        shown.selected = None if index is None else [track, index]
        shown.min_score = self._lowered = min(shown.min_score, (shown.selected_record or record).get("score", 1.0))
        shown.span, shown.current_time = [max(start - 15, 0.0), min(end + 15, shown.duration)], start


def _find_same(records: Sequence[Mapping], record: Mapping, near: int) -> int | None:
    """Return the place of a record among others, of repeated ones that nearest to `near`; None where it is not there.

    Another soft-NMS has it elsewhere, or not at all; a timeline has its times to six decimals.
    """
    label, *ends = record["label"], *(round(time, 6) for time in record["segment"])
    same = [i for i, other in enumerate(records)
            if other["label"] == label and [round(time, 6) for time in other["segment"]] == ends]
    return min(same, key=lambda i: abs(i - near), default=None)


explore = Explore  # as one says it: explore("runs/")
