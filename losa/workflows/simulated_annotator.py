"""A simulated annotator: does real operations of the editing model from known labels, on a clock of stated times.

Nothing here is measured on a person. The clock adds up operators of the keystroke-level model (Card, Moran and Newell,
"The keystroke-level model for user performance time with interactive systems", Communications of the ACM 23(7), 1980):
key K = 0.28 s (an average typist), pointing P = 1.1 s, a press or release of a mouse button B = 0.1 s, a mental
preparation M = 1.35 s. Beside it the video is watched once, in real time. A drag is P B P B, a click P B B. Moving a
hand between keyboard and mouse (H = 0.4 s) is left out. `lag` is how far a person overshoots an edge before pausing,
`slack` how far an edge of a proposal may be off and is left as it is.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from losa.errors import ConfigError
from widgets import edits
from widgets.verdicts import overlap

Number = int | float
TIMES = {"watch": 1.0, "key": 0.28, "click": 1.3, "drag": 2.4, "think": 1.35, "lag": 0.25, "slack": 0.0}
MEANINGS = {"watch": "watch a second of video, once", "key": "press a key (K)", "click": "point and click (P B B)",
            "drag": "drag an edge (P B P B)", "think": "prepare an act: an edge, a class, a proposal (M)",
            "lag": "overshoot an edge before pausing; stepped back by keys, frame by frame",
            "slack": "an edge of a proposal that is off by less is left; half a frame always is"}
LEAST_TIOU = 0.3  # a proposal that overlaps an action less is made anew, not corrected
KEYS = 9  # classes that have a key; a later one is chosen from the list


def simulate(video: Mapping, truth: Sequence[Mapping], proposals: Sequence[Mapping] = (), *, classes: Sequence[str],
             times: Mapping[str, Number] = TIMES, began: Number = 0.0) -> dict:
    """Label one video from its true records, and return the session (see `labelling_effort`) with its "ops".

    video: {"id", "duration" in s, "fps" or None}. proposals: records with a score, to accept and correct; one that is
    no action is looked at and left alone. times: seconds of a key, a click, a drag, a thought; "watch": seconds for a
    second of video; "lag", "slack" in seconds. The labels at the end are the truth to half a frame, or to the slack.
    Raises ConfigError for a time that is unknown or negative.
    """
    check_times(times)
    hand = _Hand(video, classes, {**TIMES, **times}, began)
    pairs, wrong = match(truth, proposals)
    events = [(record["segment"][1], record, found) for record, found in pairs]
    events += [(record["segment"][1], None, record) for record in wrong]
    for end, record, found in sorted(events, key=lambda event: event[0]):
        hand.watch(end)
        if record is None:
            hand.think()
        elif found is None:
            hand.create(record)
        else:
            hand.correct(record, found)
    hand.watch(video["duration"])
    return hand.session()


def check_times(times: Mapping[str, Number]) -> None:
    """Raise ConfigError for times of a name that is unknown, or that are no numbers of at least 0."""
    wrong = {name: value for name, value in times.items()
             if name not in TIMES or not isinstance(value, int | float) or not value >= 0}
    if wrong:
        raise ConfigError(f"times={wrong}: expected seconds of at least 0 for any of {', '.join(TIMES)}")


def list_times(times: Mapping[str, Number]) -> pd.DataFrame:
    """Return a table of the seconds that each operator of the simulated annotator takes, and what it is."""
    return pd.DataFrame({"what it does": MEANINGS, "seconds (assumed)": {**TIMES, **times}}).rename_axis("operator")


def match(truth: Sequence[Mapping], proposals: Sequence[Mapping]) -> tuple[list[tuple], list[Mapping]]:
    """Return (record, proposal or None) for each true record, and the proposals that are left, the surest first.

    Labels are not compared: a wrong one is corrected by a key.
    """
    free, taken, wrong = dict(enumerate(truth)), {}, []
    for proposal in sorted(proposals, key=lambda record: -record["score"]):
        best = max(free, key=lambda i: overlap(free[i]["segment"], proposal["segment"]), default=None)
        if best is None or overlap(free[best]["segment"], proposal["segment"]) < LEAST_TIOU:
            wrong.append(proposal)
        else:
            taken[best] = proposal
            del free[best]
    return [(record, taken.get(i)) for i, record in enumerate(truth)], wrong


class _Hand:
    """The state of the labels, the clock, and where in the video the annotator is."""

    def __init__(self, video: Mapping, classes: Sequence[str], times: Mapping[str, Number], began: Number) -> None:
        self.video, self.classes, self.times, self.began = video, list(classes), times, began
        self.state, self.ops, self.clock, self.place, self.presses = edits.start(()), [], float(began), 0.0, 0
        self.chosen = self.classes[0] if self.classes else ""
        self.frame = 1 / video["fps"] if video.get("fps") else edits.SHORTEST

    def watch(self, until: Number) -> None:
        ahead = max(until - self.place, 0.0)
        self.clock, self.place = self.clock + self.times["watch"] * ahead, self.place + ahead

    def think(self) -> None:
        self.clock += self.times["think"]

    def press(self, kind: str, number: int = 1) -> None:
        """Add keys, clicks or drags, each of which counts as one press."""
        self.clock, self.presses = self.clock + number * self.times[kind], self.presses + number

    def do(self, what: str, by: str, **values: object) -> None:
        op = {"what": what, "at": self.clock, "by": by, "presses": self.presses, **values}
        self.state, self.presses = edits.apply(self.state, op, self.video), 0
        self.ops.append(op)

    def choose(self, label: str) -> None:
        """Choose the class, by its key or, where it has none, from the list: one click opens it, one chooses."""
        self.think()
        number = self.classes.index(label) if label in self.classes else KEYS
        self.press(*("key",) if number < KEYS else ("click", 2))

    def mark_edge(self) -> None:
        """Pause behind an edge, step back to it frame by frame, mark it, play on."""
        self.think()
        self.press("key", 3 + round(self.times["lag"] / self.frame))

    def create(self, record: Mapping) -> None:
        self.mark_edge()
        if record["label"] != self.chosen:
            self.choose(record["label"])
            self.chosen = record["label"]
        self.mark_edge()
        self.do("create", "key", label=record["label"], segment=list(record["segment"]))

    def correct(self, record: Mapping, found: Mapping) -> None:
        """Accept a proposal, then drag each edge that is off by more than is left, and mend the label."""
        self.think()
        self.press("click")
        self.press("key")
        self.do("accept", "key", label=found["label"], segment=list(found["segment"]), **{"from": "proposals"})
        made = self.state["made"]
        left = max(0.5 * self.frame, self.times["slack"]) + 1e-6
        late = record["segment"][1] > found["segment"][1]
        for edge in (1, 0) if late else (0, 1):  # never over the other edge
            if abs(record["segment"][edge] - found["segment"][edge]) > left:
                self.think()
                self.press("drag")
                self.do("move_edge", "mouse", id=made, edge=edge, time=record["segment"][edge])
        if record["label"] != found["label"]:
            self.press("click")
            self.choose(record["label"])
            self.do("relabel", "key", id=made, label=record["label"])

    def session(self) -> dict:
        return {"video": self.video["id"], "duration": self.video["duration"], "fps": self.video.get("fps"),
                "began": float(self.began), "ended": self.clock, "records": self.state["records"],
                "changes": self.state["changes"], "ops": self.ops}
