"""Show what kinds of errors a run makes, as bars; a click on a bar lists its segments, a click there shows frames."""

from collections.abc import Callable, Mapping, Sequence

import traitlets
from matplotlib.figure import Figure

from widgets import figures
from widgets.base import pack, parts, plain_json
from widgets.error_kinds import ErrorKind
from widgets.figures import class_colours
from widgets.tagging import Tagged

MOST = 500  # segments listed per bar, those of highest score
DARK = ("#a8324f", "#5a5ac8")  # colours of bars on which text has to be white
KINDS = {  # colour of a bar (none is a colour of a class) and what its kind means
    ErrorKind.TRUE_POSITIVE: (
        "#4d8b31", "Right: its label, tIoU at least {tiou:g}, and the instance was not found before."),
    ErrorKind.DOUBLE_DETECTION: (
        "#c2b84a", "Label and place are right (tIoU at least {tiou:g}), but another prediction found the instance."),
    ErrorKind.WRONG_LABEL: ("#a8324f", "The place is right (tIoU at least {tiou:g}), the label is not."),
    ErrorKind.LOCALISATION: (
        "#5a5ac8", "The label is right, the boundaries are off: tIoU at least {low:g}, less than {tiou:g}."),
    ErrorKind.CONFUSION: (
        "#c08ad0", "The label is wrong, and the boundaries are off: tIoU at least {low:g}, less than {tiou:g}."),
    ErrorKind.BACKGROUND: ("#8c8c8c", "Nothing happens there: tIoU less than {low:g} with every instance."),
    "missed": ("#96602f", "No prediction is matched to it at tIoU {tiou:g}."),
}
MISSED = {"length": ("length", "{} (over {:g} s)"), "coverage": ("share of the video", "{} (over {:.0%})"),
          "instances": ("number of its class in the video", "{}")}


class Diagnosis(Tagged):
    """Show the diagnosis that `losa.diagnose` made of these `truth` and `predictions`, {video: [record]}, in seconds.

    classes: all labels, for their colours. frames(video, times_s) -> JPEG bytes per time; None shows no frames.
    selected: {"video", "kind": "prediction" | "truth", "index"} of the segment clicked, {} before the first click.
    """

    _esm, _css = parts("tagging diagnosis", "js"), parts("tagging diagnosis", "css")
    content = pack(traitlets.Dict())
    selected = traitlets.Dict().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)

    def show(self, diagnosis: Mapping, *, truth: Mapping, predictions: Mapping, classes: Sequence[str],
             frames: Callable | None = None, title: str = "") -> None:
        """Show another diagnosis in the same place."""
        self.frames, self.title, self.selected, rows, d = frames, title, {}, {}, diagnosis

        def bar(b: Mapping, text: str = "", kind: str = "", **other: object) -> dict:
            of = [(r["video"], r["kind"], r["index"]) for r in b["references"][:MOST]]
            return {"name": b["name"], "kind": kind or b["name"], "count": b["count"], "share": b["share"] or 0,
                    "text": text, "rows": [rows.setdefault(key, len(rows)) for key in of]} | other

        most, now = max(*(b["gain"] for b in d["gains"]), 1e-9), f"{100 * d['average_map_top']:.1f}"
        least = "" if d["min_score"] is None else f" with a score of at least {d['min_score']}"
        missed = f"{d['counts']['missed']:,} of {d['num_truth']:,} instances are missed."
        self.content = plain_json({"charts": [
            ["What mending a kind would add", f"Points of average mAP (now {now}) if none of the kind were there.",
             [bar(b, f"{100 * b['gain']:+.1f}", share=max(b["gain"], 0) / most) for b in d["gains"]]],
            ["What the predictions are", f"All {d['num_predictions']:,} predictions{least}.",
             [bar(b, f"{b['count']:,}") for b in d["kinds"]]],
            *([f"Missed by {by}", missed, [
                bar(b, f"{b['count']:,} of {b['of']:,}", "missed", name=name.format(b["name"], b["bounds"][0]))
                for b in d["missed"][key] if b["of"]]] for key, (by, name) in MISSED.items() if key in d["missed"])],
            "profile": [[s["name"], s["count"], [bar(p) for p in s["parts"] if p["count"]]]
                        for s in d["profile"] if s["count"]],
            "kinds": {str(kind): {"colour": colour, "dark": colour in DARK, "meaning": meaning.format(**d)}
                      for kind, (colour, meaning) in KINDS.items()},
            "colours": class_colours(classes), "frames": bool(frames),
            "rows": [_row(d, truth, predictions, *row) for row in rows]})

    def figure(self) -> Figure:
        """Return the bars as a figure."""
        return figures.bar_charts([(title, [(bar["name"], bar["share"], bar["text"], KINDS[bar["kind"]][0])
                                            for bar in bars]) for title, _, bars in self.content["charts"] if bars],
                                  self.title)

    def line(self) -> str:
        """Return what the predictions are, in numbers."""
        found = ", ".join(f"{bar['name']} {bar['text']}" for bar in self.content["charts"][1][2])
        return f"Diagnosis {self.title}: {found}"

    def _answer(self, _, content: dict, __) -> None:
        """Send the frames at the start, the middle and the end of the segment that was clicked; or tag it."""
        if self.hear_tag(content):
            return
        pictures, error = self.take_pictures(content)
        self.send({"row": content["row"], "error": error and f"No frames: {error}"}, pictures)


def _row(diagnosis: Mapping, truth: Mapping, predictions: Mapping, video: str, kind: str, index: int) -> list:
    """Return [video, kind, index, label, start, end, score or None, why it is right or wrong] of a segment."""
    is_truth = kind == "truth"
    records, others = (truth, predictions) if is_truth else (predictions, truth)
    columns = diagnosis["truth" if is_truth else "predictions"][video]
    verdict, tiou, other = (columns[key][index] for key in ("verdict", "tiou", "other"))
    record, near = records[video][index], None if other is None else others[video][other]["label"]
    why = (_why_missed(record["label"], tiou, near, diagnosis["tiou"]) if is_truth
           else _why(verdict, tiou, near, diagnosis["tiou"]))
    return [video, kind, index, record["label"], *record["segment"], record.get("score"), why]


def _why_missed(label: str, tiou: float, near: str | None, enough: float) -> str:
    """Return why a ground truth of this label is missed; near: whether any prediction of it touches."""
    if near is None:
        return f"no prediction of “{label}” touches it"
    return f"the nearest “{label}” has tIoU {tiou:.2f}" + ("" if tiou < enough else " but counts for another")


def _why(verdict: str, tiou: float, near: str | None, enough: float) -> str:
    """Return why a prediction is what it is; near: label of the ground truth it overlaps most, if any."""
    if near is None:
        return "touches no instance"
    reason = {ErrorKind.TRUE_POSITIVE: "", ErrorKind.DOUBLE_DETECTION: ", which another prediction found",
              ErrorKind.WRONG_LABEL: ", so the label is wrong", ErrorKind.LOCALISATION: f": less than {enough:g}",
              ErrorKind.CONFUSION: ": label and boundaries are off",
              ErrorKind.BACKGROUND: ": next to nothing"}[verdict]
    return f"tIoU {tiou:.2f} with “{near}”{reason}"
