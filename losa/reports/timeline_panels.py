"""Timelines on an offline page: one panel per video, in which the timeline widget is drawn once it comes into view.

With scripts off, a panel has its lanes as a drawing and its segments as a table.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from losa.reports.page import Number
from widgets.html import Html, element, widget_place
from widgets.share import PLAYED, copy_command, make_source, unplayable
from widgets.timeline import Timeline
from widgets.verdicts import score_of

EMBEDDED = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}  # what nearly every browser plays
LEAST_SCORE, MOST_SEGMENTS = 0.05, 60  # of a track's predictions that a page carries
STEPS = tuple(round(0.05 * i, 2) for i in range(1, 20))  # positions of the slider


class PageTimeline(Timeline):
    """A timeline that is written into pages and never shown in a notebook."""

    def open(self) -> None:
        """Tell no browser of it: one that hears of a widget which is gone by then says that it failed."""


class Timelines:
    """The timelines of one page: `panel` adds a video and returns its markup, `page_parts` is for `write_page`.

    classes: all labels, in the order that fixes their colours. has_truth: whether a video's first track is the ground
    truth of the others. most_rows: of overlapping segments in a lane.
    """

    def __init__(self, classes: Sequence[str], *, min_score: Number, tiou: Number = 0.5, has_truth: bool = True,
                 most_rows: int = 4) -> None:
        self.settings = {"classes": list(classes), "min_score": min_score, "tiou": tiou, "has_truth": has_truth}
        self.most_rows, self.states = most_rows, []
        self.view = PageTimeline(None, {"": []}, duration=1.0)  # one for all: each video's traits are read from it

    def panel(self, video: Mapping, source: Mapping, *, most: int = MOST_SEGMENTS, class_: str = "video",
              note: Html | None = None) -> Html:
        """Return the article with the video's name, `note` and timeline; of predictions the `most` strongest.

        video: dict with id, duration (s) and tracks {name: records}. source: see `widgets.share.video_source`.
        """
        number, tracks = len(self.states), {}
        for lane, (name, records) in enumerate(video["tracks"].items()):
            is_truth = self.settings["has_truth"] and not lane
            tracks[name] = list(records) if is_truth else choose_strongest(records, most)
        self.view.show(None, tracks, duration=float(video["duration"]), title=str(video["id"]), **self.settings)
        self.view.tracks = {name: [self._shortened(r) for r in records] for name, records in self.view.tracks.items()}
        self.states.append(self.view.page_state() | {"group": str(number), "source": dict(source)})
        problem = element("p", source["message"], class_="problem") if source["kind"] == "none" else ""
        place = widget_place(number, lazy=True, still=Html(problem + self.view.still(alone=False)))
        return element("article", element("h3", video["id"], note or ""), place, class_=class_, id=f"video-{number}")

    def page_parts(self) -> dict:
        """Return the arguments of `write_page` that bring the timelines onto the page."""
        return {"widgets": [(self.view.script, state) for state in self.states], "styles": [self.view.style]}

    def _shortened(self, record: Mapping) -> dict:
        """Return the record with its row within the lane and with digits that can be seen."""
        start, end = record["segment"]
        return record | {"segment": [round(start, 3), round(end, 3)], "score": round(record["score"], 4),
                         "row": min(record["row"], self.most_rows - 1)}


def choose_strongest(records: Sequence[Mapping], most: int = MOST_SEGMENTS) -> list[Mapping]:
    """Return the records of the highest scores, `most` at most, none below LEAST_SCORE; the best first."""
    ranked = sorted(records, key=lambda r: -score_of(r))
    return [r for r in ranked if score_of(r) >= LEAST_SCORE][:most]


def make_controls(min_score: Number, colours: Mapping[str, str], tiou: Number | None = None) -> Html:
    """Return the slider and the legend of all timelines of a page; without `tiou` nothing is right or wrong."""
    slider = Html(f'<input id="min-score" type="range" min="{STEPS[0]}" max="{STEPS[-1]}" step="0.05" '
                  f'value="{min_score}">')
    label = element("label", "Show predictions with a score of at least", slider, element(
        "output", f"{min_score:.2f}", id="min-score-shown", for_="min-score"), class_="needs-script")
    fixed = element("noscript", f"Shown: predictions with a score of at least {min_score:.2f}.")
    key = lambda name, kind="", style=None: element(  # noqa: E731
        "span", element("span", class_=f"swatch {kind}".strip(), style=style), name, class_="key")
    judged = [] if tiou is None else [key(f"right (tIoU at least {tiou:g})"), key("wrong", "wrong"),
                                      key("missed by all", "missed")]
    meaning = [*judged, key("fainter: lower score", "faint")]
    classes = [key(label, style=f"--c:{colour}") for label, colour in colours.items()]
    return Html(
        element("p", "Click a segment to watch it. Keys, with a timeline in focus: Space plays and pauses, ← → move "
                "1 s (with Shift 5 s), n and p walk through the segments, ↑ ↓ change the lane, Enter plays a segment, "
                "z and x zoom, ? lists all of them.", class_="soft needs-script")
        + element("div", label, fixed, element("div", *meaning, class_="keys"), element("div", *classes, class_="keys"),
                  class_="controls"))


def embed_video(path: str | Path, max_video_mb: Number) -> dict[str, str]:
    """Return the `source` of a timeline with the video's file inside the page, or with why it is not."""
    path = Path(path)
    if not path.is_file():
        return make_source("none", f"{path} is not there")
    if path.suffix.lower() not in EMBEDDED:
        return make_source("none", f"{path} is not in a format that every browser plays; convert it to H.264 mp4: "
                           f"{copy_command(path)}")
    if path.stat().st_size > max_video_mb * 1e6:
        return make_source("none", f"{path} has {path.stat().st_size / 1e6:.1f} MB, more than the {max_video_mb:g} MB "
                           "embedded here")
    return make_source("link", "This browser cannot play the video of this page.", data_address(path))


def link_video(path: str | Path, folder: Path, embed: bool) -> dict[str, str]:
    """Return the `source` of a timeline with the video's address as seen from `folder`, or with why there is none.

    embed: put the file inside the page instead.
    """
    path, readable = Path(path), Path(os.fsencode(path).decode(errors="replace"))
    if not path.is_file():
        return make_source("none", f"{readable.name} is not there any more")
    if path.suffix.lower() not in PLAYED:
        return make_source("none", f"No browser plays {path.suffix} files; to watch {readable.name} here, convert it "
                           f"to H.264 mp4: {copy_command(readable)}")
    copy = f"a copy that every browser plays: {copy_command(readable)}"
    if strange := unplayable(path):  # some browsers do: they are asked first
        message = f"{readable.name} {strange}. Make {copy}"
    elif embed:
        message = f"{readable.name} could not be played. Make {copy}"
    else:  # the browser cannot tell why, and the file could be read as the page was written
        message = (f"{readable.name} could not be loaded: if it was moved or deleted since this page was written, put "
                   f"it back to {readable}; if it is there, make {copy}")
    return make_source("link", message, data_address(path) if embed else file_address(path, folder))


def data_address(path: Path) -> str:
    """Return the file as a data: URL."""
    return f"data:{EMBEDDED[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def file_address(path: Path, folder: Path) -> str:
    """Return where the file is, seen from a page in `folder`; the whole address where they lie on different drives."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()))
    except ValueError:
        return path.resolve().as_uri()
