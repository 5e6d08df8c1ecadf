"""What kinds of errors a run makes, as bars; each bar is a click away from its segments and their frames."""

from collections.abc import Callable, Mapping, Sequence

import traitlets

from widgets.base import View, parts
from widgets.figures import class_colours

MOST = 500  # segments listed per bar, those of highest score
MISSED = {"length": ("length", "{} (over {:g} s)"), "coverage": ("share of the video", "{} (over {:.0%})"),
          "instances": ("number of its class in the video", "{}")}


class Diagnosis(View):
    """Bars of what `diagnose` said of these `truth` and `predictions`, {video: [record]}, seconds.

    classes: all labels, for their colours. frames(video, times_s) -> JPEG bytes per time; None shows no frames.
    selected: {"video", "kind": "prediction" | "truth", "index"} of the segment clicked, {} before the first click.
    """

    _esm, _css = parts("diagnosis", "js"), parts("diagnosis", "css")
    content = traitlets.Dict().tag(sync=True)
    selected = traitlets.Dict().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)

    def __init__(self, diagnosis: Mapping, *, truth: Mapping, predictions: Mapping, classes: Sequence[str],
                 frames: Callable | None = None, title: str = ""):
        super().__init__()
        self.on_msg(self._answer)
        self.show(diagnosis, truth=truth, predictions=predictions, classes=classes, frames=frames, title=title)

    def show(self, diagnosis: Mapping, *, truth: Mapping, predictions: Mapping, classes: Sequence[str],
             frames: Callable | None = None, title: str = "") -> None:
        """Shows another diagnosis in the same place."""
        self.frames, self.title, self.selected, rows, d = frames, title, {}, {}, diagnosis

        def bar(b: Mapping, text: str = "", kind: str = "", **other: object) -> dict:
            of = [(r["video"], r["kind"], r["index"]) for r in b["references"][:MOST]]
            return {"name": b["name"], "kind": kind or b["name"], "count": b["count"], "share": b["share"] or 0,
                    "text": text, "rows": [rows.setdefault(key, len(rows)) for key in of]} | other

        most, now = max(*(b["gain"] for b in d["gains"]), 1e-9), f"{100 * d['average_map_top']:.1f}"
        least = "" if d["min_score"] is None else f" with a score of at least {d['min_score']}"
        missed = f"{d['counts']['missed']:,} of {d['num_truth']:,} instances are missed."
        self.content = {"charts": [
            ["What mending a kind would add", f"Points of average mAP (now {now}) if none of the kind were there.",
             [bar(b, f"{100 * b['gain']:+.1f}", share=max(b["gain"], 0) / most) for b in d["gains"]]],
            ["What the predictions are", f"All {d['num_predictions']:,} predictions{least}.",
             [bar(b, f"{b['count']:,}") for b in d["kinds"]]],
            *([f"Missed by {by}", missed, [
                bar(b, f"{b['count']:,} of {b['of']:,}", "missed", name=name.format(b["name"], b["bounds"][0]))
                for b in d["missed"][key] if b["of"]]] for key, (by, name) in MISSED.items() if key in d["missed"])],
            "profile": [[s["name"], s["count"], [bar(p) for p in s["parts"] if p["count"]]]
                        for s in d["profile"] if s["count"]],
            "tiou": d["tiou"], "low": d["low"], "colours": class_colours(classes), "frames": bool(frames),
            "rows": [_row(d, truth, predictions, *row) for row in rows]}

    def _answer(self, _, content: dict, __) -> None:
        """Sends the frames at the start, the middle and the end of the segment that was clicked."""
        start, end = content["segment"]
        try:
            pictures, error = list(self.frames(content["video"], [start, (start + end) / 2, end])), ""
        except Exception as problem:  # whatever a video may hold; the list stays usable
            pictures, error = [], f"No frames: {problem}"
        self.send({"row": content["row"], "error": error}, pictures)


def _row(found: Mapping, truth: Mapping, predictions: Mapping, video: str, kind: str, index: int) -> list:
    """[video, kind, index, label, start, end, score or None, verdict, tIoU, label of the other or None]"""
    own, others, of = (truth, predictions, "truth") if kind == "truth" else (predictions, truth, "predictions")
    verdict, tiou, other = (found[of][video][key][index] for key in ("verdict", "tiou", "other"))
    record, near = own[video][index], None if other is None else others[video][other]["label"]
    return [video, kind, index, record["label"], *record["segment"], record.get("score"), verdict, tiou, near]
